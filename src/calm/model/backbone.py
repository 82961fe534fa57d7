"""The visual encoder: hidden states of chosen blocks, as a class token and a small grid of patches."""

import copy
import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from calm.errors import ConfigError


class Backbone(nn.Module):
    """Block outputs of a DINOv2-like vision transformer of transformers.

    Args:
        model: has ``embeddings`` and ``encoder.layer`` and writes one class token before a square grid of patches.
        pool: side of the square of patches that is averaged into one feature token.
    """

    def __init__(self, model: nn.Module, pool: int = 2) -> None:
        super().__init__()
        self.model = model
        self.pool = pool
        self._merged: list[nn.Module] = []

    def blocks(self) -> nn.ModuleList:
        """The transformer blocks, first to last."""
        return self.model.encoder.layer

    def forward(self, pixels: Tensor, layers: Sequence[int]) -> Tensor:
        """Hidden states after the blocks ``layers`` (1 is the first); the pass ends at the deepest of them.

        Args:
            pixels: (B, 3, S, S), normalised for the encoder.

        Returns:
            (B, len(layers), 1 + (grid / pool)², width): class token and pooled patches of each layer.
        """
        return torch.stack(list(self._walk(self.model.embeddings(pixels), 0, layers)[0].values()), dim=1)

    def trunk(self, pixels: Tensor, layers: Sequence[int], until: int) -> tuple[Tensor, Tensor]:
        """The first ``until`` blocks, which never learn: hidden states of those ``layers`` as :meth:`forward` gives
        them, and all tokens behind the last block, (B, 1 + grid², width), for :meth:`late`.
        """
        found, tokens = self._walk(self.model.embeddings(pixels), 0, layers, until)
        return torch.stack(list(found.values()), dim=1), tokens

    def late(self, tokens: Tensor, layers: Sequence[int], after: int) -> Tensor:
        """What :meth:`forward` gives of ``layers``, all of them behind block ``after``, from :meth:`trunk`'s tokens."""
        return torch.stack(list(self._walk(tokens, after, layers, blocks=self._merged)[0].values()), dim=1)

    def use_merged_blocks(self, after: int) -> None:
        """Let :meth:`late` run copies of the blocks behind ``after`` with their adapters merged, which takes half as
        long, until :meth:`use_adapters`.
        """
        late = nn.ModuleList(copy.deepcopy(block) for block in self.blocks()[after:])
        merge_lora(late)
        self._merged = list(late.eval().requires_grad_(False))

    def use_adapters(self) -> None:
        """Let :meth:`late` run the blocks themselves again."""
        self._merged = []

    def _walk(
        self,
        tokens: Tensor,
        start: int,
        layers: Sequence[int],
        stop: int | None = None,
        blocks: Sequence[nn.Module] = (),
    ) -> tuple[dict[int, Tensor], Tensor]:
        """Blocks ``start`` + 1 to ``stop`` (None: the deepest of ``layers``), or ``blocks`` in their place."""
        found = {}
        stop = max(layers) if stop is None else stop
        chosen = blocks[: stop - start] if blocks else self.blocks()[start:stop]
        for number, block in enumerate(chosen, start=start + 1):
            tokens = block(tokens)
            tokens = tokens[0] if isinstance(tokens, tuple) else tokens
            if number in layers:
                found[number] = pool_patches(tokens, self.pool)
        return found, tokens


def in_chunks(function: Callable[..., Sequence[Any]], size: int, *given: Tensor) -> list[Any]:
    """What a function gives for rows, ``size`` of them at once, filled up with the last one.

    In bfloat16 the kernel, and with it the rounding, depends on how many rows there are: with a fixed number, the
    answer about a row does not depend on its company.

    Args:
        function: of tensors with as many rows each; gives such tensors, or None in the place of one.
        size: rows at once; 0 for all that there are.
        given: what the function is applied to, at least one row.
    """
    if not size or len(given[0]) == size:
        return list(function(*given))
    count = len(given[0])
    parts = []
    for start in range(0, count, size):
        rows = torch.arange(start, start + size).clamp(max=count - 1)
        parts.append(function(*(each[rows.to(each.device)] for each in given)))
    return [None if each[0] is None else torch.cat(each)[:count] for each in zip(*parts, strict=True)]


def merge_lora(part: nn.Module) -> None:
    """Replace every LoRA layer below ``part`` by its base layer with the adapter's weights added."""
    from peft.tuners.lora import LoraLayer

    for name, module in list(part.named_modules()):
        if isinstance(module, LoraLayer):
            module.merge()
            part.set_submodule(name, module.get_base_layer())


def pool_patches(tokens: Tensor, pool: int) -> Tensor:
    """Average each ``pool`` × ``pool`` square of patches: (B, 1 + grid², C) → (B, 1 + (grid // pool)², C)."""
    side = math.isqrt(tokens.shape[1] - 1)
    if side * side != tokens.shape[1] - 1:
        raise ConfigError(
            f"expected one class token before a square grid of patches, found {tokens.shape[1]} tokens; "
            "use a vision model without register tokens, or a square image size"
        )
    if pool == 1:
        return tokens
    grid = tokens[:, 1:].transpose(1, 2).unflatten(2, (side, side))
    return torch.cat([tokens[:, :1], F.avg_pool2d(grid, pool).flatten(2).transpose(1, 2)], dim=1)
