"""Answers kept on disk: the same as the model's own, and never those of another model, photo or question."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from doubles import POISON, BrightModel, photo
from lightmeter import Lightmeter, make_album

from calm.engine import Engine, score_task
from calm.errors import UsageError
from calm.eval import remembered, suites
from calm.eval.remembered import Answers, Remembering, circumstances

PHOTOS = [photo(value) for value in (10, 90, 200)]


class Counting(BrightModel):
    """Counts the photos that it was really asked about; keeps an odd number that has no short decimal form,
    and crops."""

    trained_on = ("ab",)

    def suggest(self, photos, least=None, most=3):
        said = super().suggest(photos, least, most)
        return [(score, [replace(each, crop=(0.1, 0.0, 1.0, 0.9)) for each in some]) for score, some in said]

    def describe(self, photos):
        return [(score, np.array([1 / 3, np.pi * score.value], np.float32)) for score in self.score(photos)]

    def edit_probabilities(self, photos):
        return np.stack([np.array([each.pixels.mean() / 3, 1 / 7]) for each in photos])

    @property
    def asked(self) -> int:
        return sum(map(len, self.batches))


QUESTIONS = {
    "score": lambda model: model.score(PHOTOS),
    "comment": lambda model: model.comment(PHOTOS),
    "comment on light": lambda model: model.comment(PHOTOS, ["light"]),
    "suggest": lambda model: model.suggest(PHOTOS),
}


@pytest.mark.parametrize("name", QUESTIONS)
def test_what_is_remembered_equals_what_was_said(name: str, tmp_path: Path) -> None:
    wanted = QUESTIONS[name](Counting())
    first, later = Counting(), Counting()
    assert QUESTIONS[name](Remembering(first, tmp_path)) == wanted and first.asked == 3
    assert QUESTIONS[name](Remembering(later, tmp_path)) == wanted and later.asked == 0


def test_arrays_come_back_bit_by_bit(tmp_path: Path) -> None:
    Remembering(Counting(), tmp_path).describe(PHOTOS)
    later = Counting()
    for (score, found), (other, wanted) in zip(
        Remembering(later, tmp_path).describe(PHOTOS), Counting().describe(PHOTOS), strict=True
    ):
        assert score == other and found.dtype == np.float32 and found.tobytes() == wanted.tobytes()
    assert later.asked == 0
    table = Remembering(Counting(), tmp_path).edit_probabilities(PHOTOS)
    again = Remembering(Counting(), tmp_path).edit_probabilities(PHOTOS)
    assert table.tobytes() == again.tobytes() == Counting().edit_probabilities(PHOTOS).tobytes()


def test_only_what_is_new_is_asked_and_the_order_stays(tmp_path: Path) -> None:
    model = Counting()
    one = Remembering(model, tmp_path)
    one.score(PHOTOS[1:2])
    assert one.score(PHOTOS) == BrightModel().score(PHOTOS)
    assert [each for batch in model.batches for each in batch] == ["90.png", "10.png", "200.png"]
    assert (one.asked, one.known, one.answers) == (3, 1, 3)


@pytest.mark.parametrize(
    "other",
    [
        {"sha256": "c" * 64},
        {"preprocess": "test-2"},
        {"calibration": {"bias": 0.1}},
        {"device": "cuda"},
    ],
    ids=lambda each: next(iter(each)),
)
def test_another_model_is_asked_itself(other: dict, tmp_path: Path) -> None:
    Remembering(Counting(), tmp_path).score(PHOTOS)
    model = Counting()
    for name, value in other.items():
        setattr(model, name, value)
    Remembering(model, tmp_path).score(PHOTOS)
    assert model.asked == 3


@pytest.mark.parametrize("what", ["__version__", "source", "torch"])
def test_another_version_is_asked_itself(what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Guards against old figures after the code was mended."""
    Remembering(Counting(), tmp_path).score(PHOTOS)
    if what == "__version__":
        monkeypatch.setattr(remembered.calm, "__version__", "99")
    elif what == "source":
        monkeypatch.setattr(remembered, "source_sha256", lambda: "changed")
    else:
        monkeypatch.setattr(remembered, "version", lambda name: f"{name} 99")
    model = Counting()
    Remembering(model, tmp_path).score(PHOTOS)
    assert model.asked == 3


