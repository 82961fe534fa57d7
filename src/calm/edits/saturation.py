"""Saturation: colours drained or overdone."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from calm.edits.base import Applied, Edit, Phrases
from calm.edits.light import percents
from calm.types import Suggestion

PALEST, STRONGEST = 0.28, 2.7
"""Factor on chroma at severity 1: remedy increase, remedy decrease."""
GREY = 0.025
"""Mean spread of the channels (0–1) below which a photo has no colour to change."""


class Saturation(Edit):
    """The amount is what brings chroma back: half the chroma asks for +100 %, double for −50 %."""

    attribute = "saturation"
    order = "colour"

    def amount(self, direction: str, severity: float) -> float:
        factor = _factor(direction, severity)
        return 100 * (1 / factor - 1) if direction == "increase" else 100 * (1 - 1 / factor)

    def apply(
        self,
        photo: np.ndarray,
        direction: str,
        severity: float,
        rng: np.random.Generator,
        saliency: np.ndarray | None = None,
    ) -> tuple[np.ndarray, Applied | None]:
        even = rng.uniform(0.0, 0.35)
        if colourfulness(photo) < GREY:
            return photo, None
        return scale_chroma(photo, _factor(direction, severity), even), self.done(direction, severity)

    def render(self, photo: np.ndarray, suggestion: Suggestion, saliency: np.ndarray | None = None) -> np.ndarray:
        part = self.wanted(suggestion) / 100
        return scale_chroma(photo, 1 + part if suggestion.direction == "increase" else max(1 - part, 0.0))

    def wordings(self, amount: float) -> Sequence[str]:
        return percents(amount)

    phrases = {
        "increase": Phrases(
            wrong=(
                "The colours are {too} pale.",
                "The saturation is {too} low.",
                "The colours are {very} drained.",
                "The picture is {very} desaturated.",
                "There is {a} lack of colour.",
                "The colours look {very} faded.",
                "The hues are {too} weak.",
                "The picture is {very} drained of its colour.",
                "Its colours are {too} dull.",
                "The colours are {amount} too weak.",
                "It looks {quite} colourless.",
                "The palette is {too} thin.",
            ),
            against=(
                "This one is paler than the other by {amount}.",
                "Compared with the other photo, the colours here are {too} weak.",
                "The other photo has richer colours.",
                "The other one is more colourful; this one is {very} desaturated.",
                "The colours have faded {much}.",
                "Before, the colours were full; now they are {too} pale.",
                "The better version has {amount} more saturation.",
                "Next to the other, this photo looks {very} drained of colour.",
                "Both show the same scene, but the colours here are {too} faint.",
                "The second photo has lost colour.",
            ),
            advice=(
                "Raise the saturation by {amount}.",
                "Increase the saturation by {amount}.",
                "Add {amount} of saturation.",
                "Strengthen the colours by {amount}.",
                "Boost the saturation {much}.",
                "Make the colours {much} richer.",
                "Give the colours {amount} more strength.",
                "Enrich the colours {much}.",
                "Bring the colours back up by {amount}.",
                "Push the saturation up by {amount}.",
                "Intensify the colours {much}.",
                "Lift the saturation {much}.",
            ),
        ),
        "decrease": Phrases(
            wrong=(
                "The colours are {too} strong.",
                "The saturation is {too} high.",
                "The colours are {very} overdone.",
                "The picture is {very} oversaturated.",
                "There is {a} excess of colour.",
                "The colours look {quite} garish.",
                "The hues are {too} loud.",
                "The image is {quite} gaudy.",
                "Its colours are {too} vivid.",
                "The colours are {amount} too strong.",
                "It looks {quite} artificial in its colours.",
                "The palette is {too} shrill.",
            ),
            against=(
                "This one is more garish than the other by {amount}.",
                "Compared with the other photo, the colours here are {too} strong.",
                "The other photo has calmer colours.",
                "The other one is more natural; this one is {very} oversaturated.",
                "The colours have grown {much} louder.",
                "Before, the colours were natural; now they are {too} vivid.",
                "The better version has {amount} less saturation.",
                "Next to the other, this photo looks {quite} gaudy.",
                "Both show the same scene, but the colours here are {too} loud.",
                "The second photo has gained colour beyond what is natural.",
            ),
            advice=(
                "Lower the saturation by {amount}.",
                "Reduce the saturation by {amount}.",
                "Take {amount} of saturation away.",
                "Weaken the colours by {amount}.",
                "Cut the saturation {much}.",
                "Make the colours {much} calmer.",
                "Give the colours {amount} less strength.",
                "Tone the colours down {much}.",
                "Bring the colours down by {amount}.",
                "Pull the saturation down by {amount}.",
                "Mute the colours {much}.",
                "Desaturate the photo by {amount}.",
            ),
        ),
    }


def colourfulness(photo: np.ndarray) -> float:
    """Mean difference between the largest and the smallest channel, 0–1."""
    small = cv2.resize(photo, (64, 64), interpolation=cv2.INTER_AREA)
    return float((small.max(2) - small.min(2)).mean())


def scale_chroma(photo: np.ndarray, factor: float, even: float = 0.0) -> np.ndarray:
    """Chroma multiplied around luma; ``even`` 0–1 moves the luma weights toward equal ones."""
    weights = np.array([0.299, 0.587, 0.114]) * (1 - even) + even / 3
    matrix = np.eye(3) * factor + np.tile(weights, (3, 1)) * (1 - factor)
    return np.clip(cv2.transform(photo, matrix.astype(np.float32)), 0, 1)


def _factor(direction: str, severity: float) -> float:
    if direction == "increase":
        return 1 / (1 + (1 / PALEST - 1) * severity)
    return 1 + (STRONGEST - 1) * severity
