"""A comment that strays from its notes is found out, and written again."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from drawn import facts_of
from parts import tiny_tokenizer

from calm.chat import Chat
from calm.predictor import HINTED, TEMPERATURES, Predictor
from calm.words.asking import Asked
from calm.words.check import CUES, DENIAL, LEFT_OUT, OWN, begin_again, faithful_start, slips
from calm.words.compose import Said, compose
from calm.words.facts import Observation
from calm.words.parse import find_claims

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


@pytest.mark.parametrize(
    ("text", "start"),
    [
        (FAITHFUL, "A picture in blue. Soft light keeps the tones gentle."),
        ("A picture in blue. The image is noisy. Soft light keeps the tones gentle.", "A picture in blue."),
        ("A noisy picture. Soft light keeps the tones gentle.", ""),
        ("Soft light keeps the tones gentle.", ""),
    ],
)
def test_a_new_attempt_goes_on_from_what_is_true(text: str, start: str) -> None:
    assert faithful_start(text, SAID) == start


@pytest.mark.parametrize(
    ("text", "start", "side"),
    [
        ("A picture in blue. It is noisy.", "A picture in blue.", 1),
        (FAITHFUL, "A picture in blue. Soft light keeps the tones gentle.", -1),
        ("However, the subject is pushed to the edge. It is noisy.", "However, the subject is pushed to the edge.", 1),
        ("A noisy picture.", "", 0),
    ],
)
def test_a_new_attempt_begins_to_speak_of_the_side_that_is_left_out(text: str, start: str, side: int) -> None:
    drawn = {begin_again(text, SAID, np.random.default_rng(seed)) for seed in range(60)}
    assert drawn == ({f"{start} {cue}" for cue in CUES[side]} if side else {start})


def test_in_the_end_a_new_attempt_begins_by_naming_what_is_noted() -> None:
    """The cue goes on with a noun phrase of the very key, and is then read as that side."""
    for seed in range(60):
        begun = begin_again(FAITHFUL, SAID, np.random.default_rng(seed), named=True)
        assert begun.startswith(begin_again(FAITHFUL, SAID, np.random.default_rng(seed)).rsplit(".", 1)[0])
        assert ("near_edge", -1) in {(claim.key, claim.polarity) for claim in find_claims(begun)}, begun
        assert slips(begun + ".", SAID) == 0


def test_both_sides_are_named_at_once_where_both_are_left_out() -> None:
    for seed in range(20):
        begun = begin_again("A picture in blue. It is noisy.", SAID, np.random.default_rng(seed), named=True)
        assert {(claim.key, claim.polarity) for claim in find_claims(begun)} >= {("soft_light", 1), ("near_edge", -1)}
        assert slips(begun + ".", SAID) == 0


def test_in_the_end_a_first_sentence_may_have_a_claim_of_its_own() -> None:
    """A noisy picture is no note, but denies none; that the light is harsh denies that it is soft."""
    for text, stays in (("A noisy picture. It is fair.", True), ("A picture in harsh light. It is fair.", False)):
        assert begin_again(text, SAID, np.random.default_rng(0)) == ""
        begun = begin_again(text, SAID, np.random.default_rng(0), named=True)
        assert begun.startswith(text.split(" It")[0] + " ") if stays else begun == ""


def test_nothing_is_begun_where_both_sides_are_told() -> None:
    both = "Soft light keeps the tones gentle, but the subject is pushed to the edge. It is noisy."
    assert begin_again(both, SAID, np.random.default_rng(0)) == both.split(" It")[0]


class Improving(Predictor):
    """Says a little more with every attempt."""

    def __init__(self, attempts: list[str]) -> None:
        self.attempts, self.asked = attempts, []

    def say(self, visual, questions, seeds=None, begun=None, max_new_tokens=110, temperature=0.0):
        self.asked.append((list(begun), list(seeds), temperature))
        return [self.attempts[len(self.asked) - 1]] * len(questions)


def test_a_comment_that_strays_is_written_again_and_the_truest_is_kept() -> None:
    lost, noisy = "A picture in blue. It is noisy.", FAITHFUL + " The image is noisy."
    writer = Improving([lost, noisy, *[lost] * 4])
    strict, content = Asked("?", SAID), Asked("?")
    texts = writer._write(torch.zeros(2, 1, 4), [strict, content], [10, 20])
    assert texts == [noisy, lost]
    seeds = [[10, 20], [11], [12], [13], [14], [15]]
    said = [
        begin_again(text, SAID, np.random.default_rng(9 + i), named=i >= HINTED)
        for i, text in enumerate((lost, noisy, *[lost] * 3), 1)
    ]
    starts = [["", ""], *([start] for start in said)]
    assert said[0].startswith("A picture in blue. ") and "gentle. " in said[1]
    assert writer.asked == list(zip(starts, seeds, TEMPERATURES, strict=True))
    writer = Improving([FAITHFUL])
    assert writer._write(torch.zeros(1, 1, 4), [strict], [10]) == [FAITHFUL]


def test_a_prompt_may_hold_the_beginning_of_its_answer() -> None:
    tokenizer = tiny_tokenizer()
    chat = Chat(tokenizer, 3, 2)
    ids, mask = chat.questions(["Why?", "Why?"], ["", "Soft light"])
    begun = tokenizer("Soft light").input_ids
    assert ids[1].tolist() == chat.prompt("Why?") + begun and mask[1].all()
    assert ids[0, len(begun) :].tolist() == chat.prompt("Why?") and mask[0].sum() == len(chat.prompt("Why?"))
