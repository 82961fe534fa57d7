"""Agreement of predicted with given scores, and of ranked classes with the right ones.

All take plain sequences or numpy arrays. Numbers of unequal length, empty or not finite raise
:class:`~calm.errors.DataError`. A correlation with something constant is undefined and comes back as ``nan``: it does
not mean 0, it means that the question cannot be answered from these numbers.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from calm.errors import DataError

Metric = Callable[[np.ndarray, np.ndarray], float]
RESAMPLES = 1000
MIDDLE = 5.5
"""Middle of the scale 1–10, above which a photo counts as good where a data set has no threshold of its own."""


@dataclass(frozen=True)
class Interval:
    """A figure and the ends of its 95 % interval; the ends are ``nan`` where no resample defines the figure."""

    value: float
    low: float
    high: float

    def named(self, name: str, interval: str | None = None) -> dict[str, Any]:
        """The figure and its interval as entries of a result, ``interval`` being ``NAME_interval`` where not given."""
        return {name: self.value, interval or f"{name}_interval": [self.low, self.high]}


def plcc(predicted: ArrayLike, given: ArrayLike) -> float:
    """Pearson correlation, −1–1, of the raw numbers (no logistic is fitted first); ``nan`` for a constant side."""
    a, b = _pair(predicted, given)
    a, b = a - a.mean(), b - b.mean()
    size = math.sqrt(float(a @ a)) * math.sqrt(float(b @ b))
    # Rounding leaves something of the order of 1e-16 of a constant that is no round number.
    if _constant(a, np.asarray(predicted, float)) or _constant(b, np.asarray(given, float)) or size == 0.0:
        return math.nan
    return float(np.clip(float(a @ b) / size, -1.0, 1.0))


def srcc(predicted: ArrayLike, given: ArrayLike) -> float:
    """Spearman rank correlation, −1–1; ties take their mean rank. ``nan`` if either side is constant."""
    from scipy.stats import rankdata

    a, b = _pair(predicted, given)
    return plcc(rankdata(a), rankdata(b))


def order(predicted: np.ndarray, given: np.ndarray) -> float:
    """:func:`srcc`, but 0 for predictions that are all alike, since they order nothing."""
    return 0.0 if np.ptp(given) and not np.ptp(predicted) else srcc(predicted, given)


def krcc(predicted: ArrayLike, given: ArrayLike) -> float:
    """Kendall rank correlation (tau-b, which allows for ties), −1–1. ``nan`` if either side is constant."""
    from scipy.stats import kendalltau

    a, b = _pair(predicted, given)
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return math.nan
    return float(kendalltau(a, b).statistic)


def rmse(predicted: ArrayLike, given: ArrayLike) -> float:
    """Root of the mean squared difference, in the unit of the scores, ≥ 0."""
    a, b = _pair(predicted, given)
    return float(np.sqrt(np.mean((a - b) ** 2)))


def mae(predicted: ArrayLike, given: ArrayLike) -> float:
    """Mean absolute difference, in the unit of the scores, ≥ 0."""
    a, b = _pair(predicted, given)
    return float(np.mean(np.abs(a - b)))


def mean_gap(first: np.ndarray, second: np.ndarray) -> float:
    """Mean of first less second, pair by pair."""
    return float(np.mean(first - second))


def accuracy(predicted: ArrayLike, given: ArrayLike, threshold: float = MIDDLE) -> float:
    """Share of photos that both sides put on the same side of ``threshold`` (above it: good), 0–1.

    The two-class task of AVA (Murray et al., CVPR 2012, with δ = 0) and of the networks measured on it, where the
    threshold is 5 on 1–10.
    """
    a, b = _pair(predicted, given)
    return float(np.mean((a > threshold) == (b > threshold)))


def balanced_accuracy(predicted: ArrayLike, given: ArrayLike, threshold: float = MIDDLE) -> float:
    """Mean of the shares of good and of bad photos that are told rightly, 0–1; .5 for a constant predictor.

    ``nan`` where all given scores lie on one side of ``threshold``: there is no second class to tell from.
    """
    a, b = _pair(predicted, given)
    good = b > threshold
    if good.all() or not good.any():
        return math.nan
    return float(((a[good] > threshold).mean() + (a[~good] <= threshold).mean()) / 2)


def emd(predicted: ArrayLike, given: ArrayLike, power: float = 2.0) -> float:
    """Mean earth mover's distance between histograms over the same ordered scores, 0–1 (Talebi & Milanfar 2018, NIMA).

    For one photo: (mean over scores of |difference of cumulated shares|^power)^(1/power).

    Args:
        predicted, given: (n, scores) or (scores,); every row is ≥ 0 and sums to 1 (to 1e-3).
    """
    a, b = np.atleast_2d(np.asarray(predicted, float)), np.atleast_2d(np.asarray(given, float))
    if a.shape != b.shape or a.ndim != 2 or a.size == 0:
        raise DataError(f"expected histograms of one shape (photos, scores), found {a.shape} and {b.shape}; align them")
    for rows in (a, b):
        if not np.isfinite(rows).all() or (rows < 0).any() or (np.abs(rows.sum(1) - 1) > 1e-3).any():
            raise DataError("expected histograms of shares that sum to 1, found others; divide counts by their sum")
    gap = np.abs(np.cumsum(a, 1) - np.cumsum(b, 1))
    return float(np.mean(np.mean(gap**power, axis=1) ** (1 / power)))


@dataclass(frozen=True)
class Panel:
    """What people's disagreement allows, from the one-way analysis of variance of their scores (Shrout and Fleiss,
    Psychological Bulletin 1979, case 1).

    Attributes:
        raters: people a photo, on average.
        reliability: share of the variance of mean scores that other people would repeat, 0–1.
        ceiling: PLCC that a perfect predictor would have with these means.
        worth: how many people's mean would agree with the means as well as the predictions do; infinite above the
            ceiling, nan without a positive PLCC.
    """

    raters: float
    reliability: float
    ceiling: float
    worth: float


def panel(agreement: float, means: ArrayLike, spreads: ArrayLike, raters: ArrayLike) -> Panel:
    """Set an agreement beside that of people with each other.

    Args:
        agreement: PLCC of the predictions with the means.
        means, spreads, raters: (n,) of each photo, mean and standard deviation (n − 1) of single people's scores, and
            their number. Where people agree no more than by chance, reliability and ceiling are 0.
    """
    mean, spread, count = (np.asarray(each, float) for each in (means, spreads, raters))
    within, noise = float(np.square(spread).mean()), float((np.square(spread) / count).mean())
    between = float(mean.var()) - noise
    if between <= 0:
        return Panel(float(count.mean()), 0.0, 0.0, math.nan)
    reliability = between / (between + noise)
    shared = agreement**2 / reliability if agreement > 0 else math.nan
    worth = math.inf if shared >= 1 else within / between * shared / (1 - shared)
    return Panel(float(count.mean()), reliability, reliability**0.5, worth)


def bootstrap(
    metric: Metric, predicted: ArrayLike, given: ArrayLike, *, resamples: int = RESAMPLES, seed: int = 0
) -> Interval:
    """The figure and its 95 % percentile interval over ``resamples`` draws of the photos with replacement."""
    a, b = _pair(predicted, given)
    rng = np.random.default_rng(seed)
    draws = [metric(a[chosen], b[chosen]) for chosen in (rng.integers(0, len(a), len(a)) for _ in range(resamples))]
    defined = [draw for draw in draws if not math.isnan(draw)]
    low, high = np.quantile(defined, [0.025, 0.975]) if defined else (math.nan, math.nan)
    return Interval(metric(a, b), float(low), float(high))


def proportion(hits: int, n: int) -> Interval:
    """A share with its 95 % Wilson interval, all 0–1; ``nan`` for n = 0."""
    from scipy.stats import binomtest

    if n == 0:
        return Interval(math.nan, math.nan, math.nan)
    interval = binomtest(hits, n).proportion_ci(method="wilson")
    return Interval(hits / n, float(interval.low), float(interval.high))


def ranks_of(probabilities: ArrayLike, labels: Sequence[int] | np.ndarray) -> np.ndarray:
    """How many classes stand before the right one, (n,) int; 0 is first. A class that is tied with it stands before it.

    Args:
        probabilities: (n, classes), any finite numbers of which more is more likely.
        labels: (n,) the right class of each row, 0–classes−1.
    """
    table, right = np.asarray(probabilities, float), np.asarray(labels)
    if table.ndim != 2 or right.shape != (len(table),) or len(table) == 0:
        raise DataError(f"expected (n, classes) and n labels, n ≥ 1, found {table.shape} and {right.shape}; align them")
    if not np.isfinite(table).all():
        raise DataError("expected finite probabilities, found nan or infinity; look at the predictor")
    right = right.astype(int)
    if right.min() < 0 or right.max() >= table.shape[1]:
        raise DataError(
            f"expected labels of 0–{table.shape[1] - 1}, found {right.min()}–{right.max()}; check the classes"
        )
    own = table[np.arange(len(table)), right][:, None]
    # The right class is never ahead of itself; a tie counts against it, so that a constant predictor earns nothing.
    return (table >= own).sum(1) - 1


def threshold_for_false_alarms(untouched: ArrayLike, rate: float) -> float:
    """The lowest threshold that at most a share ``rate`` of ``untouched`` alarm scores exceed (strictly).

    Args:
        untouched: (n,) alarm score of photos that have nothing to mend.
        rate: wanted share of false alarms, 0–1.
    """
    scores = np.sort(np.asarray(untouched, float))[::-1]
    if scores.ndim != 1 or scores.size == 0 or not np.isfinite(scores).all():
        raise DataError(
            f"expected alarm scores of at least one untouched photo, found shape {scores.shape}; add photos"
        )
    if not 0 <= rate <= 1:
        raise DataError(f"expected a rate of 0–1, found {rate}")
    allowed = math.floor(rate * scores.size + 1e-9)
    return float(scores[allowed]) if allowed < scores.size else -math.inf


def expected_calibration_error(confidence: ArrayLike, right: ArrayLike, bins: int = 15) -> float:
    """Mean gap between confidence and accuracy over equally wide bins, weighted by their size, 0–1 (Guo et al. 2017).

    Args:
        confidence: (n,) 0–1.
        right: (n,) whether each was right.
    """
    sure, hit = _pair(confidence, right)
    if sure.min() < 0 or sure.max() > 1:
        raise DataError(f"expected confidences of 0–1, found {sure.min():.3g}–{sure.max():.3g}; calibrate them")
    place = np.clip(np.ceil(sure * bins).astype(int) - 1, 0, bins - 1)  # bins are open below and closed above
    gaps = [abs(float(sure[place == i].sum() - hit[place == i].sum())) for i in range(bins)]
    return sum(gaps) / sure.size


def _pair(first: ArrayLike, second: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Both as float64 (n,), n ≥ 1, finite."""
    a, b = np.asarray(first, np.float64), np.asarray(second, np.float64)
    if a.ndim != 1 or a.shape != b.shape:
        raise DataError(
            f"expected two lists of equal length, found {a.shape} and {b.shape}; one number a photo in each"
        )
    if a.size == 0:
        raise DataError("expected at least one photo, found none; check that the labels name your photos")
    for each in (a, b):
        if not np.isfinite(each).all():
            bad = int(np.flatnonzero(~np.isfinite(each))[0])
            raise DataError(f"expected finite numbers, found {each[bad]} at position {bad}; leave that photo out")
    return a, b


def _constant(centred: np.ndarray, original: np.ndarray) -> bool:
    """Whether nothing but rounding is left of the numbers once their mean is taken off."""
    return float(np.abs(centred).max()) <= 1e-13 * max(1e-300, float(np.abs(original).max()))
