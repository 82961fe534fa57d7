"""Do suggestions help? A photo is damaged, the model's remedy is carried out, and the photo is scored again.

Each photo gets one visible edit (severity ≥ .33) of an attribute whose remedy can be rendered, and nothing else. Of the
suggestions for the damaged photo the first that can be carried out is. Beside it stand, on the very same photos, two
controls: a random remedy of a random strength, which any picture processing might be, and the true remedy of the edit,
which is the most that a perfect suggestion can do by these renderers.

The score is the model's own unless another model gives it. It may be blind to what it mends, or please itself;
therefore also ``nearer``: whether the mended photo lies closer to the undamaged one, pixel by pixel, than the damaged
one does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from calm.engine import Model
from calm.errors import DataError
from calm.eval.editing import VISIBLE
from calm.eval.gather import Paths, batches, decode, draw, edited, find, plain, progress, refuse_trained, stamp
from calm.eval.metrics import RESAMPLES, bootstrap, proportion
from calm.eval.saliency import SaliencyMap, SaliencySource, saliency_map
from calm.types import CLASSES, LEVELS, UNITS, Suggestion

if TYPE_CHECKING:
    from calm.data.images import Photo
    from calm.edits import Applied

BATCH = 8
TRIES = 20
"""Random remedies drawn for one photo until one of them can be carried out on it."""
WAYS = ("suggested", "random", "true")
SIDE = 224
"""Side in pixels that two photos are squashed to, to be compared pixel by pixel."""


@dataclass
class Case:
    """One photo: as it was, damaged, and mended in each of the :data:`WAYS` (None where that cannot be done).

    Attributes:
        applied: the edit, told by its remedy.
        suggestion: what was carried out of the model's suggestions; None where it made none that can be.
        silent: whether it made none at all.
    """

    whole: Photo
    damaged: Photo
    applied: Applied
    mended: dict[str, Photo | None]
    suggestion: Suggestion | None = None
    silent: bool = True

    @property
    def named(self) -> bool:
        """Whether the suggestion that was carried out names the edit's class."""
        done = self.suggestion
        return done is not None and (done.attribute, done.direction) == (self.applied.attribute, self.applied.direction)


