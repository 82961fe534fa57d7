"""What the network sees of photos, and what its language model sees of them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import Tensor

from calm.data.measure import MEASURE_NAMES, measure
from calm.data.views import make_views, normalise, squash
from calm.model.config import NetworkConfig


def look(photos: Sequence[np.ndarray], config: NetworkConfig, detail: bool = True) -> dict[str, Tensor]:
    """What the network sees of photos (H, W, 3) uint8.

    Returns:
        ``frames`` (B, 3, S, S), whole frames; with ``detail`` also ``crops`` (B, 3, S, S), at native pixels, and
        ``measures`` (B, len(MEASURE_NAMES)), standardised pixel statistics.
    """

    def pixels(views: list[np.ndarray]) -> Tensor:
        return normalise(np.stack(views), config.image_mean, config.image_std)

    size = config.image_size
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as threads:
        if not detail:
            return {"frames": pixels(list(threads.map(lambda photo: squash(photo, size), photos)))}
        views = list(threads.map(lambda photo: make_views(photo, size), photos))
        measures = np.stack([each[: len(MEASURE_NAMES)] for each in threads.map(measure, photos)])
    return {
        "frames": pixels([each.whole for each in views]),
        "crops": pixels([each.crops[0] for each in views]),
        "measures": torch.from_numpy(measures),
    }


@dataclass(frozen=True)
class VisualTokens:
    """What the language model sees of a batch of photos.

    Attributes:
        frame: (B, config.frame_tokens, width), summaries of the whole frame; every question reads these.
        detail: (B, config.detail_tokens, width), all that the question about the score does not read: levels of the
            frame, what it shows, and how its native-resolution crop looks; None where only the score was wanted.
        words: (B, len(config.vocabulary)), how sure each word is (logits), None without a vocabulary.
        attributes: (B, len(config.attribute_words)), the same of attribute words, which the crop's tokens take part in;
            None where the crop was not read.
        thematic: (B, 1 + config.thematic_grid², width), the thematic tokens alone; None without them.
        score, remedy, amount: logits of the auxiliary heads, (B, 10), (B, config.remedies), (B, AMOUNT_LEVELS); None
            where they were not read.
    """

    frame: Tensor
    detail: Tensor | None
    words: Tensor | None
    attributes: Tensor | None = None
    thematic: Tensor | None = None
    score: Tensor | None = None
    remedy: Tensor | None = None
    amount: Tensor | None = None

    @property
    def parts(self) -> list[Tensor | None]:
        """All attributes in their order."""
        return [getattr(self, each.name) for each in fields(self)]

    def of(self, photos: slice | Tensor) -> VisualTokens:
        """Those of some of the photos."""
        return VisualTokens(*(None if part is None else part[photos] for part in self.parts))
