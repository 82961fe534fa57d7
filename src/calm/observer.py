"""What is known of a photo before it is commented on: opinions of the model's heads, and what its pixels tell."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from calm.data.images import Photo
from calm.data.measure import measurements
from calm.data.views import normalise, squash
from calm.edits import Applied
from calm.errors import WeightsError
from calm.model.heads import EMOTIONS
from calm.model.saliency import Saliency
from calm.words.facts import Facts
from calm.words.things import phrase

VOTES = 20
"""Votes that the emotions' probabilities are turned into, as many as raters of a photo in PARA."""


class Observer:
    """Gathers :class:`calm.words.facts.Facts` of photos. The saliency decoder is loaded when first needed."""

    def __init__(self) -> None:
        self._saliency: Saliency | None = None
        self._missing = False

    def facts(
        self,
        photos: Sequence[Photo],
        heads: dict[str, Tensor],
        scores: Sequence[float],
        faults: Sequence[Sequence[Applied]],
    ) -> list[Facts]:
        """Facts of each photo.

        Args:
            heads: outputs of :class:`calm.model.heads.AuxiliaryHeads` for these photos.
            scores: 1–10, as they are reported.
            faults: what the model would mend, with severities: comment and suggestions must agree.
        """
        maps = self._subjects(photos)
        quality = heads["quality"].float().clamp(1, 10)[:, 0].tolist()
        emotions = (heads["emotions"].float().softmax(dim=1) * VOTES).round().int().tolist()
        things = heads["content"].float().sigmoid().tolist()
        return [
            Facts.of(
                photo.pixels,
                None if maps is None else maps[i],
                measurements=measurements(photo.pixels),
                score=scores[i],
                quality=quality[i],
                emotions=dict(zip(EMOTIONS, emotions[i], strict=True)),
                content=phrase(things[i]),
                applied=faults[i],
            )
            for i, photo in enumerate(photos)
        ]

    def _subjects(self, photos: Sequence[Photo]) -> np.ndarray | None:
        """Maps of the main subjects; None where the packaged encoder, which finds them, is not to be had."""
        if self._saliency is None and not self._missing:
            try:
                self._saliency = Saliency()
            except WeightsError:
                self._missing = True
        if self._saliency is None:
            return None
        from calm.model.configuration import CalmConfig

        config = CalmConfig()
        frames = np.stack([squash(photo.pixels, config.image_size) for photo in photos])
        return self._saliency(normalise(frames, config.image_mean, config.image_std)).float().numpy()
