"""Does the score stay the same when only circumstances change, and how fast does it come?"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from calm.engine import DEFAULT_BATCH_SIZE, Engine, Model, Task, score_task
from calm.errors import DataError, PhotoError
from calm.eval.gather import Paths, batches, decode, draw, find, plain, progress, renamed, stamp

if TYPE_CHECKING:
    from calm.data.images import Photo

LARGE, SMALL = 4000, 1000
"""Long edges in pixels between which a photo's score is compared."""
PARTS = 4
"""Turns in which each way of scoring is timed, so that a slow moment of the machine does not fall on one alone."""


class BenchPredictor(Model, Protocol):
    """A predictor that can also be timed in its parts."""

    def encoder_only(self, photos: list[Photo]) -> object:
        """The encoder's pass over the photos and nothing after it."""
        ...

    def generate_loop(self, photos: list[Photo]) -> object:
        """The score as plain ``generate()`` writes it, one photo at a time."""
        ...


def eval_invariance(
    predictor: Model, photos: Paths, *, seed: int = 0, batch: int = 32, resized: int = 30
) -> dict[str, Any]:
    """How much the score changes with the batch, with repetition and with the stored size.

    Every pass is given photos under new hashes, so that a cache of the predictor cannot answer for it.

    Args:
        batch: photos that are scored alone and then together.
        resized: photos stored as JPEG (quality 95, full chroma) with a long edge of 4000 and of 1000 pixels: the
            largest ones of ``photos``, brought to 4000 by Lanczos, and from there to 1000 by antialiased Lanczos.

    Returns:
        ``batch`` (n, largest and mean difference between alone and together), ``repeat`` (n, largest difference between
        two passes over one batch), ``stored_size`` (n, median, mean, largest difference), all on the 1–10 scale.
    """
    failed: list[dict[str, str]] = []
    paths = draw(find(photos), None, seed)
    chosen = _some(paths, batch, failed)
    alone = np.array([predictor.score([renamed(photo, "alone")])[0].value for photo in progress(chosen, "alone")])
    together = _values(predictor, [renamed(photo, "together") for photo in chosen])
    again = _values(predictor, [renamed(photo, "again") for photo in chosen])
    with TemporaryDirectory() as folder:
        pairs = [_stored(path, Path(folder), i) for i, path in enumerate(_largest(paths, resized))]
        sizes = [[_one(predictor, path) for path in pair] for pair in progress(pairs, "stored sizes") if pair]
    by_size = np.abs(np.diff(np.array(sizes, float).reshape(-1, 2), axis=1)).ravel()
    return plain(
        {
            "task": "invariance",
            "batch": {
                "n": len(chosen),
                "largest": np.abs(alone - together).max(),
                "mean": np.abs(alone - together).mean(),
            },
            "repeat": {"n": len(chosen), "largest": np.abs(together - again).max()},
            "stored_size": {
                "n": by_size.size,
                "long_edges": [LARGE, SMALL],
                "median": np.median(by_size) if by_size.size else None,
                "mean": by_size.mean() if by_size.size else None,
                "largest": by_size.max() if by_size.size else None,
            },
            "failed": failed,
        }
        | stamp(predictor)
    )


def eval_speed(
    predictor: BenchPredictor,
    photos: Paths,
    *,
    seed: int = 0,
    limit: int | None = 500,
    batch_size: int = DEFAULT_BATCH_SIZE,
    generated: int = 16,
    personal: Task | None = None,
) -> dict[str, Any]:
    """Throughput of ``score`` beside the encoder alone and beside a generate() loop, on the same photos in one run.

    ``score`` starts from files: its time includes reading and decoding them. The encoder and the loop are given photos
    that are already decoded, which favours them: both ratios are lower bounds. After a batch each to warm up, ``score``
    and the encoder take turns over parts of the photos; the loop follows. New hashes keep caches from answering.

    Args:
        generated: photos for the generate() loop, which is slow.
        personal: personal scores (:func:`calm.profiles.personal_task`), to be timed as well, from files like ``score``.

    Returns:
        photos a second of ``score``, ``encoder`` and ``generate_loop``; ``score_to_encoder`` (also by turn) and
        ``score_to_generate_loop``; where asked for, also of ``personal``, and ``personal_to_score``.
    """
    failed: list[dict[str, str]] = []
    paths = draw(find(photos), limit, seed)
    known = _some(paths, max(batch_size, generated), [])
    warm = [renamed(photo, "warm") for photo in known[:batch_size]]
    predictor.score(warm)
    predictor.encoder_only(warm)
    predictor.generate_loop(warm[:1])

    def from_files(task: Task, name: str) -> Callable[[Sequence[Photo]], None]:
        return lambda part: _score_files(predictor, [photo.path for photo in part], batch_size, task, name)

    ways = {"score": from_files(score_task(), "score"), "encoder": lambda part: _encode(predictor, part, batch_size)}
    if personal is not None:
        ways["personal"] = from_files(personal, "personal")
    n, times = _turns(ways, paths, failed)
    score_times, encoder_times = times["score"], times["encoder"]
    looped = [renamed(photo, "loop") for photo in known[:generated]]
    start = time.perf_counter()
    predictor.generate_loop(looped)
    loop_rate, score_rate = len(looped) / (time.perf_counter() - start), n / sum(score_times)
    return plain(
        {
            "task": "speed",
            "n": n,
            "batch_size": batch_size,
            "score": score_rate,
            "encoder": n / sum(encoder_times),
            "generate_loop": loop_rate,
            "generate_loop_n": len(looped),
            "unit": "photos a second",
            "score_to_encoder": sum(encoder_times) / sum(score_times),
            "score_to_encoder_by_turn": [b / a for a, b in zip(score_times, encoder_times, strict=True)],
            "score_to_generate_loop": score_rate / loop_rate,
        }
        | (
            {"personal": n / sum(times["personal"]), "personal_to_score": sum(score_times) / sum(times["personal"])}
            if personal is not None
            else {}
        )
        | {"failed": failed}
        | stamp(predictor)
    )


