"""Compression: a file saved too small."""

from collections.abc import Sequence
from io import BytesIO

import numpy as np
from PIL import Image

from calm.edits.base import Edit, Edited, Map, Pixels, Random

BEST, WORST = 88.0, 5.0
"""JPEG quality at severity 0 and 1."""
EARLY = 0.8
"""Power of severity: below 1 because qualities from 90 to 50 hardly differ to the eye."""


class Compression(Edit):
    """JPEG, now and then WebP of about the same look; a crop of a few pixels after it moves the block grid."""

    attribute = "compression"
    order = "file"
    native = True

    def amount(self, direction: str, severity: float) -> float:
        return BEST * (WORST / BEST) ** (severity**EARLY)

    def apply(self, photo: Pixels, direction: str, severity: float, rng: Random, saliency: Map = None) -> Edited:
        webp, subsampling = rng.random() < 0.12, int(rng.choice([0, 1, 2], p=[0.25, 0.1, 0.65]))
        moved, (top, left) = rng.random() < 0.6, rng.integers(0, 8, 2)
        quality = round(self.amount(direction, severity))
        pixels = (photo * np.float32(255) + np.float32(0.5)).astype(np.uint8)
        if webp:
            out = reencode(pixels, max(1, round(0.6 * quality)), 0, "WEBP")
        else:
            out = reencode(pixels, quality, subsampling)
        out = out[top:, left:] if moved else out
        return np.multiply(out, np.float32(1 / 255), dtype=np.float32), self.done(direction, severity)

    def wordings(self, amount: float) -> Sequence[str]:
        return (f"{round(amount)}", f"about {round(amount)}", f"roughly {round(amount)}")


def reencode(pixels: np.ndarray, quality: int, subsampling: int, form: str = "JPEG") -> np.ndarray:
    """(H, W, 3) uint8 saved and read again. ``subsampling``: 0, 1, 2 for 4:4:4, 4:2:2, 4:2:0 (JPEG only)."""
    stream = BytesIO()
    options: dict[str, int] = {"subsampling": subsampling} if form == "JPEG" else {"method": 0}
    Image.fromarray(pixels).save(stream, form, quality=quality, **options)
    return np.asarray(Image.open(stream).convert("RGB"))
