"""White balance: the light's colour moved along the daylight locus, in mired."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from calm.edits.base import Applied, Edit, Phrases
from calm.edits.light import LEVELS, apply_curves, decode, encode, levels
from calm.types import Suggestion

MOST = 130.0
"""Mired at severity 1."""
PER_MIRED = np.array([0.00352, -0.00053, -0.00709])
"""Change of log light in red, green and blue for each mired toward warm: daylight from 6500 K to 5000 K (46 mired)."""
TINT = np.array([0.5, -1.0, 0.5])
LUMA = np.array([0.2126, 0.7152, 0.0722])


class WhiteBalance(Edit):
    """Gains on linear light that keep the luminance of grey; the least bit of tint varies with them."""

    attribute = "white_balance"
    order = "colour"
    conflicts = frozenset({"colour_harmony"})

    def amount(self, direction: str, severity: float) -> float:
        return MOST * severity

    def apply(
        self,
        photo: np.ndarray,
        direction: str,
        severity: float,
        rng: np.random.Generator,
        saliency: np.ndarray | None = None,
    ) -> tuple[np.ndarray, Applied | None]:
        tint = float(np.clip(rng.normal(0, 0.05), -0.1, 0.1)) * severity
        mired = self.amount(direction, severity) * (-1 if direction == "warmer" else 1)
        return shift_mired(photo, mired, tint), self.done(direction, severity)

    def render(self, photo: np.ndarray, suggestion: Suggestion, saliency: np.ndarray | None = None) -> np.ndarray:
        return shift_mired(photo, self.wanted(suggestion) * (1 if suggestion.direction == "warmer" else -1))

    def wordings(self, amount: float) -> Sequence[str]:
        rounded = max(1, round(amount)) if amount < 10 else 5 * round(amount / 5)
        return tuple(f"{about}{rounded} mired" for about in ("", "about ", "roughly ", "some "))

    phrases = {
        "warmer": Phrases(
            wrong=(
                "The colours are {too} cold.",
                "There is {a} blue cast.",
                "The white balance is {too} cool.",
                "The picture is {quite} bluish.",
                "Its whites lean {very} toward blue.",
                "The white balance is {amount} too cool.",
                "The light looks {too} cold.",
                "Neutral greys have turned {quite} blue.",
                "The whole frame is {too} blue.",
                "{a} cool cast lies over the colours.",
                "The colour temperature is off: everything is {too} blue.",
                "Skin, wood and sunlight would look {too} cold in this light.",
            ),
            against=(
                "This one is cooler than the other by {amount}.",
                "Compared with the other photo, this one is {too} blue.",
                "The other photo has warmer light.",
                "The other one has neutral whites; here they are {quite} blue.",
                "The colours have turned {quite} cold.",
                "Before, the whites were neutral; now there is {a} blue cast.",
                "The better version is warmer by {amount}.",
                "Next to the other, this photo looks {too} cold.",
                "Both show the same scene, but this one has {a} blue cast.",
                "The second photo has drifted toward blue.",
            ),
            advice=(
                "Warm the white balance by {amount}.",
                "Make the white balance {much} warmer.",
                "Shift the white balance {amount} toward yellow.",
                "Warm the colours up {much}.",
                "Set the white balance warmer by {amount}.",
                "Take the blue cast out, {amount} of it.",
                "Move the colour temperature {much} toward amber.",
                "Correct the blue cast by {amount}.",
                "Add warmth, {amount} of it.",
                "Warm the picture by {amount}.",
                "Neutralise the blue cast.",
                "Turn the colour temperature toward warm by {amount}.",
            ),
        ),
        "cooler": Phrases(
            wrong=(
                "The colours are {too} warm.",
                "There is {a} yellow cast.",
                "The white balance is {too} warm.",
                "The picture is {quite} yellowish.",
                "Its whites lean {very} toward yellow.",
                "The white balance is {amount} too warm.",
                "The light looks {too} warm.",
                "Neutral greys have turned {quite} orange.",
                "The whole frame is {too} yellow.",
                "{a} warm cast lies over the colours.",
                "The colour temperature is off: everything is {too} orange.",
                "Whites look {too} yellow, as under an old bulb.",
            ),
            against=(
                "This one is warmer than the other by {amount}.",
                "Compared with the other photo, this one is {too} yellow.",
                "The other photo has cooler light.",
                "The other one has neutral whites; here they are {quite} yellow.",
                "The colours have turned {quite} warm.",
                "Before, the whites were neutral; now there is {a} yellow cast.",
                "The better version is cooler by {amount}.",
                "Next to the other, this photo looks {too} warm.",
                "Both show the same scene, but this one has {a} orange cast.",
                "The second photo has drifted toward yellow.",
            ),
            advice=(
                "Cool the white balance by {amount}.",
                "Make the white balance {much} cooler.",
                "Shift the white balance {amount} toward blue.",
                "Cool the colours down {much}.",
                "Set the white balance cooler by {amount}.",
                "Take the yellow cast out, {amount} of it.",
                "Move the colour temperature {much} toward blue.",
                "Correct the yellow cast by {amount}.",
                "Remove warmth, {amount} of it.",
                "Cool the picture by {amount}.",
                "Neutralise the yellow cast.",
                "Turn the colour temperature toward cool by {amount}.",
            ),
        ),
    }


def shift_mired(photo: np.ndarray, mired: float, tint: float = 0.0) -> np.ndarray:
    """Move the light by ``mired`` (> 0 warmer) and ``tint`` (> 0 magenta, in log light); clipped white stays light."""
    gains = np.exp(PER_MIRED * mired + TINT * tint)
    gains /= LUMA @ gains
    light = decode(levels())
    # toward clipped white the gain fades: a sensor that is full in all channels has no colour left
    fade = 0.75 * np.clip((light - 0.85) / 0.15, 0, 1) ** 2
    curves = np.empty((3, LEVELS))
    for channel, gain in enumerate(gains):
        curves[channel] = encode(light * (gain + (1 - gain) * fade))
    return apply_curves(photo, curves)
