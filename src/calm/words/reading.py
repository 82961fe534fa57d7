"""What the whole frame at 224×224 tells of light, colour, subject and background: cheap, and blind to scale.

Everything here is read from the frame as the encoder sees it, squashed to a square, so that a comment about it can be
learnt from that frame. What needs native pixels (sharpness, noise, compression) is in :mod:`calm.data.measure`.
"""

from __future__ import annotations

import numpy as np

SIZE = 224
"""Side of the frame that is read, px; a smaller grid is used for colour and light."""
GRID = 112
"""Side of the grid for light, colour and subject, px."""

HUES: tuple[tuple[str, float], ...] = (
    ("pink", 0.0),
    ("red", 30.0),
    ("orange", 60.0),
    ("yellow", 90.0),
    ("green", 130.0),
    ("teal", 190.0),
    ("blue", 265.0),
    ("purple", 320.0),
)
"""Hues by their angle in CIELAB, degrees; a pixel has the hue nearest to it."""
COLOURS: tuple[str, ...] = (*(name for name, _ in HUES), "brown", "beige", "white", "grey", "black")
"""Names of colours as people use them: dark or pale oranges are browns and beiges, and greys have no hue."""
COLOURED = 12.0
"""Chroma (CIELAB) above which a pixel has a hue that counts."""
GREYISH = 8.0
"""Chroma (CIELAB) up to which a pixel is called white, grey or black."""


def read_frame(pixels: np.ndarray, saliency: np.ndarray | None = None) -> dict[str, float]:
    """Numbers about the whole frame.

    Args:
        pixels: (H, W, 3) uint8, sRGB, upright.
        saliency: (h, w) map of the main subject, uint8 or float 0–1, or None where there is none.

    Returns:
        Names to values. Light: ``mean``, ``p1`` … ``p99`` (luma 0–1), ``clip_high``, ``clip_low`` (shares).
        Colour (CIELAB): ``chroma`` (mean), ``chroma90``, ``chroma99``, ``a``, ``b`` (means), ``bright_a``, ``bright_b``
        (of the brightest parts), deciles ``a10`` … ``b90``, ``hue:NAME`` and ``colour:NAME`` (shares of the frame),
        ``coloured`` (share), ``hue_spread`` (0 one hue, 1 all). Frame: ``left_right``, ``top_bottom`` (differences of
        luma), ``symmetry`` (−1–1), ``edges`` (share of the frame with strong edges), ``fine`` (log
        ratio of finest to coarser detail). With a saliency map also
        ``subject_*``, ``background_*``, ``touch_SIDE`` (share of that side) and ``room`` (share of the frame).
    """
    import cv2

    frame = cv2.resize(pixels, (SIZE, SIZE), interpolation=cv2.INTER_AREA)
    small = cv2.resize(frame, (GRID, GRID), interpolation=cv2.INTER_AREA)
    luma = small.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32) / 255
    lab = cv2.cvtColor(small.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY).astype(np.float32) / 255
    gradient = cv2.magnitude(cv2.Sobel(grey, cv2.CV_32F, 1, 0), cv2.Sobel(grey, cv2.CV_32F, 0, 1)) / 4
    detail = cv2.resize(gradient, (GRID, GRID), interpolation=cv2.INTER_AREA)

    found = _light(luma, small) | _colour(lab) | _layout(luma)
    found["edges"] = float((detail > 0.06).mean())
    found["fine"] = _fine(grey * 255)
    if saliency is not None:
        found |= _subject(saliency, luma, lab, detail)
    return found


def _fine(grey: np.ndarray) -> float:
    """How much finer the detail of the sharpest places is at full than at half size (log ratio; below 0 for blur)."""
    import cv2

    energies = []
    for image in (grey, cv2.pyrDown(grey)):
        squares = cv2.Laplacian(image, cv2.CV_32F) ** 2
        energies.append(np.log(np.percentile(cv2.resize(squares, (14, 14), interpolation=cv2.INTER_AREA), 95) + 0.5))
    return float(energies[0] - energies[1])


def _light(luma: np.ndarray, small: np.ndarray) -> dict[str, float]:
    points = np.percentile(luma, (1, 5, 25, 50, 75, 95, 99))
    names = ("p1", "p5", "p25", "p50", "p75", "p95", "p99")
    found = dict(zip(names, map(float, points), strict=True))
    found["mean"] = float(luma.mean())
    found["clip_high"] = float((small.min(axis=2) >= 250).mean())
    found["clip_low"] = float((small.max(axis=2) <= 8).mean())
    return found


def _colour(lab: np.ndarray) -> dict[str, float]:
    light, a, b = lab[..., 0], lab[..., 1], lab[..., 2]
    chroma = np.hypot(a, b)
    found = {"chroma": float(chroma.mean()), "chroma90": float(np.percentile(chroma, 90))}
    found["chroma99"] = float(np.percentile(chroma, 99))
    found |= {"a": float(a.mean()), "b": float(b.mean())}
    for name, plane in (("a", a), ("b", b)):
        low, high = np.percentile(plane, (10, 90))
        found |= {f"{name}10": float(low), f"{name}90": float(high)}
    bright = light >= max(60.0, float(np.percentile(light, 90)))
    for name, plane in (("bright_a", a), ("bright_b", b)):
        found[name] = float(plane[bright].mean()) if bright.any() else 0.0
    coloured = chroma > COLOURED
    angle = np.degrees(np.arctan2(b, a)) % 360
    centres = np.array([centre for _, centre in HUES], np.float32)
    nearest = np.abs((angle[..., None] - centres + 180) % 360 - 180).argmin(axis=-1)
    shares = np.bincount(nearest[coloured], minlength=len(HUES)) / chroma.size
    found |= {f"hue:{name}": float(share) for (name, _), share in zip(HUES, shares, strict=True)}
    shares = np.bincount(_names(nearest, light, chroma).ravel(), minlength=len(COLOURS)) / chroma.size
    found |= {f"colour:{name}": float(share) for name, share in zip(COLOURS, shares, strict=True)}
    found["coloured"] = float(coloured.mean())
    weight = chroma * coloured
    total = float(weight.sum())
    vector = np.hypot((weight * np.cos(np.radians(angle))).sum(), (weight * np.sin(np.radians(angle))).sum())
    found["hue_spread"] = 1.0 - float(vector) / total if total > 0 else 0.0
    return found


