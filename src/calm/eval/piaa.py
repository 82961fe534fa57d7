"""Personal taste (PIAA): how well do a few ratings of one person predict that person's others?

Protocol. The table of ratings is cut into parts that share neither people nor photos
(:func:`calm.personal.folds.folds`), or into people to test and others. Of each part people are drawn; of each of them,
``draws`` times, an order of the photos that they rated. The first ``shots`` are the examples, and what comes after the
most examples asked for is predicted, so that every number of shots and every learner is measured on the very same
photos. What is learnt from other people is learnt from the other parts. The figure is the SRCC of predicted and given
ratings, averaged over a person's draws and then over people; its standard error is over people. A learner that gives
every photo the same orders nothing: 0.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from calm.data.progress import progress
from calm.data.ratings import read_ratings
from calm.data.record import UserRating
from calm.errors import DataError, UsageError
from calm.eval.gather import ask, plain, refuse_trained, stamp
from calm.inference.tasks import DescribeTask, Model
from calm.personal.folds import apart, folds
from calm.personal.learners import General, Learner, Learnt, Others, ResidualRidge, Ridge
from calm.personal.prior import Prior, Shown
from calm.personal.tasks import TraitsTask
from calm.tasks.metrics import order

QUERIES = 5
"""Photos that are left to predict for every person, at least."""


@dataclass(frozen=True)
class RatedPart:
    """One part of a table of ratings.

    Attributes:
        photos: what the model sees on its photos.
        people: for each person, indices into ``photos`` and ratings, 1–10.
    """

    photos: Shown
    people: list[tuple[np.ndarray, np.ndarray]]

    @classmethod
    def gather(cls, ratings: Sequence[UserRating], places: Mapping[str, int], shown: Shown) -> RatedPart:
        """The ratings of photos that were seen; of a photo that a person rated more than once, the mean.

        Args:
            places: index into ``shown`` of each photo's path.
        """
        known = [one for one in ratings if one.path in places]
        paths = sorted({one.path for one in known})
        place = {path: i for i, path in enumerate(paths)}
        by_person: dict[str, dict[int, list[float]]] = {}
        for one in known:
            by_person.setdefault(one.person, {}).setdefault(place[one.path], []).append(one.score)
        people = [
            (np.array(sorted(photos)), np.array([float(np.mean(photos[i])) for i in sorted(photos)]))
            for photos in by_person.values()
        ]
        return cls(shown[[places[path] for path in paths]], people)


def eval_piaa(
    predictor: Model,
    images: str | Path,
    ratings: str | Path,
    *,
    scale: tuple[float, float] | None = None,
    seed: int = 0,
    **protocol: Any,
) -> dict[str, Any]:
    """How well personal scores order a person's photos; see the module for the protocol and :func:`measure`.

    Args:
        images: folder that the photos' names in the table are relative to.
        ratings: table of person, photo and rating; see :mod:`calm.data.ratings`.
        scale: lowest and highest rating that could be given; None for those in the table.
        seed, protocol: of :func:`measure`.

    Raises:
        DataError: for a table that cannot be used, or for a predictor that was trained on these photos.
    """
    given, missing = read_ratings(ratings, images, scale)
    compared = refuse_trained(predictor, sorted({one.path for one in given}))
    failed = [{"path": name, "error": f"not found below {images}"} for name in missing]
    places, shown = _look(predictor, given, failed)
    found = measure(given, places, shown, seed=seed, **protocol)
    about = {"task": "piaa", "images": str(images), "ratings": str(ratings), "photos": len(shown), "seed": seed}
    return plain(about | found | {"training_hashes_compared": compared, "failed": failed} | stamp(predictor))


def learn_prior(predictor: Model, images: str | Path, ratings: str | Path) -> Prior:
    """What is known of any person's taste, from a table of the ratings of many, as :func:`eval_piaa` reads it."""
    given, _ = read_ratings(ratings, images)
    places, shown = _look(predictor, given, [])
    part = RatedPart.gather(given, places, shown)
    paths = sorted(places, key=lambda path: places[path])
    known = ask(predictor, paths, TraitsTask(), "looking at traits", []) if hasattr(predictor, "answers") else []
    rows = [answer.result.features for answer in known if answer.result and answer.result.features is not None]
    return Prior.learn(part.photos, part.people, traits=np.stack(rows) if rows else None)


def _look(
    predictor: Model, ratings: Sequence[UserRating], failed: list[dict[str, str]]
) -> tuple[dict[str, int], Shown]:
    """Where each rated photo's path stands in what the model sees, and what it sees."""
    paths = sorted({one.path for one in ratings})
    answers = ask(predictor, paths, DescribeTask(), "looking at photos", failed)
    results = [answer.result for answer in answers if answer.result]
    features = np.stack([result.features for result in results if result.features is not None]).astype(float)
    shown = Shown(features, np.array([result.score.value for result in results]))
    return {answer.path: i for i, answer in enumerate(answers)}, shown


