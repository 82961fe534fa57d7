"""A second judge: what another training run learnt of scores, beside the model's own.

Two judges that learnt from the same photos in runs of their own err differently, and their mean is better than either
(deep ensembles, Lakshminarayanan et al., NeurIPS 2017). Encoder below the adapters, alignment module but for the branch
of statistics, and language model are shared, so that a judge is a file of a few megabytes; and where a score is read
from two looks at the frame anyway (:mod:`calm.data.looks`), a second judge for the second look costs no time.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from calm.errors import WeightsError
from calm.model.backbone import merge_lora
from calm.model.checkpoint import trained_state
from calm.model.compact import pack, unpack
from calm.model.encoder import VisionEncoder
from calm.model.modeling import CalmForConditionalGeneration

JUDGE = "judge.safetensors"
"""Name of the file in a model's folder."""
OWN = ("vision.", "mfam.statistics.", "heads.hidden.judged.", "heads.out.score.")
"""Prefixes of what a judge does not share."""
COMPACT = ("mfam.statistics.",)
"""Prefixes of its matrices that are kept in eight bits."""


def judge_state(model: CalmForConditionalGeneration) -> dict[str, torch.Tensor]:
    """The tensors of a model that make its judge, by name."""
    return {name: value for name, value in trained_state(model).items() if name.startswith(OWN)}


def save_judge(trained: Sequence[str | Path], path: str | Path) -> None:
    """Take the judge out of a trained file, or the mean of several.

    The mean is for runs that went on from the same weights (model soups, Wortsman et al., ICML 2022).
    """
    states = [unpack(load_file(each)) for each in trained]
    mean = {n: torch.stack([s[n].float() for s in states]).mean(dim=0) for n in states[0] if n.startswith(OWN)}
    measured = ("centre", "spread")
    kept = {n: (v if n.endswith(measured) else v.to(torch.bfloat16)).contiguous() for n, v in mean.items()}
    save_file(pack(kept, COMPACT), path, metadata={"format": "pt"})


def second_judge(model: CalmForConditionalGeneration, path: str | Path) -> CalmForConditionalGeneration:
    """A model that shares everything with ``model`` but what a judge has of its own.

    Args:
        model: with its adapters, not merged yet; its encoder forks (``adapted_branches``) for the branch of statistics.
        path: what :func:`save_judge` wrote, of the same configuration.

    Raises:
        WeightsError: when the file does not fit.
    """
    wanted, state = judge_state(model), unpack(load_file(path))
    trunk = model._fork
    wrong = sorted(set(state) ^ set(wanted)) or sorted(n for n in wanted if state[n].shape != wanted[n].shape)
    if trunk is None or wrong:
        found = f"a difference at {wrong[0]}" if wrong else "an encoder that does not fork"
        raise WeightsError(
            f"expected {path} to hold a judge of this configuration, found {found}; take one of the same recipe"
        )
    twin = _shallow(model)
    twin.vision = VisionEncoder(copy.deepcopy(model.vision.model), model.config.pool)
    twin.mfam, twin.heads = _shallow(model.mfam), copy.deepcopy(model.heads)
    twin.mfam.statistics = copy.deepcopy(model.mfam.statistics)
    with torch.no_grad():
        for name, value in judge_state(twin).items():
            value.copy_(state[name])
    late = nn.ModuleList(list(twin.vision.blocks())[trunk:])
    merge_lora(late)
    twin.vision = VisionEncoder(model.vision.model, model.config.pool)
    twin.vision.late = late
    return twin


def _shallow(module: nn.Module) -> nn.Module:
    """A copy with the same parts, any of which can be exchanged in the copy alone."""
    twin = copy.copy(module)
    twin._modules = dict(module._modules)
    return twin
