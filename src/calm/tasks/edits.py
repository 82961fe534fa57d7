"""Edits, the self-supervised lesson: say what was done to this photo, how strongly, and what would undo it."""

from __future__ import annotations

from typing import Literal

import numpy as np

from calm.data.sample import Sample
from calm.edits import Applied, advise, describe, untouched
from calm.model.modeling import CalmForConditionalGeneration
from calm.readout import LETTERS, MEND_QUESTION
from calm.tasks.base import Context, Report, Task, silent
from calm.tasks.lessons import Labels, LessonStore, Source, build_lessons
from calm.types import CLASSES

INDEX = {name: i for i, name in enumerate(CLASSES)}
"""Place of every (attribute, direction) in :data:`calm.types.CLASSES`."""

VISIBLE = 0.15
"""Severity from which an edit is held against a photo; a fainter one is as good as untouched."""


class EditsTask(Task):
    """Edited and untouched photos.

    Args:
        store: name of a store of encoded lessons.
        sources: photos that the store is built from, fields of :class:`calm.tasks.lessons.Source`; none takes it
            as it is.
        split: ``train`` or ``validation``, by photo.
        cached: ``finished`` features where the encoder stands still, ``started`` ones where its adapters learn.
        limit: lessons at most, the first ones made; 0 for all.
    """

    name = "edits"

    def __init__(
        self,
        context: Context,
        store: str = "lessons",
        sources: list[dict] | None = None,
        split: str = "train",
        cached: Literal["started", "finished"] = "finished",
        limit: int = 0,
    ) -> None:
        super().__init__(context)
        self.store = LessonStore(context, store)
        self.sources = [Source(**source) for source in sources or []]
        self.split = split
        self.cached, self.limit = cached, limit
        self.keys: list[str] = []

    def prepare(self, model: CalmForConditionalGeneration, report: Report = silent) -> None:
        self.store.open(model)
        if self.sources:
            build_lessons(self.context, self.store, self.sources, model, report=report)
        self.keys = self.store.keys(self.split, self.sources)[: self.limit or None]
        if self.cached == "finished":
            self.store.frames.finish(model, self.keys, report)

    def hashes(self) -> set[str]:
        return {key.split(":")[0] for key in self.keys}

    def __len__(self) -> int:
        return len(self.keys)

    def sample(self, index: int, rng: np.random.Generator) -> Sample:
        sample, labels = self.store.read(self.keys[index], self.cached)
        sample.targets = targets(labels)
        sample.question, sample.answer = exchange(labels, rng)
        return sample


def targets(labels: Labels) -> dict[str, np.ndarray]:
    """Targets of the heads ``edits`` (a distribution over the classes, by severity) and ``amounts`` (severities)."""
    edits = np.zeros(len(CLASSES) + 1, np.float32)
    amounts = np.full(len(CLASSES), np.nan, np.float32)
    for applied in labels.applied:
        place = INDEX[applied.attribute, applied.direction]
        edits[place] += applied.severity if applied.severity >= VISIBLE else 0.0
        amounts[place] = applied.severity
    if not edits.any():
        edits[-1] = 1.0
    return {"edits": edits / edits.sum(), "amounts": amounts}


def exchange(labels: Labels, rng: np.random.Generator) -> tuple[str, str]:
    """One question and answer: the letter of a class, a digit for its severity, and the words."""
    seen = [applied for applied in labels.applied if applied.severity >= VISIBLE]
    if not seen:
        return MEND_QUESTION, f"{LETTERS[-1]} {untouched(rng)}"
    weights = np.array([applied.severity for applied in seen])
    chosen: Applied = seen[int(rng.choice(len(seen), p=weights / weights.sum()))]
    letter = LETTERS[INDEX[chosen.attribute, chosen.direction]]
    digit = min(9, max(1, round(10 * chosen.severity)))
    words = describe(chosen, rng) + " " + advise(chosen, rng) if rng.random() < 0.5 else advise(chosen, rng)
    return MEND_QUESTION, f"{letter}{digit} {words}"
