"""Notes: what was observed on a photo, in plain words, as they stand before a question about it.

A small language model turns notes into prose far sooner than it learns to read the same facts from visual tokens
(docs/lab.md, 27). Its comment then says what the heads and the measurements say, in words of its own. Notes are ours;
the paper's model speaks from the visual tokens alone, which ``notes: false`` in the configuration gives.
"""

from __future__ import annotations

from collections.abc import Sequence

from calm.words.compose import Said
from calm.words.facts import Facts, Observation
from calm.words.openings import palette
from calm.words.verdicts import BANDS, band_of

FAINT, PLAIN = 0.25, 0.65
"""Strengths up to which a thing is slight, and from which it is strong."""


def notes(facts: Facts, said: Said) -> str:
    """Notes of what a comment is to say: content, place, light and colour, for and against, score.

    Args:
        facts: what is known of the photo.
        said: what :func:`calm.words.compose.compose` chose to name.
    """
    parts = [f"shows {facts.content}" if facts.content else ""]
    if facts.reading and said.opened:
        parts.append(_seen(facts, said))
    for word, polarity in (("good", 1), ("bad", -1)):
        named = [_named(one) for one in said.observations if one.polarity == polarity]
        parts.append(f"{word}: {', '.join(named)}" if named else "")
    if facts.score is not None:
        parts.append(f"score {facts.score:.1f}, {BANDS[band_of(facts.score)].adjectives[0]}")
    return "Notes: " + "; ".join(part for part in parts if part) + "."


def noted(question: str, facts: Facts, said: Said) -> str:
    """A question with the notes before it."""
    return f"{notes(facts, said)}\n{question}"


def _seen(facts: Facts, said: Said) -> str:
    """What stands in first sentences: place of the subject, colours, and the other keys that the sentence mentions."""
    place = facts.place if facts.count == "one" else None
    keys: Sequence[str] = [key for key in said.opened if not key.startswith(("colour:", "place:"))]
    seen = [f"subject {place}" if place else "", " and ".join(palette(facts)), *map(_plain, keys)]
    return "seen: " + ", ".join(part for part in seen if part)


def _named(one: Observation) -> str:
    degree = "slightly " if one.strength < FAINT else "very " if one.strength > PLAIN else ""
    return degree + _plain(one.key)


def _plain(key: str) -> str:
    """ "mood:awe" → "mood awe", "clear_subject" → "clear subject"."""
    return key.replace(":", " ").replace("_", " ")
