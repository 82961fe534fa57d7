"""Calibration: the better reader wins, and untouched photos get few sure suggestions."""

from __future__ import annotations

import torch

from calm.readout import soft_score
from calm.train.calibrate import FALSE_ALARMS, RIGHT, calibrate, calibrate_content, calibrate_scores
from calm.words.things import NAMES, phrase


def lessons(count: int, sure: float, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Log-probabilities of a reader that is right in proportion to ``sure``, and the targets; a third is untouched."""
    generator = torch.Generator().manual_seed(seed)
    classes = torch.randint(0, 5, (count,), generator=generator)
    classes[::3] = 5
    targets = torch.nn.functional.one_hot(classes, 6).float()
    noise = torch.randn(count, 6, generator=generator)
    return (targets * sure + noise).log_softmax(1), targets


def test_the_better_reader_gets_the_greater_share() -> None:
    good, targets = lessons(600, sure=4.0, seed=0)
    bad = torch.randn(600, 6, generator=torch.Generator().manual_seed(1)).log_softmax(1)
    assert calibrate(good, bad, targets)["heads"] < 0.5
    assert calibrate(bad, good, targets)["heads"] > 0.5


def test_untouched_photos_get_few_sure_suggestions() -> None:
    spoken, targets = lessons(900, sure=1.5, seed=2)
    spoken[:, :-1] += 1.0
    found = calibrate(spoken, spoken, targets)
    assert found["bias"] > 0 and found["validation_false_alarms"] <= FALSE_ALARMS
    assert 0.5 < found["validation_top1"] <= 1


def readings(noise: float, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Distributions of a reader who errs by ``noise`` points, and people's."""
    generator = torch.Generator().manual_seed(seed)
    true = 3 + 5 * torch.rand(300, generator=torch.Generator().manual_seed(9))
    read = (true + noise * torch.randn(300, generator=generator)).clamp(1, 10)
    return tuple(torch.stack([soft_score(float(v)) for v in values]) for values in (read, true))  # type: ignore[return-value]


def test_the_better_reader_of_scores_gets_the_greater_share() -> None:
    good, people = readings(0.2, seed=0)
    poor, _ = readings(2.0, seed=1)
    assert calibrate_scores(good, poor, people)["score_heads"] <= 0.25
    assert calibrate_scores(poor, good, people)["score_heads"] >= 0.75


def test_where_both_read_alike_the_heads_read_alone() -> None:
    good, people = readings(0.2, seed=0)
    assert calibrate_scores(good, good, people)["score_heads"] == 1.0


def test_two_photos_choose_no_reader() -> None:
    good, people = readings(0.2, seed=0)
    assert calibrate_scores(good[:2], good[:2], people[:2])["score_heads"] == 0.0


def test_a_thing_is_named_from_where_it_is_mostly_right() -> None:
    generator = torch.Generator().manual_seed(0)
    probabilities = torch.rand(4000, len(NAMES), generator=generator)
    targets = (torch.rand(4000, len(NAMES), generator=generator) < probabilities).float()
    dog, cat, child = (NAMES.index(name) for name in ("dog", "cat", "child"))
    targets[:, cat] = 0  # never right
    probabilities[:, child] = 0.3  # never likely
    targets[::2] = float("nan")  # nobody said
    found = calibrate_content(probabilities, targets)
    assert set(found) == set(NAMES) and found["cat"] == found["child"] == 1
    named = (probabilities[:, dog] >= found["dog"]) & targets[:, dog].isfinite()
    assert 0.5 <= found["dog"] < 0.8 and targets[named, dog].mean() >= RIGHT
    assert phrase({"dog": 0.9, "cat": 0.99}, found) == "a dog"
