"""Tables of many people's ratings, as numbers to learn tastes from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from calm.data.record import Rating
from calm.personal.prior import Shown


@dataclass(frozen=True)
class Part:
    """One part of a table of ratings.

    Attributes:
        photos: what the model sees on its photos.
        people: for each person, indices into ``photos`` and ratings, 1–10.
    """

    photos: Shown
    people: list[tuple[np.ndarray, np.ndarray]]

    @classmethod
    def gather(cls, ratings: Sequence[Rating], seen: Mapping[str, int], shown: Shown) -> Part:
        """The ratings of photos that were seen; of a photo that a person rated more than once, the mean.

        Args:
            seen: index into ``shown`` of each photo's path.
        """
        known = [one for one in ratings if one.path in seen]
        paths = sorted({one.path for one in known})
        place = {path: i for i, path in enumerate(paths)}
        by_person: dict[str, dict[int, list[float]]] = {}
        for one in known:
            by_person.setdefault(one.person, {}).setdefault(place[one.path], []).append(one.score)
        people = [
            (np.array(sorted(photos)), np.array([float(np.mean(photos[i])) for i in sorted(photos)]))
            for photos in by_person.values()
        ]
        return cls(shown[[seen[path] for path in paths]], people)
