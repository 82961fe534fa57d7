"""Saliency of photos for evaluations that edit or describe them, independent of the model under test."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np

SaliencyMap = Callable[[np.ndarray], np.ndarray]
"""(H, W, 3) uint8 photo → (h, w) float map, 0 (nothing there) … 1."""
SaliencySource = SaliencyMap | Literal["packaged"] | None
"""Where maps come from: a function, the packaged decoder, or nowhere."""


def saliency_map(source: SaliencySource) -> SaliencyMap | None:
    """The function that ``source`` stands for. Raises :class:`WeightsError` where the packaged one is not installed."""
    if source != "packaged":
        return source
    from calm.model.saliency import Saliency

    find = Saliency()
    return lambda pixels: find.of([pixels])[0]
