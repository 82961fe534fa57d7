"""What can be said of each observation: clauses and noun phrases, for and against the photo.

The phrases stand in ``tables/*.txt``, one a line below the key that they speak of::

    [centred]
    + the subject holds the centre well          a clause for the photo: it stands alone
    ++ a steady, centred subject                 a noun phrase for it: after "thanks to", "what works is"
    - the central placing is static              a clause against it
    -- the predictable central placing           a noun phrase against it

``{too}`` becomes "a little too ", "too " or "far too " and ``{very}`` "rather ", "" or "very ", by strength: so the
words say how strong the thing is. No two keys share a phrase, so that a phrase can be traced back to what it claims.
"""

from __future__ import annotations

import functools
from collections import defaultdict
from dataclasses import dataclass
from importlib import resources

import numpy as np

DEGREES: dict[str, tuple[str, str, str]] = {
    "{too}": ("a little too ", "too ", "far too "),
    "{very}": ("rather ", "", "very "),
}
"""What a slot becomes for a weak, a plain and a strong observation."""
WEAK, STRONG = 0.3, 0.75
TABLES = ("light", "colour", "detail", "layout", "subject")


@dataclass(frozen=True)
class Bank:
    """Alternatives for one key and polarity."""

    clauses: tuple[str, ...]
    nouns: tuple[str, ...]


@functools.cache
def banks() -> dict[tuple[str, int], Bank]:
    """Phrases by key and polarity (1 or −1)."""
    lines: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    keys: list[str] = []
    for name in TABLES:
        table = resources.files("calm.words").joinpath("tables", f"{name}.txt").read_text(encoding="utf-8")
        for line in table.splitlines():
            if line.startswith("["):
                keys.append(line.strip("[] "))
            elif line and not line.startswith("#"):
                mark, _, phrase = line.partition(" ")
                lines[keys[-1], mark].append(phrase.strip())
    return {
        (key, polarity): Bank(tuple(lines[key, sign]), tuple(lines[key, sign * 2]))
        for key in keys
        for sign, polarity in (("+", 1), ("-", -1))
        if (key, sign) in lines
    }


def fill(phrase: str, strength: float) -> str:
    """The phrase with its slots filled for a strength of 0–1."""
    return _with_degree(phrase, 0 if strength < WEAK else 2 if strength > STRONG else 1)


def _with_degree(phrase: str, degree: int) -> str:
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
                text = _with_degree(phrase, degree)
                if found.setdefault(text, meaning) != meaning:
                    raise AssertionError(f"{text!r} stands for {meaning} and {found[text]}")
    return dict(sorted(found.items(), key=lambda item: -len(item[0])))
