"""Shoots of clients: a sketch of each photo is remembered, no photo, and what to keep is planned as ``calm cull`` does.

What takes long, the search for series and a closer look at single photos, is done by one thread, one request at a time.
"""

from __future__ import annotations

import asyncio
import functools
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from calm.data.images import load_photo
from calm.errors import AbandonedError
from calm.library.culling import count_of, load_preset
from calm.library.look import Frame, in_order
from calm.library.series import Compared, Series
from calm.library.shoot import UNKNOWN, lined_up, series_of, to_study
from calm.library.study import NATIVE, Study, Subjects, find_subjects, study_pixels
from calm.serve.shoot_schema import CullRequest

T = TypeVar("T")
Given = Callable[[], bool]
"""Says whether nobody waits for the answer any more."""
PLANS, BUDGET = 4, 10.0
"""Shoots whose series are remembered, so that another number of photos to keep is answered at once; and seconds that
one request compares photos for, at most: the next one goes on."""


@dataclass
class _Seen:
    """A photo that was described.

    Attributes:
        study: of a closer look; None before.
    """

    frame: Frame
    study: Study | None = None


@dataclass
class _Found:
    """What is known of a shoot's series; None where some photos are still to be compared."""

    frames: list[Frame]
    compared: Compared = field(default_factory=dict)
    series: list[Series] | None = None


class _LaterError(Exception):
    """The time is up."""

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share


class Shoots:
    """Remembers photos by caller and uuid. Every method may be called from any thread.

    Args:
        most: photos of all callers that are remembered; the ones used last are kept.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self._seen: OrderedDict[tuple[str | None, str], _Seen] = OrderedDict()
        self._found: OrderedDict[tuple[int, ...], _Found] = OrderedDict()
        self._lock = threading.Lock()
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="calm-cull")

    def close(self) -> None:
        """End, once what is being done is done."""
        self._worker.shutdown(cancel_futures=True)

    def keep(self, caller: str | None, uuid: str, frame: Frame) -> None:
        """Remember a photo."""
        with self._lock:
            self._seen[caller, uuid] = _Seen(frame)
            self._seen.move_to_end((caller, uuid))
            while len(self._seen) > self.most:
                self._seen.popitem(last=False)

    def knows(self, caller: str | None, uuid: str) -> bool:
        """Whether a photo is remembered."""
        return (caller, uuid) in self._seen

    async def cull(self, caller: str | None, asked: CullRequest) -> dict[str, Any]:
        """The plan for a shoot, see :meth:`plan`. Who cancels this stops the work."""
        return await self._run(lambda given_up: self.plan(caller, asked, given_up))

    async def study(self, caller: str | None, uuid: str, data: bytes, pixels: int) -> None:
        """Take a closer look at a photo.

        Args:
            data: of its file.
            pixels: that are decoded, at most.

        Raises:
            PhotoError: for a photo that cannot be read.
        """

        def look(given_up: Given) -> None:
            native = load_photo("the image", data=data, reference=NATIVE, max_pixels=pixels, raw=False).pixels
            seen = self._recall(caller, uuid)
            if seen is not None:
                seen.study = study_pixels(native, self._subjects)

        await self._run(look)

    def plan(self, caller: str | None, asked: CullRequest, given_up: Given) -> dict[str, Any]:
        """A row a photo; none where the places of ``unknown`` photos are told instead, or only a share of the photos
        is ``compared`` yet. Those that ``closer`` tells would be judged better after a closer look.

        Raises:
            AbandonedError: where it is given up.
            UsageError: for a number to keep that is none.
        """
        photos = [self._recall(caller, each.uuid) for each in asked.photos]
        seen = [each for each in photos if each is not None]
        preset = load_preset(asked.preset)
        keep = count_of(asked.keep or preset.keep, len(photos))
        if len(seen) < len(photos):
            unknown = [i for i, each in enumerate(photos) if each is None]
            return {"data": [], "compared": 0.0, "unknown": unknown, "closer": []}
        named = [
            replace(each.frame, path=one.name or one.uuid, score=each.frame.score if one.score is None else one.score)
            for each, one in zip(seen, asked.photos, strict=True)
        ]
        places = {id(frame): i for i, frame in enumerate(named)}
        frames = in_order(named)
        order = [places[id(frame)] for frame in frames]
        try:
            found = self._series_of([seen[i].frame for i in order], given_up)
        except _LaterError as later:
            return {"data": [], "compared": later.share, "unknown": [], "closer": []}
        closer = to_study(frames, found, preset.soft)
        studies = {each: seen[order[each]].study or UNKNOWN for each in closer}
        verdicts = lined_up(frames, found, studies).cull(keep, preset, diverse=asked.diverse)
        rows = {
            i: {"index": i, "uuid": asked.photos[i].uuid, "decision": verdict.decision, "reason": verdict.reason}
            | {"rival": None if verdict.rival is None else order[verdict.rival]}
            | {"series": verdict.series, "series_kind": verdict.kind}
            for i, verdict in zip(order, verdicts, strict=True)
        }
        unstudied = sorted(order[each] for each in closer if seen[order[each]].study is None)
        return {"data": [rows[i] for i in range(len(rows))], "compared": 1.0, "unknown": [], "closer": unstudied}

    def _series_of(self, frames: list[Frame], given_up: Given) -> list[Series]:
        key = tuple(map(id, frames))  # which live as long as the entry does
        found = self._found.setdefault(key, _Found(frames))
        self._found.move_to_end(key)
        while len(self._found) > PLANS:
            self._found.popitem(last=False)
        if found.series is None:
            progress = functools.partial(_for_a_while, given_up, time.monotonic() + BUDGET, found.compared)
            found.series = series_of(frames, progress, found.compared)
            found.compared.clear()
        return found.series

    @functools.cached_property
    def _subjects(self) -> Subjects:
        return find_subjects()

    def _recall(self, caller: str | None, uuid: str) -> _Seen | None:
        with self._lock:
            found = self._seen.get((caller, uuid))
            if found is not None:
                self._seen.move_to_end((caller, uuid))
        return found

    async def _run(self, work: Callable[[Given], T]) -> T:
        given_up = threading.Event()
        try:
            return await asyncio.wrap_future(self._worker.submit(work, given_up.is_set))
        finally:
            given_up.set()


def _for_a_while(
    given_up: Given, until: float, compared: Compared, pairs: Sequence[tuple[int, int]]
) -> Iterator[tuple[int, int]]:
    """Goes through pairs until a time, one at least. Raises :class:`_LaterError` then."""
    for i, pair in enumerate(pairs):
        if given_up():
            raise AbandonedError("nobody waits for this plan any more")
        if i and time.monotonic() > until:
            raise _LaterError(len(compared) / (len(compared) + len(pairs) - i))
        yield pair
