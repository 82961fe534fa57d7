"""White balance: the light's colour moved along the daylight locus, in mired."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from calm.edits.base import Edit, Edited, Map, Pixels, Random
from calm.edits.light import POINTS, apply_curves, decode, encode, levels
from calm.types import Suggestion

PER_MIRED = np.array([0.00352, -0.00053, -0.00709])
"""Change of log light in red, green and blue for each mired toward warm: daylight from 6500 K to 5000 K (46 mired)."""
TINT = np.array([0.5, -1.0, 0.5])
LUMA = np.array([0.2126, 0.7152, 0.0722])


class WhiteBalance(Edit):
    """Gains on linear light that keep the luminance of grey; the least bit of tint varies with them."""

    attribute = "white_balance"
    order = "colour"
    conflicts = frozenset({"colour_harmony"})
    most = 130.0
    """Mired at severity 1."""

    def apply(self, photo: Pixels, direction: str, severity: float, rng: Random, saliency: Map = None) -> Edited:
        tint = float(np.clip(rng.normal(0, 0.05), -0.1, 0.1)) * severity
        mired = self.most * severity * (-1 if direction == "warmer" else 1)
        return shift_mired(photo, mired, tint), self.done(direction, severity)

    def render(self, photo: Pixels, suggestion: Suggestion, saliency: Map = None) -> Pixels:
        return shift_mired(
            photo, self.wanted(suggestion) * (1 if suggestion.direction == "warmer" else -1), smooth=True
        )

    def wordings(self, amount: float) -> Sequence[str]:
        rounded = max(1, round(amount)) if amount < 10 else 5 * round(amount / 5)
        return tuple(f"{about}{rounded} mired" for about in ("", "about ", "roughly ", "some "))


def shift_mired(photo: np.ndarray, mired: float, tint: float = 0.0, *, smooth: bool = False) -> np.ndarray:
    """Move the light by ``mired`` (> 0 warmer) and ``tint`` (> 0 magenta, in log light); clipped white stays light.

    ``smooth`` as of :func:`calm.edits.light.apply_curves`.
    """
    gains = np.exp(PER_MIRED * mired + TINT * tint)
    gains /= LUMA @ gains
    light = decode(levels())
    # toward clipped white the gain fades: a sensor that is full in all channels has no colour left
    fade = 0.75 * np.clip((light - 0.85) / 0.15, 0, 1) ** 2
    curves = np.empty((3, POINTS))
    for channel, gain in enumerate(gains):
        curves[channel] = encode(light * (gain + (1 - gain) * fade))
    return apply_curves(photo, curves, smooth=smooth)
