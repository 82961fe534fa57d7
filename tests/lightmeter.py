"""A predictor whose right answers are known beforehand, and drawn photos for it."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
from PIL import Image

from calm.data.images import Photo
from calm.types import CLASSES, LEAST, LEVELS, MOST, UNITS, Aspect, Comment, Score, Suggestion

N = len(CLASSES)


class Lightmeter:
    """Scores a photo by its mean brightness and blames every fault on the exposure."""

    name, sha256, describer, preprocess = "lightmeter", "0" * 64, "d" * 64, "none"
    confidence = 0.9

    def __init__(self) -> None:
        self.batches: list[int] = []
        self.hashes: list[str] = []

    def value(self, photo: Photo) -> float:
        return 1 + 9 * float(photo.pixels.mean()) / 255

    def score(self, photos: list[Photo]) -> list[Score]:
        self.batches.append(len(photos))
        self.hashes += [photo.sha256 for photo in photos]
        values = [self.value(photo) for photo in photos]
        return [Score(value, 1.0, _soft(value)) for value in values]

    def comment(self, photos: list[Photo], aspects: list[str] | None = None) -> list[tuple[Score, Comment]]:
        found = []
        for score in self.score(photos):
            word = "overexposed" if score.value > 5.5 else "underexposed"
            sides = (Aspect("light", "low", -1, word), Aspect("mood", "high", 1, "calm"))
            found.append((score, Comment(f"The photo is {word}. I would call it a {score.value:.3f}.", sides)))
        return found

    def edit_probabilities(self, photos: list[Photo]) -> np.ndarray:
        table = np.full((len(photos), N + 1), 1e-3)
        for row, photo in zip(table, photos, strict=True):
            mean = photo.pixels.mean()
            row[0 if mean < 110 else 1 if mean > 145 else N] = 1.0
        return table / table.sum(1, keepdims=True)

    def suggest(
        self, photos: list[Photo], least: float | None = None, most: int = MOST
    ) -> list[tuple[Score, list[Suggestion]]]:
        least, found = LEAST if least is None else least, []
        for score, row in zip(self.score(photos), self.edit_probabilities(photos), strict=True):
            said = []
            if row.argmax() < N:
                attribute, direction = CLASSES[row.argmax()]
                level, unit = LEVELS[attribute], UNITS[attribute]
                said = [Suggestion(level, attribute, direction, 1.0, unit, self.confidence, "x")]
            found.append((score, [each for each in said if each.confidence >= least][:most]))
        return found

    def encoder_only(self, photos: list[Photo]) -> None:
        time.sleep(0.01 * len(photos))

    def generate_loop(self, photos: list[Photo]) -> None:
        time.sleep(0.2 * len(photos))


def _soft(value: float) -> tuple[float, ...]:
    """A distribution over 1–10 with that mean."""
    low = min(int(value), 9)
    shares = [0.0] * 10
    shares[low - 1], shares[low] = 1 - (value - low), value - low
    return tuple(shares)


def grey(path: Path, mean: float, seed: int = 0, size: tuple[int, int] = (60, 80)) -> Path:
    """A photo with soft texture around a mean brightness, 0–255."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    coarse = rng.normal(0, 25, (6, 8, 3))
    smooth = np.array([np.asarray(Image.fromarray(coarse[..., c]).resize(size[::-1], 3)) for c in range(3)])
    pixels = smooth.transpose(1, 2, 0)
    pixels = np.clip(pixels - pixels.mean() + mean, 0, 255).astype(np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def read(path: Path) -> Photo:
    pixels = np.asarray(Image.open(path).convert("RGB"))
    return Photo(path=str(path), pixels=pixels, sha256="", width=pixels.shape[1], height=pixels.shape[0])


def make_album(folder: Path) -> Path:
    """Twelve photos from dark to bright, one broken, and beside them labels 0–100, one of them of an absent photo."""
    rows = ["photo,score"]
    for i in range(12):
        grey(folder / "album" / f"{i:02}.png", 40 + 15 * i, i)
        rows.append(f"{i:02}.png,{(10 * i + (17 * i) % 7) * 0.85:.2f}")
    (folder / "album/05.png").write_bytes(b"\x89PNG broken")
    (folder / "labels.csv").write_text("\n".join([*rows, "absent.png,50"]))
    return folder / "album"
