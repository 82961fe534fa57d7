"""Checkpoints of a run: what is needed to go on to the same result, without pickle."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from calm.errors import CheckpointError
from calm.model.checkpoint import load_trained
from calm.model.modeling import CalmForConditionalGeneration
from calm.train.average import RunningMean
from calm.train.engine import Engine, full, like

STEPS = "steps"
"""Name of the count of averaged steps beside the means, which no parameter has."""


@dataclass
class Progress:
    """Where a run stands: the stage, the steps done in it, and the recipe it belongs to."""

    stage: int = 0
    step: int = 0
    recipe: str = ""


Snapshot = dict[str, dict[str, Tensor]]
"""Tensors by name, for each file of a checkpoint."""


def snapshot(
    engine: Engine,
    model: CalmForConditionalGeneration,
    optimizer: torch.optim.Optimizer | None = None,
    mean: RunningMean | None = None,
) -> Snapshot:
    """Whole tensors of a run as it stands, on the CPU; where it is sharded, all processes must ask.

    Args:
        optimizer: its moments belong to the stage that is going on; None between stages.
    """
    taken = {"trained": engine.trained(model), "optimizer": engine.moments(model, optimizer) if optimizer else {}}
    if mean:
        taken["mean"] = {name: full(value) for name, value in mean.means.items()} | {STEPS: torch.tensor(mean.steps)}
    return {
        file: {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
        for file, tensors in taken.items()
    }


def save(folder: Path, progress: Progress, taken: Snapshot) -> None:
    """Write a checkpoint beside the last one, then take its place."""
    scratch, final, old = folder / "checkpoint.new", folder / "checkpoint", folder / "checkpoint.old"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    for name, tensors in taken.items():
        save_file(tensors, scratch / f"{name}.safetensors")
    (scratch / "progress.json").write_text(json.dumps(asdict(progress)))
    shutil.rmtree(old, ignore_errors=True)
    if final.exists():
        final.rename(old)
    scratch.rename(final)
    shutil.rmtree(old, ignore_errors=True)


def find(folder: Path, recipe: str) -> Progress | None:
    """Progress of the checkpoint in ``folder``, None when there is none.

    Raises:
        CheckpointError: when it belongs to another recipe.
    """
    for name in ("checkpoint", "checkpoint.old"):
        path = folder / name / "progress.json"
        if path.is_file():
            progress = Progress(**json.loads(path.read_text()))
            if progress.recipe != recipe:
                raise CheckpointError(
                    f"expected {folder} to hold a run of this recipe ({recipe}), found one of {progress.recipe}; "
                    "name another output folder, or remove that one to begin anew"
                )
            return progress
    return None


def restore_model(folder: Path, model: CalmForConditionalGeneration) -> None:
    """Put the checkpoint's tensors into ``model``."""
    load_trained(model, _existing(folder) / "trained.safetensors")


def restore_optimizer(
    folder: Path, engine: Engine, model: CalmForConditionalGeneration, optimizer: torch.optim.Optimizer
) -> None:
    """Put the checkpoint's moments into ``optimizer``."""
    engine.restore_moments(load_file(_existing(folder) / "optimizer.safetensors"), model, optimizer)


def restore_mean(folder: Path, mean: RunningMean | None) -> None:
    """Put the checkpoint's running mean into ``mean``, where the stage has one."""
    if mean:
        means = load_file(_existing(folder) / "mean.safetensors")
        mean.steps = int(means.pop(STEPS))
        mean.means = {name: like(value, mean.parameters[name]) for name, value in means.items()}


def _existing(folder: Path) -> Path:
    final = folder / "checkpoint"
    return final if final.exists() else folder / "checkpoint.old"
