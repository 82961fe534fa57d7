"""The one way to a model: photos come in as paths, are decoded ahead of it, go in batches and leave in order.

Command line, Python interface and evaluation differ in where photos come from and where answers go; what happens in
between is here. A photo that fails, be it while decoding or in the model, gives a failed answer and the run goes on.
"""

from __future__ import annotations

import logging
import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from itertools import islice
from typing import TYPE_CHECKING, Protocol

from calm.errors import CheckpointError, ConfigError, PhotoError, StoreError, UsageError, WeightsError
from calm.inference.store import Stored, question_of
from calm.types import MOST, Comment, Row, Score, Suggestion

if TYPE_CHECKING:
    import numpy as np

    from calm.data.images import Photo

logger = logging.getLogger(__name__)

DEFAULT_BATCH_SIZE = 32


class Model(Protocol):
    """What the engine asks of a predictor. Every method answers one item a photo, in order."""

    @property
    def name(self) -> str: ...

    @property
    def sha256(self) -> str: ...

    @property
    def preprocess(self) -> str: ...

    def score(self, photos: list[Photo]) -> list[Score]: ...

    def comment(self, photos: list[Photo], aspects: list[str] | None = None) -> list[tuple[Score, Comment]]: ...

    def suggest(
        self, photos: list[Photo], least: float | None = None, most: int = MOST
    ) -> list[tuple[Score, list[Suggestion]]]: ...

    def describe(self, photos: list[Photo]) -> list[tuple[Score, np.ndarray]]: ...


@dataclass(frozen=True)
class Result:
    """What a model says of one photo; parts that were not asked for are None."""

    score: Score
    comment: Comment | None = None
    suggestions: tuple[Suggestion, ...] | None = None
    features: np.ndarray | None = None
    profile: str | None = None


@dataclass(frozen=True)
class Task:
    """What is wanted of photos.

    Attributes:
        ask: asks the model about a batch of photos: one result a photo, in order.
        question: what it asks the model, see :func:`question_of`; empty for what no store keeps.
    """

    ask: Callable[[Model, list[Photo]], list[Result]]
    question: str = ""


def score_task() -> Task:
    """The score alone."""
    return Task(lambda model, photos: [Result(score) for score in model.score(photos)], question_of("score"))


def comment_task(aspects: Sequence[str] | None = None) -> Task:
    """Score and comment; ``aspects`` limits the comment to the aspects named."""
    wanted = list(aspects) if aspects else None
    return Task(
        lambda model, photos: [Result(score, comment=said) for score, said in model.comment(photos, wanted)],
        question_of("comment", aspects=wanted),
    )


def suggest_task(least: float | None = None, most: int = MOST) -> Task:
    """Score and suggestions of confidence ≥ ``least`` (0–1, None for the model's threshold), best first, ``most`` at
    most.
    """
    return Task(
        lambda model, photos: [
            Result(score, suggestions=tuple(found)) for score, found in model.suggest(photos, least, most)
        ],
        question_of("suggest", least=least, most=most),
    )


def describe_task() -> Task:
    """Score and features, from which a personal score is learnt."""
    return Task(
        lambda model, photos: [Result(score, features=found) for score, found in model.describe(photos)],
        question_of("describe"),
    )


@dataclass(frozen=True)
class Answer:
    """One photo's way through the engine: either ``result`` or ``error`` is set.

    Attributes:
        width, height: size in pixels as displayed, of the file and not of what the model saw.
        error: why the photo failed, on one line.
    """

    path: str
    sha256: str | None = None
    width: int | None = None
    height: int | None = None
    result: Result | None = None
    error: str | None = None


@dataclass
class _Item:
    """A photo on its way: decoded or failed."""

    path: str
    photo: Photo | None = None
    error: str | None = None


def _load(path: str) -> Photo:
    from calm.data.images import load_photo

    return load_photo(path)


