"""Vignetting: corners darker than the middle."""

from __future__ import annotations

import cv2
import numpy as np

from calm.edits.base import Edit, Edited, Map, Pixels, Random
from calm.edits.light import decode, encode, stops
from calm.types import Suggestion

GRID = 96


class Vignetting(Edit):
    """Light falling off from a centre, by a law of varying centre, radius, roundness and exponent."""

    attribute = "vignetting"
    order = "optics"
    most = 3.0
    """Mean loss in the corners at severity 1, EV."""
    wordings = staticmethod(stops)

    def apply(self, photo: Pixels, direction: str, severity: float, rng: Random, saliency: Map = None) -> Edited:
        centre, inner = np.clip(rng.normal(0, 0.06, 2), -0.15, 0.15), rng.uniform(0.0, 0.35)
        roundness, power = rng.uniform(0.0, 1.0), rng.uniform(1.4, 3.2)
        field = fall_off(photo.shape[1] / photo.shape[0], centre, inner, roundness, power)
        loss = field * np.float32(self.most * severity)
        return _scale(photo, -loss), self.done(direction, severity)

    def render(self, photo: Pixels, suggestion: Suggestion, saliency: Map = None) -> Pixels:
        return self.render_rows(photo, suggestion, photo, 0, photo.shape[0])

    def render_rows(self, rows: Pixels, suggestion: Suggestion, small: Pixels, top: int, height: int) -> Pixels:
        count, width = rows.shape[:2]
        field = cv2.resize(self._field(width / height, suggestion), (width, GRID), interpolation=cv2.INTER_CUBIC)
        place = np.clip((top + np.arange(count) + 0.5) * GRID / height - 0.5, 0, GRID - 1).astype(np.float32)
        low = np.minimum(place.astype(int), GRID - 2)
        part = (place - low)[:, None]
        gain = np.exp2(field[low] * (1 - part) + field[low + 1] * part)
        return encode(decode(rows) * gain[..., None]).astype(np.float32)

    def _field(self, aspect: float, suggestion: Suggestion) -> np.ndarray:
        """(96, 96) stops to be given back."""
        return fall_off(aspect, np.zeros(2), 0.2, 0.5, 2.4) * np.float32(self.wanted(suggestion))


def fall_off(aspect: float, centre: np.ndarray, inner: float, roundness: float, power: float) -> np.ndarray:
    """(96, 96) map of the whole frame: 0 within ``inner``, 1 on average in the corners.

    Args:
        aspect: width / height.
        centre: (x, y) of the middle, −1 … 1 across the frame.
        inner: radius without loss, as a share of the corner's radius.
        roundness: 0 follows the frame's shape, 1 is a circle.
        power: how steeply light falls.
    """
    axis = np.linspace(-1, 1, GRID, dtype=np.float32)
    x, y = np.meshgrid(axis - centre[0], axis - centre[1])
    wide = max(aspect, 1.0) ** roundness
    tall = max(1 / aspect, 1.0) ** roundness
    radius = np.hypot(x * wide, y * tall) / np.hypot(wide, tall)
    field = np.clip((radius - inner) / (1 - inner), 0, None) ** power
    return field / field[[0, 0, -1, -1], [0, -1, 0, -1]].mean()


def _scale(photo: np.ndarray, stops_map: np.ndarray) -> np.ndarray:
    """Light multiplied by 2 to a coarse map of stops; a power of 1/2.2 carries that over to gamma-encoded values."""
    height, width = photo.shape[:2]
    gain = cv2.resize(np.exp2(stops_map / 2.2).astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC)
    return np.clip(photo * gain[..., None], 0, 1)
