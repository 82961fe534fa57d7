"""The frozen visual encoder: hidden states of chosen depths, as a small grid of tokens.

Any vision model of transformers fits that has ``num_hidden_layers`` blocks in one ``ModuleList`` and a square grid of
patch tokens, with or without one class token before them (Dinov2, CLIP, SigLIP).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from calm.errors import ConfigError


class _DeepEnough(Exception):
    """Ends a forward pass after the deepest block that was asked for."""


class VisionEncoder(nn.Module):
    """Reads block outputs of a vision model.

    Args:
        model: a transformers vision model.
        pool: side of the square of patches that is averaged into one token; 1 keeps every patch.
    """

    def __init__(self, model: nn.Module, pool: int = 2) -> None:
        super().__init__()
        self.model = model
        self.pool = pool

    @property
    def depth(self) -> int:
        """Number of transformer blocks."""
        return self.model.config.num_hidden_layers

    @property
    def width(self) -> int:
        """Channels of a token."""
        return self.model.config.hidden_size

    def blocks(self) -> nn.ModuleList:
        """The transformer blocks, first to last. Raises :class:`ConfigError` when the model hides them."""
        for module in self.model.modules():
            if isinstance(module, nn.ModuleList) and len(module) == self.depth:
                return module
        raise ConfigError(
            f"expected {type(self.model).__name__} to keep its {self.depth} blocks in one ModuleList, found none; "
            "use a vision model whose hidden states can be read"
        )

    def forward(self, pixel_values: Tensor, layers: Sequence[int]) -> Tensor:
        """Hidden states after the blocks named in ``layers`` (1 is the first block).

        The pass ends at the deepest block asked for, so shallow layers are cheap.

        Args:
            pixel_values: (B, 3, H, W), normalised for the encoder.
            layers: block numbers, 1 … ``depth``.

        Returns:
            (B, len(layers), 1 + (grid/pool)², width): for each layer a summary token (the class token, or the mean of
            the patches where the model has none) and the pooled patches, row by row.
        """
        if not all(1 <= layer <= self.depth for layer in layers):
            raise ConfigError(
                f"expected layers between 1 and {self.depth}, found {list(layers)}; the encoder has {self.depth} blocks"
            )
        deepest = max(layers)
        states: dict[int, Tensor] = {}

        def keep(number: int):  # noqa: ANN202 - a hook
            def hook(_module: nn.Module, _inputs: object, output: object) -> None:
                states[number] = output[0] if isinstance(output, tuple) else output
                if number == deepest:
                    raise _DeepEnough

            return hook

        blocks = self.blocks()
        handles = [blocks[layer - 1].register_forward_hook(keep(layer)) for layer in set(layers)]
        try:
            self.model(pixel_values=pixel_values.to(self.model.dtype))
        except _DeepEnough:
            pass
        finally:
            for handle in handles:
                handle.remove()
        return torch.stack([pool_grid(states[layer], self.pool) for layer in layers], dim=1)


def pool_grid(tokens: Tensor, pool: int) -> Tensor:
    """Average each ``pool`` × ``pool`` square of patch tokens.

    Args:
        tokens: (B, grid², C) or (B, 1 + grid², C) with a class token first.

    Returns:
        (B, 1 + (grid // pool)², C), the class token (or the mean of the patches) first.
    """
    count = tokens.shape[1]
    side = math.isqrt(count)
    if side * side == count:
        summary, patches = tokens.mean(dim=1, keepdim=True), tokens
    elif math.isqrt(count - 1) ** 2 == count - 1:
        side = math.isqrt(count - 1)
        summary, patches = tokens[:, :1], tokens[:, 1:]
    else:
        raise ConfigError(
            f"expected a square grid of patch tokens with at most one class token, found {count} tokens; "
            "use a vision model without register tokens, or a square image size"
        )
    if pool > 1:
        grid = patches.transpose(1, 2).unflatten(2, (side, side))
        patches = F.avg_pool2d(grid, pool).flatten(2).transpose(1, 2)
    return torch.cat([summary, patches], dim=1)
