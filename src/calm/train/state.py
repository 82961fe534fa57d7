"""Checkpoints of a run: what is needed to go on to the same result, without pickle."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from calm.errors import CheckpointError
from calm.model.checkpoint import load_trained, trained_state
from calm.model.modeling import CalmForConditionalGeneration
from calm.train.average import RunningMean

STEPS = "steps"
"""Name of the count of averaged steps beside the means, which no parameter has."""


@dataclass
class Progress:
    """Where a run stands: the stage, the steps done in it, and the recipe it belongs to."""

    stage: int = 0
    step: int = 0
    recipe: str = ""


def save(
    folder: Path,
    progress: Progress,
    model: CalmForConditionalGeneration,
    optimizer: torch.optim.Optimizer,
    mean: RunningMean | None = None,
) -> None:
    """Write a checkpoint beside the last one, then take its place."""
    scratch, final, old = folder / "checkpoint.new", folder / "checkpoint", folder / "checkpoint.old"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    save_file({n: v.contiguous() for n, v in trained_state(model).items()}, scratch / "trained.safetensors")
    names = {id(p): n for n, p in model.named_parameters()}
    moments = {
        f"{names[id(p)]}|{key}": torch.as_tensor(value).contiguous()
        for p, entry in optimizer.state.items()
        for key, value in entry.items()
    }
    save_file(moments, scratch / "optimizer.safetensors")
    if mean:
        save_file(mean.means | {STEPS: torch.tensor(mean.steps)}, scratch / "mean.safetensors")
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


def restore_optimizer(folder: Path, model: CalmForConditionalGeneration, optimizer: torch.optim.Optimizer) -> None:
    """Put the checkpoint's moments into ``optimizer``."""
    parameters = dict(model.named_parameters())
    moments = load_file(_existing(folder) / "optimizer.safetensors")
    for key, value in moments.items():
        name, entry = key.rsplit("|", 1)
        optimizer.state[parameters[name]][entry] = value


def restore_mean(folder: Path, mean: RunningMean | None) -> None:
    """Put the checkpoint's running mean into ``mean``, where the stage has one."""
    if mean:
        means = load_file(_existing(folder) / "mean.safetensors")
        mean.steps = int(means.pop(STEPS))
        mean.means = means


def _existing(folder: Path) -> Path:
    final = folder / "checkpoint"
    return final if final.exists() else folder / "checkpoint.old"
