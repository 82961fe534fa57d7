"""Parts of a table of ratings that share neither people nor photos, to learn from one and to test on another."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from calm.data.record import Rating

LEAST = 0.2
"""Share of the ratings that a part has at least, to be a part of its own."""


def folds(ratings: Sequence[Rating], seed: int = 0) -> list[list[Rating]]:
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


def _islands(ratings: Sequence[Rating]) -> list[list[Rating]]:
    """Connected parts of the graph of people and photos, the largest first."""
    parent: dict[tuple[str, str], tuple[str, str]] = {}

    def root(node: tuple[str, str]) -> tuple[str, str]:
        parent.setdefault(node, node)
        while parent[node] != node:
            parent[node] = node = parent[parent[node]]
        return node

    for one in ratings:
        parent[root(("person", one.person))] = root(("photo", one.path))
    found: dict[tuple[str, str], list[Rating]] = {}
    for one in ratings:
        found.setdefault(root(("person", one.person)), []).append(one)
    return sorted(found.values(), key=len, reverse=True)
