"""People: photos that one person rated, one after the other, to learn a taste from the examples before (in context).

Some of them are real; of the others, tastes are drawn as those of the real ones are distributed
(:mod:`calm.personal.tastes`), over photos that nobody needs to have rated. A few hundred real people who all rated the
same photos would be learnt by heart.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from calm.data.hashes import hash_files
from calm.data.record import Split, dataset
from calm.data.sample import Sample
from calm.errors import ConfigError
from calm.personal.people import Part
from calm.personal.prior import PRIOR, Prior
from calm.personal.seen import Seen
from calm.tasks.base import Context, Task

STEPS = (0.0, 1.0, 1.5, 2.25)
"""Steps of the scales that simulated people rate on, in points of 1–10; 0 for any value."""


class PeopleTask(Task):
    """Sequences of rated photos of real and of simulated people.

    Args:
        source: a data set with ratings of single people, below the data root in a folder of the same name.
        seen: what a model sees on its photos, below the data root; made by ``calm profile look``.
        unlabelled: the same of photos that simulated people rate, beside the rated ones.
        split: of the photos; people who rated others take no part. None for all.
        width: directions in which photos differ, at most; see :class:`calm.personal.prior.Prior`.
        length: photos of a sequence.
        real: share of the sequences by real people.
        rated: share of the simulated people who rate the photos that real people rated.
        scaled: share of the real people whose ratings are moved and stretched at random: other people with the same
            order.
        noise: standard deviation of what is added to the numbers of photos, so that none is known by heart.
    """

    name = "people"

    def __init__(
        self,
        context: Context,
        source: str = "oasis",
        seen: str = "seen/oasis.safetensors",
        unlabelled: Sequence[str] = (),
        split: Split | None = None,
        width: int = 64,
        length: int = 48,
        real: float = 0.35,
        rated: float = 0.3,
        scaled: float = 0.5,
        noise: float = 0.15,
    ) -> None:
        super().__init__(context)
        self.length, self.real, self.rated, self.scaled, self.noise = length, real, rated, scaled, noise
        records = dataset(source).records(context.root / source, split)
        paths = [record.path for record in records]
        self._hashes = hash_files(paths, label=str(context.root / source))
        looked = Seen.load(context.root / seen)
        shown = looked.of([self._hashes[path] for path in paths])
        chosen = set(paths)
        ratings = [one for one in dataset(source).ratings(context.root / source) if one.path in chosen]
        self.part = Part.gather(ratings, {path: i for i, path in enumerate(paths)}, shown)
        self.prior = Prior.learn(self.part.photos, self.part.people, width)
        pools = [self.part.photos, *(Seen.load(context.root / name).photos for name in unlabelled)]
        self._read = [self.prior.read(photos) for photos in pools]
        self._root = np.linalg.cholesky(self.prior.tastes.covariance)
        found = self._read[0].shape[1] + 2
        if found != context.config.examples:
            raise ConfigError(
                f"expected examples: {found} in the recipe's config, one for each number that a photo has, found "
                f"{context.config.examples}; correct it"
            )

    def hashes(self) -> set[str]:
        return set(self._hashes.values())

    def leave(self, folder: Path) -> None:
        """What is known of anybody's taste, which a reader of examples reads photos by."""
        self.prior.save(folder / PRIOR)

    def __len__(self) -> int:
        return len(self.part.people)

    def sample(self, index: int, rng: np.random.Generator) -> Sample:
        read, given = self._person(index, rng) if rng.random() < self.real else self._simulated(rng)
        given = np.clip(given, 1, 10)
        told = self.prior.examples(read, given)
        seen = told.shape[1] - 2  # what the tastes say stays as it is
        told[:, :seen] += rng.normal(0, self.noise, (len(told), seen))
        return Sample(examples=told, ratings=given.astype(np.float32))

    def _person(self, index: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Photos that a real person rated, as the prior reads them, and the ratings."""
        which, given = self.part.people[index]
        order = rng.choice(len(which), self.length, replace=len(which) < self.length)
        ratings = given[order]
        if rng.random() < self.scaled:
            middle = ratings.mean()
            ratings = middle + rng.normal(0, 0.7) + rng.uniform(0.6, 1.2) * (ratings - middle)
        return self._read[0][which[order]], ratings

    def _simulated(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """The same of a person whose taste is drawn, with other tastes than the common one more or less strong."""
        pool = 0 if rng.random() < self.rated or len(self._read) == 1 else 1 + int(rng.integers(len(self._read) - 1))
        order = rng.choice(len(self._read[pool]), self.length, replace=False)
        tastes = self.prior.tastes
        weights = tastes.mean + rng.choice((1.0, 1.5)) * self._root @ rng.normal(size=len(tastes.mean))
        noise = rng.normal(0, np.sqrt(tastes.noise) * rng.uniform(0.5, 1.0), self.length)
        ratings = self.prior.predict(self._read[pool][order], weights) + noise
        step = rng.choice(STEPS)
        if step:
            ratings = 1 + np.round((ratings - 1) / step) * step
        return self._read[pool][order], ratings
