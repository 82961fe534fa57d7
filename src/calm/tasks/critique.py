"""Critique: the comment on an edited or untouched photo of the lessons, so that comment and suggestion agree."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import torch

from calm.data.sample import Sample
from calm.model.modeling import CalmForConditionalGeneration
from calm.readout import SCORES
from calm.tasks.base import Context, Report, silent
from calm.tasks.comment import exchange
from calm.tasks.lessons import LessonsTask
from calm.words.facts import Facts


class CritiqueTask(LessonsTask):
    """Comments on lessons. Nobody rated these photos: the verdict follows the score that the model's own heads give
    when this task is prepared (after the warm-up), so words and score agree.

    Its lessons are those that the task ``edits`` builds.
    """

    name = "critique"

    def __init__(self, context: Context, **options: Any) -> None:
        super().__init__(context, **options)
        self.scores: dict[str, float] = {}

    def prepare(self, model: CalmForConditionalGeneration, report: Report = silent) -> None:
        self.choose(model, True, report)
        path = (self.context.run or self.store.path.parent) / "lesson-scores.json"
        if path.exists():
            self.scores = json.loads(path.read_text())
        todo = [key for key in self.keys if key not in self.scores]
        model.eval()
        for start in range(0, len(todo), 64):
            part = todo[start : start + 64]
            whole = torch.from_numpy(self.store.frames.finished.read(part))
            with torch.inference_mode():
                logits = model.heads(model.align(whole))["score"]
            means = (logits.float().softmax(1) @ SCORES).tolist()
            self.scores |= {key: round(mean, 3) for key, mean in zip(part, means, strict=True)}
            report(start + len(part), len(todo))
        if todo:
            path.write_text(json.dumps(self.scores))

    def sample(self, index: int, rng: np.random.Generator) -> Sample:
        key = self.keys[index]
        sample, labels = self.store.read(key)
        facts = Facts(
            score=self.scores[key],
            content=labels.content or None,
            measurements=labels.measurements,
            reading=labels.reading,
            applied=labels.applied,
            native=labels.native,
        )
        sample.question, sample.answer = exchange(facts, rng)
        return sample
