"""A running mean of the weights that a stage teaches (Polyak averaging; Izmailov et al., UAI 2018, for deep networks).

Late in training the weights wander about a good place rather than towards it. Their mean over the last few hundred
steps generalises better than any one of them, and costs nothing when the model is used.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor


class RunningMean:
    """Exponential running mean of parameters, in float32.

    Args:
        parameters: what is averaged, by name.
        decay: weight of the past at each step, between 0 and 1; 1 / (1 - decay) steps are remembered. At the beginning
            it is less, so that the first weights are soon forgotten.
    """

    def __init__(self, parameters: dict[str, Tensor], decay: float) -> None:
        self.parameters, self.decay, self.steps = parameters, decay, 0
        self.means = {name: value.detach().float().clone() for name, value in parameters.items()}

    @torch.no_grad()
    def update(self) -> None:
        """Take the parameters as they stand into the mean."""
        self.steps += 1
        decay = min(self.decay, self.steps / (self.steps + 9))
        for name, value in self.parameters.items():
            self.means[name].lerp_(value.float(), 1 - decay)

    @torch.no_grad()
    def settle(self) -> None:
        """Put the mean in the parameters' place."""
        for name, value in self.parameters.items():
            value.copy_(self.means[name])

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """The mean stands in the parameters' place for a while, to be looked at."""
        kept = {name: value.detach().clone() for name, value in self.parameters.items()}
        self.settle()
        try:
            yield
        finally:
            with torch.no_grad():
                for name, value in self.parameters.items():
                    value.copy_(kept[name])
