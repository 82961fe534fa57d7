"""What may be asked about photos: one small frozen class a task, and the model that answers it."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from calm.types import MOST, Comment, Score, Suggestion

if TYPE_CHECKING:
    import numpy as np

    from calm.data.images import Photo

ABANDONED: ContextVar[Callable[[], bool]] = ContextVar("abandoned", default=lambda: False)
"""Says whether nobody waits for what is being written any more; it is asked before every token."""
Heard = Callable[[int, str], None]
"""Is told, of a photo by its place, what is written of its answer so far."""
HEARD: ContextVar[Heard | None] = ContextVar("heard", default=None)
"""Who listens while answers in words are written; None for nobody."""


class Model(Protocol):
    """What tasks ask of a model. Every method gives one item a photo, in order."""

    @property
    def name(self) -> str: ...

    @property
    def sha256(self) -> str: ...

    @property
    def describer(self) -> str:
        """SHA-256 of what :meth:`describe` depends on."""
        ...

    @property
    def preprocess(self) -> str: ...

    def score(self, photos: list[Photo]) -> list[Score]: ...

    def comment(self, photos: list[Photo], aspects: Sequence[str] | None = None) -> list[tuple[Score, Comment]]: ...

    def suggest(
        self, photos: list[Photo], least: float | None = None, most: int = MOST
    ) -> list[tuple[Score, list[Suggestion]]]: ...

    def describe(self, photos: list[Photo]) -> list[tuple[Score, np.ndarray]]: ...

    def edit_probabilities(self, photos: list[Photo]) -> np.ndarray: ...


@dataclass(frozen=True)
class Result:
    """What a model says of one photo; parts that were not asked for are None."""

    score: Score
    comment: Comment | None = None
    suggestions: tuple[Suggestion, ...] | None = None
    features: np.ndarray | None = None
    profile: str | None = None


def question_of(method: str, **options: Any) -> str:
    """A question as the store has it: the name of a model's method and its arguments besides photos."""
    return json.dumps([method, options], sort_keys=True)


class Task(ABC):
    """What is wanted of photos. Equal tasks are answered together."""

    method: ClassVar[str] = ""
    """The model's method that answers it, whose arguments are the task's fields; "" for what no store keeps."""
    batches: ClassVar[int] = 1
    """Batches of photos that it is best asked about at once."""

    @property
    def question(self) -> str:
        """What it asks the model, see :func:`question_of`; "" for what no store keeps."""
        return question_of(self.method, **vars(self)) if self.method else ""

    @abstractmethod
    def ask(self, model: Model, photos: list[Photo]) -> list[Result]:
        """One result a photo, in order."""


@dataclass(frozen=True)
class ScoreTask(Task):
    """The score alone."""

    method = "score"

    def ask(self, model: Model, photos: list[Photo]) -> list[Result]:
        """See :class:`Task`."""
        return [Result(score) for score in model.score(photos)]


@dataclass(frozen=True)
class CommentTask(Task):
    """Score and comment; ``aspects`` limits the comment to the aspects named."""

    aspects: tuple[str, ...] | None = None

    method, batches = "comment", 2  # a word of many texts takes hardly longer than one of few

    def ask(self, model: Model, photos: list[Photo]) -> list[Result]:
        """See :class:`Task`."""
        return [Result(score, comment=comment) for score, comment in model.comment(photos, self.aspects)]


@dataclass(frozen=True)
class SuggestTask(Task):
    """Score and suggestions of confidence ≥ ``least`` (0–1, None for the model's threshold), best first, ``most`` at
    most.
    """

    least: float | None = None
    most: int = MOST

    method = "suggest"

    def ask(self, model: Model, photos: list[Photo]) -> list[Result]:
        """See :class:`Task`."""
        answers = model.suggest(photos, self.least, self.most)
        return [Result(score, suggestions=tuple(found)) for score, found in answers]


@dataclass(frozen=True)
class DescribeTask(Task):
    """Score and features, from which a personal score is learnt."""

    method = "describe"

    def ask(self, model: Model, photos: list[Photo]) -> list[Result]:
        """See :class:`Task`."""
        return [Result(score, features=found) for score, found in model.describe(photos)]
