"""Personal taste on simulated people whose tastes are known."""

from __future__ import annotations

import numpy as np
import pytest

from calm.data.record import UserRating
from calm.errors import DataError, WeightsError
from calm.eval.piaa import measure
from calm.personal import prior as prior_module
from calm.personal.folds import apart, folds
from calm.personal.learners import General, Learnt, Others, ResidualRidge, Ridge
from calm.personal.preferences import PreferencePrior
from calm.personal.prior import Prior, Shown

WIDTH = 6
MEAN = np.array([0.8, 0, 0, 0, 0, 0])
SPREAD = np.diag([0.05, 1.0, 0.6, 0.02, 0.02, 0.02])


@pytest.fixture(autouse=True)
def straight(monkeypatch):
    """The people of these tests like more and more of a feature: nothing is bent."""
    monkeypatch.setattr(prior_module, "REACH", 1e-6)


def people(count: int, photos: int, seed: int = 0, noise: float = 0.3) -> tuple[np.ndarray, np.ndarray]:
    """Features (photos, WIDTH) and ratings (count, photos) of people who differ in the second and third feature."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(photos, WIDTH))
    weights = rng.multivariate_normal(MEAN, SPREAD, count)
    return features, 5.5 + weights @ features.T + rng.normal(0, noise, (count, photos))


def table(seed: int = 0) -> tuple[list[UserRating], dict[str, int], Shown]:
    """Two blocks of 60 photos, each rated by 30 people of its own; the general score knows the first feature."""
    ratings, features = [], []
    for block in (0, 1):
        x, y = people(30, 60, seed + block)
        features.append(x)
        ratings += [
            UserRating(f"{block}-{i}", f"{block}-{j}.jpg", float(y[i, j])) for i in range(30) for j in range(60)
        ]
    x = np.concatenate(features)
    index = {f"{block}-{j}.jpg": 60 * block + j for block in (0, 1) for j in range(60)}
    return ratings, index, Shown(x, 5.5 + 0.8 * x[:, 0])


def test_tastes_find_what_people_share_and_where_they_differ():
    features, ratings = people(200, 40)
    preferences = PreferencePrior.learn([(features, row - 5.5) for row in ratings])
    assert np.allclose(preferences.mean, MEAN, atol=0.15)
    assert np.allclose(np.diag(preferences.covariance), np.diag(SPREAD), rtol=0.4, atol=0.05)
    assert preferences.noise == pytest.approx(0.09, rel=0.2)


def test_the_posterior_is_that_of_the_textbook():
    """In the form with inverse covariances, which is another way to the same numbers."""
    features, ratings = people(1, 8, seed=3)
    preferences = PreferencePrior(MEAN, SPREAD, 0.09)
    weights, uncertain = preferences.posterior(features, ratings[0] - 5.5)
    precision = np.linalg.inv(SPREAD) + features.T @ features / 0.09
    expected = np.linalg.solve(precision, np.linalg.solve(SPREAD, MEAN) + features.T @ (ratings[0] - 5.5) / 0.09)
    assert np.allclose(weights, expected) and np.allclose(uncertain, np.linalg.inv(precision))
    nobody, open_ = preferences.posterior(features[:0], np.zeros(0))
    assert np.array_equal(nobody, MEAN) and np.array_equal(open_, SPREAD)


def test_bent_directions_follow_tastes_that_are_no_straight_lines():
    """People who like some middle of a feature: a straight line says nothing of them."""
    rng = np.random.default_rng(6)
    photos = Shown(rng.normal(size=(150, 3)), np.full(150, 5.5))
    liked = 8 - 3 * photos.features[:, 0] ** 2
    people = [(np.arange(150), liked + rng.normal(0, 0.5, 150)) for _ in range(12)]
    others = Shown(rng.normal(size=(100, 3)), np.full(100, 5.5))
    wanted = 8 - 3 * others.features[:, 0] ** 2
    found = {}
    for reach in (1e-6, 2.0):
        prior = Prior.learn(photos, people, reach=reach)
        found[reach] = np.corrcoef(prior.predict(prior.read(others), prior.preferences.mean), wanted)[0, 1]
    assert found[1e-6] < 0.3 and found[2.0] > 0.9


def test_preferences_end_at_the_peak():
    """Weights after pairs are the most probable ones, as a plain optimiser finds them, and their curvature is right."""
    from scipy.optimize import minimize

    rng = np.random.default_rng(4)
    preferences, apart = PreferencePrior(MEAN, SPREAD, 0.09), rng.normal(size=(15, WIDTH))
    weights, uncertain = preferences.posterior(np.zeros((0, WIDTH)), np.zeros(0), apart)
    steep, inverse = 1.702 / np.sqrt(2 * 0.09), np.linalg.inv(SPREAD)

    def energy(w: np.ndarray) -> float:
        away = w - MEAN
        return float(0.5 * away @ inverse @ away + np.logaddexp(0, -steep * apart @ w).sum())

    peak = minimize(energy, MEAN, method="BFGS", options={"gtol": 1e-9}).x
    assert np.allclose(weights, peak, atol=1e-3)
    sure = 1 / (1 + np.exp(-steep * apart @ weights))
    precision = inverse + apart.T @ (apart * (steep**2 * sure * (1 - sure))[:, None])
    assert np.allclose(uncertain, np.linalg.inv(precision), rtol=1e-3, atol=1e-5)


def test_preferences_pull_the_way_they_say():
    preferences = PreferencePrior(np.zeros(2), np.eye(2), 0.1)
    weights, uncertain = preferences.posterior(np.zeros((0, 2)), np.zeros(0), np.array([[1.0, 0.0]] * 3))
    assert weights[0] > 0.2 and weights[1] == 0 and uncertain[0, 0] < uncertain[1, 1] == 1


def test_tastes_need_people():
    with pytest.raises(ValueError, match="at least two people"):
        PreferencePrior.learn([(np.zeros((3, 2)), np.zeros(3))])


def test_blocks_of_people_and_photos_are_the_folds():
    ratings, *_ = table()
    parts = folds(ratings)
    assert sorted(len(part) for part in parts) == [1800, 1800]
    assert {len({one.person.split("-")[0] for one in part}) for part in parts} == {1}


def test_a_table_in_one_piece_is_cut_without_sharing():
    rng = np.random.default_rng(0)
    ratings = [UserRating(f"p{i}", f"{j}.jpg", 5.0) for i in range(20) for j in rng.permutation(50)[:30]]
    parts = folds(ratings, seed=1)
    assert len(parts) == 2 and min(map(len, parts)) > 50
    for of in ("person", "path"):
        one, other = ({getattr(rating, of) for rating in part} for part in parts)
        assert not one & other
    assert folds(ratings, seed=1) == parts != folds(ratings, seed=2)


def test_people_may_be_named_to_test_on():
    """What they rated is learnt from by nobody, whoever rated it."""
    rng = np.random.default_rng(0)
    ratings = [UserRating(f"p{i}", f"{j}.jpg", float(j % 9 + 1)) for i in range(9) for j in rng.permutation(60)[:40]]
    tested = {"p0"}
    rest, own = apart(ratings, tested)
    assert {one.person for one in own} == tested and len(own) == 40
    assert len({one.person for one in rest}) == 8
    assert {one.path for one in rest}.isdisjoint({one.path for one in own})
    for people in ({"p0", "nobody"}, {f"p{i}" for i in range(9)}):
        with pytest.raises(DataError, match="correct the names"):
            apart(ratings, people)


def test_only_the_people_named_are_measured():
    ratings, index, photos = table()
    names = sorted({one.person for one in ratings if one.person.startswith("1-")})[:7]
    found = measure(ratings, index, photos, shots=[0, 10], draws=2, tested=names)
    assert (found["people"], found["folds"], found["left_out"]) == (7, 1, 0)
    assert found["shots"]["10"]["tastes"]["srcc"] > found["shots"]["0"]["generic"]["srcc"] + 0.1


@pytest.mark.parametrize("learner", [General(), Ridge(), ResidualRidge()])
def test_without_examples_the_general_score_stands(learner):
    photos = Shown(np.eye(4), np.arange(4.0) + 3)
    assert np.array_equal(learner.learn(photos[:0], np.zeros(0))(photos), photos.general)


def test_a_ridge_finds_a_plain_taste_and_leaves_noise_alone():
    features, ratings = people(1, 300, seed=5)
    photos = Shown(features, np.full(300, 5.5))
    said = Ridge().learn(photos[:100], ratings[0, :100])(photos[slice(100, None)])
    assert np.corrcoef(said, ratings[0, 100:])[0, 1] > 0.9
    noise = np.random.default_rng(0).normal(size=100)
    assert Ridge().learn(photos[:100], noise)(photos[slice(100, None)]).std() < 0.3


def test_a_residual_ridge_begins_at_the_general_score():
    features, _ = people(1, 50)
    photos = Shown(features, 5 + features[:, 0])
    said = ResidualRidge().learn(photos[:5], photos.general[:5] + 1)(photos)
    assert np.allclose(said, photos.general + 1)


def test_a_taste_learnt_from_others_needs_few_examples():
    features, ratings = people(60, 200, seed=2)
    photos = Shown(features, 5.5 + 0.8 * features[:, 0])
    others = [(np.arange(200), row) for row in ratings[:40]]
    new, own = people(20, 200, seed=9)
    shown = Shown(new, 5.5 + 0.8 * new[:, 0])
    fit = {}
    prior = Prior.learn(photos, others)
    for learner in (Others(prior), Learnt(prior), ResidualRidge()):
        told = [learner.learn(shown[:10], row[:10])(shown) for row in own]
        fit[learner.name] = np.mean([np.corrcoef(a[10:], b[10:])[0, 1] for a, b in zip(told, own, strict=True)])
    assert fit["tastes"] > fit["others"] + 0.15 and fit["tastes"] > fit["residual-ridge"] + 0.03


@pytest.mark.parametrize("kind", [Learnt, Others])
def test_a_course_of_examples_is_learnt_as_each_beginning_is(kind):
    features, ratings = people(12, 60)
    shown, given = Shown(features, np.full(60, 5.0)), ratings[0]
    prior = Prior.learn(shown, [(np.arange(60), each) for each in ratings[1:]])
    followed = kind(prior).follow(shown[:20], given[:20], (0, 20, 5), shown[20:])
    for k, said in zip((0, 20, 5), followed, strict=True):
        assert np.allclose(said, kind(prior).learn(shown[:k], given[:k])(shown[20:]))
    assert np.allclose(followed[0], followed[1]) == (kind is Others)


def test_piaa_measures_every_learner_on_the_same_photos():
    ratings, index, shown = table()
    found = measure(ratings, index, shown, shots=(0, 5, 20), people=20, draws=2)
    assert found["people"] == 20 and found["folds"] == 2 and found["left_out"] == 0
    rows = found["shots"]
    assert {k: row["generic"] for k, row in rows.items()} == {k: rows["0"]["generic"] for k in rows}
    assert rows["0"]["ridge"]["srcc"] == rows["0"]["generic"]["srcc"]
    assert rows["20"]["tastes"]["srcc"] > rows["5"]["tastes"]["srcc"] > rows["0"]["tastes"]["srcc"]
    assert rows["20"]["tastes"]["gain"] > 3 * rows["20"]["tastes"]["gain_stderr"] > 0
    assert found == measure(ratings, index, shown, shots=(0, 5, 20), people=20, draws=2)


def test_what_is_learnt_from_others_never_saw_the_person_or_the_photos():
    """Ratings of the tested part that say nothing of taste change nothing in what its people are predicted by."""
    ratings, index, shown = table()
    blind = [one if one.person[0] == "0" else UserRating(one.person, one.path, 5.5) for one in ratings]
    found = measure(blind, index, shown, shots=(0,), people=60, draws=1)
    assert found["people"] == 30, "the others' ratings are all alike"
    assert found["shots"]["0"]["others"]["srcc"] == pytest.approx(0, abs=0.2), "nothing could be learnt from them"


def test_too_few_ratings_are_refused():
    ratings, index, shown = table()
    with pytest.raises(DataError, match="at least 105 ratings that are not all alike, found 60 at most"):
        measure(ratings, index, shown, shots=(100,))


def test_a_prior_is_kept_as_a_small_file(tmp_path):
    features, ratings = people(30, 50)
    photos = Shown(features, 5.5 + features[:, 0])
    prior = Prior.learn(photos, [(np.arange(50), row) for row in ratings], width=4, reach=2.0)
    prior.save(tmp_path / "prior.safetensors")
    again = Prior.load(tmp_path / "prior.safetensors")
    for known in (prior, again):
        assert known.read(photos).shape == (50, 6)
    weights = [known.person(known.read(photos[:9]), ratings[0, :9])[0] for known in (prior, again)]
    assert np.allclose(*weights, atol=0.01)
    (tmp_path / "torn.safetensors").write_bytes(b"no")
    with pytest.raises(WeightsError, match="expected what is known of people's tastes"):
        Prior.load(tmp_path / "torn.safetensors")
