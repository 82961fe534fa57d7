"""Lessons: a photo, zero or more edits, and chance changes that give nothing away."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO

import cv2
import numpy as np
from PIL import Image

from calm.edits.base import ORDERS, Applied, Edit, edits
from calm.errors import UsageError


@dataclass(frozen=True)
class Lesson:
    """An edited (or untouched) photo, (H, W, 3) uint8, what was done to it, and which chance changes it went through."""

    pixels: np.ndarray
    applied: tuple[Applied, ...]
    nuisances: tuple[str, ...]


def make_lesson(
    pixels: np.ndarray,
    rng: np.random.Generator,
    *,
    attributes: Sequence[str] | None = None,
    count: int | None = None,
    min_severity: float = 0.0,
    max_severity: float = 1.0,
    saliency: np.ndarray | None = None,
) -> Lesson:
    """Draw a lesson from a photo.

    Args:
        pixels: (H, W, 3) uint8, at most 1024 px long edge.
        attributes: to draw from; every one if None.
        count: number of edits; None draws 0 (a fifth), 1 (most) or 2.
        min_severity, max_severity: severities are drawn evenly between them, with a little more weight on the visible.
        saliency: (h, w) map of the main subject, 0 … 1.

    Returns:
        A lesson that depends on nothing but the arguments and ``rng``.
    """
    known = edits()
    names = list(known) if attributes is None else list(attributes)
    unknown = [name for name in names if name not in known]
    if unknown:
        raise UsageError(f"expected attributes of {list(known)}, found {unknown[0]!r}; name one of them")
    number = int(rng.choice([0, 1, 2], p=[0.2, 0.62, 0.18])) if count is None else count
    chosen = sorted(
        (known[names[i]] for i in rng.permutation(len(names))[:number]), key=lambda edit: ORDERS.index(edit.order)
    )
    photo, saliency, nuisances = _reframe(pixels.astype(np.float32) / 255, saliency, rng)
    photo = _jitter(photo, rng, nuisances)
    applied = []
    for edit in chosen:
        photo, done = _apply(edit, photo, rng, min_severity, max_severity, saliency)
        applied.append(done)
    out = (np.clip(photo, 0, 1) * 255 + 0.5).astype(np.uint8)
    if not any(item.attribute == "compression" for item in applied) and rng.random() < 0.6:
        nuisances.append("jpeg")
        out = _jpeg(out, int(rng.integers(88, 98)), int(rng.choice([0, 2])))
    return Lesson(out, tuple(applied), tuple(nuisances))


def _apply(
    edit: Edit, photo: np.ndarray, rng: np.random.Generator, least: float, most: float, saliency: np.ndarray | None
) -> tuple[np.ndarray, Applied]:
    direction = str(rng.choice(edit.directions))
    severity = float(least + (most - least) * rng.beta(1.4, 1.1))
    return edit.apply(photo, direction, severity, rng, saliency)


def _reframe(
    photo: np.ndarray, saliency: np.ndarray | None, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray | None, list[str]]:
    """Mirror, crop a little to another aspect, scale down a little: on every photo, so that frames tell nothing."""
    nuisances = ["crop"]
    if rng.random() < 0.5:
        photo = photo[:, ::-1]
        saliency = None if saliency is None else np.asarray(saliency)[:, ::-1]
        nuisances.append("mirror")
    height, width = photo.shape[:2]
    rows, columns = (int(round(side * rng.uniform(0.86, 1.0))) for side in (height, width))
    top, left = int(rng.integers(0, height - rows + 1)), int(rng.integers(0, width - columns + 1))
    if saliency is not None:
        h, w = saliency.shape
        box = [top * h // height, (top + rows) * h // height, left * w // width, (left + columns) * w // width]
        saliency = np.ascontiguousarray(saliency[box[0] : max(box[1], box[0] + 1), box[2] : max(box[3], box[2] + 1)])
    photo = np.ascontiguousarray(photo[top : top + rows, left : left + columns])
    if rng.random() < 0.4 and max(rows, columns) > 300:
        scale = rng.uniform(0.75, 1.0)
        photo = cv2.resize(photo, (round(columns * scale), round(rows * scale)), interpolation=cv2.INTER_AREA)
        nuisances.append("scale")
    return photo, saliency, nuisances


def _jitter(photo: np.ndarray, rng: np.random.Generator, nuisances: list[str]) -> np.ndarray:
    """Changes of light and colour too small to see, and a touch of sharpening now and then."""
    if rng.random() < 0.7:
        gamma = np.exp(rng.normal(0, 0.025, 3) * 0.4 + rng.normal(0, 0.03))
        photo = np.clip(photo, 0, 1) ** gamma.astype(np.float32)
        nuisances.append("tone")
    if rng.random() < 0.2:
        soft = cv2.GaussianBlur(photo, (0, 0), 0.8)
        photo = np.clip(photo + np.float32(rng.uniform(0.0, 0.3)) * (photo - soft), 0, 1)
        nuisances.append("sharpen")
    return photo


def _jpeg(pixels: np.ndarray, quality: int, subsampling: int) -> np.ndarray:
    stream = BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=quality, subsampling=subsampling)
    return np.asarray(Image.open(stream).convert("RGB"))
