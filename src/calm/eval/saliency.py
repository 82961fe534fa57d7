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
    from calm.data.views import make_views, normalise
    from calm.model.saliency import MEAN, STD, Saliency

    find = Saliency()

    def read(pixels: np.ndarray) -> np.ndarray:
        return find(normalise(make_views(pixels).whole[None], MEAN, STD))[0].numpy()

    return read
