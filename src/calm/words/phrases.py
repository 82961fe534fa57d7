"""What can be said of each observation: clauses and noun phrases, for (+) and against (−) the photo.

Format of the tables: ``{key: {"+": clauses, "+n": noun phrases, "-": clauses, "-n": noun phrases}}``, alternatives parted
by ``|``. A clause stands alone ("the light is soft"); a noun phrase stands after "thanks to", "what works is", "the weak
point is". ``{too}`` becomes "a little too ", "too " or "far too " and ``{very}`` "rather ", "" or "very ", by strength:
so the words say how strong the thing is.

No two keys share a phrase, so that a phrase can be traced back to what it claims.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np

from calm.words.phrases_high import HIGH
from calm.words.phrases_low import LOW

DEGREES: dict[str, tuple[str, str, str]] = {
    "{too}": ("a little too ", "too ", "far too "),
    "{very}": ("rather ", "", "very "),
}
"""What a slot becomes for a weak, a plain and a strong observation."""
WEAK, STRONG = 0.3, 0.75


@dataclass(frozen=True)
class Bank:
    """Alternatives for one key and polarity."""

    clauses: tuple[str, ...]
    nouns: tuple[str, ...]


@functools.cache
def banks() -> dict[tuple[str, int], Bank]:
    """Phrases by key and polarity (1 or −1)."""
    found = {}
    for key, table in (LOW | HIGH).items():
        for sign, polarity in (("+", 1), ("-", -1)):
            if sign in table:
                found[key, polarity] = Bank(_split(table[sign]), _split(table[f"{sign}n"]))
    return found


def _split(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split("|"))


def fill(phrase: str, strength: float) -> str:
    """The phrase with its slots filled for a strength of 0–1."""
    degree = 0 if strength < WEAK else 2 if strength > STRONG else 1
    for slot, words in DEGREES.items():
        phrase = phrase.replace(slot, words[degree])
    return phrase


def clause(key: str, polarity: int, strength: float, rng: np.random.Generator) -> str:
    """A clause that says it, in lower case and without a stop."""
    return fill(str(rng.choice(banks()[key, polarity].clauses)), strength)


def noun(key: str, polarity: int, strength: float, rng: np.random.Generator) -> str:
    """A noun phrase that names it, in lower case."""
    return fill(str(rng.choice(banks()[key, polarity].nouns)), strength)


@functools.cache
def spoken() -> dict[str, tuple[str, int]]:
    """Every phrase with every filling of its slots, to the key and polarity it stands for; longest first."""
    found: dict[str, tuple[str, int]] = {}
    for meaning, bank in banks().items():
        for phrase in (*bank.clauses, *bank.nouns):
            for degree in range(3):
                text = phrase
                for slot, words in DEGREES.items():
                    text = text.replace(slot, words[degree])
                if found.setdefault(text, meaning) != meaning:
                    raise AssertionError(f"{text!r} stands for {meaning} and {found[text]}")
    return dict(sorted(found.items(), key=lambda item: -len(item[0])))
