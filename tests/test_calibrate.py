"""Calibration: the better reader wins, and untouched photos get few sure suggestions."""

from __future__ import annotations

import torch

from calm.train.calibrate import FALSE_ALARMS, calibrate


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
