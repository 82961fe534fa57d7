"""A task: what it asks of a photo and what it takes for an answer. One file a task; the file's name is the task's."""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from calm.data.sample import Sample
from calm.errors import UsageError

if TYPE_CHECKING:
    from calm.model.configuration import CalmConfig
    from calm.model.modeling import CalmForConditionalGeneration


@dataclass(frozen=True)
class Context:
    """What every task may need to know.

    Attributes:
        root: folder that holds the data sets.
        cache: folder of encoder features.
        config: the model's configuration.
        run: folder of the training run, for what belongs to this run alone; the cache if None.
    """

    root: Path
    cache: Path
    config: CalmConfig
    run: Path | None = None


Report = Callable[[int, int], None]
"""Called with how much of how much is prepared."""


def silent(_done: int, _total: int) -> None:
    """Reports nothing."""


class Task(ABC):
    """Training examples of one kind.

    A sample is a pure function of (index, generator), so that a resumed run sees what an uninterrupted one would.
    """

    name: ClassVar[str]
    branches: Sequence[str] | None = None
    """Branches of the alignment module that will read the samples, None for all: features that none of them reads are
    not prepared."""

    def __init__(self, context: Context) -> None:
        self.context = context

    def prepare(self, model: CalmForConditionalGeneration, report: Report = silent) -> None:  # noqa: B027
        """Make what samples are read from (features, observations), where it does not exist yet."""

    def hashes(self) -> set[str]:
        """SHA-256 of the photos that this task shows, so that no evaluation uses them."""
        return set()

    def leave(self, folder: Path) -> None:  # noqa: B027
        """Write what belongs beside the trained weights, once training has ended."""

    @abstractmethod
    def __len__(self) -> int:
        """Number of photos to draw from."""

    @abstractmethod
    def sample(self, index: int, rng: np.random.Generator) -> Sample:
        """The example of photo ``index``, 0 … len − 1, with the chances of ``rng``."""


def task_names() -> list[str]:
    """Every task there is."""
    import calm.tasks

    return sorted(
        m.name
        for m in pkgutil.iter_modules(calm.tasks.__path__)
        if m.name not in ("base", "facts", "features", "lessons", "opinions", "photos")
    )


def task_class(name: str) -> type[Task]:
    """The task of that name. Raises :class:`UsageError` with the nearest names when there is none."""
    if name not in task_names():
        near = difflib.get_close_matches(name, task_names()) or task_names()
        raise UsageError(f"expected a task, found {name!r}; did you mean one of {near}?")
    module = importlib.import_module(f"calm.tasks.{name}")
    return next(
        kind
        for kind in vars(module).values()
        if isinstance(kind, type) and issubclass(kind, Task) and kind.__module__ == module.__name__
    )
