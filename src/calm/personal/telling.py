"""Which photos to rate next: those of which a rating would tell most about the person."""

from __future__ import annotations

import numpy as np

from calm.personal.prior import Prior


def most_telling(prior: Prior, uncertain: np.ndarray, candidates: np.ndarray, count: int) -> list[int]:
    """Indices of ``count`` candidates, most telling first.

    One after the other, the photo is taken whose rating is least known in advance; what the rating would tell is taken
    as told before the next choice (greedy experimental design: for a linear model with Gaussian weights, what the
    rating will be does not matter).

    Args:
        uncertain: (n, n), how uncertain the person's weights are before, see :meth:`Prior.person`.
        candidates: (m, n) photos to choose from, as the prior reads them.
        count: at most m are chosen.
    """
    chosen: list[int] = []
    left = np.ones(len(candidates), bool)
    for _ in range(min(count, len(candidates))):
        spread = np.einsum("nd,de,ne->n", candidates, uncertain, candidates)
        best = int(np.where(left, spread, -np.inf).argmax())
        told = uncertain @ candidates[best]
        uncertain = uncertain - np.outer(told, told) / (spread[best] + prior.tastes.noise)
        chosen.append(best)
        left[best] = False
    return chosen
