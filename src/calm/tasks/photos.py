"""Photos as tasks read them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from calm.data.images import load_photo
from calm.data.record import Record
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


def rated(records: Iterable[Record]) -> list[Rated]:
    """The rated ones among ``records``."""
    return [Rated(r, r.sha256 or file_sha256(r.path), r.score) for r in records if r.score is not None]
