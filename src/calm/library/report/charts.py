"""How scores and times are spread, as bars that the page draws."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import get_args

from calm.library.culling import Decision
from calm.library.report.cards import Card

STEP = 0.5
"""Width of a bar of the histogram, in points of 1–10."""
TIMES = 48
"""Bars of the timeline."""


@dataclass(frozen=True)
class Bar:
    """Photos whose score or time lies in ``low`` ≤ … < ``high``.

    Attributes:
        label: the interval in words.
        low, high: points of 1–10, or seconds since 1970 by the camera's clock.
        parts: how many photos are to be kept, perhaps, rejected, and have no decision.
        height: of the highest bar's height, 0–1.
    """

    label: str
    low: float
    high: float
    parts: tuple[int, ...]
    height: float

    @property
    def count(self) -> int:
        """How many photos."""
        return sum(self.parts)


def histogram(cards: Sequence[Card]) -> list[Bar]:
    """Bars over 1–10."""
    edges = [1 + STEP * each for each in range(round(9 / STEP) + 1)]
    values = [card.score or 0.0 for card in cards]
    return bars(cards, values, edges, [f"{low:.1f} to {low + STEP:.1f}" for low in edges[:-1]])


def timeline(cards: Sequence[Card]) -> list[Bar]:
    """Bars from the first photo to the last; none where fewer than two times are known."""
    known = [(card, seconds(card.taken)) for card in cards if card.taken]
    values = [value for _, value in known]
    if len(set(values)) < 2:
        return []
    first, step = min(values), (max(values) - min(values)) / TIMES
    edges = [first + step * each for each in range(TIMES + 1)]
    return bars([card for card, _ in known], values, edges, [moment(low, step) for low in edges[:-1]])


def bars(cards: Sequence[Card], values: Sequence[float], edges: Sequence[float], labels: Sequence[str]) -> list[Bar]:
    """Bars between neighbouring edges, the last with its upper edge."""
    kinds = (*get_args(Decision), None)
    counts = [[0] * len(kinds) for _ in labels]
    for card, value in zip(cards, values, strict=True):
        place = bisect_right(edges, value) - 1
        counts[min(place, len(counts) - 1)][kinds.index(card.decision)] += 1
    most = max(map(sum, counts), default=1) or 1
    return [
        Bar(label, low, high, tuple(parts), sum(parts) / most)
        for label, low, high, parts in zip(labels, edges, edges[1:], counts, strict=False)
    ]


def seconds(taken: datetime) -> float:
    """Seconds since 1970, as if the camera's clock showed universal time."""
    return (taken - datetime(1970, 1, 1)).total_seconds()


def moment(start: float, step: float) -> str:
    """A time in words, as exact as steps of so many seconds call for."""
    when = datetime(1970, 1, 1) + timedelta(seconds=start)
    if step >= 86400:
        return f"{when:%-d %B %Y}"
    return f"{when:%-d %B, %H:%M}" if step >= 60 else f"{when:%-d %B, %H:%M:%S}"
