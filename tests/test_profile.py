"""Profiles: what they keep, how far they may be trusted, and how they travel."""

from __future__ import annotations

import hashlib
import json
import zipfile
from dataclasses import replace

import numpy as np
import pytest
import torch
from test_personal import people

from calm.data.measure import MEASURE_NAMES
from calm.errors import UsageError, WeightsError
from calm.model.pretrained import CalmConfig
from calm.model.visual import VisualTokens
from calm.personal.prior import Prior, Shown
from calm.personal.profile import Preferred, Profile
from calm.personal.store import Store
from calm.personal.traits import MOODS, TRAITS, leanings, traits
from calm.train.observing import ATTRIBUTE_WORDS

MODEL = ("bright", "b" * 64, "d" * 64)


def shown(seed: int, count: int = 60) -> tuple[Shown, np.ndarray]:
    """Photos and one person's ratings of them, 1–10 in stars of half a step."""
    features, ratings = people(1, count, seed)
    return Shown(features, 5.5 + 0.8 * features[:, 0]), np.clip(np.round(ratings[0] * 2) / 2, 1, 10)


@pytest.fixture(scope="module")
def prior() -> Prior:
    features, ratings = people(60, 80, seed=1)
    photos = Shown(features, 5.5 + 0.8 * features[:, 0])
    return Prior.learn(photos, [(np.arange(80), row) for row in ratings], width=6, reach=1e-6)  # nothing is bent


def hashes(count: int, first: int = 0) -> list[str]:
    return [hashlib.sha256(str(i + first).encode()).hexdigest() for i in range(count)]


def learn(prior: Prior, count: int = 20, **more) -> Profile:
    photos, ratings = shown(7)
    return Profile.learn("ann", MODEL, prior, hashes(count), photos[:count], ratings[:count], (1, 10), **more)


def test_a_profile_predicts_the_persons_other_ratings(prior):
    photos, ratings = shown(7)
    scores = learn(prior).scores(prior, prior.read(photos[slice(20, None)]))
    values = [score.value for score in scores]
    assert np.corrcoef(values, ratings[20:])[0, 1] > 0.8 > np.corrcoef(photos.general[20:], ratings[20:])[0, 1]
    for score in scores:
        assert 1 <= score.value <= 10 and score.std > 0 and sum(score.distribution) == pytest.approx(1)


def test_it_says_whether_it_is_better_than_the_general_score(prior):
    profile = learn(prior)
    assert profile.trust.helps and profile.trust.personal > profile.trust.generic
    assert profile.trust.low < profile.trust.personal < profile.trust.high
    photos, _ = shown(7)
    noise = np.random.default_rng(0).uniform(1, 10, 20)
    whim = Profile.learn("bob", MODEL, prior, hashes(20), photos[:20], noise, (1, 10))
    assert not whim.trust.helps
    assert learn(prior, 4).trust is None, "four examples tell nothing"
    flat = Profile.learn("cat", MODEL, prior, hashes(20), photos[:20], np.full(20, 4.0), (1, 10))
    assert flat.trust is None, "nor do twenty equal ones"
    assert np.ptp([score.value for score in flat.scores(prior, prior.read(photos))]) < 9


def test_more_examples_are_added_and_the_same_photo_is_rated_anew(prior):
    photos, ratings = shown(7)
    first = learn(prior, 10)
    both = Profile.learn(
        "ann", MODEL, prior, hashes(15, 5), photos[slice(5, 20)], ratings[5:20] * 0 + 3, (1, 10), before=first
    )
    assert len(both.photos) == 20 == len(set(both.photos))
    assert list(both.ratings[:5]) == list(ratings[:5]) and set(both.ratings[5:]) == {3.0}
    with pytest.raises(UsageError, match="the scale of profile ann, 1–10, found 0–5"):
        Profile.learn("ann", MODEL, prior, hashes(1), photos[:1], [3], (0, 5), before=first)


def test_stars_are_mapped_to_ten(prior):
    photos, _ = shown(7)
    stars = Profile.learn("ann", MODEL, prior, hashes(3), photos[:3], [0, 2.5, 5], (0, 5))
    assert stars.ratings.tolist() == [1.0, 5.5, 10.0]
    with pytest.raises(UsageError, match="expected ratings on a scale of 0–5, found 6"):
        Profile.learn("ann", MODEL, prior, hashes(1), photos[:1], [6], (0, 5))


@pytest.mark.parametrize("name", ["", "../ann", "a/b", ".hidden", "x" * 65])
def test_names_that_are_no_folders_are_refused(prior, name):
    photos, ratings = shown(7)
    with pytest.raises(UsageError, match="expected a name of letters"):
        Profile.learn(name, MODEL, prior, hashes(3), photos[:3], ratings[:3], (1, 10))


