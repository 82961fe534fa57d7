"""What is kept of every photo of a shoot, so that photos can be laid over one another without reading them again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

import cv2
import numpy as np
from scipy.stats import rankdata

from calm.data.images import Photo
from calm.library.exif import Exif, read_exif
from calm.library.sharpness import energies

POINTS_EDGE, SMALL_EDGE = 448, 160
"""Long edges, pixels, at which points are found and brightness is compared."""
POINTS = 400
GRID = 8
"""Side of the grid whose order of brightness is compared."""
LEAST_POINTS, FEW_POINTS = 12, 5
"""Points that two photos must share; and where they look the more alike for it."""
LEAST_ALIKE, FEW_ALIKE = 0.4, 0.75
"""Correlation of brightness, after its local mean is taken away, that two photos laid over one another must have, by so
many points. Photos of different scenes agree in fewer than five points (3,000 pairs)."""
IN_PLACE, LOST = 0.65, 0.5
"""The same of two photos that share too few points because in one of them such a share is black or burnt out."""
EVEN = (10, 245)
"""Brightness, 0–255, within which light can be compared: neither black nor burnt out."""
SAME_ASPECT = 0.02
"""Largest logarithm of the ratio of two frames' aspects that count as the same."""
FEW = 0.01
"""Share of what both show that must be so lit to tell by how much light differs."""
EQUAL = 1.0
"""Step of brightness, 0–255, up to which parts count as equally bright: a white wall has no order but noise."""


@dataclass(frozen=True)
class Sketch:
    """A photo in about 120 kB.

    Attributes:
        small: (h, w) uint8, brightness at a long edge of :data:`SMALL_EDGE`.
        points: (n, 2) float32, (x, y) of corners and blobs (SIFT) in long edges of the photo.
        descriptors: (n, 128) uint8 of the points.
        order: (GRID²,) float32 of length 1: the order of brightness over a grid, which no exposure changes; equal where
            brightness is.
        detail: fine and coarse detail of each part, see :func:`calm.library.sharpness.energies`.
        taken: seconds since 1970 by the camera's clock; None where the photo does not say.
        exposure: light that camera settings let in, in EV up to a constant; None where they are not known.
    """

    small: np.ndarray
    points: np.ndarray
    descriptors: np.ndarray
    order: np.ndarray
    detail: np.ndarray
    taken: float | None = None
    exposure: float | None = None

    @property
    def frame(self) -> tuple[float, float]:
        """(width, height) in long edges."""
        height, width = self.small.shape
        edge = max(height, width)
        return width / edge, height / edge

    @property
    def lost(self) -> bool:
        """Whether most of it is black or burnt out."""
        return float(((self.small <= EVEN[0]) | (self.small >= EVEN[1])).mean()) >= LOST


@dataclass(frozen=True)
class Overlay:
    """How one photo lies over another.

    Attributes:
        matrix: (3, 3), from points of the one to points of the other, in long edges.
        shared: share of the larger of both that both show, 0–1.
        scale: of the one in the other; 1 at the same focal length.
        brighter: by how many EV the other is brighter.
        points: that agree.
    """

    matrix: np.ndarray
    shared: float
    scale: float
    brighter: float
    points: int

    def back(self) -> Overlay:
        """How the other lies over the one."""
        return Overlay(np.linalg.inv(self.matrix), self.shared, 1 / self.scale, -self.brighter, self.points)


def sketch(photo: Photo, noted: Exif | None = None) -> Sketch:
    """The sketch of a photo, of which the camera noted what its file says (None), or ``noted``."""
    taken, exposure = _camera(noted or read_exif(photo.path))
    grey = cv2.cvtColor(photo.pixels, cv2.COLOR_RGB2GRAY)
    small, middle = shrink(grey, SMALL_EDGE), shrink(grey, POINTS_EDGE)
    even = cv2.createCLAHE(4.0, (8, 8)).apply(middle)  # points that ±2 EV leave where they are
    sift = cv2.SIFT_create(POINTS, contrastThreshold=0.01)  # type: ignore[attr-defined]
    points, descriptors = sift.detectAndCompute(even, None)
    edge = np.float32(max(middle.shape))
    places = np.array([point.pt for point in points], np.float32).reshape(-1, 2) / edge
    found = np.zeros((0, 128), np.uint8) if descriptors is None else descriptors.astype(np.uint8)
    grid = cv2.resize(grey.astype(np.float32), (GRID, GRID), interpolation=cv2.INTER_AREA)
    return Sketch(small, places, found, _order(grid.ravel()), energies(grey), taken, exposure)


