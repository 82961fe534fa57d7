"""Crops of framing suggestions: candidates, the choice among them, people's crops."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from test_one_network import tiny

from calm.edits import render
from calm.edits.framing import cut
from calm.errors import DataError
from calm.eval.framing import best_iou, eval_framing, read_crops
from calm.inference.answers import Answers
from calm.inference.framing import ANCHORS, KEPT, MOST_CANDIDATES, PENALTY, area, best_crop, candidates
from calm.inference.pipeline import Pipeline
from calm.types import DIRECTIONS, Suggestion

EDGES = {"left": 0, "up": 1, "right": 2, "down": 3}
OPPOSITE = {"left": 2, "up": 3, "right": 0, "down": 1}


def blob(x: float, y: float, spread: float = 0.08) -> np.ndarray:
    rows, columns = np.mgrid[0:1:64j, 0:1:64j]
    return np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * spread**2)).astype(np.float32)


@pytest.mark.parametrize("aspect", [0.56, 1.0, 1.5])
@pytest.mark.parametrize("direction", DIRECTIONS["framing"])
def test_candidates_fit_the_direction_and_keep_the_subject(direction: str, aspect: float) -> None:
    x, y = {"left": (0.2, 0.5), "right": (0.8, 0.5), "up": (0.5, 0.2), "down": (0.5, 0.8)}.get(direction, (0.4, 0.6))
    subject = blob(x, y)
    found = candidates(direction, aspect, subject)
    assert 12 <= len(found) <= MOST_CANDIDATES and len(set(found)) == len(found)
    for left, top, right, bottom in found:
        assert 0 <= left < right <= 1 and 0 <= top < bottom <= 1
        assert 0.2 < area((left, top, right, bottom)) < 0.98
        assert left - 0.02 < x < right + 0.02 and top - 0.02 < y < bottom + 0.02
    for crop in found if direction in EDGES else ():
        edge, cut = EDGES[direction], OPPOSITE[direction]
        assert crop[edge] == (edge > 1), "the side that lacks room is not cut"
        assert crop[cut] != (cut > 1), "the opposite side is"


def test_there_is_a_place_for_every_direction_and_none_that_cuts_the_subject() -> None:
    assert set(ANCHORS) == set(DIRECTIONS["framing"])
    everywhere = np.ones((64, 64), np.float32)
    assert all(area(crop) >= KEPT - 0.05 for crop in candidates("tighter", 1.5, everywhere))
    assert candidates("left", 1.5, blob(0.98, 0.5, 0.02)) == [], "the subject stands where the frame would be cut"


class Redness:
    """Scores a photo by the share of red in it: what the pixels say, without a network."""

    def __init__(self, gain: float) -> None:
        self.gain, self.batches = gain, []

    def see(self, photos, detail=True):
        assert not detail
        self.batches.append(len(photos))
        return [1 + self.gain * (photo[..., 0] > 128).mean() for photo in photos]

    def scores(self, seen):
        low = torch.tensor([1 - (value - 1) / 9 for value in seen])
        return torch.cat([low[:, None], torch.zeros(len(seen), 8), 1 - low[:, None]], dim=1).float()


def red_square() -> np.ndarray:
    pixels = np.full((120, 180, 3), 40, np.uint8)
    pixels[40:80, 100:150] = (255, 40, 40)
    return pixels


def test_the_best_crop_closes_in_on_what_is_scored_high() -> None:
    answers = Redness(30)
    crop = best_crop(answers, red_square(), "tighter")
    assert crop is not None and area(crop) < 0.5
    red = (cut(red_square(), crop)[..., 0] > 128).sum()
    assert red >= KEPT * 40 * 50
    assert len(answers.batches) == 1, "all candidates in one batch"


def test_the_whole_frame_is_kept_where_no_crop_is_better_by_the_penalty() -> None:
    # the best crop gains at most the share of red times the gain: less than what it gives up in area costs
    assert best_crop(Redness(PENALTY / 2), red_square(), "tighter") is None


def test_a_framing_suggestion_has_its_crop_and_is_rendered_by_it(monkeypatch: pytest.MonkeyPatch) -> None:
    model, packer = tiny()
    pipeline = Pipeline(Answers(model, packer.tokenizer), "tiny", "0" * 64)
    asked = []

    def known(answers, pixels, direction):
        asked.append(direction)
        return (0.0, 0.25, 0.5, 1.0)

    monkeypatch.setattr("calm.inference.pipeline.best_crop", known)
    from calm.data.images import Photo

    pixels = np.random.default_rng(0).integers(0, 255, (80, 100, 3), dtype=np.uint8)
    photo = Photo("a", pixels, "0" * 64, 100, 80)
    ((_, found),) = pipeline.suggest([photo], least=0.0, most=22)
    framed = [each for each in found if each.attribute == "framing"]
    assert len(framed) == len(asked) == 5
    assert all((each.crop is not None) == (each.attribute == "framing") for each in found)
    for suggestion in framed:
        assert np.array_equal(render(pixels, suggestion), pixels[20:80, :50])
    model.config.remedy_least = 1.0
    assert pipeline.suggest([photo])[0][1] == [], "without another threshold the network's own holds"


def test_without_a_crop_only_tighter_is_rendered() -> None:
    pixels = red_square()
    for direction in DIRECTIONS["framing"]:
        said = Suggestion("middle", "framing", direction, 30.0, "%", 0.9, "")
        assert (render(pixels, said) is not None) == (direction == "tighter")


def test_best_iou_is_that_of_the_nearest_crop() -> None:
    assert best_iou((0, 0, 0.5, 1), [(0.5, 0, 1, 1), (0, 0, 1, 1)]) == pytest.approx(0.5)
    assert best_iou((0, 0, 0.5, 0.5), [(0.5, 0.5, 1, 1)]) == 0


def test_flms_is_read_without_its_held_out_half(tmp_path: Path) -> None:
    names = [f"{i}.png" for i in range(8)]
    odd = {name for name in names if int(hashlib.sha256(name.encode()).hexdigest(), 16) % 2}
    assert 0 < len(odd) < len(names)
    (tmp_path / "images").mkdir()
    (tmp_path / "json").mkdir()
    rng = np.random.default_rng(1)
    for name in odd:  # the others must not even be opened
        Image.fromarray(rng.integers(0, 255, (60, 80, 3), dtype=np.uint8)).save(tmp_path / "images" / name)
    boxes = [[10, 5, 70, 55], [70, 50, 10, 5], [0, 0, 80, 61]]  # one good, one turned round, one beyond the photo
    (tmp_path / "json/image_crops.json").write_text(json.dumps(dict.fromkeys(names, boxes)))
    model, packer = tiny()
    pipeline = Pipeline(Answers(model, packer.tokenizer), "tiny", "0" * 64)
    found = eval_framing(pipeline, tmp_path, resamples=20)
    assert found["photos"] == len(odd) and found["failed"] == []
    assert found["iou_whole"] == pytest.approx(60 * 50 / (80 * 60))
    assert found["gain"] == pytest.approx(found["iou"] - found["iou_whole"])
    with pytest.raises(DataError, match="Benchmark_FLMS"):
        read_crops(tmp_path / "images")
