"""First sentences: what the photo shows where that is known, else what is most its own in light, colour and layout.

A first sentence carries three or more things that differ from photo to photo, so that two photos seldom share one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from calm.words.content import Content, article, read_content
from calm.words.facts import Facts, observe_facts
from calm.words.reading import COLOURS

TONES: tuple[tuple[str, tuple[str, ...]], ...] = (
    # the first key that holds gives the word for the light
    ("underexposed", ("dark", "dim", "underlit")),
    ("overexposed", ("overly bright", "glaring", "washed-out")),
    ("low_key", ("dark", "low-key", "shadowy")),
    ("high_key", ("bright", "airy")),
    ("harsh_light", ("harshly lit", "hard-lit")),
    ("flat_light", ("flat", "low-contrast")),
    ("strong_contrast", ("high-contrast", "contrasty", "strongly lit")),
    ("soft_light", ("softly lit", "gently lit", "soft-toned")),
    ("balanced_light", ("evenly lit", "balanced", "naturally lit")),
)
SIDES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("subject_bright", ("with the light on the subject", "with the subject brighter than the rest")),
    ("dark_on_bright", ("with the subject darker than the rest", "with bright surroundings around a darker subject")),
    ("light_left", ("brighter on the left", "with the light on the left side")),
    ("light_right", ("brighter on the right", "with the light on the right side")),
    ("light_top", ("brighter at the top", "with a bright upper part")),
    ("light_bottom", ("brighter at the bottom", "with a bright lower part")),
)
GROUNDS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("plain_background", ("a plain background", "a simple background", "a clean background")),
    ("busy_background", ("a busy background", "a restless background", "a background full of detail")),
)
_SIDE_KEYS = {"left": "left", "right": "right", "upper": "top", "lower": "bottom"}
PLACES: dict[str, tuple[str, ...]] = {
    "centre": ("in the centre", "in the middle of the frame", "at the centre"),
    "left": ("on the left", "left of centre", "in the left half"),
    "right": ("on the right", "right of centre", "in the right half"),
    "upper": ("high in the frame", "in the upper half", "above the centre"),
    "lower": ("low in the frame", "in the lower half", "below the centre"),
    "upper left": ("in the upper left", "high on the left", "towards the upper left"),
    "upper right": ("in the upper right", "high on the right", "towards the upper right"),
    "lower left": ("in the lower left", "low on the left", "towards the lower left"),
    "lower right": ("in the lower right", "low on the right", "towards the lower right"),
}


@dataclass(frozen=True)
class Parts:
    """Words for a first sentence, empty where there is nothing to say, and the keys that each slot mentions."""

    tone: str
    palette: str
    tones: str
    subject: str
    plural: bool
    place: str
    light: str
    ground: str
    keys: dict[str, tuple[str, ...]]


PLAIN = (
    "{A_tone} frame in {palette}, with {subject} {place}{light}.",
    "{Tones} fill {a_tone} frame, with {subject} {place}{light}.",
    "In {a_tone} frame of {palette}, {subject} {sits} {place}{light}.",
    "{Subject} {sits} {place} in {a_tone} picture of {palette}{light}.",
    "{A_tone} picture in {palette} shows {subject} {place}{light}.",
    "{Place}, {subject} {meets} the eye in {a_tone} frame of {palette}{light}.",
    "The frame is {tone}, in {palette}, with {subject} {place}{light}.",
    "Here {subject} {sits} {place}, in {a_tone} scene of {palette}{light}.",
    "{A_tone} photo, mainly in {palette}, with {subject} {place}{light}.",
    "{Tones} rule {a_tone} photo, where {subject} {sits} {place}{light}.",
    "With {subject} {place}, this is {a_tone} photo in {palette}{light}.",
    "This {tone} photo in {palette} has {subject} {place}{light}.",
    "The photo is {tone} and mainly {palette}; {subject} {sits} {place}{light}.",
    "{Subject} {sits} {place}, and {tones} fill {a_tone} frame{light}.",
)
"""Forms without content: {tones} is plural, {palette} stands after "in" or "of"."""
LOOSE = (
    "{A_tone} frame in {palette}, where most of the interest lies {place}{light}.",
    "{Tones} fill {a_tone} frame, and the weight lies {place}{light}.",
    "In {a_tone} frame of {palette}, interest gathers {place}{light}.",
    "{Place} lies most of the weight, in {a_tone} picture of {palette}{light}.",
    "This {tone} photo in {palette} has its weight {place}{light}.",
    "The frame is {tone}, in {palette}, and most happens {place}{light}.",
    "{A_tone} scene in {palette}, with most to see {place}{light}.",
    "Most to see lies {place}, in {a_tone} scene of {palette}{light}.",
    "The photo is {tone} and mainly {palette}, with its weight {place}{light}.",
    "{A_tone} view in {palette}, heaviest {place}{light}.",
)
"""Forms without content for photos without one clear subject."""
BARE = (
    "{A_tone} photo in {palette}{light}.",
    "{Tones} fill {a_tone} frame{light}.",
    "The frame is {tone}, in {palette}{light}.",
    "In {palette}, this is {a_tone} photo{light}.",
    "{A_tone} scene, mainly in {palette}{light}.",
    "{Tones} rule {a_tone} picture{light}.",
)
"""Forms for photos of which neither content nor subject is known."""
GROUND = (
    "{Subject} {sits} {place} against {ground}, in {a_tone} frame of {palette}.",
    "{A_tone} picture in {palette}: {subject} {place}, against {ground}.",
    "Against {ground}, {subject} {sits} {place} in {a_tone} frame of {palette}.",
    "In {palette}, {subject} {sits} {place} against {ground}; the frame is {tone}.",
    "This {tone} photo shows {subject} {place} against {ground}, in {palette}.",
    "{Tones} and {ground} surround {subject} {place} in {a_tone} frame.",
    "With {ground} behind, {subject} {sits} {place} in {a_tone} scene of {palette}.",
    "{A_tone} scene: {subject} {place}, {ground}, {tones}.",
)
"""Forms without content that speak of the background."""
NOUN = (
    "This photo shows {noun}, {place}, in {palette}.",
    "{Noun}, {place}, in {a_tone} frame of {palette}.",
    "{A_tone} photo of {noun}{light}.",
    "{A_tone} picture of {noun}, set {place}.",
    "We see {noun} {place}, in {palette}.",
    "Here we see {noun}, in {palette}, {place}.",
    "The photo shows {noun}; the frame is {tone}, in {palette}.",
    "{A_tone} frame in {palette} shows {noun}.",
    "{Noun}: {a_tone} picture in {palette}.",
    "The picture shows {noun}, {place}, in {a_tone} frame.",
    "{Noun} against {ground}, {place}.",
    "In {palette}, the photo shows {noun} {place}.",
    "{A_tone} view of {noun}, mainly in {palette}.",
    "In {a_tone} frame, {noun}{light}.",
    "We look at {noun}, seen against {ground}.",
    "The frame holds {noun}, {place}, in {palette}.",
)
"""Forms for content that is a noun phrase."""
SENTENCE = (
    "{Sentence}, in {a_tone} frame of {palette}.",
    "{Sentence}; the photo is {tone}, in {palette}.",
    "In this {tone} photo, {sentence}.",
    "{Sentence}.",
    "{Sentence}, seen in {palette}.",
    "In {palette}: {sentence}.",
    "Here {sentence}, in {a_tone} picture.",
    "{A_tone} photo in {palette}: {sentence}.",
)
"""Forms for content that is a sentence."""


def opening(facts: Facts, rng: np.random.Generator) -> tuple[str, tuple[str, ...]]:
    """The first sentence for a photo that was read, and the keys of what it mentions."""
    content = read_content(facts.content)
    parts = _parts(facts, rng)
    if content.noun and (not content.sentence or rng.random() < 0.6):
        forms: tuple[str, ...] = NOUN
        if facts.count != "one":  # the place is that of one subject
            parts = replace(parts, place="")
    elif content.sentence:
        forms = SENTENCE
    elif facts.count == "none":
        forms = LOOSE
    else:
        forms = GROUND if parts.ground and rng.random() < 0.45 else PLAIN
    usable = [form for form in forms if _fits(form, parts)] or BARE
    form = str(rng.choice(usable))
    return _write(form, parts, content), _mentioned(form, parts)


def _mentioned(form: str, parts: Parts) -> tuple[str, ...]:
    """Keys of what a form says of a photo."""
    low = form.lower()
    return tuple(key for slot, keys in parts.keys.items() if f"{slot}}}" in low for key in keys)


def _fits(form: str, parts: Parts) -> bool:
    return ("{ground}" not in form or bool(parts.ground)) and ("lace}" not in form or bool(parts.place))


def _write(form: str, parts: Parts, content: Content) -> str:
    values = {
        "tone": parts.tone,
        "a_tone": f"{article(parts.tone)} {parts.tone}",
        "tones": parts.tones,
        "palette": parts.palette,
        "subject": parts.subject,
        "sits": "stand" if parts.plural else "sits",
        "meets": "meet" if parts.plural else "meets",
        "place": parts.place,
        "ground": parts.ground,
        "noun": content.noun or "",
        "sentence": content.sentence or "",
    }
    values |= {name[0].upper() + name[1:]: text[:1].upper() + text[1:] for name, text in values.items()}
    return form.format(light=f", {parts.light}" if parts.light else "", **values)


def palette(facts: Facts) -> list[str]:
    """Names of the one or two colours that take most of the frame, largest first."""
    shares = sorted(((facts.reading.get(f"colour:{name}", 0.0), name) for name in COLOURS), reverse=True)
    names = [name for share, name in shares[:2] if share >= 0.15] or [shares[0][1]]
    return ["white", "black"] if set(names) == {"black", "white"} else names  # "black and white" has no colour at all


def _parts(facts: Facts, rng: np.random.Generator) -> Parts:
    found = {one.key: one.strength for one in observe_facts(facts)}
    tone, tone_key = _first(TONES, found, rng)
    light, light_key = _first(SIDES, found, rng) if rng.random() < 0.6 else ("", ())
    names = palette(facts)
    joined = " and ".join(names)
    palette_keys: tuple[str, ...] = tuple(f"colour:{name}" for name in names)
    if "black_and_white" in found:
        tones, colours, palette_keys = "shades of grey", "black and white", ("black_and_white",)
    else:
        kind, more = "", tuple[str, ...]()
        if found.get("rich_colour", 0) > 0.2:
            kind, more = "rich ", ("rich_colour",)
        elif "muted_colour" in found and not set(names) <= {"white", "grey", "black"}:
            kind, more = "muted ", ("muted_colour",)
        tones = str(rng.choice((f"{kind}{joined} tones", f"{kind}tones of {joined}", f"{kind}shades of {joined}")))
        colours, palette_keys = f"{kind}{joined}", (*palette_keys, *more)
    ground, ground_key = _first(GROUNDS, found, rng)
    subject, plural, subject_key = _subject_words(facts, found, rng)
    place_key = tuple(f"place:{_SIDE_KEYS[word]}" for word in (facts.place or "").split() if word in _SIDE_KEYS)
    return Parts(
        tone=tone or _plain_tone(facts.reading["mean"]),
        palette=colours,
        tones=tones,
        subject=subject,
        plural=plural,
        place=str(rng.choice(PLACES[facts.place])) if facts.place else "",
        light=light,
        ground=ground,
        keys={
            "tone": tone_key,
            "palette": palette_keys,
            "tones": palette_keys,
            "subject": subject_key,
            "place": place_key,
            "light": light_key,
            "ground": ground_key,
        },
    )


def _plain_tone(mean: float) -> str:
    """A word for the light of a frame (mean luma 0–1) of which no observation speaks."""
    return "rather dark" if mean < 0.42 else "rather bright" if mean > 0.52 else "mid-toned"


def _first(
    table: tuple[tuple[str, tuple[str, ...]], ...], found: dict[str, float], rng: np.random.Generator
) -> tuple[str, tuple[str, ...]]:
    """Words for the first key of a table that holds, with that key; nothing when none does."""
    for key, words in table:
        if key in found:
            return str(rng.choice(words)), (key,)
    return "", ()


def _subject_words(
    facts: Facts, found: dict[str, float], rng: np.random.Generator
) -> tuple[str, bool, tuple[str, ...]]:
    """Words for the subject, whether they are plural, and the key that they mention."""
    if facts.count == "several":
        words = ("several subjects", "several points of interest", "a few separate things")
        return str(rng.choice(words)), True, ("split_attention",)
    for key, size in (("small_subject", "small"), ("large_subject", "large")):
        if key in found:
            return f"a {size} subject", False, (key,)
    return str(rng.choice(("the subject", "one subject", "the main subject"))), False, ()
