"""Tastes learnt from other people: a hierarchical linear model, fitted by expectation maximisation.

A person's rating of a photo with features x is w·x and noise; the weights w of people scatter about a common mean with
a common covariance (Gelman and Hill, 2007, chapters 12 and 13; as a Gaussian process of many tasks: Yu, Tresp and
Schwaighofer, ICML 2005). Mean, covariance and noise are learnt from other people, so that a few ratings of a new person
say much: what nobody differs in needs no example, and what people differ in most is learnt first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

Rated = tuple[np.ndarray, np.ndarray]
"""Features (n, d) of the photos that a person rated, and the ratings (n,)."""
JITTER = 1e-6


@dataclass(frozen=True)
class Tastes:
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
    def learn(cls, people: Sequence[Rated], steps: int = 30, spread: float = 0.5) -> Tastes:
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
        tastes = cls(np.zeros(size), spread * np.eye(size), 1.0)
        for _ in range(steps):
            weights, scatter, squared, count = [], np.zeros((size, size)), 0.0, 0
            for features, ratings in people:
                weight, uncertain = tastes.posterior(features, ratings)
                weights.append(weight)
                scatter += uncertain
                left = ratings - features @ weight
                squared += float(left @ left) + float(np.einsum("nd,de,ne->", features, uncertain, features))
                count += len(ratings)
            mean = np.mean(weights, axis=0)
            apart = np.array(weights) - mean
            covariance = (apart.T @ apart + scatter) / len(people) + JITTER * np.eye(size)
            tastes = cls(mean, covariance, max(squared / count, JITTER))
        return tastes

    def posterior(self, features: np.ndarray, ratings: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """A person's weights, (d,), and how uncertain they are, (d, d), after n ratings; n may be 0."""
        told = features @ self.covariance
        inner = told @ features.T + self.noise * np.eye(len(features))
        gain = np.linalg.solve(inner, told).T
        return self.mean + gain @ (ratings - features @ self.mean), self.covariance - gain @ told
