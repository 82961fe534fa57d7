"""Photos that people rated, by data set and split."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from calm.data.images import load_photo
from calm.data.record import Record, dataset
from calm.data.views import squash
from calm.model.weights import file_sha256


def read_whole(path: str, size: int = 224) -> np.ndarray:
    """The whole frame of a photo as the encoder sees it: (size, size, 3) uint8."""
    return squash(load_photo(path).pixels, size)


@dataclass(frozen=True)
class Rated:
    """A photo that people rated: its record, the SHA-256 of its file, its mean score (1–10)."""

    record: Record
    sha256: str
    score: float


def split_of(key: str) -> str:
    """One photo in twenty is for validation. ``key`` begins with the SHA-256 of its file."""
    return "validation" if int(key[:8], 16) % 20 == 0 else "train"


def rated_of(source: str, root: Path, split: str) -> list[Rated]:
    """The rated photos of a split of a data set by name.

    Where the set has no split for validation, one training photo in twenty is kept for it (:func:`split_of`).
    """
    known = dataset(source)
    if split not in ("train", "validation"):
        return rated(known.records(root, split))  # type: ignore[arg-type]
    records = known.records(root)
    if any(record.split == "validation" for record in records):
        return rated(record for record in records if record.split == split)
    photos = rated(record for record in records if record.split in (None, "train"))
    return [photo for photo in photos if split_of(photo.sha256) == split]


def rated(records: Iterable[Record]) -> list[Rated]:
    """The rated ones among ``records``."""
    return [Rated(r, r.sha256 or file_sha256(r.path), r.score) for r in records if r.score is not None]
