"""The one way to a model: photos are decoded in threads, asked about in batches, and answered in order or by future.

Command line, Python interface, evaluation and server differ in where photos come from and where answers go; what
happens in between is here. A photo that fails, be it while decoding or in the model, gives a failed answer and the run
goes on. A model that fails on any photo ends the run with its own error.
"""

from __future__ import annotations

import functools
import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Self, TypeVar

from calm.errors import (
    AbandonedError,
    BusyError,
    CheckpointError,
    ConfigError,
    PhotoError,
    StoreError,
    UsageError,
    WeightsError,
)
from calm.inference.store import Stored
from calm.inference.tasks import Model, Result, Task
from calm.types import DEFAULT_BATCH_SIZE, Row

if TYPE_CHECKING:
    from calm.data.images import Photo

T = TypeVar("T")
logger = logging.getLogger(__name__)

TOGETHER, PATIENCE = 8, 0.1
"""Submitted photos that a batch has at least, a network takes as long for fewer (:data:`calm.inference.pipeline.ROWS`),
and seconds that it waits for them at most, while they are being decoded."""
NOT_OF_A_PHOTO = (AbandonedError, UsageError, ConfigError, WeightsError, CheckpointError, StoreError)
"""Errors that would come with every photo."""


@dataclass(frozen=True)
class Answer:
    """One photo's way through the engine: either ``result`` or ``error`` is set.

    Attributes:
        width, height: size in pixels as displayed, of the file and not of what the model saw.
        error: why the photo failed, on one line.
        note: what should be told of the photo besides.
    """

    path: str
    sha256: str | None = None
    width: int | None = None
    height: int | None = None
    result: Result | None = None
    error: str | None = None
    note: str | None = None


@dataclass
class _Item:
    """A photo on its way: decoded or failed."""

    path: str
    photo: Photo | None = None
    error: str | None = None


@dataclass(eq=False)
class _Request:
    """A submitted photo, which is decoded before it waits for the model."""

    source: str | Photo | Callable[[], Photo]
    task: Task
    answer: Future[Answer] = field(default_factory=Future)
    item: _Item | None = None


def _load(path: str, *, develop: bool) -> Photo:
    from calm.data.images import load_photo

    return load_photo(path, develop=develop)


