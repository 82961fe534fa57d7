"""What every evaluation needs: photos to ask about, progress on stderr, and figures as plain JSON data."""

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, is_dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np

from calm.data.batches import decode, decoded, draw
from calm.data.hashes import hash_files
from calm.data.images import Photo
from calm.data.progress import progress
from calm.data.record import photos_below
from calm.errors import DataError
from calm.inference.engine import Answer, Engine
from calm.inference.tasks import Model, Task

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


def held_out(name: str) -> bool:
    """Whether a photo or scene of FLMS, MEFB or PolyU is of the half kept out of development: SHA-256 even."""
    return int(hashlib.sha256(name.encode()).hexdigest(), 16) % 2 == 0


def refuse_trained(predictor: object, paths: Sequence[str]) -> int:
    """Raise :class:`DataError` if the predictor was trained on any of these files.

    A predictor that knows what it was trained on names it in ``trained_on``: SHA-256 of files, or the first digits of
    it, all equally long. Returns how many hashes were compared with; 0 says that nothing could be checked.
    """
    trained, known = _seen(predictor, paths)
    if trained:
        raise DataError(
            f"expected photos that the model was never trained on, found {len(trained)} of {len(paths)} in its "
            f"training, such as {trained[0]}; name a held-out set"
        )
    return known


def seen_in_training(predictor: object, paths: Sequence[str]) -> int | None:
    """How many of these files the predictor was trained on; None where it does not say what it was trained on."""
    trained, known = _seen(predictor, paths)
    return len(trained) if known else None


def _seen(predictor: object, paths: Sequence[str]) -> tuple[list[str], int]:
    """Those of the files that the predictor was trained on, and how many hashes it names."""
    known = frozenset(getattr(predictor, "trained_on", None) or ())
    if not known:
        return [], 0
    digits = len(next(iter(known)))
    hashes = hash_files(paths, label=str(Path(paths[0]).resolve().parent))
    return [path for path in paths if hashes[path][:digits] in known], len(known)


def ask(predictor: Model, paths: Sequence[str], task: Task, label: str, failed: list[dict[str, str]]) -> list[Answer]:
    """Ask about every photo through the engine; answers without a result go to ``failed`` instead."""
    answers = []
    with Engine(predictor) as engine:
        for answer in progress(engine.answers(paths, task), label, len(paths)):
            if answer.result is None:
                failed.append({"path": answer.path, "error": answer.error or "no reason given"})
            else:
                answers.append(answer)
    if not answers:
        first = f"; {failed[0]['path']}: {failed[0]['error']}" if failed else ""
        raise DataError(f"expected at least one photo that can be read, found {len(paths)} that all failed{first}")
    return answers


@dataclass
class Drawn:
    """The photos of one evaluation, drawn by its seed, and what its result says beside its figures.

    Attributes:
        compared: hashes of the training that the photos were compared with; 0 where none is known.
        failed: path and error of each photo that could not be used.
    """

    predictor: Model
    paths: list[str]
    compared: int = 0
    failed: list[dict[str, str]] = field(default_factory=list)

    @classmethod
    def unseen(cls, predictor: Model, photos: Paths, limit: int | None, seed: int) -> Self:
        """``limit`` photos, or all. Raises :class:`DataError` where the predictor was trained on one of them."""
        paths = draw(find(photos), limit, seed)
        return cls(predictor, paths, refuse_trained(predictor, paths))

    def photos(self, label: str) -> Iterator[Photo]:
        """The photos that can be read, with progress."""
        return decode(progress(self.paths, label, len(self.paths)), self.failed)

    def batches(self, label: str, size: int = 16) -> Iterator[list[Photo]]:
        """The same in lists of ``size`` at most."""
        return decoded(self.paths, label, self.failed, size)

    def result(self, task: str, figures: Mapping[str, Any]) -> dict[str, Any]:
        """The figures as plain JSON data, with what they were measured on and with."""
        return plain({"task": task, **figures, "failed": self.failed} | stamp(self.predictor))


def edited(photo: Photo, pixels: np.ndarray) -> Photo:
    """The photo with other pixels, (H, W, 3) uint8, under their own hash, so that no cache takes one for the other."""
    digest = hashlib.sha256(repr(pixels.shape).encode() + np.ascontiguousarray(pixels).tobytes()).hexdigest()
    return replace(photo, pixels=pixels, sha256=digest, width=pixels.shape[1], height=pixels.shape[0])


def renamed(photo: Photo, nonce: str) -> Photo:
    """The same pixels under another hash, so that a cache cannot answer in place of the model."""
    return replace(photo, sha256=hashlib.sha256(f"{nonce} {photo.path} {photo.sha256}".encode()).hexdigest())


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
