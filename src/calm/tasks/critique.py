"""Critique: the comment on an edited or untouched photo of the lessons, so that comment and suggestion agree."""

from __future__ import annotations

import json

import numpy as np
import torch

from calm.data.sample import Sample
from calm.model.modeling import CalmForConditionalGeneration
from calm.readout import SCORES
from calm.tasks.base import Context, Report, Task, silent
from calm.tasks.comment import exchange
from calm.tasks.lessons import LessonStore, Source
from calm.words.facts import Facts


class CritiqueTask(Task):
    """Comments on lessons. Nobody rated these photos: the verdict follows the score that the model's own heads give
    when this task is prepared (after the warm-up), so words and score agree.

    Args:
        store: a store of encoded lessons, which the task ``edits`` builds.
        sources: the photos of its lessons, as in the task ``edits``; none takes every lesson there is.
        limit: lessons at most, the first ones made; 0 for all.
    """

    name = "critique"

    def __init__(
        self,
        context: Context,
        store: str = "lessons",
        sources: list[dict] | None = None,
        split: str = "train",
        limit: int = 0,
    ) -> None:
        super().__init__(context)
        self.store = LessonStore(context, store)
        self.sources = [Source(**source) for source in sources or []]
        self.split, self.limit = split, limit
        self.scores: dict[str, float] = {}
        self.keys: list[str] = []

    def prepare(self, model: CalmForConditionalGeneration, report: Report = silent) -> None:
        self.store.open(model)
        self.keys = self.store.keys(self.split, self.sources)[: self.limit or None]
        self.store.frames.finish(model, self.keys, report)
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

    def hashes(self) -> set[str]:
        return {key.split(":")[0] for key in self.keys}

    def __len__(self) -> int:
        return len(self.keys)

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
