"""Tilt: a camera that was not held level."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from calm.edits.base import Edit, Edited, Map, Pixels, Random
from calm.types import Suggestion


class Tilt(Edit):
    """The photo turned about its middle and cropped to what is left without borders, in the same or a near aspect."""

    attribute = "tilt"
    order = "geometry"
    most = 10.0
    """Degrees at severity 1."""

    def apply(self, photo: Pixels, direction: str, severity: float, rng: Random, saliency: Map = None) -> Edited:
        stretch = float(np.exp(rng.uniform(-0.15, 0.15)))
        degrees = self.most * severity * (-1 if direction == "clockwise" else 1)
        # at no tilt at all the frame stays as it is
        aspect = photo.shape[1] / photo.shape[0] * stretch ** min(1.0, 8 * severity)
        return turn(photo, degrees, aspect), self.done(direction, severity)

    def render(self, photo: Pixels, suggestion: Suggestion, saliency: Map = None) -> Pixels:
        return turn(photo, self.wanted(suggestion) * (1 if suggestion.direction == "clockwise" else -1))

    def wordings(self, amount: float) -> Sequence[str]:
        if amount < 0.75:
            return ("half a degree", "about half a degree", f"{amount:.1f} degrees")
        rounded = round(amount)
        whole = "one degree" if rounded == 1 else f"{rounded} degrees"
        return (f"about {whole}", f"roughly {whole}", f"{amount:.1f} degrees", f"{amount:.1f}°")


def turn(photo: np.ndarray, degrees: float, aspect: float | None = None) -> np.ndarray:
    """Turn a photo clockwise and keep the largest middle part of an aspect (width / height) that has no borders.

    Args:
        photo: (H, W, 3) float32 in 0–1, or of integers.
        degrees: clockwise as seen on the screen, between −45 and 45.
        aspect: of the result; the photo's own if None.
    """
    height, width = photo.shape[:2]
    cos, sin = abs(np.cos(np.radians(degrees))), abs(np.sin(np.radians(degrees)))
    ratio = width / height if aspect is None else aspect
    tall = min(width / (ratio * cos + sin), height / (ratio * sin + cos))
    rows, columns = max(1, int(tall)), max(1, int(tall * ratio))
    # Pixel centres: (n - 1) / 2 is the middle of n pixels.
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), -degrees, 1.0)
    matrix[:, 2] += (columns - width) / 2, (rows - height) / 2
    turned = cv2.warpAffine(photo, matrix, (columns, rows), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return np.clip(turned, 0, 1) if turned.dtype == np.float32 else turned
