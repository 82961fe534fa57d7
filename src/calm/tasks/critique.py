"""Critique: the comment on an edited or untouched photo of the lessons, so that comment and suggestion agree."""

from __future__ import annotations

from typing import Any

import numpy as np

from calm.data.sample import Sample
from calm.model.modeling import CalmForConditionalGeneration
from calm.tasks.base import Context, Report, silent
from calm.tasks.comment import exchange
from calm.tasks.lessons import LessonsTask
from calm.tasks.opinions import Opinions
from calm.words.facts import Facts


class CritiqueTask(LessonsTask):
    """Comments on lessons. Nobody rated these photos: the verdict follows the score that the model's own heads give
    when this task is prepared (after the warm-up), so words and score agree.

    Its lessons are those that the task ``edits`` builds.
    """

    name = "critique"

    def __init__(self, context: Context, **options: Any) -> None:
        super().__init__(context, **options)
        self.opinions = Opinions((context.run or self.store.path.parent) / "opinions-of-lessons.json")

    def prepare(self, model: CalmForConditionalGeneration, report: Report = silent) -> None:
        self.choose(model, True, report)
        self.opinions.fill(model, self.keys, self.store.frames.read, report)

    def sample(self, index: int, rng: np.random.Generator) -> Sample:
        key = self.keys[index]
        sample, labels = self.store.read(key)
        facts = Facts(
            score=self.opinions.score(key),
            content=self.opinions.content(key),
            measurements=labels.measurements,
            reading=labels.reading,
            applied=labels.applied,
            native=labels.native,
        )
        sample.question, sample.answer = exchange(facts, rng, self.context.config.notes)
        return sample
