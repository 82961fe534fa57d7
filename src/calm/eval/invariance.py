"""Does the score stay the same when only circumstances change?"""

from collections.abc import Callable, Mapping, Sequence
from io import BytesIO
from itertools import islice
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError

from calm.data.batches import decode, draw
from calm.data.images import Photo, as_photo, load_photo
from calm.data.progress import progress
from calm.errors import DataError, PhotoError
from calm.eval.gather import Paths, find, plain, renamed, stamp
from calm.inference.tasks import Model

LARGE, SMALL = 4000, 1000
"""Long edges in pixels between which a photo's score is compared."""
SCALES = 0.25, 0.5, 0.7, 1.4, 2.0
"""Sizes, of the photo's own, that its copies are scored at."""
QUALITIES = 60, 75, 85, 95
"""JPEG qualities, chroma at half the size, that its copies are scored at."""


def eval_invariance(
    predictor: Model, photos: Paths, *, seed: int = 0, batch: int = 32, resized: int = 30, copied: int = 100
) -> dict[str, Any]:
    """How much the score changes with the batch, with repetition, with the stored size and with compression.

    Every pass is given photos under new hashes, so that a cache of the predictor cannot answer for it.

    Args:
        batch: photos that are scored alone and then together.
        resized: photos stored as JPEG (quality 95, full chroma) with a long edge of 4000 and of 1000 pixels: the
            largest ones of ``photos``, brought to 4000 by Lanczos, and from there to 1000 by antialiased Lanczos.
        copied: photos that are scored as they are, at :data:`SCALES` and at :data:`QUALITIES`.

    Returns:
        ``batch`` (n, largest and mean difference between alone and together), ``repeat`` (n, largest difference between
        two passes over one batch), ``stored_size`` (n, median, mean, largest difference), ``copies`` (n, the same of
        the highest less the lowest score of all copies of a photo, and ``by``: mean distance of each kind of copy from
        the photo as it is), all on the 1–10 scale.
    """
    failed: list[dict[str, str]] = []
    paths = draw(find(photos), None, seed)
    chosen = _some(paths, batch, failed)
    alone = np.array([predictor.score([renamed(photo, "alone")])[0].value for photo in progress(chosen, "alone")])
    together = _values(predictor, [renamed(photo, "together") for photo in chosen])
    again = _values(predictor, [renamed(photo, "again") for photo in chosen])
    sizes = _scores(predictor, _largest(paths, resized), _stored, "stored sizes")
    copies = _scores(predictor, paths[:copied], _copies, "copies")
    by = {name: np.abs(row - copies["as it is"]).mean() for name, row in copies.items() if len(row)}
    return plain(
        {
            "task": "invariance",
            "batch": {
                "n": len(chosen),
                "largest": np.abs(alone - together).max(),
                "mean": np.abs(alone - together).mean(),
            },
            "repeat": {"n": len(chosen), "largest": np.abs(together - again).max()},
            "stored_size": {"long_edges": [LARGE, SMALL], **_spread(sizes)},
            "copies": {**_spread(copies), "by": by},
            "failed": failed,
        }
        | stamp(predictor)
    )


def _some(paths: Sequence[str], count: int, failed: list[dict[str, str]]) -> list[Photo]:
    """The first ``count`` photos that can be read."""
    found = list(islice(decode(paths, failed), count))
    if not found:
        raise DataError(
            f"expected at least one photo that can be read, found {len(failed)} that failed; check the path"
        )
    return found


def _values(predictor: Model, photos: list[Photo]) -> np.ndarray:
    """Scores of one batch: (n,)."""
    return np.array([score.value for score in predictor.score(photos)])


def _scores(
    predictor: Model, paths: Sequence[str], copies: Callable[[Image.Image], dict[str, Photo]], label: str
) -> dict[str, np.ndarray]:
    """Scores (n,) of each kind of copy, of photos that can be read."""
    found: dict[str, list[float]] = {}
    for path in progress(paths, label):
        try:
            image = Image.fromarray(load_photo(path, reference=LARGE).pixels)
        except PhotoError:
            continue
        made = copies(image)
        for name, score in zip(made, _values(predictor, list(made.values())), strict=True):
            found.setdefault(name, []).append(score)
    return {name: np.array(row) for name, row in found.items()}


def _spread(scores: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """How far the scores of the copies of one photo lie apart."""
    apart = np.ptp(np.stack(list(scores.values())), axis=0) if scores else np.zeros(0)
    if not len(apart):
        return {"n": 0, "median": None, "mean": None, "largest": None}
    return {"n": len(apart), "median": np.median(apart), "mean": apart.mean(), "largest": apart.max()}


def _largest(paths: Sequence[str], count: int) -> list[str]:
    """The ``count`` photos with the longest edges, by their headers; files without a readable header are left out."""
    edges = {}
    for path in paths:
        try:
            with Image.open(path) as image:
                edges[path] = max(image.size)
        except (OSError, UnidentifiedImageError, Image.DecompressionBombError):
            continue
    return sorted(edges, key=lambda path: -edges[path])[:count]


def _stored(image: Image.Image) -> dict[str, Photo]:
    """The photo as files of 4000 and of 1000 pixels."""
    large = _resize(image, LARGE)
    return {str(max(each.size)): _as_jpeg(each, 95, 0) for each in (large, _resize(large, SMALL))}


def _copies(image: Image.Image) -> dict[str, Photo]:
    """The photo as it is, at other sizes, and compressed."""
    resized = {f"×{scale:g}": as_photo(_resize(image, scale * max(image.size)), "copy") for scale in SCALES}
    compressed = {f"JPEG {quality}": _as_jpeg(image, quality) for quality in QUALITIES}
    return {"as it is": as_photo(image, "copy"), **resized, **compressed}


def _as_jpeg(image: Image.Image, quality: int, subsampling: int = 2) -> Photo:
    stream = BytesIO()
    image.save(stream, "JPEG", quality=quality, subsampling=subsampling)
    return load_photo("copy.jpg", data=stream.getvalue())


def _resize(image: Image.Image, edge: float) -> Image.Image:
    """The image with that long edge, by Lanczos (which Pillow widens when it shrinks, against aliasing)."""
    factor = edge / max(image.size)
    size = max(1, round(image.width * factor)), max(1, round(image.height * factor))
    return image if size == image.size else image.resize(size, Image.Resampling.LANCZOS)
