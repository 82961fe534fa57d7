"""Compression: a file saved too small."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO

import numpy as np
from PIL import Image

from calm.edits.base import Applied, Edit, Phrases

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

    def apply(
        self,
        photo: np.ndarray,
        direction: str,
        severity: float,
        rng: np.random.Generator,
        saliency: np.ndarray | None = None,
    ) -> tuple[np.ndarray, Applied | None]:
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

    phrases = {
        "decrease": Phrases(
            wrong=(
                "The photo is {very} compressed.",
                "JPEG blocks show; the compression is {very} visible.",
                "The compression is {too} strong.",
                "The file was saved {too} small.",
                "Compression artefacts disturb the picture {very}.",
                "The image is {very} damaged by compression.",
                "Blocks and ringing mark the edges; it is {very} compressed.",
                "The JPEG quality is {too} low.",
                "It looks like a JPEG of quality {amount}.",
                "Saved at a quality of {amount}, it shows artefacts.",
                "Edges are {very} frayed by compression ringing.",
                "Smooth areas are {very} broken into blocks.",
            ),
            against=(
                "This one is more compressed than the other.",
                "Compared with the other photo, this one shows {a} blockiness.",
                "The other photo is free of compression artefacts.",
                "The other one is clean; this one is {quite} blocky.",
                "This one was saved again at a quality of {amount}.",
                "Before, gradients were smooth; now they are {quite} blocky.",
                "The better version was saved at a higher quality.",
                "Next to the other, this photo looks {very} compressed.",
                "Both show the same scene, but this one is {quite} blocky.",
                "The second photo has lost detail to compression.",
            ),
            advice=(
                "Save the photo at a higher JPEG quality.",
                "Compress the file less; quality {amount} is too low.",
                "Export it again with less compression.",
                "Use a JPEG quality of 90 or more.",
                "Start from the original file, this one is {very} compressed.",
                "Save it again from the original, not at quality {amount}.",
                "Avoid such strong compression.",
                "Keep the file larger, the compression shows.",
                "Go back to a less compressed version.",
                "Raise the file's quality from {amount} to 90 or more.",
                "Reduce the compression {much}.",
                "Export at full quality to avoid the blocks.",
            ),
        ),
    }


def reencode(pixels: np.ndarray, quality: int, subsampling: int, form: str = "JPEG") -> np.ndarray:
    """(H, W, 3) uint8 saved and read again. ``subsampling``: 0, 1, 2 for 4:4:4, 4:2:2, 4:2:0 (JPEG only)."""
    stream = BytesIO()
    options: dict[str, int] = {"subsampling": subsampling} if form == "JPEG" else {"method": 0}
    Image.fromarray(pixels).save(stream, form, quality=quality, **options)
    return np.asarray(Image.open(stream).convert("RGB"))
