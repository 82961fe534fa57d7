"""What should be told of a picture besides its score: that it is blank, or no photo at all."""

import numpy as np

CELLS = 64
"""Side of the grid in which a picture is looked at for differences."""
BLANK = 12
"""Levels of 0–255 between the darkest and the brightest cell, below which a picture is blank."""
BLOCK = 8
"""Side, pixels, of the blocks that are flat or have edges."""
BLOCKS = 1000
"""Fewer of them are too few to tell letters from things."""
FLAT, EDGED = 12, 90
"""Levels of 0–255 between the darkest and the brightest pixel of a block, at most and at least."""


def note_on(pixels: np.ndarray) -> str | None:
    """A remark on pixels (H, W, 3) uint8, or None for what looks like a photo."""
    if is_blank(pixels):
        return "almost blank: hardly any difference between its brightest and its darkest part"
    if is_page(pixels):
        return "looks like a page of text or a screenshot and not like a photo"
    return None


def is_blank(pixels: np.ndarray) -> bool:
    """Whether no part of a picture, noise averaged out, differs from the others by :data:`BLANK` levels."""
    import cv2

    height, width = pixels.shape[:2]
    cells = cv2.resize(pixels, (min(CELLS, width), min(CELLS, height)), interpolation=cv2.INTER_AREA)
    return int(np.ptp(cells.reshape(-1, 3), axis=0).max()) < BLANK


def is_page(pixels: np.ndarray) -> bool:
    """Whether a picture is flat blocks and, of one tone with them, blocks of letters: dark on light or light on dark.

    At least a seventh of its blocks are flat, at least a third of the others (and a twenty-fifth of all) have hard
    edges, and in these more than half of the pixels have the commonest flat tone.
    """
    import cv2

    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    high, wide = (side // BLOCK for side in grey.shape)
    blocks = grey[: high * BLOCK, : wide * BLOCK].reshape(high, BLOCK, wide, BLOCK).swapaxes(1, 2).reshape(-1, BLOCK**2)
    if len(blocks) < BLOCKS:
        return False
    ranges = np.ptp(blocks, axis=1)
    flat, edged = ranges <= FLAT, ranges >= EDGED
    if flat.mean() < 0.15 or edged.mean() < max(0.04, 0.35 * (~flat).mean()):
        return False
    tones = np.bincount(blocks[flat].mean(axis=1).astype(int), minlength=256)
    ground = int(np.convolve(tones, np.ones(9), "same").argmax())
    return bool((np.abs(blocks[edged].astype(int) - ground) <= 20).mean() >= 0.55)


def detail_of(pixels: np.ndarray) -> float:
    """Mean difference of neighbours, levels of 0–255, in pixels (H, W, 3) uint8 brought to a long edge of 256."""
    import cv2

    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    scale = min(1.0, 256 / max(grey.shape))
    size = max(1, round(grey.shape[1] * scale)), max(1, round(grey.shape[0] * scale))
    small = cv2.resize(grey, size, interpolation=cv2.INTER_AREA).astype(np.float32)
    return float(sum(np.abs(np.diff(small, axis=axis)).sum() for axis in (0, 1)) / small.size)
