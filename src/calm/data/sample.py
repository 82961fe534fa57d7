"""One training example, and batches of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor


@dataclass
class Sample:
    """What one photo gives to learn from. Only what is present is learnt.

    Attributes:
        views: (V, S, S, 3) uint8, the whole frame first; or
        features: (layers, tokens, width) float16, the encoder's reading of the whole frame, from the cache; with
        adapted: the same by the encoder with its adapters, where some branches read it with and others without; or
        started: (n, width) float16, what the encoder's blocks below its adapters say of it, from the cache.
        crops: (crops · low layers, tokens, width) float16, the encoder's reading of the crops, from a store.
        crop_mask: (V − 1,) bool.
        measures: (config.measures,) float32.
        targets: arrays for heads by name (see :data:`calm.model.heads.HEADS`); absent means no loss.
        question, answer: one exchange; empty where there is none.
        distribution: (10,) soft target for the score that the answer begins with.
        examples: (n, config.examples) float32, photos that one person rated, instead of a photo of its own; with
        ratings: (n,) float32, what that person gave them, 1–10.
    """

    views: np.ndarray | None = None
    features: np.ndarray | None = None
    adapted: np.ndarray | None = None
    started: np.ndarray | None = None
    crops: np.ndarray | None = None
    crop_mask: np.ndarray | None = None
    measures: np.ndarray | None = None
    targets: dict[str, np.ndarray] = field(default_factory=dict)
    question: str = ""
    answer: str = ""
    distribution: np.ndarray | None = None
    examples: np.ndarray | None = None
    ratings: np.ndarray | None = None


@dataclass
class Batch:
    """Samples as tensors; ``targets`` hold NaN where a sample has none."""

    views: Tensor | None
    features: Tensor | None
    adapted: Tensor | None
    started: Tensor | None
    crops: Tensor | None
    crop_mask: Tensor | None
    measures: Tensor | None
    targets: dict[str, Tensor]
    exchanges: list[tuple[str, str]]
    distributions: list[np.ndarray | None]
    examples: Tensor | None = None
    ratings: Tensor | None = None

    def __len__(self) -> int:
        return len(self.exchanges)


def collate(samples: Sequence[Sample], sizes: dict[str, int]) -> Batch:
    """Stack samples that carry the same kind of picture input.

    Args:
        sizes: width of every head, so that an absent target becomes a row of NaN.
    """

    def stack(values: list[np.ndarray | None]) -> Tensor | None:
        arrays = [value for value in values if value is not None]
        return torch.from_numpy(np.stack(arrays)) if len(arrays) == len(values) else None

    targets = {}
    for name, size in sizes.items():
        if any(name in sample.targets for sample in samples):
            blank = np.full(size, np.nan, np.float32)
            targets[name] = torch.from_numpy(
                np.stack([np.asarray(sample.targets.get(name, blank), np.float32) for sample in samples])
            )
    return Batch(
        views=stack([sample.views for sample in samples]),
        features=stack([sample.features for sample in samples]),
        adapted=stack([sample.adapted for sample in samples]),
        started=stack([sample.started for sample in samples]),
        crops=stack([sample.crops for sample in samples]),
        crop_mask=stack([sample.crop_mask for sample in samples]),
        measures=stack([sample.measures for sample in samples]),
        targets=targets,
        exchanges=[(sample.question, sample.answer) for sample in samples],
        distributions=[sample.distribution for sample in samples],
        examples=stack([sample.examples for sample in samples]),
        ratings=stack([sample.ratings for sample in samples]),
    )
