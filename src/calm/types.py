"""Plain data that every other module speaks: rows, suggestions, aspects."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Level = Literal["low", "middle", "high"]
SCALE = "1-10"
LEAST, MOST = 0.3, 3
"""Confidence from which a suggestion is made by a model that has no threshold of its own, and how many are made about a
photo, unless asked for others."""
DEFAULT_BATCH_SIZE = 32
"""Photos that a model is asked about at once, unless asked otherwise; it changes speed and memory, not results."""

VOCABULARY: dict[str, tuple[Level, str | None, tuple[str, ...]]] = {
    "exposure": ("low", "EV", ("increase", "decrease")),
    "contrast": ("low", "%", ("increase", "decrease")),
    "saturation": ("low", "%", ("increase", "decrease")),
    "white_balance": ("low", "mired", ("warmer", "cooler")),
    "sharpness": ("low", "px", ("increase",)),
    "noise": ("low", "sd", ("decrease",)),
    "compression": ("low", "quality", ("decrease",)),
    "tilt": ("middle", "degrees", ("clockwise", "counterclockwise")),
    "framing": ("middle", "%", ("left", "right", "up", "down", "tighter")),
    "vignetting": ("middle", "EV", ("decrease",)),
    "subject_emphasis": ("high", None, ("increase",)),
    "colour_harmony": ("high", None, ("improve",)),
    "clutter": ("high", None, ("decrease",)),
}
"""Of every attribute its level, the unit of a suggestion's amount, and what the photographer can do about it. px: blur
at 1024 px long edge; sd: standard deviation, 0–255; quality: JPEG quality seen."""

LEVELS: dict[str, Level] = {name: level for name, (level, _, _) in VOCABULARY.items()}
UNITS: dict[str, str | None] = {name: unit for name, (_, unit, _) in VOCABULARY.items()}
DIRECTIONS: dict[str, tuple[str, ...]] = {name: ways for name, (_, _, ways) in VOCABULARY.items()}
CLASSES: tuple[tuple[str, str], ...] = tuple((name, way) for name, ways in DIRECTIONS.items() for way in ways)
"""Every (attribute, direction); classifiers over them add one more, "nothing to mend"."""


@dataclass(frozen=True)
class Score:
    """A score on 1–10.

    Attributes:
        value: mean of ``distribution``, 1–10.
        std: standard deviation of ``distribution``.
        distribution: probabilities of the scores 1, 2, … 10; they sum to 1.
    """

    value: float
    std: float
    distribution: tuple[float, ...]


@dataclass(frozen=True)
class Aspect:
    """One aspect of a comment: what it is about, its level, and whether it speaks for (1) or against (−1) the photo."""

    aspect: str
    level: Level
    polarity: Literal[-1, 0, 1]
    text: str


@dataclass(frozen=True)
class Comment:
    """Two to four sentences about a photo, and the aspects they name."""

    text: str
    aspects: tuple[Aspect, ...]


@dataclass(frozen=True)
class Suggestion:
    """What the photographer should do.

    Attributes:
        amount: how much, in ``unit``; None where the attribute has no measure.
        confidence: calibrated probability that this is the right thing to change, 0–1.
        crop: (left, top, right, bottom) in shares of the frame, 0–1, for framing; None where no crop looks better than
            the whole frame, and for all other attributes.
    """

    level: Level
    attribute: str
    direction: str
    amount: float | None
    unit: str | None
    confidence: float
    text: str
    crop: tuple[float, float, float, float] | None = None


@dataclass(frozen=True)
class Trial:
    """A suggestion that was tried.

    Attributes:
        amount: that was tried, in the suggestion's unit.
        kept: whether the improved photo has it.
        reason: why, or why not.
        score_before, score_after: 1–10, without it and with it, on what was kept before; ``score_after`` is None where
            it cannot be carried out.
        crop: that was tried, as of a suggestion; None for all but framing.
    """

    attribute: str
    direction: str
    amount: float | None
    kept: bool
    reason: str
    score_before: float
    score_after: float | None
    crop: tuple[float, float, float, float] | None = None


@dataclass
class Row:
    """One photo in an output table; fields as the command line's contract names them."""

    path: str
    sha256: str | None = None
    width: int | None = None
    height: int | None = None
    status: Literal["ok", "failed"] = "ok"
    error: str | None = None
    note: str | None = None
    score: float | None = None
    scale: str = SCALE
    score_std: float | None = None
    distribution: list[float] | None = None
    model: str | None = None
    model_sha256: str | None = None
    preprocess: str | None = None
    profile: str | None = None
    extra: dict[str, object] = field(default_factory=dict)
    """Fields of one task only: ``comment`` and ``aspects``, or ``suggestions``."""

    def as_dict(self) -> dict[str, object]:
        """The row with task fields beside the common ones, in the contract's order."""
        row = {name: value for name, value in self.__dict__.items() if name != "extra"}
        return row | self.extra
