"""How much is computed, and how much of what the machine can do that is."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

aten = torch.ops.aten
FORMULAS: dict[Any, Callable[..., int]] = {
    **flop_registry,
    # torch counts the attention kernels of GPUs alone
    aten._scaled_dot_product_flash_attention_for_cpu: flop_registry[aten._scaled_dot_product_flash_attention],
    aten._scaled_dot_product_flash_attention_for_cpu_backward: flop_registry[
        aten._scaled_dot_product_flash_attention_backward
    ],
}


class FlopCount(TorchDispatchMode):
    """Inside, counts floating-point operations of matrix products, convolutions and attention, by their shapes.

    A multiplication and an addition are two operations, as in ``torch.utils.flop_counter``, whose formulas these are.
    Forward and backward are counted as they run: what is frozen has no gradient of weights, and activations that are
    computed again count again. Everything else (norms, activations, the optimizer) is left out.

    Attributes:
        total: operations of this process so far.
    """

    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:  # noqa: ANN401
        out = func(*args, **(kwargs or {}))
        if formula := FORMULAS.get(func._overloadpacket):
            self.total += formula(*args, **(kwargs or {}), out_val=out)
        return out


def peak(device: torch.device, dtype: torch.dtype, seconds: float = 0.15) -> float:
    """FLOP/s of the best of some products of large square matrices: what this machine does at most, as measured here.

    All processes of a machine measure at once, so that the sum of theirs is the machine's.

    Args:
        seconds: to spend on it, about.
    """
    size = 8192 if device.type == "cuda" else 768
    matrix = torch.linspace(-1, 1, size * size, device=device).view(size, size).to(dtype)
    best, began = 0.0, time.perf_counter()
    while time.perf_counter() - began < seconds:
        start = time.perf_counter()
        _ = matrix @ matrix
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        best = max(best, 2 * size**3 / (time.perf_counter() - start))
    return best
