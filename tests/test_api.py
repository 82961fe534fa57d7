"""The Python interface: what goes in, what comes out."""

from __future__ import annotations

import logging

import numpy as np
import pytest
from doubles import BrightModel
from PIL import Image

import calm
from calm import Calm, Comment, PhotoError, Score, UsageError


@pytest.fixture
def path(tmp_path):
    Image.fromarray(np.full((40, 60, 3), 80, np.uint8)).save(tmp_path / "dune.png")
    return tmp_path / "dune.png"


def test_one_photo_gives_one_result_and_a_list_gives_a_list(path):
    judge = Calm(BrightModel())
    one = judge.score(path)
    assert isinstance(one, Score) and 1 <= one.value <= 10
    assert judge.score([path, str(path)]) == [one, one]
    assert judge.score([]) == []
    assert isinstance(judge.comment(path), Comment)
    assert judge.comment([path], aspects=["light"])[0].aspects[0].aspect == "light"
    assert [each.attribute for each in judge.suggest(path)] == ["exposure", "clutter"]
    assert judge.suggest([path]) == [judge.suggest(path)]
    assert [each.attribute for each in judge.suggest(path, least=0.7)] == ["exposure"]
    assert [each.attribute for each in judge.suggest(path, most=1)] == ["exposure"]


def test_a_path_an_image_and_an_array_are_the_same_photo(path):
    judge = Calm(BrightModel())
    image = Image.open(path)
    scores = {judge.score(each).value for each in (path, str(path), image, np.asarray(image))}
    assert len(scores) == 1
    assert judge.score(np.full((40, 60), 80, np.uint8)).value in scores


def test_equal_shapes_with_other_pixels_are_other_photos():
    first, second = (np.full((40, 60, 3), value, np.uint8) for value in (40, 80))
    a, b = Calm(BrightModel()).score([first, second])
    assert a.value < b.value


def test_a_photo_that_cannot_be_read_raises(path):
    path.write_bytes(b"")
    with pytest.raises(PhotoError, match="dune.png"):
        Calm(BrightModel()).score(path)


@pytest.mark.parametrize("thing", [np.zeros((4, 4, 3)), np.zeros((4, 4, 2), np.uint8), 3.5, None])
def test_what_is_no_photo_is_refused(thing):
    with pytest.raises(UsageError, match="expected a.*found"):
        Calm(BrightModel()).score(thing)


def test_from_pretrained_loads_by_name_and_tells_the_terms_once(tmp_path, monkeypatch, caplog):
    from calm.inference.pipeline import Pipeline

    asked = []

    def load(folder, device=None, dtype=None):
        asked.append((folder, device))
        return BrightModel()

    monkeypatch.setattr(Pipeline, "load", load)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "config.json").write_text("{}")
    (tmp_path / "mine" / "model_card.json").write_text('{"terms": "for research only"}')
    with caplog.at_level(logging.WARNING):
        judge = Calm.from_pretrained(tmp_path / "mine", "cpu")
        Calm.from_pretrained(tmp_path / "mine")
    assert asked == [(tmp_path / "mine", "cpu"), (tmp_path / "mine", None)]
    assert [record.getMessage() for record in caplog.records] == ["mine: for research only"]
    assert judge.score(np.zeros((8, 8, 3), np.uint8)).value == 1


def test_every_public_name_can_be_had():
    for name in calm.__all__:
        assert getattr(calm, name).__name__ == name
    with pytest.raises(AttributeError, match="its public names are Aspect, Calm"):
        _ = calm.Clam
