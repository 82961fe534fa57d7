"""The observation line: what the language model notes about a photo before it comments on it.

One line of fields, each of them optional and always in this order::

    Score: 6.4. Shows: dog, grass. Light: dark. Colour: muted, warm. Mood: calm. Strengths: mood. Faults: noisy (clear)

:func:`write_line` writes it for training, :func:`parse_line` reads what the model wrote; ``aspects`` of a comment are
the parsed line.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

FIELDS = ("Score", "Shows", "Light", "Colour", "Detail", "Mood", "Strengths", "Faults")
NOTHING, UNCLEAR = "nothing", "unclear"
"""What a line shows of a blank frame, and of a photo whose subject cannot be told."""

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

MOODS = {
    "amusement": "cheerful",
    "awe": "grand",
    "contentment": "calm",
    "disgust": "unpleasant",
    "excitement": "lively",
    "fear": "uneasy",
    "sadness": "melancholy",
    "neutral": "plain",
}
"""Words for the emotions that PARA's raters named."""

STRENGTHS = ("slight", "clear", "strong")
"""Words for severities below .33, below .66 and above."""

ASPECTS: dict[str, tuple[str, str]] = {
    "subject": ("subject", "high"),
    "light": ("light", "low"),
    "colours": ("colour", "low"),
    "sharpness": ("sharpness", "low"),
    "composition": ("composition", "middle"),
    "mood": ("mood", "high"),
    "depth": ("depth", "middle"),
    "simplicity": ("clutter", "high"),
    "timing": ("subject", "high"),
}
"""Strengths that a line may name: aspect and level of each."""


@dataclass
class Observation:
    """What is known or noted of a photo; empty fields are left out of the line.

    Attributes:
        shows: things and scenes, the main one first.
        light, colour, detail, mood: words.
        strengths: keys of :data:`ASPECTS`.
        faults: (fault, strength) with words of :data:`FAULTS` and :data:`STRENGTHS`.
        score: 1–10.
    """

    shows: Sequence[str] = ()
    light: Sequence[str] = ()
    colour: Sequence[str] = ()
    detail: Sequence[str] = ()
    mood: Sequence[str] = ()
    strengths: Sequence[str] = ()
    faults: Sequence[tuple[str, str]] = field(default_factory=tuple)
    score: float | None = None


def write_line(seen: Observation) -> str:
    """The line of an observation."""
    values = {
        "Score": "" if seen.score is None else spoken_score(seen.score),
        "Shows": ", ".join(seen.shows),
        "Light": ", ".join(seen.light),
        "Colour": ", ".join(seen.colour),
        "Detail": ", ".join(seen.detail),
        "Mood": ", ".join(seen.mood),
        "Strengths": ", ".join(seen.strengths),
        "Faults": ", ".join(f"{fault} ({strength})" if strength else fault for fault, strength in seen.faults),
    }
    return ". ".join(f"{name}: {values[name]}" for name in FIELDS if values[name])


def spoken_score(score: float) -> str:
    """A score as the line states it: one decimal, 1.0 to 9.9, so that it always has as many tokens."""
    return f"{min(max(score, 1.0), 9.9):.1f}"


def score_prefix(score: float) -> str:
    """How a line begins: with the score that was read, so that words and number agree."""
    return f"Score: {spoken_score(score)}. "


def parse_line(line: str) -> Observation:
    """The observation that a line states; unknown fields and words are left out."""
    found: dict[str, str] = {}
    for name, text in re.findall(rf"({'|'.join(FIELDS)}): (.*?)(?=\. (?:{'|'.join(FIELDS)}): |$)", line.strip()):
        found.setdefault(name, text.strip(" ."))

    def words(name: str) -> tuple[str, ...]:
        return tuple(dict.fromkeys(each.strip() for each in found.get(name, "").split(",") if each.strip()))

    faults = []
    for each in words("Faults"):
        match = re.fullmatch(r"(.+?)(?: \((\w+)\))?", each)
        if match and match.group(1) in FAULTS.values():
            faults.append((match.group(1), match.group(2) or ""))
    number = re.match(r"(\d+(?:\.\d+)?)", found.get("Score", ""))
    return Observation(
        words("Shows"),
        words("Light"),
        words("Colour"),
        words("Detail"),
        words("Mood"),
        tuple(each for each in words("Strengths") if each in ASPECTS),
        tuple(faults),
        float(number.group(1)) if number else None,
    )


MEASURED = {
    "light": ("dark", "bright", "soft tones", "strong contrast", "even"),
    "colour": ("black and white", "muted", "vivid", "natural", "warm", "cool"),
    "detail": ("soft", "crisp"),
}
"""Words of :func:`measured_words`."""


def measured_words(cues: Mapping[str, float]) -> dict[str, tuple[str, ...]]:
    """Words of light, colour and detail for pixel statistics of :func:`calm.data.measure.measurements`."""
    light, colour, detail = [], [], []
    mean, spread = cues["luma_mean"], cues["luma_spread"]
    if mean < 70:
        light.append("dark")
    elif mean > 165:
        light.append("bright")
    if spread < 38:
        light.append("soft tones")
    elif spread > 72:
        light.append("strong contrast")
    if not light:
        light.append("even")
    chroma, warm = cues["chroma_mean"], cues["b_middle"]
    if cues["chroma_95"] < 6:
        colour.append("black and white")
    else:
        colour.append("muted" if chroma < 11 else "vivid" if chroma > 28 else "natural")
        if warm > 14:
            colour.append("warm")
        elif warm < -4:
            colour.append("cool")
    if cues["sharp_best"] < 5.0:
        detail.append("soft")
    elif cues["sharp_best"] > 8.0:
        detail.append("crisp")
    return {"light": tuple(light), "colour": tuple(colour), "detail": tuple(detail)}
