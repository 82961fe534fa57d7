"""Measurements: each cue moves the right way when its cause does."""

from __future__ import annotations

from io import BytesIO

import cv2
import numpy as np
import pytest
from PIL import Image
from skimage import data

from calm.data.measure import MEASURE_NAMES, measure, measurements

PHOTOS = {"coffee": data.coffee(), "cat": data.chelsea(), "rocket": data.rocket()}


def darken(photo: np.ndarray) -> np.ndarray:
    return (photo * 0.5).astype(np.uint8)


def blur(photo: np.ndarray) -> np.ndarray:
    return cv2.GaussianBlur(photo, (0, 0), 2)


def grain(photo: np.ndarray) -> np.ndarray:
    noise = np.random.default_rng(0).normal(0, 12, photo.shape)
    return np.clip(photo + noise, 0, 255).astype(np.uint8)


def squeeze(photo: np.ndarray) -> np.ndarray:
    stream = BytesIO()
    Image.fromarray(photo).save(stream, "JPEG", quality=12)
    return np.asarray(Image.open(stream))


def vignette(photo: np.ndarray) -> np.ndarray:
    height, width = photo.shape[:2]
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    return (photo * (1 - 0.4 * (x**2 + y**2))[..., None]).clip(0, 255).astype(np.uint8)


def warm(photo: np.ndarray) -> np.ndarray:
    return np.clip(photo * np.array([1.15, 1.0, 0.7]), 0, 255).astype(np.uint8)


def fade(photo: np.ndarray) -> np.ndarray:
    grey = cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY)[..., None]
    return (0.3 * photo + 0.7 * grey).astype(np.uint8)


def flatten(photo: np.ndarray) -> np.ndarray:
    return (0.4 * photo + 76).astype(np.uint8)


@pytest.mark.parametrize("photo", PHOTOS.values(), ids=PHOTOS)
@pytest.mark.parametrize(
    ("cause", "cue", "sign"),
    [
        (darken, "luma_mean", -1),
        (darken, "luma_95", -1),
        (flatten, "luma_range", -1),
        (blur, "sharp_0", -1),
        (blur, "sharp_best", -1),
        (grain, "noise_luma", 1),
        (grain, "noise_flat", 1),
        (squeeze, "block_both", 1),
        (vignette, "falloff_corner", -1),
        (warm, "b_middle", 1),
        (warm, "b_bright", 1),
        (fade, "chroma_mean", -1),
    ],
)
def test_cues_follow_their_cause(photo: np.ndarray, cause, cue: str, sign: int) -> None:
    assert sign * (measurements(cause(photo))[cue] - measurements(photo)[cue]) > 0


def test_lean_of_lines_has_the_sign_of_the_turn() -> None:
    stripes = np.full((400, 400, 3), 40, np.uint8)
    stripes[::40] = stripes[1::40] = stripes[2::40] = 220
    for degrees in (-4, 4):
        turn = cv2.getRotationMatrix2D((200, 200), degrees, 1.0)
        turned = cv2.warpAffine(stripes, turn, (400, 400), flags=cv2.INTER_CUBIC)[80:320, 80:320]
        lean = measurements(turned)["line_horizontal"]
        assert abs(abs(lean) - 4) < 1.5 and np.sign(lean) == -np.sign(degrees)


@pytest.mark.parametrize("shape", [(1, 1), (3, 500), (500, 3), (224, 224)])
@pytest.mark.parametrize("value", [0, 255])
def test_any_photo_gives_finite_numbers(shape: tuple[int, int], value: int) -> None:
    vector = measure(np.full((*shape, 3), value, np.uint8))
    assert vector.shape == (len(MEASURE_NAMES),) and vector.dtype == np.float32
    assert np.isfinite(vector).all() and np.abs(vector).max() <= 5