def test_source_is_hashed_where_answers_come_from_and_nowhere_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("__init__.py", "engine.py", "model/network.py", "eval/metrics.py", "data/datasets/a.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("1")
    monkeypatch.setattr(remembered.calm, "__file__", str(tmp_path / "__init__.py"))
    digest = remembered.source_sha256.__wrapped__
    before = digest()
    (tmp_path / "eval/metrics.py").write_text("2")
    (tmp_path / "data/datasets/a.py").write_text("2")
    assert digest() == before
    (tmp_path / "model/network.py").write_text("2")
    assert digest() != before


def test_parts_of_a_local_folder_count(tmp_path: Path) -> None:
    part = tmp_path / "encoder"
    part.mkdir()
    (part / "weights").write_text("1")

    class Whole(BrightModel):
        class model:
            class config:
                pass

    Whole.model.config = type("Config", (), {})()
    Whole.model.config.vision_source = str(part)
    before = circumstances(Whole())
    assert before["folders"][str(part)][0][:2] == ["weights", 1]
    (part / "weights").write_text("22")
    assert circumstances(Whole()) != before


def test_the_same_file_decoded_to_another_size_is_another_photo(tmp_path: Path) -> None:
    model = Counting()
    one = Remembering(model, tmp_path)
    one.score(PHOTOS[:1])
    one.score([replace(PHOTOS[0], pixels=PHOTOS[0].pixels[:3])])
    assert model.asked == 2


def test_failures_are_not_kept_and_cost_only_the_photo_at_fault(tmp_path: Path) -> None:
    model = Counting()
    answers = list(Engine(Remembering(model, tmp_path)).answers([photo(POISON), *PHOTOS], score_task()))
    assert [answer.result is None for answer in answers] == [True, False, False, False]
    assert Remembering(Counting(), tmp_path).answers == 3


def test_a_line_cut_short_is_asked_again_and_spoils_no_other(tmp_path: Path) -> None:
    Remembering(Counting(), tmp_path).score(PHOTOS)
    path = next(tmp_path.glob("*/answers.jsonl"))
    path.write_bytes(path.read_bytes()[:-30])
    model = Counting()
    assert Remembering(model, tmp_path).score(PHOTOS) == BrightModel().score(PHOTOS)
    assert model.asked == 1
    later = Counting()
    assert Remembering(later, tmp_path).score(PHOTOS) == BrightModel().score(PHOTOS)
    assert later.asked == 0


def test_lines_are_readable_and_say_what_they_are(tmp_path: Path) -> None:
    Remembering(Counting(), tmp_path).comment(PHOTOS[:1], ["light"])
    row = json.loads(next(tmp_path.glob("*/answers.jsonl")).read_text())
    assert row["key"] == ["comment", {"aspects": ["light"]}, PHOTOS[0].sha256, 6, 8]
    assert json.loads(next(tmp_path.glob("*/circumstances.json")).read_text())["model"] == "b" * 64


def test_runs_at_the_same_time_lose_nothing(tmp_path: Path) -> None:
    stores = [Answers(tmp_path, {"model": "x"}) for _ in range(4)]

    def write(number: int) -> None:
        for i in range(25):
            stores[number].put([["score", {}, f"{number}-{i}", 1, 1]], [{"value": i}])

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = Answers(tmp_path, {"model": "x"})
    assert len(found) == 100 and found.get(["score", {}, "3-24", 1, 1]) == {"value": 24}
    assert found.get(["score", {}, "4-0", 1, 1]) is None


def test_the_rest_of_the_model_shows_through(tmp_path: Path) -> None:
    one = Remembering(Counting(), tmp_path)
    assert (one.name, one.trained_on) == ("bright", ("ab",)) and not hasattr(one, "judge_described")


def test_an_evaluation_goes_on_and_ends_as_if_it_had_never_stopped(tmp_path: Path) -> None:
    album = make_album(tmp_path)
    labels = album.parent / "labels.csv"

    class Stopped(Lightmeter):
        def score(self, photos):
            if self.batches:
                raise KeyboardInterrupt
            return super().score(photos[:5]) if len(photos) == 5 else super().score(photos)

    first = Remembering(Stopped(), tmp_path / "kept")
    first.score([answer for answer in map(_read, sorted(album.glob("0[0-4].png")))])
    with pytest.raises(KeyboardInterrupt):
        suites.eval_scores(first, album, labels, resamples=5)
    second = Lightmeter()
    found = suites.eval_scores(Remembering(second, tmp_path / "kept"), album, labels, resamples=5)
    assert sum(second.batches) == 6
    assert found == suites.eval_scores(Lightmeter(), album, labels, resamples=5)


def _read(path: Path):
    from calm.data.images import load_photo

    return load_photo(path)


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(UsageError, match="--no-cache"):
        Remembering(Counting(), tmp_path / "file")
