"""Noise: grain of light and of colour, fine or coarse, added to the picture or made in the sensor."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from calm.edits.base import Edit, Edited, Map, Pixels, Random
from calm.edits.light import decode, encode
from calm.types import Suggestion

SENSOR = 0.5
"""Share of noise that is made as a sensor makes it, before the colours are interpolated."""


class Noise(Edit):
    """Luma and chroma grain; the amount is the standard deviation over all channels in the midtones."""

    attribute = "noise"
    order = "sensor"
    native = True
    reach = 16
    most = 26.0
    """Standard deviation at severity 1, on 0–255."""

    def apply(self, photo: Pixels, direction: str, severity: float, rng: Random, saliency: Map = None) -> Edited:
        sensor = rng.random() < SENSOR
        make = add_sensor_noise if sensor else add_noise
        return make(photo, self.most * severity, rng), self.done(direction, severity)

    def render(self, photo: Pixels, suggestion: Suggestion, saliency: Map = None) -> Pixels:
        """Wiener's filter over small windows, wider for colour: what varies no more than the noise is smoothed."""
        variance = (self.wanted(suggestion) / 255) ** 2
        luma, red, blue = cv2.split(cv2.cvtColor(photo, cv2.COLOR_RGB2YCrCb))
        planes = [_smooth(luma, 5, variance), _smooth(red, 9, variance / 2), _smooth(blue, 9, variance / 2)]
        return np.clip(cv2.cvtColor(cv2.merge(planes), cv2.COLOR_YCrCb2RGB), 0, 1)

    def wordings(self, amount: float) -> Sequence[str]:
        levels = "1 level" if round(amount) <= 1 else f"{round(amount)} levels"
        return tuple(f"{about} {levels}" for about in ("about", "roughly", "some"))


def _smooth(plane: np.ndarray, side: int, variance: float) -> np.ndarray:
    """A plane (H, W) pulled toward its mean in windows of ``side`` pixels by the share of noise in their variance."""
    mean = cv2.blur(plane, (side, side))
    spread = np.maximum(cv2.blur(plane * plane, (side, side)) - mean * mean, 1e-8)
    signal = np.maximum(spread - np.float32(variance), 0) / spread
    rest = (1 - signal) * mean
    return cv2.blur(signal, (side, side)) * plane + cv2.blur(rest, (side, side))


def add_noise(photo: np.ndarray, deviation: float, rng: np.random.Generator) -> np.ndarray:
    """Noise of a standard deviation (0–255) in the midtones, of random grain, share of colour and growth with light."""
    height, width = photo.shape[:2]
    grain, colour, poisson = rng.uniform(0.0, 1.0), rng.uniform(0.05, 0.8), rng.uniform(0.0, 1.0)
    luma = rng.standard_normal((height, width), dtype=np.float32)
    if grain > 0.35:
        luma = cv2.GaussianBlur(luma, (0, 0), 0.35 + 0.8 * (grain - 0.35))
    half = -(-height // 2), -(-width // 2)
    chroma = rng.standard_normal((*half, 3), dtype=np.float32)
    if colour > 0.25:
        chroma = cv2.resize(chroma, (width, height), interpolation=cv2.INTER_LINEAR)
        pattern = chroma * np.float32(colour / chroma.std()) + (luma / luma.std())[..., None]
    else:  # a film-like grain, or a sensor without its colour filter
        pattern = np.repeat(luma[..., None], 3, axis=2)
    pattern *= np.float32(deviation / 255) / pattern.std()
    # even noise everywhere, or noise that grows with the root of light (in gamma terms it shows most in the shadows)
    light = cv2.GaussianBlur(cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY), (3, 3), 0)
    pattern *= np.float32(1 - poisson) + np.float32(poisson) * (1.25 - 0.5 * light)[..., None]
    return np.clip(photo + pattern, 0, 1)


def add_sensor_noise(photo: np.ndarray, deviation: float, rng: np.random.Generator) -> np.ndarray:
    """Noise of a standard deviation (0–255) as cameras leave it: shot and read noise on a Bayer mosaic in linear light,
    then demosaicing, a denoiser of random strength and the tone curve. What comes out is coloured and blotchy
    (Brooks et al., CVPR 2019, has the chain).
    """
    height, width = photo.shape[:2]
    shot, denoise, size = rng.uniform(0.2, 1.0), rng.uniform(0.0, 1.0), float(rng.uniform(0.5, 1.4))
    light = decode(photo).astype(np.float32)
    scale = np.sqrt((1 - shot) * 0.02 + shot * light)
    noise = rng.standard_normal((height, width), dtype=np.float32)[..., None] * scale * _bayer(height, width)
    # a colour is known at every second or fourth pixel only; what lies between is interpolated
    known = cv2.GaussianBlur(_bayer(height, width), (0, 0), 0.8)
    pattern = cv2.GaussianBlur(noise, (0, 0), 0.8) / np.maximum(known, 1e-3)
    if denoise > 0.4:
        soft = cv2.GaussianBlur(pattern, (0, 0), size)
        pattern = soft + (1 - denoise) * (pattern - soft)
    middle = encode(np.clip(np.float32(0.2) + 0.02 * pattern / max(float(pattern.std()), 1e-6), 0, 1))
    gain = np.float32(0.02 * deviation / 255 / max(float(middle.std()), 1e-6))
    return encode(light + pattern * (gain / max(float(pattern.std()), 1e-6))).astype(np.float32)


def _bayer(height: int, width: int) -> np.ndarray:
    """(H, W, 3) float32, 1 where a sensor of pattern RGGB knows a colour."""
    known = np.zeros((height, width, 3), np.float32)
    known[::2, ::2, 0] = known[::2, 1::2, 1] = known[1::2, ::2, 1] = known[1::2, 1::2, 2] = 1
    return known
