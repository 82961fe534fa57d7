"""Exposure: light taken away or added, in stops."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from calm.edits.base import Applied, Edit, Phrases
from calm.edits.light import apply_curves, scale_light, stops
from calm.types import Suggestion

MOST = {"increase": 2.3, "decrease": 2.0}
"""Stops at severity 1, by remedy: an added stop shows a little more than a missing one."""


class Exposure(Edit):
    """Light multiplied in linear light, with a highlight shoulder of varying softness."""

    attribute = "exposure"
    order = "light"

    def amount(self, direction: str, severity: float) -> float:
        return MOST[direction] * severity

    def apply(
        self,
        photo: np.ndarray,
        direction: str,
        severity: float,
        rng: np.random.Generator,
        saliency: np.ndarray | None = None,
    ) -> tuple[np.ndarray, Applied | None]:
        done = self.done(direction, severity)
        gain = 2.0 ** (self.amount(direction, severity) * (-1 if direction == "increase" else 1))
        return apply_curves(photo, scale_light(gain, rng.uniform(0.5, 0.9))), done

    def render(self, photo: np.ndarray, suggestion: Suggestion, saliency: np.ndarray | None = None) -> np.ndarray:
        sign = 1 if suggestion.direction == "increase" else -1
        return apply_curves(photo, scale_light(2.0 ** (sign * self.wanted(suggestion)), 0.7))

    def wordings(self, amount: float) -> Sequence[str]:
        return stops(amount)

    phrases = {
        "increase": Phrases(
            wrong=(
                "The photo is {very} underexposed.",
                "The picture is {too} dark.",
                "The exposure is {too} low.",
                "It is {very} underexposed, by {amount}.",
                "The whole frame is {too} dark.",
                "The light is {too} dim, and the shadows lose their detail.",
                "There is {a} underexposure of {amount}.",
                "The tones sit {too} low.",
                "The exposure is {amount} short.",
                "The midtones are {too} dark.",
                "The frame got {too} little light.",
                "The image looks {very} underexposed and gloomy.",
            ),
            against=(
                "This one is darker than the other by {amount}.",
                "Compared with the other photo, this one is {too} dark.",
                "The other photo has {amount} more light.",
                "The other one is brighter; this one is {very} underexposed.",
                "Before, the light was right; now the frame is {too} dark.",
                "The second photo has lost {amount} of light.",
                "Both show the same scene, but this one is {very} underexposed.",
                "The better version is brighter by {amount}.",
                "Next to the other, this photo looks {too} dark.",
                "The light has dropped by {amount}.",
            ),
            advice=(
                "Lift the exposure by {amount}.",
                "Raise the exposure by {amount}.",
                "Brighten the whole photo by {amount}.",
                "Increase the exposure by {amount}.",
                "Give it {amount} more light.",
                "Expose {amount} longer.",
                "Add {amount} of exposure.",
                "Brighten the exposure {much}.",
                "Lift the exposure {much}.",
                "Let in more light, {amount} of it.",
                "Open up the exposure {much}.",
                "Push the exposure up by {amount}.",
                "Make the whole picture {much} brighter.",
            ),
        ),
        "decrease": Phrases(
            wrong=(
                "The photo is {very} overexposed.",
                "The picture is {too} bright.",
                "The exposure is {too} high.",
                "It is {very} overexposed, by {amount}.",
                "The whole frame is {too} bright.",
                "The light is {too} strong, and the highlights wash out.",
                "There is {a} overexposure of {amount}.",
                "The tones sit {too} high.",
                "The exposure is {amount} over.",
                "The midtones are {too} light.",
                "The frame got {too} much light.",
                "The image looks {very} overexposed and washed out.",
            ),
            against=(
                "This one is brighter than the other by {amount}.",
                "Compared with the other photo, this one is {too} bright.",
                "The other photo has {amount} less light.",
                "The other one is darker; this one is {very} overexposed.",
                "Before, the light was right; now the frame is {too} bright.",
                "The second photo has gained {amount} of light.",
                "Both show the same scene, but this one is {very} overexposed.",
                "The better version is darker by {amount}.",
                "Next to the other, this photo looks {too} bright.",
                "The light has risen by {amount}.",
            ),
            advice=(
                "Lower the exposure by {amount}.",
                "Reduce the exposure by {amount}.",
                "Darken the whole photo by {amount}.",
                "Decrease the exposure by {amount}.",
                "Give it {amount} less light.",
                "Expose {amount} shorter.",
                "Take {amount} of exposure away.",
                "Pull the exposure down {much}.",
                "Lower the exposure {much}.",
                "Let in less light, {amount} of it.",
                "Cut the exposure {much}.",
                "Bring the exposure down by {amount}.",
                "Make the whole picture {much} darker.",
            ),
        ),
    }
