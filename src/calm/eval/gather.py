"""What every evaluation needs: photos to ask about, progress on stderr, and figures as plain JSON data."""

from __future__ import annotations

import hashlib
import math
import sys
import time
from collections.abc import Iterable, Iterator, Sequence, Sized
from dataclasses import asdict, is_dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from calm.data.hashes import hash_files
from calm.data.record import photos_below
from calm.engine import Answer, Engine, Model, Task
from calm.errors import DataError, PhotoError

if TYPE_CHECKING:
    from calm.data.images import Photo

T = TypeVar("T")
Paths = str | Path | Sequence[str]
"""A folder of photos (searched recursively), or a list of files."""


def find(photos: Paths) -> list[str]:
    """The photo files, in order of name for a folder and as given for a list. Raises :class:`DataError` for none."""
    if isinstance(photos, (str, Path)):
        if not Path(photos).is_dir():
            raise DataError(f"expected a folder of photos, found no folder at {photos}; check the path")
        found = [str(path) for path in photos_below(photos)]
    else:
        found = [str(path) for path in photos]
    if not found:
        raise DataError(f"expected at least one photo in {photos}, found none; check the path")
    return found


def draw(paths: Sequence[str], limit: int | None, seed: int) -> list[str]:
    """``limit`` of the paths drawn at random without replacement, or all of them, in an order that ``seed`` decides."""
    order = np.random.default_rng([seed, len(paths)]).permutation(len(paths))
    return [paths[i] for i in order[:limit]]


def held_out(name: str) -> bool:
    """Whether a photo or scene of FLMS, MEFB or PolyU is of the half kept out of development: SHA-256 even."""
    return int(hashlib.sha256(name.encode()).hexdigest(), 16) % 2 == 0


def refuse_trained(predictor: object, paths: Sequence[str]) -> int:
    """Raise :class:`DataError` if the predictor was trained on any of these files.

    A predictor that knows what it was trained on names it in ``trained_on``: SHA-256 of files, or the first digits of
    it, all equally long. Returns how many hashes were compared with; 0 says that nothing could be checked.
    """
    seen, known = _seen(predictor, paths)
    if seen:
        raise DataError(
            f"expected photos that the model was never trained on, found {len(seen)} of {len(paths)} in its training, "
            f"such as {seen[0]}; name a held-out set"
        )
    return known


def seen_in_training(predictor: object, paths: Sequence[str]) -> int | None:
    """How many of these files the predictor was trained on; None where it does not say what it was trained on."""
    seen, known = _seen(predictor, paths)
    return len(seen) if known else None


def _seen(predictor: object, paths: Sequence[str]) -> tuple[list[str], int]:
    """Those of the files that the predictor was trained on, and how many hashes it names."""
    known = frozenset(getattr(predictor, "trained_on", None) or ())
    if not known:
        return [], 0
    digits = len(next(iter(known)))
    hashes = hash_files(paths, label=str(Path(paths[0]).resolve().parent))
    return [path for path in paths if hashes[path][:digits] in known], len(known)


def decode(paths: Iterable[str], failed: list[dict[str, str]]) -> Iterator[Photo]:
    """The photos that can be read, one after the other; the others are added to ``failed``."""
    from calm.data.images import load_photo

    for path in paths:
        try:
            photo = load_photo(path)
        except PhotoError as error:
            failed.append({"path": path, "error": " ".join(str(error).split())})
            continue
        yield photo


def ask(predictor: Model, paths: Sequence[str], task: Task, label: str, failed: list[dict[str, str]]) -> list[Answer]:
    """Ask about every photo through the engine; answers without a result go to ``failed`` instead."""
    answers = []
    for answer in progress(Engine(predictor).answers(paths, task), label, len(paths)):
        if answer.result is None:
            failed.append({"path": answer.path, "error": answer.error or "no reason given"})
        else:
            answers.append(answer)
    if not answers:
        first = f"; {failed[0]['path']}: {failed[0]['error']}" if failed else ""
        raise DataError(f"expected at least one photo that can be read, found {len(paths)} that all failed{first}")
    return answers


def edited(photo: Photo, pixels: np.ndarray) -> Photo:
    """The photo with other pixels, (H, W, 3) uint8, under their own hash, so that no cache takes one for the other."""
    digest = hashlib.sha256(repr(pixels.shape).encode() + np.ascontiguousarray(pixels).tobytes()).hexdigest()
    return replace(photo, pixels=pixels, sha256=digest, width=pixels.shape[1], height=pixels.shape[0])


def renamed(photo: Photo, nonce: str) -> Photo:
    """The same pixels under another hash, so that a cache cannot answer in place of the model."""
    return replace(photo, sha256=hashlib.sha256(f"{nonce} {photo.path} {photo.sha256}".encode()).hexdigest())


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


PACE = 60.0
"""Seconds between two lines of progress where there is no terminal to draw a bar on."""


def progress(items: Iterable[T], label: str, total: int | None = None) -> Iterator[T]:
    """The items, with a progress bar on stderr where that is a terminal, and else a line a minute."""
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    if console.is_terminal:
        yield from track(items, label, total=total, console=console, transient=True)
        return
    if total is None and isinstance(items, Sized):
        total = len(items)
    told = time.monotonic()
    for done, item in enumerate(items):
        if time.monotonic() - told > PACE:
            print(f"{label}: {done}" + (f"/{total}" if total else ""), file=sys.stderr, flush=True)
            told = time.monotonic()
        yield item


def stamp(predictor: Model) -> dict[str, str]:
    """Which model gave these figures."""
    return {"model": predictor.name, "model_sha256": predictor.sha256, "preprocess": predictor.preprocess}


def plain(value: Any) -> Any:  # noqa: ANN401 - any nesting of results
    """The value as JSON can hold it: numpy numbers and dataclasses unpacked, nan and infinity as None."""
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    if isinstance(value, dict):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(each) for each in value]
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
