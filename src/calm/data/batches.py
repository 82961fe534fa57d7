"""Photos drawn at random, decoded and handed out in batches."""

from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

import numpy as np

from calm.data.images import Photo, load_photo
from calm.data.progress import progress
from calm.errors import PhotoError

T = TypeVar("T")


def draw(paths: Sequence[str], limit: int | None, seed: int) -> list[str]:
    """``limit`` of the paths drawn at random without replacement, or all of them, in an order that ``seed`` decides."""
    order = np.random.default_rng([seed, len(paths)]).permutation(len(paths))
    return [paths[i] for i in order[:limit]]


def decode(paths: Iterable[str], failed: list[dict[str, str]]) -> Iterator[Photo]:
    """The photos that can be read, one after the other; the others are added to ``failed``."""
    for path in paths:
        try:
            photo = load_photo(path)
        except PhotoError as error:
            failed.append({"path": path, "error": " ".join(str(error).split())})
            continue
        yield photo


def batches(items: Sequence[T], size: int) -> Iterator[list[T]]:
    """Consecutive lists of ``size`` items, the last one shorter."""
    for start in range(0, len(items), size):
        yield list(items[start : start + size])


def decoded(paths: Sequence[str], label: str, failed: list[dict[str, str]], size: int = 16) -> Iterator[list[Photo]]:
    """The photos that can be read in batches of ``size`` at most, with progress; the others are added to ``failed``."""
    for group in progress(list(batches(paths, size)), label):
        photos = list(decode(group, failed))
        if photos:
            yield photos
