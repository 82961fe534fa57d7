"""Do suggestions help? Driven by models whose suggestions are known to be right, wrong or absent."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from lightmeter import Lightmeter, grey

from calm.data.hashes import file_sha256
from calm.data.images import Photo
from calm.edits import edits, render
from calm.errors import DataError
from calm.eval import remedies
from calm.types import LEVELS, MOST, UNITS, Score, Suggestion


def tell(attribute: str, direction: str, amount: float | None) -> Suggestion:
    return Suggestion(LEVELS[attribute], attribute, direction, amount, UNITS[attribute], 0.9, "x")


class Moderate(Lightmeter):
    """Likes photos of medium brightness best, and suggests what brings them there; or the contrary."""

    contrary = silent = False

    def value(self, photo: Photo) -> float:
        return 10 - 9 * abs(float(photo.pixels.mean()) - 127) / 128

    def suggest(
        self, photos: list[Photo], least: float | None = None, most: int = MOST
    ) -> list[tuple[Score, list[Suggestion]]]:
        found = []
        for score, photo in zip(self.score(photos), photos, strict=True):
            dark = (photo.pixels.mean() < 127) != self.contrary
            said = [tell("clutter", "decrease", None), tell("exposure", "increase" if dark else "decrease", 1.0)]
            found.append((score, [] if self.silent else said))
        return found


@pytest.fixture
def album(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Photos of medium brightness; only exposure is edited, the control draws from everything."""
    for i in range(10):
        grey(tmp_path / f"{i}.png", 127, i, (96, 128))
    everything = remedies.remediable()

    def only(name: str) -> list[tuple[str, str]]:
        return [each for each in everything if each[0] == name]

    monkeypatch.setattr(remedies, "remediable", lambda: only("exposure"))
    real = remedies._chance
    monkeypatch.setattr(remedies, "_chance", lambda pixels, classes, rng: real(pixels, everything, rng))
    return tmp_path


def test_right_suggestions_help_and_more_than_random_ones(album: Path) -> None:
    found = remedies.eval_remedies(Moderate(), album, saliency=None, resamples=100)
    json.dumps(found, allow_nan=False)
    assert (found["damaged"], found["silent"], found["not_rendered"]) == (10, 0, 0)
    assert found["damage"]["change"] < 0 and found["damage"]["fell"] == 1.0
    assert found["damage"]["change_interval"][1] < 0
    suggested, true, chance = found["suggested"], found["true"], found["random"]
    assert suggested["n"] == true["n"] == chance["n"] == 10
    assert suggested["improved"] >= 0.9 and suggested["nearer"] >= 0.9 and suggested["change_interval"][0] > 0
    assert true["recovered"] > 0.8 and true["nearer"] == 1.0
    assert chance["improved"] < suggested["improved"] and chance["change"] < suggested["change"]
    assert found["over_random"]["interval"][0] > 0
    assert found["right"]["n"] == 10 and found["wrong"] is None
    line = found["per_attribute"]["exposure"]
    assert (line["damaged"], line["tried"], line["named"]) == (10, 10, 1.0)
    assert line["change"] == pytest.approx(suggested["change"])


def test_wrong_suggestions_do_harm(album: Path) -> None:
    model = Moderate()
    model.contrary = True
    found = remedies.eval_remedies(model, album, saliency=None, resamples=20)
    assert found["suggested"]["improved"] == 0.0 and found["suggested"]["recovered"] < 0
    assert found["suggested"]["nearer"] == 0.0
    assert found["right"] is None and found["wrong"]["n"] == 10 and found["per_attribute"]["exposure"]["named"] == 0.0


def test_silence_is_counted_and_nothing_is_made_up(album: Path) -> None:
    model = Moderate()
    model.silent = True
    found = remedies.eval_remedies(model, album, saliency=None, resamples=5)
    json.dumps(found, allow_nan=False)
    assert found["silent"] == found["damaged"] == 10
    assert found["suggested"] is found["random"] is found["over_random"] is None
    assert found["per_attribute"]["exposure"] == {
        "damaged": 10,
        "tried": 0,
        "named": None,
        "improved": None,
        "change": None,
    }


def test_another_model_may_score(album: Path) -> None:
    scorer = Lightmeter()
    scorer.name, scorer.sha256 = "brightness", "1" * 64
    model = Moderate()
    found = remedies.eval_remedies(model, album, saliency=None, resamples=5, scorer=scorer)
    assert (found["scorer"], found["scorer_sha256"], found["model"]) == ("brightness", "1" * 64, "lightmeter")
    assert found["suggested"]["improved"] < 0.9  # to brightness alone, making darker is no gain
    assert len(scorer.hashes) == 50  # ten photos, each whole, damaged and mended in three ways


def test_the_same_seed_gives_the_same_figures_and_photos_of_the_training_are_refused(album: Path) -> None:
    runs = [remedies.eval_remedies(Moderate(), album, saliency=None, seed=s, limit=4, resamples=5) for s in (1, 1, 2)]
    assert runs[0] == runs[1] != runs[2] and runs[0]["damaged"] == 4
    model = Moderate()
    model.trained_on = {file_sha256(album / "3.png")}
    with pytest.raises(DataError, match="never trained on"):
        remedies.eval_remedies(model, album, saliency=None)
    (album / "torn").mkdir()
    (album / "torn/a.png").write_bytes(b"torn")
    with pytest.raises(DataError, match="that can be read and damaged, found none"):
        remedies.eval_remedies(Moderate(), album / "torn", saliency=None)


def test_what_is_said_to_be_remediable_is() -> None:
    """Every class that photos are damaged by has a remedy that renders on some photo, and no other edit has one."""
    classes = remedies.remediable()
    assert {"exposure", "tilt", "noise", "white_balance"} <= {name for name, _ in classes}
    rng = np.random.default_rng(0)
    pixels = rng.integers(40, 200, (120, 160, 3), dtype=np.uint8)
    for name in edits():
        if name not in {each for each, _ in classes}:
            direction = edits()[name].directions[0]
            assert render(pixels, tell(name, direction, edits()[name].amount(direction, 0.5))) is None
