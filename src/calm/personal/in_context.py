"""In-context learning as a learner of tastes: the language model reads the examples and says what a photo would get."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING

import numpy as np

from calm.personal.learners import Learner, Predict
from calm.personal.prior import Prior, Shown

if TYPE_CHECKING:
    from calm.model.examples import ExampleReader, Remembered

TOGETHER = 128
"""Photos that are asked about in one pass."""
STEPS = np.arange(1.0, 11.0)
"""The ratings that a distribution is over."""


class InContext(Learner):
    """A reader of examples (:mod:`calm.model.examples`) with the prior that it reads photos by.

    Args:
        photos: first hexadecimal digits of the SHA-256 of the photos whose ratings it was taught.
    """

    name = "in-context"

    def __init__(self, reader: ExampleReader, prior: Prior, photos: Collection[str] = ()) -> None:
        self.reader, self.prior = reader, prior
        self.photos = frozenset(photos)

    def learn(self, photos: Shown, ratings: np.ndarray) -> Predict:
        distributions = self.person(self.prior.read(photos), ratings)
        return lambda others: means(distributions(self.prior.read(others)))

    def person(self, read: np.ndarray, ratings: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
        """After k ≥ 0 rated photos, as the prior reads them: what gives the probabilities of the ratings 1 … 10 of
        others, (n, 10).

        The examples are encoded here, once.
        """
        remembered = self._remember(read, ratings)
        return lambda others: self._rate(remembered, others, read, ratings)

    def follow(self, photos: Shown, ratings: np.ndarray, shots: Sequence[int], others: Shown) -> list[np.ndarray]:
        """As for every learner; the examples are encoded once: what comes first does not know what comes after."""
        read, asked, most = self.prior.read(photos), self.prior.read(others), max(shots)
        remembered = self._remember(read[:most], ratings[:most])
        found = {}
        for k in sorted(shots, reverse=True):
            remembered = self.reader.forget(remembered, k)
            found[k] = means(self._rate(remembered, asked, read[:k], ratings[:k]))
        return [found[k] for k in shots]

    def _remember(self, read: np.ndarray, ratings: np.ndarray) -> Remembered:
        import torch

        examples = torch.from_numpy(self.prior.examples(read, ratings))
        return self.reader.remember(examples, torch.from_numpy(ratings))

    def _rate(self, remembered: Remembered, others: np.ndarray, read: np.ndarray, ratings: np.ndarray) -> np.ndarray:
        import torch

        told = torch.from_numpy(self.prior.asked(others, read, ratings))
        parts = [self.reader.rate(remembered, part) for part in told.split(TOGETHER)]
        return torch.cat(parts).double().cpu().numpy() if parts else np.zeros((0, 10))


def means(distributions: np.ndarray) -> np.ndarray:
    """(n, 10) probabilities of the ratings 1 … 10 → (n,), 1–10."""
    return distributions @ STEPS
