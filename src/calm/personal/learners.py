"""Ways to learn one person's taste from a few rated photos, behind one interface, so that they can be compared.

A learner sees photos as features and general scores, k of them with the person's ratings, and then predicts ratings of
others. With no example at all every learner must still answer: with the general score, or with what other people like.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from calm.personal.tastes import Tastes

Predict = Callable[["Shown"], np.ndarray]
"""Photos → predicted ratings (n,), 1–10."""


@dataclass(frozen=True)
class Shown:
    """What the model sees on n photos.

    Attributes:
        features: (n, d), standardised.
        general: (n,), general scores, 1–10.
    """

    features: np.ndarray
    general: np.ndarray

    def __len__(self) -> int:
        return len(self.general)

    def __getitem__(self, chosen: Sequence[int] | np.ndarray | slice) -> Shown:
        return Shown(self.features[chosen], self.general[chosen])


class Learner(ABC):
    """Learns a person from rated photos."""

    name: ClassVar[str]

    @abstractmethod
    def learn(self, photos: Shown, ratings: np.ndarray) -> Predict:
        """What this person would give to other photos.

        Args:
            photos: k of them, k ≥ 0.
            ratings: (k,), 1–10.
        """


class General(Learner):
    """The general score for everybody."""

    name = "generic"

    def learn(self, photos: Shown, ratings: np.ndarray) -> Predict:
        return lambda others: others.general


class Ridge(Learner):
    """A ridge regression of the ratings on the features, from nothing but this person's examples.

    Its penalty is the one with the least error on examples left out one by one, in closed form (Golub, Heath and Wahba,
    1979). Below two examples it is the general score.
    """

    name = "ridge"
    penalties = (0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 100.0)
    """As multiples of the mean squared length of an example."""

    def learn(self, photos: Shown, ratings: np.ndarray) -> Predict:
        if len(photos) < 2:
            return lambda others: others.general
        start = self.start(photos)
        middle = float(np.mean(ratings - start))
        weights = self._weights(photos.features, ratings - start - middle)
        return lambda others: self.start(others) + middle + others.features @ weights

    def start(self, photos: Shown) -> np.ndarray:
        """What is predicted before anything is learnt, but for an offset: (n,)."""
        return np.zeros(len(photos))

    def _weights(self, features: np.ndarray, wanted: np.ndarray) -> np.ndarray:
        inner = features @ features.T
        values, vectors = np.linalg.eigh(inner)
        size = float(np.trace(inner)) / len(inner)
        turned = vectors.T @ wanted
        best, least = np.zeros(len(wanted)), np.inf
        for penalty in self.penalties:
            shrunk = 1.0 / (np.maximum(values, 0.0) + penalty * size)
            dual = vectors @ (shrunk * turned)
            left_out = dual / (np.square(vectors) @ shrunk)
            if (error := float(np.mean(left_out**2))) < least:
                best, least = dual, error
        return features.T @ best


class ResidualRidge(Ridge):
    """A ridge regression of what the general score leaves over."""

    name = "residual-ridge"

    def start(self, photos: Shown) -> np.ndarray:
        return photos.general


class Learnt(Learner):
    """Tastes learnt from other people (:class:`calm.personal.tastes.Tastes`), of which this person is one more.

    Args:
        photos: rated by other people.
        ratings: for each of these people, the indices into ``photos`` and the ratings.
        width: directions of the features that tastes may differ in, those in which the photos differ most.
    """

    name = "tastes"

    def __init__(self, photos: Shown, ratings: Sequence[tuple[np.ndarray, np.ndarray]], width: int = 32) -> None:
        self.centre, self.middle = photos.features.mean(axis=0), float(photos.general.mean())
        self.spread = float(photos.general.std()) or 1.0
        _, lengths, directions = np.linalg.svd(photos.features - self.centre, full_matrices=False)
        kept = directions[:width]
        self.directions = kept.T * (len(photos) ** 0.5 / lengths[0])
        seen = self._read(photos)
        self.level = float(np.mean(np.concatenate([given for _, given in ratings])))
        self.tastes = Tastes.learn([(seen[which], given - self.level) for which, given in ratings])

    def _read(self, photos: Shown) -> np.ndarray:
        """A constant, the general score, and the directions: (n, 2 + width)."""
        general = (photos.general - self.middle) / self.spread
        turned = (photos.features - self.centre) @ self.directions
        return np.column_stack([np.ones(len(photos)), general, turned])

    def learn(self, photos: Shown, ratings: np.ndarray) -> Predict:
        weights, _ = self.tastes.posterior(self._read(photos), ratings - self.level)
        return lambda others: self.level + self._read(others) @ weights


class Others(Learnt):
    """What other people like on average, for everybody."""

    name = "others"

    def learn(self, photos: Shown, ratings: np.ndarray) -> Predict:
        return super().learn(photos[:0], ratings[:0])
