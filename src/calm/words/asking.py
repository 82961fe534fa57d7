"""What is asked for in words, and how far an answer may be trusted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from calm.words.check import FEWEST, begin_again, slips
from calm.words.compose import Said, compose, compose_aspect
from calm.words.facts import Facts
from calm.words.notes import noted
from calm.words.questions import QUESTIONS


@dataclass(frozen=True)
class Asked:
    """A question, with notes of what its answer is to say where there are any.

    Attributes:
        said: what the notes hold; None without notes, where any answer will do.
        score: 1–10, that the answer's verdict should agree with.
        fewest: sentences at least.
    """

    question: str
    said: Said | None = None
    score: float | None = None
    fewest: int = FEWEST

    def slips(self, text: str) -> int:
        """How far an answer strays from the notes; see :func:`calm.words.check.slips`."""
        return 0 if self.said is None else slips(text, self.said, self.score, self.fewest)

    def begin_again(self, text: str, seed: int, named: bool = False) -> str:
        """How another attempt begins after an answer that strays; see :func:`calm.words.check.begin_again`."""
        return "" if self.said is None else begin_again(text, self.said, np.random.default_rng(seed), named)


def asked(kind: str, facts: Facts | None, rng: np.random.Generator) -> Asked:
    """The canonical question of a kind (``comment`` or ``aspect:NAME``), after notes where there are facts."""
    question = QUESTIONS[kind][0]
    if facts is None:
        return Asked(question)
    whole = kind == "comment"
    said = compose(facts, rng) if whole else compose_aspect(facts, kind.removeprefix("aspect:"), rng)
    return Asked(noted(question, facts, said), said, facts.score, FEWEST if whole else 1)
