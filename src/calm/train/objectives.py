"""What the stages of training minimise."""

import math
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from calm.model.config import AMOUNT_LEVELS, SCORE_LEVELS
from calm.train.examples import Example


def schedule(step: int, steps: int, warmup: float) -> float:
    """Share of the peak rate: a linear rise, then a cosine down to a twentieth."""
    rise = max(1, round(warmup * steps))
    if step < rise:
        return (step + 1) / rise
    along = (step - rise) / max(1, steps - rise)
    return 0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * along))


def score_loss(logits: Tensor, target: Tensor) -> Tensor:
    """Cross-entropy to a distribution, the earth mover's distance (squared, Hou et al. 2016) and the error of the mean.

    (n, 10) logits and (n, 10) probabilities → scalar.
    """
    logits, target = logits.float(), target.float()
    found = logits.softmax(dim=1)
    distance = (found.cumsum(dim=1) - target.cumsum(dim=1)).square().sum(dim=1).mean()
    levels = torch.arange(1.0, SCORE_LEVELS + 1)
    error = ((found - target) * levels).sum(dim=1).square().mean()
    return F.cross_entropy(logits, target) + 2.0 * distance + 0.25 * error


def order_loss(means: Tensor, pairs: list[tuple[int, Any]], examples: Sequence[Example], count: int) -> Tensor:
    """A damaged photo scores below its original by its margin, else the difference is the loss."""
    terms = [F.relu(examples[i].margin - (means[count + k] - means[i])) for k, (i, _) in enumerate(pairs)]
    return torch.stack(terms).mean()


def severity_target(severities: Sequence[float]) -> Tensor:
    """Severities 0–1 as probabilities of ten levels, shared between the two nearest: (n, 10)."""
    place = torch.tensor(severities).clamp(0, 1) * (AMOUNT_LEVELS - 1)
    lower = place.floor().clamp(max=AMOUNT_LEVELS - 2).long()
    share = place - lower
    target = torch.zeros(len(severities), AMOUNT_LEVELS)
    rows = torch.arange(len(severities))
    target[rows, lower] = 1 - share
    target[rows, lower + 1] = share
    return target
