"""Do suggestions help? A photo is damaged, the model's remedy is carried out, and the photo is scored again.

Each photo gets one visible edit (severity ≥ .33) of an attribute whose remedy can be rendered, and nothing else. Of the
suggestions for the damaged photo the first that can be carried out is. Beside it stand, on the very same photos, two
controls: a random remedy of a random strength, which any picture processing might be, and the true remedy of the edit,
which is the most that a perfect suggestion can do by these renderers. ``applied`` is what ``calm suggest --apply``
makes of the photo: of all suggestions those that pass when they are tried.

The score is the model's own unless another model gives it. It may be blind to what it mends, or please itself;
therefore also ``nearer``: whether the mended photo lies closer to the undamaged one, pixel by pixel, than the damaged
one does.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import cv2
import numpy as np

from calm.data.batches import batches
from calm.data.images import Photo
from calm.edits import Applied, edits, render
from calm.edits.base import VISIBLE, Edit
from calm.errors import DataError
from calm.eval.gather import Drawn, Paths, edited
from calm.inference.engine import Engine
from calm.inference.tasks import Model, Result, SuggestTask
from calm.library.mending import mend
from calm.model.saliency import SaliencyMap, SaliencySource, saliency_map
from calm.tasks.metrics import RESAMPLES, bootstrap, mean_gap, proportion
from calm.types import CLASSES, LEVELS, UNITS, Suggestion

BATCH = 8
TRIES = 20
"""Random remedies drawn for one photo until one of them can be carried out on it."""
WAYS = ("suggested", "random", "true", "applied")
SIDE = 224
"""Side in pixels that two photos are squashed to, to be compared pixel by pixel."""


@dataclass
class Case:
    """One photo, and what became of it.

    Attributes:
        applied: the edit, told by its remedy.
        photos: by state, ``whole``, ``damaged`` and those of :data:`WAYS` that can be made; let go when scored.
        silent: whether the model made no suggestion at all.
        suggestion: the one that was carried out; None where none could be.
        kept: how many of the suggestions ``--apply`` keeps.
        scores: on 1–10 by state.
        nearer: by way, whether the mended photo lies closer to the undamaged one than the damaged one does.
    """

    applied: Applied
    photos: dict[str, Photo]
    silent: bool = True
    suggestion: Suggestion | None = None
    kept: int = 0
    scores: dict[str, float] = field(default_factory=dict)
    nearer: dict[str, bool] = field(default_factory=dict)

    @property
    def named(self) -> bool:
        """Whether the suggestion that was carried out names the edit's class."""
        done = self.suggestion
        return done is not None and (done.attribute, done.direction) == (self.applied.attribute, self.applied.direction)


