"""Sharpness: defocus and motion blur."""

from collections.abc import Sequence

import cv2
import numpy as np

from calm.edits.base import REFERENCE, Edit, Edited, Map, Pixels, Random
from calm.types import Suggestion


class Sharpness(Edit):
    """A disc, a Gaussian or an uneven disc for a missed focus; a straight, bent or shaken path for motion."""

    attribute = "sharpness"
    order = "optics"
    native = True
    most = 20.0
    """Width of the blur at severity 1, in pixels of a photo with a long edge of 1024."""

    def apply(self, photo: Pixels, direction: str, severity: float, rng: Random, saliency: Map = None) -> Edited:
        width = self.most * severity * max(photo.shape[:2]) / REFERENCE
        kind = "motion" if rng.random() < 0.5 else "defocus"
        kernel = _motion(width, rng) if kind == "motion" else _defocus(width, rng)
        return _blur(photo, kernel), self.done(direction, severity, kind)

    def render(self, photo: Pixels, suggestion: Suggestion, saliency: Map = None) -> Pixels:
        """A round of Van Cittert's deconvolution, held between the tones around each pixel so that nothing rings."""
        width = self.wanted(suggestion) * max(photo.shape[:2]) / REFERENCE
        sigma = float(np.clip(width / 4, 0.4, 6.0))
        sharp = photo + 0.8 * (photo - cv2.GaussianBlur(photo, (0, 0), sigma))
        around = np.ones((3, 3), np.uint8)
        room = np.float32(0.04)
        return np.clip(sharp, cv2.erode(photo, around) - room, cv2.dilate(photo, around) + room).clip(0, 1)

    def wordings(self, amount: float) -> Sequence[str]:
        pixels = "1 pixel" if round(amount) <= 1 else f"{round(amount)} pixels"
        return tuple(f"{about} {pixels}" for about in ("about", "roughly", "some"))


def _blur(photo: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Light, not tone, is what blurs: squared values stand for light here."""
    blurred = cv2.filter2D(photo * photo, -1, kernel, borderType=cv2.BORDER_REFLECT_101)
    return np.clip(cv2.sqrt(np.maximum(blurred, 0)), 0, 1)


def _grid(width: float) -> tuple[np.ndarray, np.ndarray]:
    """(x, y) offsets in pixels, each (side, side), of a kernel wide enough for a blur of that width."""
    reach = int(np.ceil(width)) + 1
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1].astype(np.float32)
    return x, y


def _trim(kernel: np.ndarray) -> np.ndarray:
    """Without the empty margin, summing to 1."""
    centre = kernel.shape[0] // 2
    used = np.argwhere(kernel > kernel.max() * 1e-3) - centre
    reach = int(np.abs(used).max())
    cut = kernel[centre - reach : centre + reach + 1, centre - reach : centre + reach + 1]
    return (cut / cut.sum()).astype(np.float32)


def _defocus(width: float, rng: np.random.Generator) -> np.ndarray:
    """Kernel of a missed focus, its disc ``width`` pixels across (a Gaussian of a quarter of that spreads alike)."""
    shape, stretch, angle = rng.random(), rng.uniform(0.75, 1.0), rng.uniform(0, np.pi)
    x, y = _grid(width)
    if shape < 0.35:
        sigma = max(width / 4, 0.12)
        return _trim(np.exp(-(x**2 + y**2) / (2 * sigma**2)))
    if shape > 0.7:  # seen through a cat's-eye or an uneven lens
        x, y = x * np.cos(angle) + y * np.sin(angle), (y * np.cos(angle) - x * np.sin(angle)) / stretch
    rim = 1.0 + (0.5 * (x**2 + y**2) / max(width / 2, 0.5) ** 2 if 0.5 < shape < 0.7 else 0.0)
    # a disc narrower than a pixel keeps the pixel itself, at full weight, and its neighbours by what it covers of them
    return _trim(np.clip(max(width, 0.5) / 2 - np.hypot(x, y) + 0.5, 0, 1) * rim)


def _motion(width: float, rng: np.random.Generator) -> np.ndarray:
    """Kernel of a movement of ``width`` pixels at any angle: straight, bent, or shaken."""
    angle, bend, shake = rng.uniform(0, np.pi), rng.uniform(-1, 1), rng.normal(0, 1, 6)
    form = rng.random()
    t = np.linspace(-0.5, 0.5, 64)
    across = np.zeros_like(t)
    if form > 0.45:
        across = 0.6 * bend * (t**2 * 4 - 0.33)
    if form > 0.75:
        across = across + 0.12 * np.interp(t, np.linspace(-0.5, 0.5, 6), shake)
    scale = width / np.hypot(np.diff(t), np.diff(across)).sum()
    x = (t * np.cos(angle) - across * np.sin(angle)) * scale
    y = (t * np.sin(angle) + across * np.cos(angle)) * scale
    reach = int(np.ceil(max(np.abs(x).max(), np.abs(y).max()))) + 1
    kernel = np.zeros((2 * reach + 1, 2 * reach + 1))
    left, top = np.floor(x).astype(int), np.floor(y).astype(int)
    for dx in (0, 1):
        for dy in (0, 1):
            share = np.abs(1 - dx - (x - left)) * np.abs(1 - dy - (y - top))
            np.add.at(kernel, (top + dy + reach, left + dx + reach), share)
    return (kernel / kernel.sum()).astype(np.float32)
