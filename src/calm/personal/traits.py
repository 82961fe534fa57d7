"""What a person likes and dislikes: traits of photos that move the personal score against the general one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from calm.data.measure import MEASURE_NAMES
from calm.personal.prior import GENERAL, Prior

if TYPE_CHECKING:
    from torch import Tensor

    from calm.model.pretrained import CalmConfig
    from calm.model.visual import VisualTokens

CUES = {
    "bright light": "luma_mean",
    "strong contrast": "luma_spread",
    "rich colour": "chroma_mean",
    "warm colour": "b_middle",
    "fine detail": "sharp_median",
}
"""Traits that are measured, and the pixel statistic that says so."""
MOODS = ("cheerful", "grand", "calm", "unpleasant", "lively", "uneasy", "melancholy")
"""Attribute words of the network that name a mood."""
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
    "forest": "forests",
    "room": "rooms",
}
"""Words of the network's vocabulary, and what they are called here."""
TRAITS = (*CUES, *(f"a mood: {mood}" for mood in MOODS), *SHOWN.values())
LEAST = 0.1
"""Correlation with a trait below which nothing is said of it."""
LIKED, DISLIKED = "#2a7f62", "#b3473f"
"""Colours of bars."""


@dataclass(frozen=True)
class Leaning:
    """How a trait moves a personal score.

    Attributes:
        trait: of :data:`TRAITS`.
        points: on 1–10, for one standard deviation more of the trait, on top of what the general score says.
    """

    trait: str
    points: float


def traits(measures: np.ndarray, visual: VisualTokens, config: CalmConfig) -> np.ndarray:
    """Values of :data:`TRAITS` for n photos: (n, len(TRAITS)), those of moods and things as probabilities.

    Args:
        measures: (n, len(MEASURE_NAMES) or more), standardised pixel statistics.
        visual: visual tokens of frame and crop.
        config: of the network that saw them; a word that it does not have is 0 for every photo.
    """
    measured = measures[:, [MEASURE_NAMES.index(name) for name in CUES.values()]]
    moods = _probabilities(visual.attributes, config.attribute_words, MOODS, len(measures))
    things = _probabilities(visual.words, config.vocabulary, tuple(SHOWN), len(measures))
    return np.concatenate([measured, moods, things], axis=1)


def _probabilities(logits: Tensor | None, known: Sequence[str], words: Sequence[str], count: int) -> np.ndarray:
    """(count, known) logits → (count, words) probabilities; 0 for words that are not known."""
    found = np.zeros((count, len(words)), np.float32)
    if logits is not None:
        sure = logits.float().sigmoid().cpu().numpy()
        for column, word in enumerate(words):
            if word in known:
                found[:, column] = sure[:, known.index(word)]
    return found


def leanings(prior: Prior, own: np.ndarray) -> list[Leaning]:
    """What moves a person's score up, most first, and down, least first; empty where the prior knows none of them.

    Over the photos that the prior was learnt from: the covariance of each trait with what the personal score says
    beyond the general one.

    Args:
        own: personal scores of these photos, ``prior.reference``.
    """
    if prior.traits.shape[1] != len(TRAITS):  # none, or those of a release before
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


def draw_leanings(title: str, leanings: Sequence[Leaning], path: str | Path) -> None:
    """Write bars of how traits move the personal score, most liked first, as a PNG, SVG or PDF by the file's name.

    Args:
        leanings: those to show, in any order.
    """
    from matplotlib.figure import Figure

    ordered = sorted(leanings, key=lambda one: one.points)
    figure = Figure(figsize=(7.0, 1.2 + 0.32 * len(ordered)), layout="constrained")
    axes = figure.subplots()
    colours = [LIKED if one.points > 0 else DISLIKED for one in ordered]
    bars = axes.barh([one.trait for one in ordered], [one.points for one in ordered], color=colours)
    axes.bar_label(bars, fmt="%+.2f", padding=3, fontsize=8)
    axes.axvline(0, color="black", linewidth=0.8)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(left=False)
    axes.margins(x=0.15)
    axes.set_xlabel("points on 1–10 for one standard deviation more, on top of the general score", fontsize=8)
    axes.set_title(title, fontsize=11)
    figure.savefig(path, dpi=120)
