"""Caption: what does this photo show? Generic image–text pairs, which teach the thematic branch (stage G)."""

from __future__ import annotations

import numpy as np

from calm.data.record import Record, dataset
from calm.data.sample import Sample
from calm.model.modeling import CalmForConditionalGeneration
from calm.model.weights import file_sha256
from calm.tasks.base import Context, Report, Task, silent
from calm.tasks.features import FrameFeatures
from calm.words.questions import QUESTIONS
from calm.words.things import told_by_captions


class CaptionTask(Task):
    """Captioned photos, the frame from the feature cache.

    Args:
        source: a data set with captions.
        limit: photos at most; 0 for all.
        skip: photos to pass over before those, to see what they teach on others.
    """

    name = "caption"

    def __init__(
        self, context: Context, source: str = "flickr8k", split: str = "train", limit: int = 0, skip: int = 0
    ) -> None:
        super().__init__(context)
        records = dataset(source).records(context.root / source)
        chosen = [r for r in records if r.captions and (r.split or "train") == split][skip:][: limit or None]
        self.records: list[tuple[Record, str]] = [(r, r.sha256 or file_sha256(r.path)) for r in chosen]
        self.frames = FrameFeatures(context, source)

    def prepare(self, model: CalmForConditionalGeneration, report: Report = silent) -> None:
        self.frames.fill(model, [(sha, record.path) for record, sha in self.records], True, report, self.branches)

    def hashes(self) -> set[str]:
        return {sha for _, sha in self.records}

    def __len__(self) -> int:
        return len(self.records)

    def sample(self, index: int, rng: np.random.Generator) -> Sample:
        record, sha = self.records[index]
        caption = str(rng.choice(record.captions)).strip().rstrip(" .")
        return Sample(
            **self.frames.read(sha),
            targets={"content": np.array(told_by_captions(record.captions), np.float32)},
            question=str(rng.choice(QUESTIONS["describe"])),
            answer=caption[:1].upper() + caption[1:] + ".",
        )
