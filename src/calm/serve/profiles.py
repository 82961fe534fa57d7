"""Profiles of those who ask: each key has its own, and so has this machine."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from calm.data.record import to_ten
from calm.errors import UsageError
from calm.inference.engine import Answer
from calm.inference.tasks import DescribeTask, Result
from calm.personal.prior import Prior, Shown
from calm.personal.profile import Profile, check_name
from calm.personal.store import Store, profiles_dir
from calm.personal.tasks import PersonalTask, learn_described
from calm.personal.trust import trust
from calm.serve.errors import ApiError
from calm.serve.guard import Caller
from calm.serve.images import Sent
from calm.serve.schema import Image, LearnRequest
from calm.serve.service import Service
from calm.serve.studio_schema import TasteRequest

MOST = 100
"""Profiles of a key."""


def store_of(caller: Caller) -> Store:
    """Where the caller's profiles are; those of this machine are the ones of ``calm profile``."""
    return Store() if caller.id is None else Store(profiles_dir() / ".keys" / caller.id)


def load(caller: Caller, name: str) -> Profile:
    """One of the caller's profiles. Raises :class:`ApiError` where there is none of that name."""
    store = store_of(caller)
    if name not in store.names():
        raise ApiError(404, "expected the name of a profile of yours, found another; see /v1/profiles", "no_profile")
    return store.load(name)


def personal(service: Service, profile: Profile, answers: Sequence[Answer]) -> list[Answer]:
    """Answers to :class:`DescribeTask` with scores as that person would give them."""
    task, results = PersonalTask(profile, service.prior), list(answers)
    for i, answer in enumerate(answers):
        if answer.result is not None:
            described = [(answer.result.score, answer.result.features)]
            results[i] = replace(answer, result=task.of(service.engine.model, described)[0])
    return results


def read(service: Service, result: Result) -> list[float] | None:
    """What profiles are learnt from, of one answer to :class:`DescribeTask`; None with a model that knows no tastes."""
    if not service.has_tastes or result.features is None:
        return None
    shown = Shown(result.features[None].astype(float), np.array([result.score.value]))
    return service.prior.read(shown)[0].tolist()


def taste(prior: Prior, body: TasteRequest) -> dict[str, Any]:
    """What is known of a person's taste by the ratings of some photos.

    Raises:
        UsageError: for photos that another prior read, a rating of none of them, or one outside of the scale.
    """
    width, (low, high) = len(prior.preferences.mean), body.scale
    if any(len(row) != width for row in body.read):
        raise UsageError(f"expected {width} numbers of each photo, as /v1/describe reads it, found another length")
    if any(each.index >= len(body.read) for each in body.ratings):
        raise UsageError(f"expected ratings of {len(body.read)} photos, found one of another")
    if not low < high or any(not low <= each.rating <= high for each in body.ratings):
        raise UsageError(f"expected ratings on a scale of {low:g}–{high:g}, found another; give the scale")
    photos = np.array(body.read)
    rated = {each.index: to_ten(each.rating, low, high) for each in body.ratings}
    shown, given = photos[list(rated)], np.array(list(rated.values()))
    weights, uncertain = prior.person(shown, given)
    left = [i for i in range(len(photos)) if i not in rated]
    trusted = trust(prior, shown, given, photos[:0])
    return {
        "scores": np.clip(prior.predict(photos, weights), 1, 10).tolist(),
        "next": [left[i] for i in prior.most_telling(uncertain, photos[left], body.count)],
        "trust": asdict(trusted) | {"helps": trusted.helps} if trusted else None,
    }


async def learn(service: Service, caller: Caller, body: LearnRequest) -> Profile:
    """Learn a profile and keep it.

    Raises:
        ApiError: for an image that fails, or a name that is taken, or not there to be added to.
        UsageError: for a name that cannot be one, or a rating outside of the scale.
    """
    check_name(body.name)
    prior, store = service.prior, store_of(caller)
    images: list[Image] = [*body.ratings, *(each for pair in body.pairs for each in (pair.better, pair.worse))]
    sent = [Sent(each.image, each.uuid, f"images.{i}") for i, each in enumerate(images)]
    answers = await service.answers(sent, caller.id, DescribeTask())
    known = {}
    for i, answer in enumerate(answers):
        if answer.result is None or answer.sha256 is None:
            raise ApiError(400, f"image {i + 1}: {answer.error}", "invalid_image")
        known[str(i)] = answer.sha256, (answer.result.score, answer.result.features)
    rated, first = {str(i): each.rating for i, each in enumerate(body.ratings)}, len(body.ratings)
    pairs = [(str(first + 2 * i), str(first + 2 * i + 1)) for i in range(len(body.pairs))]
    async with service.writing:
        taken = store.names()
        if not body.update and body.name in taken:
            raise ApiError(409, "expected a new name, found one of your profiles; update or delete it", "taken", "name")
        if body.name not in taken and len(taken) >= MOST:
            raise ApiError(400, f"expected at most {MOST} profiles, found as many; delete one", "too_many")
        before = load(caller, body.name) if body.update else None
        given = body.name, known, rated, pairs, body.scale, before
        profile = await asyncio.to_thread(learn_described, service.engine.model, prior, *given)
        await asyncio.to_thread(store.save, profile)
    return profile
