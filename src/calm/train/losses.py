"""What is minimised: one small function a reading."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from calm.readout import SCORES


def score_loss(logits: Tensor, target: Tensor) -> Tensor:
    """Cross-entropy to a soft distribution over 1 … 10, plus the squared error of its mean.

    Args:
        logits: (B, 10). target: (B, 10), rows sum to 1.
    """
    scores = SCORES.to(logits)
    entropy = -(target * logits.log_softmax(dim=1)).sum(dim=1)
    error = (logits.softmax(dim=1) @ scores) - (target @ scores)
    return (entropy + error.square()).mean()


def correlation_loss(predicted: Tensor, wanted: Tensor) -> Tensor:
    """(1 − Pearson correlation) / 2 over the batch, in 0 … 1. ``predicted``, ``wanted``: (B,)."""
    a, b = predicted - predicted.mean(), wanted - wanted.mean()
    return (1 - (a * b).sum() / (a.norm() * b.norm() + 1e-6)) / 2


def example_losses(logits: Tensor, ratings: Tensor, spread: float = 0.6, cold: int = 8) -> dict[str, Tensor]:
    """How far what is said of each photo of a sequence is from what the person gave it.

    ``rating``: cross-entropy to a normal density of this ``spread`` round the rating, and a share of the squared error
    of the mean; ``order``: (1 − Pearson correlation) / 2 within each sequence, from the ``cold``-th photo on.

    Args:
        logits: (B, n, 10). ratings: (B, n), 1–10.
    """
    scores = SCORES.to(logits)
    target = (-0.5 * ((scores - ratings[..., None]) / spread).square()).softmax(dim=-1)
    mean = logits.softmax(dim=-1) @ scores
    entropy = -(target * logits.log_softmax(dim=-1)).sum(dim=-1)
    losses = {"rating": (entropy + 0.15 * (mean - ratings).square()).mean()}
    if ratings.shape[1] > cold + 2:
        order = [correlation_loss(a[cold:], b[cold:]) for a, b in zip(mean, ratings, strict=True)]
        losses["order"] = sum(order[1:], order[0]) / len(order)
    return losses


def head_losses(outputs: dict[str, Tensor], targets: dict[str, Tensor]) -> dict[str, Tensor]:
    """A loss for every head that has targets; rows of NaN (and single NaN, for amounts) are left out.

    Args:
        outputs: as :class:`calm.model.heads.AuxiliaryHeads` gives them.
        targets: ``score`` (B, 10) distribution, ``quality`` (B, 1), ``emotions`` (B, 8) distribution, ``edits``
            (B, classes + 1) distribution, ``amounts`` (B, classes) severities, ``content`` (B, things) 0 or 1.
    """
    losses = {}
    for name, target in targets.items():
        known = target.isfinite()
        rows = known.any(dim=1)
        if not rows.any():
            continue
        output, wanted = outputs[name].float()[rows], target[rows]
        if name == "score":
            scores = SCORES.to(output)
            losses[name] = score_loss(output, wanted)
            if len(wanted) > 2:
                losses["correlation"] = correlation_loss(output.softmax(dim=1) @ scores, wanted @ scores)
        elif name in ("emotions", "edits"):
            losses[name] = -(wanted * output.log_softmax(dim=1)).sum(dim=1).mean()
        elif name == "content":
            known = known[rows]
            losses[name] = F.binary_cross_entropy_with_logits(output[known], wanted[known])
        else:
            known = known[rows]
            losses[name] = F.smooth_l1_loss(output[known], wanted[known], beta=0.5)
    return losses
