"""Where the main subject is: maps and boxes that the edits of framing, emphasis and clutter go by."""

from dataclasses import dataclass

import cv2
import numpy as np

GRID = 64
PRESENT = 0.25
"""Peak of a saliency map below which nothing in the photo stands out."""
WHOLE = 0.6
"""Share of the salient area that its largest part must have to count as one subject."""


@dataclass(frozen=True)
class Box:
    """A rectangle in shares of the frame, 0–1."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def width(self) -> float:
        return self.right - self.left

    @property
    def height(self) -> float:
        return self.bottom - self.top

    @property
    def extent(self) -> float:
        """The larger of width and height: how much of the frame the subject spans."""
        return max(self.width, self.height)

    def room(self, side: str) -> float:
        """Share of the frame between the box and a side (left, right, up, down)."""
        return {"left": self.left, "right": 1 - self.right, "up": self.top, "down": 1 - self.bottom}[side]


CENTRE = Box(0.3, 0.3, 0.7, 0.7)
"""Where a subject is taken to be when nothing is known."""


def subject_map(saliency: np.ndarray | None, height: int, width: int) -> np.ndarray:
    """A saliency map at (height, width), 0 … 1; a soft blob in the centre for None."""
    if saliency is not None:
        return cv2.resize(np.asarray(saliency, np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j].astype(np.float32)
    return np.exp(-(x**2 + y**2) / 0.35).astype(np.float32)


def subject_box(saliency: np.ndarray | None) -> Box | None:
    """The one main subject of a saliency map (h, w), the middle of the frame for None; None where there is no one."""
    if saliency is None:
        return CENTRE
    grid = cv2.resize(np.asarray(saliency, np.float32), (GRID, GRID), interpolation=cv2.INTER_AREA)
    peak = float(grid.max())
    if peak < PRESENT:
        return None
    shown = (grid > 0.4 * peak).astype(np.uint8)
    count, _, stats, _ = cv2.connectedComponentsWithStats(shown)
    largest = 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())
    left, top, width, height, area = (int(each) for each in stats[largest])
    if area < WHOLE * int(shown.sum()) or count < 2:
        return None
    return Box(left / GRID, top / GRID, (left + width) / GRID, (top + height) / GRID)


def guess_saliency(photo: np.ndarray) -> np.ndarray:
    """(64, 64) rough map of what differs from the borders of a photo (H, W, 3) float32, leaning to the centre."""
    small = cv2.resize(photo, (GRID, GRID), interpolation=cv2.INTER_AREA)
    lab = cv2.GaussianBlur(cv2.cvtColor(small, cv2.COLOR_RGB2LAB), (0, 0), 1.5)
    border = np.concatenate([lab[:4].reshape(-1, 3), lab[-4:].reshape(-1, 3), lab[:, :4].reshape(-1, 3)])
    apart = np.linalg.norm((lab - border.mean(0)) / (border.std(0) + 6.0), axis=2)
    found = apart * (0.3 + subject_map(None, GRID, GRID))
    return (found / max(float(found.max()), 1e-6)).astype(np.float32)
