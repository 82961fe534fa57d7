"""The log of a stage: losses and figures as JSON lines."""

import json
import sys
import time
from collections import defaultdict
from collections.abc import Mapping
from typing import Any, TextIO

import numpy as np

LOG_EVERY = 20
"""Steps between two rows of the log."""


class Meter:
    """Means of the losses, printed and logged every :data:`LOG_EVERY` steps as JSON lines."""

    def __init__(self, stage: str, log: TextIO) -> None:
        self.stage, self.log, self.began, self.drawn = stage, log, time.time(), 0
        self.sums: defaultdict[str, list[float]] = defaultdict(list)

    def count(self, examples: int, step: int, losses: Mapping[str, float]) -> None:
        """Take in one step."""
        self.drawn += examples
        for name, value in losses.items():
            self.sums[name].append(value)
        if step % LOG_EVERY == LOG_EVERY - 1:
            rate = round(self.drawn / (time.time() - self.began), 2)
            means = {name: round(float(np.mean(values)), 4) for name, values in self.sums.items()}
            self.tell({"step": step + 1, "rate": rate, **means})
            self.sums.clear()

    def tell(self, row: Mapping[str, Any]) -> None:
        """Write a row."""
        line = json.dumps({"stage": self.stage, **row})
        print(line, file=sys.stderr, flush=True)
        self.log.write(line + "\n")
        self.log.flush()
