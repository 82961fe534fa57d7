"""What a person likes and dislikes, in words: traits of photos that move the personal score against the general one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from calm.data.measure import CUE_NAMES, standardise
from calm.model.heads import EMOTIONS
from calm.personal.prior import GENERAL, Prior
from calm.words.things import THINGS

if TYPE_CHECKING:
    from torch import Tensor

CUES = {
    "bright light": "luma_mean",
    "strong contrast": "luma_spread",
    "rich colour": "chroma_mean",
    "warm colour": "b_middle",
    "fine detail": "sharp_median",
    "large subjects": "subject_share",
}
"""Traits that are measured, and the cue that says so."""
MOODS = tuple(emotion for emotion in EMOTIONS if emotion != "neutral")
SHOWN = {
    "child": "children",
    "people": "people",
    "dog": "dogs",
    "grass": "grass",
    "water": "water",
    "sea": "the sea",
    "snow": "snow",
    "street": "streets",
    "mountain": "mountains",
    "forest": "trees",
    "room": "rooms",
}
"""Things of :mod:`calm.words.things` that the model tells with some certainty, and what they are called here."""
TRAITS = (*CUES, *(f"a mood of {mood}" for mood in MOODS), *SHOWN.values())
LEAST = 0.1
"""Correlation with a trait below which nothing is said of it."""


@dataclass(frozen=True)
class Leaning:
    """How a trait moves a personal score.

    Attributes:
        trait: of :data:`TRAITS`.
        points: on 1–10, for one standard deviation more of the trait, on top of what the general score says.
    """

    trait: str
    points: float


def traits(cues: Sequence[Mapping[str, float]], heads: Mapping[str, Tensor]) -> np.ndarray:
    """Values of :data:`TRAITS` for n photos, (n, len(TRAITS)), from their cues and the outputs of the heads."""
    measured = np.stack([standardise(dict(each)) for each in cues])[
        :, [CUE_NAMES.index(name) for name in CUES.values()]
    ]
    emotions = heads["emotions"].float().softmax(dim=1).cpu().numpy()[:, [EMOTIONS.index(mood) for mood in MOODS]]
    names = list(THINGS)
    content = heads["content"].float().sigmoid().cpu().numpy()[:, [names.index(name) for name in SHOWN]]
    return np.concatenate([measured, emotions, content], axis=1)


def leanings(prior: Prior, own: np.ndarray) -> list[Leaning]:
    """What moves a person's score up, most first, and down, least first; empty where the prior knows no traits.

    Over the photos that the prior was learnt from: the covariance of each trait with what the personal score says
    beyond the general one.

    Args:
        own: personal scores of these photos, ``prior.reference``.
    """
    if not len(prior.traits):
        return []
    general = prior.reference[:, GENERAL]
    line = np.column_stack([np.ones(len(own)), general])
    beyond = own - line @ np.linalg.lstsq(line, own, rcond=None)[0]
    spread = float(beyond.std())
    found = []
    for name, values in zip(TRAITS, prior.traits.T, strict=True):
        scale = float(values.std())
        points = float(np.mean(beyond * (values - values.mean()))) / scale if scale else 0.0
        if spread and abs(points) / spread >= LEAST:
            found.append(Leaning(name, points))
    return sorted(found, key=lambda each: -each.points)
