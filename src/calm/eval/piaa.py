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

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from calm.data.ratings import read_ratings
from calm.data.record import Rating
from calm.engine import Model, describe_task
from calm.errors import DataError, UsageError
from calm.eval.gather import ask, plain, progress, refuse_trained, stamp
from calm.eval.metrics import srcc
from calm.personal.folds import apart, folds
from calm.personal.learners import General, Learner, Learnt, Others, ResidualRidge, Ridge
from calm.personal.people import Part
from calm.personal.prior import Prior, Shown
from calm.profiles import traits_task

QUERIES = 5
"""Photos that are left to predict for every person, at least."""


def eval_piaa(
    predictor: Model,
    images: str | Path,
    ratings: str | Path,
    *,
    shots: Sequence[int] = (10,),
    people: int = 100,
    draws: int = 10,
    seed: int = 0,
    scale: tuple[float, float] | None = None,
    tested: Collection[str] | None = None,
    only: Collection[str] | None = None,
) -> dict[str, Any]:
    """How well personal scores order a person's photos; see the module for the protocol and :func:`measure`.

    Args:
        images: folder that the photos' names in the table are relative to.
        ratings: table of person, photo and rating; see :mod:`calm.data.ratings`.
        scale: lowest and highest rating that could be given; None for those in the table.
        tested: people to test; the others are learnt from (:func:`calm.personal.folds.apart`). None for parts of the
            table in turn.
        only: names of the learners to measure beside the general score; None for all that can be.

    Raises:
        UsageError: for a learner that is not among those that can be measured here.
        DataError: for a table that cannot be used, or for a predictor that was trained on these photos.
    """
    given, missing = read_ratings(ratings, images, scale)
    compared = refuse_trained(predictor, sorted({one.path for one in given}))
    failed = [{"path": name, "error": f"not found below {images}"} for name in missing]
    seen, shown = _look(predictor, given, failed)
    found = measure(
        given,
        seen,
        shown,
        shots=shots,
        people=people,
        draws=draws,
        seed=seed,
        tested=tested,
        only=only,
    )
    about = {"task": "piaa", "images": str(images), "ratings": str(ratings), "photos": len(shown), "seed": seed}
    return plain(about | found | {"training_hashes_compared": compared, "failed": failed} | stamp(predictor))


def learn_prior(predictor: Model, images: str | Path, ratings: str | Path) -> Prior:
    """What is known of any person's taste, from a table of the ratings of many, as :func:`eval_piaa` reads it."""
    given, _ = read_ratings(ratings, images)
    seen, shown = _look(predictor, given, [])
    part = Part.gather(given, seen, shown)
    paths = sorted(seen, key=lambda path: seen[path])
    known = ask(predictor, paths, traits_task(), "looking at traits", []) if hasattr(predictor, "answers") else []
    rows = [answer.result.features for answer in known if answer.result and answer.result.features is not None]
    return Prior.learn(part.photos, part.people, traits=np.stack(rows) if rows else None)


def _look(predictor: Model, ratings: Sequence[Rating], failed: list[dict[str, str]]) -> tuple[dict[str, int], Shown]:
    """Where each rated photo's path stands in what the model sees, and what it sees."""
    paths = sorted({one.path for one in ratings})
    answers = ask(predictor, paths, describe_task(), "looking at photos", failed)
    results = [answer.result for answer in answers if answer.result]
    features = np.stack([result.features for result in results if result.features is not None]).astype(float)
    shown = Shown(features, np.array([result.score.value for result in results]))
    return {answer.path: i for i, answer in enumerate(answers)}, shown


def measure(
    ratings: Sequence[Rating],
    seen: dict[str, int],
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
        seen: index into ``shown`` of each photo's path.
        shown: what the model sees on the photos.
        shots: numbers of examples.
        people: drawn at random of those with enough ratings that are not all alike.
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
        Part.gather(one, seen, shown) for one in (folds(ratings, seed) if tested is None else apart(ratings, tested))
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
    blank = {i: {one.name: _unasked(one, parts[i].photos) for one in each} for i, each in learners.items()}
    some = [k for k in shots if k]
    for row, (i, j) in progress(list(enumerate(chosen)), "learning tastes"):
        which, given = parts[i].people[j]
        others = _mean_of_others(parts[i], j)
        for draw in range(draws):
            order = np.random.default_rng([seed, i, j, draw]).permutation(len(which))
            told, asked = order[:most], order[most:]
            ceiling[row, draw] = _order(others[which[asked]], given[asked])
            photos, rest = parts[i].photos[which[told]], parts[i].photos[which[asked]]
            for learner in learners[i]:
                said = dict(zip(some, learner.follow(photos, given[told], some, rest), strict=True)) if some else {}
                said |= {0: blank[i][learner.name][which[asked]]}
                for k in shots:
                    found[k][learner.name][row, draw] = _order(said[k], given[asked])
    return {
        "shots": {str(k): {name: _figures(found[k][name], found[k]["generic"]) for name in names} for k in shots},
        "by_person": {name: _by_person(found[most][name]) for name in names},
        "ceiling": _figures(ceiling, ceiling)["srcc"],
        "people": len(chosen),
        "draws": draws,
        "folds": len(parts) - first,
        "left_out": len(asked_of) - len(fit),
    }


def _learners(parts: Sequence[Part], tested: int) -> list[Learner]:
    """Every learner; what is learnt from other people comes from the parts that are not tested."""
    rest = [part for i, part in enumerate(parts) if i != tested]
    photos = Shown(
        np.concatenate([part.photos.features for part in rest]), np.concatenate([part.photos.general for part in rest])
    )
    begins = np.cumsum([0, *(len(part.photos) for part in rest)])
    ratings = [
        (which + first, given) for part, first in zip(rest, begins, strict=False) for which, given in part.people
    ]
    prior = Prior.learn(photos, ratings)
    return [General(), Ridge(), ResidualRidge(), Others(prior), Learnt(prior)]


def _unasked(learner: Learner, photos: Shown) -> np.ndarray:
    """(n,) what a learner gives to photos before anybody rated any."""
    return learner.learn(photos[:0], np.zeros(0))(photos)


def _enough(person: tuple[np.ndarray, np.ndarray], shots: int) -> bool:
    which, given = person
    return len(which) >= shots + QUERIES and float(np.ptp(given)) > 0


def _mean_of_others(part: Part, person: int) -> np.ndarray:
    """(photos,), mean rating of everybody else, about each one's own mean; 0 where nobody else rated a photo."""
    total, count = np.zeros(len(part.photos)), np.zeros(len(part.photos))
    for i, (which, given) in enumerate(part.people):
        if i != person:
            total[which] += given - given.mean()
            count[which] += 1
    return total / np.maximum(count, 1)


def _order(said: np.ndarray, given: np.ndarray) -> float:
    """SRCC; 0 where everything is predicted alike, nan where everything is rated alike."""
    return 0.0 if np.ptp(given) and not np.ptp(said) else srcc(said, given)


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
