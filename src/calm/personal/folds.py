"""Parts of a table of ratings that share neither people nor photos, to learn from one and to test on another."""

from collections import defaultdict
from collections.abc import Collection, Sequence

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from calm.data.record import UserRating
from calm.errors import DataError

LEAST = 0.2
"""Share of the ratings that a part has at least, to be a part of its own."""


def folds(ratings: Sequence[UserRating], seed: int = 0) -> list[list[UserRating]]:
    """Two or more parts of a table; no person and no photo stands in two of them.

    Where the table falls into parts by itself (blocks of photos that were rated by different people), these are taken,
    the largest ones. Where everything hangs together, people and photos are split into halves at random, and the
    ratings of one half of the people for the other half of the photos are left out.
    """
    islands = _islands(ratings)
    large = [island for island in islands if len(island) >= LEAST * len(ratings)]
    if len(large) > 1:
        return large
    rng = np.random.default_rng(seed)
    sides: list[dict[str, int]] = []
    for names in ({one.person for one in ratings}, {one.path for one in ratings}):
        order = rng.permutation(len(names))
        sides.append({name: int(order[i] % 2) for i, name in enumerate(sorted(names))})
    people, photos = sides
    return [[one for one in ratings if people[one.person] == photos[one.path] == half] for half in (0, 1)]


def apart(ratings: Sequence[UserRating], people: Collection[str]) -> list[list[UserRating]]:
    """Two parts: what is left to learn from, and the ratings of these people, which are tested.

    Of the others' ratings those of photos that these people rated are left out (FLICKR-AES is split so: 173 people to
    learn from, 37 to test).

    Raises:
        DataError: for a name without ratings, or where nothing is left to learn from.
    """
    unknown = sorted(set(people) - {one.person for one in ratings})
    tested = [one for one in ratings if one.person in people]
    photos = {one.path for one in tested}
    rest = [one for one in ratings if one.person not in people and one.path not in photos]
    if unknown or not rest:
        found = f"none of {unknown[0]!r}" if unknown else "nothing left to learn from"
        raise DataError(
            f"expected ratings by everybody to test, and by others of other photos, found {found}; correct the names"
        )
    return [rest, tested]


def _islands(ratings: Sequence[UserRating]) -> list[list[UserRating]]:
    """Connected parts of the graph of people and photos, the largest first."""
    _, people = np.unique([one.person for one in ratings], return_inverse=True)
    _, photos = np.unique([one.path for one in ratings], return_inverse=True)
    size = len(people) + len(photos)
    graph = coo_array((np.ones(len(ratings)), (people, len(people) + photos)), (size, size))
    _, island = connected_components(graph, directed=False)
    found: defaultdict[int, list[UserRating]] = defaultdict(list)
    for one, person in zip(ratings, people, strict=True):
        found[int(island[person])].append(one)
    return sorted(found.values(), key=len, reverse=True)
