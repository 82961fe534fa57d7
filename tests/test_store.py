"""The store: answers as the model gave them, never those of another model, photo or question, and never lost."""

from __future__ import annotations

import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from doubles import POISON, BrightModel, photo
from lightmeter import Lightmeter, make_album
from PIL import Image

from calm.cli import main, running
from calm.data import hashes
from calm.errors import StoreError
from calm.eval import suites
from calm.inference import store
from calm.inference.engine import Engine
from calm.inference.store import Ledger, Stored, circumstances, request_of
from calm.inference.tasks import DescribeTask, ScoreTask, SuggestTask, Task, question_of

PHOTOS = [photo(value) for value in (10, 90, 200)]


class Counting(BrightModel):
    """Counts the photos that it was really asked about; keeps odd numbers that have no short decimal form, and
    crops."""

    trained_on = ("ab",)

    def suggest(self, photos, least=None, most=3):
        said = super().suggest(photos, least, most)
        return [(score, [replace(each, crop=(0.1, 0.0, 1.0, 0.9)) for each in some]) for score, some in said]

    def describe(self, photos):
        return [(score, np.array([1 / 3, np.pi * score.value], np.float32)) for score in self.score(photos)]

    def edit_probabilities(self, photos):
        self.score(photos)
        return np.stack([np.array([each.pixels.mean() / 3, 1 / 7]) for each in photos])

    @property
    def asked(self) -> int:
        return sum(map(len, self.batches))


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "answers.sqlite")


def stored(model: BrightModel, ledger: Ledger) -> Stored:
    return Stored(lambda: model, ledger)


def grey(path: Path, value: int) -> Path:
    Image.fromarray(np.full((40, 60, 3), value, np.uint8)).save(path)
    return path


QUESTIONS = {
    "score": lambda model: model.score(PHOTOS),
    "comment": lambda model: model.comment(PHOTOS),
    "comment on light": lambda model: model.comment(PHOTOS, ["light"]),
    "suggest": lambda model: model.suggest(PHOTOS),
    "edits": lambda model: model.edit_probabilities(PHOTOS).tolist(),
    "describe": lambda model: [(score, row.dtype, row.tobytes()) for score, row in model.describe(PHOTOS)],
}


@pytest.mark.parametrize("name", QUESTIONS)
def test_what_is_kept_equals_what_was_said(name: str, ledger: Ledger) -> None:
    wanted = QUESTIONS[name](Counting())
    first, later = Counting(), Counting()
    assert QUESTIONS[name](stored(first, ledger)) == wanted and first.asked == 3
    assert QUESTIONS[name](stored(later, ledger)) == wanted and later.asked == 0


def test_only_what_is_new_is_asked_and_the_order_stays(ledger: Ledger) -> None:
    model = Counting()
    one = stored(model, ledger)
    one.score(PHOTOS[1:2])
    assert one.score(PHOTOS) == BrightModel().score(PHOTOS)
    assert [each for batch in model.batches for each in batch] == ["90.png", "10.png", "200.png"]
    assert ledger.counts() == [("bright", "b" * 64, question_of("score"), 3)]


@pytest.mark.parametrize(
    "other",
    [
        {"sha256": "c" * 64},
        {"preprocess": "test-2"},
        {"device": "cuda"},
        {"dtype": "torch.bfloat16"},
    ],
    ids=lambda each: next(iter(each)),
)
def test_another_model_is_asked_itself(other: dict, ledger: Ledger) -> None:
    stored(Counting(), ledger).score(PHOTOS)
    model = Counting()
    for name, value in other.items():
        setattr(model, name, value)
    stored(model, ledger).score(PHOTOS)
    assert model.asked == 3


