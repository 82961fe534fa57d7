"""Tilt: a camera that was not held level."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from calm.edits.base import Applied, Edit, Phrases
from calm.types import Suggestion

MOST = 10.0
"""Degrees at severity 1."""


class Tilt(Edit):
    """The photo turned about its middle and cropped to what is left without borders, in the same or a near aspect."""

    attribute = "tilt"
    order = "geometry"

    def amount(self, direction: str, severity: float) -> float:
        return MOST * severity

    def apply(
        self,
        photo: np.ndarray,
        direction: str,
        severity: float,
        rng: np.random.Generator,
        saliency: np.ndarray | None = None,
    ) -> tuple[np.ndarray, Applied | None]:
        stretch = float(np.exp(rng.uniform(-0.15, 0.15)))
        degrees = self.amount(direction, severity) * (-1 if direction == "clockwise" else 1)
        # at no tilt at all the frame stays as it is
        aspect = photo.shape[1] / photo.shape[0] * stretch ** min(1.0, 8 * severity)
        return turn(photo, degrees, aspect), self.done(direction, severity)

    def render(self, photo: np.ndarray, suggestion: Suggestion, saliency: np.ndarray | None = None) -> np.ndarray:
        return turn(photo, self.wanted(suggestion) * (1 if suggestion.direction == "clockwise" else -1))

    def wordings(self, amount: float) -> Sequence[str]:
        if amount < 0.75:
            return ("half a degree", "about half a degree", f"{amount:.1f} degrees")
        rounded = round(amount)
        whole = "one degree" if rounded == 1 else f"{rounded} degrees"
        return (f"about {whole}", f"roughly {whole}", f"{amount:.1f} degrees", f"{amount:.1f}°")

    phrases = {
        "clockwise": Phrases(
            wrong=(
                "The photo is {very} tilted to the left.",
                "The horizon leans {very} to the left.",
                "The picture leans counterclockwise by {amount}.",
                "The frame is {quite} crooked; its left side hangs down.",
                "There is {a} tilt to the left.",
                "The horizon slopes down to the left by {amount}.",
                "Upright lines lean {very} to the left.",
                "The camera was not level: the scene leans left by {amount}.",
                "It is {very} rotated counterclockwise.",
                "The scene tips {very} to the left.",
                "Level lines sink {very} to the left.",
                "The image is off level by {amount}, leaning left.",
            ),
            against=(
                "This one leans more to the left than the other, by {amount}.",
                "Compared with the other photo, this one is {very} tilted to the left.",
                "The other photo is level; this one leans to the left.",
                "The better version is turned clockwise by {amount}.",
                "Before, the horizon was level; now it slopes down to the left.",
                "Next to the other, this photo hangs {very} to the left.",
                "Both show the same scene, but this one has been turned counterclockwise.",
                "The second photo was turned counterclockwise by {amount}.",
                "The scene has tipped {very} to the left.",
                "The other one stands upright; here lines lean {very} to the left.",
            ),
            advice=(
                "Turn the photo clockwise by {amount}.",
                "Rotate the photo {amount} clockwise.",
                "Level the horizon with a clockwise turn of {amount}.",
                "Straighten the picture clockwise by {amount}.",
                "Rotate it {much} clockwise until it is level.",
                "Turn it {amount} to the right to level it.",
                "Straighten the photo by turning it {amount} clockwise.",
                "Correct the lean to the left by {amount}.",
                "Lift the left side: turn the frame clockwise by {amount}.",
                "Rotate clockwise {much}.",
                "Give the photo a clockwise turn of {amount}.",
                "Level the photo, it leans {very} to the left.",
            ),
        ),
        "counterclockwise": Phrases(
            wrong=(
                "The photo is {very} tilted to the right.",
                "The horizon leans {very} to the right.",
                "The picture leans clockwise by {amount}.",
                "The frame is {quite} crooked; its right side hangs down.",
                "There is {a} tilt to the right.",
                "The horizon slopes down to the right by {amount}.",
                "Upright lines lean {very} to the right.",
                "The camera was not level: the scene leans right by {amount}.",
                "It is {very} rotated clockwise.",
                "The scene tips {very} to the right.",
                "Level lines sink {very} to the right.",
                "The image is off level by {amount}, leaning right.",
            ),
            against=(
                "This one leans more to the right than the other, by {amount}.",
                "Compared with the other photo, this one is {very} tilted to the right.",
                "The other photo is level; this one leans to the right.",
                "The better version is turned counterclockwise by {amount}.",
                "Before, the horizon was level; now it slopes down to the right.",
                "Next to the other, this photo hangs {very} to the right.",
                "Both show the same scene, but this one has been turned clockwise.",
                "The second photo was turned clockwise by {amount}.",
                "The scene has tipped {very} to the right.",
                "The other one stands upright; here lines lean {very} to the right.",
            ),
            advice=(
                "Turn the photo counterclockwise by {amount}.",
                "Rotate the photo {amount} counterclockwise.",
                "Level the horizon with a counterclockwise turn of {amount}.",
                "Straighten the picture counterclockwise by {amount}.",
                "Rotate it {much} counterclockwise until it is level.",
                "Turn it {amount} to the left to level it.",
                "Straighten the photo by turning it {amount} counterclockwise.",
                "Correct the lean to the right by {amount}.",
                "Lift the right side: turn the frame counterclockwise by {amount}.",
                "Rotate counterclockwise {much}.",
                "Give the photo a counterclockwise turn of {amount}.",
                "Level the photo, it leans {very} to the right.",
            ),
        ),
    }


def turn(photo: np.ndarray, degrees: float, aspect: float | None = None) -> np.ndarray:
    """Turn a photo clockwise and keep the largest middle part of an aspect (width / height) that has no borders.

    Args:
        photo: (H, W, 3) float32.
        degrees: clockwise as seen on the screen, between −45 and 45.
        aspect: of the result; the photo's own if None.
    """
    height, width = photo.shape[:2]
    cos, sin = abs(np.cos(np.radians(degrees))), abs(np.sin(np.radians(degrees)))
    ratio = width / height if aspect is None else aspect
    tall = min(width / (ratio * cos + sin), height / (ratio * sin + cos))
    rows, columns = max(1, int(tall)), max(1, int(tall * ratio))
    # Pixel centres: (n - 1) / 2 is the middle of n pixels.
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), -degrees, 1.0)
    matrix[:, 2] += (columns - width) / 2, (rows - height) / 2
    turned = cv2.warpAffine(photo, matrix, (columns, rows), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return np.clip(turned, 0, 1)
