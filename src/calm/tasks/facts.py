"""What can be observed on photos, kept beside the feature caches so that comments are composed anew each time."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from calm.data.images import load_photo
from calm.data.measure import measurements
from calm.data.record import Record
from calm.data.subject import subject_cues
from calm.data.views import normalise, squash
from calm.model.weights import file_sha256
from calm.tasks.base import Context
from calm.words.reading import read_frame


@dataclass(frozen=True)
class Observed:
    """Numbers about one photo.

    Attributes:
        measurements: of :func:`calm.data.measure.measurements` and :func:`calm.data.subject.subject_cues`.
        reading: of :func:`calm.words.reading.read_frame`.
    """

    measurements: dict[str, float]
    reading: dict[str, float]


class FactsStore:
    """Numbers about the photos of one data set, by SHA-256, in one JSON Lines file."""

    def __init__(self, context: Context, name: str) -> None:
        self.context = context
        self.path = context.cache / "facts" / f"{name}.jsonl"
        self.known: dict[str, Observed] = {}
        if self.path.exists():
            for line in self.path.read_text().splitlines():
                row = json.loads(line)
                self.known[row["sha256"]] = Observed(row["measurements"], row["reading"])

    def fill(
        self,
        records: Sequence[Record],
        saliency: Callable[[torch.Tensor], torch.Tensor],
        batch: int = 16,
        report: Callable[[int, int], None] = lambda done, total: None,
    ) -> None:
        """Read every photo that is not known yet. ``saliency``: frames (B, 3, S, S) → maps (B, h, w)."""
        config = self.context.config
        todo = [r for r in records if (r.sha256 or file_sha256(r.path)) not in self.known]
        self.path.parent.mkdir(parents=True, exist_ok=True)
        for start in range(0, len(todo), batch):
            part = todo[start : start + batch]
            pixels = [load_photo(record.path).pixels for record in part]
            frames = normalise(
                np.stack([squash(p, config.image_size) for p in pixels]), config.image_mean, config.image_std
            )
            maps = saliency(frames).numpy()
            with open(self.path, "a") as stream:
                for record, photo, found in zip(part, pixels, maps, strict=True):
                    sha = record.sha256 or file_sha256(record.path)
                    cues = measurements(photo) | subject_cues(found, photo)
                    observed = Observed(_rounded(cues), _rounded(read_frame(photo, found)))
                    self.known[sha] = observed
                    row = {"sha256": sha, "measurements": observed.measurements, "reading": observed.reading}
                    stream.write(json.dumps(row) + "\n")
            report(start + len(part), len(todo))


def _rounded(cues: dict[str, float]) -> dict[str, float]:
    return {name: float(f"{value:.5g}") for name, value in cues.items()}
