"""Words about edits, drawn at random from each attribute's table in ``phrases``."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import yaml

from calm.edits.base import Applied, Phrases, edits

STRENGTHS: dict[str, list[list[str]]] = yaml.safe_load(
    (Path(__file__).parent / "phrases" / "strengths.yaml").read_text(encoding="utf-8")
)
"""Words of strength by field, for severities below 0.33, below 0.66 and above."""


FAULTS: dict[tuple[str, str], str] = {
    ("exposure", "increase"): "too dark",
    ("exposure", "decrease"): "too bright",
    ("contrast", "increase"): "low contrast",
    ("contrast", "decrease"): "harsh contrast",
    ("saturation", "increase"): "dull colours",
    ("saturation", "decrease"): "oversaturated",
    ("white_balance", "warmer"): "too cool",
    ("white_balance", "cooler"): "too warm",
    ("sharpness", "increase"): "blurred",
    ("noise", "decrease"): "noisy",
    ("compression", "decrease"): "compression artefacts",
    ("tilt", "clockwise"): "tilted to the left",
    ("tilt", "counterclockwise"): "tilted to the right",
    ("framing", "left"): "cramped on the left",
    ("framing", "right"): "cramped on the right",
    ("framing", "up"): "cramped at the top",
    ("framing", "down"): "cramped at the bottom",
    ("framing", "tighter"): "subject too small",
    ("vignetting", "decrease"): "dark corners",
    ("subject_emphasis", "increase"): "subject does not stand out",
    ("colour_harmony", "improve"): "clashing colours",
    ("clutter", "decrease"): "cluttered",
}
"""What is wrong, by the remedy that mends it."""

DEGREES = ("slight", "clear", "strong")
"""Words for severities below .33, below .66 and above."""


def degree(severity: float) -> str:
    """The word for a severity, 0–1, of :data:`DEGREES`."""
    return DEGREES[strength(severity)]


def strength(severity: float) -> int:
    """0, 1 or 2: slightly, clearly, strongly."""
    return 0 if severity < 0.33 else 1 if severity < 0.66 else 2


def describe(applied: Applied, rng: np.random.Generator) -> str:
    """What is wrong, and how strongly."""
    return _fill(_phrases(applied).wrong, applied, rng)


def advise(applied: Applied, rng: np.random.Generator) -> str:
    """What the photographer should do, in words that no other attribute or direction has."""
    return _fill(_phrases(applied).advice, applied, rng)


def _phrases(applied: Applied) -> Phrases:
    return edits()[applied.attribute].words_for(applied.direction, applied.kind)


def _draw(sentences: Sequence[str], rng: np.random.Generator) -> str:
    return sentences[int(rng.integers(len(sentences)))]


def _fill(templates: Sequence[str], applied: Applied, rng: np.random.Generator) -> str:
    """One of the sentences, with words for how strong the edit is and for its amount."""
    amounts = () if applied.amount is None else tuple(edits()[applied.attribute].wordings(applied.amount))
    usable = [template for template in templates if amounts or "{amount}" not in template]
    fills = {field: _draw(words[strength(applied.severity)], rng) for field, words in STRENGTHS.items()}
    if amounts:
        fills["amount"] = _draw(amounts, rng)
    sentence = _draw(usable, rng).format(**fills)
    return sentence[0].upper() + sentence[1:]
