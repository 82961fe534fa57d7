"""Cues of the main subject: where it sits in the frame, how much of it there is, and how it stands out.

They are read from a saliency map of the photo as it is, so that a subject that was pushed to a side, cut off, made
small or darkened can be told: what the encoder's averaged features no longer hold (docs/lab.md, 28).
"""

from __future__ import annotations

import cv2
import numpy as np

GRID = 64
"""Side of the grid that maps are read on."""
SHOWN = 0.4
"""Share of a map's peak from which a place belongs to the subject."""
_SIDES = ("left", "right", "up", "down")


def subject_cues(saliency: np.ndarray, pixels: np.ndarray) -> dict[str, float]:
    """Cues of the subject by name.

    Args:
        saliency: (h, w) map, 0 (nothing there) … 1, of the whole frame.
        pixels: (H, W, 3) uint8, the same frame in any size.

    Returns:
        ``subject_peak`` 0–1; shares of the frame: ``subject_room_SIDE`` between subject and side, the same of
        its core as ``subject_core_SIDE``, ``subject_wide``, ``subject_tall``, ``subject_share``, ``subject_x``,
        ``subject_y``, ``subject_spread``; ``subject_touch_SIDE``, salience along that side over the peak;
        ``subject_main``, share of the salient area in its largest part; and how it differs from what is around it:
        ``subject_light`` (EV), ``subject_chroma`` (CIE Lab) and ``subject_detail`` (natural logarithm).
    """
    grid = cv2.resize(np.asarray(saliency, np.float32), (GRID, GRID), interpolation=cv2.INTER_AREA)
    peak = float(grid.max())
    relative = grid / max(peak, 1e-3)
    columns, rows = relative.max(axis=0), relative.max(axis=1)
    shown = relative > SHOWN
    found = {"subject_peak": peak}
    for name, level in (("room", SHOWN), ("core", 0.75)):
        (left, right), (up, down) = _ends(columns > level), _ends(rows > level)
        found |= {f"subject_{name}_{side}": v for side, v in zip(_SIDES, (left, right, up, down), strict=True)}
    found["subject_wide"] = 1 - found["subject_room_left"] - found["subject_room_right"]
    found["subject_tall"] = 1 - found["subject_room_up"] - found["subject_room_down"]
    found["subject_share"] = float(shown.mean())
    weight = relative * shown + 1e-6
    places = (np.arange(GRID, dtype=np.float32) + 0.5) / GRID
    total = float(weight.sum())
    x, y = float((weight.sum(0) * places).sum() / total), float((weight.sum(1) * places).sum() / total)
    apart = (places[None] - x) ** 2 + (places[:, None] - y) ** 2
    found |= {"subject_x": x, "subject_y": y, "subject_spread": float(np.sqrt((weight * apart).sum() / total))}
    strips = relative[:, :2], relative[:, -2:], relative[:2], relative[-2:]
    found |= {f"subject_touch_{side}": float(strip.max(axis=None)) for side, strip in zip(_SIDES, strips, strict=True)}
    _, _, stats, _ = cv2.connectedComponentsWithStats(shown.astype(np.uint8))
    areas = stats[1:, cv2.CC_STAT_AREA]
    found["subject_main"] = float(areas.max() / areas.sum()) if len(areas) else 0.0
    return found | _contrast(relative, shown, pixels)


def _ends(inside: np.ndarray) -> tuple[float, float]:
    """Shares of a line before the first and after the last place inside; (1, 0) where none is."""
    places = np.flatnonzero(inside)
    return (float(places[0]) / len(inside), 1 - float(places[-1] + 1) / len(inside)) if len(places) else (1.0, 0.0)


def _contrast(relative: np.ndarray, shown: np.ndarray, pixels: np.ndarray) -> dict[str, float]:
    """The subject against the rest of the frame."""
    small = cv2.resize(pixels, (2 * GRID, 2 * GRID), interpolation=cv2.INTER_AREA)
    lab = cv2.cvtColor(small.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    detail = cv2.resize(np.abs(cv2.Laplacian(lab[..., 0], cv2.CV_32F)), (GRID, GRID), interpolation=cv2.INTER_AREA)
    linear = cv2.resize((small.astype(np.float32) / 255) ** 2.2, (GRID, GRID), interpolation=cv2.INTER_AREA).mean(2)
    light = np.log2(linear + 0.004)
    chroma = cv2.resize(np.hypot(lab[..., 1], lab[..., 2]), (GRID, GRID), interpolation=cv2.INTER_AREA)
    away = relative < 0.2
    if not shown.any() or not away.any():
        return {"subject_light": 0.0, "subject_chroma": 0.0, "subject_detail": 0.0}
    return {
        "subject_light": float(light[shown].mean() - light[away].mean()),
        "subject_chroma": float(chroma[shown].mean() - chroma[away].mean()),
        "subject_detail": float(np.log(detail[shown].mean() + 0.3) - np.log(detail[away].mean() + 0.3)),
    }


SUBJECT_NAMES: tuple[str, ...] = tuple(subject_cues(np.zeros((8, 8), np.float32), np.zeros((8, 8, 3), np.uint8)))
"""Names of the cues, in their order."""
