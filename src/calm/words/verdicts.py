"""The verdict: seven bands of scores, each with words of its own."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Band:
    """Scores from ``low`` up to the next band.

    Attributes:
        adjectives: stand before "photo"; no two bands share one.
        says: whole verdicts, with "it" or "the photo" for the photo.
    """

    low: float
    adjectives: tuple[str, ...]
    says: tuple[str, ...]


BANDS: tuple[Band, ...] = (
    Band(
        1.0,
        ("poor", "very weak", "failed"),
        ("It does not work as a photo", "Very little works here", "It falls far short"),
    ),
    Band(
        3.2,
        ("weak", "lacklustre", "unconvincing"),
        ("It is not convincing", "Little comes together here", "It falls short"),
    ),
    Band(
        4.6,
        ("modest", "below-average", "unremarkable"),
        ("It stays below average", "It does not rise above a snapshot", "It could be much better"),
    ),
    Band(5.5, ("fair", "average", "ordinary"), ("It is all right, no more", "It is about average", "It does its job")),
    Band(6.3, ("good", "pleasing", "solid"), ("It works well", "It is pleasing to look at", "It holds up well")),
    Band(
        7.0,
        ("very good", "strong", "attractive"),
        ("It works very well", "It stands out", "It is a pleasure to look at"),
    ),
    Band(
        7.7,
        ("excellent", "outstanding", "beautiful"),
        ("It is a rare success", "It is superb", "It could hardly be better"),
    ),
)
"""Bands in order of score; the medians of PARA fall into the fourth."""

FORMS = (
    "Overall it is {a} photo.",
    "On the whole, {a} picture.",
    "All in all, this is {a} photo.",
    "Taken together, it is {a} image.",
    "In sum, {a} photo.",
    "The result is {a} picture.",
    "As a whole it makes {a} photo.",
    "It adds up to {a} photo.",
)
SAY_FORMS = ("{say}.", "Overall, {say_low}.", "On the whole, {say_low}.", "In the end, {say_low}.")


def band_of(score: float) -> int:
    """Index into ``BANDS``, 0–6, of a score on 1–10."""
    return max(i for i, band in enumerate(BANDS) if score >= band.low or i == 0)


def adjective(score: float, rng: np.random.Generator) -> str:
    """An adjective of the score's band with its article: "a fair", "an excellent"."""
    word = str(rng.choice(BANDS[band_of(score)].adjectives))
    return f"{'an' if word[0] in 'aeiou' else 'a'} {word}"


def verdict(score: float, rng: np.random.Generator) -> str:
    """A sentence that says how good the photo is."""
    if rng.random() < 0.65:
        return str(rng.choice(FORMS)).format(a=adjective(score, rng))
    say = str(rng.choice(BANDS[band_of(score)].says))
    return str(rng.choice(SAY_FORMS)).format(say=say, say_low=say[0].lower() + say[1:])
