"""Frames with nothing to see: a model must learn that nothing is there to be named or admired."""

import cv2
import numpy as np

BLANKS = 400
"""How many different blank frames there are."""


def draw_blank(rng: np.random.Generator) -> np.ndarray:
    """A frame with nothing to see: one tone, one colour, a gradient, noise or blur of noise; (H, W, 3) uint8."""
    height, width = (int(side) for side in rng.integers(160, 480, 2))
    kind = str(rng.choice(["black", "white", "grey", "colour", "gradient", "noise", "clouds"]))
    if kind in ("noise", "clouds"):
        side = (height, width) if kind == "noise" else (height // 40 + 2, width // 40 + 2)
        noise = rng.normal(rng.uniform(60, 200), rng.uniform(10, 80), (*side, int(rng.choice([1, 3]))))
        noise = np.broadcast_to(noise, (*side, 3)).astype(np.float32)
        return np.clip(cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC), 0, 255).astype(np.uint8)
    tones = {"black": rng.uniform(0, 8, 1), "white": rng.uniform(247, 255, 1), "grey": rng.uniform(8, 247, 1)}
    start = np.broadcast_to(tones.get(kind, rng.uniform(0, 255, 3)), 3)
    end = rng.uniform(0, 255, 3) if kind == "gradient" else start
    along = np.linspace(0, 1, width)[None, :, None] if rng.random() < 0.5 else np.linspace(0, 1, height)[:, None, None]
    return np.ascontiguousarray(np.broadcast_to(start + (end - start) * along, (height, width, 3)).astype(np.uint8))
