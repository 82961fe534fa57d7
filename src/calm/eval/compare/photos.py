"""The photos of a comparison and what the frozen encoder says of them: the same for every row."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from calm.data.sample import Batch, collate
from calm.eval.compare.spec import Comparison
from calm.eval.gather import batches, progress
from calm.model.heads import HEADS
from calm.tasks.base import Context
from calm.tasks.score import ScoreTask, targets

if TYPE_CHECKING:
    from calm.model.modeling import CalmForConditionalGeneration

BATCH = 64


@dataclass
class Part:
    """The photos of one split.

    Attributes:
        task: gives their features.
    """

    task: ScoreTask

    def __len__(self) -> int:
        return len(self.task)

    @property
    def hashes(self) -> list[str]:
        """SHA-256 of each photo's file."""
        return [photo.sha256 for photo in self.task.photos]

    @property
    def paths(self) -> list[str]:
        """File of each photo."""
        return [photo.record.path for photo in self.task.photos]

    @property
    def given(self) -> np.ndarray:
        """(n,) mean scores by people, 1–10."""
        return np.array([photo.score for photo in self.task.photos])

    @property
    def wanted(self) -> np.ndarray:
        """(n, 10) the same as the soft distributions that models learn."""
        return np.stack([targets(photo)["score"] for photo in self.task.photos])

    def batches(self, label: str, size: int = BATCH) -> Iterator[Batch]:
        """The photos' features in order, with progress."""
        places = list(batches(range(len(self)), size))
        for part in progress(places, label):
            yield collate([self.task.sample(i, np.random.default_rng(0)) for i in part], HEADS)

    @cached_property
    def pooled(self) -> np.ndarray:
        """(n, 3 · layers · width) float32: summary token, mean and spread of the patches of every layer."""
        from calm.model.mfam import summarise

        found = [
            summarise(batch.features.float()).numpy() for batch in self.batches("pooling") if batch.features is not None
        ]
        return np.concatenate(found)

    @cached_property
    def nima(self) -> tuple[np.ndarray, np.ndarray]:
        """What idealo's NIMA says: pooled features (n, 1024), and its own distributions (n, 10)."""
        import torch
        from transformers import AutoConfig

        from calm.data.rated import read_whole
        from calm.data.views import normalise
        from calm.model.checkpoint import source_dir
        from calm.model.configuration import CalmConfig
        from calm.model.pyramid import Pyramid

        source = source_dir("packaged:nima")
        config = CalmConfig(pyramid_config=AutoConfig.from_pretrained(source))
        pyramid = Pyramid(config)
        pyramid.begin(source)
        pyramid.eval()
        features, said = [], []
        for paths in progress(list(batches(self.paths, 32)), "NIMA"):
            frames = normalise(np.stack([read_whole(path) for path in paths]), config.image_mean, config.image_std)
            with torch.inference_mode():
                features.append(pyramid.pooled(frames))
                said.append(pyramid.out["score"](features[-1]).softmax(dim=1))
        return torch.cat(features).numpy(), torch.cat(said).numpy()


@dataclass
class Photos:
    """Training, validation and test photos of a comparison."""

    train: Part
    validation: Part
    test: Part

    @classmethod
    def gather(cls, spec: Comparison, model: CalmForConditionalGeneration, context: Context) -> Photos:
        """Find the photos, and encode those that are not in the cache yet.

        ``model``: any whose encoder is frozen and is that of the comparison.
        """
        from calm.train.run import prepared

        def part(split: str, limit: int) -> Part:
            task = ScoreTask(context, spec.source, "finished", split=split, limit=limit, drawn=True)
            task.prepare(model, lambda done, total: prepared(f"features of {split}", done, total))
            return Part(task)

        return cls(part("train", spec.photos), part("validation", 0), part("test", spec.tested))
