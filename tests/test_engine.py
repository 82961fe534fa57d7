"""The engine: order, batches, failures, identical files, and how far it reads ahead."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from doubles import POISON, BrightModel, Held, photo

from calm.errors import BusyError, PhotoError, UsageError
from calm.inference.engine import Engine
from calm.inference.tasks import CommentTask, ScoreTask, SuggestTask, Task


def load(path: str):
    """``12`` and ``12@copy`` are grey photos of value 12; anything that is no number cannot be read."""
    value = path.split("@")[0]
    if value == "crash":
        raise ZeroDivisionError("a decoder's\nown fault")
    if not value.isdigit():
        raise PhotoError(f"expected a photo, found {path}; look at it")
    return photo(int(value), path)


def engine(batch_size: int = 4, workers: int = 3) -> Engine:
    return Engine(BrightModel(), batch_size, workers, load)


def test_rows_come_in_the_order_of_the_paths_whatever_the_batches():
    paths = [str(value) for value in range(20, 59)]
    runs = [list(engine(size, workers).rows(paths, ScoreTask())) for size, workers in ((1, 1), (4, 3), (64, 2))]
    assert [row.path for row in runs[0]] == paths
    assert runs[0] == runs[1] == runs[2]
    assert [row.score for row in runs[0]] == sorted(row.score for row in runs[0])


def test_a_row_has_what_the_contract_names():
    (row,) = engine().rows(["255"], ScoreTask())
    assert row.as_dict() == {
        "path": "255",
        "sha256": f"{255:064x}",
        "width": 8,
        "height": 6,
        "status": "ok",
        "error": None,
        "note": None,
        "score": 10.0,
        "scale": "1-10",
        "score_std": 0.0,
        "distribution": [0.0] * 9 + [1.0],
        "model": "bright",
        "model_sha256": "b" * 64,
        "preprocess": "test-1",
        "profile": None,
    }


def test_comments_and_suggestions_stand_beside_the_score():
    (row,) = engine().rows(["10"], CommentTask(("light",)))
    assert row.extra["comment"].startswith("The light is poor.")
    assert row.extra["aspects"] == [{"aspect": "light", "level": "low", "polarity": -1, "text": "The light is poor"}]
    (row,) = engine().rows(["10"], SuggestTask())
    assert [each["attribute"] for each in row.extra["suggestions"]] == ["exposure", "clutter"]
    assert row.extra["suggestions"][0]["unit"] == "EV"
    (row,) = engine().rows(["250"], SuggestTask())
    assert row.extra["suggestions"] == []


def test_the_aspects_asked_for_reach_the_model():
    machine = engine()
    list(machine.rows(["10"], CommentTask(("light", "colour"))))
    list(machine.rows(["10"], CommentTask()))
    assert machine.model.aspects == [("light", "colour"), None]


def test_photos_that_cannot_be_decoded_fail_alone():
    rows = list(engine().rows(["20", "torn", "crash", "30"], ScoreTask()))
    assert [row.status for row in rows] == ["ok", "failed", "failed", "ok"]
    assert rows[1].error == "expected a photo, found torn; look at it"
    assert rows[2].error == "ZeroDivisionError: a decoder's own fault"
    assert rows[1].score is None and rows[1].sha256 is None and rows[1].model == "bright"


@pytest.mark.parametrize("place", range(5))
def test_a_photo_that_fails_in_the_model_fails_no_other(place):
    paths = ["20", "30", "40", "50", "60"]
    paths[place] = str(POISON)
    rows = list(engine(batch_size=5).rows(paths, ScoreTask()))
    assert [row.status for row in rows] == ["failed" if path == str(POISON) else "ok" for path in paths]
    assert "failed on this photo: RuntimeError: poisoned batch" in rows[place].error
    assert rows[place].sha256 is not None


class Answering(Task):
    """Gives what is given to it, or raises it."""

    def __init__(self, answer):
        self.answer = answer

    def ask(self, model, photos):
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def test_wrong_usage_is_not_blamed_on_photos():
    with pytest.raises(UsageError, match="did you mean light"):
        list(engine().rows(["20", "30"], Answering(UsageError("found 'lihgt'; did you mean light?"))))


@pytest.mark.parametrize("count", [1, 9])
def test_a_model_that_fails_on_any_photo_ends_the_run(count):
    """Guards against ten thousand failed rows where one error tells the same."""
    paths = [str(value) for value in range(20, 20 + count)]
    with pytest.raises(OSError, match="no such kernel") as raised:
        list(engine().rows(paths, Answering(OSError("no such kernel"))))
    assert "no photo's" in raised.value.__notes__[0]


def test_a_model_that_answers_too_little_is_found_out():
    with pytest.raises(RuntimeError, match="answered 0 times for 2 photos"):
        list(engine().rows(["20", "30"], Answering([])))


def test_identical_files_of_a_batch_are_asked_about_once():
    machine = engine(batch_size=5)
    paths = ["20", "20@copy", "30", "20@again", "30@copy"]
    rows = list(machine.rows(paths, ScoreTask()))
    assert [row.path for row in rows] == paths
    assert rows[0].score == rows[1].score == rows[3].score != rows[2].score
    assert len(sum(machine.model.batches, [])) == 2


def test_a_second_run_does_not_answer_from_the_first():
    machine = engine()
    scored = list(machine.rows(["20"], ScoreTask()))
    suggested = list(machine.rows(["20"], SuggestTask()))
    assert "suggestions" not in scored[0].extra and "suggestions" in suggested[0].extra


def test_a_run_within_a_run_does_not_disturb_it():
    machine = engine(batch_size=2)
    outer = []
    for row in machine.rows(["20", "20@copy", "30"], SuggestTask()):
        outer.append(row)
        list(machine.rows(["20", "40"], ScoreTask()))
    assert all("suggestions" in row.extra for row in outer)


def test_decoding_runs_ahead_but_not_away():
    decoded, lock = [], threading.Lock()

    def counting(path):
        with lock:
            decoded.append(path)
        return load(path)

    machine = Engine(BrightModel(), 2, 2, counting)
    answers = machine.answers((str(value) for value in range(20, 120)), ScoreTask())
    next(answers)
    assert 2 <= len(decoded) <= 6
    answers.close()
    assert len(decoded) <= 6


def test_photos_already_decoded_go_through_as_they_are():
    (row,) = engine().rows([photo(255, "in memory")], ScoreTask())
    assert (row.path, row.score) == ("in memory", 10.0)


@pytest.mark.parametrize(
    ("settings", "word"), [({"batch_size": 0}, "batch size"), ({"workers": -1}, "workers"), ({"waiting": 0}, "photos")]
)
def test_nonsense_settings_are_refused(settings, word):
    with pytest.raises(UsageError, match=f"expected a .*{word} of at least 1"):
        Engine(BrightModel(), **settings)


def held(waiting: int = 100) -> Engine:
    """An engine that has begun to answer about the photo 10."""
    machine = Engine(Held(), 4, 3, load, waiting)
    machine.submit("10", ScoreTask())
    assert machine.model.begun.wait(10)
    return machine


def test_two_hundred_calls_from_eight_threads_get_the_answers_of_single_calls():
    paths, tasks = (
        [str(value) for value in range(10, 60)],
        (ScoreTask(), CommentTask(), SuggestTask(), CommentTask(("light",))),
    )
    calls = [(path, task) for path in paths for task in tasks]
    alone = [engine(1, 1).answers([path], task).__next__() for path, task in calls]
    with engine() as machine, ThreadPoolExecutor(8) as threads:
        futures = threads.map(lambda call: machine.submit(*call), calls)
        assert [future.result(10) for future in futures] == alone


def test_what_waits_together_is_answered_together_by_task():
    machine = held()
    scores = [machine.submit(str(value), ScoreTask()) for value in range(20, 26)]
    comments = [machine.submit(str(value), CommentTask()) for value in (20, 21)]
    while len(machine._decoded) < 8:
        time.sleep(0.001)
    machine.model.go.set()
    assert all(future.result(10).result for future in scores + comments)
    assert sorted(map(len, machine.model.batches)) == [1, 2, 2, 4]


def test_a_cancelled_photo_costs_nothing_more():
    machine = held()
    futures = [machine.submit(str(value), ScoreTask()) for value in range(20, 30)]
    assert all(future.cancel() for future in futures)
    machine.model.go.set()
    machine.close()
    assert machine.model.batches == [["10"]]


def test_no_more_photos_wait_than_may_and_each_answer_makes_room():
    machine = held(waiting=2)
    second = machine.submit("20", ScoreTask())
    with pytest.raises(BusyError, match="expected fewer than 2 photos to wait"):
        machine.submit("30", ScoreTask(), patience=0.01)
    second.cancel()
    third = machine.submit("30", ScoreTask(), patience=0.01)
    machine.model.go.set()
    assert third.result(10).path == "30"
    for value in range(40, 50):
        assert machine.submit(str(value), ScoreTask(), patience=10).result(10).result


def test_failures_of_submitted_photos_are_answers_and_those_of_the_model_are_raised():
    with engine() as machine:
        assert "look at it" in machine.submit("torn", ScoreTask()).result(10).error
        assert "poisoned batch" in machine.submit(str(POISON), ScoreTask()).result(10).error
        with pytest.raises(OSError, match="no such kernel"):
            machine.submit("20", Answering(OSError("no such kernel"))).result(10)
        assert machine.submit("20", ScoreTask()).result(10).result


def test_a_closed_engine_has_answered_everything_and_takes_no_more():
    before = set(threading.enumerate())
    with engine() as machine:
        futures = [machine.submit(str(value), ScoreTask()) for value in range(20, 60)]
    assert all(future.done() and future.result().result for future in futures)
    assert set(threading.enumerate()) <= before
    for ask in (lambda: machine.submit("20", ScoreTask()), lambda: list(machine.rows(["20"], ScoreTask()))):
        with pytest.raises(UsageError, match="found it closed"):
            ask()


def test_no_photos_no_rows():
    assert list(engine().rows([], ScoreTask())) == []
