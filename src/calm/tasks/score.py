"""Score: how good does this photo look, 1–10?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np

from calm.data.looks import cut as cut_rim
from calm.data.looks import look_at
from calm.data.rated import Rated, rated_of, read_whole
from calm.data.sample import Sample
from calm.errors import ConfigError
from calm.model.heads import EMOTIONS
from calm.model.modeling import CalmForConditionalGeneration
from calm.readout import SCORE_QUESTION, level, soft_score
from calm.tasks.base import Context, Report, Task, silent
from calm.tasks.features import FrameFeatures


class ScoreTask(Task):
    """Rated photos: their mean score as a soft distribution, and what else people said of them, for the heads.

    Args:
        source: a rated data set by name, below the data root in a folder of the same name.
        cached: read the encoder's features from the cache instead of the photo: ``finished`` ones where the encoder
            stands still, ``started`` ones where its adapters learn.
        looks: ways to see a photo, of :data:`calm.data.looks.LOOKS`, one drawn anew in each epoch. A cache then holds
            every photo in each of them. Other splits see photos as they are.
        cut: take away up to this share of each side of a photo, at random (:func:`calm.data.looks.cut`), so that less
            of it can be learnt by heart; not where features are cached, nor in other splits.
        limit: use only that many photos, 0 for all (for cheap experiments).
        drawn: take them by their hash, in place of the first.
        answer: ``score``, whose digits are learnt as a soft distribution; for comparison, the same digits as mere
            ``text``, or a ``level``: one of the words of :data:`calm.readout.LEVELS`.
    """

    name = "score"

    def __init__(
        self,
        context: Context,
        source: str = "para",
        cached: Literal["", "started", "finished"] = "",
        looks: Sequence[str] = ("frame",),
        cut: float = 0.0,
        split: str = "train",
        limit: int = 0,
        drawn: bool = False,
        answer: Literal["score", "text", "level"] = "score",
    ) -> None:
        super().__init__(context)
        if not 0 <= cut < 1 or (cut and cached):
            raise ConfigError(
                f"expected cut from 0 to below 1, and of photos that are read as pixels, found {cut}"
                + (" beside cached features; take one of both out" if cached else "; a fifth, 0.2, is much")
            )
        photos = rated_of(source, context.root / source, split)
        if drawn:
            photos.sort(key=lambda photo: photo.sha256)
        self.photos, self.answer = photos[: limit or None], answer
        self.looks, self.cached = looks if split == "train" else ("frame",), cached
        self.cut = cut if split == "train" else 0.0
        self.frames = [FrameFeatures(context, source, name) for name in self.looks]

    def prepare(self, model: CalmForConditionalGeneration, report: Report = silent) -> None:
        if self.cached:
            photos = [(photo.sha256, photo.record.path) for photo in self.photos]
            for frames in self.frames:
                frames.fill(model, photos, self.cached == "finished", report, self.branches)

    def hashes(self) -> set[str]:
        return {photo.sha256 for photo in self.photos}

    def __len__(self) -> int:
        return len(self.photos)

    def sample(self, index: int, rng: np.random.Generator) -> Sample:
        photo = self.photos[index]
        sample = Sample(targets=targets(photo))
        drawn = int(rng.integers(len(self.looks)))
        if self.cached:
            sample = replace(sample, **self.frames[drawn].read(photo.sha256, self.cached))
        else:
            whole = read_whole(photo.record.path, self.context.config.image_size)
            whole = cut_rim(whole, self.cut, rng) if self.cut else whole
            sample.views = look_at(whole, self.looks[drawn])[None]
        sample.question = SCORE_QUESTION
        sample.answer = level(photo.score) if self.answer == "level" else f"{photo.score:.1f}"
        sample.distribution = sample.targets["score"] if self.answer == "score" else None
        return sample


def targets(photo: Rated) -> dict[str, np.ndarray]:
    """Targets for the heads from what people said of a photo."""
    record = photo.record
    found = {"score": soft_score(photo.score).numpy()}
    if record.attributes and "quality" in record.attributes:
        found["quality"] = np.array([record.attributes["quality"]], np.float32)
    if record.emotions:
        counts = np.array([record.emotions.get(name, 0) for name in EMOTIONS], np.float32)
        if counts.sum():
            found["emotions"] = counts / counts.sum()
    return found
