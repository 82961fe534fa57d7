"""Colour harmony: a colour that clashes with the rest."""

from __future__ import annotations

import cv2
import numpy as np

from calm.edits.base import Applied, Edit, Phrases
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

    def amount(self, direction: str, severity: float) -> None:
        return None

    def apply(
        self,
        photo: np.ndarray,
        direction: str,
        severity: float,
        rng: np.random.Generator,
        saliency: np.ndarray | None = None,
    ) -> tuple[np.ndarray, Applied | None]:
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

    phrases = {
        "improve": Phrases(
            wrong=(
                "The colours clash {very}.",
                "The colours do not go together.",
                "There is {a} clash of colours.",
                "One colour sticks out {very} from the others.",
                "The palette is {quite} disharmonious.",
                "The hues fight each other {very}.",
                "One hue does not belong to the rest of the palette.",
                "The colour scheme is {quite} unbalanced.",
                "The colours jar {very}.",
                "There is {a} disharmony between the colours.",
                "A stray colour disturbs the palette {very}.",
                "The colour combination is {quite} unpleasant.",
            ),
            against=(
                "The colours clash more here than in the other photo.",
                "Compared with the other photo, the palette is {quite} disharmonious.",
                "The other photo has colours that go together.",
                "The other one is in harmony; here the colours clash {very}.",
                "One of the hues has been turned.",
                "Before, the colours agreed; now they clash {very}.",
                "The better version has a calmer palette.",
                "Next to the other, the colours of this photo jar {very}.",
                "Both show the same scene, but here one colour does not fit.",
                "The second photo has lost its harmony of colours.",
            ),
            advice=(
                "Bring the colours into harmony.",
                "Improve the colour harmony.",
                "Shift the clashing hue toward the others.",
                "Limit the palette to colours that go together.",
                "Tone down the colour that clashes {much}.",
                "Remove the colour that does not belong.",
                "Grade the colours toward one palette.",
                "Choose colours that go together.",
                "Bring the stray hue back into the palette.",
                "Mute the clashing colour {much}.",
                "Reduce the colours to a few related hues.",
                "Adjust the jarring hue {much}.",
            ),
        ),
    }


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
