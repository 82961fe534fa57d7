"""Matrices in eight bits on disk, so that a packaged model stays small.

Each row (of a convolution, each kernel) is kept as whole numbers of −127 … 127 and one scale (symmetric quantisation by
row). In memory they are what they were, but for rounding by at most half a 127th of the row's largest value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
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
