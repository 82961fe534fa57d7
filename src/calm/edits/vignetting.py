"""Vignetting: corners darker than the middle."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from calm.edits.base import Applied, Edit, Phrases
from calm.edits.light import stops
from calm.types import Suggestion

MOST = 3.0
"""Mean loss in the corners at severity 1, EV."""
GRID = 96


class Vignetting(Edit):
    """Light falling off from a centre, by a law of varying centre, radius, roundness and exponent."""

    attribute = "vignetting"
    order = "optics"

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
        centre, inner = np.clip(rng.normal(0, 0.06, 2), -0.15, 0.15), rng.uniform(0.0, 0.35)
        roundness, power = rng.uniform(0.0, 1.0), rng.uniform(1.4, 3.2)
        field = fall_off(photo.shape[1] / photo.shape[0], centre, inner, roundness, power)
        loss = field * np.float32(self.amount(direction, severity))
        return _scale(photo, -loss), self.done(direction, severity)

    def render(self, photo: np.ndarray, suggestion: Suggestion, saliency: np.ndarray | None = None) -> np.ndarray:
        field = fall_off(photo.shape[1] / photo.shape[0], np.zeros(2), 0.2, 0.5, 2.4)
        return _scale(photo, field * np.float32(self.wanted(suggestion)))

    def wordings(self, amount: float) -> Sequence[str]:
        return stops(amount)

    phrases = {
        "decrease": Phrases(
            wrong=(
                "The corners are {too} dark.",
                "There is {a} vignette.",
                "The frame is {very} vignetted.",
                "There is {a} fall-off of light toward the corners.",
                "The edges darken {very}.",
                "The light falls off by {amount} in the corners.",
                "The corners are {amount} darker than the middle.",
                "The frame darkens {very} from the centre outward.",
                "{a} vignette pulls the corners down.",
                "The borders of the frame are {too} dark.",
                "The lens leaves the corners {too} dim.",
                "The light fades {very} toward the edges.",
            ),
            against=(
                "This one has darker corners than the other, by {amount}.",
                "Compared with the other photo, the corners are {too} dark.",
                "The other photo is evenly lit to the edges.",
                "The other one is even; this one is {very} vignetted.",
                "The corners have lost {amount} of light.",
                "Before, the light was even; now the corners are {too} dark.",
                "The better version has corners brighter by {amount}.",
                "Next to the other, this photo shows {a} vignette.",
                "Both show the same scene, but the edges here are {too} dark.",
                "The second photo has gained a vignette.",
            ),
            advice=(
                "Brighten the corners by {amount}.",
                "Correct the vignetting by {amount}.",
                "Remove the vignette.",
                "Lift the corners by {amount}.",
                "Apply a lens correction for the dark corners.",
                "Even out the light toward the edges {much}.",
                "Reduce the vignette {much}.",
                "Raise the light in the corners by {amount}.",
                "Take the vignette back {much}.",
                "Compensate the fall-off of {amount} in the corners.",
                "Stop the lens down to brighten the corners.",
                "Brighten the edges of the frame {much}.",
            ),
        ),
    }


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
