"""What is known of a photo before it is commented on: opinions of the model's heads, and what its pixels tell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from torch import Tensor

from calm.data.images import Photo
from calm.data.measure import measurements
from calm.data.subject import subject_cues
from calm.edits import Applied
from calm.errors import WeightsError
from calm.model.heads import EMOTIONS
from calm.model.saliency import Saliency
from calm.words.facts import Facts
from calm.words.things import phrase

VOTES = 20
"""Votes that the emotions' probabilities are turned into, as many as raters of a photo in PARA."""


class Observer:
    """Reads what is known of photos. The saliency decoder is loaded when first needed."""

    def __init__(self) -> None:
        self._saliency: Saliency | None = None
        self._missing = False

    def subjects(self, photos: Sequence[Photo], last: Tensor | None = None) -> np.ndarray | None:
        """Maps of the main subjects of photos, (B, h, w) in 0 … 1.

        Args:
            last: every token of their frames after the last block, where the packaged encoder has seen them already.

        Returns:
            None where the packaged encoder, which finds them, is not to be had.
        """
        if self._saliency is None and not self._missing:
            try:
                self._saliency = Saliency()
            except WeightsError:
                self._missing = True
        if self._saliency is None:
            return None
        if last is not None:
            return self._saliency.decode(last).float().numpy()
        return self._saliency.of([photo.pixels for photo in photos])

    @staticmethod
    def cues(photos: Sequence[Photo], maps: np.ndarray | None) -> list[dict[str, float]]:
        """Cues of each photo's pixels and, where there are ``maps``, of its subject."""
        found = [measurements(photo.pixels) for photo in photos]
        if maps is None:
            return found
        pairs = zip(photos, maps, strict=True)
        return [one | subject_cues(seen, photo.pixels) for one, (photo, seen) in zip(found, pairs, strict=True)]

    @staticmethod
    def facts(
        photos: Sequence[Photo],
        maps: np.ndarray | None,
        cues: Sequence[dict[str, float]],
        heads: dict[str, Tensor],
        scores: Sequence[float],
        faults: Sequence[Sequence[Applied]],
        doubts: Sequence[frozenset[str]],
        sure: Mapping[str, float],
    ) -> list[Facts]:
        """Facts of each photo.

        Args:
            maps: of :meth:`subjects`.
            cues: of :meth:`cues`.
            heads: outputs of :class:`calm.model.heads.AuxiliaryHeads` for these photos.
            scores: 1–10, as they are reported.
            faults: what the model would mend, with severities: comment and suggestions must agree.
            doubts: keys of faults that the model does not see.
            sure: probability from which a thing is named, by its name.
        """
        quality = heads["quality"].float().clamp(1, 10)[:, 0].tolist()
        emotions = (heads["emotions"].float().softmax(dim=1) * VOTES).round().int().tolist()
        things = heads["content"].float().sigmoid().tolist()
        return [
            Facts.of(
                photo.pixels,
                None if maps is None else maps[i],
                measurements=cues[i],
                score=scores[i],
                quality=quality[i],
                emotions=dict(zip(EMOTIONS, emotions[i], strict=True)),
                content=phrase(things[i], sure),
                applied=faults[i],
                doubted=doubts[i],
            )
            for i, photo in enumerate(photos)
        ]
