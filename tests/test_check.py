"""A comment that strays from its notes is found out, and written again."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from drawn import facts_of

from calm.predictor import Asked, Predictor
from calm.words.check import DENIAL, LEFT_OUT, OWN, slips
from calm.words.compose import Said, compose
from calm.words.facts import Observation

GOOD = Observation("light", "low", 1, "soft_light", 0.5)
BAD = Observation("composition", "middle", -1, "near_edge", 0.5)
SAID = Said("", (GOOD, BAD), ("colour:blue",))
FAITHFUL = "A picture in blue. Soft light keeps the tones gentle. However, the subject is pushed to the edge."


def test_what_was_composed_strays_little() -> None:
    """Comments written by the rules themselves: nearly all of them are read back as what they were to say."""
    counts = []
    for seed in range(120):
        facts = facts_of(seed)
        said = compose(facts, np.random.default_rng(seed))
        counts.append(slips(said.text, said, facts.score))
    assert np.mean([count == 0 for count in counts]) > 0.8 and max(counts) <= 2 * LEFT_OUT


def test_the_comment_of_another_photo_strays_far() -> None:
    own, other = [], []
    for seed in range(60):
        facts = facts_of(seed)
        said = compose(facts, np.random.default_rng(seed))
        wrong = compose(facts_of(seed + 100), np.random.default_rng(seed))
        own.append(slips(said.text, said, facts.score))
        other.append(slips(wrong.text, said, facts.score))
    assert np.mean(other) > np.mean(own) + 2


@pytest.mark.parametrize(
    ("text", "count"),
    [
        (FAITHFUL, 0),
        ("A picture in blue. Soft light keeps the tones gentle.", LEFT_OUT),
        (FAITHFUL + " The image is noisy.", OWN),
        (FAITHFUL + " The light is harsh.", DENIAL),
        (FAITHFUL.split(". ", 1)[1].replace(". However, ", ", but "), OWN),
        (FAITHFUL + " It is an excellent photo.", LEFT_OUT),
        (FAITHFUL + " It is a fair photo.", 0),
    ],
)
def test_each_kind_of_slip_is_counted(text: str, count: int) -> None:
    assert slips(text, SAID, score=5.5) == count


def test_one_sentence_answers_a_question_about_one_aspect() -> None:
    said = replace(SAID, observations=(GOOD,))
    assert slips("Soft light keeps the tones gentle.", said, fewest=1) == 0
    assert slips("Soft light keeps the tones gentle.", said) == OWN


class Improving(Predictor):
    """Says a little more with every attempt."""

    def __init__(self, attempts: list[str]) -> None:
        self.attempts, self.asked = attempts, []

    def say(self, visual, questions, seeds=None, max_new_tokens=110, temperature=0.0):
        self.asked.append((len(visual), list(seeds), temperature))
        return [self.attempts[len(self.asked) - 1]] * len(questions)


def test_a_comment_that_strays_is_written_again_and_the_truest_is_kept() -> None:
    lost, noisy = "A picture in blue.", FAITHFUL + " The image is noisy."
    writer = Improving([lost, noisy, lost, lost])
    strict = Asked("?", lambda text: slips(text, SAID))
    content = Asked("?", lambda text: 0)
    texts = writer._write(torch.zeros(2, 1, 4), [strict, content], [10, 20])
    assert texts == [noisy, lost]
    assert writer.asked == [(2, [10, 20], 0.3), (1, [11], 0.3), (1, [12], 0.5), (1, [13], 0.7)]
    writer = Improving([FAITHFUL])
    assert writer._write(torch.zeros(1, 1, 4), [strict], [10]) == [FAITHFUL]
