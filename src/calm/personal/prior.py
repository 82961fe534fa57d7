"""What is known of any person's taste before a single rating: learnt once from other people, kept as a small file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from calm.errors import WeightsError
from calm.personal.preferences import PreferencePrior, Rated

PRIOR = "tastes.safetensors"
"""Name of the file in a model's folder."""
GENERAL = 1
"""Column of the general score in what a prior reads."""


KEPT = 64
"""Directions that distances between photos are measured in."""
REACH = 2.0
"""See :class:`Prior`; near 0 the directions are straight ones. Chosen within one block of OASIS (docs/lab.md, 53)."""
INT8 = 127
"""Steps on either side of 0 that directions are kept in."""
SMALL = 1e-6
"""Spread below which a number says nothing."""


def nothing() -> np.ndarray:
    """No rows, for what is not known."""
    return np.zeros((0, 0))


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

    @classmethod
    def join(cls, parts: Sequence[Shown]) -> Shown:
        """All photos of the parts, one after the other."""
        return cls(np.concatenate([each.features for each in parts]), np.concatenate([each.general for each in parts]))

    def __getitem__(self, chosen: Sequence[int] | np.ndarray | slice) -> Shown:
        return Shown(self.features[chosen], self.general[chosen])


@dataclass(frozen=True)
class Prior:
    """Directions in which photos differ, and how people's tastes are distributed over them.

    The directions are bent: they follow how alike photos are (a Gaussian kernel of their distance), so that a taste for
    something says little of what is far from it (kernel principal components; Schölkopf, Smola and Müller, Neural
    Computation 1998).

    Attributes:
        centre: (d,), mean features of the photos that were learnt from.
        directions: (d, kept), those in which these photos differ most, to measure distances in.
        anchors: (n, kept), these photos there.
        bent: (n, width), what their likenesses to a photo are multiplied by.
        middle: (n,), mean likeness of the photos to each of them.
        reach: weight of the squared distance of two photos in the exponent of their likeness, where the mean one is 2.
        general: mean and spread of their general scores.
        level: mean rating, 1–10.
        preferences: over a constant, the general score, and the directions: 2 + width weights.
        reference: (n, 2 + width) the photos that were learnt from, as :meth:`read` reads them.
        traits: (n, …) traits of these photos, see :mod:`calm.personal.traits`; empty where they are not known.
    """

    centre: np.ndarray
    directions: np.ndarray
    anchors: np.ndarray
    bent: np.ndarray
    middle: np.ndarray
    reach: float
    general: tuple[float, float]
    level: float
    preferences: PreferencePrior
    reference: np.ndarray = field(default_factory=nothing)
    traits: np.ndarray = field(default_factory=nothing)

    @classmethod
    def learn(
        cls,
        photos: Shown,
        people: Sequence[Rated],
        width: int = 64,
        traits: np.ndarray | None = None,
        reach: float | None = None,
    ) -> Prior:
        """From the ratings of other people.

        Args:
            photos: that they rated.
            people: for each, indices into ``photos`` and ratings, 1–10.
            width: directions at most.
            traits: of the photos.
            reach: see the class; None for :data:`REACH`.
        """
        reach = REACH if reach is None else reach
        centre = photos.features.mean(axis=0)
        _, lengths, found = np.linalg.svd(photos.features - centre, full_matrices=False)
        kept = min(KEPT, int((lengths > SMALL * lengths[0]).sum()))
        directions = found[:kept].T * (len(photos) ** 0.5 / np.linalg.norm(lengths[:kept]))
        anchors = (photos.features - centre) @ directions
        likeness = _likeness(anchors, anchors, reach)
        middle = likeness.mean(axis=0)
        inner = likeness - middle - middle[:, None] + middle.mean()
        spread, vectors = np.linalg.eigh(inner)
        width = min(width, int((spread > SMALL * spread[-1]).sum()))
        spread, vectors = spread[::-1][:width], vectors[:, ::-1][:, :width]
        bent = vectors / spread**0.5 * (len(photos) / spread[0]) ** 0.5  # unit variance in the first
        general = float(photos.general.mean()), float(photos.general.std()) or 1.0
        level = float(np.mean(np.concatenate([given for _, given in people])))
        blank = PreferencePrior(np.zeros(0), np.zeros((0, 0)), 1.0)
        shape = centre, directions, anchors, bent, middle, reach, general, level
        read = cls(*shape, blank).read(photos)
        preferences = PreferencePrior.learn([(read[which], given - level) for which, given in people])
        return cls(*shape, preferences, read, nothing() if traits is None else traits)

    def read(self, photos: Shown) -> np.ndarray:
        """A constant, the general score, and the bent directions: (n, 2 + width)."""
        middle, spread = self.general
        likeness = _likeness((photos.features - self.centre) @ self.directions, self.anchors, self.reach)
        bent = (likeness - likeness.mean(axis=1, keepdims=True) - self.middle + self.middle.mean()) @ self.bent
        return np.column_stack([np.ones(len(photos)), (photos.general - middle) / spread, bent])

    def person(
        self, read: np.ndarray, ratings: np.ndarray, apart: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Weights of a person, and how uncertain they are, after k ≥ 0 ratings (1–10) of photos as :meth:`read`.

        ``apart``: of pairs of photos, the preferred one as it is read less the other one.
        """
        return self.preferences.posterior(read, ratings - self.level, apart)

    def predict(self, read: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Ratings (n,) that a person would give; not limited to 1–10."""
        return self.level + read @ weights

    def most_telling(self, uncertain: np.ndarray, candidates: np.ndarray, count: int) -> list[int]:
        """Indices of the ``count`` candidates of which a rating would tell most about a person, most telling first.

        One after the other, the photo is taken whose rating is least known in advance; what the rating would tell is
        taken as told before the next choice (greedy experimental design: for a linear model with Gaussian weights, what
        the rating will be does not matter).

        Args:
            uncertain: (n, n), how uncertain the person's weights are before, see :meth:`person`.
            candidates: (m, n) photos to choose from, as :meth:`read` reads them; m at most are chosen.
        """
        chosen: list[int] = []
        left = np.ones(len(candidates), bool)
        for _ in range(min(count, len(candidates))):
            spread = np.einsum("nd,de,ne->n", candidates, uncertain, candidates)
            best = int(np.where(left, spread, -np.inf).argmax())
            direction = uncertain @ candidates[best]
            uncertain = uncertain - np.outer(direction, direction) / (spread[best] + self.preferences.noise)
            chosen.append(best)
            left[best] = False
        return chosen

    def save(self, path: str | Path) -> None:
        """Write the prior as safetensors: directions in eight bits, other large arrays in half precision."""
        scale = np.abs(self.directions).max(axis=0) / INT8
        tensors = {
            "centre": self.centre,
            "scale": scale,
            "middle": self.middle,
            "reach": np.array([self.reach]),
            "general": np.array(self.general),
            "level": np.array([self.level]),
            "mean": self.preferences.mean,
            "covariance": self.preferences.covariance,
            "noise": np.array([self.preferences.noise]),
        }
        large = {"anchors": self.anchors, "bent": self.bent, "reference": self.reference, "traits": self.traits}
        kept = {name: np.ascontiguousarray(value, np.float32) for name, value in tensors.items()}
        kept |= {name: np.ascontiguousarray(value, np.float16) for name, value in large.items()}
        save_file(kept | {"directions": np.ascontiguousarray((self.directions / scale).round(), np.int8)}, path)

    @classmethod
    def load(cls, path: str | Path) -> Prior:
        """Read what :meth:`save` wrote. Raises :class:`WeightsError` for a file that is none."""
        try:
            found = {name: value.astype(float) for name, value in load_file(path).items()}
            preferences = PreferencePrior(found["mean"], found["covariance"], float(found["noise"][0]))
            general = float(found["general"][0]), float(found["general"][1])
            level = float(found["level"][0])
            directions = found["directions"] * found["scale"]
            where = found["centre"], directions, found["anchors"], found["bent"], found["middle"]
            return cls(
                *where, float(found["reach"][0]), general, level, preferences, found["reference"], found["traits"]
            )
        except (OSError, SafetensorError, KeyError) as error:
            raise WeightsError(
                f"expected what is known of people's tastes at {path}, found: {error}; make it with: calm profile prior"
            ) from error


def _likeness(photos: np.ndarray, anchors: np.ndarray, reach: float) -> np.ndarray:
    """Of photos to anchors, 0–1: (m, kept) and (n, kept) → (m, n)."""
    squared = np.square(photos).sum(axis=1)[:, None] + np.square(anchors).sum(axis=1) - 2 * photos @ anchors.T
    return np.exp(-0.5 * reach * np.maximum(squared, 0.0))
