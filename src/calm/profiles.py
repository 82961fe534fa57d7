"""Profiles through a model: from tables of ratings to what is learnt, and from photos to personal scores."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from calm.engine import Engine, Model, Result, Task, describe_task
from calm.errors import DataError, UsageError
from calm.inference.store import question_of
from calm.types import Score

if TYPE_CHECKING:
    from calm.data.images import Photo
    from calm.personal.prior import Prior, Shown
    from calm.personal.profile import Profile

STARS = ((1.0, 5.0), (0.0, 5.0), (1.0, 10.0), (0.0, 10.0), (0.0, 100.0))
"""Scales of ratings in use, the first that holds all of a person's is taken where none is named."""
TEN = (1.0, 10.0)
"""The scale where there are no ratings, but preferences alone."""
LIKES = (0.0, 1.0)
"""Scale of photos that are liked or not."""
NOTHING = Score(5.5, 0.0, ())
"""Stands where a score belongs and none was asked for."""
Failed = list[dict[str, str]]


def personal_task(profile: Profile, prior: Prior) -> Task:
    """Personal scores by a profile."""

    def task(model: Model, photos: list[Photo]) -> list[Result]:
        _belongs(profile, model)
        scores = profile.scores(prior, prior.read(_shown(model.describe(photos))))
        return [Result(score, profile=profile.name) for score in scores]

    return Task(task, question_of("describe"))


def traits_task() -> Task:
    """Traits of photos (:data:`calm.personal.traits.TRAITS`) in place of features; of :class:`Pipeline` alone."""
    import numpy as np

    from calm.data.measure import measure
    from calm.personal.traits import traits

    def task(model: Any, photos: list[Photo]) -> list[Result]:  # noqa: ANN401 - a pipeline, which has more than a Model
        pixels = [photo.pixels for photo in photos]
        measures = np.stack([measure(each) for each in pixels])
        values = traits(measures, model.answers.see(pixels), model.answers.model.config)
        return [Result(NOTHING, features=row) for row in values]

    return Task(task)


def learn_profile(
    model: Model,
    prior: Prior,
    name: str,
    images: str | Path,
    ratings: str | Path,
    scale: tuple[float, float] | None = None,
    before: Profile | None = None,
) -> tuple[Profile, Failed]:
    """A profile from a table of one person's ratings, and the photos that could not be used.

    Args:
        images: folder that the photos' names are relative to.
        ratings: table; the first column names the photo, the second its rating; or columns ``better`` and ``worse``,
            of photos of which the person prefers the former.
        scale: lowest and highest rating there could be; None for that of ``before``, or else the first of :data:`STARS`
            that holds them all.
        before: a profile to add to.

    Raises:
        DataError: for a table that cannot be used, or where no photo could be read.
        UsageError: for ratings outside of the scale, or a profile of another model.
    """
    from calm.data.datasets.folder import locate, read_labels
    from calm.data.ratings import read_pairs

    pairs = read_pairs(ratings) or []
    labels = {} if pairs else dict(read_labels(ratings))
    located = locate(images, list(labels) or _names(pairs))
    profile, failed = learn_from(
        model,
        prior,
        name,
        {str(located[each]): value for each, value in labels.items() if located[each]},
        [(str(located[a]), str(located[b])) for a, b in pairs if located[a] and located[b]],
        scale,
        before,
        missing=[{"path": each, "error": f"not found below {images}"} for each, path in located.items() if not path],
    )
    return profile, failed


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
    """The same from ratings, or pairs, of photos by their paths.

    Args:
        ratings: of each path.
        pairs: of two paths, the preferred one first.
        missing: photos that are known to have failed already.
    """
    from calm.personal.prior import Shown
    from calm.personal.profile import Preferred, Profile

    if before is not None:
        _belongs(before, model)
    if scale is None:
        scale = before.scale if before and len(before.ratings) else _guess(list(ratings.values()))
    failed = list(missing)
    paths = list(dict.fromkeys([*ratings, *_names(pairs)]))
    known = {path: (sha256, described) for path, sha256, described in _described(model, paths, failed)}
    usable = [(a, b) for a, b in pairs if a in known and b in known]
    rated = [path for path in ratings if path in known]
    if not rated and not usable:
        first = f", such as {failed[0]['path']}: {failed[0]['error']}" if failed else ""
        count = len(paths) + len(missing)
        raise DataError(f"expected photos that were rated, found none of {count} that can be used{first}")
    shown = {path: _shown([described]) for path, (_, described) in known.items()}

    def together(chosen: Sequence[str]) -> Shown:
        return Shown.join([shown[path] for path in chosen]) if chosen else next(iter(shown.values()))[:0]

    preferred = None
    if usable:
        hashes = [(known[a][0], known[b][0]) for a, b in usable]
        preferred = Preferred(hashes, together([a for a, _ in usable]), together([b for _, b in usable]))
    given = [known[path][0] for path in rated], together(rated), [ratings[path] for path in rated]
    whose = name, (model.name, model.sha256), prior
    return Profile.learn(*whose, *given, scale, before, preferred), failed


def _names(pairs: Sequence[tuple[str, str]]) -> list[str]:
    return list(dict.fromkeys(name for pair in pairs for name in pair))


def rate_next(
    model: Model, prior: Prior, photos: Sequence[str], count: int, profile: Profile | None = None
) -> tuple[list[str], Failed]:
    """Paths of the photos whose rating would tell most about a person, and the photos that could not be read.

    Args:
        profile: what is known of the person; None for somebody new. Photos that it rests on are not named again.
    """
    import numpy as np

    from calm.personal.profile import DIGITS
    from calm.personal.telling import most_telling

    if profile is not None:
        _belongs(profile, model)
    known = {name for each in (*profile.photos, *profile.pairs) for name in each.split(">")} if profile else set()
    paths, seen = [], []
    failed: Failed = []
    for path, sha256, described in _described(model, photos, failed):
        if sha256[:DIGITS] not in known:
            known.add(sha256[:DIGITS])
            paths.append(path)
            seen.append(described)
    if not seen:
        return [], failed
    candidates = prior.read(_shown(seen))
    _, uncertain = profile.person(prior) if profile else prior.person(candidates[:0], np.zeros(0))
    return [paths[i] for i in most_telling(prior, uncertain, candidates, count)], failed


def _described(model: Model, paths: Sequence[str], failed: Failed) -> Iterator[tuple[str, str, tuple]]:
    """Path, SHA-256, and score and features of each photo; those that cannot be read are added to ``failed``."""
    from calm.eval.gather import progress

    for answer in progress(Engine(model).answers(list(paths), describe_task()), "looking at photos", len(paths)):
        if answer.result is None or answer.sha256 is None:
            failed.append({"path": answer.path, "error": answer.error or "no reason given"})
        else:
            yield answer.path, answer.sha256, (answer.result.score, answer.result.features)


def _belongs(profile: Profile, model: Model) -> None:
    """Raise :class:`UsageError` for a profile that was learnt with another model."""
    if profile.model_sha256 != model.sha256:
        own, other = model.sha256[:12], profile.model_sha256[:12]
        raise UsageError(
            f"expected a profile of the model {own}, found {profile.name} of {other}; remove it and learn it anew"
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


def _shown(seen: Sequence[tuple]) -> Shown:
    """Scores and features of photos as learners read them."""
    import numpy as np

    from calm.personal.prior import Shown

    features = np.stack([features for _, features in seen]).astype(float)
    return Shown(features, np.array([score.value for score, _ in seen]))