def measure(
    ratings: Sequence[UserRating],
    places: dict[str, int],
    shown: Shown,
    *,
    shots: Sequence[int] = (10,),
    people: int = 100,
    draws: int = 10,
    seed: int = 0,
    tested: Collection[str] | None = None,
    only: Collection[str] | None = None,
) -> dict[str, Any]:
    """Figures of every learner on the same draws.

    Args:
        ratings: of single people, 1–10.
        places: index into ``shown`` of each photo's path.
        shown: what the model sees on the photos.
        shots: numbers of examples.
        people: drawn at random of those with enough ratings that are not all alike.
        draws: of the examples for each person.
        tested: people to test; the others are learnt from (:func:`calm.personal.folds.apart`). None for parts of the
            table in turn.
        only: names of the learners to measure beside the general score; None for all.

    Returns:
        ``shots`` (for each number of examples, for each learner ``srcc``, ``stderr``, and ``gain`` over the general
        score with its own standard error ``gain_stderr``), ``by_person`` (for each learner the SRCC of every person at
        the most examples), ``people``, ``draws``, ``folds``, ``left_out`` (people with too few or constant ratings),
        and ``ceiling`` (SRCC with the mean of all other people's ratings of the very same photos).

    Raises:
        UsageError: for a learner that is not there.
        DataError: where nobody rated enough photos.
    """
    parts = [
        RatedPart.gather(one, places, shown)
        for one in (folds(ratings, seed) if tested is None else apart(ratings, tested))
    ]
    most, first = max(shots), 0 if tested is None else 1
    asked_of = [(i, j) for i in range(first, len(parts)) for j in range(len(parts[i].people))]
    fit = [(i, j) for i, j in asked_of if _enough(parts[i].people[j], most)]
    if not fit:
        count = max(len(which) for part in parts for which, _ in part.people)
        raise DataError(
            f"expected people with at least {most + QUERIES} ratings that are not all alike, found {count} at most; "
            f"ask for fewer shots"
        )
    rng = np.random.default_rng([seed, len(fit)])
    chosen = [fit[i] for i in rng.permutation(len(fit))[:people]]
    learners = {i: _learners(parts, i) for i in sorted({i for i, _ in chosen})}
    names = [one.name for one in learners[chosen[0][0]]]
    if only is not None:
        if lacking := sorted(set(only) - set(names)):
            raise UsageError(f"expected learners among {', '.join(sorted(names))}, found {', '.join(lacking)}")
        names = [name for name in names if name == General.name or name in only]
        learners = {i: [one for one in each if one.name in names] for i, each in learners.items()}
    found = {k: {name: np.full((len(chosen), draws), np.nan) for name in names} for k in shots}
    ceiling = np.full((len(chosen), draws), np.nan)
    for row, (i, j) in progress(list(enumerate(chosen)), "learning tastes"):
        which, given = parts[i].people[j]
        others = _mean_of_others(parts[i], j)
        for draw in range(draws):
            chances = np.random.default_rng([seed, i, j, draw]).permutation(len(which))
            rated, asked = chances[:most], chances[most:]
            ceiling[row, draw] = order(others[which[asked]], given[asked])
            photos, rest = parts[i].photos[which[rated]], parts[i].photos[which[asked]]
            for learner in learners[i]:
                for k, predicted in zip(shots, learner.follow(photos, given[rated], shots, rest), strict=True):
                    found[k][learner.name][row, draw] = order(predicted, given[asked])
    return {
        "shots": {str(k): {name: _figures(found[k][name], found[k]["generic"]) for name in names} for k in shots},
        "by_person": {name: _by_person(found[most][name]) for name in names},
        "ceiling": _figures(ceiling, ceiling)["srcc"],
        "people": len(chosen),
        "draws": draws,
        "folds": len(parts) - first,
        "left_out": len(asked_of) - len(fit),
    }


def _learners(parts: Sequence[RatedPart], tested: int) -> list[Learner]:
    """Every learner; what is learnt from other people comes from the parts that are not tested."""
    rest = [part for i, part in enumerate(parts) if i != tested]
    begins = np.cumsum([0, *(len(part.photos) for part in rest)])
    ratings = [
        (which + first, given) for part, first in zip(rest, begins, strict=False) for which, given in part.people
    ]
    prior = Prior.learn(Shown.join([part.photos for part in rest]), ratings)
    return [General(), Ridge(), ResidualRidge(), Others(prior), Learnt(prior)]


def _enough(person: tuple[np.ndarray, np.ndarray], shots: int) -> bool:
    which, given = person
    return len(which) >= shots + QUERIES and float(np.ptp(given)) > 0


def _mean_of_others(part: RatedPart, person: int) -> np.ndarray:
    """(photos,), mean rating of everybody else, about each one's own mean; 0 where nobody else rated a photo."""
    total, count = np.zeros(len(part.photos)), np.zeros(len(part.photos))
    for i, (which, given) in enumerate(part.people):
        if i != person:
            total[which] += given - given.mean()
            count[which] += 1
    return total / np.maximum(count, 1)


def _by_person(values: np.ndarray) -> list[float]:
    """(people, draws) → mean of each person for whom it is defined."""
    return np.nanmean(values[~np.isnan(values).all(axis=1)], axis=1).tolist()


def _figures(values: np.ndarray, generic: np.ndarray) -> dict[str, float]:
    """Mean over people and its standard error, of SRCC and of the gain over the general score: (people, draws)."""
    defined = ~np.isnan(values).all(axis=1)
    values, generic = values[defined], generic[defined]
    own, apart = np.nanmean(values, axis=1), np.nanmean(values - generic, axis=1)
    root = max(len(own) - 1, 1) ** 0.5
    return {
        "srcc": float(own.mean()),
        "stderr": float(own.std() / root),
        "gain": float(apart.mean()),
        "gain_stderr": float(apart.std() / root),
    }
