"""May a profile be trusted? Its own examples, each predicted from all the others."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from calm.personal.prior import GENERAL, Prior

LEAST = 5
"""Examples below which nothing can be said."""
RESAMPLES = 1000


@dataclass(frozen=True)
class Trust:
    """Agreement of ratings left out one by one with what the others predict.

    Attributes:
        srcc: of the personal score, with the ends ``low`` and ``high`` of its 95 % interval.
        generic: SRCC of the general score with the same ratings.
        better: share of the resamples in which the personal score agrees better than the general one.
    """

    srcc: float
    low: float
    high: float
    generic: float
    better: float

    @property
    def helps(self) -> bool:
        """Whether the personal score is better than the general one, as far as the examples tell."""
        return self.better >= 0.9


def trust(prior: Prior, read: np.ndarray, ratings: np.ndarray, seed: int = 0) -> Trust | None:
    """Leave-one-out agreement, by bootstrap over the examples; None where they are too few or all alike.

    Args:
        read: (k, n) examples as the prior reads them.
        ratings: (k,), 1–10.
    """
    if len(ratings) < LEAST or np.ptp(ratings) == 0:
        return None
    said = np.array([_left_out(prior, read, ratings, i) for i in range(len(ratings))])
    general = read[:, GENERAL]
    rng = np.random.default_rng(seed)
    draws: list[tuple[float, float]] = []
    while len(draws) < RESAMPLES:
        chosen = rng.integers(len(ratings), size=len(ratings))
        if np.ptp(ratings[chosen]):
            draws.append((_agreement(said[chosen], ratings[chosen]), _agreement(general[chosen], ratings[chosen])))
    own, plain = np.array(draws).T
    low, high = np.quantile(own, (0.025, 0.975))
    better = float(np.mean(own > plain) + 0.5 * np.mean(own == plain))
    return Trust(_agreement(said, ratings), float(low), float(high), _agreement(general, ratings), better)


def _left_out(prior: Prior, read: np.ndarray, ratings: np.ndarray, i: int) -> float:
    rest = np.arange(len(ratings)) != i
    weights, _ = prior.person(read[rest], ratings[rest])
    return float(prior.predict(read[i : i + 1], weights)[0])


def _agreement(said: np.ndarray, given: np.ndarray) -> float:
    """SRCC, 0 where everything is said alike."""
    from scipy.stats import rankdata

    a, b = (rankdata(values) for values in (said, given))
    a, b = a - a.mean(), b - b.mean()
    size = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / size if size else 0.0