def eval_remedies(
    predictor: Model,
    photos: Paths,
    *,
    seed: int = 0,
    limit: int | None = None,
    scorer: Model | None = None,
    saliency: SaliencySource = "packaged",
    resamples: int = RESAMPLES,
) -> dict[str, Any]:
    """Damage photos, carry out what the model suggests, and see whether that made them better; see the module.

    Args:
        photos: a folder or files that the model was never trained on; refused where the predictor knows otherwise.
        limit: use only so many photos, drawn by ``seed``.
        scorer: another model, which gives the scores; None for the predictor itself.
        saliency: where the main subject is, which some edits go by.

    Returns:
        ``damaged`` (photos), ``damage`` (how far scores fell), ``silent`` and ``not_rendered`` (photos without any
        suggestion, and without one that can be carried out), ``suggested``, ``random``, ``true`` (each ``n``,
        ``improved``, ``worse`` and ``nearer`` as shares with their 95 % Wilson interval, ``change`` of the score on
        1–10 with its 95 % bootstrap interval, ``recovered``: the change in parts of the fall), all three on the photos
        with a suggestion that was carried out, ``over_random`` (mean change by the suggestion less that by the random
        remedy, with interval), ``kept`` (photos that ``--apply`` changes, and how many suggestions it keeps of one on
        average), ``applied`` and ``applied_over_random`` (the same for it, on the photos that it changes), ``right``
        and ``wrong`` (``suggested`` where the suggestion names the edit's class, and where it
        does not) and ``per_attribute``.

    Raises:
        DataError: for no photo that can be read and damaged, or photos that the model was trained on.
    """
    drawn = Drawn.unseen(predictor, photos, limit, seed)
    rng = np.random.default_rng([seed, 1])
    find_subject = saliency_map(saliency)
    scorer = scorer or predictor
    damaged_photos = (_damage(photo, find_subject, rng) for photo in drawn.photos("damaging and mending"))
    cases = filter(None, damaged_photos)
    done: list[Case] = []
    while waiting := list(islice(cases, BATCH)):
        _try(predictor, scorer, waiting)
        done += waiting
    if not done:
        raise DataError(f"expected at least one photo in {photos} that can be read and damaged, found none; add photos")
    whole, damaged = (np.array([each.scores[state] for each in done]) for state in ("whole", "damaged"))
    drop = bootstrap(mean_gap, damaged, whole, resamples=resamples, seed=seed)
    table = _Table([each for each in done if each.suggestion], resamples, seed)
    changed = [each for each in done if each.kept]
    mended = _Table(changed, resamples, seed)
    attributes = [each.applied.attribute for each in done]
    return drawn.result(
        "remedies",
        {
            "damaged": len(done),
            "seed": seed,
            "scorer": scorer.name,
            "scorer_sha256": scorer.sha256,
            "training_hashes_compared": drawn.compared,
            "damage": {**drop.named("change"), "fell": float(np.mean(damaged < whole))},
            "silent": sum(each.silent for each in done),
            "not_rendered": sum(not each.silent and not each.suggestion for each in done),
            **{way: table.figures(way, lambda _: True) for way in WAYS if way != "applied"},
            "over_random": table.over_random("suggested"),
            "kept": {"photos": len(changed), "mean": float(np.mean([each.kept for each in changed] or [0]))},
            "applied": mended.figures("applied", lambda _: True),
            "applied_over_random": mended.over_random("applied"),
            "right": table.figures("suggested", lambda each: each.named),
            "wrong": table.figures("suggested", lambda each: not each.named),
            "per_attribute": {name: {"damaged": n} | table.brief(name) for name, n in Counter(attributes).items()},
        },
    )


def _try(predictor: Model, scorer: Model, cases: list[Case]) -> None:
    """Ask for suggestions, carry the first out that can be, score all that there is, and let the photos go."""
    damaged = [case.photos["damaged"] for case in cases]
    for case, photo, (score, suggestions) in zip(cases, damaged, predictor.suggest(damaged), strict=True):
        case.silent = not suggestions
        with Engine(predictor, BATCH) as engine:
            made, trials = mend(photo, Result(score, suggestions=tuple(suggestions)), engine, SuggestTask())
        case.kept = sum(trial.kept for trial in trials)
        if case.kept:
            case.photos["applied"] = edited(photo, made)
        for suggestion in suggestions:
            pixels = render(photo.pixels, suggestion)
            if pixels is not None:
                case.suggestion, case.photos["suggested"] = suggestion, edited(photo, pixels)
                break
    for group in batches([(case, state) for case in cases for state in case.photos], BATCH):
        scores = scorer.score([case.photos[state] for case, state in group])
        for (case, state), score in zip(group, scores, strict=True):
            case.scores[state] = score.value
    for case in cases:
        case.nearer, case.photos = _nearer(case.photos), {}