@dataclass(frozen=True)
class Tried:
    """What is kept of a case when its photos are let go.

    Attributes:
        scores: on 1–10 by state, ``whole``, ``damaged`` and :data:`WAYS`; nan where there is no such photo.
        nearer: by way, whether the mended photo lies closer to the undamaged one than the damaged one does.
    """

    attribute: str
    silent: bool
    carried_out: bool
    named: bool
    scores: dict[str, float]
    nearer: dict[str, bool]


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
        ``improved`` and ``nearer`` as shares with their 95 % Wilson interval, ``change`` of the score on 1–10 with its
        95 % bootstrap interval, ``recovered``: the change in parts of the fall), all three on the photos with a
        suggestion that was carried out, ``over_random`` (mean change by the suggestion less that by the random remedy,
        with interval), ``right`` and ``wrong`` (``suggested`` where the suggestion names the edit's class, and where it
        does not) and ``per_attribute``.

    Raises:
        DataError: for no photo that can be read and damaged, or photos that the model was trained on.
    """
    paths = draw(find(photos), limit, seed)
    compared = refuse_trained(predictor, paths)
    failed: list[dict[str, str]] = []
    rng = np.random.default_rng([seed, 1])
    find_subject = saliency_map(saliency)
    done: list[Tried] = []
    waiting: list[Case] = []
    for photo in decode(progress(paths, "damaging and mending", len(paths)), failed):
        case = _damage(photo, find_subject, rng)
        waiting += [case] if case else []
        if len(waiting) == BATCH:
            done += _try(predictor, scorer or predictor, waiting)
            waiting = []
    done += _try(predictor, scorer or predictor, waiting) if waiting else []
    if not done:
        raise DataError(f"expected at least one photo in {photos} that can be read and damaged, found none; add photos")
    whole, damaged = (np.array([each.scores[state] for each in done]) for state in ("whole", "damaged"))
    drop = bootstrap(_mean_gap, damaged, whole, resamples=resamples, seed=seed)
    table = _Table([each for each in done if each.carried_out], resamples, seed)
    attributes = dict.fromkeys(each.attribute for each in done)
    return plain(
        {
            "task": "remedies",
            "damaged": len(done),
            "seed": seed,
            "scorer": (scorer or predictor).name,
            "scorer_sha256": (scorer or predictor).sha256,
            "training_hashes_compared": compared,
            "damage": {
                "change": drop.value,
                "change_interval": [drop.low, drop.high],
                "fell": float(np.mean(damaged < whole)),
            },
            "silent": sum(each.silent for each in done),
            "not_rendered": sum(not each.silent and not each.carried_out for each in done),
            **{way: table.figures(way, lambda _: True) for way in WAYS},
            "over_random": table.over_random(),
            "right": table.figures("suggested", lambda each: each.named),
            "wrong": table.figures("suggested", lambda each: not each.named),
            "per_attribute": {
                name: {"damaged": sum(each.attribute == name for each in done)} | table.brief(name)
                for name in attributes
            },
            "failed": failed,
        }
        | stamp(predictor)
    )


def _try(predictor: Model, scorer: Model, cases: list[Case]) -> list[Tried]:
    """Ask for suggestions, carry the first out that can be, and score all that there is."""
    from calm.edits import render

    for case, (_, said) in zip(cases, predictor.suggest([case.damaged for case in cases]), strict=True):
        case.silent = not said
        for suggestion in said:
            pixels = render(case.damaged.pixels, suggestion)
            if pixels is not None:
                case.suggestion, case.mended["suggested"] = suggestion, edited(case.damaged, pixels)
                break
    states: list[dict[str, Photo | None]] = [
        {"whole": case.whole, "damaged": case.damaged, **case.mended} for case in cases
    ]
    asked = [(i, state, photo) for i, each in enumerate(states) for state, photo in each.items() if photo]
    scores = [dict.fromkeys(each, float("nan")) for each in states]
    for group in batches(asked, BATCH):
        for (i, state, _), score in zip(group, scorer.score([photo for _, _, photo in group]), strict=True):
            scores[i][state] = score.value
    return [
        Tried(
            case.applied.attribute,
            case.silent,
            case.suggestion is not None,
            case.named,
            found,
            {way: _nearer(case, photo) for way, photo in case.mended.items() if photo},
        )
        for case, found in zip(cases, scores, strict=True)
    ]


@dataclass
class _Table:
    """Figures of the photos on which a suggestion was carried out; see :func:`eval_remedies`."""

    rows: Sequence[Tried]
    resamples: int
    seed: int

    def figures(self, way: str, chosen: Callable[[Tried], bool]) -> dict[str, Any] | None:
        """Figures of one way on the photos chosen; None where there is none."""
        rows = [each for each in self.rows if way in each.nearer and chosen(each)]
        if not rows:
            return None
        whole, before, after = (np.array([each.scores[s] for each in rows]) for s in ("whole", "damaged", way))
        up = proportion(int((after > before).sum()), len(rows))
        near = proportion(sum(each.nearer[way] for each in rows), len(rows))
        change = bootstrap(_mean_gap, after, before, resamples=self.resamples, seed=self.seed)
        fall = float((whole - before).sum())
        return {
            "n": len(rows),
            "improved": up.value,
            "improved_interval": [up.low, up.high],
            "change": change.value,
            "change_interval": [change.low, change.high],
            "recovered": float((after - before).sum()) / fall if fall > 0 else None,
            "nearer": near.value,
            "nearer_interval": [near.low, near.high],
        }

    def over_random(self) -> dict[str, Any] | None:
        """Mean change by the suggestion less that by the random remedy of the same photo; None for no photo."""
        rows = [each for each in self.rows if {"suggested", "random"} <= set(each.nearer)]
        if not rows:
            return None
        suggested, other = (np.array([each.scores[way] for each in rows]) for way in ("suggested", "random"))
        gap = bootstrap(_mean_gap, suggested, other, resamples=self.resamples, seed=self.seed)
        return {"n": len(rows), "change": gap.value, "interval": [gap.low, gap.high]}

    def brief(self, attribute: str) -> dict[str, Any]:
        """One attribute's line."""
        rows = [each for each in self.rows if each.attribute == attribute]
        if not rows:
            return {"tried": 0, "named": None, "improved": None, "change": None}
        gain = np.array([each.scores["suggested"] - each.scores["damaged"] for each in rows])
        named = float(np.mean([each.named for each in rows]))
        return {"tried": len(rows), "named": named, "improved": float((gain > 0).mean()), "change": float(gain.mean())}


def remediable() -> list[tuple[str, str]]:
    """Every (attribute, direction) whose remedy can be rendered at all."""
    from calm.edits import edits
    from calm.edits.base import Edit

    there = {name for name, edit in edits().items() if type(edit).render is not Edit.render}
    return [each for each in CLASSES if each[0] in there]


def _damage(photo: Photo, find_subject: SaliencyMap | None, rng: np.random.Generator) -> Case | None:
    """The photo with one edit, and what the two controls make of it; None where no edit can be made."""
    from calm.edits import edits, render

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
        photos = {way: None if pixels is None else edited(photo, pixels) for way, pixels in mended.items()}
        return Case(photo, damaged, applied, photos | {"suggested": None})
    return None


def _chance(pixels: np.ndarray, classes: Sequence[tuple[str, str]], rng: np.random.Generator) -> np.ndarray | None:
    """A random remedy, of a visible strength, carried out on pixels (H, W, 3) uint8."""
    from calm.edits import edits, render

    for _ in range(TRIES):
        name, direction = classes[int(rng.integers(len(classes)))]
        out = render(pixels, _remedy(name, direction, edits()[name].amount(direction, float(rng.uniform(VISIBLE, 1)))))
        if out is not None:
            return out
    return None


def _remedy(attribute: str, direction: str, amount: float | None) -> Suggestion:
    return Suggestion(LEVELS[attribute], attribute, direction, amount, UNITS[attribute], 1.0, "")


def _nearer(case: Case, mended: Photo) -> bool:
    """Whether the mended photo lies closer to the undamaged one than the damaged one does."""
    whole, damaged, after = (_squashed(each.pixels) for each in (case.whole, case.damaged, mended))
    return float(np.abs(after - whole).mean()) < float(np.abs(damaged - whole).mean())


def _squashed(pixels: np.ndarray) -> np.ndarray:
    import cv2

    return cv2.resize(pixels, (SIDE, SIDE), interpolation=cv2.INTER_AREA).astype(np.float32)


def _mean_gap(after: np.ndarray, before: np.ndarray) -> float:
    return float(np.mean(after - before))
