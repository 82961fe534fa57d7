"""Linear layers in bfloat16 whose result about a row does not depend on how many other rows there are."""

import platform

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from calm.model.precision import fast_dtype

LEAST = 64
"""Rows that are multiplied at once, at least; on a CPU as many take hardly longer than one."""


class FixedRows(nn.Module):
    """A linear layer that fills up fewer than :data:`LEAST` rows with zeros.

    On a CPU with bfloat16 its weight is put into the order that the processor reads, once, rather than at every call
    as by torch: the very same numbers, and half of the time where rows are few.

    Args:
        layer: without gradients.
        kept: whether ``layer`` is used elsewhere as well.
    """

    def __init__(self, layer: nn.Linear, kept: bool = False) -> None:
        super().__init__()
        self.layer: nn.Linear | None = layer
        self._kept, self._packed, self._bias = kept, None, layer.bias

    @property
    def nbytes(self) -> int:
        """Bytes of the weight where it is no parameter any more."""
        return 0 if self._packed is None else 2 * self._packed.numel()

    def forward(self, values: Tensor) -> Tensor:
        """(…, read) → (…, out)."""
        rows = values.reshape(-1, values.shape[-1])
        filled = rows if len(rows) >= LEAST else F.pad(rows, (0, 0, 0, LEAST - len(rows)))
        return self._multiply(filled)[: len(rows)].unflatten(0, values.shape[:-1])

    def _multiply(self, rows: Tensor) -> Tensor:
        layer = self.layer
        if self._packed is None and layer is not None:  # other threads may be here as well
            if not _packs(layer.weight):
                return layer(rows)
            self._packed = torch.ops.mkldnn._reorder_linear_weight(layer.weight, LEAST)
            self.layer = layer if self._kept else None
        return torch.ops.mkldnn._linear_pointwise(rows, self._packed, self._bias, "none", [], "")


def _packs(weight: Tensor) -> bool:
    here = weight.device.type == "cpu" and platform.machine() in ("x86_64", "AMD64")
    return here and weight.dtype == torch.bfloat16 == fast_dtype("cpu")


def fix_rows(part: nn.Module) -> None:
    """Replace all linear layers of an encoder or a language model, whose word embeddings its last layer may share."""
    for name, layer in list(part.named_modules()):
        if isinstance(layer, nn.Linear):
            part.set_submodule(name, FixedRows(layer, kept=name == "lm_head"))
