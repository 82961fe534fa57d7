"""What Prometheus reads at ``/metrics``."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from calm.data.images import Photo
from calm.inference.tasks import ABANDONED, HEARD, Heard, Model, Result, Task

SECONDS = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
PHOTOS = (1, 2, 4, 8, 16, 32, 64)


class Metrics:
    """Counts what a server does.

    Args:
        waiting: photos without an answer, now.
    """

    def __init__(self, waiting: Callable[[], float]) -> None:
        self.registry = of = CollectorRegistry()
        self._requests = Counter("calm_requests", "Requests answered.", ["route", "status"], registry=of)
        self._seconds = Histogram(
            "calm_request_seconds", "Seconds of a request.", ["route"], registry=of, buckets=SECONDS
        )
        self.failed = Counter("calm_failed_photos", "Photos that failed.", registry=of)
        self.batch = Histogram("calm_batch_photos", "Photos that the model saw at once.", registry=of, buckets=PHOTOS)
        self.batch_seconds = Histogram("calm_batch_seconds", "Seconds of a batch.", registry=of, buckets=SECONDS)
        Gauge("calm_waiting_photos", "Photos without an answer.", registry=of).set_function(waiting)

    def answered(self, route: str, status: int, seconds: float) -> None:
        """Counts a request."""
        self._requests.labels(route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def text(self) -> bytes:
        """Everything, as Prometheus reads it."""
        return generate_latest(self.registry)


@dataclass(frozen=True)
class Counted(Task):
    """A task whose batches are counted, and given up where nobody waits for them any more.

    Args:
        wanted: whether somebody waits for an answer about one of these photos.
        listener: who is told what is written about them.
    """

    task: Task
    metrics: Metrics = field(compare=False)
    wanted: Callable[[list[Photo]], bool] = field(compare=False)
    listener: Callable[[list[Photo], Task], Heard | None] = field(compare=False)

    def ask(self, model: Model, photos: list[Photo]) -> list[Result]:
        """See :class:`Task`."""
        began = time.perf_counter()
        before = ABANDONED.set(lambda: not self.wanted(photos))
        heard = HEARD.set(self.listener(photos, self.task))
        try:
            results = self.task.ask(model, photos)
        finally:
            ABANDONED.reset(before)
            HEARD.reset(heard)
        self.metrics.batch.observe(len(photos))
        self.metrics.batch_seconds.observe(time.perf_counter() - began)
        return results
