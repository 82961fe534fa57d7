"""Sharpness: defocus and motion blur."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from calm.edits.base import REFERENCE, Applied, Edit, Phrases
from calm.types import Suggestion

MOST = 20.0
"""Width of the blur at severity 1, in pixels of a photo with a long edge of 1024."""


class Sharpness(Edit):
    """A disc, a Gaussian or an uneven disc for a missed focus; a straight, bent or shaken path for motion."""

    attribute = "sharpness"
    order = "optics"
    native = True

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
        width = self.amount(direction, severity) * max(photo.shape[:2]) / REFERENCE
        kind = "motion" if rng.random() < 0.5 else "defocus"
        kernel = _motion(width, rng) if kind == "motion" else _defocus(width, rng)
        return _blur(photo, kernel), self.done(direction, severity, kind)

    def render(self, photo: np.ndarray, suggestion: Suggestion, saliency: np.ndarray | None = None) -> np.ndarray:
        """A round of Van Cittert's deconvolution, held between the tones around each pixel so that nothing rings."""
        width = self.wanted(suggestion) * max(photo.shape[:2]) / REFERENCE
        sigma = float(np.clip(width / 4, 0.4, 6.0))
        sharp = photo + 0.8 * (photo - cv2.GaussianBlur(photo, (0, 0), sigma))
        around = np.ones((3, 3), np.uint8)
        room = np.float32(0.04)
        return np.clip(sharp, cv2.erode(photo, around) - room, cv2.dilate(photo, around) + room).clip(0, 1)

    def wordings(self, amount: float) -> Sequence[str]:
        pixels = "1 pixel" if round(amount) <= 1 else f"{round(amount)} pixels"
        return tuple(f"{about} {pixels}" for about in ("about", "roughly", "some"))

    phrases = {
        "increase": Phrases(
            wrong=(
                "The photo is {very} blurred.",
                "The photo is {too} soft.",
                "The sharpness is {too} low.",
                "There is {a} blur over the frame.",
                "Fine detail is {very} blurred.",
                "There is {a} lack of sharpness.",
                "Edges run over {amount}.",
                "The detail is {very} smeared.",
                "The contours are {too} soft.",
                "It is {very} lacking in crisp detail.",
            ),
            against=(
                "This one is {very} less sharp than the other.",
                "Compared with the other photo, this one is {very} blurred.",
                "The other photo is sharper.",
                "The other one shows crisp detail; this one is {very} blurred.",
                "Detail has been lost to a blur of {amount}.",
                "Before, contours were crisp; now they are {too} soft.",
                "The better version is sharper.",
                "Next to the other, the detail here is {very} smeared.",
                "Both show the same scene, but this one is {very} blurred.",
                "The second photo has lost its sharpness.",
            ),
            advice=(
                "Sharpen the photo {much}.",
                "Increase the sharpness {much}.",
                "Bring out more detail by sharpening {much}.",
                "Focus carefully and hold the camera still.",
                "Get a sharper picture; the blur is {amount} wide.",
                "Sharpen the picture against a blur of {amount}.",
                "Make the contours {much} crisper.",
                "Improve the sharpness {much}.",
                "Take it again, sharp this time.",
                "Aim for crisper detail.",
            ),
        ),
        "defocus": Phrases(
            wrong=(
                "The photo is {very} out of focus.",
                "The focus is {very} off.",
                "The picture is {too} soft.",
                "There is {a} defocus blur.",
                "The details are {very} blurred by a missed focus.",
                "Edges are {too} soft; the focus was missed.",
                "The image is {quite} unsharp.",
                "Fine detail is {very} smeared in all directions.",
                "The focus blur spans {amount}.",
                "It is {quite} soft; points have spread to {amount}.",
                "The frame is not really sharp; it is {very} defocused.",
                "The lens was {very} out of focus.",
            ),
            against=(
                "This one is softer than the other.",
                "Compared with the other photo, this one is {very} out of focus.",
                "The other photo is in focus.",
                "The other one is crisp; this one is {quite} unsharp.",
                "Sharpness has been lost to a defocus of {amount}.",
                "Before, the edges were crisp; now they are {too} soft.",
                "The better version is in focus.",
                "Next to the other, this photo looks {quite} soft.",
                "Both show the same scene, but this one is {very} defocused.",
                "The second photo has lost its focus.",
            ),
            advice=(
                "Focus more precisely.",
                "Sharpen the photo {much}; the focus was missed.",
                "Refocus on the subject and shoot again.",
                "Check the focus point and take it again.",
                "Correct the focus; the blur is {amount} wide.",
                "Sharpen the soft focus {much}.",
                "Stop the lens down for more sharpness.",
                "Sharpen against a focus blur of {amount}.",
                "Get the focus right, it is {very} off.",
                "Bring the subject into focus.",
                "Use a smaller aperture or focus again.",
                "Increase the sharpness {much} to counter the soft focus.",
            ),
        ),
        "motion": Phrases(
            wrong=(
                "The photo is {very} blurred by motion.",
                "There is {a} motion blur.",
                "The camera moved: the picture is {very} shaken.",
                "There is {a} blur from camera shake.",
                "The details are {very} smeared in one direction.",
                "Edges are {very} streaked by movement.",
                "The image is {quite} shaky.",
                "Fine detail is {very} dragged along one way.",
                "The motion blur spans {amount}.",
                "It is {very} smeared by a movement of {amount}.",
                "The shutter was {too} slow for the movement.",
                "The frame is {very} blurred by camera shake.",
            ),
            against=(
                "This one is more shaken than the other.",
                "Compared with the other photo, this one is {very} blurred by motion.",
                "The other photo was held still.",
                "The other one is steady; this one is {very} shaken.",
                "Sharpness has been lost to a movement of {amount}.",
                "Before, the edges were crisp; now they are {very} streaked.",
                "The better version shows no camera shake.",
                "Next to the other, this photo looks {very} smeared.",
                "Both show the same scene, but this one has {a} motion blur.",
                "The second photo was blurred by movement.",
            ),
            advice=(
                "Use a faster shutter speed to freeze the movement.",
                "Hold the camera steadier.",
                "Put the camera on a tripod against the shake.",
                "Shorten the exposure time to avoid motion blur.",
                "Keep the camera still; the streaks are {amount} long.",
                "Freeze the motion with a shorter shutter time.",
                "Remove the motion blur of {amount}.",
                "Switch on stabilisation against the camera shake.",
                "Sharpen the photo {much}; the camera moved.",
                "Steady the camera, the picture is {very} shaken.",
                "Support the camera or raise the shutter speed.",
                "Increase the sharpness {much} to counter the motion blur.",
            ),
        ),
    }


