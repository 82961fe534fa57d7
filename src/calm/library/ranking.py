"""Photos in order within their folder, day or series, and what sets each above the next."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from calm.data.find import natural
from calm.data.images import Photo
from calm.inference.store import question_of
from calm.inference.tasks import Model, Result, Task
from calm.library.comparison import BETWEEN, Standing, above, certainty
from calm.library.look import Frame
from calm.library.series import Series
from calm.tasks.observation import FAULTS
from calm.types import CLASSES, Score

By = Literal["all", "folder", "day", "series"]
FAMILIAR = 0.5
"""Points that each better photo of the same scene costs a photo, where diversity is asked for."""
NAMED = 0.2
"""Probability of a fault from which it is named, where the better photo has half of that at most."""


@dataclass(frozen=True)
class FaultsTask(Task):
    """Probabilities of faults, (classes + 1,), in place of features."""

    @property
    def question(self) -> str:
        """See :class:`Task`."""
        return question_of("edit_probabilities")

    def ask(self, model: Model, photos: list[Photo]) -> list[Result]:
        """See :class:`Task`."""
        return [Result(Score(5.5, 0.0, ()), features=row) for row in model.edit_probabilities(photos)]


def groups_of(frames: Sequence[Frame], by: By, found: Sequence[Series]) -> dict[str, list[int]]:
    """Places of frames by the name of their group, groups in their natural order and series in that of their frames.

    A day is that of the camera's clock; photos without one, and photos of no series, come last.
    """
    names = {
        place: f"{series.kind} {number}"
        for number, series in enumerate(found if by == "series" else (), 1)
        for place in series.members
    }
    grouped: defaultdict[str, list[int]] = defaultdict(list)
    for place, frame in enumerate(frames):
        if by == "folder":
            names[place] = str(Path(frame.path).parent)
        elif by == "day" and frame.sketch.taken is not None:
            names[place] = str(np.datetime64(int(frame.sketch.taken), "s").astype("datetime64[D]"))
        grouped[names.get(place, "")].append(place)
    first = {name: [] if by == "series" else natural(name) for name in grouped}
    return {name: grouped[name] for name in sorted(grouped, key=lambda name: (not name, first[name], grouped[name]))}


def ranked(
    frames: Sequence[Frame],
    places: Sequence[int],
    standings: Mapping[int, Standing],
    scenes: Sequence[int] | None = None,
) -> list[int]:
    """Places best first: frames of one series by how they stand to each other, all others by score.

    Args:
        standings: of frames whose group is their series.
        scenes: of all frames; each better photo of its scene costs a photo :data:`FAMILIAR`. None to leave that out.
    """

    def value(place: int) -> float:
        return standings[place].total if place in standings else frames[place].score

    order = sorted(places, key=lambda place: (-value(place), place))
    if scenes is None:
        return order
    before: defaultdict[int, int] = defaultdict(int)
    costs = {}
    for place in order:
        costs[place] = FAMILIAR * before[scenes[place]]
        before[scenes[place]] += 1
    return sorted(order, key=lambda place: (costs[place] - value(place), place))


def reason_of(
    better: int,
    worse: int,
    frames: Sequence[Frame],
    standings: Mapping[int, Standing],
    faults: Callable[[int], np.ndarray | None],
    scenes: Sequence[int] | None = None,
) -> str:
    """What sets a photo above the next one of its group, in a few words.

    Args:
        faults: probabilities of :data:`calm.types.CLASSES` of a photo; None where they are not known.
    """
    name = frames[worse].name
    if better in standings and worse in standings:
        return above(standings[better], standings[worse], name)
    ahead = frames[better].score - frames[worse].score
    sure = certainty(ahead, BETWEEN)
    figures = f"scores {frames[better].score:.2f}, {name} {frames[worse].score:.2f} ({sure:.0%} sure)"
    if ahead < 0:
        return f"another scene; {figures}" if scenes is not None else figures
    own, other = faults(better), faults(worse)
    if own is None or other is None:
        return figures
    plain = [
        (float(theirs), fault)
        for fault, mine, theirs in zip(CLASSES, own, other, strict=False)
        if theirs >= max(NAMED, 2 * mine)
    ]
    if not plain:
        return figures
    probability, fault = max(plain)
    return f"{figures}; {name}: {FAULTS[fault]} ({probability:.0%})"
