"""May a profile be trusted? Its own examples, each predicted from all the others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from calm.personal.prior import GENERAL, Prior

LEAST = 5
"""Examples below which nothing can be said."""
RESAMPLES = 1000


@dataclass(frozen=True)
class Trust:
    """Agreement of examples left out one by one with what the others predict.

    Attributes:
        measure: ``srcc`` with ratings, or ``pairs``, the share of pairs in which the preferred photo scores higher.
        personal: of the personal score, with the ends ``low`` and ``high`` of its 95 % interval.
        generic: of the general score with the same examples.
        better: share of the resamples in which the personal score agrees better than the general one.
    """

    measure: str
    personal: float
    low: float
    high: float
    generic: float
    better: float

    @property
    def helps(self) -> bool:
        """Whether the personal score is better than the general one, as far as the examples tell."""
        return self.better >= 0.9


def trust(prior: Prior, read: np.ndarray, ratings: np.ndarray, apart: np.ndarray, seed: int = 0) -> Trust | None:
    """Leave-one-out agreement, by bootstrap over the examples; None where they are too few or all alike.

    By the ratings where there are enough of them, else by the pairs.

    Args:
        read: (k, n) examples as the prior reads them.
        ratings: (k,), 1–10.
        apart: (m, n) of pairs of photos, the preferred one less the other one.
    """

    def said_of(left: int) -> float:
        others, given, asked = _without(read, left), _without(ratings, left), read[left : left + 1]
        return float(prior.predict(asked, prior.person(others, given, apart)[0])[0])

    if len(ratings) >= LEAST and np.ptp(ratings):
        said = np.array([said_of(left) for left in range(len(ratings))])
        return _compare("srcc", said, read[:, GENERAL], ratings, _agreement, seed)
    if len(apart) >= LEAST:
        ahead = np.array([apart[i] @ prior.person(read, ratings, _without(apart, i))[0] for i in range(len(apart))])
        return _compare("pairs", ahead, apart[:, GENERAL], np.arange(len(apart)), _right, seed)
    return None


Agreement = Callable[[np.ndarray, np.ndarray], float]


def _compare(
    measure: str, own: np.ndarray, general: np.ndarray, given: np.ndarray, agreement: Agreement, seed: int
) -> Trust:
    """Agreement of both scores with what was given, and the bootstrap of their difference."""
    rng = np.random.default_rng(seed)
    draws: list[tuple[float, float]] = []
    while len(draws) < RESAMPLES:
        chosen = rng.integers(len(given), size=len(given))
        if np.ptp(given[chosen]):
            draws.append((agreement(own[chosen], given[chosen]), agreement(general[chosen], given[chosen])))
    ours, plain = np.array(draws).T
    low, high = np.quantile(ours, (0.025, 0.975))
    better = float(np.mean(ours > plain) + 0.5 * np.mean(ours == plain))
    return Trust(measure, agreement(own, given), float(low), float(high), agreement(general, given), better)


def _without(rows: np.ndarray, i: int) -> np.ndarray:
    return np.delete(rows, i, axis=0)


def _right(ahead: np.ndarray, _pairs: np.ndarray) -> float:
    """Share of pairs whose preferred photo is ahead; one of two that are even counts half."""
    return float(np.mean(ahead > 0) + 0.5 * np.mean(ahead == 0))


def _agreement(said: np.ndarray, given: np.ndarray) -> float:
    """SRCC, 0 where everything is said alike."""
    from scipy.stats import rankdata

    a, b = (rankdata(values) for values in (said, given))
    a, b = a - a.mean(), b - b.mean()
    size = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / size if size else 0.0