class Engine:
    """Asks a model about photos. Every method may be called from any thread; the model is asked by one at a time.

    Args:
        model: a pipeline, or what answers like one.
        batch_size: photos a forward pass, at least 1. It changes the speed and never the result.
        workers: decoding threads, at least 1; None for as many as there are cores, at most 8.
        load: path → photo; raises :class:`PhotoError` for a photo that cannot be read. Runs in the decoding threads.
            None for :func:`calm.data.images.load_photo`.
        waiting: submitted photos without an answer, at most.
        develop: develop RAW files rather than look at their previews.
    """

    def __init__(
        self,
        model: Model,
        batch_size: int = DEFAULT_BATCH_SIZE,
        workers: int | None = None,
        load: Callable[[str], Photo] | None = None,
        waiting: int = 1024,
        develop: bool = False,
    ) -> None:
        workers = min(8, os.cpu_count() or 1) if workers is None else workers
        for name, value in (("batch size", batch_size), ("number of workers", workers), ("waiting photos", waiting)):
            if value < 1:
                raise UsageError(f"expected a {name} of at least 1, found {value}; leave it out for the default")
        self.model, self.batch_size, self.waiting, self.develop = model, batch_size, waiting, develop
        self.load = load or functools.partial(_load, develop=develop)
        self._decoders = ThreadPoolExecutor(workers, thread_name_prefix="calm-decode")
        self._asker = ThreadPoolExecutor(1, thread_name_prefix="calm-model")
        self._room = threading.Semaphore(waiting)
        self._asking, self._changed = threading.Lock(), threading.Condition()
        self._decoding = 0
        """Submitted photos that are still to be decoded."""
        self._decoded: list[_Request] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    def close(self) -> None:
        """Answer what was submitted and give the threads back. The engine takes no photos any more."""
        self._decoders.shutdown()
        self._asker.shutdown()

    def submit(
        self, photo: str | Photo | Callable[[], Photo], task: Task, patience: float | None = None
    ) -> Future[Answer]:
        """Ask about one photo; the future gives its :class:`Answer`, or raises what is not the photo's fault.

        Photos that wait at the same time are answered in one batch where their tasks are equal; a small batch waits a
        moment for photos that are being decoded. A future that is cancelled before its photo's turn costs nothing more.

        Args:
            photo: a path, a photo already decoded, or what decodes one as ``load`` does.
            patience: seconds to wait while there are ``waiting`` photos without an answer; None for ever.

        Raises:
            BusyError: where there were as many until the end of ``patience``.
        """
        if not self._room.acquire(timeout=patience):
            raise BusyError(
                f"expected fewer than {self.waiting} photos to wait for an answer, found as many; try again later"
            )
        request = _Request(photo, task)
        request.answer.add_done_callback(lambda done: self._room.release())
        with self._changed:
            self._decoding += 1
        try:
            decoding = self._start(self._decoders, self._prepare, request)
        except UsageError:
            self._decode_ended()
            raise
        decoding.add_done_callback(self._decode_ended)
        request.answer.add_done_callback(lambda done: decoding.cancel())
        return request.answer

    def rows(self, sources: Iterable[str | Photo], task: Task) -> Iterator[Row]:
        """Yields one :class:`Row` a photo, in the order of ``sources``."""
        for answer in self.answers(sources, task):
            yield self.row(answer)

    def answers(self, sources: Iterable[str | Photo], task: Task) -> Generator[Answer]:
        """Yields one :class:`Answer` a photo, in the order of ``sources`` (paths, or photos already decoded).

        While the model works on one batch (or on as many as the task is best asked in) the next two are being decoded;
        no more than that is in memory. Batches depend on nothing but the order. Of a :class:`Stored` model, photos
        whose answer is known are not decoded.
        """
        remaining, size = iter(sources), self.batch_size * task.batches
        ahead: deque[Future[_Item]] = deque()
        try:
            while True:
                for source in islice(remaining, size + 2 * self.batch_size - len(ahead)):
                    ahead.append(self._start(self._decoders, self._decode, source, task))
                if not ahead:
                    return
                batch = [ahead.popleft().result() for _ in range(min(size, len(ahead)))]
                yield from self._answer(batch, task)
        finally:
            for decoding in ahead:
                decoding.cancel()

    def row(self, answer: Answer) -> Row:
        """The answer as one row of an output table."""
        row = Row(answer.path, answer.sha256, answer.width, answer.height, note=answer.note)
        row.model, row.model_sha256, row.preprocess = self.model.name, self.model.sha256, self.model.preprocess
        if answer.result is None:
            row.status, row.error = "failed", answer.error
            return row
        score = answer.result.score
        row.score, row.score_std, row.distribution = score.value, score.std, list(score.distribution)
        row.profile = answer.result.profile
        row.extra |= columns_of(answer.result)
        return row

    # ------------------------------------------------------------------------------------------------ submitted

    def _start(self, pool: ThreadPoolExecutor, work: Callable[..., T], *given: object) -> Future[T]:
        try:
            return pool.submit(work, *given)
        except RuntimeError as error:
            raise UsageError("expected an engine that takes photos, found it closed; open another one") from error

    def _prepare(self, request: _Request) -> None:
        try:
            request.item = self._decode(request.source, request.task)
        except Exception as error:
            if request.answer.set_running_or_notify_cancel():
                request.answer.set_exception(error)
            return
        with self._changed:
            self._decoded.append(request)
        self._asker.submit(self._answer_next)

    def _decode_ended(self, decoding: object = None) -> None:
        with self._changed:
            self._decoding -= 1
            self._changed.notify_all()

    def _take_batch(self) -> list[_Request]:
        """The request that has waited longest, and those of the same task that wait as well; while others are being
        decoded, a whole number of times :data:`TOGETHER`.
        """
        least, until = min(TOGETHER, self.batch_size), time.monotonic() + PATIENCE
        with self._changed:
            while True:
                same = [each for each in self._decoded if each.task == self._decoded[0].task][: self.batch_size]
                left = until - time.monotonic()
                if not (same and self._decoding and len(same) < least and left > 0):
                    break
                self._changed.wait(left)
            if self._decoding and len(same) > least:
                same = same[: len(same) // least * least]
            self._decoded = [each for each in self._decoded if each not in same]
        return same

    def _answer_next(self) -> None:
        same = self._take_batch()
        if not same:
            return
        requests = [each for each in same if each.answer.set_running_or_notify_cancel()]
        try:
            answers = self._answer([each.item for each in requests if each.item is not None], same[0].task)
        except BaseException as error:
            for request in requests:
                request.answer.set_exception(error)
            return
        for request, answer in zip(requests, answers, strict=True):
            request.answer.set_result(answer)

    # ------------------------------------------------------------------------------------------------ in order

    def _decode(self, source: str | Photo | Callable[[], Photo], task: Task) -> _Item:
        if not isinstance(source, str) and not callable(source):
            return _Item(source.path, source)
        path = source if isinstance(source, str) else "an image"
        stored = self.model if isinstance(self.model, Stored) else None
        known = stored.recall(path, task.question, developed=self.develop) if stored else None
        if known:
            return _Item(path, known)
        try:
            photo = self.load(source) if isinstance(source, str) else source()
            return _Item(photo.path, photo)
        except PhotoError as error:
            return _Item(path, error=_one_line(error))
        except Exception as error:  # a decoder's own fault must not end the run either
            logger.debug("decoding %s failed", path, exc_info=True)
            return _Item(path, error=f"{type(error).__name__}: {_one_line(error)}")

    def _answer(self, batch: list[_Item], task: Task) -> list[Answer]:
        photos = {item.photo.sha256: item.photo for item in batch if item.photo is not None}
        with self._asking:
            found = self._predict(list(photos.values()), task) if photos else {}
        answers = []
        for item in batch:
            photo = item.photo
            if photo is None:
                answers.append(Answer(item.path, error=item.error))
                continue
            outcome = found[photo.sha256]
            result, error = (None, outcome) if isinstance(outcome, str) else (outcome, None)
            answers.append(Answer(item.path, photo.sha256, photo.width, photo.height, result, error, photo.note))
        return answers

    def _predict(self, photos: list[Photo], task: Task, sound: bool = False) -> dict[str, Result | str]:
        """Each photo's result, or why it failed, by sha256.

        A batch that fails is halved until only the photos at fault fail, so that one photo cannot fail others.

        Args:
            sound: whether the model is known to answer this task.
        """
        try:
            results = _ask(self.model, photos, task)
        except NOT_OF_A_PHOTO:
            raise
        except Exception as error:
            if not sound:
                self._check_model(task, error)
            if len(photos) == 1:
                logger.debug("the model failed on %s", photos[0].path, exc_info=True)
                return {photos[0].sha256: f"the model failed on this photo: {type(error).__name__}: {_one_line(error)}"}
            logger.info("a batch of %d photos failed (%s); trying halves", len(photos), _one_line(error))
            middle = len(photos) // 2
            return self._predict(photos[:middle], task, True) | self._predict(photos[middle:], task, True)
        return dict(zip((photo.sha256 for photo in photos), results, strict=True))

    def _check_model(self, task: Task, error: Exception) -> None:
        """Raise ``error`` if the model fails on a plain grey photo as well."""
        import numpy as np

        from calm.data.images import Photo

        grey = Photo("a grey photo", np.full((64, 64, 3), 128, np.uint8), "0" * 64, 64, 64)
        try:
            _ask(self.model.unstored if isinstance(self.model, Stored) else self.model, [grey], task)
        except Exception as again:
            error.add_note(f"a plain grey photo fails as well ({again}): this is the model's fault and no photo's")
            raise error from None


def columns_of(result: Result) -> dict[str, object]:
    """Comment and suggestions as columns of a row, as far as they were asked for."""
    columns: dict[str, object] = {}
    if result.comment is not None:
        columns |= {"comment": result.comment.text, "aspects": [asdict(each) for each in result.comment.aspects]}
    if result.suggestions is not None:
        columns["suggestions"] = [asdict(each) for each in result.suggestions]
    return columns


def _ask(model: Model, photos: list[Photo], task: Task) -> list[Result]:
    results = task.ask(model, photos)
    if len(results) != len(photos):
        raise RuntimeError(f"the model answered {len(results)} times for {len(photos)} photos")
    return results


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or "no reason given"
