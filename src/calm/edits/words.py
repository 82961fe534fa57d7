"""Words about edits, drawn at random from what each attribute's file offers."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Sequence

import numpy as np

from calm.edits.base import Applied, Phrases, edits

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
    "I find nothing that has to be put right.",
    "There is no obvious fault to correct.",
)

STRENGTHS: dict[str, tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]] = {
    "too": (
        ("a little too", "slightly too", "a touch too"),
        ("clearly too", "noticeably too", "visibly too"),
        ("far too", "much too"),
    ),
    "very": (
        ("slightly", "mildly", "a little"),
        ("clearly", "noticeably", "visibly"),
        ("strongly", "heavily", "severely"),
    ),
    "quite": (
        ("slightly", "somewhat", "a little"),
        ("clearly", "noticeably", "visibly"),
        ("very", "extremely"),
    ),
    "a": (
        ("a slight", "a faint", "a mild"),
        ("a clear", "a noticeable", "a visible"),
        ("a strong", "a heavy", "a pronounced"),
    ),
    "much": (
        ("a little", "slightly", "a touch"),
        ("noticeably", "quite a bit", "clearly"),
        ("a lot", "considerably", "a good deal"),
    ),
}
"""Words of strength for severities below 0.33, below 0.66 and above."""


def strength(severity: float) -> int:
    """0, 1 or 2: slightly, clearly, strongly."""
    return 0 if severity < 0.33 else 1 if severity < 0.66 else 2


def describe(applied: Applied, rng: np.random.Generator) -> str:
    """What is wrong, and how strongly."""
    return _say(_phrases(applied).wrong, applied, rng)


def compare(applied: Applied, rng: np.random.Generator) -> str:
    """This photo against the better one."""
    return _say(_phrases(applied).against, applied, rng)


def advise(applied: Applied, rng: np.random.Generator) -> str:
    """What the photographer should do, in words that :func:`parse_advice` reads back."""
    return _say(_phrases(applied).advice, applied, rng)


def untouched(rng: np.random.Generator) -> str:
    """That there is nothing to do."""
    return _draw(UNTOUCHED, rng)


def parse_advice(text: str) -> tuple[str, str] | None:
    """(attribute, direction) of the first sentence that :func:`advise` could say, whatever its amount; else None."""
    for sentence in re.split(r"(?<=[.!?])\s+", text.strip()):
        said = _normal(sentence)
        for pattern, found in _patterns():
            if pattern.fullmatch(said):
                return found
    return None


def _phrases(applied: Applied) -> Phrases:
    return edits()[applied.attribute].words_for(applied.direction, applied.kind)


def _draw(sentences: Sequence[str], rng: np.random.Generator) -> str:
    return sentences[int(rng.integers(len(sentences)))]


def _say(templates: Sequence[str], applied: Applied, rng: np.random.Generator) -> str:
    amounts = () if applied.amount is None else tuple(edits()[applied.attribute].wordings(applied.amount))
    usable = [template for template in templates if amounts or "{amount}" not in template]
    fills = {field: _draw(words[strength(applied.severity)], rng) for field, words in STRENGTHS.items()}
    if amounts:
        fills["amount"] = _draw(amounts, rng)
    said = _draw(usable, rng).format(**fills)
    return said[0].upper() + said[1:]


def _normal(sentence: str) -> str:
    return " ".join(sentence.lower().strip(" .!").split())


_AMOUNT = r"(?:[\w.,%°'-]+ ?){1,6}?"


@functools.cache
def _patterns() -> tuple[tuple[re.Pattern[str], tuple[str, str]], ...]:
    return tuple(_all_patterns())


def _all_patterns() -> Iterator[tuple[re.Pattern[str], tuple[str, str]]]:
    fields = {field: "|".join(word for words in table for word in words) for field, table in STRENGTHS.items()}
    for attribute, edit in edits().items():
        for direction in edit.directions:
            for kind in edit.kinds(direction):
                for template in edit.words_for(direction, kind).advice:
                    pattern = re.escape(_normal(template))
                    for field, words in fields.items():
                        pattern = pattern.replace(rf"\{{{field}\}}", f"(?:{words})")
                    yield re.compile(pattern.replace(r"\{amount\}", _AMOUNT)), (attribute, direction)
