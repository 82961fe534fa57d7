"""Cues of the subject and of straight lines follow what was drawn."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from calm.data.measure import CUE_NAMES, MEASURE_NAMES, measure, measurements, standardise
from calm.data.subject import SUBJECT_NAMES, subject_cues

GREY = np.full((150, 200, 3), 120, np.uint8)


def blob(x: float, y: float, radius: float) -> np.ndarray:
    """A round subject at (x, y), all in shares of the frame."""
    rows, columns = (np.mgrid[0:128, 0:128].astype(np.float32) + 0.5) / 128
    return np.clip(1.5 - np.hypot(columns - x, rows - y) / radius, 0, 1)


def test_names_and_ranges():
    found = subject_cues(blob(0.5, 0.5, 0.2), GREY)
    assert tuple(found) == SUBJECT_NAMES
    assert all(np.isfinite(value) for value in found.values())
    assert found["subject_room_left"] == pytest.approx(found["subject_room_right"], abs=0.02)
    assert found["subject_x"] == pytest.approx(0.5, abs=0.01) and found["subject_main"] == 1


@pytest.mark.parametrize(
    ("side", "x", "y"), [("left", 0.1, 0.5), ("right", 0.9, 0.5), ("up", 0.5, 0.1), ("down", 0.5, 0.9)]
)
def test_a_subject_at_a_side_has_no_room_there_and_touches_it(side: str, x: float, y: float):
    found = subject_cues(blob(x, y, 0.15), GREY)
    rooms = {other: found[f"subject_room_{other}"] for other in ("left", "right", "up", "down")}
    touches = {other: found[f"subject_touch_{other}"] for other in rooms}
    assert min(rooms, key=rooms.__getitem__) == side and rooms[side] < 0.02
    assert max(touches, key=touches.__getitem__) == side and touches[side] > 0.5


def test_a_small_subject_and_two_of_them():
    small, large = (subject_cues(blob(0.5, 0.5, r), GREY) for r in (0.08, 0.3))
    assert small["subject_share"] < large["subject_share"] and small["subject_wide"] < large["subject_wide"]
    two = subject_cues(np.maximum(blob(0.2, 0.5, 0.1), blob(0.8, 0.5, 0.1)), GREY)
    assert two["subject_main"] == pytest.approx(0.5, abs=0.05)


def test_a_dark_subject_is_told_from_a_bright_one():
    photo = GREY.copy()
    cv2.circle(photo, (100, 75), 30, (30, 30, 30), -1)
    assert subject_cues(blob(0.5, 0.5, 0.15), photo)["subject_light"] < -0.5
    assert subject_cues(blob(0.5, 0.5, 0.15), 255 - photo)["subject_light"] > 0.5


def test_nothing_salient_and_no_frame_at_all_are_finite():
    for saliency in (np.zeros((16, 16)), np.ones((16, 16))):
        found = subject_cues(saliency.astype(np.float32), GREY)
        assert all(np.isfinite(value) for value in found.values())


@pytest.mark.parametrize("degrees", [-6.0, -3.0, 0.0, 3.0, 6.0])
def test_straight_lines_lean_as_the_photo_was_turned(degrees: float):
    photo = np.full((400, 600, 3), 200, np.uint8)
    for x in range(60, 600, 120):
        cv2.rectangle(photo, (x, 80), (x + 60, 320), (90, 60, 40), -1)
    matrix = cv2.getRotationMatrix2D((300, 200), -degrees, 1.2)  # OpenCV turns counterclockwise for positive angles
    turned = cv2.warpAffine(photo, matrix, (600, 400), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    found = measurements(turned)
    assert found["segment_peak"] == pytest.approx(degrees, abs=0.75)
    assert found["segment_vertical_median"] == pytest.approx(degrees, abs=1.0)


def test_what_is_not_known_stands_at_zero():
    pixels = np.random.default_rng(0).integers(0, 255, (120, 160, 3), np.uint8)
    cues = measurements(pixels)
    told = standardise(cues)
    assert told.shape == (len(CUE_NAMES),) and not told[len(MEASURE_NAMES) :].any()
    assert np.array_equal(told, measure(pixels))
    seen = standardise(cues | subject_cues(blob(0.2, 0.5, 0.1), pixels))
    assert np.array_equal(seen[: len(MEASURE_NAMES)], told[: len(MEASURE_NAMES)]) and seen[len(MEASURE_NAMES) :].any()
