"""The engine: order, batches, failures, identical files, and how far it reads ahead."""

from __future__ import annotations

import threading

import pytest
from doubles import POISON, BrightModel, photo

from calm.engine import Engine, Task, comment_task, score_task, suggest_task
from calm.errors import PhotoError, UsageError


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
    runs = [list(engine(size, workers).rows(paths, score_task())) for size, workers in ((1, 1), (4, 3), (64, 2))]
    assert [row.path for row in runs[0]] == paths
    assert runs[0] == runs[1] == runs[2]
    assert [row.score for row in runs[0]] == sorted(row.score for row in runs[0])


def test_a_row_has_what_the_contract_names():
    (row,) = engine().rows(["255"], score_task())
    assert row.as_dict() == {
        "path": "255",
        "sha256": f"{255:064x}",
        "width": 8,
        "height": 6,
        "status": "ok",
        "error": None,
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
    (row,) = engine().rows(["10"], comment_task(["light"]))
    assert row.extra["comment"].startswith("The light is poor.")
    assert row.extra["aspects"] == [{"aspect": "light", "level": "low", "polarity": -1, "text": "The light is poor"}]
    (row,) = engine().rows(["10"], suggest_task())
    assert [each["attribute"] for each in row.extra["suggestions"]] == ["exposure", "clutter"]
    assert row.extra["suggestions"][0]["unit"] == "EV"
    (row,) = engine().rows(["250"], suggest_task())
    assert row.extra["suggestions"] == []


def test_the_aspects_asked_for_reach_the_model():
    machine = engine()
    list(machine.rows(["10"], comment_task(["light", "colour"])))
    list(machine.rows(["10"], comment_task()))
    assert machine.model.aspects == [["light", "colour"], None]


def test_photos_that_cannot_be_decoded_fail_alone():
    rows = list(engine().rows(["20", "torn", "crash", "30"], score_task()))
    assert [row.status for row in rows] == ["ok", "failed", "failed", "ok"]
    assert rows[1].error == "expected a photo, found torn; look at it"
    assert rows[2].error == "ZeroDivisionError: a decoder's own fault"
    assert rows[1].score is None and rows[1].sha256 is None and rows[1].model == "bright"


@pytest.mark.parametrize("place", range(5))
def test_a_photo_that_fails_in_the_model_fails_no_other(place):
    paths = ["20", "30", "40", "50", "60"]
    paths[place] = str(POISON)
    rows = list(engine(batch_size=5).rows(paths, score_task()))
    assert [row.status for row in rows] == ["failed" if path == str(POISON) else "ok" for path in paths]
    assert "failed on this photo: RuntimeError: poisoned batch" in rows[place].error
    assert rows[place].sha256 is not None


def test_wrong_usage_is_not_blamed_on_photos():
    def task(model, photos):
        raise UsageError("expected an aspect, found 'lihgt'; did you mean light?")

    with pytest.raises(UsageError, match="did you mean light"):
        list(engine().rows(["20", "30"], Task(task)))


def test_a_model_that_answers_too_little_is_found_out():
    rows = list(engine().rows(["20", "30"], Task(lambda model, photos: [])))
    assert {row.status for row in rows} == {"failed"}
    assert "answered 0 times for 1 photos" in rows[0].error


def test_identical_files_of_a_batch_are_asked_about_once():
    machine = engine(batch_size=5)
    paths = ["20", "20@copy", "30", "20@again", "30@copy"]
    rows = list(machine.rows(paths, score_task()))
    assert [row.path for row in rows] == paths
    assert rows[0].score == rows[1].score == rows[3].score != rows[2].score
    assert len(sum(machine.model.batches, [])) == 2


def test_a_second_run_does_not_answer_from_the_first():
    machine = engine()
    scored = list(machine.rows(["20"], score_task()))
    suggested = list(machine.rows(["20"], suggest_task()))
    assert "suggestions" not in scored[0].extra and "suggestions" in suggested[0].extra


def test_a_run_within_a_run_does_not_disturb_it():
    machine = engine(batch_size=2)
    outer = []
    for row in machine.rows(["20", "20@copy", "30"], suggest_task()):
        outer.append(row)
        list(machine.rows(["20", "40"], score_task()))
    assert all("suggestions" in row.extra for row in outer)


def test_decoding_runs_ahead_but_not_away():
    decoded, lock = [], threading.Lock()

    def counting(path):
        with lock:
            decoded.append(path)
        return load(path)

    machine = Engine(BrightModel(), 2, 2, counting)
    answers = machine.answers((str(value) for value in range(20, 120)), score_task())
    next(answers)
    assert 2 <= len(decoded) <= 6
    answers.close()
    assert len(decoded) <= 6


def test_photos_already_decoded_go_through_as_they_are():
    (row,) = engine().rows([photo(255, "in memory")], score_task())
    assert (row.path, row.score) == ("in memory", 10.0)


@pytest.mark.parametrize(("settings", "word"), [({"batch_size": 0}, "batch size"), ({"workers": -1}, "workers")])
def test_nonsense_settings_are_refused(settings, word):
    with pytest.raises(UsageError, match=f"expected a .*{word} of at least 1"):
        Engine(BrightModel(), **settings)


def test_no_photos_no_rows():
    assert list(engine().rows([], score_task())) == []
