"""Words about edits, drawn at random from what each attribute's file offers."""

from __future__ import annotations

import functools
import re

import numpy as np

from calm.edits.base import Applied, edits

UNTOUCHED = (
    "Nothing needs to be changed.",
    "I would leave this photo as it is.",
    "There is nothing to mend here.",
    "No correction is needed.",
    "The photo is fine as it stands.",
    "I see no fault that calls for a change.",
    "It needs no editing.",
    "Leave it as it is.",
    "Nothing stands out that should be corrected.",
    "This one is ready as it is.",
)


def _draw(sentences: list[str] | tuple[str, ...], rng: np.random.Generator) -> str:
    return sentences[int(rng.integers(len(sentences)))]


def describe(applied: Applied, rng: np.random.Generator) -> str:
    """What is wrong, and how strongly."""
    return _draw(list(edits()[applied.attribute].descriptions(applied)), rng)


def compare(applied: Applied, rng: np.random.Generator) -> str:
    """This photo against the better one."""
    return _draw(list(edits()[applied.attribute].comparisons(applied)), rng)


def advise(applied: Applied, rng: np.random.Generator) -> str:
    """What the photographer should do."""
    return _draw(list(edits()[applied.attribute].advice(applied)), rng)


def untouched(rng: np.random.Generator) -> str:
    """That there is nothing to do."""
    return _draw(UNTOUCHED, rng)


def _shape(sentence: str) -> str:
    """A sentence with its numbers taken out, so that every amount of one phrasing looks the same."""
    return re.sub(r"[\d.,]*\d", "#", sentence.lower()).strip(" .!")


@functools.cache
def _shapes() -> dict[str, tuple[str, str]]:
    known = {}
    for attribute, edit in edits().items():
        for direction in edit.directions:
            for severity in np.linspace(0.0, 1.0, 41):
                for kind in ("", "defocus", "motion"):
                    applied = Applied(
                        attribute, direction, edit.amount(direction, float(severity)), float(severity), kind
                    )
                    known |= {_shape(sentence): (attribute, direction) for sentence in edit.advice(applied)}
    return known


def parse_advice(text: str) -> tuple[str, str] | None:
    """(attribute, direction) of a piece of advice that :func:`advise` could have given, whatever its numbers; else None."""
    for sentence in re.split(r"(?<=[.!?])\s+", text):
        if found := _shapes().get(_shape(sentence)):
            return found
    return None