def overlay(one: Sketch, other: Sketch) -> Overlay | None:
    """How two photos of one scene lie over one another; None where they do not show the same."""
    pairs = _matches(one.descriptors, other.descriptors)
    best, found = 0.0, None
    fittings = _fittings(one.points[pairs[:, 0]], other.points[pairs[:, 1]]) if len(pairs) >= FEW_POINTS else ()
    for matrix, agree in fittings:
        scale = _scale(matrix, one.frame) if agree >= FEW_POINTS else None
        if scale is not None:
            alike, brighter = _compare_light(one, other, matrix)
            if alike > max(best, LEAST_ALIKE if agree >= LEAST_POINTS else FEW_ALIKE):
                best = alike
                found = Overlay(matrix, _shared(matrix, one.frame, other.frame), scale, brighter, agree)
    if found is None and (one.lost or other.lost):
        return in_place(one, other, IN_PLACE)
    return found


def in_place(one: Sketch, other: Sketch, least: float) -> Overlay | None:
    """Two photos laid over one another as they are, where brightness is alike by ``least`` (a correlation)."""
    if abs(np.log(np.divide(*one.frame) / np.divide(*other.frame))) > SAME_ASPECT:
        return None
    alike, brighter = _compare_light(one, other, np.eye(3))
    return Overlay(np.eye(3), 1.0, 1.0, brighter, 0) if alike >= least else None


def _order(brightness: np.ndarray) -> np.ndarray:
    """(n,) float32 of length 1: ranks of brightness (n,), 0–255, around 0; 0 where all is equally bright."""
    inverse = np.argsort(np.argsort(brightness))
    levels = np.cumsum(np.diff(np.sort(brightness), prepend=brightness.min()) > EQUAL)
    ranks = rankdata(levels[inverse]) - (len(brightness) + 1) / 2
    return (ranks / (float(np.linalg.norm(ranks)) or 1.0)).astype(np.float32)


def _camera(found: Exif) -> tuple[float | None, float | None]:
    """When a photo was taken (seconds), and how much light its settings let in (EV up to a constant); None if unknown.

    EV is log2 of seconds × ISO / f-number².
    """
    taken = (found.taken.replace(tzinfo=None) - datetime(1970, 1, 1)).total_seconds() if found.taken else None
    if not (found.exposure_time and found.f_number and found.iso):
        return taken, None
    return taken, float(np.log2(found.exposure_time * found.iso / found.f_number**2))


def shrink(pixels: np.ndarray, edge: int) -> np.ndarray:
    """Pixels (H, W) or (H, W, 3) averaged down to a long edge; smaller ones as they are."""
    scale = edge / max(pixels.shape[:2])
    if scale >= 1:
        return pixels
    size = max(1, round(pixels.shape[1] * scale)), max(1, round(pixels.shape[0] * scale))
    return cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)


