"""Which frame of a series is the best, and why: compared within the series, where scores alone say little."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from calm.library.look import Frame
from calm.library.series import Series
from calm.library.sharpness import Sharpness
from calm.library.study import Study

SHARP, SHARPEST = 3.0, 0.7
"""Points of the score that sharpness 1 of the subject is worth, and the sharpness above which more is noise."""
LIGHT, SLIGHT = 0.6, 0.3
"""Points that an EV is worth by which a frame departs from the middle of its series, beyond :data:`SLIGHT`."""
WITHIN, BETWEEN = 0.25, 0.45
"""Points, within a series and between other photos, that make one the better with a probability of e / (1 + e) = .73.

The score is off by about .55 for any photo (calm eval para); frames of one series share most of that."""
TOLD = 0.15
"""Points from which sharpness or light is a reason."""


@dataclass(frozen=True)
class Standing:
    """A frame of a series as it stands to the others.

    Attributes:
        frame: its place in the shoot.
        score: 1–10.
        native: sharpness of the subject in native pixels; None where nothing in it is sharp or soft.
        brighter: EV to the middle of the series.
    """

    frame: int
    score: float
    native: Sharpness | None
    brighter: float

    @property
    def sharp(self) -> float:
        """Sharpness of the subject, 0 … .7."""
        return min(self.native.value, SHARPEST) if self.native else 0.0

    @property
    def light(self) -> float:
        """Points for its exposure, 0 or less."""
        return -LIGHT * max(0.0, abs(self.brighter) - SLIGHT)

    @property
    def total(self) -> float:
        """What frames of a series are ordered by, in points of the score."""
        return self.score + SHARP * self.sharp + self.light


def line_up(series: Series, frames: Sequence[Frame], studies: dict[int, Study]) -> list[Standing]:
    """The frames of a series, best first.

    Args:
        frames: of the whole shoot.
        studies: of the frames of this series.
    """
    middle = float(np.median(series.brighter))
    standings = [
        Standing(each, frames[each].score, studies[each].native, brighter - middle)
        for each, brighter in zip(series.members, series.brighter, strict=True)
    ]
    return sorted(standings, key=lambda each: (-each.total, each.frame))


def certainty(points: float, scale: float) -> float:
    """Probability that a photo ahead by so many points is the better one."""
    return 1 / (1 + math.exp(-points / scale))


def why(better: Standing, worse: Standing, name: str) -> str:
    """What sets a frame behind a better one of its series, which is called ``name``."""
    sharp, light = SHARP * (better.sharp - worse.sharp), better.light - worse.light
    score = better.score - worse.score
    if sharp >= max(TOLD, light):
        if better.native and worse.native and worse.native.moved(better.native):
            return f"shaken: blurred along one direction, {name} is not"
        return f"the subject is softer than in {name}"
    if light >= TOLD:
        return f"{abs(worse.brighter):.1f} EV {'darker' if worse.brighter < 0 else 'brighter'} than the series"
    sure = certainty(better.total - worse.total, WITHIN)
    if score <= 0:
        return f"hardly different from {name} ({sure:.0%} sure)"
    return f"scores {worse.score:.2f}, {name} {better.score:.2f} ({sure:.0%} sure)"


def above(better: Standing, worse: Standing, name: str) -> str:
    """What sets a frame above another one of its series, which is called ``name``."""
    sharp, light = SHARP * (better.sharp - worse.sharp), better.light - worse.light
    if sharp >= max(TOLD, light):
        return f"its subject is sharper than in {name}"
    if light >= TOLD:
        return f"better exposed than {name} by {abs(worse.brighter) - abs(better.brighter):.1f} EV"
    sure = certainty(better.total - worse.total, WITHIN)
    if better.score <= worse.score:
        return f"hardly different from {name} ({sure:.0%} sure)"
    return f"scores {better.score:.2f}, {name} {worse.score:.2f} ({sure:.0%} sure)"
