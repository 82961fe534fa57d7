"""Contrast: tones pressed together or torn apart around the photo's own middle."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from calm.edits.base import Applied, Edit, Phrases
from calm.edits.light import apply_curves, levels, percents
from calm.types import Suggestion

FLATTEST, HARSHEST = 0.4, 2.3
"""Slope of the tone curve at severity 1: remedy increase, remedy decrease."""


class Contrast(Edit):
    """The amount is what brings the slope back: a slope of 0.5 asks for +100 %, one of 2 for −50 %."""

    attribute = "contrast"
    order = "light"

    def amount(self, direction: str, severity: float) -> float:
        slope = _slope(direction, severity)
        return 100 * (1 / slope - 1) if direction == "increase" else 100 * (1 - 1 / slope)

    def apply(
        self,
        photo: np.ndarray,
        direction: str,
        severity: float,
        rng: np.random.Generator,
        saliency: np.ndarray | None = None,
    ) -> tuple[np.ndarray, Applied | None]:
        slope, haze, softness = _slope(direction, severity), rng.uniform(0.0, 0.06), rng.random()
        pivot = middle(photo)
        if direction == "increase":
            # haze lifts the blacks, as flare and mist do; without it the tones close in on their middle
            curve = pivot + haze * severity + (levels() - pivot) * slope
        else:
            curve = softness * _bend(slope, pivot) + (1 - softness) * (pivot + (levels() - pivot) * slope)
        return apply_curves(photo, curve), self.done(direction, severity)

    def render(self, photo: np.ndarray, suggestion: Suggestion, saliency: np.ndarray | None = None) -> np.ndarray:
        part = self.wanted(suggestion) / 100
        slope = 1 + part if suggestion.direction == "increase" else max(1 - part, 0.2)
        pivot = middle(photo)
        return apply_curves(photo, pivot + (levels() - pivot) * slope)

    def wordings(self, amount: float) -> Sequence[str]:
        return percents(amount)

    phrases = {
        "increase": Phrases(
            wrong=(
                "The photo is {too} flat.",
                "The contrast is {too} low.",
                "The tones lie {too} close together.",
                "There is {a} lack of contrast.",
                "It looks {quite} hazy and grey, without real blacks.",
                "The picture is {quite} flat; it lacks {amount} of contrast.",
                "Lights and darks are {too} much alike.",
                "The tonal range is {too} narrow.",
                "It looks {very} washed out for want of contrast.",
                "The blacks are {too} grey and the whites too dull.",
                "The image is {quite} dull and lacks punch.",
                "The light looks {quite} flat.",
            ),
            against=(
                "This one is flatter than the other by {amount}.",
                "Compared with the other photo, this one has {too} little contrast.",
                "The other photo has deeper blacks and brighter whites.",
                "The other one has more punch; this one is {quite} flat.",
                "The contrast has dropped {much}.",
                "Before, the tones were spread wide; now they lie {too} close together.",
                "The better version has {amount} more contrast.",
                "Next to the other, this photo looks {quite} flat.",
                "Both show the same scene, but this one is {quite} hazy.",
                "The second photo has lost contrast.",
            ),
            advice=(
                "Raise the contrast by {amount}.",
                "Increase the contrast by {amount}.",
                "Add {amount} of contrast.",
                "Add contrast, {amount} of it.",
                "Lift the contrast {much}.",
                "Spread the tones {much}, to real blacks and whites.",
                "Deepen the blacks and brighten the whites {much}.",
                "Give the tones {amount} more contrast.",
                "Stretch the tonal range by {amount}.",
                "Push the contrast up by {amount}.",
                "Make the tone curve {much} steeper.",
                "Boost the contrast {much}.",
            ),
        ),
        "decrease": Phrases(
            wrong=(
                "The photo is {too} harsh.",
                "The contrast is {too} high.",
                "The tones lie {too} far apart.",
                "There is {a} excess of contrast.",
                "The shadows block up and the highlights burn out {too} early.",
                "The picture is {quite} harsh, with {amount} of contrast to spare.",
                "Lights and darks are {too} far apart.",
                "The tonal steps are {too} steep.",
                "It looks {quite} hard for want of midtones.",
                "The blacks are {too} deep and the whites too hard.",
                "The image is {quite} harsh and loses detail at both ends.",
                "The light looks {quite} hard.",
            ),
            against=(
                "This one is harsher than the other by {amount}.",
                "Compared with the other photo, this one has {too} much contrast.",
                "The other photo has softer shadows and highlights.",
                "The other one keeps its midtones; this one is {quite} harsh.",
                "The contrast has risen {much}.",
                "Before, the tones ran softly; now they lie {too} far apart.",
                "The better version has {amount} less contrast.",
                "Next to the other, this photo looks {quite} harsh.",
                "Both show the same scene, but this one is {quite} hard.",
                "The second photo has gained contrast and lost midtones.",
            ),
            advice=(
                "Lower the contrast by {amount}.",
                "Reduce the contrast by {amount}.",
                "Take {amount} of contrast away.",
                "Cut the contrast {much}.",
                "Soften the contrast {much}.",
                "Open the shadows and hold back the highlights {much}.",
                "Bring shadows and highlights {much} closer together.",
                "Give the tones {amount} less contrast.",
                "Compress the tonal range by {amount}.",
                "Pull the contrast down by {amount}.",
                "Make the tone curve {much} gentler.",
                "Ease the contrast {much}.",
            ),
        ),
    }


def middle(photo: np.ndarray) -> float:
    """The tone around which contrast turns: the photo's mean luma, kept off the ends; 0–1."""
    return float(np.clip(cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY).mean(), 0.3, 0.65))


def _slope(direction: str, severity: float) -> float:
    return 1 - (1 - FLATTEST) * severity if direction == "increase" else 1 + (HARSHEST - 1) * severity


def _bend(slope: float, pivot: float) -> np.ndarray:
    """An S-curve of that slope at the pivot that stays within 0–1."""
    x = levels()
    low, high = np.minimum(x / pivot, 1.0), np.minimum((1 - x) / (1 - pivot), 1.0)
    return np.where(x < pivot, pivot * low**slope, 1 - (1 - pivot) * high**slope)
