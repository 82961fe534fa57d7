"""A closer look at one photo: how sharp its subject is at native pixels, and whether the subject's light is lost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from calm.data.images import REFERENCE, load_photo
from calm.edits.subject import subject_map
from calm.errors import WeightsError
from calm.library.sharpness import Sharpness, energies, focus_grid, sharpness
from calm.library.sketch import shrink

NATIVE = 1 << 20
"""A reference long edge, in pixels, that no photo reaches: nothing is made smaller."""
SHOWN = 512
"""Long edge, pixels, at which a photo that is soft is soft for anybody: about as an overview shows it."""
STANDS_OUT = 0.4
"""Share of a subject map's peak from which a place belongs to the subject."""
NOWHERE = 1e-6
"""Peak of a subject map that has none: as where the subject is not known, the middle is looked at."""
AROUND = 0.05
"""Weight of what is around the subject, so that a subject without any edge is not judged by nothing."""
BLACK, WHITE = 12, 250
"""Brightness, 0–255, at which nothing is left to be seen."""
Subjects = Callable[[np.ndarray], np.ndarray | None]
"""(H, W, 3) uint8 → map of the subject (h, w), 0–1; None where it is not known."""


@dataclass(frozen=True)
class Study:
    """What was found.

    Attributes:
        native: sharpness of the subject in the photo's own pixels; None where nothing in it is sharp or soft.
        shown: the same at a long edge of :data:`SHOWN` pixels.
        elsewhere: the sharpest tenth of the frame at that size.
        dark, burnt: shares of the subject that are black and white.
        brightest: brightness, 0–255, that a tenth of the frame exceeds.
    """

    native: Sharpness | None
    shown: Sharpness | None
    elsewhere: float
    dark: float
    burnt: float
    brightest: float


def study(path: str, subjects: Subjects, *, develop: bool = False) -> Study:
    """A closer look at a photo. Raises :class:`PhotoError` where it cannot be read any more."""
    return study_pixels(load_photo(path, reference=NATIVE, develop=develop).pixels, subjects)


def study_pixels(pixels: np.ndarray, subjects: Subjects) -> Study:
    """The same of a photo's own pixels, (H, W, 3) uint8."""
    small = shrink(pixels, REFERENCE)
    grey = cv2.cvtColor(shrink(small, SHOWN), cv2.COLOR_RGB2GRAY)
    found = subjects(small)
    weight = subject_map(found if found is not None and found.max() > NOWHERE else None, *grey.shape)
    weight = weight / float(weight.max())
    grid = focus_grid(energies(grey))
    elsewhere = float(np.nanpercentile(grid, 90)) if np.isfinite(grid).any() else 0.0
    inside = grey[weight >= STANDS_OUT]
    dark, burnt = float((inside <= BLACK).mean()), float((inside >= WHITE).mean())
    shown = sharpness(grey, weight + AROUND)
    return Study(_native(pixels, weight), shown, elsewhere, dark, burnt, float(np.percentile(grey, 90)))


def find_subjects() -> Subjects:
    """Maps by the saliency decoder that comes with the packaged encoder; none where that is not installed."""
    from calm.model.saliency import Saliency

    try:
        maps = Saliency()
    except WeightsError:
        return lambda pixels: None
    return lambda pixels: maps.of([pixels])[0]


def _native(pixels: np.ndarray, weight: np.ndarray) -> Sharpness | None:
    """Sharpness of the subject in native pixels, read in the rectangle around it."""
    rows, columns = (np.flatnonzero((weight >= STANDS_OUT).any(axis=axis)) for axis in (1, 0))
    inside = weight[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    high, wide = (side / part for side, part in zip(pixels.shape[:2], weight.shape, strict=True))
    part = pixels[
        int(rows[0] * high) : int((rows[-1] + 1) * high), int(columns[0] * wide) : int((columns[-1] + 1) * wide)
    ]
    grey = cv2.cvtColor(np.ascontiguousarray(part), cv2.COLOR_RGB2GRAY)
    return sharpness(grey, cv2.resize(inside, grey.shape[::-1], interpolation=cv2.INTER_LINEAR) + AROUND)
