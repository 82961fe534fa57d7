"""Tastes learnt from other people: a hierarchical linear model, fitted by expectation maximisation.

A person's rating of a photo with features x is w·x and noise; the weights w of people scatter about a common mean with
a common covariance (Gelman and Hill, 2007, chapters 12 and 13; as a Gaussian process of many tasks: Yu, Tresp and
Schwaighofer, ICML 2005). Mean, covariance and noise are learnt from other people, so that a few ratings of a new person
say much: what nobody differs in needs no example, and what people differ in most is learnt first.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

Rated = tuple[np.ndarray, np.ndarray]
"""Features (n, d) of the photos that a person rated, and the ratings (n,)."""
JITTER = 1e-6
LOGISTIC = 1.702
"""Steepness with which a logistic curve comes nearest to a standard normal distribution's."""
NEWTON, TOLERANCE = 50, 1e-8
"""Steps of Newton's method at most, and the change of a weight at which it ends."""


@dataclass(frozen=True)
class PreferencePrior:
    """How the weights of people are distributed.

    Attributes:
        mean: (d,), of the weights.
        covariance: (d, d), of the weights over people.
        noise: variance of a rating about what the weights say.
    """

    mean: np.ndarray
    covariance: np.ndarray
    noise: float

    @classmethod
    def learn(cls, people: Sequence[Rated], steps: int = 30, spread: float = 0.5) -> PreferencePrior:
        """Maximum likelihood from the ratings of other people.

        Args:
            people: features and ratings of each; at least two people.
            steps: of expectation maximisation.
            spread: variance of the weights to begin with.

        Raises:
            ValueError: for fewer than two people.
        """
        if len(people) < 2:
            raise ValueError(f"expected at least two people to learn tastes from, found {len(people)}")
        size = people[0][0].shape[1]
        preferences = cls(np.zeros(size), spread * np.eye(size), 1.0)
        for _ in range(steps):
            weights, scatter, squared, count = [], np.zeros((size, size)), 0.0, 0
            for features, ratings in people:
                weight, uncertain = preferences.posterior(features, ratings)
                weights.append(weight)
                scatter += uncertain
                left = ratings - features @ weight
                squared += float(left @ left) + float(np.einsum("nd,de,ne->", features, uncertain, features))
                count += len(ratings)
            mean = np.mean(weights, axis=0)
            apart = np.array(weights) - mean
            covariance = (apart.T @ apart + scatter) / len(people) + JITTER * np.eye(size)
            preferences = cls(mean, covariance, max(squared / count, JITTER))
        return preferences

    def posterior(
        self, features: np.ndarray, ratings: np.ndarray, apart: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """A person's weights, (d,), and how uncertain they are, (d, d), after n ratings; n may be 0.

        Args:
            apart: (m, d), of m pairs of photos the features of the preferred one less those of the other.
        """
        noise = np.full(len(features), self.noise)
        weights, uncertain = _told(self.mean, self.covariance, features, ratings, noise)
        return (weights, uncertain) if apart is None or not len(apart) else self._prefers(weights, uncertain, apart)

    def _prefers(self, mean: np.ndarray, covariance: np.ndarray, apart: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Weights and their uncertainty after preferences, by Laplace's approximation.

        One photo is preferred where its rating, noise and all, would be the higher one (Thurstone, 1927); the normal
        distribution is replaced by a logistic one (Bradley and Terry, 1952), and the peak found by Newton's method with
        steps halved where they go too far.
        """
        steep = LOGISTIC / math.sqrt(2 * self.noise)
        between, start = apart @ covariance @ apart.T, apart @ mean
        pull = np.zeros(len(apart))  # the weights are mean + covariance @ apart.T @ pull

        def energy(pull: np.ndarray) -> float:
            return float(0.5 * pull @ between @ pull + np.logaddexp(0, -steep * (start + between @ pull)).sum())

        for _ in range(NEWTON):
            ahead = start + between @ pull
            values, noise = _preference(steep, ahead)
            step = np.linalg.solve(between + np.diag(noise), values - start) - pull
            now, length = energy(pull), 1.0
            while energy(pull + length * step) > now and length > TOLERANCE:  # a whole step may go too far
                length /= 2
            pull = pull + length * step
            if length * np.abs(between @ step).max() < TOLERANCE:
                break
        return _told(mean, covariance, apart, *_preference(steep, start + between @ pull))


def _preference(steep: float, ahead: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Values, and a variance of each, that say near ``ahead`` what the preferences do."""
    sure = 1 / (1 + np.exp(-np.clip(steep * ahead, -30, 30)))
    bend = np.maximum(steep**2 * sure * (1 - sure), JITTER)
    return ahead + steep * (1 - sure) / bend, 1 / bend


def _told(
    mean: np.ndarray, covariance: np.ndarray, features: np.ndarray, values: np.ndarray, noise: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Weights of this mean and covariance, after values (n,) of photos, each with a variance of its own.

    By the smaller of two systems of equations, n or d in number, which have the same solution.
    """
    left = values - features @ mean
    if len(features) > len(mean):
        root = np.linalg.cholesky(covariance)
        turned = features @ root
        inner = np.eye(len(mean)) + turned.T @ (turned / noise[:, None])
        uncertain = root @ np.linalg.solve(inner, root.T)
        return mean + uncertain @ (features.T @ (left / noise)), uncertain
    projected = features @ covariance
    gain = np.linalg.solve(projected @ features.T + np.diag(noise), projected).T
    return mean + gain @ left, covariance - gain @ projected
