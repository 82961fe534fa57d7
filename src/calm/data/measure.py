"""Cheap measurements of pixels: light, colour, detail, noise, compression, fall-off and lines.

They serve twice: as input beside the encoder's features (colour and fine detail are what a frozen encoder forgets),
and as the ground on which comments stand. Detail, noise and compression are read at native pixels of the photo at its
reference size (long edge 1024).
"""

from pathlib import Path

import cv2
import numpy as np
import yaml

PERCENTILES = (1, 5, 25, 50, 75, 95, 99)
_LONG_EDGE = 1024
_LINE_RANGE = 12.0
_SEGMENTS_EDGE = 512
_LEAN = 14.0
_LEAST = 32
"""Side, pixels, to which smaller photos are repeated so that every cue has something to read."""


def measurements(pixels: np.ndarray) -> dict[str, float]:
    """Every cue by name, in natural units, for a photo (H, W, 3) uint8.

    Luma and percentiles are 0–255; shares 0–1; ``a_*``/``b_*`` are CIE Lab axes (b > 0 is yellow) of dark, middle and
    bright parts; ``sharp_*`` are natural logarithms of variances; ``noise_*`` are standard deviations, 0–255;
    ``block_*`` is the mean step across the strongest 8-pixel grid over that inside it; ``falloff_*`` compares log2
    light of corners and centre (EV); ``line_*`` is the mean lean of near-horizontal and near-vertical edges in degrees
    (clockwise is positive), ``segment_*`` that of straight lines.
    """
    if min(pixels.shape[:2]) < _LEAST:
        size = max(_LEAST, pixels.shape[1]), max(_LEAST, pixels.shape[0])
        pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_NEAREST)
    lab = cv2.cvtColor(pixels, cv2.COLOR_RGB2LAB).astype(np.float32)
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY).astype(np.float32)
    small = cv2.resize(pixels, _fit(pixels, 256), interpolation=cv2.INTER_AREA)
    return {
        **_light(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY).astype(np.float32), grey),
        **_colour(cv2.resize(lab, _fit(pixels, 256), interpolation=cv2.INTER_AREA)),
        **_detail(grey),
        **_noise(grey, lab),
        **_blocks(grey),
        **_falloff(small),
        **_lines(grey),
        **_segments(grey),
        "log_aspect": float(np.log(pixels.shape[1] / pixels.shape[0])),
        "log_size": float(np.log(max(pixels.shape[:2]) / _LONG_EDGE)),
    }


def _fit(pixels: np.ndarray, edge: int) -> tuple[int, int]:
    """(width, height) with a long edge of at most ``edge``."""
    height, width = pixels.shape[:2]
    scale = min(1.0, edge / max(height, width))
    return max(1, round(width * scale)), max(1, round(height * scale))


def _light(small: np.ndarray, grey: np.ndarray) -> dict[str, float]:
    levels = np.percentile(small, PERCENTILES)
    found = {"luma_mean": float(small.mean()), "luma_spread": float(small.std())}
    found |= {f"luma_{p}": float(level) for p, level in zip(PERCENTILES, levels, strict=True)}
    found["clipped_dark"] = float((grey <= 4).mean())
    found["clipped_bright"] = float((grey >= 251).mean())
    found["luma_range"] = float(levels[-1] - levels[0])
    return found


def _colour(lab: np.ndarray) -> dict[str, float]:
    light, a, b = lab[..., 0], lab[..., 1] - 128, lab[..., 2] - 128
    chroma = np.hypot(a, b)
    found = {"chroma_mean": float(chroma.mean()), "chroma_spread": float(chroma.std())}
    found |= {f"chroma_{p}": float(v) for p, v in zip((25, 75, 95), np.percentile(chroma, (25, 75, 95)), strict=True)}
    weight = chroma.sum() + 1e-3
    found["hue_concentration"] = float(np.hypot(a.sum(), b.sum()) / weight)
    found["neutral_share"] = float((chroma < 6).mean())
    low, high = np.percentile(light, (30, 70))
    for name, part in (("dark", light <= low), ("middle", (light > low) & (light < high)), ("bright", light >= high)):
        inside = part if part.any() else np.ones_like(part)
        found[f"a_{name}"], found[f"b_{name}"] = float(a[inside].mean()), float(b[inside].mean())
    near = chroma < np.percentile(chroma, 30) + 1
    found["a_neutral"], found["b_neutral"] = float(a[near].mean()), float(b[near].mean())
    top = light >= np.percentile(light, 97)
    found["a_top"], found["b_top"] = float(a[top].mean()), float(b[top].mean())
    return found


