"""Synthetic edits: a photo, zero or more known edits, and chance changes that give nothing away."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from calm.edits.base import ORDERS, Applied, Edit, edits
from calm.edits.compression import reencode
from calm.edits.noise import add_noise
from calm.edits.subject import subject_box
from calm.errors import UsageError
from calm.types import DIRECTIONS

COUNTS = {0: 0.20, 1: 0.58, 2: 0.16, 3: 0.06}
"""How often so many edits are made."""
SMALLEST = 160
"""Chance changes leave a photo short edges of at least that many pixels, where it has them."""


@dataclass(frozen=True)
class SyntheticEdit:
    """An edited or untouched photo, (H, W, 3) uint8, what was done to it, and which chance changes it went through."""

    pixels: np.ndarray
    applied: tuple[Applied, ...]
    nuisances: tuple[str, ...]


def synthetic_edit(
    pixels: np.ndarray,
    rng: np.random.Generator,
    *,
    attributes: Sequence[str] | None = None,
    count: int | None = None,
    min_severity: float = 0.0,
    max_severity: float = 1.0,
    saliency: np.ndarray | None = None,
) -> SyntheticEdit:
    """Edit a photo at random.

    Args:
        pixels: (H, W, 3) uint8, at most 1024 px long edge.
        attributes: to draw from; every one if None.
        count: number of edits; None draws 0 (a fifth), 1 (most), 2 or 3.
        min_severity, max_severity: severities are drawn between them, with a little more weight on the visible.
        saliency: (h, w) map of the main subject, 0 … 1.

    Returns:
        A photo that depends on nothing but the arguments and ``rng``. It has fewer edits than drawn where the photo
        does not lend itself to one (no subject to frame, no colour to drain).

    Raises:
        UsageError: for an attribute that there is no edit for.
    """
    chosen = _choose(rng, attributes, count)
    severities = (min_severity, max_severity)
    nuisances: list[str] = []
    saliency = None if saliency is None else np.asarray(saliency, np.float32)
    if rng.random() < 0.5:
        pixels = pixels[:, ::-1]
        saliency = None if saliency is None else saliency[:, ::-1]
        nuisances.append("mirror")
    photo = _develop(pixels, rng, nuisances)
    applied: list[Applied] = []
    for edit in (each for each in chosen if each.order == "geometry"):
        photo, saliency, done = _apply(edit, photo, rng, severities, saliency)
        applied += [done] if done is not None else []
    photo, saliency = _reframe(photo, saliency, rng, nuisances, bool(applied))
    for edit in (each for each in chosen if each.order != "geometry"):
        photo, saliency, done = _apply(edit, photo, rng, severities, saliency)
        applied += [done] if done is not None else []
    return SyntheticEdit(_finish(photo, rng, nuisances), tuple(applied), tuple(nuisances))


def _choose(rng: np.random.Generator, attributes: Sequence[str] | None, count: int | None) -> list[Edit]:
    """Edits that go together, in the order in which they are made."""
    known = edits()
    names = list(known) if attributes is None else list(attributes)
    unknown = [name for name in names if name not in known]
    if unknown:
        raise UsageError(f"expected attributes of {list(known)}, found {unknown[0]!r}; name one of them")
    number = int(rng.choice(list(COUNTS), p=list(COUNTS.values()))) if count is None else count
    chosen: list[Edit] = []
    for i in rng.permutation(len(names)):
        edit = known[names[i]]
        clash = any(edit.attribute in other.conflicts or other.attribute in edit.conflicts for other in chosen)
        if len(chosen) < number and not clash:
            chosen.append(edit)
    return sorted(chosen, key=lambda edit: (ORDERS.index(edit.order), list(DIRECTIONS).index(edit.attribute)))


def _apply(
    edit: Edit,
    photo: np.ndarray,
    rng: np.random.Generator,
    severities: tuple[float, float],
    saliency: np.ndarray | None,
) -> tuple[np.ndarray, np.ndarray | None, Applied | None]:
    """One edit, in the first of its directions, in random order, that the photo lends itself to."""
    least, most = severities
    severity = float(least + (most - least) * rng.beta(1.4, 1.1))
    order = [str(each) for each in rng.permutation(list(edit.directions))]
    if rng.random() < 0.5:
        order.sort(key=lambda direction: direction not in edit.rare)
    for direction in order:
        # Geometry moves the subject with the photo: the map goes along as a fourth channel.
        mapped = saliency is not None and edit.order == "geometry"
        given = np.dstack([photo, cv2.resize(saliency, photo.shape[1::-1])]) if mapped else photo
        out, done = edit.apply(given, direction, severity, rng, saliency)
        if done is not None and done.severity >= min(least, severity):
            return np.ascontiguousarray(out[..., :3]), out[..., 3] if mapped else saliency, done
    return photo, saliency, None


def _reframe(
    photo: np.ndarray, saliency: np.ndarray | None, rng: np.random.Generator, nuisances: list[str], cropped: bool
) -> tuple[np.ndarray, np.ndarray | None]:
    """Crop to another aspect and scale down, on touched and untouched photos alike: frames tell nothing.

    ``cropped``: an edit of geometry has cut the photo already; what it left is not cut again. Nothing is ever enlarged.
    """
    aspect, share, shift = float(np.exp(rng.normal(0, 0.2))), rng.uniform(0.7, 1.0), rng.uniform(-0.25, 0.25, 2)
    whole, close, fitting = rng.random() < 0.2, rng.random() < 0.5, rng.uniform(0.4, 0.6)
    turn, scale, shrink = float(rng.normal(0, 0.12)), rng.uniform(0.55, 1.0), rng.random()
    if not cropped and not whole:
        least = min(1.0, SMALLEST / min(photo.shape[:2]))
        keep = max(share * min(1.0, aspect), least), max(share * min(1.0, 1 / aspect), least)
        trims = _trims(saliency, keep, shift, fitting if close else 0.0)
        photo, saliency = _trim(photo, trims), None if saliency is None else _trim(saliency, trims)
        nuisances.append("crop")
    height, width = photo.shape[:2]
    if shrink < (0.25 if cropped else 0.45) and min(height, width) * scale > SMALLEST:
        photo = cv2.resize(photo, (round(width * scale), round(height * scale)), interpolation=cv2.INTER_AREA)
        nuisances.append("scale")
    elif 0.45 <= shrink < 0.65:
        # a photo that was turned has been resampled, and is the least bit softer for it: so must others be
        matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), turn, 1 + 0.03 * abs(turn))
        resampled = cv2.warpAffine(photo, matrix, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
        photo = np.clip(resampled, 0, 1)
        nuisances.append("resample")
    return photo, saliency


def _trims(
    saliency: np.ndarray | None, keep: tuple[float, float], shift: np.ndarray, fitting: float
) -> tuple[float, float, float, float]:
    """Shares of the frame to cut off at the left, top, right and bottom.

    The subject keeps a third of its room on every side. Where it spans less of the frame than ``fitting``, the frame
    closes in on it, which gives "tighter" its counterpart: photos of the same kind with a subject of the right size.

    Args:
        keep: shares of width and height to keep if there is room to cut.
        shift: how unevenly the cut falls on the two sides of each axis, −0.5 … 0.5.
    """
    box = subject_box(saliency) if saliency is not None else None
    sides = [(0.3, 0.3), (0.3, 0.3)] if box is None else [(box.left, 1 - box.right), (box.top, 1 - box.bottom)]
    found = []
    for (before, after), kept, uneven in zip(sides, keep, shift, strict=True):
        room = max(before + after, 1e-6)
        cut = 1 - kept
        if box is not None and box.extent < fitting:
            cut = max(cut, min(1 - box.extent / fitting, 0.9 * room))
        first = float(np.clip(before / room + uneven, 0, 1))
        most = 0.67 if cut < 0.67 * room else 0.95
        found.append((min(cut * first, most * before), min(cut * (1 - first), most * after)))
    return found[0][0], found[1][0], found[0][1], found[1][1]


def _trim(plane: np.ndarray, trims: tuple[float, float, float, float]) -> np.ndarray:
    """Cut shares of the frame (H, W, …) off at the left, top, right and bottom."""
    rows, columns = plane.shape[:2]
    left, top = round(trims[0] * columns), round(trims[1] * rows)
    right, bottom = round((1 - trims[2]) * columns), round((1 - trims[3]) * rows)
    return np.ascontiguousarray(plane[top : max(bottom, top + 1), left : max(right, left + 1)])


def _develop(pixels: np.ndarray, rng: np.random.Generator, nuisances: list[str]) -> np.ndarray:
    """uint8 → float32 0 … 1, with changes of light and colour too small to see, now and then a touch of sharpening."""
    tone, colour, touch = rng.normal(0, 0.03), rng.normal(0, 0.01, 3), rng.random(2)
    curves = np.linspace(0.0, 1.0, 256)[:, None].repeat(3, 1)
    if touch[0] < 0.7:
        curves = curves ** np.exp(tone + colour)
        nuisances.append("tone")
    photo = np.empty(pixels.shape, np.float32)
    for channel in range(3):
        photo[..., channel] = np.take(curves[:, channel].astype(np.float32), pixels[..., channel])
    if touch[1] < 0.3:
        amount = np.float32(touch[1] - 0.06)  # from a faint smoothing to a faint sharpening
        photo = np.clip(photo + amount * (photo - cv2.GaussianBlur(photo, (0, 0), 0.8)), 0, 1)
        nuisances.append("sharpen")
    return photo


def _finish(photo: np.ndarray, rng: np.random.Generator, nuisances: list[str]) -> np.ndarray:
    """float32 → uint8, with a grain and a JPEG pass too faint to see, whatever was done before."""
    grain, jpeg, quality, subsampling = rng.random(), rng.random(), int(rng.integers(88, 98)), int(rng.choice([0, 2]))
    if grain < 0.2:
        photo = add_noise(photo, 7.5 * grain, rng)
        nuisances.append("grain")
    out = (np.clip(photo, 0, 1) * np.float32(255) + np.float32(0.5)).astype(np.uint8)
    if jpeg < 0.6:
        out = reencode(out, quality, subsampling)
        nuisances.append("jpeg")
    return np.ascontiguousarray(out)