@dataclass
class Engine:
    """Asks a model about many photos.

    Args:
        model: a predictor.
        batch_size: photos a forward pass, at least 1. It changes the speed and never the result.
        workers: decoding threads, at least 1; None for as many as there are cores, at most 8.
        load: path → photo; raises :class:`PhotoError` for a photo that cannot be read. Runs in the decoding threads.
    """

    model: Model
    batch_size: int = DEFAULT_BATCH_SIZE
    workers: int | None = None
    load: Callable[[str], Photo] = _load

    def __post_init__(self) -> None:
        if self.workers is None:
            self.workers = min(8, os.cpu_count() or 1)
        for name, value in (("batch size", self.batch_size), ("number of workers", self.workers)):
            if value < 1:
                raise UsageError(f"expected a {name} of at least 1, found {value}; leave it out for the default")

    def rows(self, sources: Iterable[str | Photo], task: Task) -> Iterator[Row]:
        """Yields one :class:`Row` a photo, in the order of ``sources``."""
        for answer in self.answers(sources, task):
            yield self.row(answer)

    def answers(self, sources: Iterable[str | Photo], task: Task) -> Generator[Answer]:
        """Yields one :class:`Answer` a photo, in the order of ``sources`` (paths, or photos already decoded).

        While the model works on one batch the next two are being decoded; no more than that is in memory.
        Of a :class:`Stored` model, photos whose answer is known are not decoded.
        """
        remaining = iter(sources)
        waiting: deque[Future[_Item]] = deque()
        assert self.workers is not None
        pool = ThreadPoolExecutor(self.workers, thread_name_prefix="calm-decode")
        try:
            while True:
                ahead = 3 * self.batch_size - len(waiting)
                waiting.extend(pool.submit(self._decode, source, task) for source in islice(remaining, ahead))
                if not waiting:
                    return
                batch = [waiting.popleft().result() for _ in range(min(self.batch_size, len(waiting)))]
                yield from self._answer(batch, task)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def row(self, answer: Answer) -> Row:
        """The answer as one row of an output table."""
        row = Row(answer.path, answer.sha256, answer.width, answer.height)
        row.model, row.model_sha256, row.preprocess = self.model.name, self.model.sha256, self.model.preprocess
        if answer.result is None:
            row.status, row.error = "failed", answer.error
            return row
        score = answer.result.score
        row.score, row.score_std, row.distribution = score.value, score.std, list(score.distribution)
        row.profile = answer.result.profile
        if answer.result.comment is not None:
            row.extra["comment"] = answer.result.comment.text
            row.extra["aspects"] = [asdict(aspect) for aspect in answer.result.comment.aspects]
        if answer.result.suggestions is not None:
            row.extra["suggestions"] = [asdict(suggestion) for suggestion in answer.result.suggestions]
        return row

    def _decode(self, source: str | Photo, task: Task) -> _Item:
        if not isinstance(source, str):
            return _Item(source.path, source)
        known = self.model.recall(source, task.question) if isinstance(self.model, Stored) else None
        if known:
            return _Item(source, known)
        try:
            return _Item(source, self.load(source))
        except PhotoError as error:
            return _Item(source, error=_one_line(error))
        except Exception as error:  # a decoder's own fault must not end the run either
            logger.debug("decoding %s failed", source, exc_info=True)
            return _Item(source, error=f"{type(error).__name__}: {_one_line(error)}")

    def _answer(self, batch: list[_Item], task: Task) -> Generator[Answer]:
        photos = {item.photo.sha256: item.photo for item in batch if item.photo is not None}
        found = self._predict(list(photos.values()), task) if photos else {}
        for item in batch:
            if item.photo is None:
                yield Answer(item.path, error=item.error)
                continue
            said = found[item.photo.sha256]
            result, error = (None, said) if isinstance(said, str) else (said, None)
            yield Answer(item.path, item.photo.sha256, item.photo.width, item.photo.height, result, error)

    def _predict(self, photos: list[Photo], task: Task) -> dict[str, Result | str]:
        """Each photo's result, or why it failed, by sha256.

        A batch that fails is halved until only the photos at fault fail, so that one photo cannot fail others.
        """
        try:
            results = task.ask(self.model, photos)
            if len(results) != len(photos):
                raise RuntimeError(f"the model answered {len(results)} times for {len(photos)} photos")
        except (UsageError, ConfigError, WeightsError, CheckpointError, StoreError):
            raise  # not a photo's fault: it would fail every one of them
        except Exception as error:
            if len(photos) == 1:
                logger.debug("the model failed on %s", photos[0].path, exc_info=True)
                return {photos[0].sha256: f"the model failed on this photo: {type(error).__name__}: {_one_line(error)}"}
            logger.info("a batch of %d photos failed (%s); trying halves", len(photos), _one_line(error))
            middle = len(photos) // 2
            return self._predict(photos[:middle], task) | self._predict(photos[middle:], task)
        return dict(zip((photo.sha256 for photo in photos), results, strict=True))


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or "no reason given"