@pytest.mark.parametrize("what", ["code_sha256", "version"])
def test_another_version_is_asked_itself(what: str, ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """Guards against old figures after the code was mended."""
    stored(Counting(), ledger).score(PHOTOS)
    monkeypatch.setattr(store, what, lambda *name: "changed")
    model = Counting()
    stored(model, ledger).score(PHOTOS)
    assert model.asked == 3


def test_source_is_hashed_where_answers_come_from_and_nowhere_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("__init__.py", "model/reader.py", "tasks/metrics.py", "eval/suites.py", "data/datasets/a.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("1")
    monkeypatch.setattr(hashes, "SOURCE", tmp_path)
    digest = store.code_sha256.__wrapped__
    before = digest()
    (tmp_path / "eval/suites.py").write_text("2")
    (tmp_path / "data/datasets/a.py").write_text("2")
    assert digest() == before
    (tmp_path / "model/reader.py").write_text("2")
    after = digest()
    (tmp_path / "model/words.yaml").write_text("2")
    assert len({before, after, digest()}) == 3


class Whole(Counting):
    """A model that takes a part from a folder."""

    class model:
        class config:
            pass

    def __init__(self, part: Path) -> None:
        super().__init__()
        self.model.config = type("Config", (), {})()
        self.model.config.vision_source = str(part)


def test_a_model_is_loaded_only_to_ask_and_only_while_its_files_stay(tmp_path: Path, ledger: Ledger) -> None:
    folder, part, loaded = tmp_path / "model", tmp_path / "encoder", []
    for each in (folder, part):
        each.mkdir()
        (each / "weights").write_text("1")

    def score() -> int:
        def load() -> Whole:
            loaded.append(Whole(part))
            return loaded[-1]

        assert Stored(load, ledger, request_of(str(folder), None)).score(PHOTOS) == BrightModel().score(PHOTOS)
        return len(loaded)

    assert [score(), score()] == [1, 1]
    (part / "weights").write_text("22")
    assert [score(), score()] == [2, 2] and loaded[-1].asked == 3
    (folder / "weights").write_text("22")
    assert [score(), score()] == [3, 3] and loaded[-1].asked == 0, "the same answers by the same hash"
    shutil.rmtree(part)
    assert score() == 4
    assert request_of(str(tmp_path / "nowhere"), None) is None
    assert request_of(str(folder), None) != request_of(str(folder), "cpu")


def test_the_same_file_decoded_to_another_size_is_another_photo(ledger: Ledger) -> None:
    model = Counting()
    one = stored(model, ledger)
    one.score(PHOTOS[:1])
    one.score([replace(PHOTOS[0], pixels=PHOTOS[0].pixels[:3, :4])])
    assert model.asked == 2


def test_failures_are_not_kept_and_cost_only_the_photo_at_fault(ledger: Ledger) -> None:
    answers = list(Engine(stored(Counting(), ledger)).answers([photo(POISON), *PHOTOS], ScoreTask()))
    assert [answer.result is None for answer in answers] == [True, False, False, False]
    assert ledger.counts()[0][-1] == 3


def test_the_rest_of_the_model_shows_through(ledger: Ledger) -> None:
    one = stored(Counting(), ledger)
    assert (one.name, one.trained_on) == ("bright", ("ab",)) and not hasattr(one, "judge_described")


# ------------------------------------------------------------------------------------------------ files


@pytest.mark.parametrize("task", [ScoreTask(), SuggestTask(), DescribeTask()], ids=lambda each: each.question)
def test_photos_that_are_known_are_neither_decoded_nor_asked_about(
    task: Task, tmp_path: Path, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [str(grey(tmp_path / f"{value}.png", value)) for value in (10, 90, 200)]
    first = list(Engine(stored(Counting(), ledger)).answers(paths, task))
    os.rename(paths[1], tmp_path / "renamed.png")
    shutil.copy(paths[2], tmp_path / "copied.png")
    later = [paths[0], str(tmp_path / "renamed.png"), paths[2], str(tmp_path / "copied.png")]

    def refuse(path: str) -> None:
        raise AssertionError(f"{path} was decoded")

    model = Counting()
    again = list(Engine(stored(model, ledger), load=refuse).answers(later, task))
    assert [each.error for each in again] == [None] * 4 and model.asked == 0
    assert [each.path for each in again] == later
    for one, other in zip([*first, first[2]], again, strict=True):
        assert replace(one, path="", result=None) == replace(other, path="", result=None) and one.note
        assert one.result.score == other.result.score and one.result.suggestions == other.result.suggestions
    with monkeypatch.context() as hidden:
        hidden.setattr(store, "file_sha256", refuse)
        assert list(Engine(stored(model, ledger), load=refuse).rows(later, task))[3].status == "ok"


def test_a_file_that_changed_is_another_photo(tmp_path: Path, ledger: Ledger) -> None:
    path = str(grey(tmp_path / "a.png", 10))
    (dark,) = Engine(stored(Counting(), ledger)).rows([path], ScoreTask())
    os.utime(grey(tmp_path / "a.png", 200), ns=(1, 1))
    (light,) = Engine(stored(Counting(), ledger)).rows([path], ScoreTask())
    assert light.score > dark.score and light.sha256 != dark.sha256


def test_files_that_cannot_be_read_are_told_as_without_a_store(tmp_path: Path, ledger: Ledger) -> None:
    torn = tmp_path / "torn.png"
    torn.write_bytes(grey(tmp_path / "a.png", 10).read_bytes()[:40])
    paths = [str(torn), str(tmp_path / "gone.png"), str(tmp_path), os.fsdecode(b"caf\xe9.png"), "a\0.png"]
    plain = [row.error for row in Engine(Counting()).rows(paths, ScoreTask())]
    for _ in range(2):
        assert [row.error for row in Engine(stored(Counting(), ledger)).rows(paths, ScoreTask())] == plain


def test_an_answer_cleared_away_in_the_meantime_is_asked_again(tmp_path: Path, ledger: Ledger) -> None:
    path = str(grey(tmp_path / "a.png", 10))
    model = Counting()
    one = stored(model, ledger)
    (first,) = Engine(one).rows([path], ScoreTask())
    known = one.recall(path, question_of("score"))
    ledger.clear()
    assert one.score([known])[0].value == first.score and model.asked == 2


def test_an_evaluation_goes_on_and_ends_as_if_it_had_never_stopped(tmp_path: Path, ledger: Ledger) -> None:
    album = make_album(tmp_path)
    labels = album.parent / "labels.csv"
    one = Stored(Lightmeter, ledger)
    assert sum(row.status == "ok" for row in Engine(one).rows(map(str, sorted(album.glob("0[0-4].png"))), ScoreTask()))
    second = Lightmeter()
    found = suites.eval_scores(Stored(lambda: second, ledger), album, labels, resamples=5)
    assert sum(second.batches) == 6
    assert found == suites.eval_scores(Lightmeter(), album, labels, resamples=5)


# ------------------------------------------------------------------------------------------------ the file


def test_threads_and_ledgers_at_the_same_time_lose_nothing(tmp_path: Path) -> None:
    def write(number: int) -> None:
        own = Ledger(tmp_path / "answers.sqlite") if number % 2 else shared
        for i in range(25):
            own.put("model", "question", [photo(number * 25 + i)], [json.dumps(i)])

    shared = Ledger(tmp_path / "answers.sqlite")
    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = [Ledger(tmp_path / "answers.sqlite").get("model", "question", photo(i).sha256) for i in range(101)]
    assert found == [*((8, 6, None, i % 25) for i in range(100)), None]


@pytest.mark.parametrize("seed", range(6))
def test_a_damaged_file_is_told_and_never_gives_wrong_answers(seed: int, tmp_path: Path) -> None:
    rng, path = random.Random(seed), tmp_path / "answers.sqlite"
    photos = [photo(value) for value in range(10, 160)]
    wanted = BrightModel().score(photos)
    assert stored(BrightModel(), Ledger(path)).score(photos) == wanted
    pages = path.stat().st_size // 4096
    page = [0, 1, pages - 1, rng.randrange(pages), rng.randrange(pages)][seed] if seed < 5 else None
    with open(path, "r+b") as file:
        if page is None:
            file.truncate(pages // 2 * 4096)
        else:
            file.seek(page * 4096)
            file.write(rng.randbytes(4096))
    damaged = path.read_bytes()
    try:
        assert stored(BrightModel(), Ledger(path)).score(photos) == wanted
        assert page, "the first page and the length are always read"
    except StoreError as error:
        assert "calm store clear" in str(error) and str(path) in str(error)
        assert path.read_bytes() == damaged, "nothing is thrown away unasked"
    store.clear(path)
    assert Ledger(path).counts() == []
    assert stored(BrightModel(), Ledger(path)).score(photos) == wanted


def test_a_file_of_another_layout_or_place_is_told(tmp_path: Path) -> None:
    path = tmp_path / "answers.sqlite"
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(StoreError, match="layout 99 of another version of calm.* calm store clear"):
        Ledger(path)
    store.clear(path)
    assert Ledger(path).counts() == []
    with pytest.raises(StoreError, match="--no-store"):
        Ledger(path / "below")


def test_what_cannot_be_used_again_goes(tmp_path: Path, ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = [str(grey(tmp_path / f"{value}.png", value)) for value in (10, 90)]
    with monkeypatch.context() as old:
        old.setattr(store, "code_sha256", lambda: "old")
        list(Engine(stored(Counting(), ledger)).rows(paths, ScoreTask()))
    list(Engine(stored(Counting(), ledger)).rows(paths[:1], ScoreTask()))
    os.remove(paths[1])
    assert sorted(row[-1] for row in ledger.counts()) == [1, 2]
    ledger.vacuum()
    assert [row[-1] for row in ledger.counts()] == [1]
    db = sqlite3.connect(ledger.path)
    tables = ("model", "file", "answer")
    assert [db.execute(f"SELECT count(*) FROM {each}").fetchone() for each in tables] == [(1,)] * 3
    db.close()
    model = Counting()
    list(Engine(stored(model, ledger)).rows(paths[:1], ScoreTask()))
    assert model.asked == 0


def test_circumstances_are_readable(ledger: Ledger) -> None:
    known = circumstances(BrightModel())
    assert {"model", "preprocess", "device", "dtype", "source", "torch"} <= set(known)
    assert json.loads(json.dumps(known)) == known


# ------------------------------------------------------------------------------------------------ the command


def calm(*arguments: object) -> int:
    with pytest.raises(SystemExit) as left:
        main([str(each) for each in arguments])
    return left.value.code or 0


def test_the_store_from_the_command_line(tmp_path: Path, own_cache: Path, capsys, monkeypatch) -> None:
    opened: list[Counting] = []
    monkeypatch.setattr(running, "load_model", lambda name, device: opened.append(Counting()) or opened[-1])
    path = grey(tmp_path / "a.png", 60)
    command = ["score", path, "--format", "jsonl", "-q"]
    assert calm(*command) == calm(*command) == calm("rank", path, "-q") == 0
    assert [each.asked for each in opened] == [1]
    assert calm(*command, "--no-store") == 0 and [each.asked for each in opened] == [1, 1]
    first, second, *_, anew = capsys.readouterr().out.splitlines()
    assert first == second == anew
    assert calm("store", "info") == 0
    told = capsys.readouterr().out
    assert str(own_cache / "answers.sqlite") in told and "1  bright bbbbbbbbbbbb" in told and '"score"' in told
    assert calm("store", "vacuum") == 0 and calm(*command) == 0 and len(opened) == 2
    assert calm("store", "clear") == 0 and calm(*command) == 0 and len(opened) == 3
    (own_cache / "answers.sqlite").write_bytes(b"junk" * 2048)
    capsys.readouterr()
    assert calm(*command) == 2
    told = capsys.readouterr()
    assert told.out == "" and "file is not a database" in told.err and "calm store clear" in told.err
    assert (own_cache / "answers.sqlite").read_bytes() == b"junk" * 2048
    assert calm("store", "clear") == 0 and calm(*command) == 0


SLOW = """
import os, sys, time
from doubles import BrightModel
from calm.cli import main, running

class Slow(BrightModel):
    def score(self, photos):
        time.sleep(0.03)
        with open(os.environ["ASKED"], "a") as file:
            file.write("".join(each.path + chr(10) for each in photos))
        time.sleep(0.03)
        return super().score(photos)

running.load_model = lambda name, device: Slow()
main(sys.argv[1:])
"""


class Slow:
    """``calm score`` over sixty photos in processes of their own, four photos a batch."""

    batch = 4

    def __init__(self, tmp_path: Path) -> None:
        self.log = tmp_path / "asked.txt"
        self.log.touch()
        (tmp_path / "photos").mkdir()
        self.paths = [str(grey(tmp_path / "photos" / f"{value}.png", value)) for value in range(20, 80)]

    def start(self, output: Path) -> subprocess.Popen:
        command = [sys.executable, "-c", SLOW, "score", *self.paths, "-q", "--batch-size", str(self.batch)]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "ASKED": str(self.log)}
        return subprocess.Popen([*command, "--output", str(output)], env=environment)

    def asked(self) -> list[str]:
        return self.log.read_text().splitlines()

    def wanted(self) -> list[tuple[str, float]]:
        return [(row.path, row.score) for row in Engine(BrightModel()).rows(self.paths, ScoreTask())]


def written(path: Path) -> list[tuple[str, float]]:
    return [(row["path"], row["score"]) for row in map(json.loads, path.read_text().splitlines())]


def test_a_run_killed_at_any_moment_goes_on_and_loses_the_batch_in_flight_at_most(tmp_path: Path) -> None:
    slow, output, rng = Slow(tmp_path), tmp_path / "rows.jsonl", random.Random(0)
    killed = 0
    for batches in (0, 1, 1, 2, 1, 2, 1, 1, 2, 1):
        before, process = len(slow.asked()), slow.start(output)
        while batches and len(slow.asked()) < before + slow.batch * batches and process.poll() is None:
            time.sleep(0.002)
        time.sleep(rng.random() * (0.02 if batches else 0.3))
        process.kill()
        process.wait()
        killed += 1
        if output.exists():  # a busy machine ran us late: the run had ended before the kill
            break
    assert killed >= 3
    assert output.exists() or slow.start(output).wait() == 0
    assert written(output) == slow.wanted()
    assert len(slow.asked()) <= len(slow.paths) + killed * slow.batch
    assert set(slow.asked()) == set(slow.paths)


def test_two_runs_at_once_share_a_store(tmp_path: Path, own_cache: Path) -> None:
    slow = Slow(tmp_path)
    processes = [slow.start(tmp_path / f"{name}.jsonl") for name in "ab"]
    assert [process.wait() for process in processes] == [0, 0]
    assert written(tmp_path / "a.jsonl") == written(tmp_path / "b.jsonl") == slow.wanted()
    assert [row[-1] for row in Ledger(own_cache / "answers.sqlite").counts()] == [60]
