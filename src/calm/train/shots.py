"""What is known of each photo, and a photo as the network is taught with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from calm.edits.base import Applied


@dataclass(frozen=True)
class Known:
    """A photo with everything that is known of it.

    Attributes:
        path: of the file.
        source: name of its data set.
        names, captions: of what it shows.
        score: mean of people's ratings of beauty, 1–10.
        soft: ten probabilities of the teachers, on the whole photo.
        quality: mean of people's ratings of technical quality, 1–10.
        emotions: how many people named each.
        detected: what an object detector and a classifier see, which counts where neither names nor captions are known.
        guessed: what the aligned model itself is sure to see, where no label says it.
        native: whether it has its native pixels, so that sharpness, noise and compression can be learnt from it.
    """

    path: str
    source: str
    names: tuple[str, ...] = ()
    captions: tuple[str, ...] = ()
    score: float | None = None
    soft: tuple[float, ...] | None = None
    quality: float | None = None
    emotions: Mapping[str, int] | None = None
    detected: tuple[str, ...] = ()
    guessed: tuple[str, ...] = ()
    native: bool = True


@dataclass
class Shot:
    """A photo as it enters the encoder, and what was done to it.

    Attributes:
        photo: what is known of the photo.
        frame, crop: (S, S, 3) uint8; the crop is the frame again where the photo is too small. None where their encoder
            features are at hand instead.
        features, detail: (layers, tokens, width) of frame and crop, of blocks that never change; tokens: (1 + grid²,
            width), those behind the last of these blocks. See :mod:`calm.train.feature_shots`.
        cues: pixel statistics in natural units.
        applied: edits that were made.
        kind: ``rated``, ``named``, ``edited`` or ``blank``.
        target: ten probabilities of the score of the photo as it is here; None where unknown.
        better: the undamaged photo, which must score higher.
        read_score: what the aligned model reads itself, where nobody rated the photo as it is here.
        unclear: the aligned model cannot tell what its labels name: the language model learns to say so.
    """

    photo: Known
    frame: Any
    crop: Any
    cues: Mapping[str, float]
    kind: str
    applied: tuple[Applied, ...] = ()
    target: tuple[float, ...] | None = None
    better: Shot | None = None
    features: Any = None
    detail: Any = None
    tokens: Any = None
    read_score: float | None = None
    unclear: bool = False


def spread_mean(mean: float, spread: float = 1.25) -> tuple[float, ...]:
    """Ten probabilities of 1 … 10 around a mean rating: a normal density, tilted so that its mean is exact."""
    levels = np.arange(1.0, 11.0)
    centre = min(max(mean, 1.05), 9.95)
    logits = -((levels - centre) ** 2) / (2 * spread**2)
    tilt = 0.0
    for _ in range(20):
        weights = np.exp(logits + tilt * levels)
        weights /= weights.sum()
        found = float(weights @ levels)
        tilt += (centre - found) / max(float(weights @ (levels - found) ** 2), 0.05)
    return tuple(float(w) for w in weights)


def whole_target(photo: Known) -> tuple[float, ...] | None:
    """People's mean and the teachers' distribution together, where there are both; ten probabilities."""
    if photo.source == "blank":
        return spread_mean(1.3, 0.6)
    if photo.score is None:
        return photo.soft
    human = np.array(spread_mean(photo.score))
    if photo.soft is None:
        return tuple(human)
    return tuple(0.6 * human + 0.4 * np.array(photo.soft))
