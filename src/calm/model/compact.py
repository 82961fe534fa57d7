"""Matrices in eight bits on disk, and what fine-tuning changed in four, so that a packaged model stays small.

Each row (of a convolution, each kernel) is kept as whole numbers of −127 … 127 and one scale (symmetric quantisation by
row). In memory they are what they were, but for rounding by at most half a 127th of the row's largest value. Where the
weights that training began from are at hand anyway, their difference is enough: it is some hundredths of them, so that
whole numbers of −7 … 7 round it about as finely as eight bits round the weights (docs/lab.md, 63).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

SCALE = "|scale"
"""Behind the name of a matrix: the name of its scales, one for each row."""
LEVELS = 127
SHORT = 256
"""Rows of fewer values are kept as they are: they save little, and rounding shows in them (docs/lab.md, 47)."""


def pack(state: Mapping[str, Tensor], prefixes: Sequence[str]) -> dict[str, Tensor]:
    """The state with the matrices of long rows below ``prefixes`` in eight bits, scales beside them; all else as is."""
    packed: dict[str, Tensor] = {}
    for name, value in state.items():
        if value.ndim < 2 or value[0].numel() < SHORT or not name.startswith(tuple(prefixes)):
            packed[name] = value
            continue
        scale = (value.float().abs().amax(dim=tuple(range(1, value.ndim)), keepdim=True) / LEVELS).clamp(min=1e-12)
        packed[name] = (value.float() / scale).round().to(torch.int8)
        packed[name + SCALE] = scale
    return packed


def unpack(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What :func:`pack` was given, matrices in float32; a state that was not packed comes back as it is."""
    return {
        name: value.float() * state[name + SCALE] if name + SCALE in state else value
        for name, value in state.items()
        if not name.endswith(SCALE)
    }


DIFFERENCE = "|difference"
"""Behind the name of a matrix: its difference from what training began from, two numbers of four bits a byte."""
HALF = 7


def pack_difference(state: Mapping[str, Tensor], before: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What changed since ``before``, which has the same names: matrices by their difference in four bits, all else as
    it is; what did not change is left out.
    """
    packed: dict[str, Tensor] = {}
    for name, value in state.items():
        change = (value.float() - before[name].float()).flatten(1) if value.ndim > 1 else None
        if torch.equal(value.float(), before[name].float()):
            continue
        if change is None:
            packed[name] = value
            continue
        scale = (change.abs().amax(dim=1, keepdim=True) / HALF).clamp(min=1e-12)
        whole = F.pad(((change / scale).round() + (HALF + 1)).to(torch.uint8), (0, change.shape[1] % 2))
        packed[name + DIFFERENCE] = whole[:, ::2] | (whole[:, 1::2] << 4)
        packed[name + SCALE] = scale
    return packed


def unpack_difference(packed: Mapping[str, Tensor], before: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What :func:`pack_difference` was given, float32 where something changed. Raises :class:`ValueError` for a name or
    a shape that does not fit ``before``.
    """
    state = dict(before)
    for key, value in packed.items():
        name = key.removesuffix(DIFFERENCE).removesuffix(SCALE)
        if name not in before:
            raise ValueError(f"{name} is not part of what training began from")
        if key.endswith(DIFFERENCE):
            whole = torch.stack([value & 15, value >> 4], dim=2).flatten(1)
            columns = before[name][0].numel()
            if len(whole) != len(before[name]) or whole.shape[1] != columns + columns % 2:
                raise ValueError(f"{name} is of another size than what training began from")
            change = (whole[:, :columns].float() - (HALF + 1)) * packed[name + SCALE]
            state[name] = before[name].float() + change.view(before[name].shape)
        elif not key.endswith(SCALE):
            state[name] = value.float()
    return state
