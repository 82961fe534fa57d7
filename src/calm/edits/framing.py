"""Framing: a subject without room on one side, or lost in too much of it.

**Sides.** The frame is cut on one side until the subject nearly touches it (severity 0.33) or is itself cut (up to a
third of it at severity 1). The remedy is to give that side its room back.

**Tighter.** Nothing is added around a photo, because every way of inventing surroundings (mirrored, blended, stretched)
gives itself away. Instead the edit is drawn only on photos whose subject is small: the frame is cropped so that the
subject spans exactly as little of it as the severity asks for. A photo without so small a subject does not lend itself
to it. Its limits: severity is bounded by the photo, and a small subject can be meant, as in a landscape. The
counterpart, the same kind of photo with a subject of the right size, comes from the chance crops of
:func:`calm.edits.synthetic.synthetic_edit`, which close in on every other small subject.
"""

from collections.abc import Sequence

import cv2
import numpy as np

from calm.edits.base import Applied, Edit, Edited, Map, Pixels, Random
from calm.edits.light import percents
from calm.edits.subject import Box, guess_saliency, subject_box
from calm.types import Suggestion

SIDES = ("left", "right", "up", "down")
OPPOSITE = {"left": "right", "right": "left", "up": "down", "down": "up"}
USUAL_CUT = 62.0
"""Room to give back on a side at severity 1, % of the frame as it is: the middle of what photos call for."""
NEAR = 0.33
"""Severity at which the subject all but touches the frame."""
DEEPEST = 0.34
"""Share of the subject's own width or height that is cut off at severity 1."""
FITTING, LOST = 0.52, 0.12
"""Span of the subject, as a share of the frame, at severity 0 and 1 of "tighter"."""


def cut(photo: np.ndarray, crop: tuple[float, float, float, float]) -> np.ndarray:
    """The part of a photo (H, W, …) inside (left, top, right, bottom), shares of the frame; one pixel at least."""
    height, width = photo.shape[:2]
    left, top = min(round(crop[0] * width), width - 1), min(round(crop[1] * height), height - 1)
    return photo[top : max(round(crop[3] * height), top + 1), left : max(round(crop[2] * width), left + 1)]


