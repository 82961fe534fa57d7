"""Figures on photos that are kept out of training, for choosing between runs (never the test set)."""

from __future__ import annotations

import numpy as np
import torch
from scipy import stats

from calm.chat import Chat
from calm.data.sample import Sample, collate
from calm.model.heads import HEADS
from calm.model.modeling import CalmForConditionalGeneration, join
from calm.model.precision import mixed_precision
from calm.readout import SCORES, score_distribution
from calm.tasks.base import Context, Task, task_class
from calm.train.reading import encode_batch, pyramid_outputs
from calm.train.recipe import Stage


class Validator:
    """Measures each task of a stage on its validation photos: heads, and the language path where it is learnt."""

    def __init__(self, context: Context, chat: Chat, batch: int = 64) -> None:
        self.context, self.chat, self.batch = context, chat, batch
        self._samples: dict[str, list[Sample]] = {}

    def __call__(self, model: CalmForConditionalGeneration, stage: Stage) -> dict[str, float]:
        """``validation/…`` figures: score SRCC and PLCC, edits top-1."""
        model.eval()
        figures: dict[str, float] = {}
        for spec in stage.tasks:
            options = spec.options
            if spec.name not in ("score", "edits"):
                continue
            key = repr((spec.name, sorted(options.items()), stage.branches))
            if key not in self._samples:
                task = task_class(spec.name)(self.context, **(options | {"split": "validation"}))
                task.branches = stage.branches
                task.prepare(model)
                self._samples[key] = self._draw(task)
            figures |= self._measure(model, spec.name, self._samples[key], stage)
        return figures

    @staticmethod
    def _draw(task: Task) -> list[Sample]:
        return [task.sample(i, np.random.default_rng([1234, i])) for i in range(len(task))]

    @torch.inference_mode()
    def _measure(
        self, model: CalmForConditionalGeneration, name: str, samples: list[Sample], stage: Stage
    ) -> dict[str, float]:
        said: dict[str, list[torch.Tensor]] = {}
        targets, key = [], "score" if name == "score" else "edits"
        for start in range(0, len(samples), self.batch):
            batch = collate(samples[start : start + self.batch], HEADS)
            targets.append(batch.targets[key])
            found = {}
            with mixed_precision():
                if "pyramid" in stage.read:
                    found["pyramid"] = pyramid_outputs(model, batch)[key].float()
                if {"heads", "language"} & set(stage.read):
                    tokens = encode_batch(model, batch, keep_encoder=True, branches=stage.branches)
                    found["heads"] = model.heads(tokens, batch.measures)[key].float()
                    if "language" in stage.read and name == "score":
                        found["language"] = score_distribution(model, self.chat, join(tokens)).log()
            for reader, logits in found.items():
                said.setdefault(reader, []).append(logits)
        target, logits = torch.cat(targets), {reader: torch.cat(each) for reader, each in said.items()}
        if name == "score":
            wanted = (target @ SCORES).numpy()
            means = {reader: (each.softmax(dim=1) @ SCORES.to(each)).numpy() for reader, each in logits.items()}
            return {k: v for reader, each in means.items() for k, v in _correlations(reader, each, wanted).items()}
        touched = target[:, -1] < 0.5
        right = target.gather(1, logits["heads"][:, :-1].argmax(1, keepdim=True))[:, 0] > 0
        return {"validation/edits-top1": right[touched].float().mean().item()}


def _correlations(reader: str, predicted: np.ndarray, wanted: np.ndarray) -> dict[str, float]:
    return {
        f"validation/{reader}-srcc": float(stats.spearmanr(predicted, wanted).statistic),
        f"validation/{reader}-plcc": float(stats.pearsonr(predicted, wanted).statistic),
    }
