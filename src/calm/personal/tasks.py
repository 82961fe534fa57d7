"""Profiles through a model: from tables of ratings to what is learnt, and from photos to personal scores."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from calm.data.datasets.folder import locate, read_labels
from calm.data.find import find_photos
from calm.data.hashes import hash_files
from calm.data.images import Photo
from calm.data.progress import progress
from calm.data.ratings import read_pairs
from calm.errors import DataError, UsageError
from calm.inference.engine import Engine
from calm.inference.tasks import DescribeTask, Model, Result, Task
from calm.personal.prior import Prior, Shown
from calm.personal.profile import DIGITS, Preferred, Profile
from calm.types import Score

STARS = ((1.0, 5.0), (0.0, 5.0), (1.0, 10.0), (0.0, 10.0), (0.0, 100.0))
"""Scales of ratings in use, the first that holds all of a person's is taken where none is named."""
TEN = (1.0, 10.0)
"""The scale where there are no ratings, but preferences alone."""
LIKES = (0.0, 1.0)
"""Scale of photos that are liked or not."""
NOTHING = Score(5.5, 0.0, ())
"""Stands where a score belongs and none was asked for."""
Failed = list[dict[str, str]]


@dataclass(frozen=True, eq=False)
class PersonalTask(Task):
    """Personal scores by a profile."""

    profile: Profile
    prior: Prior

    @property
    def question(self) -> str:
        """See :class:`Task`."""
        return DescribeTask().question

    def ask(self, model: Model, photos: list[Photo]) -> list[Result]:
        """See :class:`Task`. Raises as :meth:`of`."""
        return self.of(model, model.describe(photos))

    def of(self, model: Model, described: Sequence[tuple]) -> list[Result]:
        """The same from what the model's ``describe`` gave. Raises :class:`UsageError` for another model's profile."""
        _belongs(self.profile, model)
        scores = self.profile.scores(self.prior, self.prior.read(_shown(described)))
        return [Result(score, profile=self.profile.name) for score in scores]


@dataclass(frozen=True)
class TraitsTask(Task):
    """Traits of photos (:data:`calm.personal.traits.TRAITS`) in place of features; of :class:`Pipeline` alone."""

    def ask(self, model: Any, photos: list[Photo]) -> list[Result]:  # noqa: ANN401 - a pipeline, more than a Model
        """See :class:`Task`."""
        from calm.data.measure import measure
        from calm.personal.traits import traits

        pixels = [photo.pixels for photo in photos]
        measures = np.stack([measure(each) for each in pixels])
        values = traits(measures, model.answers.see(pixels), model.answers.model.config)
        return [Result(NOTHING, features=row) for row in values]


def read_rated(
    ratings: str | Path, images: str | Path
) -> tuple[dict[str, float], list[tuple[str, str]], list[dict[str, str]]]:
    """One person's ratings, or else pairs, by the paths of the photos; and the photos that are not there.

    Args:
        ratings: table; the first column names the photo, the second its rating; or columns ``better`` and ``worse``,
            of photos of which the person prefers the former.
        images: folder that the photos' names are relative to.

    Raises:
        DataError: for a table that cannot be used.
    """
    pairs = read_pairs(ratings) or []
    labels = {} if pairs else dict(read_labels(ratings))
    located = locate(images, list(labels) or _names(pairs))
    known = {name: str(path) for name, path in located.items() if path}
    return (
        {known[name]: value for name, value in labels.items() if name in known},
        [(known[a], known[b]) for a, b in pairs if a in known and b in known],
        [{"path": name, "error": f"not found below {images}"} for name in located if name not in known],
    )


def learn_from(
    model: Model,
    prior: Prior,
    name: str,
    ratings: Mapping[str, float],
    pairs: Sequence[tuple[str, str]] = (),
    scale: tuple[float, float] | None = None,
    before: Profile | None = None,
    missing: Sequence[dict[str, str]] = (),
) -> tuple[Profile, Failed]:
    """A profile from ratings, or pairs, of photos by their paths, and the photos that could not be used.

    Args:
        ratings: of each path.
        pairs: of two paths, the preferred one first.
        scale: lowest and highest rating there could be; None for that of ``before``, or else the first of :data:`STARS`
            that holds them all.
        before: a profile to add to.
        missing: photos that are known to have failed already.

    Raises:
        DataError: where no photo could be read.
        UsageError: for ratings outside of the scale, or a profile of another model.
    """
    failed = list(missing)
    paths = list(dict.fromkeys([*ratings, *_names(pairs)]))
    known = {path: (sha256, described) for path, sha256, described in _described(model, paths, failed)}
    if not known:
        first = f", such as {failed[0]['path']}: {failed[0]['error']}" if failed else ""
        count = len(paths) + len(missing)
        raise DataError(f"expected photos that were rated, found none of {count} that can be used{first}")
    return learn_described(model, prior, name, known, ratings, pairs, scale, before), failed


