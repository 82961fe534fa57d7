"""Profiles: what they keep, how far they may be trusted, and how they travel."""

from __future__ import annotations

import hashlib
import json
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from test_personal import people

from calm.errors import UsageError, WeightsError
from calm.personal.prior import Prior, Shown
from calm.personal.profile import Profile
from calm.personal.store import Store
from calm.personal.telling import most_telling
from calm.personal.traits import TRAITS, leanings

MODEL = ("bright", "b" * 64)


def shown(seed: int, count: int = 60) -> tuple[Shown, np.ndarray]:
    """Photos and one person's ratings of them, 1–10 in stars of half a step."""
    features, ratings = people(1, count, seed)
    return Shown(features, 5.5 + 0.8 * features[:, 0]), np.clip(np.round(ratings[0] * 2) / 2, 1, 10)


@pytest.fixture(scope="module")
def prior() -> Prior:
    features, ratings = people(60, 80, seed=1)
    return Prior.learn(Shown(features, 5.5 + 0.8 * features[:, 0]), [(np.arange(80), row) for row in ratings], width=6)


def hashes(count: int, first: int = 0) -> list[str]:
    return [hashlib.sha256(str(i + first).encode()).hexdigest() for i in range(count)]


def learn(prior: Prior, count: int = 20, **more) -> Profile:
    photos, ratings = shown(7)
    return Profile.learn("ann", MODEL, prior, hashes(count), photos[:count], ratings[:count], (1, 10), **more)


def test_a_profile_predicts_the_persons_other_ratings(prior):
    photos, ratings = shown(7)
    scores = learn(prior).scores(prior, photos[slice(20, None)])
    values = [score.value for score in scores]
    assert np.corrcoef(values, ratings[20:])[0, 1] > 0.8 > np.corrcoef(photos.general[20:], ratings[20:])[0, 1]
    for score in scores:
        assert 1 <= score.value <= 10 and score.std > 0 and sum(score.distribution) == pytest.approx(1)


def test_it_says_whether_it_is_better_than_the_general_score(prior):
    profile = learn(prior)
    assert profile.trust.helps and profile.trust.srcc > profile.trust.generic
    assert profile.trust.low < profile.trust.srcc < profile.trust.high
    photos, _ = shown(7)
    noise = np.random.default_rng(0).uniform(1, 10, 20)
    whim = Profile.learn("bob", MODEL, prior, hashes(20), photos[:20], noise, (1, 10))
    assert not whim.trust.helps
    assert learn(prior, 4).trust is None, "four examples tell nothing"
    flat = Profile.learn("cat", MODEL, prior, hashes(20), photos[:20], np.full(20, 4.0), (1, 10))
    assert flat.trust is None, "nor do twenty equal ones"
    assert np.ptp([score.value for score in flat.scores(prior, photos)]) < 9


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
    assert [score.value for score in again.scores(prior, photos)] == pytest.approx(
        [score.value for score in profile.scores(prior, photos)], abs=1e-3
    )
    assert again.trust == profile.trust and store.names() == ["ann"]


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
    nobody = np.zeros((0, read.shape[1]))

    def unknown(chosen) -> float:
        _, uncertain = prior.person(read[chosen], np.zeros(len(chosen)))
        return float(np.einsum("nd,de,ne->n", read, uncertain, read).mean())

    chosen = most_telling(prior, nobody, read, 5)
    rng = np.random.default_rng(0)
    assert unknown(chosen) < np.mean([unknown(rng.permutation(80)[:5]) for _ in range(50)])
    assert len(set(most_telling(prior, read[chosen], read, 100))) == 80
    spread = np.einsum("nd,de,ne->n", read, prior.tastes.covariance, read)
    assert chosen[0] == spread.argmax()


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
    found = {each.trait: each.points for each in leanings(known, weights)}
    assert list(found) == ["rich colour", "snow"], "detail is what the general score likes already"
    assert found["rich colour"] == pytest.approx(1.0, abs=0.15), "a little of each stands in the other by chance"
    assert found["snow"] == pytest.approx(-0.6, abs=0.15)
    assert leanings(prior, weights) == [], "of photos without known traits nothing is said"