def test_a_profile_is_two_small_readable_files_without_photos(prior, tmp_path):
    store = Store(tmp_path)
    profile = learn(prior, 60)
    folder = store.save(profile)
    assert {path.name for path in folder.iterdir()} == {"profile.json", "profile.safetensors"}
    assert sum(path.stat().st_size for path in folder.iterdir()) <= 200_000
    facts = json.loads((folder / "profile.json").read_text())
    assert facts["examples"] == 60 and facts["model_sha256"] == "b" * 64 and facts["scale"] == [1, 10]
    again = store.load("ann")
    photos, _ = shown(8)
    assert [score.value for score in again.scores(prior, prior.read(photos))] == pytest.approx(
        [score.value for score in profile.scores(prior, prior.read(photos))], abs=1e-3
    )
    assert again.trust == profile.trust and store.names() == ["ann"]


def test_ratings_are_kept_as_they_were_given(prior, tmp_path):
    """They are what a profile is learnt anew from."""
    photos, _ = shown(7)
    stars = Profile.learn("ann", MODEL, prior, hashes(3), photos[:3], [0, 2.5, 5], (0, 5))
    again = Profile.load(stars.save(tmp_path))
    ratings, pairs, absent = again.given({"a.jpg": hashes(3)[0], "c.jpg": hashes(3)[2], "z.jpg": "f" * 64})
    assert ratings == pytest.approx({"a.jpg": 0, "c.jpg": 5}) and pairs == []
    assert absent == [hashes(3)[1][:16]]


def test_profiles_travel_and_are_removed(prior, tmp_path):
    store, other = Store(tmp_path / "here"), Store(tmp_path / "there")
    store.save(learn(prior))
    store.export("ann", tmp_path / "ann.zip")
    with pytest.raises(UsageError, match="expected a new file"):
        store.export("ann", tmp_path / "ann.zip")
    assert other.bring(tmp_path / "ann.zip").name == "ann"
    assert other.bring(tmp_path / "ann.zip", "anna").name == "anna" and other.names() == ["ann", "anna"]
    with pytest.raises(UsageError, match="found a profile 'ann'"):
        other.bring(tmp_path / "ann.zip")
    other.remove("ann")
    assert other.names() == ["anna"]
    with pytest.raises(UsageError, match="expected a profile among anna, found 'ann'"):
        other.load("ann")


def test_what_is_no_profile_is_not_taken_in(tmp_path):
    store = Store(tmp_path / "here")
    (tmp_path / "no.zip").write_bytes(b"no")
    with zipfile.ZipFile(tmp_path / "half.zip", "w") as archive:
        archive.writestr("profile.json", "{}")
    with zipfile.ZipFile(tmp_path / "wrong.zip", "w") as archive:
        archive.writestr("profile.json", "{}")
        archive.writestr("profile.safetensors", "x")
    for name in ("no", "half", "wrong", "absent"):
        with pytest.raises(WeightsError, match="expected a"):
            store.bring(tmp_path / f"{name}.zip")
    assert store.names() == []


def test_the_most_telling_photos_teach_more_than_others(prior):
    """Chosen for what is unknown of this person, they leave less unknown than photos drawn at random."""
    photos, _ = shown(11, 80)
    read = prior.read(photos)

    def after(chosen) -> np.ndarray:
        return prior.person(read[chosen], np.zeros(len(chosen)))[1]

    def unknown(chosen) -> float:
        uncertain = after(chosen)
        return float(np.einsum("nd,de,ne->n", read, uncertain, read).mean())

    chosen = prior.most_telling(after([]), read, 5)
    rng = np.random.default_rng(0)
    assert unknown(chosen) < np.mean([unknown(rng.permutation(80)[:5]) for _ in range(50)])
    assert len(set(prior.most_telling(after(chosen), read, 100))) == 80
    spread = np.einsum("nd,de,ne->n", read, prior.preferences.covariance, read)
    assert chosen[0] == spread.argmax()


def pairs(count: int, first: int = 0) -> Preferred:
    """Of photos of :func:`shown`, two by two, the one that the person rates higher."""
    photos, ratings = shown(7)
    rng = np.random.default_rng(3)
    two = [sorted(rng.choice(20, 2, replace=False), key=lambda i: -ratings[i]) for _ in range(first + count)][first:]
    better, worse = (np.array(each) for each in zip(*two, strict=True))
    names = hashes(20)
    return Preferred([(names[a], names[b]) for a, b in two], photos[better], photos[worse])


