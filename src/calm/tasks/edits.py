"""Edits, the self-supervised lesson: say what was done to this photo, how strongly, and what would undo it."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from calm.data.sample import Sample
from calm.edits import Applied, advise, describe, untouched
from calm.model.modeling import CalmForConditionalGeneration
from calm.readout import LETTERS, MEND_QUESTION
from calm.tasks.base import Context, Report, silent
from calm.tasks.lessons import FreshLessons, Labels, LessonsTask, build_lessons
from calm.types import CLASSES
from calm.words.things import told

INDEX = {name: i for i, name in enumerate(CLASSES)}
"""Place of every (attribute, direction) in :data:`calm.types.CLASSES`."""

VISIBLE = 0.15
"""Severity from which an edit is held against a photo; a fainter one is as good as untouched."""


class EditsTask(LessonsTask):
    """Edited and untouched photos.

    Lessons of ``sources`` that are not there yet are built.

    Args:
        cached: ``finished`` features where the encoder stands still, ``started`` ones where its adapters learn; empty:
            every lesson is drawn anew from the photo each time, and nothing is kept.
    """

    name = "edits"

    def __init__(
        self, context: Context, cached: Literal["", "started", "finished"] = "finished", **options: Any
    ) -> None:
        super().__init__(context, **options)
        self.cached = cached
        self.fresh: FreshLessons | None = None

    def prepare(self, model: CalmForConditionalGeneration, report: Report = silent) -> None:
        if not self.cached:
            if self.fresh is None:
                self.fresh = FreshLessons(self.context, self.sources, self.split)
            self.keys = [key for key, _, _ in self.fresh.lessons][: self.limit or None]
            return
        if self.sources:
            self.store.open(model)
            build_lessons(self.context, self.store, self.sources, model, report=report)
        self.choose(model, self.cached == "finished", report)

    def sample(self, index: int, rng: np.random.Generator) -> Sample:
        if self.fresh is not None:
            sample, labels = self.fresh.read(index, rng)
        else:
            sample, labels = self.store.read(self.keys[index], self.cached)
        sample.targets = targets(labels)
        sample.question, sample.answer = exchange(labels, rng)
        return sample


def targets(labels: Labels) -> dict[str, np.ndarray]:
    """Targets of the heads ``edits`` (a distribution over the classes, by severity), ``amounts`` (severities) and
    ``content`` (nan where nobody said what the photo shows).
    """
    edits = np.zeros(len(CLASSES) + 1, np.float32)
    amounts = np.full(len(CLASSES), np.nan, np.float32)
    for applied in labels.applied:
        place = INDEX[applied.attribute, applied.direction]
        edits[place] += applied.severity if applied.severity >= VISIBLE else 0.0
        amounts[place] = applied.severity
    if not edits.any():
        edits[-1] = 1.0
    return {"edits": edits / edits.sum(), "amounts": amounts, "content": np.array(told(labels.content), np.float32)}


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
