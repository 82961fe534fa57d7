"""Contrast: tones pressed together or torn apart around the photo's own middle."""

from __future__ import annotations

import cv2
import numpy as np

from calm.edits.base import Edited, Map, Pixels, Random
from calm.edits.light import Scaled, apply_curves, levels
from calm.types import Suggestion

FLATTEST, HARSHEST = 0.4, 2.3
"""Slope of the tone curve at severity 1: remedy increase, remedy decrease."""


class Contrast(Scaled):
    """The amount is what brings the slope back: a slope of 0.5 asks for +100 %, one of 2 for −50 %."""

    attribute = "contrast"
    order = "light"

    def factor(self, direction: str, severity: float) -> float:
        """Slope of the tone curve."""
        return 1 - (1 - FLATTEST) * severity if direction == "increase" else 1 + (HARSHEST - 1) * severity

    def apply(self, photo: Pixels, direction: str, severity: float, rng: Random, saliency: Map = None) -> Edited:
        slope, haze, softness = self.factor(direction, severity), rng.uniform(0.0, 0.06), rng.random()
        pivot = middle(photo)
        if direction == "increase":
            # haze lifts the blacks, as flare and mist do; without it the tones close in on their middle
            curve = pivot + haze * severity + (levels() - pivot) * slope
        else:
            curve = softness * _bend(slope, pivot) + (1 - softness) * (pivot + (levels() - pivot) * slope)
        return apply_curves(photo, curve), self.done(direction, severity)

    def render(self, photo: Pixels, suggestion: Suggestion, saliency: Map = None) -> Pixels:
        return self.render_rows(photo, suggestion, photo, 0, photo.shape[0])

    def render_rows(self, rows: Pixels, suggestion: Suggestion, small: Pixels, top: int, height: int) -> Pixels:
        part = self.wanted(suggestion) / 100
        slope = 1 + part if suggestion.direction == "increase" else max(1 - part, 0.2)
        pivot = middle(small)
        return apply_curves(rows, pivot + (levels() - pivot) * slope, smooth=True)


def middle(photo: np.ndarray) -> float:
    """The tone around which contrast turns: the photo's mean luma, kept off the ends; 0–1."""
    return float(np.clip(cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY).mean(), 0.3, 0.65))


def _bend(slope: float, pivot: float) -> np.ndarray:
    """An S-curve of that slope at the pivot that stays within 0–1."""
    x = levels()
    low, high = np.minimum(x / pivot, 1.0), np.minimum((1 - x) / (1 - pivot), 1.0)
    return np.where(x < pivot, pivot * low**slope, 1 - (1 - pivot) * high**slope)