def learn_described(
    model: Model,
    prior: Prior,
    name: str,
    known: Mapping[str, tuple[str, tuple]],
    ratings: Mapping[str, float],
    pairs: Sequence[tuple[str, str]] = (),
    scale: tuple[float, float] | None = None,
    before: Profile | None = None,
) -> Profile:
    """The same from what is known of each photo: its SHA-256, and what the model's ``describe`` gave.

    Ratings and pairs of other photos are left out.
    """
    if before is not None:
        _belongs(before, model)
    if scale is None:
        scale = before.scale if before and len(before.ratings) else _guess(list(ratings.values()))
    usable = [(a, b) for a, b in pairs if a in known and b in known]
    rated = [path for path in ratings if path in known]
    if not rated and not usable:
        raise DataError(f"expected ratings or whole pairs of {len(known)} photos, found neither; rate some of them")
    shown = {path: _shown([described]) for path, (_, described) in known.items()}

    def together(chosen: Sequence[str]) -> Shown:
        return Shown.join([shown[path] for path in chosen]) if chosen else next(iter(shown.values()))[:0]

    preferred = None
    if usable:
        hashes = [(known[a][0], known[b][0]) for a, b in usable]
        preferred = Preferred(hashes, together([a for a, _ in usable]), together([b for _, b in usable]))
    given = [known[path][0] for path in rated], together(rated), [ratings[path] for path in rated]
    whose = name, (model.name, model.sha256, model.describer), prior
    return Profile.learn(*whose, *given, scale, before, preferred)


def learn_again(model: Model, prior: Prior, profile: Profile, images: str | Path) -> tuple[Profile, Failed]:
    """A profile of another model, or of this one as it was, learnt from its own ratings of the photos below a folder.

    Raises:
        DataError: where not one of the photos is there.
    """
    ratings, pairs, absent = profile.given(hash_files(list(find_photos([str(images)])), label=str(images)))
    missing = [{"path": digits, "error": f"no photo of this SHA-256 below {images}"} for digits in absent]
    return learn_from(model, prior, profile.name, ratings, pairs, profile.scale, missing=missing)


def _names(pairs: Sequence[tuple[str, str]]) -> list[str]:
    return list(dict.fromkeys(name for pair in pairs for name in pair))


def rate_next(
    model: Model, prior: Prior, photos: Sequence[str], count: int, profile: Profile | None = None
) -> tuple[list[str], Failed]:
    """Paths of the photos whose rating would tell most about a person, and the photos that could not be read.

    Args:
        profile: what is known of the person; None for somebody new. Photos that it rests on are not named again.
    """
    if profile is not None:
        _belongs(profile, model)
    known = {name for each in (*profile.photos, *profile.pairs) for name in each.split(">")} if profile else set()
    paths, described = [], []
    failed: Failed = []
    for path, sha256, found in _described(model, photos, failed):
        if sha256[:DIGITS] not in known:
            known.add(sha256[:DIGITS])
            paths.append(path)
            described.append(found)
    if not described:
        return [], failed
    candidates = prior.read(_shown(described))
    _, uncertain = profile.person(prior) if profile else prior.person(candidates[:0], np.zeros(0))
    return [paths[i] for i in prior.most_telling(uncertain, candidates, count)], failed


def _described(model: Model, paths: Sequence[str], failed: Failed) -> Iterator[tuple[str, str, tuple]]:
    """Path, SHA-256, and score and features of each photo; those that cannot be read are added to ``failed``."""
    with Engine(model) as engine:
        for answer in progress(engine.answers(list(paths), DescribeTask()), "looking at photos", len(paths)):
            if answer.result is None or answer.sha256 is None:
                failed.append({"path": answer.path, "error": answer.error or "no reason given"})
            else:
                yield answer.path, answer.sha256, (answer.result.score, answer.result.features)


def _belongs(profile: Profile, model: Model) -> None:
    """Raise :class:`UsageError` for a profile whose examples this model sees otherwise."""
    if profile.describer != model.describer:
        raise UsageError(
            f"expected a profile of {model.name} {model.sha256[:12]}, found {profile.name} of {profile.model} "
            f"{profile.model_sha256[:12]}, which sees photos otherwise; learn it anew from the ratings that it keeps: "
            f"calm profile update {profile.name} --images DIR"
        )


def _guess(values: Sequence[float]) -> tuple[float, float]:
    """The scale that ratings are on: likes where there is nothing but 0 and 1."""
    if not values:
        return TEN
    if set(values) <= set(LIKES):
        return LIKES
    least, most = min(values), max(values)
    fits = [(low, high) for low, high in STARS if low <= least and most <= high]
    if not fits:
        raise UsageError(f"expected ratings on a known scale, found {least:g}–{most:g}; give --scale LOW HIGH")
    return fits[0]


def _shown(described: Sequence[tuple]) -> Shown:
    """Scores and features of photos as learners read them."""
    features = np.stack([features for _, features in described]).astype(float)
    return Shown(features, np.array([score.value for score, _ in described]))
