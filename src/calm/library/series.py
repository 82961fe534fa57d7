"""Series of a shoot: bursts and near-duplicates, exposure brackets, focus stacks and panoramas.

Photos are candidates where the camera's clock, the order of brightness or the model's features say so, and belong
together where they can be laid over one another. Two that show the same are near-duplicates; frames side by side are a
panorama; frames at steps of exposure a bracket; frames that are sharp in different places a stack.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import cv2
import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from calm.library.sharpness import FINER, focus_grid
from calm.library.sketch import Overlay, Sketch, corners, in_place, overlay, warp

Kind = Literal["burst", "bracket", "stack", "panorama"]
WHOLE: tuple[Kind, ...] = ("bracket", "stack", "panorama")
"""Kinds whose frames make one picture together: they are kept or left as a whole."""

NEIGHBOURS = 8
"""Photos that are looked at as candidates, by either likeness."""
SOON, AT_ONCE = 30.0, 2.0
"""Seconds within which the next photos are candidates, and within which likeness of features is enough."""
ALIKE, ALIKE_AT_ONCE, SAME_ORDER = 0.95, 0.9, 0.9
"""Cosine of features, and of the order of brightness, from which photos that share no points are near-duplicates.
Photos of different scenes stay below .93 and .87 (300 of animals and clothes)."""
SAME, BESIDE = 0.6, 0.1
"""Share of a frame that near-duplicates have in common, and that frames side by side have."""
APART, WIDER = 0.25, 1.35
"""Frames by which the places of a panorama lie apart, and which it is at least long."""
PLACES = 0.6
"""Places of a panorama for each of its frames, at least: else it is a burst from several places."""
HANDHELD = 0.5
"""Seconds between frames below which it is no panorama but a camera that follows something."""
STEP, LEVEL = 0.6, 0.35
"""EV between the levels of a bracket, at least, and within a level at most."""
STEADY = 0.8
"""Share that all frames of a bracket or stack have in common with one of them."""
SHARPER, PARTS = 0.06, 0.065
"""Two frames of a stack are each by so much the sharpest of all in such a share of the parts."""
BEYOND, CROSSED, MOST = 0.05, 0.009, 0.5
"""Two frames are focused apart where sharpness beyond :data:`BEYOND` that each has over the other, averaged over all
parts, is so much both ways; half of the frames of a stack are focused apart from another."""


Links = dict[tuple[int, int], Overlay]
"""How photos lie over one another, by their places i < j."""
Compared = dict[tuple[int, int], Overlay | None]
"""The same of all that were compared; None for those that do not belong together."""
Progress = Callable[[list[tuple[int, int]]], Iterable[tuple[int, int]]]


@dataclass(frozen=True)
class Series:
    """Photos that belong together.

    Attributes:
        members: their places in the shoot, in its order.
        kind: what they are.
        brighter: EV by which each is brighter than the first.
    """

    members: tuple[int, ...]
    kind: Kind
    brighter: tuple[float, ...]


def find_series(
    sketches: Sequence[Sketch], features: np.ndarray, progress: Progress = iter, known: Compared | None = None
) -> list[Series]:
    """The series of a shoot, in the order of their first members.

    Args:
        sketches: of all photos, in the order that they were taken in as far as that is known.
        features: (n, d) of the model; their cosine says how alike two photos are.
        progress: goes through the pairs that are compared.
        known: those that were before, to which the others are added as they are.
    """
    rows = features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-9)
    near = candidates(sketches, rows)
    known = {} if known is None else known
    links, tried, waiting = Links(), set[tuple[int, int]](), near
    while waiting:
        for i, j in progress(sorted(waiting - known.keys())):
            known[i, j] = _link(sketches[i], sketches[j], float(rows[i] @ rows[j]))
        links |= {pair: link for pair in sorted(waiting) if (link := known[pair]) is not None}
        tried |= waiting
        waiting = _farther(links, near) - tried
    together = [found for members in _joined(links) for found in _divide(members, links, sketches)]
    return sorted(together, key=lambda series: series.members)


def candidates(sketches: Sequence[Sketch], rows: np.ndarray) -> set[tuple[int, int]]:
    """Pairs (i < j) that may belong together: close by features, by order of brightness, or in time."""
    found: set[tuple[int, int]] = set()
    for likeness in (rows.astype(np.float32), np.stack([each.order for each in sketches])):
        count = min(NEIGHBOURS + 1, len(sketches))
        for start in range(0, len(sketches), 1024):
            near = np.argsort(-(likeness[start : start + 1024] @ likeness.T), axis=1, kind="stable")[:, :count]
            found |= {(i, int(j)) for i, row in enumerate(near, start) for j in row}
    for i, one in enumerate(sketches):
        for j in range(i + 1, min(i + 4, len(sketches))):
            if one.taken is None or _apart(one, sketches[j]) <= SOON:
                found.add((i, j))
    return {(min(pair), max(pair)) for pair in found if pair[0] != pair[1]}


def _farther(links: Links, near: set[tuple[int, int]]) -> set[tuple[int, int]]:
    """Further pairs: a frame of a panorama, and candidates of the frame beside it, which may look like that alone."""
    around: defaultdict[int, set[int]] = defaultdict(set)
    for i, j in near:
        around[i].add(j)
        around[j].add(i)
    beside = [pair for pair, link in links.items() if link.shared < SAME]
    found = {(i, other) for a, b in beside for i, j in ((a, b), (b, a)) for other in around[j]}
    return {(min(pair), max(pair)) for pair in found if pair[0] != pair[1]}


def _link(one: Sketch, other: Sketch, likeness: float) -> Overlay | None:
    """How two photos belong together, if they do."""
    found = overlay(one, other)
    if found is not None:
        return found if found.shared >= BESIDE and 0.7 < found.scale < 1.4 else None
    if (_apart(one, other) <= AT_ONCE and likeness >= ALIKE_AT_ONCE) or (
        likeness >= ALIKE and float(one.order @ other.order) >= SAME_ORDER
    ):
        return in_place(one, other, -1.0) or Overlay(np.eye(3), 1.0, 1.0, 0.0, 0)
    return None


def _apart(one: Sketch, other: Sketch) -> float:
    """Seconds between two photos; infinite where they are not known."""
    return np.inf if one.taken is None or other.taken is None else abs(one.taken - other.taken)


def _joined(pairs: Iterable[tuple[int, int]]) -> list[list[int]]:
    """Photos that pairs connect, each group and all groups in order."""
    edges = np.array(sorted(pairs), int).reshape(-1, 2)
    members, places = np.unique(edges, return_inverse=True)
    rows, columns = places.reshape(-1, 2).T
    graph = coo_array((np.ones(len(edges)), (rows, columns)), shape=(len(members), len(members)))
    groups: defaultdict[int, list[int]] = defaultdict(list)
    for member, group in zip(members.tolist(), connected_components(graph, directed=False)[1], strict=True):
        groups[group].append(member)
    return list(groups.values())


def _divide(members: list[int], links: Links, sketches: Sequence[Sketch]) -> Iterator[Series]:
    """The series that linked photos make: one panorama, or what is left of them when frames side by side are parted."""
    placed = _place(members, links)
    if _is_panorama(members, placed, sketches):
        yield _series(members, "panorama", placed)
        return
    inside = set(members)
    same = [pair for pair, link in links.items() if link.shared >= SAME and inside >= set(pair)]
    for part in _joined(same):
        placed = _place(part, links)
        yield _series(part, _kind(part, placed, sketches), placed)


def _series(members: list[int], kind: Kind, placed: dict[int, Overlay]) -> Series:
    first = placed[members[0]].brighter
    return Series(tuple(members), kind, tuple(first - placed[each].brighter for each in members))


def _place(members: list[int], links: Links) -> dict[int, Overlay]:
    """How every member lies over the one that has most in common with the others.

    ``shared`` and ``points`` are those of the last step on the way there.
    """
    near: defaultdict[int, dict[int, Overlay]] = defaultdict(dict)
    inside = set(members)
    for (i, j), link in links.items():
        if i in inside and j in inside:
            near[i][j], near[j][i] = link, link.back()
    root = max(members, key=lambda each: (sum(link.shared for link in near[each].values()), -each))
    placed, waiting = {root: Overlay(np.eye(3), 1.0, 1.0, 0.0, 0)}, deque([root])
    while waiting:
        here = waiting.popleft()
        for other, link in sorted(near[here].items(), key=lambda each: (-each[1].shared, each[0])):
            if other not in placed:
                back, base = link.back(), placed[here]
                matrix, brighter = base.matrix @ back.matrix, base.brighter + back.brighter
                placed[other] = Overlay(matrix, link.shared, base.scale * back.scale, brighter, link.points)
                waiting.append(other)
    return placed


def _is_panorama(members: list[int], placed: dict[int, Overlay], sketches: Sequence[Sketch]) -> bool:
    """Whether frames of one scale lie side by side, most of them at a place of their own."""
    times = [sketches[each].taken for each in members]
    known = sorted(each for each in times if each is not None)
    if len(known) == len(times) and np.median(np.diff(known)) < HANDHELD:
        return False
    outlines = np.stack([warp(placed[each].matrix, corners(sketches[each].frame)) for each in members])
    size = np.median(np.ptp(outlines, axis=1), axis=0)
    if (np.ptp(outlines.reshape(-1, 2), axis=0) / size).max() < WIDER:
        return False
    places: list[np.ndarray] = []
    for centre in outlines.mean(axis=1):
        if all((np.abs(centre - other) / size).max() >= APART for other in places):
            places.append(centre)
    return len(places) >= max(2, PLACES * len(members))


def _kind(members: list[int], placed: dict[int, Overlay], sketches: Sequence[Sketch]) -> Kind:
    """What near-duplicates are."""
    steady = all(placed[each].shared >= STEADY for each in members)
    if steady and _is_bracket([-placed[each].brighter for each in members], [sketches[each] for each in members]):
        return "bracket"
    if steady and len(members) >= 3 and _is_stack(members, placed, sketches):
        return "stack"
    return "burst"


def _is_bracket(light: Sequence[float], frames: Sequence[Sketch]) -> bool:
    """Whether frames stand at equal steps of light, as many at each; and the camera's settings, if known, agree.

    A step to a frame that is mostly black or burnt out is at least as large as it looks, so it need not be equal.
    """
    known = [each.exposure for each in frames if each.exposure is not None]
    settings = len(known) == len(light)
    if settings and max(known) - min(known) < STEP:
        return False
    order = np.argsort(light, kind="stable")
    ordered = np.asarray(light)[order]
    levels = np.split(order, np.flatnonzero(np.diff(ordered) > LEVEL) + 1)
    gaps = np.diff([float(np.mean(np.asarray(light)[level])) for level in levels])
    lost = [any(frames[each].lost for each in level) for level in levels]
    equal = [gap for gap, *ends in zip(gaps, lost, lost[1:], strict=False) if not any(ends)] or [1.0]
    return (
        len(levels) >= (2 if settings else 3)
        and len({len(level) for level in levels}) == 1
        and gaps.min() >= STEP
        and max(equal) <= 2 * min(equal)
    )


def _is_stack(members: list[int], placed: dict[int, Overlay], sketches: Sequence[Sketch]) -> bool:
    """Whether frames are focused in different places, and not one softer than another as a whole.

    The first plane or the last of a stack may be sharp nowhere, so no more than two frames have to be.
    """
    grids = np.stack([_laid(sketches[each], placed[each].matrix) for each in members])
    measured = np.isfinite(grids).all(axis=0)
    if not measured.any():
        return False
    seen = grids[:, measured]  # (frames, parts)
    best, second = -np.sort(-seen, axis=0)[:2]
    winners = np.where(best - second >= SHARPER, seen.argmax(axis=0), -1)
    if sorted(float(np.mean(winners == frame)) for frame in range(len(members)))[-2] < PARTS:
        return False
    crossing = [pair for pair in combinations(range(len(members)), 2) if _focused_apart(grids[list(pair)], measured)]
    return len({frame for pair in crossing for frame in pair}) >= MOST * len(members)


def _focused_apart(grids: np.ndarray, measured: np.ndarray) -> bool:
    """Whether each of two grids (2, CELLS, CELLS) of sharpness exceeds the other somewhere, of the parts told of."""
    difference, weight = np.where(measured, grids[0] - grids[1], 0).astype(np.float32), measured.astype(np.float32)
    around = cv2.blur(difference, (3, 3))[measured] / cv2.blur(weight, (3, 3))[measured]
    return min(float(np.clip(way - BEYOND, 0, None).mean()) for way in (around, -around)) >= CROSSED


def _laid(sketch: Sketch, matrix: np.ndarray) -> np.ndarray:
    """(CELLS, CELLS) the parts' sharpness as they lie over the root of :func:`_place`; nan outside."""
    to_parts = np.diag([FINER / sketch.frame[0], FINER / sketch.frame[1], 1.0])
    fitting = to_parts @ matrix @ np.linalg.inv(to_parts)
    return focus_grid(
        np.stack([cv2.warpPerspective(each, fitting, (FINER, FINER), borderValue=np.nan) for each in sketch.detail])
    )
