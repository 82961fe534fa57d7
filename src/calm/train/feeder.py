"""Batches of a stage, made ahead; which samples are in them does not depend on how many processes there are."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np

from calm.data.sample import Batch, collate
from calm.model.heads import HEADS
from calm.tasks.base import Task
from calm.train.engine import Engine
from calm.train.recipe import Stage

Place = tuple[int, int]
"""Index of a sample in its task, and epoch."""


class Feeder:
    """Batches of every task of a stage, made ahead by threads; each is a pure function of (seed, stage, step).

    Args:
        number: of the stage.
        engine: shares each batch among processes, and into parts.
    """

    def __init__(
        self,
        tasks: list[Task],
        stage: Stage,
        seed: int,
        number: int,
        engine: Engine,
        workers: int = 2,
        ahead: int = 3,
    ) -> None:
        self.tasks, self.stage, self.seed, self.number, self.engine = tasks, stage, seed, number, engine
        self.workers, self.ahead = workers, ahead
        self._orders: dict[Place, np.ndarray] = {}

    def places(self, which: int, step: int) -> list[Place]:
        """Samples of task ``which`` at ``step``, of all processes: epochs of seeded permutations."""
        count, batch = len(self.tasks[which]), self.stage.tasks[which].batch
        turns = [divmod(turn, count) for turn in range(step * batch, (step + 1) * batch)]
        return [(int(self._order(which, epoch)[place]), epoch) for epoch, place in turns]

    def _order(self, which: int, epoch: int) -> np.ndarray:
        if (which, epoch) not in self._orders:
            rng = np.random.default_rng([self.seed, self.number, which, epoch])
            self._orders[which, epoch] = rng.permutation(len(self.tasks[which]))
        return self._orders[which, epoch]

    def _collate(self, which: int, places: list[Place]) -> Batch:
        key = [self.seed, self.number, which]
        samples = [
            self.tasks[which].sample(index, np.random.default_rng([*key, epoch, index])) for index, epoch in places
        ]
        return collate(samples, HEADS)

    def whole(self, which: int, step: int) -> Batch:
        """The batch of one task at one step."""
        return self._collate(which, self.places(which, step))

    def parts(self, which: int, step: int) -> list[Batch]:
        """This process's share of it, in the parts that it is read in."""
        return [self._collate(which, part) for part in self.engine.share(self.places(which, step))]

    def __call__(self, first: int) -> Iterator[list[list[Batch]]]:
        """:meth:`parts` of the steps from ``first`` on, of each task."""
        with ThreadPoolExecutor(self.workers) as pool:
            waiting: list[list[Future[list[Batch]]]] = []
            step = first
            for _ in range(first, self.stage.steps):
                while len(waiting) < self.ahead and step < self.stage.steps:
                    waiting.append([pool.submit(self.parts, which, step) for which in range(len(self.tasks))])
                    step += 1
                yield [future.result() for future in waiting.pop(0)]
