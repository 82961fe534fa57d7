"""What tastes are learnt from: statistics of a frame, what is shown on it, and what that means to people."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from calm.model.meanings import MEANINGS, Meanings, load_meanings
from calm.model.modeling import CalmForConditionalGeneration
from calm.model.semantics import Semantics


class Describer:
    """Numbers of photos for personal scores. What they need beside the model is loaded when it is first asked for.

    Args:
        model: with its adapters folded in.
        folder: where it lies; a file :data:`calm.model.meanings.MEANINGS` there is used.
        fast: number format of the networks that say what is shown; None for their own.
    """

    def __init__(
        self, model: CalmForConditionalGeneration, folder: Path | None = None, fast: torch.dtype | None = None
    ) -> None:
        self.model, self.folder, self.fast = model, folder, fast

    @functools.cached_property
    def semantics(self) -> list[Semantics]:
        """The networks that say what photos show, which the configuration names."""
        from calm.model.checkpoint import source_dir

        networks = [Semantics.load(source_dir(source)) for source in self.model.config.semantics_sources]
        return [each.to(self.model.device, self.fast) for each in networks]

    @functools.cached_property
    def meanings(self) -> list[Meanings]:
        """For each network what the kinds of things mean that photos show, if the model comes with a file of them."""
        path = self.folder / MEANINGS if self.folder is not None else None
        return load_meanings(path) if path is not None and path.is_file() else []

    def __call__(self, seen: dict[str, Tensor], pixels: Sequence[np.ndarray]) -> Tensor:
        """Encoder features of photos, and the photos (H, W, 3) uint8 → (B, d), float32.

        First the statistics that the score is read from, standardised; then, each as long as these are, what
        :meth:`shown` says.
        """
        mfam = self.model.mfam
        told, exists = mfam.raw_statistics(mfam.source("statistics", seen["whole"], seen.get("adapted")).float())
        if self.model.config.statistics:
            told = mfam.statistics.standard(told, exists)
        told = told.float()
        return torch.cat([told, *(told.shape[1] ** 0.5 * part for part in self.shown(pixels))], dim=1)

    def classes(self, pixels: Sequence[np.ndarray]) -> list[tuple[Tensor, Tensor]]:
        """What each network says of photos: (B, 1280) and (B, 1000). One photo at a time: they differ in shape, and no
        batch can change a number.
        """
        said = []
        for network in self.semantics:
            pooled, logits = zip(*(network(network.frame(each)) for each in pixels), strict=True)
            said.append((torch.cat(pooled), torch.cat(logits)))
        return said

    def shown(self, pixels: Sequence[np.ndarray]) -> list[Tensor]:
        """By each network the feature map and the classes, normalised by photo, and their meanings: (B, n) of length
        about 1; empty for a model without such networks.
        """
        parts = []
        for number, (pooled, logits) in enumerate(self.classes(pixels)):
            parts += [F.normalize(F.layer_norm(part, part.shape[1:])) for part in (pooled, logits)]
            if self.meanings:
                said = self.meanings[number](logits)
                parts.append(said / said.shape[1] ** 0.5)
        return parts
