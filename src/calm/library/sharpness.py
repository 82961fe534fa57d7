"""How sharp a photo is in one of its parts, whatever its content, contrast and exposure.

Edges are compared with themselves: the energy of gradients at a fine scale over that at a coarse one. It depends on how
wide an edge is and hardly on how strong it is (after Zhuo and Sim, Defocus map estimation, 2011).
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

FINE, COARSE = 1.0, 2.0
"""Standard deviations, pixels, of the blurs at which gradients are compared."""
FINER, CELLS = 48, 12
"""Sides of the grids of :func:`energies` and :func:`focus_grid`."""
FAINT = 0.5
"""Root of the mean squared coarse gradient, 0–255 a pixel, of a part in which nothing can be called sharp or soft."""
MOVED = 0.1
"""Sharpness that one direction has lost more than another when a photo differs from a sharper one by a movement."""
LITTLE = 0.1
"""Energy of a direction, as a share of the strongest, below which it does not count."""
STRIP, REACH = 1024, 16
"""Rows whose gradients are in memory at a time, and rows around them that the blur reaches."""


@dataclass(frozen=True)
class Sharpness:
    """How sharp a part is.

    Attributes:
        value: 0 (blurred) to about .7 (a step from one pixel to the next).
        ways: the same of edges across four directions; nan for one with little detail. A movement blurs one of them.
    """

    value: float
    ways: tuple[float, ...]

    @property
    def uneven(self) -> float:
        """By how much the sharpest direction exceeds the least sharp."""
        return float(np.nanmax(self.ways) - np.nanmin(self.ways))

    def moved(self, still: Sharpness) -> bool:
        """Whether it differs from a sharper photo of the same by a movement: one direction has lost far more."""
        lost = np.array(still.ways) - np.array(self.ways)
        if not np.isfinite(lost).any():
            return False
        most, least = float(np.nanmax(lost)), float(np.nanmin(lost))
        return most - least >= MOVED and least <= most / 2

    @property
    def width(self) -> float:
        """Standard deviation, pixels, of the blur that gives a step edge this value."""
        ratio = float(np.exp(2 * np.clip(self.value, 0.005, 0.69)))
        return float(np.sqrt(max(COARSE**2 - ratio * FINE**2, 0) / (ratio - 1)))


def sharpness(grey: np.ndarray, part: np.ndarray | None = None) -> Sharpness | None:
    """The sharpness of a photo's brightness (H, W), 0–255, weighted by ``part`` (H, W), 0–1; None where it is faint."""
    weight = np.ones(grey.shape, np.float32) if part is None else part.astype(np.float32)
    fine, coarse = np.zeros(4), np.zeros(4)
    for top in range(0, len(grey), STRIP):  # gradients of a whole photo of 60 megapixels would take 2 GB
        rows = slice(top, top + STRIP)
        first = max(0, top - REACH)
        kept = slice(top - first, min(top + STRIP, len(grey)) - first)
        for energy, scale in ((fine, FINE), (coarse, COARSE)):
            found = _gradients(grey[first : top + STRIP + REACH], scale)
            energy += [float((gradient[kept] ** 2 * weight[rows]).sum()) for gradient in found]
    if coarse[:2].sum() <= FAINT**2 * float(weight.sum()):
        return None
    known = coarse > LITTLE * coarse.max()
    ways = np.where(known, np.log(fine / np.where(known, coarse, 1) + 1e-9), np.nan)
    return Sharpness(float(np.log(fine[:2].sum() / coarse[:2].sum())), tuple(ways.tolist()))


def energies(grey: np.ndarray) -> np.ndarray:
    """(2, FINER, FINER) float32: the energy of fine and of coarse gradients in every part of a frame."""
    each = [sum(way**2 for way in _gradients(grey, scale)[:2]) for scale in (FINE, COARSE)]
    return np.stack([cv2.resize(energy, (FINER, FINER), interpolation=cv2.INTER_AREA) for energy in each])


def focus_grid(energy: np.ndarray) -> np.ndarray:
    """(CELLS, CELLS): the sharpness of every part of a frame by its :func:`energies`; nan where it is faint."""
    fine, coarse = (cv2.resize(each, (CELLS, CELLS), interpolation=cv2.INTER_AREA) for each in energy)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(coarse > FAINT**2, np.log(fine / coarse), np.nan)


def _gradients(grey: np.ndarray, scale: float) -> list[np.ndarray]:
    """Gradients (H, W) per pixel at a scale: across, down, and along both diagonals."""
    smooth = cv2.GaussianBlur(grey.astype(np.float32), (0, 0), scale)
    across, down = (cv2.Sobel(smooth, cv2.CV_32F, *way, scale=1 / 8) for way in ((1, 0), (0, 1)))
    root = np.float32(np.sqrt(0.5))
    return [across, down, (across + down) * root, (across - down) * root]
