"""Photos drawn at random, with a subject whose place is known, and facts about them."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from calm.words.facts import Facts


def blob(x: float, y: float, size: float = 0.12, shape: tuple[int, int] = (60, 80)) -> np.ndarray:
    """A saliency map with one round subject."""
    ys, xs = np.mgrid[0 : 1 : shape[0] * 1j, 0 : 1 : shape[1] * 1j]
    return (np.hypot(xs - x, ys - y) < size).astype(np.float32)


def drawn(seed: int, shape: tuple[int, int] = (180, 240)) -> tuple[np.ndarray, np.ndarray]:
    """A photo of random soft colours, light and texture with a round subject, and its saliency map."""
    rng = np.random.default_rng(seed)
    base = rng.uniform(0, 1, (rng.integers(2, 6), rng.integers(2, 6), 3)) ** rng.uniform(0.5, 2)
    base = base.mean() + (base - base.mean()) * rng.uniform(0.2, 1.2)
    photo = cv2.resize(base, shape[::-1], interpolation=cv2.INTER_CUBIC)
    photo = photo + rng.normal(0, rng.choice([0.0, 0.03, 0.15]), (*shape, 1))
    subject = blob(*rng.uniform(0.2, 0.8, 2), rng.uniform(0.08, 0.3), shape)
    photo = np.where(subject[..., None] > 0, rng.uniform(0, 1, 3), photo)
    return (np.clip(photo, 0, 1) * 255).astype(np.uint8), subject * float(rng.uniform(0.6, 1.0))


def facts_of(seed: int, **known) -> Facts:
    photo, saliency = drawn(seed)
    rng = np.random.default_rng(seed)
    names = ("amusement", "awe", "contentment", "disgust", "excitement", "fear", "neutral", "sadness")
    score = float(rng.uniform(1.5, 9.5))
    known = {
        "score": score,
        "quality": float(np.clip(score + rng.normal(0, 0.3), 1, 10)),
        "emotions": {str(rng.choice(names)): 8, "neutral": 17},
    } | known
    return Facts.of(photo, saliency, **known)


@dataclass(frozen=True)
class Edit:
    """Stands for calm.edits.Applied."""

    attribute: str
    direction: str
    amount: float | None
    severity: float
    kind: str = ""


def keys(observations) -> set[str]:
    return {one.key for one in observations}


def flat(value: int, spread: int = 0) -> np.ndarray:
    """A grey frame that runs from value − spread to value + spread."""
    ramp = np.linspace(value - spread, value + spread, 200)
    return np.repeat(np.tile(ramp, (150, 1))[..., None], 3, axis=2).clip(0, 255).astype(np.uint8)
