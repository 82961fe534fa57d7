"""What an edit is: a change of one attribute by a continuous strength, its words, and its remedy.

A new attribute is one new file in this folder with one subclass of :class:`Edit`; nothing else has to change.
Photos are float32 arrays (H, W, 3), sRGB (gamma-encoded), 0 … 1.
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from calm.types import DIRECTIONS, UNITS, Suggestion

Order = Literal["geometry", "content", "light", "colour", "optics", "sensor", "file"]
ORDERS: tuple[Order, ...] = ("geometry", "content", "light", "colour", "optics", "sensor", "file")
"""In this order edits are applied, as the world, the lens, the sensor and the file would."""

REFERENCE = 1024
"""Long edge, pixels, to which lengths in pixels refer."""


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


class Edit(ABC):
    """One attribute.

    Class attributes:
        attribute: its name in :data:`calm.types.DIRECTIONS`.
        order: where in a chain of edits it belongs.
        native: True when it can be learnt only from photos that still have their native pixels.
    """

    attribute: ClassVar[str]
    order: ClassVar[Order]
    native: ClassVar[bool] = False

    @property
    def directions(self) -> tuple[str, ...]:
        """Remedies that this edit can call for."""
        return DIRECTIONS[self.attribute]

    @property
    def unit(self) -> str | None:
        """Unit of the amount."""
        return UNITS[self.attribute]

    @abstractmethod
    def amount(self, direction: str, severity: float) -> float | None:
        """Amount of the remedy for a severity 0–1: continuous, monotone, in the attribute's unit; None without a unit."""

    @abstractmethod
    def apply(
        self,
        photo: np.ndarray,
        direction: str,
        severity: float,
        rng: np.random.Generator,
        saliency: np.ndarray | None = None,
    ) -> tuple[np.ndarray, Applied]:
        """Damage a photo so that ``direction`` is its remedy.

        Args:
            photo: (H, W, 3) float32, 0 … 1; not changed.
            severity: 0 (nothing to see) … 1.
            saliency: (h, w) float32, 0 … 1, the main subject, of any resolution; None for the centre of the frame.

        Returns:
            The edited photo, (H', W', 3) float32 0 … 1, without borders, and what was done (its amount as measured on
            this photo where that differs from :meth:`amount`).
        """

    def render(
        self, photo: np.ndarray, suggestion: Suggestion, saliency: np.ndarray | None = None
    ) -> np.ndarray | None:
        """The remedy on a photo (H, W, 3) float32; None where it cannot be rendered."""
        return None

    @abstractmethod
    def descriptions(self, applied: Applied) -> Sequence[str]:
        """Ten or more clean English sentences saying what is wrong and how strongly."""

    @abstractmethod
    def comparisons(self, applied: Applied) -> Sequence[str]:
        """Six or more sentences comparing this photo with the better one."""

    @abstractmethod
    def advice(self, applied: Applied) -> Sequence[str]:
        """Ten or more imperative sentences: what the photographer should do; no two attributes share a sentence."""


@functools.cache
def edits() -> dict[str, Edit]:
    """Every edit there is by attribute, in the vocabulary's order."""
    import calm.edits as package

    found = {}
    for item in pkgutil.iter_modules(package.__path__):
        module = importlib.import_module(f"{package.__name__}.{item.name}")
        for kind in vars(module).values():
            if isinstance(kind, type) and issubclass(kind, Edit) and kind.__module__ == module.__name__:
                found[kind.attribute] = kind()
    return {name: found[name] for name in DIRECTIONS if name in found}


def strength_word(severity: float) -> str:
    """``slightly``, ``clearly`` or ``strongly`` for a severity."""
    return "slightly" if severity < 0.33 else "clearly" if severity < 0.66 else "strongly"


def resize_map(saliency: np.ndarray | None, height: int, width: int) -> np.ndarray:
    """A saliency map at (height, width), 0 … 1; a soft blob in the centre for None."""
    import cv2

    if saliency is not None:
        return cv2.resize(np.asarray(saliency, np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j].astype(np.float32)
    return np.exp(-(x**2 + y**2) / 0.35).astype(np.float32)
