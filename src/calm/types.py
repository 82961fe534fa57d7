"""Plain data that every other module speaks: rows, suggestions, aspects."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Level = Literal["low", "middle", "high"]
SCALE = "1-10"
LEAST, MOST = 0.3, 3
"""Confidence from which a suggestion is made by a model that has no threshold of its own, and how many are made about a
photo, unless asked for others."""

LEVELS: dict[str, Level] = {
    "exposure": "low",
    "contrast": "low",
    "saturation": "low",
    "white_balance": "low",
    "sharpness": "low",
    "noise": "low",
    "compression": "low",
    "tilt": "middle",
    "framing": "middle",
    "vignetting": "middle",
    "subject_emphasis": "high",
    "colour_harmony": "high",
    "clutter": "high",
}
"""Level of every attribute of the vocabulary."""

DIRECTIONS: dict[str, tuple[str, ...]] = {
    "exposure": ("increase", "decrease"),
    "contrast": ("increase", "decrease"),
    "saturation": ("increase", "decrease"),
    "white_balance": ("warmer", "cooler"),
    "sharpness": ("increase",),
    "noise": ("decrease",),
    "compression": ("decrease",),
    "tilt": ("clockwise", "counterclockwise"),
    "framing": ("left", "right", "up", "down", "tighter"),
    "vignetting": ("decrease",),
    "subject_emphasis": ("increase",),
    "colour_harmony": ("improve",),
    "clutter": ("decrease",),
}
"""What the photographer can do about each attribute."""

CLASSES: tuple[tuple[str, str], ...] = tuple((name, way) for name, ways in DIRECTIONS.items() for way in ways)
"""Every (attribute, direction) of ``DIRECTIONS``; classifiers over them add one more, "nothing to mend"."""

UNITS: dict[str, str | None] = {
    "exposure": "EV",
    "contrast": "%",
    "saturation": "%",
    "white_balance": "mired",
    "sharpness": "px",
    "noise": "sd",
    "compression": "quality",
    "tilt": "degrees",
    "framing": "%",
    "vignetting": "EV",
    "subject_emphasis": None,
    "colour_harmony": None,
    "clutter": None,
}
"""Unit of a suggestion's amount. px: blur at 1024 px long edge; sd: standard deviation, 0–255; quality: JPEG quality
seen."""


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


@dataclass
class Row:
    """One photo in an output table; fields as the command line's contract names them."""

    path: str
    sha256: str | None = None
    width: int | None = None
    height: int | None = None
    status: Literal["ok", "failed"] = "ok"
    error: str | None = None
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
