"""Looks: other ways to see the same frame that leave its worth as it is.

People would score the mirror image of a photo, or the photo without its outermost rim, all but alike. So a model may
learn from all of these, and a score read from several of them is surer than one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

LOOKS = ("frame", "mirrored", "closer")
"""The frame as it is, its mirror image, and the mirror image a step closer."""

RIM = 1 / 16
"""Share of the frame that a step closer takes away on each side."""


def look(views: Tensor, name: str) -> Tensor:
    """Frames (…, 3, S, S) seen in one of the :data:`LOOKS`; of the same shape.

    Raises:
        ConfigError: for a name that is none of them.
    """
    from torch.nn.functional import interpolate

    if name == "frame":
        return views
    if name == "mirrored":
        return views.flip(-1)
    if name != "closer":
        from calm.errors import ConfigError

        raise ConfigError(f"expected a look among {', '.join(LOOKS)}, found {name!r}; see calm.data.looks")
    side = views.shape[-1]
    rim = round(side * RIM)
    inner = views[..., rim : side - rim, rim : side - rim].flip(-1)
    closer = interpolate(inner.flatten(0, -4), size=(side, side), mode="bicubic", align_corners=False)
    return closer.view(views.shape)


def look_at(frame: np.ndarray, name: str) -> np.ndarray:
    """As :func:`look`, of one frame as pixels: (S, S, 3) uint8."""
    import torch

    seen = look(torch.tensor(frame).movedim(-1, 0).float()[None], name)[0]
    return seen.round().clamp(0, 255).byte().movedim(0, -1).numpy()


def cut(frame: np.ndarray, most: float, rng: np.random.Generator) -> np.ndarray:
    """A frame (S, S, 3) uint8 without a random part of its rim, back in its size: for training alone.

    Args:
        most: share of each side that is taken away at most, 0–1; how much, and from which end, is drawn for each side.
    """
    import cv2

    side = len(frame)
    kept = np.round(side * (1 - rng.uniform(0, most, 2))).astype(int)
    top, left = (int(rng.integers(side - each + 1)) for each in kept)
    part = frame[top : top + kept[0], left : left + kept[1]]
    return cv2.resize(part, (side, side), interpolation=cv2.INTER_CUBIC)
