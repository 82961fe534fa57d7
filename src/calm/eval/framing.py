"""Do suggested crops come closer to people's than the whole frame does? On FLMS (Fang et al., ACM MM 2014).

Every photo has about ten crops that people found good. A crop is as good as its intersection over union with the
nearest of them. Only photos whose name's SHA-256 is odd are used; the others are held out.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np

from calm.data.batches import draw
from calm.data.images import Photo
from calm.errors import DataError
from calm.eval.gather import Drawn, held_out, seen_in_training
from calm.inference.framing import WHOLE, Crop, area, best_crop
from calm.inference.pipeline import Pipeline
from calm.tasks.metrics import bootstrap, mean_gap
from calm.types import CLASSES

CROPS = "json/image_crops.json"
FRAMING = {index: direction for index, (attribute, direction) in enumerate(CLASSES) if attribute == "framing"}


def eval_framing(
    pipeline: Pipeline, root: str | Path, *, limit: int | None = None, seed: int = 0, resamples: int = 1000
) -> dict[str, Any]:
    """Crops of the likeliest framing remedy of each photo, whatever its confidence, against people's.

    Args:
        root: folder ``Benchmark_FLMS`` with ``images`` and ``json/image_crops.json``.
        limit: use only so many photos, drawn by ``seed``.

    Returns:
        ``iou`` of the crops, the whole frame where no crop looks better, and ``iou_whole`` of the whole frame; ``gain``
        with its 95 % interval over photos; ``cropped``: share of photos with a crop; ``suggested``: share of photos
        with a framing remedy at the default threshold, and ``iou_suggested`` where only those are cropped.

    Raises:
        DataError: for another layout, or no photo that can be read.
    """
    people = read_crops(root)
    drawn = Drawn(pipeline, draw(sorted(people), limit, seed))
    rows = []
    for photo in drawn.photos("framing"):
        good = [_shares(box, photo) for box in people[photo.path] if _inside(box, photo)]
        if not good:
            drawn.failed.append({"path": photo.path, "error": "no crop lies within the photo"})
            continue
        odds = pipeline.edit_probabilities([photo])[0]
        likeliest = max(FRAMING, key=lambda index: odds[index])
        crop = best_crop(pipeline.answers, photo.pixels, FRAMING[likeliest]) or WHOLE
        suggested = odds[likeliest] >= pipeline.answers.model.config.remedy_least
        rows.append((best_iou(crop, good), best_iou(WHOLE, good), crop != WHOLE, suggested))
    if not rows:
        raise DataError(f"expected at least one photo with crops in {root}, found {len(drawn.failed)} that failed")
    chosen, whole, cropped, suggested = np.array(rows, float).T
    gain = bootstrap(mean_gap, chosen, whole, resamples=resamples, seed=seed)
    figures = {
        "photos": len(rows),
        "seen_in_training": seen_in_training(pipeline, drawn.paths),
        "iou": chosen.mean(),
        "iou_whole": whole.mean(),
        **gain.named("gain"),
        "cropped": cropped.mean(),
        "suggested": suggested.mean(),
        "iou_suggested": np.where(suggested, chosen, whole).mean(),
    }
    return drawn.result("framing", figures)


def read_crops(root: str | Path) -> dict[str, list[list[float]]]:
    """People's crops (left, top, right, bottom) in pixels by path, of the photos that are not held out.

    Raises:
        DataError: where the file is missing or is no table of crops.
    """
    path = Path(root) / CROPS
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
        return {
            str(Path(root) / "images" / name): [[float(side) for side in box] for box in boxes]
            for name, boxes in table.items()
            if not held_out(name)
        }
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise DataError(
            f"expected {CROPS} in {root}, photo names with lists of crops, found: {error}; name FLMS's folder "
            "Benchmark_FLMS"
        ) from None


def best_iou(crop: Crop, good: list[Crop]) -> float:
    """Intersection over union with the nearest of the good crops, 0–1."""

    def iou(other: Crop) -> float:
        wide = min(crop[2], other[2]) - max(crop[0], other[0])
        tall = min(crop[3], other[3]) - max(crop[1], other[1])
        shared = max(wide, 0.0) * max(tall, 0.0)
        return shared / (area(crop) + area(other) - shared)

    return max(map(iou, good))


def _inside(box: list[float], photo: Photo) -> bool:
    """Whether a crop in pixels is one: a few of FLMS are turned round or reach beyond the photo."""
    return len(box) == 4 and 0 <= box[0] < box[2] <= photo.width and 0 <= box[1] < box[3] <= photo.height


def _shares(box: list[float], photo: Photo) -> Crop:
    left, top, right, bottom = box
    return left / photo.width, top / photo.height, right / photo.width, bottom / photo.height
