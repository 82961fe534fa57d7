"""What a server takes from its clients, at most."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """At most these; a request beyond one is refused with an error that names the limit.

    Attributes:
        body: bytes of a request.
        bodies: bytes of all requests that are being handled.
        pixels: of an image, before it is decoded.
        images: of a request.
        tokens: of an answer in words.
        seconds: from the beginning of a request to the end of its answer.
        queue: photos that wait for an answer, and requests that are being handled.
        rate: requests of one key (of one address where no keys are needed) a minute.
        remembered: images that can be named by their uuid alone; the ones used last are kept.
        shots: photos of shoots that sketches are kept of, about 0.1 MB each; the ones used last are kept.
    """

    body: int = 32_000_000
    bodies: int = 256_000_000
    pixels: int = 50_000_000
    images: int = 16
    tokens: int = 256
    seconds: float = 120.0
    queue: int = 128
    rate: int = 6000
    remembered: int = 32
    shots: int = 3000


class Rate:
    """Counts requests of each caller: a token bucket that holds a minute's worth.

    Args:
        a_minute: requests of one caller a minute.
        clock: seconds that only grow.
    """

    CALLERS = 10_000
    """Callers that are remembered; beyond, those who may ask freely are forgotten."""

    def __init__(self, a_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.a_minute, self.clock = a_minute, clock
        self._left: dict[str, tuple[float, float]] = {}

    def wait(self, caller: str) -> float:
        """Counts one request. Returns 0.0 where it is allowed, or the seconds until one will be."""
        now = self.clock()
        left, since = self._left.get(caller, (float(self.a_minute), now))
        left = min(self.a_minute, left + (now - since) * self.a_minute / 60)
        allowed = left >= 1
        self._left[caller] = (left - allowed, now)
        if len(self._left) > self.CALLERS:
            self._forget(now)
        return 0.0 if allowed else (1 - left) * 60 / self.a_minute

    def _forget(self, now: float) -> None:
        """Drop callers whose buckets are full again."""
        self._left = {who: (left, since) for who, (left, since) in self._left.items() if now - since < 60}