@dataclass
class _Table:
    """Figures of the photos on which a suggestion was carried out; see :func:`eval_remedies`."""

    rows: Sequence[Case]
    resamples: int
    seed: int

    def figures(self, way: str, chosen: Callable[[Case], bool]) -> dict[str, Any] | None:
        """Figures of one way on the photos chosen; None where there is none."""
        rows = [each for each in self.rows if way in each.nearer and chosen(each)]
        if not rows:
            return None
        whole, before, after = (np.array([each.scores[s] for each in rows]) for s in ("whole", "damaged", way))
        up = proportion(int((after > before).sum()), len(rows))
        down = proportion(int((after < before).sum()), len(rows))
        near = proportion(sum(each.nearer[way] for each in rows), len(rows))
        change = bootstrap(mean_gap, after, before, resamples=self.resamples, seed=self.seed)
        fall = float((whole - before).sum())
        return {
            "n": len(rows),
            **up.named("improved"),
            **down.named("worse"),
            **change.named("change"),
            "recovered": float((after - before).sum()) / fall if fall > 0 else None,
            **near.named("nearer"),
        }

    def over_random(self, way: str) -> dict[str, Any] | None:
        """Mean change by a way less that by the random remedy of the same photo; None for no photo."""
        rows = [each for each in self.rows if {way, "random"} <= set(each.nearer)]
        if not rows:
            return None
        suggested, other = (np.array([each.scores[one] for each in rows]) for one in (way, "random"))
        gap = bootstrap(mean_gap, suggested, other, resamples=self.resamples, seed=self.seed)
        return {"n": len(rows), **gap.named("change", "interval")}

    def brief(self, attribute: str) -> dict[str, Any]:
        """One attribute's line."""
        rows = [each for each in self.rows if each.applied.attribute == attribute]
        if not rows:
            return {"tried": 0, "named": None, "improved": None, "change": None}
        gain = np.array([each.scores["suggested"] - each.scores["damaged"] for each in rows])
        named = float(np.mean([each.named for each in rows]))
        return {"tried": len(rows), "named": named, "improved": float((gain > 0).mean()), "change": float(gain.mean())}


def remediable() -> list[tuple[str, str]]:
    """Every (attribute, direction) whose remedy can be rendered at all."""
    there = {name for name, edit in edits().items() if type(edit).render is not Edit.render}
    return [each for each in CLASSES if each[0] in there]


def _damage(photo: Photo, find_subject: SaliencyMap | None, rng: np.random.Generator) -> Case | None:
    """The photo with one edit, and what the two controls make of it; None where no edit can be made."""
    subject = find_subject(photo.pixels) if find_subject else None
    classes = remediable()
    attributes = rng.permutation(list(dict.fromkeys(name for name, _ in classes)))
    for name in attributes:  # the next one where the photo does not lend itself to the first
        direction = str(rng.choice([way for each, way in classes if each == name]))
        severity = float(rng.uniform(VISIBLE, 1))
        out, applied = edits()[str(name)].apply(
            photo.pixels.astype(np.float32) / 255, direction, severity, rng, subject
        )
        if applied is None or applied.severity < VISIBLE:
            continue
        damaged = edited(photo, (np.clip(out, 0, 1) * 255 + 0.5).astype(np.uint8))
        truth = render(damaged.pixels, _remedy(applied.attribute, applied.direction, applied.amount))
        chance = _chance(damaged.pixels, classes, rng)
        mended = {"true": truth, "random": chance}
        photos = {way: edited(photo, pixels) for way, pixels in mended.items() if pixels is not None}
        return Case(applied, {"whole": photo, "damaged": damaged} | photos)
    return None


def _chance(pixels: np.ndarray, classes: Sequence[tuple[str, str]], rng: np.random.Generator) -> np.ndarray | None:
    """A random remedy, of a visible strength, carried out on pixels (H, W, 3) uint8."""
    for _ in range(TRIES):
        name, direction = classes[int(rng.integers(len(classes)))]
        out = render(pixels, _remedy(name, direction, edits()[name].amount(direction, float(rng.uniform(VISIBLE, 1)))))
        if out is not None:
            return out
    return None


def _remedy(attribute: str, direction: str, amount: float | None) -> Suggestion:
    return Suggestion(LEVELS[attribute], attribute, direction, amount, UNITS[attribute], 1.0, "")


def _nearer(photos: Mapping[str, Photo]) -> dict[str, bool]:
    """Whether each mended photo lies closer to the undamaged one than the damaged one does."""
    squashed = {
        state: cv2.resize(photo.pixels, (SIDE, SIDE), interpolation=cv2.INTER_AREA).astype(np.float32)
        for state, photo in photos.items()
    }
    gaps = {state: float(np.abs(each - squashed["whole"]).mean()) for state, each in squashed.items()}
    return {way: gaps[way] < gaps["damaged"] for way in WAYS if way in gaps}
