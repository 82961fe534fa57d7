"""May a profile be trusted? Its own examples, each predicted from all the others."""

from dataclasses import dataclass

import numpy as np

from calm.personal.prior import GENERAL, Prior
from calm.tasks.metrics import Metric, order

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


def trust(prior: Prior, read: np.ndarray, ratings: np.ndarray, apart: np.ndarray) -> Trust | None:
    """Leave-one-out agreement, by bootstrap over the examples; None where they are too few or all alike.

    By the ratings where there are enough of them, else by the pairs.

    Args:
        read: (k, n) examples as the prior reads them.
        ratings: (k,), 1–10.
        apart: (m, n) of pairs of photos, the preferred one less the other one.
    """

    def predicted_for(left: int) -> float:
        weights, _ = prior.person(np.delete(read, left, axis=0), np.delete(ratings, left), apart)
        return float(prior.predict(read[left : left + 1], weights)[0])

    if len(ratings) >= LEAST and np.ptp(ratings):
        predicted = np.array([predicted_for(left) for left in range(len(ratings))])
        return _compare("srcc", predicted, read[:, GENERAL], ratings, order)
    if len(apart) >= LEAST:
        others = (np.delete(apart, i, axis=0) for i in range(len(apart)))
        ahead = np.array(
            [pair @ prior.person(read, ratings, rest)[0] for pair, rest in zip(apart, others, strict=True)]
        )
        return _compare("pairs", ahead, apart[:, GENERAL], np.arange(len(apart)), _right)
    return None


def _compare(measure: str, own: np.ndarray, general: np.ndarray, given: np.ndarray, agreement: Metric) -> Trust:
    """Agreement of both scores with what was given, and the bootstrap of their difference."""
    rng = np.random.default_rng(0)
    draws: list[tuple[float, float]] = []
    while len(draws) < RESAMPLES:
        chosen = rng.integers(len(given), size=len(given))
        if np.ptp(given[chosen]):
            draws.append((agreement(own[chosen], given[chosen]), agreement(general[chosen], given[chosen])))
    ours, plain = np.array(draws).T
    low, high = np.quantile(ours, (0.025, 0.975))
    better = float(np.mean(ours > plain) + 0.5 * np.mean(ours == plain))
    return Trust(measure, agreement(own, given), float(low), float(high), agreement(general, given), better)


def _right(ahead: np.ndarray, _pairs: np.ndarray) -> float:
    """Share of pairs whose preferred photo is ahead; one of two that are even counts half."""
    return float(np.mean(ahead > 0) + 0.5 * np.mean(ahead == 0))
