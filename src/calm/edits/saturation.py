"""Saturation: colours drained or overdone."""

import cv2
import numpy as np

from calm.edits.base import Edited, Map, Pixels, Random
from calm.edits.light import Scaled
from calm.types import Suggestion

PALEST, STRONGEST = 0.28, 2.7
"""Factor on chroma at severity 1: remedy increase, remedy decrease."""
GREY = 0.025
"""Mean spread of the channels (0–1) below which a photo has no colour to change."""


class Saturation(Scaled):
    """The amount is what brings chroma back: half the chroma asks for +100 %, double for −50 %."""

    attribute = "saturation"
    order = "colour"

    def factor(self, direction: str, severity: float) -> float:
        """What chroma is multiplied by."""
        if direction == "increase":
            return 1 / (1 + (1 / PALEST - 1) * severity)
        return 1 + (STRONGEST - 1) * severity

    def apply(self, photo: Pixels, direction: str, severity: float, rng: Random, saliency: Map = None) -> Edited:
        even = rng.uniform(0.0, 0.35)
        if colourfulness(photo) < GREY:
            return photo, None
        return scale_chroma(photo, self.factor(direction, severity), even), self.done(direction, severity)

    def render(self, photo: Pixels, suggestion: Suggestion, saliency: Map = None) -> Pixels:
        part = self.wanted(suggestion) / 100
        return scale_chroma(photo, 1 + part if suggestion.direction == "increase" else max(1 - part, 0.0))


def colourfulness(photo: np.ndarray) -> float:
    """Mean difference between the largest and the smallest channel, 0–1."""
    small = cv2.resize(photo, (64, 64), interpolation=cv2.INTER_AREA)
    return float((small.max(2) - small.min(2)).mean())


def scale_chroma(photo: np.ndarray, factor: float, even: float = 0.0) -> np.ndarray:
    """Chroma multiplied around luma; ``even`` 0–1 moves the luma weights toward equal ones."""
    weights = np.array([0.299, 0.587, 0.114]) * (1 - even) + even / 3
    matrix = np.eye(3) * factor + np.tile(weights, (3, 1)) * (1 - factor)
    return np.clip(cv2.transform(photo, matrix.astype(np.float32)), 0, 1)
