"""Subject emphasis: a subject that does not stand out from its surroundings."""

import cv2
import numpy as np

from calm.edits.base import Edit, Edited, Map, Pixels, Random
from calm.edits.saturation import scale_chroma
from calm.edits.subject import PRESENT, subject_map
from calm.types import Suggestion

GRID = 128


class SubjectEmphasis(Edit):
    """The subject dimmed, paled and softened against brighter, busier surroundings, in a changing mixture."""

    attribute = "subject_emphasis"
    order = "light"
    conflicts = frozenset({"clutter"})

    def apply(self, photo: Pixels, direction: str, severity: float, rng: Random, saliency: Map = None) -> Edited:
        mix = [float(each) for each in rng.uniform(0.4, 1.0, 5)]
        spread = rng.uniform(0.02, 0.08)
        mask = _mask(photo, saliency, spread)
        if mask is None:
            return photo, None
        mask3 = mask[..., None]
        dim, lift = 2.0 * mix[0] * severity, 0.8 * mix[1] * severity
        out = photo * np.exp2((-dim * mask + lift * (1 - mask)) / 2.2)[..., None]
        pale = scale_chroma(out.clip(0, 1), 1 - 0.65 * mix[2] * severity)
        out = out + (pale - out) * mask3
        # detail moves from the subject to its surroundings
        soft = cv2.GaussianBlur(out, (0, 0), max(photo.shape[:2]) / 350)
        out = out + (out - soft) * (0.8 * mix[4] * severity * (1 - mask3) - 0.7 * mix[3] * severity * mask3)
        return np.clip(out, 0, 1), self.done(direction, severity)

    def render(self, photo: Pixels, suggestion: Suggestion, saliency: Map = None) -> Pixels | None:
        """A little light onto the subject and off the rest; only where it is known where the subject is."""
        mask = _mask(photo, saliency, 0.05) if saliency is not None else None
        if mask is None:
            return None
        return np.clip(photo * np.exp2((0.5 * mask - 0.35 * (1 - mask)) / 2.2)[..., None], 0, 1)


def _mask(photo: np.ndarray, saliency: np.ndarray | None, spread: float) -> np.ndarray | None:
    """(H, W) soft mask of the subject, 0 … 1; None where nothing, or nearly everything, stands out."""
    if saliency is not None and float(np.max(saliency)) < PRESENT:
        return None
    found = subject_map(saliency, GRID, GRID)
    rise = np.clip((found / float(found.max()) - 0.2) / 0.4, 0, 1)
    mask = cv2.GaussianBlur(rise * rise * (3 - 2 * rise), (0, 0), spread * GRID)
    if not 0.02 < float(mask.mean()) < 0.6:
        return None
    return np.clip(cv2.resize(mask, photo.shape[1::-1], interpolation=cv2.INTER_LINEAR), 0, 1)
