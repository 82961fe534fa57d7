"""Light and tone: curves in linear light with a soft shoulder, and the words for stops.

Linear light is sRGB decoded; values above 1 stand for light that the photo could not hold.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

import numpy as np

from calm.edits.base import Edit

POINTS = 4096
BLOCK = 1 << 16
"""Pixels looked up at a time: few enough to stay in the processor's cache."""
_HELD = 0.98
"""Share of the shoulder that pure white stands for: what is behind it is unknown, so taken as a little over."""


def decode(encoded: np.ndarray) -> np.ndarray:
    """sRGB 0–1 → linear light 0–1."""
    return np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)


def encode(light: np.ndarray) -> np.ndarray:
    """Linear light 0–1 → sRGB 0–1."""
    light = np.clip(light, 0.0, 1.0)
    return np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)


def levels() -> np.ndarray:
    """(4096,) the values 0 … 1 at which curves are tabulated."""
    return np.linspace(0.0, 1.0, POINTS)


def apply_curves(photo: np.ndarray, curves: np.ndarray, *, smooth: bool = False) -> np.ndarray:
    """Send every value through a table.

    Args:
        photo: (H, W, 3) float32, 0 … 1.
        curves: (4096,) for all channels or (3, 4096) for one each, values at :func:`levels`.
        smooth: interpolate between those, for photos of more than 12 bits.
    """
    table = np.ascontiguousarray(np.clip(curves, 0.0, 1.0), np.float32)
    offsets = np.arange(3, dtype=np.intp) * (POINTS if table.ndim == 2 else 0)
    out = np.empty_like(photo)
    rows = max(1, BLOCK // photo.shape[1])
    for top in range(0, photo.shape[0], rows):
        place = photo[top : top + rows] * np.float32(POINTS - 1)
        if smooth:
            low = np.minimum(place.astype(np.intp), POINTS - 2)
            part, low = place - low, low + offsets
            start = table.ravel()[low]
            out[top : top + rows] = start + part.astype(np.float32) * (table.ravel()[low + 1] - start)
            continue
        index = (place + np.float32(0.5)).astype(np.intp) + offsets
        np.take(table.ravel(), index, out=out[top : top + rows], mode="clip")
    return out


def scale_light(gain: float, knee: float) -> np.ndarray:
    """(4096,) curve that multiplies light by ``gain`` under a soft shoulder that begins at ``knee`` (linear, 0–1).

    The shoulder is opened before and closed after, so that a gain and its inverse undo each other, white stays white
    when light is taken away (a lamp is still a lamp) and highlights roll off when light is added.
    """
    rest = 1.0 - knee
    light = decode(levels()) * _HELD
    over = np.maximum(light - knee, 0.0) / rest
    scene = np.where(light > knee, knee - rest * np.log1p(-over), light)
    scene = scene * gain
    closed = np.where(scene > knee, knee + rest * -np.expm1(-(np.maximum(scene, knee) - knee) / rest), scene)
    return encode(closed / _HELD)


STOPS = {
    0.33: ("a third of a stop",),
    0.5: ("half a stop",),
    0.67: ("two thirds of a stop",),
    1.0: ("one stop", "a stop"),
    1.33: ("one and a third stops",),
    1.5: ("one and a half stops", "a stop and a half"),
    1.67: ("one and two thirds stops",),
    2.0: ("two stops",),
    2.5: ("two and a half stops",),
    3.0: ("three stops",),
}
"""Exposure values as photographers say them."""


def stops(amount: float) -> Sequence[str]:
    """An exposure value in natural words."""
    number = f"{amount:.1f} EV"
    if amount < 0.2:
        return (number, "a fraction of a stop")
    nearest = min(STOPS, key=lambda stop: abs(stop - amount))
    approximate = [f"{about} {words}" for words in STOPS[nearest] for about in ("about", "roughly", "around")]
    return (*approximate, *STOPS[nearest], number, f"about {number}")


def percents(amount: float) -> Sequence[str]:
    """A percentage in natural words."""
    rounded = max(1, round(amount)) if amount < 10 else 5 * round(amount / 5)
    return tuple(
        f"{about}{rounded}{sign}" for about in ("", "about ", "roughly ", "some ") for sign in ("%", " percent")
    )


class Scaled(Edit):
    """An edit that multiplies; its amount, per cent, brings the value back: increase +100 for a half, decrease −50 for
    double (the sign is in the direction).
    """

    wordings = staticmethod(percents)

    @abstractmethod
    def factor(self, direction: str, severity: float) -> float:
        """What is multiplied by, below 1 where the remedy is to increase."""

    def amount(self, direction: str, severity: float) -> float:
        factor = self.factor(direction, severity)
        return 100 * (1 / factor - 1) if direction == "increase" else 100 * (1 - 1 / factor)
