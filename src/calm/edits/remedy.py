"""Remedies: a suggestion carried out on a photo."""

from __future__ import annotations

import numpy as np

from calm.edits.base import edits
from calm.types import Suggestion


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
