"""Score: how good does this photo look, 1–10?"""

from __future__ import annotations

import numpy as np

from calm.data.record import Record, dataset
from calm.data.sample import Sample
from calm.model.heads import EMOTIONS
from calm.model.modeling import CalmForConditionalGeneration
from calm.readout import SCORE_QUESTION, soft_score
from calm.tasks.base import Context, Report, Task, silent
from calm.tasks.features import fill_cache, open_cache
from calm.tasks.photos import read_whole


class ScoreTask(Task):
    """Rated photos: their mean score as a soft distribution, and what else people said of them, for the heads.

    Args:
        source: a rated data set by name, below the data root in a folder of the same name.
        cached: read the encoder's features from the cache (the encoder must be frozen) instead of the photo.
        flip: mirror half of the photos.
        limit: use only that many photos, 0 for all (for cheap experiments).
    """

    name = "score"

    def __init__(
        self,
        context: Context,
        source: str = "para",
        cached: bool = False,
        flip: bool = True,
        split: str = "train",
        limit: int = 0,
    ) -> None:
        super().__init__(context)
        records = dataset(source).records(context.root / source, split)  # type: ignore[arg-type]
        self.records: list[Record] = [record for record in records if record.score is not None][: limit or None]
        self.flip = flip
        self.caches = [open_cache(context, source, flipped) for flipped in (False, True)] if cached else None

    def prepare(self, model: CalmForConditionalGeneration, report: Report = silent) -> None:
        photos = [(record.sha256, record.path) for record in self.records]
        for flipped, cache in enumerate(self.caches or ()):
            if not flipped or self.flip:
                fill_cache(cache, model.merged_vision(), self.context, photos, bool(flipped), report=report)

    def __len__(self) -> int:
        return len(self.records)

    def sample(self, index: int, rng: np.random.Generator) -> Sample:
        record = self.records[index]
        flipped = bool(self.flip and rng.random() < 0.5)
        sample = Sample(targets=targets(record))
        if self.caches is not None:
            cache = self.caches[flipped]
            sample.features = cache.read([record.sha256])[0]
        else:
            whole = read_whole(record.path, self.context.config.image_size)
            sample.views = (whole[:, ::-1] if flipped else whole)[None].copy()
        sample.question = SCORE_QUESTION
        sample.answer = f"{record.score:.1f}"
        sample.distribution = sample.targets["score"]
        return sample


def targets(record: Record) -> dict[str, np.ndarray]:
    """Targets for the heads from what people said of a photo."""
    found = {"score": soft_score(record.score).numpy()}
    if record.attributes and "quality" in record.attributes:
        found["quality"] = np.array([record.attributes["quality"]], np.float32)
    if record.emotions:
        counts = np.array([record.emotions.get(name, 0) for name in EMOTIONS], np.float32)
        if counts.sum():
            found["emotions"] = counts / counts.sum()
    return found
