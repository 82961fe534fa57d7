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
from calm.train.loop import encode_batch
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
        outputs, spoken, targets = [], [], []
        for start in range(0, len(samples), self.batch):
            batch = collate(samples[start : start + self.batch], HEADS)
            with mixed_precision():
                tokens = encode_batch(model, batch, keep_encoder=True, branches=stage.branches)
                heads = model.heads(tokens, batch.measures)
                if "language" in stage.read and name == "score":
                    spoken.append(score_distribution(model, self.chat, join(tokens)) @ SCORES)
            key = "score" if name == "score" else "edits"
            outputs.append(heads[key].float())
            targets.append(batch.targets[key])
        output, target = torch.cat(outputs), torch.cat(targets)
        if name == "score":
            wanted = (target @ SCORES).numpy()
            figures = _correlations("heads", (output.softmax(1) @ SCORES).numpy(), wanted)
            return figures | (_correlations("language", torch.cat(spoken).numpy(), wanted) if spoken else {})
        touched = target[:, -1] < 0.5
        right = target.gather(1, output[:, :-1].argmax(1, keepdim=True))[:, 0] > 0
        return {"validation/edits-top1": right[touched].float().mean().item()}


def _correlations(reader: str, predicted: np.ndarray, wanted: np.ndarray) -> dict[str, float]:
    return {
        f"validation/{reader}-srcc": float(stats.spearmanr(predicted, wanted).statistic),
        f"validation/{reader}-plcc": float(stats.pearsonr(predicted, wanted).statistic),
    }
