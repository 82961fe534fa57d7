"""Seeded choice: a sample of the distribution, the same for a row wherever it stands."""

from __future__ import annotations

import pytest
import torch

from calm.speaking import SeededChoice
from calm.words.parse import trimmed

SCORES = torch.log(torch.tensor([[0.5, 0.3, 0.2, 1e-9]]))


def choose(seeds: list[int], temperature: float = 1.0, top: int = 3) -> list[int]:
    chooser = SeededChoice(seeds, temperature, top)
    return chooser(torch.zeros(len(seeds), 1), SCORES.repeat(len(seeds), 1)).argmax(1).tolist()


def test_a_row_does_not_depend_on_its_batch() -> None:
    seeds = [5, 17, 23, 99]
    assert choose(seeds) == [choose([seed])[0] for seed in seeds]
    assert choose(seeds[::-1]) == choose(seeds)[::-1]


def test_frequencies_follow_the_probabilities() -> None:
    counts = torch.bincount(torch.tensor(choose(list(range(4000)))), minlength=4) / 4000
    assert (counts[:3] - torch.tensor([0.5, 0.3, 0.2])).abs().max() < 0.03 and counts[3] == 0


def test_steps_draw_anew_and_no_temperature_is_greedy() -> None:
    chooser = SeededChoice([3], 1.0, 3)
    drawn = {chooser(torch.zeros(1, 1), SCORES).argmax().item() for _ in range(60)}
    assert drawn == {0, 1, 2}
    assert choose([1, 2, 3], temperature=0.0) == [0, 0, 0]


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("One. Two. Three. Four. Five.", "One. Two. Three. Four."),
        ("It is dark. It is dark. It is good.", "It is dark. It is good."),
        ("It is dark. But the over", "It is dark."),
        ("no end at all", "no end at all"),
        ("  ", ""),
    ],
)
def test_a_comment_is_shown_in_whole_sentences(said: str, shown: str) -> None:
    assert trimmed(said) == shown
