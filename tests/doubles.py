"""A model small enough to be understood at a glance, for tests of what stands around models."""

from __future__ import annotations

import threading

import numpy as np

from calm.data.images import Photo
from calm.types import CLASSES, LEAST, LEVELS, MOST, UNITS, Aspect, Comment, Score, Suggestion

POISON = 7
"""A photo all of this value makes the model fail, and with it any batch that holds one."""


def photo(value: int, path: str = "") -> Photo:
    """An even grey photo of 8×6 pixels; equal values are equal files."""
    pixels = np.full((6, 8, 3), value, np.uint8)
    return Photo(path or f"{value}.png", pixels, f"{value:064x}", 8, 6)


class BrightModel:
    """The brighter the better; dark photos should be made brighter by one EV, bright ones left alone."""

    name, sha256, describer, preprocess = "bright", "b" * 64, "d" * 64, "test-1"

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.aspects: list[list[str] | None] = []
        self.asking = threading.Lock()

    def score(self, photos: list[Photo]) -> list[Score]:
        assert self.asking.acquire(blocking=False), "the model must be asked by one thread at a time"
        try:
            self.batches.append([each.path for each in photos])
            if any((each.pixels == POISON).all() for each in photos):
                raise RuntimeError("poisoned\nbatch")
            return [self._score(each) for each in photos]
        finally:
            self.asking.release()

    def comment(self, photos: list[Photo], aspects: list[str] | None = None) -> list[tuple[Score, Comment]]:
        self.aspects.append(aspects)
        return [(score, self._comment(score)) for score in self.score(photos)]

    def suggest(
        self, photos: list[Photo], least: float | None = None, most: int = MOST
    ) -> list[tuple[Score, list[Suggestion]]]:
        least = LEAST if least is None else least
        told = [(score, self._suggest(score)) for score in self.score(photos)]
        return [(score, [each for each in some if each.confidence >= least][:most]) for score, some in told]

    def describe(self, photos: list[Photo]) -> list[tuple[Score, np.ndarray]]:
        return [(score, np.array([score.value - 5.5, 1.0])) for score in self.score(photos)]

    def edit_probabilities(self, photos: list[Photo]) -> np.ndarray:
        rows = np.zeros((len(photos), len(CLASSES) + 1))
        rows[:, CLASSES.index(("exposure", "increase"))] = [0.1 if s.value > 4 else 0.9 for s in self.score(photos)]
        return rows

    @staticmethod
    def _score(seen: Photo) -> Score:
        value = 1 + 9 * float(seen.pixels.mean()) / 255
        low = min(int(value), 9)
        distribution = [0.0] * 10
        distribution[low - 1], distribution[low] = low + 1 - value, value - low
        return Score(value, ((value - low) * (low + 1 - value)) ** 0.5, tuple(distribution))

    @staticmethod
    def _comment(score: Score) -> Comment:
        bright = score.value > 5
        text = "The light is good. Little else is known." if bright else "The light is poor. “Noir”, perhaps; naïve."
        return Comment(text, (Aspect("light", "low", 1 if bright else -1, text.split(".")[0]),))

    @staticmethod
    def _suggest(score: Score) -> list[Suggestion]:
        if score.value > 5:
            return []
        brighter = "exposure", "increase"
        tidier = "clutter", "decrease"
        return [
            Suggestion(LEVELS[what], what, how, amount, UNITS[what], sure, f"{how} {what}")
            for (what, how), amount, sure in ((brighter, 1.0, 0.9), (tidier, None, 0.6))
        ]


class Held(BrightModel):
    """Answers nothing until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.begun, self.go = threading.Event(), threading.Event()

    def score(self, photos):
        self.begun.set()
        assert self.go.wait(60)
        return super().score(photos)
