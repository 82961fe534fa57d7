"""Suggestions that are tried: copies, pictures and scores, and originals that stay as they are."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from doubles import BrightModel
from PIL import Image

from calm.engine import Engine, suggest_task
from calm.errors import PhotoError, UsageError
from calm.trial import GAP, STRIP, check_folder, compare, try_suggestions


@pytest.fixture
def original(tmp_path):
    rng = np.random.default_rng(0)
    pixels = rng.integers(60, 90, (60, 80, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "dune.jpg", quality=95)
    return tmp_path / "dune.jpg"


def answer(path):
    engine = Engine(BrightModel(), 4)
    (found,) = engine.answers([str(path)], suggest_task())
    return engine, found


def test_each_remedy_becomes_a_new_file_that_is_scored(original, tmp_path):
    before = hashlib.sha256(original.read_bytes()).digest()
    (tmp_path / "out").mkdir()
    engine, found = answer(original)
    trials = try_suggestions(found, engine, tmp_path / "out")
    brighter = trials[0]
    assert (brighter.attribute, brighter.direction) == ("exposure", "increase")
    assert brighter.file == str(tmp_path / "out" / "dune.exposure-increase.jpg")
    assert brighter.comparison == str(tmp_path / "out" / "dune.exposure-increase.before-after.png")
    assert brighter.score_before == found.result.score.value
    assert brighter.score_after > brighter.score_before + 0.3
    with Image.open(brighter.file) as image:
        assert image.format == "JPEG" and image.size == (80, 60)
    with Image.open(brighter.comparison) as image:
        assert image.format == "PNG" and image.size == (80 + GAP + 80, 60 + STRIP)
    assert hashlib.sha256(original.read_bytes()).digest() == before


def test_nothing_is_ever_overwritten(original, tmp_path):
    (tmp_path / "out").mkdir()
    engine, found = answer(original)
    first = try_suggestions(found, engine, tmp_path / "out")
    kept = {path: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    second = try_suggestions(found, engine, tmp_path / "out")
    assert {trial.file for trial in first}.isdisjoint(trial.file for trial in second)
    assert second[0].file.endswith("dune.exposure-increase-2.jpg")
    assert all(path.read_bytes() == content for path, content in kept.items())


def test_what_is_no_jpeg_is_saved_without_loss(original, tmp_path):
    with Image.open(original) as image:
        image.save(tmp_path / "dune.webp", lossless=True)
    engine, found = answer(tmp_path / "dune.webp")
    assert try_suggestions(found, engine, tmp_path)[0].file.endswith("dune.exposure-increase.png")


def test_a_copy_has_the_size_of_the_original(tmp_path):
    Image.fromarray(np.full((1500, 1600, 3), 70, np.uint8)).save(tmp_path / "large.jpg")
    engine, found = answer(tmp_path / "large.jpg")
    with Image.open(try_suggestions(found, engine, tmp_path)[0].file) as image:
        assert image.size == (1600, 1500)


def test_an_original_that_is_gone_fails_with_a_reason(original, tmp_path):
    engine, found = answer(original)
    original.unlink()
    with pytest.raises(PhotoError, match="dune.jpg"):
        try_suggestions(found, engine, tmp_path)


def test_a_folder_that_cannot_be_one(original):
    with pytest.raises(UsageError, match="expected a folder for the copies"):
        check_folder(original)


def test_halves_of_a_comparison_have_one_height():
    before, after = np.zeros((900, 1200, 3), np.uint8), np.full((700, 700, 3), 255, np.uint8)
    picture = compare(before, after, 4, 5)
    assert picture.size == (853 + GAP + 640, 640 + STRIP)
    assert picture.getpixel((100, 300)) == (0, 0, 0) and picture.getpixel((1000, 300)) == (255, 255, 255)
    assert picture.getpixel((853 + GAP // 2, 300)) == (255, 255, 255)


def test_the_command_shows_before_and_after(original, tmp_path, monkeypatch, capsys):
    from calm.cli import main, running

    monkeypatch.setattr(running, "load_model", lambda name, device: BrightModel())
    for format, words in (("jsonl", '"score_after": '), ("table", "exposure increase: ")):
        with pytest.raises(SystemExit) as left:
            main(["suggest", str(original), "--apply", str(tmp_path / "out"), "--format", format])
        assert left.value.code == 0
        assert words in capsys.readouterr().out
