"""Views: the whole frame at the encoder's size, and a crop that keeps native pixels.

At 224 pixels a soft 24-megapixel photo looks like its sharp twin. So a photo enters as its whole frame, squashed to a
square, and as a crop of the photo at a stated reference size (long edge 1024), where it is most textured. Fine detail,
noise and compression are told from the crop.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    import torch

SIZE = 224
"""Side of a view, pixels."""


@dataclass(frozen=True)
class Views:
    """Views of one photo.

    Attributes:
        whole: (S, S, 3) uint8, the whole frame squashed to a square.
        crops: (1, S, S, 3) uint8, the most textured place at native pixels; the whole frame where that is too small.
    """

    whole: np.ndarray
    crops: np.ndarray


def make_views(pixels: np.ndarray, size: int = SIZE) -> Views:
    """Views of a photo (H, W, 3) uint8, upright sRGB, at most 1024 px long edge."""
    whole = squash(pixels, size)
    crop, (height, width) = whole, pixels.shape[:2]
    if height >= size and width >= size and max(height, width) > size:
        top, left = textured_place(pixels, size)
        crop = pixels[top : top + size, left : left + size]
    return Views(whole, crop[None])


def squash(pixels: np.ndarray, size: int = SIZE) -> np.ndarray:
    """The whole frame as (size, size, 3) of any aspect: averaged down or interpolated up, unchanged if it fits."""
    height, width = pixels.shape[:2]
    if (height, width) == (size, size):
        return pixels
    shrinks = height >= size and width >= size
    return cv2.resize(pixels, (size, size), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)


def textured_place(pixels: np.ndarray, size: int) -> tuple[int, int]:
    """(top, left) of the square of ``size`` with the most gradient, on a grid of eighths of the free play."""
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY).astype(np.float32)
    energy = np.minimum(np.abs(cv2.Sobel(grey, cv2.CV_32F, 1, 0)) + np.abs(cv2.Sobel(grey, cv2.CV_32F, 0, 1)), 200)
    table = cv2.integral(energy)
    tops, lefts = (np.unique(np.linspace(0, side - size, 9).astype(int)) for side in pixels.shape[:2])
    y, x = tops[:, None], lefts[None, :]
    sums = table[y + size, x + size] - table[y, x + size] - table[y + size, x] + table[y, x]
    best = np.unravel_index(int(sums.argmax()), sums.shape)
    return int(tops[best[0]]), int(lefts[best[1]])


def normalise(views: np.ndarray | torch.Tensor, mean: Sequence[float], std: Sequence[float]) -> torch.Tensor:
    """Views (…, S, S, 3) uint8 → (…, 3, S, S) float32, as the encoder wants them."""
    import torch

    pixels = torch.as_tensor(views).movedim(-1, -3).contiguous().float()
    shape = (3, 1, 1)
    return pixels.div_(255).sub_(torch.tensor(mean).view(shape)).div_(torch.tensor(std).view(shape))