def _matches(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """(n, 2) places of descriptors that are each other's nearest, and much nearer than the second (Lowe 2004)."""
    if len(one) < 2 or len(other) < 2:
        return np.zeros((0, 2), int)
    a, b = one.astype(np.float32), other.astype(np.float32)
    squares = (a**2).sum(1)[:, None] + (b**2).sum(1) - 2 * a @ b.T
    nearest, second = np.partition(squares, 1, axis=1)[:, :2].T
    best = squares.argmin(1)
    mutual = squares.argmin(0)[best] == np.arange(len(a))
    chosen = mutual & (nearest < 0.8**2 * second)
    return np.column_stack([np.flatnonzero(chosen), best[chosen]])


def _fittings(here: np.ndarray, there: np.ndarray) -> Iterator[tuple[np.ndarray, int]]:
    """Matrices (3, 3) that bring points to points, and how many points agree: moved, turned and scaled alone, which few
    points determine, and seen from a camera that was turned.
    """
    within = 3 / POINTS_EDGE
    similar, agree = cv2.estimateAffinePartial2D(here, there, ransacReprojThreshold=within)
    if similar is not None:
        yield np.vstack([similar, [0, 0, 1]]), int(agree.sum())
    turned, agree = cv2.findHomography(here, there, cv2.USAC_MAGSAC, within, maxIters=2000, confidence=0.999)
    if turned is not None:
        yield turned, int(agree.sum())


def _scale(matrix: np.ndarray, frame: tuple[float, float]) -> float | None:
    """How much larger things are, in the middle of the frame; None where the frame is turned over or crushed."""
    outline = warp(matrix, corners(frame))
    x, y = frame[0] / 2, frame[1] / 2
    middle = warp(matrix, np.array([[x, y], [x + 0.01, y], [x, y + 0.01]]))
    jacobian = (middle[1:] - middle[0]).T / 0.01
    sizes = np.linalg.svd(jacobian, compute_uv=False)
    sides = np.roll(outline, -1, axis=0) - outline
    turns = sides[:, 0] * np.roll(sides, -1, axis=0)[:, 1] - sides[:, 1] * np.roll(sides, -1, axis=0)[:, 0]
    if np.linalg.det(jacobian) <= 0 or sizes[1] < 0.5 * sizes[0] or turns.min() <= 0:
        return None
    return float(np.sqrt(sizes[0] * sizes[1]))


def corners(frame: tuple[float, float]) -> np.ndarray:
    """(4, 2) of a frame of (width, height)."""
    width, height = frame
    return np.array([[0, 0], [width, 0], [width, height], [0, height]], float)


def warp(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    """(n, 2) points moved by a matrix (3, 3)."""
    moved = np.column_stack([points, np.ones(len(points))]) @ matrix.T
    return moved[:, :2] / moved[:, 2:]


def _shared(matrix: np.ndarray, one: tuple[float, float], other: tuple[float, float]) -> float:
    moved, fixed = (each.astype(np.float32) for each in (warp(matrix, corners(one)), corners(other)))
    both, _ = cv2.intersectConvexConvex(moved, fixed)
    return float(both / max(cv2.contourArea(moved), cv2.contourArea(fixed)))


def _compare_light(one: Sketch, other: Sketch, matrix: np.ndarray) -> tuple[float, float]:
    """Correlation of brightness where both show the same, and by how many EV the other is brighter there."""
    edges = [np.diag([max(each.small.shape)] * 2 + [1.0]) for each in (one, other)]
    fitting = edges[1] @ matrix @ np.linalg.inv(edges[0])
    height, width = other.small.shape
    warped = cv2.warpPerspective(one.small, fitting, (width, height))
    seen = cv2.warpPerspective(np.full_like(one.small, 255), fitting, (width, height)) > 250
    a, b = warped.astype(np.float32), other.small.astype(np.float32)
    even = seen & (np.minimum(a, b) > EVEN[0]) & (np.maximum(a, b) < EVEN[1])
    usable = even if even.sum() > 0.1 * seen.sum() else seen
    if usable.sum() < 50:
        return 0.0, 0.0
    light = [np.log2(each / 255 + 0.002) * 2.2 for each in (a, b)]
    brighter = float(np.median((light[1] - light[0])[even if even.sum() > FEW * seen.sum() else usable]))
    flat = [_local(each, usable) for each in (a, b)]
    return float(np.corrcoef(flat[0], flat[1])[0, 1]) if min(each.std() for each in flat) > 0 else 0.0, brighter


def _local(image: np.ndarray, part: np.ndarray) -> np.ndarray:
    """The pixels of a part less the mean of their surroundings within it."""
    weight = part.astype(np.float32)
    around = cv2.blur(image * weight, (31, 31)) / np.maximum(cv2.blur(weight, (31, 31)), 1e-3)
    return (image - around)[part]
