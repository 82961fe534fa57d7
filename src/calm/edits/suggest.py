"""From a class and its severity to a suggestion in numbers and words that agree with one another."""

from __future__ import annotations

import numpy as np

from calm.edits.base import Applied, edits
from calm.edits.words import advise
from calm.types import LEVELS, Suggestion


def to_suggestion(remedy: tuple[str, str], severity: float, confidence: float, seed: int) -> Suggestion:
    """A suggestion.

    Args:
        remedy: (attribute, direction).
        severity: how strongly the fault shows, 0–1.
        confidence: 0–1.
        seed: chooses the phrasing; the same photo always gets the same words.
    """
    attribute, direction = remedy
    edit = edits()[attribute]
    amount = edit.amount(direction, severity)
    amount = None if amount is None else float(f"{amount:.2g}")
    text = advise(Applied(attribute, direction, amount, severity), np.random.default_rng(seed))
    return Suggestion(LEVELS[attribute], attribute, direction, amount, edit.unit, round(confidence, 4), text)