def _turns(
    ways: Mapping[str, Callable[[Sequence[Photo]], None]], paths: Sequence[str], failed: list[dict[str, str]]
) -> tuple[int, dict[str, list[float]]]:
    """Photos timed, and the seconds of each way in each turn; every other turn goes through the ways backwards."""
    n = 0
    times: dict[str, list[float]] = {name: [] for name in ways}
    for turn, part in enumerate(progress(list(batches(paths, -(-len(paths) // PARTS))), "timing")):
        photos_of_turn = [renamed(photo, "encoder") for photo in decode(part, failed)]
        if not photos_of_turn:
            continue
        n += len(photos_of_turn)
        for name in list(ways)[:: -1 if turn % 2 else 1]:
            start = time.perf_counter()
            ways[name](photos_of_turn)
            times[name].append(time.perf_counter() - start)
    return n, times


def _score_files(predictor: Model, paths: Sequence[str], batch_size: int, task: Task, name: str) -> None:
    """Score files through the engine, as the command does. ``name``: of the photos' new hashes."""
    from calm.data.images import load_photo

    engine = Engine(predictor, batch_size=batch_size, load=lambda path: renamed(load_photo(path), name))
    for answer in engine.answers(paths, task):
        if answer.result is None:
            raise DataError(
                f"expected {answer.path} to be scored as before, found: {answer.error}; is it being changed?"
            )


def _encode(predictor: BenchPredictor, photos: Sequence[Photo], batch_size: int) -> None:
    for batch in batches(photos, batch_size):
        predictor.encoder_only(batch)


def _some(paths: Sequence[str], count: int, failed: list[dict[str, str]]) -> list[Photo]:
    """The first ``count`` photos that can be read."""
    found = []
    for photo in decode(paths, failed):
        found.append(photo)
        if len(found) == count:
            break
    if not found:
        raise DataError(
            f"expected at least one photo that can be read, found {len(failed)} that failed; check the path"
        )
    return found


def _values(predictor: Model, photos: list[Photo]) -> np.ndarray:
    """Scores of one batch: (n,)."""
    return np.array([score.value for score in predictor.score(photos)])


def _one(predictor: Model, path: Path) -> float:
    from calm.data.images import load_photo

    return predictor.score([load_photo(str(path))])[0].value


def _largest(paths: Sequence[str], count: int) -> list[str]:
    """The ``count`` photos with the longest edges, by their headers; files without a readable header are left out."""
    from PIL import Image, UnidentifiedImageError

    edges = {}
    for path in paths:
        try:
            with Image.open(path) as image:
                edges[path] = max(image.size)
        except (OSError, UnidentifiedImageError, Image.DecompressionBombError):
            continue
    return sorted(edges, key=lambda path: -edges[path])[:count]


def _stored(path: str, folder: Path, index: int) -> tuple[Path, Path] | None:
    """The photo as files of 4000 and of 1000 pixels; None if it cannot be read."""
    from PIL import Image

    from calm.data.images import load_photo

    try:
        photo = load_photo(path, reference=LARGE)
    except PhotoError:
        return None
    large = _resize(Image.fromarray(photo.pixels), LARGE)
    files = folder / f"{index}-{LARGE}.jpg", folder / f"{index}-{SMALL}.jpg"
    for image, file in zip((large, _resize(large, SMALL)), files, strict=True):
        image.save(file, quality=95, subsampling=0)
    return files


def _resize(image: Any, edge: int) -> Any:  # noqa: ANN401 - Pillow is imported lazily
    """The image with that long edge, by Lanczos (which Pillow widens when it shrinks, against aliasing)."""
    from PIL import Image

    factor = edge / max(image.size)
    size = max(1, round(image.width * factor)), max(1, round(image.height * factor))
    return image if size == image.size else image.resize(size, Image.Resampling.LANCZOS)
