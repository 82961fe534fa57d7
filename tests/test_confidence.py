"""Confidence of suggestions: the fit, the threshold, what is left in the folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from parts import write_parts
from PIL import Image
from test_one_training import SHAPE

from calm.data.images import load_photo
from calm.errors import DataError
from calm.inference.pipeline import Pipeline
from calm.model.pretrained import CalmConfig, build
from calm.model.weights import save
from calm.train.confidence import FALSE_ALARMS, NOTHING, calibrate, fit, pair, report


def drawn(n: int, temperature: float, nothing: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Logits, and labels drawn from the probabilities that they have after that temperature and shift."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2.5, (n, NOTHING + 1))
    logits[:, -1] += 3
    shifted = logits / temperature
    shifted[:, -1] += nothing
    odds = np.exp(shifted - shifted.max(axis=1, keepdims=True))
    odds /= odds.sum(axis=1, keepdims=True)
    return logits, np.array([rng.choice(NOTHING + 1, p=row) for row in odds])


@pytest.mark.parametrize("temperature, nothing", [(1.0, 0.0), (2.0, 1.5), (0.6, -1.0)])
def test_the_fit_finds_what_the_labels_were_drawn_by(temperature: float, nothing: float) -> None:
    found = fit(*drawn(6000, temperature, nothing))
    assert found == pytest.approx((temperature, nothing), abs=0.12)


def test_the_report_of_a_network_that_is_too_sure() -> None:
    logits, labels = drawn(4000, 2.0, 1.0)
    found = report(logits, labels)
    assert found["log_loss"] < found["log_loss_before"] - 0.05
    assert found["calibration_error"] < 0.04
    assert sum(each["n"] for each in found["bins"]) == len(labels)
    assert FALSE_ALARMS - 0.01 < found["false_alarms"] <= FALSE_ALARMS
    assert found["found"] <= found["top1"]


def test_the_threshold_is_the_lowest_one() -> None:
    """Guards against alarms at the very threshold, where suggestions are made but not counted."""
    logits = np.full((100, NOTHING + 1), -5.0)
    logits[:, 3] = np.repeat(np.linspace(-2, 2, 50), 2)
    labels = np.tile([NOTHING, 3], 50)
    found = report(logits, labels)
    assert found["false_alarms"] == pytest.approx(0.08)
    assert found["top1"] == 1.0


@pytest.fixture
def trained(tmp_path: Path) -> tuple[Path, list[str]]:
    """A network that was not trained, and photos; the first four are said to be trained on."""
    model, _ = build(*write_parts(tmp_path / "parts"), vocabulary=["dog", "sea"], attribute_words=["dark"], **SHAPE)
    save(model, tmp_path / "trained")
    rng, paths = np.random.default_rng(0), []
    for i in range(15):
        pixels = np.kron(rng.integers(40, 215, (12, 16, 3)), np.ones((16, 16, 1))).astype(np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{i}.png")
        paths.append(str(tmp_path / f"{i}.png"))
    digits = [load_photo(path).sha256[:8] for path in paths[:4]]
    (tmp_path / "trained/trained_on.txt").write_text("\n".join(digits) + "\n")
    return tmp_path / "trained", paths


def test_calibrating_sets_the_fields_that_the_answers_go_by(trained: tuple[Path, list[str]]) -> None:
    folder, paths = trained
    before, photos = Pipeline.load(folder), [load_photo(path) for path in paths[:2]]
    found = calibrate(folder, paths, saliency=None, batch_size=6)
    assert found["photos"] == 11, "photos that were trained on are left aside"
    after = Pipeline.load(folder)
    config = CalmConfig.from_pretrained(folder)
    assert config.remedy_temperature == found["temperature"] != 1.0
    assert (config.remedy_nothing, config.remedy_least) == (found["nothing"], found["least"])
    logits = np.log(before.edit_probabilities(photos)) / found["temperature"]
    logits[:, -1] += found["nothing"]
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert after.edit_probabilities(photos) == pytest.approx(expected, abs=1e-4)
    assert after.score(photos) == before.score(photos)
    again = calibrate(folder, paths, saliency=None, batch_size=22)
    assert again["temperature"] == pytest.approx(found["temperature"], rel=1e-2), "fitted to the network, not to itself"
    assert again["nothing"] == pytest.approx(found["nothing"], abs=1e-2)


def test_too_few_photos_are_refused(trained: tuple[Path, list[str]]) -> None:
    folder, paths = trained
    config = (folder / "config.json").read_text()
    with pytest.raises(DataError, match="10 photos at least"):
        calibrate(folder, paths[:8], saliency=None)
    assert (folder / "config.json").read_text() == config


def test_half_of_the_lessons_are_damaged(trained: tuple[Path, list[str]]) -> None:
    photos = [load_photo(path) for path in trained[1]]
    labels = [[label for _, label in pair(photo, None, seed=0)] for photo in photos]
    assert all(first == NOTHING and 0 <= second < NOTHING for first, second in labels)
    assert len({second for _, second in labels}) > 5, "attributes are drawn equally often"
    twice = [pair(photos[0], None, seed=0) for _ in range(2)]
    assert all(np.array_equal(a, b) for (a, _), (b, _) in zip(*twice, strict=True))
