"""Colour harmony: a colour that clashes with the rest."""

import cv2
import numpy as np

from calm.edits.base import Edit, Edited, Map, Pixels, Random
from calm.edits.saturation import GREY, colourfulness
from calm.edits.subject import subject_map

FURTHEST = 120.0
"""Turn of the hue at severity 1, degrees."""
APART = 45
"""Degrees from the main hue from which a hue counts as another."""
BINS = 72


class ColourHarmony(Edit):
    """Part of the hues, or one region of the frame, turned to another hue and made stronger."""

    attribute = "colour_harmony"
    order = "colour"
    conflicts = frozenset({"white_balance", "saturation"})

    def apply(self, photo: Pixels, direction: str, severity: float, rng: Random, saliency: Map = None) -> Edited:
        sign = 1 if rng.random() < 0.5 else -1
        strength, outside, width = rng.uniform(0.75, 1.0), rng.random() < 0.5, rng.uniform(25, 60)
        if colourfulness(photo) < 1.6 * GREY:
            return photo, None
        hsv = cv2.cvtColor(photo, cv2.COLOR_RGB2HSV)
        other = _second_hue(hsv)
        if other is not None:
            away = np.abs((np.arange(361) - other + 180) % 360 - 180)
            window = np.clip((1.5 * width - away) / (0.5 * width), 0, 1).astype(np.float32)
            weight = np.take(window, hsv[..., 0].astype(np.intp), mode="clip")
        else:
            found = subject_map(saliency, photo.shape[0], photo.shape[1])
            weight = np.clip((found / max(float(found.max()), 1e-6) - 0.25) / 0.3, 0, 1)
            weight = 1 - weight if outside else weight
        turned = hsv.copy()
        turned[..., 0] = (hsv[..., 0] + sign * FURTHEST * strength * severity) % 360
        turned[..., 1] = np.minimum(hsv[..., 1] * (1 + 0.7 * severity), 0.95)
        changed = cv2.cvtColor(turned, cv2.COLOR_HSV2RGB)
        # keep the luma: only the colour is to clash
        changed += (cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY) - cv2.cvtColor(changed, cv2.COLOR_RGB2GRAY))[..., None]
        return np.clip(photo + (changed - photo) * weight[..., None], 0, 1), self.done(direction, severity)


def _second_hue(hsv: np.ndarray) -> float | None:
    """The strongest hue, degrees, apart from the photo's main one; None where there is but one."""
    small = cv2.resize(hsv, (96, 96), interpolation=cv2.INTER_NEAREST).reshape(-1, 3)
    weights, _ = np.histogram(small[:, 0], BINS, (0, 360), weights=small[:, 1] * small[:, 2])
    ring = np.concatenate([weights[-3:], weights, weights[:3]])
    smooth = np.convolve(ring, np.ones(7) / 7, "valid")
    centres = (np.arange(BINS) + 0.5) * 360 / BINS
    main = centres[smooth.argmax()]
    away = np.abs((centres - main + 180) % 360 - 180) > APART
    best = int(np.where(away, smooth, -1.0).argmax())
    near = np.abs((centres - centres[best] + 180) % 360 - 180) < 30
    enough = weights[near].sum() > 0.08 * max(weights.sum(), 1e-6)
    return float(centres[best]) if enough and smooth[best] > 0 else None
