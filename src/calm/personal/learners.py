"""Ways to learn one person's taste from a few rated photos, behind one interface, so that they can be compared.

A learner sees photos as features and general scores, k of them with the person's ratings, and then predicts ratings of
others. With no example at all every learner must still answer: with the general score, or with what other people like.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import ClassVar

import numpy as np

from calm.personal.prior import Prior, Shown

Predict = Callable[["Shown"], np.ndarray]
"""Photos → predicted ratings (n,), 1–10."""


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

    def follow(self, photos: Shown, ratings: np.ndarray, shots: Sequence[int], others: Shown) -> list[np.ndarray]:
        """Predicted ratings (n,) of other photos after the first k of a person's photos, for every k of ``shots``.

        Args:
            photos: in the order in which they were rated, max(shots) or more.
            ratings: of these, 1–10.
        """
        return [self.learn(photos[:k], ratings[:k])(others) for k in shots]


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
    """Tastes learnt from other people (:class:`calm.personal.prior.Prior`), of which this person is one more."""

    name = "tastes"

    def __init__(self, prior: Prior) -> None:
        self.prior = prior

    def learn(self, photos: Shown, ratings: np.ndarray) -> Predict:
        weights = self.weights(self.prior.read(photos), ratings)
        return lambda others: self.prior.predict(self.prior.read(others), weights)

    def follow(self, photos: Shown, ratings: np.ndarray, shots: Sequence[int], others: Shown) -> list[np.ndarray]:
        """As for every learner; each photo is read once."""
        read, asked = self.prior.read(photos), self.prior.read(others)
        return [self.prior.predict(asked, self.weights(read[:k], ratings[:k])) for k in shots]

    def weights(self, read: np.ndarray, ratings: np.ndarray) -> np.ndarray:
        """The person's weights after k ratings of photos, as the prior reads them."""
        return self.prior.person(read, ratings)[0]


class Others(Learnt):
    """What other people like on average, for everybody."""

    name = "others"

    def weights(self, read: np.ndarray, ratings: np.ndarray) -> np.ndarray:
        return super().weights(read[:0], ratings[:0])