class Framing(Edit):
    """Crops, decided by the subject's box."""

    attribute = "framing"
    order = "geometry"
    rare = ("tighter",)

    def amount(self, direction: str, severity: float) -> float:
        if direction == "tighter":
            return 100 * (1 - span(severity) / FITTING)
        return USUAL_CUT * severity

    def apply(self, photo: Pixels, direction: str, severity: float, rng: Random, saliency: Map = None) -> Edited:
        draw = rng.random(4)
        box = subject_box(saliency)
        if box is None:
            return photo, None
        if direction == "tighter":
            return self._lost(photo, severity, draw, box) if saliency is not None else (photo, None)
        return self._cut(photo, direction, severity, draw, box)

    def _cut(
        self, photo: np.ndarray, side: str, severity: float, draw: np.ndarray, box: Box
    ) -> tuple[np.ndarray, Applied | None]:
        room, far = box.room(side), box.room(OPPOSITE[side])
        own = box.width if side in ("left", "right") else box.height
        # no subject touches that side already, fills the frame, or has still less room on the other side
        if room < 0.06 or own > 0.75 or far < 0.08 or box.extent < 0.12:
            return photo, None
        close = room * min(severity / NEAR, 1.0) * 0.92
        deep = max(severity - NEAR, 0.0) / (1 - NEAR)
        cut = close + deep * (0.08 * room + DEEPEST * own)
        if cut > 0.62:
            return photo, None
        # the other way the frame is cut as well, as far as the subject keeps its room: its aspect must tell nothing
        ends = [0.0, 1.0]
        ends[side in ("right", "down")] += -cut if side in ("right", "down") else cut
        low, high = (box.top, 1 - box.bottom) if side in ("left", "right") else (box.left, 1 - box.right)
        wanted = float(np.clip(1 - (1 - cut) * np.exp(0.4 * (draw[0] - 0.5)), 0, 1)) * min(1.0, 5 * severity)
        part = min(wanted / max(low + high, 1e-6), 0.7)
        others = [part * low, 1 - part * high]
        columns, rows = (ends, others) if side in ("left", "right") else (others, ends)
        height, width = photo.shape[:2]
        frame = photo[
            round(rows[0] * height) : round(rows[1] * height), round(columns[0] * width) : round(columns[1] * width)
        ]
        return frame, Applied(self.attribute, side, 100 * cut / (1 - cut), severity)

    def _lost(
        self, photo: np.ndarray, severity: float, draw: np.ndarray, box: Box
    ) -> tuple[np.ndarray, Applied | None]:
        possible = (FITTING - box.extent) / (FITTING - LOST)
        if possible < 0.15:
            return photo, None
        severity = min(severity, possible, 1.0)
        # the subject's span of the frame becomes as wanted: keep `share` of both sides, around a point that varies
        share = min(1.0, box.extent / span(severity))
        # and a little less of one side, so that the aspect varies; the subject's longer side decides its span
        less = share * float(np.exp(-0.7 * abs(draw[3] - 0.5)))
        wide = share if box.width >= box.height or draw[3] < 0.5 else max(less, 1.2 * box.width)
        tall = share if box.height > box.width or draw[3] >= 0.5 else max(less, 1.2 * box.height)
        wide, tall = min(wide, share), min(tall, share)
        height, width = photo.shape[:2]
        left = _start(box.left, box.right, wide, draw[0])
        top = _start(box.top, box.bottom, tall, draw[1])
        cut = photo[
            round(top * height) : max(round((top + tall) * height), 1),
            round(left * width) : max(round((left + wide) * width), 1),
        ]
        # a wide frame must not be known by its many pixels
        scale = 1.0 - 0.45 * draw[2]
        if max(cut.shape[:2]) * scale >= 256:
            size = max(1, round(cut.shape[1] * scale)), max(1, round(cut.shape[0] * scale))
            cut = cv2.resize(cut, size, interpolation=cv2.INTER_AREA)
        return cut, Applied(self.attribute, "tighter", self.amount("tighter", severity), severity)

    def render(self, photo: Pixels, suggestion: Suggestion, saliency: Map = None) -> Pixels | None:
        """The suggested crop. Without one only "tighter": a crop of the photo's own aspect toward the subject; room
        cannot be invented.
        """
        if suggestion.crop is not None:
            return cut(photo, suggestion.crop)
        if suggestion.direction != "tighter":
            return None
        share = float(np.clip(1 - self.wanted(suggestion) / 100, 0.35, 1.0))
        found = guess_saliency(photo) if saliency is None else np.asarray(saliency, np.float32)
        weight = np.clip(found - 0.4 * found.max(), 0, None) + 1e-9
        x = float((weight.sum(0) * np.linspace(0, 1, found.shape[1])).sum() / weight.sum())
        y = float((weight.sum(1) * np.linspace(0, 1, found.shape[0])).sum() / weight.sum())
        height, width = photo.shape[:2]
        rows, columns = max(1, round(height * share)), max(1, round(width * share))
        top = round(np.clip(y - share / 2, 0, 1 - share) * height)
        left = round(np.clip(x - share / 2, 0, 1 - share) * width)
        return photo[top : top + rows, left : left + columns]

    def wordings(self, amount: float) -> Sequence[str]:
        return tuple(f"{words} of the frame" for words in percents(amount))


def span(severity: float) -> float:
    """How much of the frame a subject spans that is too small by that severity."""
    return FITTING - (FITTING - LOST) * severity


def _start(low: float, high: float, share: float, draw: float) -> float:
    """Where a window of ``share`` of the frame begins that holds low … high, somewhere between its extremes."""
    least, most = max(0.0, high - share), min(low, 1 - share)
    middle = (least + most) / 2
    return float(np.clip(middle + (draw - 0.5) * 0.5 * (most - least), 0.0, 1 - share))