def _names(hue: np.ndarray, light: np.ndarray, chroma: np.ndarray) -> np.ndarray:
    """Index into ``COLOURS`` of every pixel, from its hue's index, lightness 0–100 and chroma."""
    index = {name: i for i, name in enumerate(COLOURS)}
    names = hue.copy()
    names[(hue == index["pink"]) & (light < 45)] = index["red"]
    names[(hue == index["red"]) & (light > 65) & (chroma < 45)] = index["pink"]
    earthy = ((hue == index["orange"]) | (hue == index["yellow"]) | (hue == index["red"])) & (chroma < 36)
    names[earthy & (light < 65) & (hue != index["red"])] = index["brown"]
    names[earthy & (light < 40) & (hue == index["red"]) & (chroma < 28)] = index["brown"]
    names[earthy & (light >= 65) & (hue != index["red"])] = index["beige"]
    plain = (chroma <= GREYISH) | (light < 10)
    names[plain] = index["grey"]
    names[plain & (light > 82)] = index["white"]
    names[plain & (light < 22)] = index["black"]
    return names


def _layout(luma: np.ndarray) -> dict[str, float]:
    third = GRID // 3
    blocks = luma.reshape(28, GRID // 28, 28, GRID // 28).mean(axis=(1, 3))
    centred = blocks - blocks.mean()
    spread = float((centred**2).sum())
    return {
        "left_right": float(luma[:, :third].mean() - luma[:, -third:].mean()),
        "top_bottom": float(luma[:third].mean() - luma[-third:].mean()),
        "symmetry": float((centred * centred[:, ::-1]).sum() / spread) if spread > 1e-6 else 0.0,
    }


def subject_map(saliency: np.ndarray) -> np.ndarray:
    """The map on the grid, (GRID, GRID) float32 from 0 (least salient place) to 1 (most)."""
    import cv2

    grid = cv2.resize(np.asarray(saliency, np.float32), (GRID, GRID), interpolation=cv2.INTER_AREA)
    low, high = float(grid.min()), float(grid.max())
    return (grid - low) / (high - low) if high - low > 1e-6 else np.zeros_like(grid)


def _subject(saliency: np.ndarray, luma: np.ndarray, lab: np.ndarray, detail: np.ndarray) -> dict[str, float]:
    import cv2

    grid = subject_map(saliency)
    peak = float(np.max(saliency)) / (255.0 if np.asarray(saliency).dtype == np.uint8 else 1.0)
    mask = (grid > 0.5).astype(np.uint8)
    share = float(mask.mean())
    total = float(grid.sum()) or 1.0
    ys, xs = np.mgrid[0:GRID, 0:GRID].astype(np.float32) / (GRID - 1)
    heavy = grid * mask
    mass = float(heavy.sum()) or 1.0
    x, y = float((heavy * xs).sum() / mass), float((heavy * ys).sum() / mass)
    closed = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, np.ones((9, 9), np.uint8))
    _, _, stats, _ = cv2.connectedComponentsWithStats(closed, connectivity=8)
    areas = np.sort(stats[1:, cv2.CC_STAT_AREA])[::-1] if len(stats) > 1 else np.zeros(1)
    large = areas[areas >= max(0.15 * areas[0], 0.003 * mask.size)] if areas[0] else areas[:0]
    border = {"left": mask[:, :2], "right": mask[:, -2:], "top": mask[:2], "bottom": mask[-2:]}
    found = {
        "subject_peak": peak,
        "subject_x": x,
        "subject_y": y,
        "subject_share": share,
        "subject_reach": float((grid > 0.25).mean()),
        "subject_count": float(len(large)),
        "subject_main": float(areas[0] / max(areas.sum(), 1)),
        "subject_mass": float((grid * mask).sum() / total),
        "subject_spread": float(np.sqrt((heavy * ((xs - x) ** 2 + (ys - y) ** 2)).sum() / mass)),
    }
    found |= {f"touch_{side}": float(strip.mean()) for side, strip in border.items()}
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if len(rows):
        found["room"] = float(min(rows[0], columns[0], GRID - 1 - rows[-1], GRID - 1 - columns[-1]) / GRID)
    away = grid < 0.2
    if mask.sum() >= 20 and away.sum() >= 200:
        inside = mask.astype(bool)
        found["subject_luma"] = float(luma[inside].mean())
        found["subject_light"] = float(luma[inside].mean() - luma[away].mean())
        found["subject_colour"] = float(np.hypot(*(lab[inside][:, 1:].mean(0) - lab[away][:, 1:].mean(0))))
        found["subject_detail"] = float(np.log(np.percentile(detail[inside], 80) + 0.005))
        found["background_detail"] = float(np.log(np.percentile(detail[away], 80) + 0.005))
        found["background_edges"] = float((detail[away] > 0.06).mean())
    return found
