"""The running mean of weights: what it is after many steps, and that looking at it changes nothing."""

from __future__ import annotations

import torch
from torch import nn

from calm.train.average import RunningMean


def test_the_mean_is_the_weighted_past() -> None:
    """Against the sum written out: each step's weights, the later the heavier."""
    weight = nn.Parameter(torch.zeros(3))
    mean = RunningMean({"weight": weight}, decay=0.4)
    steps = torch.randn(12, 3)
    for value in steps:
        weight.data.copy_(value)
        mean.update()
    told, rest = torch.zeros(3), 1.0
    for back, value in enumerate(reversed(steps)):
        number = len(steps) - back
        share = 1 - min(0.4, number / (number + 9))
        told += rest * share * value
        rest *= 1 - share
    torch.testing.assert_close(mean.means["weight"], told)


def test_noise_about_a_place_is_averaged_away() -> None:
    torch.manual_seed(0)
    weight = nn.Parameter(torch.full((1000,), 5.0))
    mean = RunningMean({"weight": weight}, decay=0.98)
    for _ in range(400):
        weight.data.copy_(torch.randn(1000) + 2)
        mean.update()
    assert abs(mean.means["weight"].mean() - 2) < 0.02
    assert mean.means["weight"].std() < 0.2 < weight.std()


def test_a_look_at_the_mean_leaves_the_weights_as_they_were() -> None:
    weight = nn.Parameter(torch.tensor([1.0, 2.0]))
    mean = RunningMean({"weight": weight}, decay=0.9)
    weight.data.add_(1)
    mean.update()
    with mean.in_place():
        assert torch.equal(weight.data, mean.means["weight"])
        assert not torch.equal(weight.data, torch.tensor([2.0, 3.0]))
    assert torch.equal(weight.data, torch.tensor([2.0, 3.0]))
    mean.settle()
    assert torch.equal(weight.data, mean.means["weight"])
