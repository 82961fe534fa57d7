"""Reading comments: which aspects a text names, at which level, for or against the photo, and what it claims."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass

from calm.types import Aspect, Comment, Level
from calm.words.facts import KINDS
from calm.words.lexicon import BAD_WORDS, CLAIMS, GOOD_WORDS, PALETTE, TONE_WORDS, TOPICS
from calm.words.phrases import spoken
from calm.words.verdicts import BANDS

DARK = "dark"
"""Claim of a dark frame that leaves open whether that was meant."""
_LEVELS: dict[str, Level] = {kind.aspect: kind.level for kind in KINDS.values()}


@dataclass(frozen=True)
class Claim:
    """One thing that a text says of a photo: a key of :data:`calm.words.facts.KINDS` (or ``dark``), and where."""

    key: str
    polarity: int
    start: int
    end: int


def sentences(text: str) -> list[str]:
    """The sentences of a text, without spaces around them."""
    return [part.strip() for part in re.split(r"(?<=[.!?])\s+", text.strip()) if part.strip()]


def trimmed(text: str, most: int = 4) -> str:
    """A text as it may be shown: whole sentences, each once, ``most`` at most; one that was cut off stays if alone."""
    found = list(dict.fromkeys(sentences(text)))
    whole = [sentence for sentence in found if sentence[-1] in ".!?"]
    return " ".join((whole or found)[:most])


def find_claims(text: str) -> list[Claim]:
    """Everything that a text claims, in order; one claim a key and place."""
    low = text.lower()
    found: list[Claim] = []
    taken = bytearray(len(low))
    for match in _phrases().finditer(low):
        key, polarity = spoken()[match.group()]
        found.append(Claim(key, polarity, match.start(), match.end()))
        taken[match.start() : match.end()] = b"\1" * (match.end() - match.start())
    rest = "".join("\n" if used else letter for letter, used in zip(low, taken, strict=True))
    for key, polarity, pattern in _patterns():
        for match in pattern.finditer(rest):
            found.append(Claim(key, polarity, match.start(), match.end()))
    for match in PALETTE.finditer(low):
        colours = [name for name in match.groups() if name]
        if "black and white" in match.group() or low[: match.end()].endswith("shades of grey"):
            colours = []  # that is no palette but a photo without colour
        found += [Claim(f"colour:{name}", 0, match.start(), match.end()) for name in colours]
    unique: dict[tuple[str, int], Claim] = {}
    for claim in sorted(found, key=lambda one: (one.start, -one.end)):
        unique.setdefault((claim.key, claim.polarity), claim)
    return list(unique.values())


def claims(text: str) -> set[str]:
    """Keys of everything that a text claims."""
    return {claim.key for claim in find_claims(text)}


def parse_comment(text: str) -> Comment:
    """The aspects that a text names, in order, with the sentence that names each.

    What is said of one aspect with one polarity within one sentence is one entry. A sentence in which nothing known is
    found is read by the aspects' names and by praising and blaming words.
    """
    aspects: list[Aspect] = []
    seen: set[tuple[str, int]] = set()
    for sentence in sentences(text):
        within: set[tuple[str, int]] = set()
        for claim in find_claims(sentence):
            kind = KINDS["low_key" if claim.key == DARK else claim.key]
            named = (kind.aspect, claim.polarity)
            if named not in within and not (claim.polarity == 0 and named in seen):
                within.add(named)
                aspects.append(Aspect(kind.aspect, kind.level, claim.polarity, sentence))  # type: ignore[arg-type]
        if not within:
            aspects += [one for one in _by_topic(sentence) if (one.aspect, one.polarity) not in seen]
        seen |= within
    return Comment(text, tuple(aspects))


def verdict_band(text: str) -> int | None:
    """Index into :data:`calm.words.verdicts.BANDS` (0 poor … 6 excellent) of a text's verdict; None without one."""
    found: list[tuple[int, int]] = []
    for i, band in enumerate(BANDS):
        for word in band.adjectives:
            ahead = r"(?<!very )" if word in ("good", "weak") else ""
            for match in re.finditer(
                rf"(?<![\w-]){ahead}{re.escape(word)} (?:photo|picture|image)(?! quality)", text.lower()
            ):
                found.append((match.start(), i))
        for say in band.says:
            for match in re.finditer(rf"(?<![\w-]){re.escape(say.lower())}(?= ?[.,;]|$)", text.lower()):
                found.append((match.start(), i))
    return max(found)[1] if found else None


def _by_topic(sentence: str) -> list[Aspect]:
    """Aspects named in a sentence of unknown words; the polarity by praise and blame in it."""
    low = sentence.lower()
    good, bad = (len(re.findall(rf"\b(?:{words})\b", low)) for words in (GOOD_WORDS, BAD_WORDS))
    polarity = (good > bad) - (good < bad)
    return [
        Aspect(name, _LEVELS[name], polarity, sentence)  # type: ignore[arg-type]
        for name, words in TOPICS
        if polarity and re.search(rf"\b(?:{words})\b", low)
    ]


@functools.cache
def _phrases() -> re.Pattern[str]:
    """All known phrases, longest first, at the borders of words."""
    return re.compile(r"(?<![\w-])(?:" + "|".join(re.escape(phrase) for phrase in spoken()) + r")(?![\w-])")


@functools.cache
def _patterns() -> list[tuple[str, int, re.Pattern[str]]]:
    """Patterns of claims and of tones, compiled."""
    tones = [(key, KINDS[key].polarity if key in KINDS else 0, words) for key, words in TONE_WORDS]
    return [(key, polarity, re.compile(pattern)) for key, polarity, pattern in (*CLAIMS, *tones)]
