"""A shoot, looked at once: what the model says of every photo, and a sketch of each."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np

from calm.data.find import natural
from calm.data.images import Photo, load_photo
from calm.inference.engine import Answer, Engine
from calm.inference.tasks import Model, Result, Task
from calm.library.sketch import Sketch, sketch
from calm.personal.tasks import PersonalTask


@dataclass(frozen=True)
class Frame:
    """One photo of a shoot.

    Attributes:
        score: 1–10.
        features: (d,) of the model.
    """

    path: str
    score: float
    features: np.ndarray
    sketch: Sketch

    @property
    def name(self) -> str:
        """The file's name, which reasons call it by."""
        return Path(self.path).name


@dataclass(frozen=True)
class LookTask(Task):
    """Score and features of photos, which are decoded even where the store knows the answer: sketches are drawn then.

    Args:
        taste: gives the score; None for the general one.
    """

    taste: PersonalTask | None = None

    def ask(self, model: Model, photos: list[Photo]) -> list[Result]:
        """See :class:`Task`."""
        described = model.describe(photos)
        given = self.taste.of(model, described) if self.taste else [Result(score) for score, _ in described]
        return [replace(result, features=found) for result, (_, found) in zip(given, described, strict=True)]


class Look:
    """Looks at photos through an engine.

    Args:
        model: is asked.
        batch_size, develop: as of :class:`Engine`.
    """

    def __init__(self, model: Model, batch_size: int, *, develop: bool = False) -> None:
        self._sketches: dict[str, Sketch] = {}
        self._develop = develop
        self.engine = Engine(model, batch_size, load=self._load, develop=develop)

    def __call__(
        self, paths: Iterable[str], taste: PersonalTask | None = None
    ) -> Generator[tuple[Answer, Frame | None]]:
        """Answers in order, each with its frame; None for a photo that failed."""
        for answer in self.engine.answers(paths, LookTask(taste)):
            result = answer.result
            if result is None or result.features is None:
                yield answer, None
            else:
                drawn = self._sketches.pop(answer.path)
                yield answer, Frame(answer.path, result.score.value, result.features, drawn)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self.engine.close()

    def _load(self, path: str) -> Photo:
        photo = load_photo(path, develop=self._develop)
        self._sketches[path] = sketch(photo)
        return photo


def in_order(frames: Sequence[Frame]) -> list[Frame]:
    """Frames as they were taken, those without a time last; then in the natural order of their names (2 before 10)."""

    def key(frame: Frame) -> tuple:
        taken = frame.sketch.taken
        return taken is None, taken or 0.0, natural(frame.path)

    return sorted(frames, key=key)
