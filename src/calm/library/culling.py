"""A plan for a shoot: what to keep, what perhaps, what to reject, each with its reason and its rival.

Nothing here touches a file. Frames that make one picture together (a bracket, a stack, a panorama) have one decision
and are never rejected. Faults of technique count before taste, and a photo with one is not kept to make up a number.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Literal

import numpy as np
import yaml

from calm.errors import UsageError
from calm.library.comparison import BETWEEN, WITHIN, Standing, above, certainty, why
from calm.library.look import Frame
from calm.library.series import WHOLE, Kind, Series
from calm.library.study import Study

Decision = Literal["keep", "maybe", "reject"]
DIM = 100
"""Brightness, 0–255, that a tenth of a frame exceeds where a black subject is a silhouette, as it was meant."""
PRESETS = Path(__file__).parent / "presets"
NUMBER = re.compile(r"(\d+(?:\.\d+)?)(%?)")


@dataclass(frozen=True)
class Preset:
    """How a shoot is culled; the files of :data:`PRESETS` say what each means."""

    keep: str
    soft: float
    shaken: float
    lost: float
    sure: float
    scene: int
    alike: float


@dataclass(frozen=True)
class Verdict:
    """What to do with one photo.

    Attributes:
        reason: begins with what it rests on: technical, series, set, scene or taste.
        rival: place of the photo that it stands against; None where there is none.
        series: number from 1 on; None for a photo by itself.
    """

    decision: Decision
    reason: str
    rival: int | None = None
    series: int | None = None
    kind: Kind | None = None


@dataclass(frozen=True)
class _Group:
    """A photo by itself, or a series.

    Attributes:
        frames: places, best first.
        kind: of a series that is kept whole.
        standings: of the frames of any other series.
    """

    frames: tuple[int, ...]
    kind: Kind | None = None
    standings: tuple[Standing, ...] = ()


def load_preset(name: str) -> Preset:
    """A preset by its name, or of a YAML file. Raises :class:`UsageError` where it has other keys than these."""
    known = sorted(path.stem for path in PRESETS.glob("*.yaml"))
    path = PRESETS / f"{name}.yaml" if name in known else Path(name)
    if not path.is_file():
        raise UsageError(f"expected a preset of {', '.join(known)}, or a YAML file, found {name!r}; name one of those")
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise UsageError(f"expected YAML in {path}, found: {' '.join(str(error).split())}; mend it") from error
    wanted = {each.name: {"str": str, "int": int, "float": float}[str(each.type)] for each in fields(Preset)}
    if not isinstance(found, dict) or set(found) != set(wanted):
        raise UsageError(
            f"expected the keys {', '.join(wanted)} in {path}, found {found!r}; copy {PRESETS}/everyday.yaml"
        )
    try:
        return Preset(**{key: kind(found[key]) for key, kind in wanted.items()})
    except (TypeError, ValueError) as error:
        raise UsageError(f"expected numbers in {path}, found: {error}; see {PRESETS}/everyday.yaml") from error


def count_of(keep: str, total: int) -> int:
    """How many of ``total`` photos "200" or "20%" are. Raises :class:`UsageError` for anything else."""
    match = NUMBER.fullmatch(keep.strip())
    if match is None or (not match[2] and "." in match[1]) or (match[2] and float(match[1]) > 100):
        raise UsageError(f"expected --keep 200 or --keep 20%, found {keep!r}; give a number or a percentage")
    return round(float(match[1]) / 100 * total) if match[2] else int(match[1])


def fault_of(seen: Study, preset: Preset) -> str | None:
    """What is technically wrong with a photo; None where nothing is."""
    if seen.dark >= preset.lost and seen.brightest < DIM:
        return "exposure is lost: the subject is black"
    if seen.burnt >= preset.lost:
        return "exposure is lost: the subject is burnt out"
    if seen.shown is None or seen.shown.value >= preset.soft:
        return None
    if seen.shown.uneven >= preset.shaken:
        return "shaken: the subject is blurred along one direction"
    if seen.elsewhere >= seen.shown.value + 0.2:
        return "missed focus: the subject is softer than what is around it"
    return "out of focus: nothing in it is sharp"


def plan(
    frames: Sequence[Frame],
    found: Sequence[Series],
    standings: Sequence[Sequence[Standing]],
    faults: dict[int, str],
    keep: int,
    preset: Preset,
    *,
    diverse: bool = False,
) -> list[Verdict]:
    """A verdict for every frame.

    Args:
        frames: of the whole shoot.
        found: its series.
        standings: the frames of each series, best first; empty for those that are kept whole.
        faults: what is technically wrong, by place of the frame.
        keep: photos to keep, at most; a set counts with all its frames.
        diverse: keep at most ``preset.scene`` photos of one scene.
    """
    ordered = {series.members: tuple(each) for series, each in zip(found, standings, strict=True)}
    alone = set(range(len(frames))).difference(*ordered)
    groups = [_Group((each,)) for each in sorted(alone)]
    for series in found:
        lined = ordered[series.members]
        whole = series.kind in WHOLE
        groups.append(
            _Group(
                series.members if whole else tuple(each.frame for each in lined), series.kind if whole else None, lined
            )
        )
    scenes = scenes_of(frames, found, preset.alike) if diverse and frames else list(range(len(frames)))
    choice = _choose(frames, groups, faults, keep, scenes, preset.scene)
    decide = _Decisions(frames, faults, choice, scenes, preset)
    verdicts = {each: verdict for group in groups for each, verdict in decide(group)}
    for number, series in enumerate(found, 1):
        for each in series.members:
            verdicts[each] = replace(verdicts[each], series=number, kind=series.kind)
    return [verdicts[each] for each in range(len(frames))]


def scenes_of(frames: Sequence[Frame], found: Sequence[Series], alike: float) -> list[int]:
    """A number for the scene of every frame: series are of one scene, and so is what looks like its best photo.

    Args:
        alike: cosine of features from which photos are of one scene.
    """
    rows = np.stack([frame.features for frame in frames])
    rows = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)
    together = {each: series.members for series in found for each in series.members}
    scenes, leaders = [-1] * len(frames), list[int]()
    for each in sorted(range(len(frames)), key=lambda place: (-frames[place].score, place)):
        if scenes[each] >= 0:
            continue
        near = rows[leaders] @ rows[each] if leaders else np.zeros(0)
        if not leaders or float(near.max()) < alike:
            leaders.append(each)
            near = np.append(near, 1.0)
        for member in together.get(each, (each,)):
            scenes[member] = int(near.argmax())
    return scenes


@dataclass(frozen=True)
class _Choice:
    """What is kept.

    Attributes:
        kept: places, in the order in which they were chosen.
        cut: the last photo that was kept for its score, or of a set its best; None where nothing is kept.
    """

    kept: tuple[int, ...]
    cut: int | None


def _choose(
    frames: Sequence[Frame],
    groups: Sequence[_Group],
    faults: dict[int, str],
    keep: int,
    scenes: Sequence[int],
    most: int,
) -> _Choice:
    """In turns: photos by themselves and the best of every series, then the seconds, as long as there is room.

    Args:
        most: photos of one of the ``scenes``; a set counts as one.
    """
    kept: list[int] = []
    used: Counter[int] = Counter()
    cut = None
    for turn in range(max((len(group.frames) for group in groups), default=0)):
        offers = []
        for group in groups:
            good = [each for each in group.frames if each not in faults]
            offer = group.frames[: len(group.frames) * (turn == 0)] if group.kind else good[turn : turn + 1]
            if offer:
                offers.append((-max(frames[each].score for each in offer), offer))
        for _, offer in sorted(offers, key=lambda each: (each[0], each[1][0])):
            scene = scenes[offer[0]]
            if len(kept) + len(offer) <= keep and used[scene] < most:
                kept += offer
                used[scene] += 1
                cut = max(offer, key=lambda each: frames[each].score) if turn == 0 else cut
    return _Choice(tuple(kept), cut)


@dataclass(frozen=True)
class _Decisions:
    """Gives every frame of a group its verdict, once it is known what is kept."""

    frames: Sequence[Frame]
    faults: dict[int, str]
    choice: _Choice
    scenes: Sequence[int]
    preset: Preset

    def __call__(self, group: _Group) -> Iterator[tuple[int, Verdict]]:
        if group.kind:
            verdict = self._of_set(group)
            yield from ((each, verdict) for each in group.frames)
            return
        good = [each for each in group.frames if each not in self.faults]
        best = good[0] if good else None
        for each in group.frames:
            if each in self.faults:
                yield each, Verdict("reject", f"technical: {self.faults[each]}", best)
            elif each == best:
                yield each, self._of_best(each, [place for place in good if place != each], group)
            else:
                assert best is not None
                yield each, self._of_other(each, best, group)

    def _of_set(self, group: _Group) -> Verdict:
        name = f"set: {group.kind} of {len(group.frames)}"
        if group.frames[0] in self.choice.kept:
            return Verdict("keep", f"{name}, kept whole")
        best, cut = max(self.frames[each].score for each in group.frames), self.choice.cut
        if cut is None or best >= self.frames[cut].score:
            return Verdict("maybe", f"{name}, left whole: there was no room for all of it", cut)
        behind = f"scores {best:.2f} at best, the last kept {self.frames[cut].score:.2f}"
        return Verdict("maybe", f"{name}, left whole: {behind}", cut)

    def _of_best(self, each: int, others: Sequence[int], group: _Group) -> Verdict:
        """Of the best of its series, or a photo by itself."""
        score = self.frames[each].score
        if each in self.choice.kept:
            if not others:
                place = sum(frame.score > score for frame in self.frames) + 1
                return Verdict("keep", f"taste: scores {score:.2f}, number {place} of {len(self.frames)}")
            standing = {one.frame: one for one in group.standings}
            words = above(standing[each], standing[others[0]], self.frames[others[0]].name)
            return Verdict("keep", f"series: best of {len(group.frames)}: {words}", others[0])
        return self._by_taste(each)

    def _of_other(self, each: int, best: int, group: _Group) -> Verdict:
        """Of a frame that its series has a better one than."""
        standing = {one.frame: one for one in group.standings}
        words = f"series: {why(standing[best], standing[each], self.frames[best].name)}"
        if each in self.choice.kept:
            return Verdict("keep", f"{words}; there was room", best)
        if best not in self.choice.kept:
            decision = self._by_taste(best).decision
            words += f"; that is {'left open' if decision == 'maybe' else 'rejected'} itself"
            if decision == "reject":
                return Verdict("reject", words, best)
        sure = certainty(standing[best].total - standing[each].total, WITHIN)
        return Verdict("maybe" if sure < self.preset.sure else "reject", words, best)

    def _by_taste(self, each: int) -> Verdict:
        """Of a photo that is behind those that are kept."""
        score, cut = self.frames[each].score, self.choice.cut
        if cut is None:
            return Verdict("reject", f"taste: scores {score:.2f}; there was no room")
        last = self.frames[cut].score
        sure = certainty(last - score, BETWEEN)
        decision: Decision = "maybe" if sure < self.preset.sure else "reject"
        like = next((kept for kept in self.choice.kept if self.scenes[kept] == self.scenes[each]), None)
        if score >= last and like is not None:
            return Verdict("maybe", f"scene: like {self.frames[like].name}, which is kept", like)
        return Verdict(decision, f"taste: scores {score:.2f}, the last kept {last:.2f} ({sure:.0%} sure)", cut)
