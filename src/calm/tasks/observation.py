"""The observation line: what the language model notes about a photo before it comments on it.

One line of fields, each of them optional and always in this order::

    Score: 6.4. Faults: noisy (clear). Shows: dog, grass. Light: dark. Colour: muted, warm. Mood: calm. Strengths: mood

Score and faults are read before it is written (:func:`calm.model.exchange.line_start`), so that a comment agrees with
the score and the suggestions. :func:`write_line` writes the line for training, :func:`parse_line` reads what the model
wrote; ``aspects`` of a comment are the parsed line.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from calm.edits.words import FAULTS
from calm.model.exchange import listed, spoken_score

WORDS = ("Shows", "Light", "Colour", "Detail", "Mood", "Strengths")
"""Fields of words, as attributes of :class:`Observation` in their order."""
FIELDS = ("Score", "Faults", *WORDS)
NOTHING, UNCLEAR = "nothing", "unclear"
"""What a line shows of a blank frame, and of a photo whose subject cannot be told."""

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
        faults: (fault, strength) with words of :data:`FAULTS` and :data:`DEGREES`.
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
    values = {"Score": "" if seen.score is None else spoken_score(seen.score), "Faults": listed(seen.faults)}
    values |= {name: ", ".join(getattr(seen, name.lower())) for name in WORDS}
    return ". ".join(f"{name}: {value}" for name, value in values.items() if value)


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
    shows, light, colour, detail, mood, strengths = map(words, WORDS)
    known = tuple(each for each in strengths if each in ASPECTS)
    score = float(number.group(1)) if number else None
    return Observation(shows, light, colour, detail, mood, known, tuple(faults), score)


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