def _detail(grey: np.ndarray) -> dict[str, float]:
    found = {}
    image = grey
    for scale in range(3):
        laplacian = cv2.Laplacian(image, cv2.CV_32F)
        found[f"sharp_{scale}"] = _log(float(laplacian.var()))
        if scale == 0:
            squares = cv2.resize(laplacian**2, (12, 12), interpolation=cv2.INTER_AREA)
            found["sharp_best"] = _log(float(np.percentile(squares, 95)))
            found["sharp_median"] = _log(float(np.median(squares)))
        image = cv2.pyrDown(image)
    found["sharp_fall"] = found["sharp_0"] - found["sharp_2"]
    horizontal, vertical = cv2.Sobel(grey, cv2.CV_32F, 1, 0), cv2.Sobel(grey, cv2.CV_32F, 0, 1)
    found["gradient"] = _log(float((horizontal**2 + vertical**2).mean()))
    # Motion blur takes gradients away along one direction only.
    xx, yy, xy = (
        float((p * q).mean()) for p, q in ((horizontal, horizontal), (vertical, vertical), (horizontal, vertical))
    )
    found["anisotropy"] = float(np.hypot(xx - yy, 2 * xy) / (xx + yy + 1e-3))
    second = [float(np.abs(cv2.filter2D(grey, cv2.CV_32F, kernel)).mean()) for kernel in _SECOND]
    found["second_anisotropy"] = _log(max(second)) - _log(min(second))
    return found


_SECOND = [
    np.array([[0, 0, 0], [1, -2, 1], [0, 0, 0]], np.float32),
    np.array([[0, 1, 0], [0, -2, 0], [0, 1, 0]], np.float32),
    np.array([[1, 0, 0], [0, -2, 0], [0, 0, 1]], np.float32),
    np.array([[0, 0, 1], [0, -2, 0], [1, 0, 0]], np.float32),
]


