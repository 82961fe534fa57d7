"""Everything that a stage needs to go on where it was interrupted, in one file."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn


@dataclass(frozen=True)
class RunState:
    """What a stage changes.

    Attributes:
        trained: parameters that learn, by name; average: their running means.
        optimiser: of all of them.
    """

    trained: Mapping[str, nn.Parameter]
    average: Mapping[str, Tensor]
    optimiser: torch.optim.Optimizer

    def save(self, path: Path, step: int) -> None:
        """Write the state after ``step`` steps; the file is complete or as it was."""
        state = {f"model.{name}": value.detach() for name, value in self.trained.items()}
        state |= {f"average.{name}": value for name, value in self.average.items()}
        for index, moments in self.optimiser.state_dict()["state"].items():
            state |= {f"optimiser.{index}.{name}": value for name, value in moments.items()}
        scratch = path.with_name(f"{path.name}.part")
        save_file({name: value.contiguous().clone() for name, value in state.items()}, scratch, {"step": str(step)})
        scratch.rename(path)

    def resume(self, path: Path) -> int:
        """Take in what :meth:`save` wrote; steps done, 0 where there is no file."""
        if not path.is_file():
            return 0
        with safe_open(path, "pt") as stream:
            step = int((stream.metadata() or {})["step"])
        state = load_file(path)
        with torch.no_grad():
            for name, value in self.trained.items():
                value.copy_(state[f"model.{name}"])
                self.average[name].copy_(state[f"average.{name}"])
        moments: defaultdict[int, dict[str, Tensor]] = defaultdict(dict)
        for name, value in state.items():
            if name.startswith("optimiser."):
                _, index, moment = name.split(".")
                moments[int(index)][moment] = value
        shell = self.optimiser.state_dict()
        shell["state"] = dict(moments)
        self.optimiser.load_state_dict(shell)
        return step
