"""What a row is given, and what it gives back."""

import difflib
import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from calm.errors import UsageError
from calm.eval.compare.photos import Photos
from calm.eval.compare.spec import Comparison, RowSpec


@dataclass(frozen=True)
class Place:
    """What all rows share."""

    spec: Comparison
    photos: Photos


@dataclass
class Found:
    """What one run of a row came to.

    Attributes:
        predicted: (n,) scores of the test photos, 1–10 or any other scale that the row has (``scaled`` False).
        chosen: what was chosen on the validation photos, and other facts worth keeping.
        curve: figures along the training, each with its ``step``.
        distributions: (n, 10) of the test photos, where the row says any.
        model: folder of a trained model, where there is one.
    """

    predicted: np.ndarray
    chosen: dict[str, Any] = field(default_factory=dict)
    curve: list[dict[str, float]] = field(default_factory=list)
    distributions: np.ndarray | None = None
    model: str | Path | None = None


def read(place: Place) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features of training, validation and test photos, (n, d) float32, about the training photos' mean and in units
    of their spread.
    """
    train, validation, test = (
        part.features for part in (place.photos.train, place.photos.validation, place.photos.test)
    )
    centre, spread = train.mean(axis=0), train.std(axis=0) + 1e-6
    return (train - centre) / spread, (validation - centre) / spread, (test - centre) / spread


Run = Callable[[Place, RowSpec, int], Found]


def kind(name: str) -> Run:
    """The function of a kind of row. Raises :class:`UsageError` with the kinds there are."""
    package = importlib.import_module(f"{__package__}.rows")
    names = sorted(module.name for module in pkgutil.iter_modules(package.__path__))
    if name not in names:
        near = difflib.get_close_matches(name, names) or names
        raise UsageError(f"expected a kind of row, found {name!r}; did you mean one of {near}?")
    return importlib.import_module(f"{package.__name__}.{name}").run