def _blur(photo: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Light, not tone, is what blurs: squared values stand for light here."""
    blurred = cv2.filter2D(photo * photo, -1, kernel, borderType=cv2.BORDER_REFLECT_101)
    return np.clip(cv2.sqrt(np.maximum(blurred, 0)), 0, 1)


def _grid(width: float) -> tuple[np.ndarray, np.ndarray]:
    """(x, y) offsets in pixels, each (side, side), of a kernel wide enough for a blur of that width."""
    reach = int(np.ceil(width)) + 1
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1].astype(np.float32)
    return x, y


def _trim(kernel: np.ndarray) -> np.ndarray:
    """Without the empty margin, summing to 1."""
    centre = kernel.shape[0] // 2
    used = np.argwhere(kernel > kernel.max() * 1e-3) - centre
    reach = int(np.abs(used).max())
    cut = kernel[centre - reach : centre + reach + 1, centre - reach : centre + reach + 1]
    return (cut / cut.sum()).astype(np.float32)


def _defocus(width: float, rng: np.random.Generator) -> np.ndarray:
    """Kernel of a missed focus, its disc ``width`` pixels across (a Gaussian of a quarter of that spreads alike)."""
    shape, stretch, angle = rng.random(), rng.uniform(0.75, 1.0), rng.uniform(0, np.pi)
    x, y = _grid(width)
    if shape < 0.35:
        sigma = max(width / 4, 0.12)
        return _trim(np.exp(-(x**2 + y**2) / (2 * sigma**2)))
    if shape > 0.7:  # seen through a cat's-eye or an uneven lens
        x, y = x * np.cos(angle) + y * np.sin(angle), (y * np.cos(angle) - x * np.sin(angle)) / stretch
    rim = 1.0 + (0.5 * (x**2 + y**2) / max(width / 2, 0.5) ** 2 if 0.5 < shape < 0.7 else 0.0)
    # a disc narrower than a pixel keeps the pixel itself, at full weight, and its neighbours by what it covers of them
    return _trim(np.clip(max(width, 0.5) / 2 - np.hypot(x, y) + 0.5, 0, 1) * rim)


def _motion(width: float, rng: np.random.Generator) -> np.ndarray:
    """Kernel of a movement of ``width`` pixels at any angle: straight, bent, or shaken."""
    angle, bend, shake = rng.uniform(0, np.pi), rng.uniform(-1, 1), rng.normal(0, 1, 6)
    form = rng.random()
    t = np.linspace(-0.5, 0.5, 64)
    across = np.zeros_like(t)
    if form > 0.45:
        across = 0.6 * bend * (t**2 * 4 - 0.33)
    if form > 0.75:
        across = across + 0.12 * np.interp(t, np.linspace(-0.5, 0.5, 6), shake)
    scale = width / np.hypot(np.diff(t), np.diff(across)).sum()
    x = (t * np.cos(angle) - across * np.sin(angle)) * scale
    y = (t * np.sin(angle) + across * np.cos(angle)) * scale
    reach = int(np.ceil(max(np.abs(x).max(), np.abs(y).max()))) + 1
    kernel = np.zeros((2 * reach + 1, 2 * reach + 1))
    left, top = np.floor(x).astype(int), np.floor(y).astype(int)
    for dx in (0, 1):
        for dy in (0, 1):
            share = np.abs(1 - dx - (x - left)) * np.abs(1 - dy - (y - top))
            np.add.at(kernel, (top + dy + reach, left + dx + reach), share)
    return (kernel / kernel.sum()).astype(np.float32)
