"""Clutter: small bright things near the edges that draw the eye away."""

import cv2
import numpy as np

from calm.edits.base import Edit, Edited, Map, Pixels, Random
from calm.edits.subject import subject_map

MOST = 9
"""Pieces at severity 1."""


class Clutter(Edit):
    """Pieces of the photo itself, cut out in irregular shapes, made brighter and set down near the edges."""

    attribute = "clutter"
    order = "content"
    conflicts = frozenset({"subject_emphasis"})

    def apply(self, photo: Pixels, direction: str, severity: float, rng: Random, saliency: Map = None) -> Edited:
        seeds = rng.random((MOST, 24))
        if min(photo.shape[:2]) < 64:
            return photo, None
        subject = subject_map(saliency, 32, 32)
        out = photo.copy()
        for number, draw in enumerate(seeds):
            opacity = float(np.clip(severity * MOST - number, 0, 1))
            if opacity > 0:
                _set_down(out, photo, subject, draw, opacity, severity)
        return out, self.done(direction, severity)


def _shape(piece: np.ndarray, draw: np.ndarray) -> np.ndarray:
    """(rows, columns) mask 0 … 1 of what stands out from the rim of a piece, so that it looks cut along an outline."""
    rows, columns = piece.shape[:2]
    blob = _blob(rows, columns, draw[1:8])
    rim = np.concatenate([piece[0], piece[-1], piece[:, 0], piece[:, -1]]).mean(0)
    apart = cv2.GaussianBlur(np.abs(piece - rim).max(2), (0, 0), max(piece.shape[:2]) / 40)
    typical = float(np.percentile(apart, 40))
    return (blob * np.clip((apart - 0.8 * typical) / max(0.5 * typical, 0.04), 0, 1)).astype(np.float32)


def _blob(rows: int, columns: int, draw: np.ndarray) -> np.ndarray:
    """(rows, columns) mask 0 … 1 of an irregular shape with a thin feather."""
    y, x = np.mgrid[-1 : 1 : rows * 1j, -1 : 1 : columns * 1j].astype(np.float32)
    angle, radius = np.arctan2(y, x), np.hypot(x, y)
    edge = 0.72 + sum(0.13 * draw[i] * np.sin((i + 2) * angle + 6.28 * draw[i + 3]) for i in range(3))
    feather = 0.06 + 0.1 * draw[6]
    return np.clip((edge - radius) / feather + 0.5, 0, 1)


def _set_down(
    out: np.ndarray, photo: np.ndarray, subject: np.ndarray, draw: np.ndarray, opacity: float, severity: float
) -> None:
    """Paste one piece of ``photo`` into ``out``; every choice comes from ``draw`` (24,), 0 … 1."""
    height, width = photo.shape[:2]
    size = max(height, width) * (0.06 + 0.08 * draw[0]) * (0.75 + 0.5 * severity)
    rows, columns = (
        int(np.clip(size * factor, 8, min(height, width) - 1)) for factor in (0.6 + draw[1], 0.6 + draw[2])
    )
    # the most striking of four places to cut from
    corners = [(int(draw[3 + i] * (height - rows)), int(draw[7 + i] * (width - columns))) for i in range(4)]
    pieces = [photo[top : top + rows, left : left + columns] for top, left in corners]
    piece = max(pieces, key=lambda each: float(each[::4, ::4].std() + np.ptp(each[::4, ::4], axis=2).mean()))
    piece = piece[:, ::-1] if draw[11] < 0.5 else piece
    piece = np.rot90(piece, 2) if draw[12] < 0.5 else piece
    mask = _shape(piece, draw) * np.float32(opacity)
    piece = np.clip(piece * np.float32(1.1 + 0.4 * draw[13]), 0, 1) ** np.float32(0.85)
    # the nearest the edge and the farthest from the subject of three places to set it down
    places = []
    for i in range(3):
        side, along, into = draw[14 + i], draw[17 + i], 0.06 + 0.1 * draw[20 + i]
        y, x = ((into, along), (1 - into, along), (along, into), (along, 1 - into))[int(side * 4) % 4]
        places.append((float(subject[min(int(y * 32), 31), min(int(x * 32), 31)]), y, x))
    _, y, x = min(places)
    top = int(np.clip(y * height - rows / 2, 0, height - rows))
    left = int(np.clip(x * width - columns / 2, 0, width - columns))
    target = out[top : top + rows, left : left + columns]
    target += (piece - target) * mask[..., None]
