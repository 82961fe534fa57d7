"""What an edit is: a change of one attribute by a continuous strength, its words, and its remedy.

A new edit is one new file in this folder with one subclass of :class:`Edit`. A new attribute also has its entries in
:mod:`calm.types`, the vocabulary; a model that was trained before does not know it, and must be trained anew.
Photos are float32 arrays (H, W, 3), sRGB (gamma-encoded), 0 … 1.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import pkgutil
import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal, TypeAlias

import numpy as np
import yaml

from calm.types import DIRECTIONS, UNITS, Suggestion

Order = Literal["geometry", "content", "light", "colour", "optics", "sensor", "file"]
ORDERS: tuple[Order, ...] = ("geometry", "content", "light", "colour", "optics", "sensor", "file")
"""In this order edits are applied, as the world, the lens, the sensor and the file would."""

REFERENCE = 1024
"""Long edge, pixels, to which lengths in pixels refer."""
VISIBLE = 0.33
"""Severity from which an edit is clearly visible."""


@dataclass(frozen=True)
class Applied:
    """An edit as it was done, told by its remedy.

    Attributes:
        attribute, direction: what would undo it, in the vocabulary of :mod:`calm.types`.
        amount: how much of it, > 0, in the attribute's unit; None where there is none.
        severity: how visible the edit is, 0–1; from 0.33 clearly, from 0.66 strongly.
        kind: a variety that the words tell apart (``defocus`` or ``motion``), "" where there is none.
    """

    attribute: str
    direction: str
    amount: float | None
    severity: float
    kind: str = ""


Pixels: TypeAlias = np.ndarray
"""A photo, (H, W, 3) float32, 0 … 1."""
Map: TypeAlias = np.ndarray | None
"""The main subject, (h, w) float32, 0 … 1, of any resolution; None where it is not known."""
Random: TypeAlias = np.random.Generator
Edited: TypeAlias = tuple[Pixels, Applied | None]
"""An edited photo, and what was done to it."""


@dataclass(frozen=True)
class Phrases:
    """Sentences about an edit, with fields in braces that :mod:`calm.edits.words` fills.

    Fields: ``{too}`` (a little too … far too), ``{very}`` (slightly … strongly, of verbs and participles),
    ``{quite}`` (slightly … very, of adjectives), ``{a}`` (a slight … a strong),
    ``{much}`` (a little … a lot), and ``{amount}``, in the edit's own wording. A sentence that needs an amount is left
    out where there is none.

    Attributes:
        wrong: what is wrong, and how strongly.
        advice: imperative sentences, each shared with no other attribute or direction.
    """

    wrong: tuple[str, ...]
    advice: tuple[str, ...]


class Edit(ABC):
    """One attribute.

    Attributes:
        attribute: its name in :data:`calm.types.DIRECTIONS`.
        order: where in a chain of edits it belongs.
        native: True when it can be learnt only from photos that still have their native pixels.
        conflicts: attributes that it hides or is hidden by: never drawn together.
        rare: directions that few photos lend themselves to; half of the synthetic edits try them first.
        most: amount of the remedy at severity 1, by direction where they differ; None without a unit.
        reach: rows on either side that a row of the rendered remedy depends on.
    """

    attribute: ClassVar[str]
    order: ClassVar[Order]
    native: ClassVar[bool] = False
    conflicts: ClassVar[frozenset[str]] = frozenset()
    rare: ClassVar[tuple[str, ...]] = ()
    most: ClassVar[float | Mapping[str, float] | None] = None
    reach: ClassVar[int] = 0

    @functools.cached_property
    def phrases(self) -> Mapping[str, Phrases]:
        """Its sentences by direction, and also by ``kind`` where the words tell kinds apart: a table in ``phrases``."""
        table = Path(__file__).parent / "phrases" / f"{self.attribute}.yaml"
        found = yaml.safe_load(table.read_text(encoding="utf-8"))
        return {key: Phrases(tuple(each["wrong"]), tuple(each["advice"])) for key, each in found.items()}

    @property
    def directions(self) -> tuple[str, ...]:
        """Remedies that this edit can call for."""
        return DIRECTIONS[self.attribute]

    @property
    def unit(self) -> str | None:
        """Unit of the amount."""
        return UNITS[self.attribute]

    def amount(self, direction: str, severity: float) -> float | None:
        """Amount of the remedy for a severity 0–1, in the unit: continuous and monotone; None without a unit."""
        most = self.most[direction] if isinstance(self.most, Mapping) else self.most
        return None if most is None else most * severity

    @abstractmethod
    def apply(self, photo: Pixels, direction: str, severity: float, rng: Random, saliency: Map = None) -> Edited:
        """Damage a photo so that ``direction`` is its remedy.

        Args:
            photo: (H, W, 3) float32, 0 … 1; not changed.
            severity: 0 (nothing to see) … 1.
            rng: drawn from equally often whatever the severity.
            saliency: (h, w) float32, 0 … 1, the main subject, of any resolution; None for the centre of the frame.

        Returns:
            The edited photo, (H', W', 3) float32 0 … 1, without borders, and what was done (amount and severity as
            measured on this photo where they differ from what was asked); None in its place, and the photo as it was,
            where the photo does not lend itself to this edit (colour of a grey photo, framing without a subject).
        """

    def render(self, photo: Pixels, suggestion: Suggestion, saliency: Map = None) -> Pixels | None:
        """The remedy on a photo (H, W, 3) float32; None where it cannot be rendered."""
        return None

    def render_rows(self, rows: Pixels, suggestion: Suggestion, small: Pixels, top: int, height: int) -> Pixels | None:
        """The remedy on some rows of a photo that is too large to be rendered at once, of the same shape.

        Args:
            rows: (h, W, 3), rows ``top`` … ``top + h`` of the photo.
            small: the whole photo made small.
            height: of the whole photo.
        """
        return self.render(rows, suggestion)

    def words_for(self, direction: str, kind: str = "") -> Phrases:
        """The sentences for a remedy; those of the direction where nothing is known of the kind."""
        return self.phrases.get(kind) or self.phrases[direction]

    def wordings(self, amount: float) -> Sequence[str]:
        """The amount in natural words: "about half a stop"."""
        return ()

    def done(self, direction: str, severity: float, kind: str = "") -> Applied:
        """The record of this edit at its usual amount."""
        return Applied(self.attribute, direction, self.amount(direction, severity), severity, kind)

    def wanted(self, suggestion: Suggestion, severity: float = 0.4) -> float:
        """The amount of a suggestion, or the amount for a clearly visible fault where it has none."""
        amount = suggestion.amount
        return float(self.amount(suggestion.direction, severity) or 0.0) if amount is None else float(amount)


@functools.cache
def edits() -> dict[str, Edit]:
    """Every edit there is by attribute, in the vocabulary's order."""
    found = {}
    for item in pkgutil.iter_modules(sys.modules[__package__].__path__):
        module = importlib.import_module(f"{__package__}.{item.name}")
        for kind in vars(module).values():
            own = inspect.isclass(kind) and issubclass(kind, Edit) and kind.__module__ == module.__name__
            if own and not inspect.isabstract(kind):
                found[kind.attribute] = kind()
    return {name: found[name] for name in DIRECTIONS if name in found}
