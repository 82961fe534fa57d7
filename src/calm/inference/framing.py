"""The crop of a framing suggestion: candidates are cut out, scored by the network, and the best one is kept.

"Tighter" tries crops all over the frame. A side that lacks room gets none by cropping; so the opposite side is cut, and
the subject stands farther from the edge as a share of what is left. Every candidate holds most of the subject.
"""

import numpy as np
import torch

from calm.data.views import squash
from calm.edits.framing import cut
from calm.edits.subject import guess_saliency
from calm.inference.answers import Answers
from calm.model.config import SCORE_LEVELS

Crop = tuple[float, float, float, float]
"""(left, top, right, bottom) in shares of the frame, 0–1."""

WHOLE: Crop = (0.0, 0.0, 1.0, 1.0)
SCALES = (0.95, 0.9, 0.8, 0.7, 0.6)
"""Sides of the candidates that keep the frame's aspect."""
ASPECTS, ASPECT_SCALES = (1.0, 4 / 3, 3 / 2, 16 / 9), (1.0, 0.8)
"""Long by short side of the others, as upright as the frame, and their sides by the largest that fits."""
GRID = (0.0, 0.5, 1.0)
"""Where a candidate lies in the free play of each axis."""
ANCHORS: dict[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "left": ((0.0,), GRID),
    "right": ((1.0,), GRID),
    "up": (GRID, (0.0,)),
    "down": (GRID, (1.0,)),
    "tighter": (GRID, GRID),
}
"""Places on both axes by direction: the side that lacks room is never cut."""
MOST_CANDIDATES = 40
SUBJECT, KEPT = 0.4, 0.8
"""The subject is what stands out by more than ``SUBJECT`` of the peak; a candidate holds at least ``KEPT`` of it."""
PENALTY = 4.0
"""What a crop's score loses, points of 1–10 for each whole frame's area that it gives up. With less, crops were farther
from people's than the whole frame was: scores of crops of one photo differ by .4 (standard deviation). Chosen on ten
photos of FLMS with the first checkpoint: choose it again for another, by ``calm eval framing``."""


def best_crop(answers: Answers, pixels: np.ndarray, direction: str) -> Crop | None:
    """The candidate with the best score less the penalty; None where that is the whole frame.

    Args:
        pixels: (H, W, 3) uint8.
        direction: of :data:`calm.types.DIRECTIONS` of framing.
    """
    height, width = pixels.shape[:2]
    tried = [WHOLE, *candidates(direction, width / height, guess_saliency(squash(pixels).astype(np.float32) / 255))]
    seen = answers.see([cut(pixels, crop) for crop in tried], detail=False)
    scores = answers.scores(seen) @ torch.arange(1.0, SCORE_LEVELS + 1)
    lost = torch.tensor([1 - area(crop) for crop in tried])
    best = int((scores - PENALTY * lost).argmax())
    return tried[best] if best else None


def candidates(direction: str, aspect: float, subject: np.ndarray) -> list[Crop]:
    """Crops to be tried, ``MOST_CANDIDATES`` at most; none where each would cut too much of the subject.

    Args:
        direction: of framing.
        aspect: width by height of the frame.
        subject: (h, w), how much stands out where, 0–1.
    """
    sizes = [(scale, scale) for scale in SCALES]
    for ratio in ASPECTS:
        wanted = (ratio if aspect >= 1 else 1 / ratio) / aspect
        sizes += [(scale * min(1.0, wanted), scale * min(1.0, 1 / wanted)) for scale in ASPECT_SCALES]
    columns, rows = ANCHORS[direction]
    crops = (
        _rounded(x * (1 - wide), y * (1 - tall), wide, tall) for wide, tall in sizes for x in columns for y in rows
    )
    fitting = [crop for crop in dict.fromkeys(crops) if _cuts(crop, direction) and holds(crop, subject)]
    chosen = np.linspace(0, len(fitting) - 1, min(len(fitting), MOST_CANDIDATES)).round().astype(int)
    return [fitting[i] for i in chosen]


def holds(crop: Crop, subject: np.ndarray) -> bool:
    """Whether a crop has most of the subject, of (h, w) how much stands out where, 0–1."""
    weights = np.clip(subject - SUBJECT * subject.max(), 0, None)
    return bool(cut(weights, crop).sum() >= KEPT * weights.sum())


def area(crop: Crop) -> float:
    """Share of the frame, 0–1."""
    return (crop[2] - crop[0]) * (crop[3] - crop[1])


def _rounded(left: float, top: float, wide: float, tall: float) -> Crop:
    return round(left, 4), round(top, 4), round(left + wide, 4), round(top + tall, 4)


def _cuts(crop: Crop, direction: str) -> bool:
    """Whether something is cut, and on the side that must be: opposite to the one that lacks room."""
    left, top, right, bottom = crop
    opposite = {"left": right < 1, "right": left > 0, "up": bottom < 1, "down": top > 0}
    return area(crop) < 0.98 and opposite.get(direction, True)
