"""How a photo is shown to the network in training: mirrored, cropped or edited, as two views and its measurements.

Everything here decides what the encoder's features are of: they are computed again where this file changes.
"""

from collections.abc import Mapping

import cv2
import numpy as np

from calm.data.measure import measurements
from calm.data.views import SIZE, make_views
from calm.edits.base import Applied, edits
from calm.edits.synthetic import synthetic_edit
from calm.train.blanks import draw_blank
from calm.train.shots import Known, Shot, whole_target

LONG_EDGE = 480
"""Photos are shrunk to this long edge before they are edited: larger ones take two cores too long."""
EDITED = 0.75
"""Share of edited photos among the examples of editing; the others teach "nothing"."""
HARD = ("exposure", "contrast", "saturation", "white_balance", "tilt", "framing", "subject_emphasis", "clutter")
"""Attributes whose remedies are learnt last (docs/lab.md, 84)."""
HARD_SHARE = 0.5
"""How often an edit is drawn from :data:`HARD` alone."""
CLEAR = 0.33
"""Severity from which an edit is clearly visible."""
NEED_SUBJECT = frozenset({"framing", "subject_emphasis", "clutter"})
"""Edits that go by a map of the main subject."""


def read_photo(path: str, long_edge: int = LONG_EDGE) -> np.ndarray:
    """(H, W, 3) uint8, shrunk to ``long_edge`` where it is larger."""
    pixels = cv2.imread(path, cv2.IMREAD_COLOR)
    if pixels is None:
        raise OSError(f"expected a readable photo at {path}")
    pixels = pixels[..., ::-1]
    scale = long_edge / max(pixels.shape[:2])
    if scale < 1:
        size = round(pixels.shape[1] * scale), round(pixels.shape[0] * scale)
        pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(pixels)


class Shooter:
    """Makes shots; what is drawn depends on kind, photo and generator alone.

    Args:
        subjects: map of the main subject by path, (h, w) uint8; edits of framing, emphasis and clutter need it.
        size: side of a view, pixels.
    """

    def __init__(self, subjects: Mapping[str, np.ndarray] | None = None, size: int = SIZE) -> None:
        self.subjects, self.size = subjects or {}, size

    def __call__(self, kind: str, photo: Known, rng: np.random.Generator) -> Shot:
        """A photo as an example of ``kind`` shows it; edited ones may bring the original along."""
        if kind == "blank":
            return self._shot(photo, draw_blank(rng), kind)
        pixels = read_photo(photo.path)
        if kind == "edited":
            return self._edit(photo, pixels, rng)
        pixels = pixels[:, ::-1] if rng.random() < 0.5 else pixels
        if kind == "named":
            keep = rng.uniform(0.85, 1.0)
            h, w = int(pixels.shape[0] * keep), int(pixels.shape[1] * keep)
            top, left = rng.integers(pixels.shape[0] - h + 1), rng.integers(pixels.shape[1] - w + 1)
            pixels = pixels[top : top + h, left : left + w]
        return self._shot(photo, np.ascontiguousarray(pixels), kind)

    def _edit(self, photo: Known, pixels: np.ndarray, rng: np.random.Generator) -> Shot:
        """One to three known edits, or none."""
        subject = self.subjects.get(photo.path)
        saliency = None if subject is None else subject.astype(np.float32) / 255
        attributes = [
            name
            for name, edit in edits().items()
            if (photo.native or not edit.native) and (saliency is not None or name not in NEED_SUBJECT)
        ]
        if rng.random() < HARD_SHARE:
            attributes = [name for name in attributes if name in HARD]
        count = 0 if rng.random() > EDITED else int(rng.choice([1, 2, 3], p=[0.75, 0.18, 0.07]))
        edited = synthetic_edit(pixels, rng, attributes=attributes, count=count, saliency=saliency)
        better = None
        if max((each.severity for each in edited.applied), default=0.0) >= CLEAR and rng.random() < 0.5:
            better = self._shot(photo, pixels, "rated")
        return self._shot(photo, edited.pixels, "edited", edited.applied, better)

    def _shot(
        self, photo: Known, pixels: np.ndarray, kind: str, applied: tuple[Applied, ...] = (), better: Shot | None = None
    ) -> Shot:
        views, target = make_views(pixels, self.size), None if applied else whole_target(photo)
        return Shot(photo, views.whole, views.crops[0], measurements(pixels), kind, applied, target, better)
