"""Remedies: suggested in numbers and words that agree with one another, and carried out on a photo."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from calm.edits.base import ORDERS, Applied, edits
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


def render(pixels: np.ndarray, suggestion: Suggestion, saliency: np.ndarray | None = None) -> np.ndarray | None:
    """A suggestion carried out: (H, W, 3) uint8 → a new array, or None where it cannot be rendered.

    Args:
        saliency: (h, w) map of the main subject, 0 … 1, of any resolution; guessed or done without if None.
    """
    edit = edits().get(suggestion.attribute)
    if edit is None:
        return None
    out = edit.render(pixels.astype(np.float32) / 255, suggestion, saliency)
    return None if out is None else (np.clip(out, 0, 1) * 255 + 0.5).astype(np.uint8)


def render_all(pixels: np.ndarray, suggestions: Sequence[Suggestion]) -> tuple[np.ndarray, list[bool]]:
    """Several suggestions carried out, the last that went wrong with a photo first: (H, W, 3) uint8 → a new array, and
    of each suggestion whether it could be rendered.

    A crop is of the frame as it was, so framing comes before what turns the frame.
    """
    done = [False] * len(suggestions)
    for i in sorted(range(len(suggestions)), key=lambda i: _turn(suggestions[i])):
        after = render(pixels, suggestions[i])
        if after is not None:
            pixels, done[i] = after, True
    return pixels, done


def _turn(suggestion: Suggestion) -> tuple[bool, int]:
    """When a remedy is due: in the order of edits reversed, crops first of all."""
    edit = edits().get(suggestion.attribute)
    return suggestion.crop is None, -ORDERS.index(edit.order) if edit else 0
