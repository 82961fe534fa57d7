"""What the processes of tests/test_train_distributed.py run: several trainings, one after the other.

Called with pairs RECIPE STOP: the step after which the run is interrupted, 0 for none. Dropout is off, because each
process draws its own.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate import Accelerator, DistributedType
from accelerate.state import AcceleratorState, PartialState

from calm.train import engine, run
from calm.train.loop import Trainer


@contextmanager
def interrupted_after(steps: int) -> Iterator[None]:
    """Inside, a training has no dropout and ends after so many steps on every process; 0 for none."""
    left, due = [steps], Trainer._due

    def stopping(self: Trainer, saved: float) -> bool:
        left[0] -= 1
        if left[0] == 0:
            raise KeyboardInterrupt
        return due(self, saved)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.nn.functional, "dropout", lambda values, *_args, **_words: values)
        patch.setattr(Trainer, "_due", stopping)
        patch.setattr(run, "_finish", lambda *_: None)  # what follows the last step takes longer than all of them
        with pytest.raises(KeyboardInterrupt) if steps else nullcontext():
            yield


def shard_on_cpus() -> None:
    """Accelerate leaves FSDP and DeepSpeed to GPUs; torch and DeepSpeed themselves can do both on CPUs (gloo)."""
    if os.environ.get("ACCELERATE_USE_FSDP") == "true":
        begin = AcceleratorState.__init__

        def sharded(self: AcceleratorState, *args: Any, **words: Any) -> None:
            begin(self, *args, **words)
            if plugin := words.get("fsdp_plugin"):
                self.distributed_type, self.fsdp_plugin = DistributedType.FSDP, plugin
                PartialState._shared_state["distributed_type"] = DistributedType.FSDP

        AcceleratorState.__init__ = sharded
    if os.environ.get("ACCELERATE_USE_DEEPSPEED") == "true":
        PartialState._prepare_backend = lambda *_args, **_words: ("gloo", DistributedType.NO)
        engine.Accelerator = lambda **words: Accelerator(**words | {"cpu": False})


def main(arguments: list[str]) -> None:
    """Trains each recipe by all processes."""
    warnings.simplefilter("ignore")
    shard_on_cpus()
    end, PartialState.destroy_process_group = PartialState.destroy_process_group, lambda *_: None
    for recipe, stop in zip(arguments[::2], arguments[1::2], strict=True):
        with interrupted_after(int(stop)):
            run.train(Path(recipe))
    end(PartialState())


if __name__ == "__main__":
    main(sys.argv[1:])
