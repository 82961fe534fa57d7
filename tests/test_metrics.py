"""Metrics against scipy and against counts by hand, and what they do with what cannot be measured."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import scipy.stats

from calm.errors import DataError
from calm.tasks import metrics


def pairs() -> list[tuple[np.ndarray, np.ndarray]]:
    rng = np.random.default_rng(0)
    smooth = rng.normal(size=200)
    tied = rng.integers(1, 6, 150).astype(float)
    return [
        (smooth, 0.6 * smooth + rng.normal(size=200)),
        (tied, np.round(tied + rng.normal(size=150))),
        (np.array([1.0, 2.0]), np.array([5.0, 3.0])),
        (rng.normal(size=50) + 1e6, rng.exponential(size=50) * 1e-4),
    ]


@pytest.mark.parametrize("case", range(4))
def test_correlations_equal_scipy(case: int) -> None:
    a, b = pairs()[case]
    assert metrics.srcc(a, b) == pytest.approx(scipy.stats.spearmanr(a, b).statistic, abs=1e-12)
    assert metrics.plcc(a, b) == pytest.approx(scipy.stats.pearsonr(a, b).statistic, abs=1e-9)


def test_krcc_equals_counting_pairs() -> None:
    a, b = pairs()[1]
    concordant = discordant = tied_a = tied_b = 0
    for i, j in itertools.combinations(range(len(a)), 2):
        product = (a[i] - a[j]) * (b[i] - b[j])
        concordant += product > 0
        discordant += product < 0
        tied_a += a[i] == a[j]
        tied_b += b[i] == b[j]
    every = len(a) * (len(a) - 1) / 2
    tau_b = (concordant - discordant) / math.sqrt((every - tied_a) * (every - tied_b))
    assert metrics.krcc(a, b) == pytest.approx(tau_b, abs=1e-12)


def test_differences() -> None:
    assert metrics.rmse([1, 2, 3], [1, 4, 3]) == pytest.approx(math.sqrt(4 / 3))
    assert metrics.mae([1, 2, 3], [1, 4, 3]) == pytest.approx(2 / 3)


def test_accuracies_by_hand() -> None:
    predicted, given = [5.0, 5.1, 6, 2, 8, 9], [4, 6, 5, 3, 9, 5.6]
    assert metrics.accuracy(predicted, given, 5) == pytest.approx(5 / 6)  # 5 itself is not above 5
    assert metrics.balanced_accuracy(predicted, given, 5) == pytest.approx((3 / 3 + 2 / 3) / 2)
    assert metrics.accuracy([6, 6, 6, 6], [6, 7, 8, 3]) == 0.75  # what a constant earns …
    assert metrics.balanced_accuracy([6, 6, 6, 6], [6, 7, 8, 3]) == 0.5  # … and does not earn when classes count alike
    assert math.isnan(metrics.balanced_accuracy([6, 2], [6, 7]))


def test_emd_is_the_wasserstein_distance_over_the_number_of_scores() -> None:
    rng = np.random.default_rng(1)
    a, b = rng.dirichlet(np.ones(10), 5), rng.dirichlet(np.ones(10), 5)
    places = np.arange(10)
    expected = np.mean([scipy.stats.wasserstein_distance(places, places, x, y) / 10 for x, y in zip(a, b, strict=True)])
    assert metrics.emd(a, b, power=1) == pytest.approx(expected)
    assert metrics.emd(a, a) == 0
    assert metrics.emd([1, 0, 0, 0], [0, 0, 0, 1]) == pytest.approx(math.sqrt(3 / 4))


@pytest.mark.parametrize("count", [3, 12])
def test_a_panel_is_worth_its_size(count: int) -> None:
    rng = np.random.default_rng(2)
    liked = rng.normal(5, 1.2, 6000)
    votes = liked[:, None] + rng.normal(0, 1.5, (6000, 20 + count))
    means, spreads = votes[:, :20].mean(axis=1), votes[:, :20].std(axis=1, ddof=1)
    others = metrics.plcc(votes[:, 20:].mean(axis=1), means)
    found = metrics.panel(others, means, spreads, np.full(6000, 20))
    assert found.worth == pytest.approx(count, rel=0.1) and found.raters == 20
    assert found.ceiling == pytest.approx(metrics.plcc(liked, means), abs=0.01)
    assert found.reliability == pytest.approx(found.ceiling**2)
    assert metrics.panel(0.999, means, spreads, np.full(6000, 20)).worth == math.inf
    assert math.isnan(metrics.panel(-0.2, means, spreads, np.full(6000, 20)).worth)
    chance = metrics.panel(0.5, np.full(50, 5.0), np.ones(50), np.full(50, 20))
    assert chance.reliability == chance.ceiling == 0 and math.isnan(chance.worth)


@pytest.mark.parametrize("bad", [[[0.5, 0.6]], [[1.2, -0.2]], [[math.nan, 1.0]]])
def test_emd_wants_shares(bad: list[list[float]]) -> None:
    with pytest.raises(DataError, match="shares that sum to 1"):
        metrics.emd(bad, [[0.5, 0.5]])


@pytest.mark.parametrize("name", ["srcc", "plcc", "krcc"])
@pytest.mark.parametrize("constant", [3.0, 0.1, -1e9, 0.0])
def test_a_constant_has_no_correlation(name: str, constant: float) -> None:
    rng = np.random.default_rng(0)
    assert math.isnan(getattr(metrics, name)(np.full(7, constant), rng.normal(size=7)))
    assert math.isnan(getattr(metrics, name)(rng.normal(size=7), [constant] * 7))


@pytest.mark.parametrize("name", ["srcc", "plcc", "krcc", "rmse", "mae", "accuracy", "balanced_accuracy"])
def test_wrong_input_is_refused(name: str) -> None:
    metric = getattr(metrics, name)
    with pytest.raises(DataError, match="equal length"):
        metric([1, 2, 3], [1, 2])
    with pytest.raises(DataError, match="at least one photo"):
        metric([], [])
    with pytest.raises(DataError, match="finite numbers, found nan at position 1"):
        metric([1, math.nan], [1, 2])


def test_bootstrap_covers_the_true_correlation_about_19_times_in_20() -> None:
    rng = np.random.default_rng(5)
    truth, covered, draws = 0.6, 0, 60
    for i in range(draws):
        a, b = rng.multivariate_normal([0, 0], [[1, truth], [truth, 1]], 120).T
        found = metrics.bootstrap(metrics.plcc, a, b, resamples=200, seed=i)
        assert found.low <= found.value <= found.high
        covered += found.low <= truth <= found.high
    assert 50 <= covered < draws


def test_bootstrap_is_the_same_for_the_same_seed_and_nan_for_constants() -> None:
    a, b = pairs()[0]
    assert metrics.bootstrap(metrics.srcc, a, b, resamples=50) == metrics.bootstrap(metrics.srcc, a, b, resamples=50)
    found = metrics.bootstrap(metrics.srcc, [1.0, 1.0, 1.0], [1.0, 2.0, 3.0], resamples=20)
    assert all(math.isnan(each) for each in (found.value, found.low, found.high))


@pytest.mark.parametrize(
    ("hits", "n", "low", "high"),
    [(0, 10, 0, 0.2775), (3, 10, 0.1078, 0.6032), (10, 10, 0.7225, 1), (250, 1000, 0.2241, 0.2778)],
)
def test_proportion_has_wilsons_interval(hits: int, n: int, low: float, high: float) -> None:
    """Figures by hand from Wilson (1927): centre (p + z²/2n)/(1 + z²/n)."""
    found = metrics.proportion(hits, n)
    assert (found.value, found.low, found.high) == pytest.approx((hits / n, low, high), abs=1e-4)
    assert math.isnan(metrics.proportion(0, 0).value)


def test_ranks_count_ties_against_the_predictor() -> None:
    """Guards against argmax, which gives the first of equal classes and so rewards a predictor that knows nothing."""
    table = [[0.7, 0.2, 0.1], [0.1, 0.2, 0.7], [0.3, 0.4, 0.3], [0.2, 0.5, 0.3]]
    labels = [0, 1, 0, 1]
    assert metrics.ranks_of(table, labels).tolist() == [0, 1, 2, 0]  # the third: a tie stands before the right class
    assert metrics.ranks_of(np.full((4, 5), 0.2), [0, 0, 0, 0]).tolist() == [4] * 4


@pytest.mark.parametrize(
    ("table", "labels", "words"),
    [
        ([[0.1, 0.9]], [2], "labels of 0–1, found 2"),
        ([[0.1, 0.9]], [0, 1], "n labels"),
        ([[math.nan, 0.9]], [0], "finite probabilities"),
    ],
)
def test_ranks_refuse_what_does_not_fit(table: list, labels: list, words: str) -> None:
    with pytest.raises(DataError, match=words):
        metrics.ranks_of(table, labels)


@pytest.mark.parametrize("rate", [0.0, 0.1, 0.25, 1.0])
def test_threshold_lets_no_more_than_the_rate_through_and_is_the_lowest_that_does(rate: float) -> None:
    scores = np.random.default_rng(2).random(37)
    threshold = metrics.threshold_for_false_alarms(scores, rate)
    assert (scores > threshold).mean() <= rate
    lower = scores[scores < threshold]
    if len(lower):
        assert (scores > lower.max()).mean() > rate


def test_threshold_with_equal_scores_does_not_exceed_the_rate() -> None:
    assert (np.full(10, 0.5) > metrics.threshold_for_false_alarms(np.full(10, 0.5), 0.1)).mean() == 0
    with pytest.raises(DataError, match="at least one untouched photo"):
        metrics.threshold_for_false_alarms([], 0.1)


def test_calibration_error() -> None:
    rng = np.random.default_rng(3)
    sure = rng.random(20000)
    assert metrics.expected_calibration_error(sure, rng.random(20000) < sure) < 0.02
    assert metrics.expected_calibration_error([0.9] * 10, [False] * 10) == pytest.approx(0.9)
    assert metrics.expected_calibration_error([1.0, 0.0], [True, False]) == 0
    with pytest.raises(DataError, match="confidences of 0–1"):
        metrics.expected_calibration_error([1.2], [True])
