"""A whole shoot from frames to verdicts: series are found, looked at closely and compared, and the plan is made."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from calm.errors import PhotoError
from calm.library.comparison import Standing, line_up
from calm.library.culling import Preset, Verdict, fault_of, plan
from calm.library.look import Frame
from calm.library.series import WHOLE, Compared, Progress, Series, find_series
from calm.library.sharpness import CELLS, focus_grid
from calm.library.sketch import Sketch
from calm.library.study import BLACK, WHITE, Study, Subjects, study

CLEAR = 0.15
"""Sharpness by which the middle of a frame exceeds what counts as soft when no closer look is needed; that of
:func:`energies` is read at twice the size, where it is lower."""
DARK, LOST = 45, 0.15
"""Median brightness of a frame (0–255) and share of it that is white from which a closer look is taken."""
UNKNOWN = Study(None, None, 0.0, 0.0, 0.0, 255.0)
"""Of a photo that cannot be read any more."""


@dataclass(frozen=True)
class Shoot:
    """Frames in the order that they were taken in, their series, and how frames of a series stand to each other.

    Attributes:
        standings: of each series, best first; empty for one that is kept whole.
        studies: of the frames that a closer look was taken at, by place.
    """

    frames: Sequence[Frame]
    series: list[Series]
    standings: list[list[Standing]]
    studies: dict[int, Study]

    def cull(self, keep: int, preset: Preset, *, diverse: bool = False) -> list[Verdict]:
        """A verdict for every frame, see :func:`calm.library.culling.plan`."""
        together = {each for series in self.series if series.kind in WHOLE for each in series.members}
        found = {each: fault_of(seen, preset) for each, seen in self.studies.items() if each not in together}
        faults = {each: fault for each, fault in found.items() if fault}
        return plan(self.frames, self.series, self.standings, faults, keep, preset, diverse=diverse)


def compare(
    frames: Sequence[Frame],
    subjects: Callable[[], Subjects],
    soft: float,
    *,
    develop: bool = False,
    progress: Callable[[list[int]], Iterable[int]] = iter,
) -> Shoot:
    """Finds series, and looks closely at the frames of bursts and at those that may have a fault.

    Args:
        frames: in the order that they were taken in.
        subjects: gives what finds subjects; asked only where a closer look is needed.
        soft: sharpness that a preset calls soft.
        progress: goes through the frames to be looked at, and shows how far it is.
    """
    found = series_of(frames)
    closer = to_study(frames, found, soft)
    find = subjects() if closer else lambda pixels: None
    studies = {}
    for each in progress(closer):
        try:
            studies[each] = study(frames[each].path, find, develop=develop)
        except PhotoError:  # it went away since; its score stays
            studies[each] = UNKNOWN
    return lined_up(frames, found, studies)


def series_of(frames: Sequence[Frame], progress: Progress = iter, known: Compared | None = None) -> list[Series]:
    """The series of frames, see :func:`calm.library.series.find_series`."""
    if not frames:
        return []
    return find_series(
        [frame.sketch for frame in frames], np.stack([frame.features for frame in frames]), progress, known
    )


def to_study(frames: Sequence[Frame], found: Sequence[Series], soft: float) -> list[int]:
    """Places of the frames that a closer look is taken at: those of bursts, and those that may have a fault."""
    bursts = {each for series in found if series.kind not in WHOLE for each in series.members}
    whole = {each for series in found if series.kind in WHOLE for each in series.members}
    doubtful = {each for each, frame in enumerate(frames) if is_doubtful(frame.sketch, soft)} - whole
    return sorted(bursts | doubtful)


def lined_up(frames: Sequence[Frame], found: list[Series], studies: dict[int, Study]) -> Shoot:
    """The shoot, once there are the studies of the frames :func:`to_study`."""
    standings = [[] if series.kind in WHOLE else line_up(series, frames, studies) for series in found]
    return Shoot(frames, found, standings, studies)


def is_doubtful(drawn: Sketch, soft: float) -> bool:
    """Whether a photo may have a technical fault, by its sketch: soft in its middle, dark, or white in places."""
    edge = CELLS // 4
    middle = focus_grid(drawn.detail)[edge:-edge, edge:-edge]
    sharp = float(np.nanpercentile(middle, 75)) if np.isfinite(middle).any() else 0.0
    dark = float(np.median(drawn.small)) < DARK or float((drawn.small <= BLACK).mean()) > LOST
    return sharp < soft + CLEAR or dark or float((drawn.small >= WHITE).mean()) > LOST
