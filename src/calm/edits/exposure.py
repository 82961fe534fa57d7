"""Exposure: light taken away or added, in stops."""

from __future__ import annotations

from calm.edits.base import Edit, Edited, Map, Pixels, Random
from calm.edits.light import apply_curves, scale_light, stops
from calm.types import Suggestion


class Exposure(Edit):
    """Light multiplied in linear light, with a highlight shoulder of varying softness."""

    attribute = "exposure"
    order = "light"
    most = {"increase": 2.3, "decrease": 2.0}
    """Stops at severity 1, by remedy: an added stop shows a little more than a missing one."""
    wordings = staticmethod(stops)

    def apply(self, photo: Pixels, direction: str, severity: float, rng: Random, saliency: Map = None) -> Edited:
        done = self.done(direction, severity)
        gain = 2.0 ** (self.most[direction] * severity * (-1 if direction == "increase" else 1))
        return apply_curves(photo, scale_light(gain, rng.uniform(0.5, 0.9))), done

    def render(self, photo: Pixels, suggestion: Suggestion, saliency: Map = None) -> Pixels:
        sign = 1 if suggestion.direction == "increase" else -1
        return apply_curves(photo, scale_light(2.0 ** (sign * self.wanted(suggestion)), 0.7), smooth=True)