def _noise(grey: np.ndarray, lab: np.ndarray) -> dict[str, float]:
    """Median absolute high-pass residual of the flattest fifth of 16-pixel blocks (Immerkaer's kernel, 1996)."""
    kernel = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32) / 6
    residual = np.abs(cv2.filter2D(grey, cv2.CV_32F, kernel))
    count = max(2, grey.shape[0] // 16), max(2, grey.shape[1] // 16)
    blocks = cv2.resize(residual, count[::-1], interpolation=cv2.INTER_AREA) * 1.2533
    flat = np.percentile(blocks, (10, 30, 50))
    chroma = np.abs(cv2.filter2D(lab[..., 1:], cv2.CV_32F, kernel)).mean(axis=2)
    colour = cv2.resize(chroma, count[::-1], interpolation=cv2.INTER_AREA) * 1.2533
    return {
        "noise_flat": float(flat[0]),
        "noise_luma": float(flat[1]),
        "noise_middle": float(flat[2]),
        "noise_chroma": float(np.percentile(colour, 30)),
    }


def _blocks(grey: np.ndarray) -> dict[str, float]:
    """Second differences across every eighth line against those between, for the offset where they are largest."""
    found = {}
    ratios = []
    for axis in (0, 1):
        steps = np.abs(np.diff(grey, axis=axis))
        middle = steps[1:-1] if axis == 0 else steps[:, 1:-1]
        around = (steps[:-2] + steps[2:]) / 2 if axis == 0 else (steps[:, :-2] + steps[:, 2:]) / 2
        excess = np.minimum(middle, 24) - np.minimum(around, 24)
        profile = excess.mean(axis=1 - axis)
        folded = np.array([profile[offset::8].mean() if len(profile) > offset else 0.0 for offset in range(8)])
        base = float(np.minimum(around, 24).mean()) + 0.3
        ratios.append((folded.max() - np.median(folded)) / base)
        found[f"block_{'rows' if axis == 0 else 'columns'}"] = float(ratios[-1])
    found["block_both"] = float(min(ratios))
    # Compression leaves flat 8 × 8 blocks without any texture.
    height, width = (side // 8 * 8 for side in grey.shape)
    cells = (
        grey[:height, :width].reshape(height // 8, 8, width // 8, 8) if height and width else grey.reshape(1, 1, 1, -1)
    )
    found["flat_blocks"] = float((cells.std(axis=(1, 3)) < 1.0).mean())
    return found


def _falloff(small: np.ndarray) -> dict[str, float]:
    linear = (small.astype(np.float32) / 255) ** 2.2
    light = np.log2(linear.mean(axis=2) + 0.004)
    height, width = light.shape
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    radius = np.hypot(x, y) / np.sqrt(2)
    centre, ring, edge = (
        light[part].mean() for part in (radius < 0.35, (radius > 0.5) & (radius < 0.75), radius > 0.8)
    )
    slope = np.cov(radius.ravel() ** 2, light.ravel())
    corners = [light[: height // 6 + 1, : width // 6 + 1], light[: height // 6 + 1, -width // 6 :]]
    corners += [light[-height // 6 :, : width // 6 + 1], light[-height // 6 :, -width // 6 :]]
    means = [float(corner.mean()) for corner in corners]
    return {
        "falloff_corner": float(edge - centre),
        "falloff_ring": float(ring - centre),
        "falloff_slope": float(slope[0, 1] / (slope[0, 0] + 1e-6)),
        "falloff_fit": float(slope[0, 1] / (np.sqrt(slope[0, 0] * slope[1, 1]) + 1e-6)),
        "falloff_brightest": float(max(means) - centre),
    }


def _lines(grey: np.ndarray) -> dict[str, float]:
    image = cv2.GaussianBlur(grey, (0, 0), 1.2)
    x, y = cv2.Sobel(image, cv2.CV_32F, 1, 0), cv2.Sobel(image, cv2.CV_32F, 0, 1)
    size = np.hypot(x, y)
    strong = size > max(float(np.percentile(size, 90)), 8.0)
    weight = size[strong]
    angle = np.degrees(np.arctan2(y[strong], x[strong]))
    found = {}
    for name, turn in (("vertical", 0.0), ("horizontal", 90.0)):
        lean = (angle - turn + 90) % 180 - 90
        near = np.abs(lean) < _LINE_RANGE
        total = float(weight[near].sum())
        found[f"line_{name}"] = float((lean[near] * weight[near]).sum() / total) if total > 0 else 0.0
        share = np.histogram(lean[near], bins=24, range=(-_LINE_RANGE, _LINE_RANGE), weights=weight[near])[0]
        peak = int(share.argmax()) if total > 0 else 12
        found[f"line_{name}_peak"] = float(peak - 11.5) if total > 0 else 0.0
        found[f"line_{name}_share"] = total / (float(weight.sum()) + 1e-3)
        found[f"line_{name}_order"] = float(share.max() / (total + 1e-3))
    return found


def _segments(grey: np.ndarray) -> dict[str, float]:
    """Lean of straight line segments (LSD, Grompone von Gioi et al. 2010), long ones counting most.

    A turned camera leans near-level and near-upright lines by the same angle, which perspective does not.
    """
    width, height = _fit(grey, _SEGMENTS_EDGE)
    image = cv2.resize(grey, (width, height), interpolation=cv2.INTER_AREA).astype(np.uint8)
    lines = cv2.createLineSegmentDetector(cv2.LSD_REFINE_STD).detect(image)[0]
    ends = np.zeros((0, 4), np.float32) if lines is None else lines.reshape(-1, 4)
    across, down = ends[:, 2] - ends[:, 0], ends[:, 3] - ends[:, 1]
    length = np.hypot(across, down) / np.hypot(width, height)
    angle = np.degrees(np.arctan2(down, across))
    leans = np.arange(-_LEAN, _LEAN + 0.25, 0.5)
    found: dict[str, float] = {}
    curves = []
    for name, turn in (("vertical", 90.0), ("horizontal", 0.0)):
        lean = (angle - turn + 90) % 180 - 90
        near = (np.abs(lean) < _LEAN) & (length > 0.03)
        weight = length[near] ** 1.5
        curve = (weight * np.exp(-0.5 * ((leans[:, None] - lean[near]) / 0.8) ** 2)).sum(axis=1)
        curves.append(curve)
        order = np.argsort(lean[near])
        half = np.searchsorted(np.cumsum(weight[order]), weight.sum() / 2) if near.any() else 0
        found |= {
            f"segment_{name}_peak": float(leans[curve.argmax()]) if near.any() else 0.0,
            f"segment_{name}_median": float(lean[near][order][half]) if near.any() else 0.0,
            f"segment_{name}_order": float(curve.max() / (weight.sum() + 1e-3)),
            f"segment_{name}_length": float(np.log1p(100 * weight.sum())),
        }
    both = np.sqrt(curves[0] * curves[1]) + 0.25 * (curves[0] + curves[1])
    level = both[np.abs(leans) < 0.75].max()
    found["segment_peak"] = float(leans[both.argmax()]) if both.max() > 0 else 0.0
    found["segment_level"] = float(level / (both.max() + 1e-3))
    return found


def _log(value: float) -> float:
    return float(np.log(value + 0.05))


MEASURE_NAMES: tuple[str, ...] = tuple(measurements(np.zeros((32, 48, 3), np.uint8)))
"""Names of the cues of pixels, in the order of :func:`measurements`."""

CENTRE_SPREAD: dict[str, tuple[float, float]] = yaml.safe_load(
    (Path(__file__).parent / "measure.yaml").read_text(encoding="utf-8")
)
"""Median, and half the 16–84 % range, of each measurement by name."""

_CENTRE, _SPREAD = (
    np.array(column, np.float32) for column in zip(*(CENTRE_SPREAD[n] for n in MEASURE_NAMES), strict=True)
)


def measure(pixels: np.ndarray) -> np.ndarray:
    """The cues of a photo (H, W, 3) uint8, standardised: (len(MEASURE_NAMES),)."""
    return standardise(measurements(pixels))


def standardise(cues: dict[str, float]) -> np.ndarray:
    """Cues as numbers of like size: (len(MEASURE_NAMES),) float32, within ±5, and 0 for one that is not known.

    Args:
        cues: :func:`measurements`, or some of them.
    """
    values = np.array([cues.get(name, np.nan) for name in MEASURE_NAMES], np.float32)
    return np.nan_to_num(np.clip((values - _CENTRE) / _SPREAD, -5, 5), nan=0.0)