def test_a_profile_may_rest_on_pairs(prior, tmp_path):
    photos, ratings = shown(7)
    profile = Profile.learn("ann", MODEL, prior, [], photos[:0], [], (1, 10), preferred=pairs(40))
    values = [score.value for score in profile.scores(prior, prior.read(photos[slice(20, None)]))]
    assert np.corrcoef(values, ratings[20:])[0, 1] > 0.75 > np.corrcoef(photos.general[20:], ratings[20:])[0, 1]
    assert profile.trust.measure == "pairs" and profile.trust.helps and profile.trust.personal > 0.7
    assert not len(profile.ratings) and len(profile.pairs) == len(profile.apart) <= 40
    again = Store(tmp_path)
    again.save(profile)
    assert [s.value for s in again.load("ann").scores(prior, prior.read(photos))] == pytest.approx(
        [s.value for s in profile.scores(prior, prior.read(photos))], abs=1e-3
    )


def test_pairs_and_ratings_add_up(prior):
    """Each kind is added to a profile of the other, a pair told twice counts once, and both make it surer."""
    rated = learn(prior, 6)
    both = Profile.learn("ann", MODEL, prior, [], shown(7)[0][:0], [], (1, 10), rated, pairs(10))
    same = Profile.learn("ann", MODEL, prior, [], shown(7)[0][:0], [], (1, 10), both, pairs(10))
    assert len(both.ratings) == 6 and both.pairs == same.pairs and np.array_equal(both.apart, same.apart)
    assert np.trace(both.person(prior)[1]) < np.trace(rated.person(prior)[1])
    alone = Profile.learn("bob", MODEL, prior, [], shown(7)[0][:0], [], (1, 10), preferred=pairs(4))
    assert alone.trust is None, "four pairs tell nothing"
    stars = Profile.learn("bob", MODEL, prior, hashes(2), shown(7)[0][:2], [1, 5], (1, 5), alone)
    assert stars.scale == (1, 5) and len(stars.pairs) == len(alone.pairs)


def test_contradictory_pairs_say_little(prior):
    photos, _ = shown(7)
    names = hashes(2)
    there, back = photos[np.array([0, 1])], photos[np.array([1, 0])]
    told = Preferred([(names[0], names[1]), (names[1], names[0])], there, back)
    profile = Profile.learn("ann", MODEL, prior, [], photos[:0], [], (1, 10), preferred=told)
    apart = prior.read(photos[:1]) - prior.read(photos[np.array([1])])
    before, after = (float((apart @ w)[0]) for w in (prior.person(apart[:0], np.zeros(0))[0], profile.person(prior)[0]))
    assert abs(after) < abs(before) + 1e-6, "as good as each other is all that they say"


def test_a_profile_says_what_the_person_likes(prior):
    """Somebody who likes the second feature and not the third, beside a general score that knows the first alone."""
    photos, _ = shown(12, 400)
    values = np.zeros((400, len(TRAITS)))
    values[:, TRAITS.index("rich colour")] = photos.features[:, 1]
    values[:, TRAITS.index("snow")] = 7 * photos.features[:, 2]
    values[:, TRAITS.index("fine detail")] = photos.features[:, 0]
    known = replace(prior, reference=prior.read(photos), traits=values)
    ratings = 5.5 + photos.features @ np.array([0.8, 1.0, -0.6, 0, 0, 0])
    weights, _ = known.person(known.read(photos), ratings)
    found = {each.trait: each.points for each in leanings(known, known.reference @ weights)}
    assert list(found) == ["rich colour", "snow"], "detail is what the general score likes already"
    assert found["rich colour"] == pytest.approx(1.0, abs=0.15), "a little of each stands in the other by chance"
    assert found["snow"] == pytest.approx(-0.6, abs=0.15)
    assert leanings(prior, prior.reference @ weights) == [], "of photos without known traits nothing is said"
    other = replace(known, traits=values[:, 1:])
    assert leanings(other, known.reference @ weights) == [], "traits of another release have other names"


def test_traits_are_measured_or_words_that_the_network_is_sure_of():
    """Each word stands where its trait does, whatever the order in the network's vocabulary."""
    config = CalmConfig(vocabulary=["snow", "cat", "dog"], attribute_words=["dark", "uneasy"])
    measures = np.arange(2 * len(MEASURE_NAMES), dtype=np.float32).reshape(2, -1)
    words, attributes = torch.tensor([[9.0, 9, -9], [-9, 9, 9]]), torch.tensor([[9.0, -9], [-9, 9]])
    values = traits(measures, VisualTokens(torch.zeros(2, 1, 4), None, words, attributes), config)
    said = dict(zip(TRAITS, values.T.round(2).tolist(), strict=True))
    assert (said["snow"], said["dogs"], said["a mood: uneasy"]) == ([1, 0], [0, 1], [0, 1])
    assert said["rich colour"] == measures[:, MEASURE_NAMES.index("chroma_mean")].tolist()
    assert said["the sea"] == said["a mood: calm"] == [0, 0], "words that this network does not have"


def test_traits_are_words_that_networks_are_taught():
    assert set(MOODS) < set(ATTRIBUTE_WORDS)
