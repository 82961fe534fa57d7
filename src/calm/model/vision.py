"""DINOv2's vision transformer (Oquab et al., 2023, arXiv 2304.07193), as much of it as answers need.

Names and numbers are those of ``transformers.Dinov2Model``, which training adapts. Importing that takes longer than all
else that a score needs.
"""

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class VisionTransformer(nn.Module):
    """Parts of the encoder as :class:`calm.model.backbone.Backbone` calls them.

    Args:
        config: of a model of type ``dinov2``.
    """

    def __init__(self, config: Any) -> None:  # noqa: ANN401 - attributes by transformers' names
        super().__init__()
        self.embeddings = Embeddings(config)
        self.encoder = nn.Module()
        self.encoder.layer = nn.ModuleList(Block(config) for _ in range(config.num_hidden_layers))


class Embeddings(nn.Module):
    """Pixels → tokens with their positions."""

    def __init__(self, config: Any) -> None:  # noqa: ANN401
        super().__init__()
        side = config.image_size // config.patch_size
        self.cls_token = nn.Parameter(torch.zeros(1, 1, config.hidden_size))
        self.position_embeddings = nn.Parameter(torch.zeros(1, 1 + side**2, config.hidden_size))
        self.patch_embeddings = nn.Module()
        self.patch_embeddings.projection = nn.Conv2d(
            config.num_channels, config.hidden_size, config.patch_size, config.patch_size
        )

    def forward(self, pixels: Tensor) -> Tensor:
        """(B, 3, H, W) → (B, 1 + patches, width): a class token, then the patches row by row."""
        projection = self.patch_embeddings.projection
        grid = projection(pixels.to(projection.weight.dtype))
        tokens = torch.cat([self.cls_token.expand(len(grid), -1, -1), grid.flatten(2).transpose(1, 2)], dim=1)
        return tokens + self._positions(*grid.shape[2:])

    def _positions(self, rows: int, columns: int) -> Tensor:
        """Positions of a grid, (1, 1 + rows · columns, width), resampled from those that were learnt."""
        learnt = self.position_embeddings
        side = math.isqrt(learnt.shape[1] - 1)
        if (rows, columns) == (side, side):
            return learnt
        square = learnt[:, 1:].unflatten(1, (side, side)).permute(0, 3, 1, 2).float()
        grid = F.interpolate(square, (rows, columns), mode="bicubic", align_corners=False).to(learnt.dtype)
        return torch.cat([learnt[:, :1], grid.flatten(2).transpose(1, 2)], dim=1)


class Block(nn.Module):
    """Attention and feed-forward network, each on normed tokens, scaled by channel and added."""

    def __init__(self, config: Any) -> None:  # noqa: ANN401
        super().__init__()
        width, hidden = config.hidden_size, int(config.hidden_size * config.mlp_ratio)
        self.norm1 = nn.LayerNorm(width, config.layer_norm_eps)
        self.attention = Attention(width, config.num_attention_heads, config.qkv_bias)
        self.layer_scale1 = LayerScale(width)
        self.norm2 = nn.LayerNorm(width, config.layer_norm_eps)
        self.mlp = FeedForward(width, hidden)
        self.layer_scale2 = LayerScale(width)

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, T, width) → (B, T, width)."""
        tokens = tokens + self.layer_scale1(self.attention(self.norm1(tokens)))
        return tokens + self.layer_scale2(self.mlp(self.norm2(tokens)))


class Attention(nn.Module):
    """Every token reads every token."""

    def __init__(self, width: int, heads: int, bias: bool) -> None:
        super().__init__()
        self.heads = heads
        self.q_proj, self.k_proj, self.v_proj = (nn.Linear(width, width, bias) for _ in range(3))
        self.o_proj = nn.Linear(width, width)

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, T, width) → (B, T, width)."""
        projections = (self.q_proj, self.k_proj, self.v_proj)
        q, k, v = (layer(tokens).unflatten(2, (self.heads, -1)).transpose(1, 2) for layer in projections)
        return self.o_proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))


class LayerScale(nn.Module):
    """One learnt factor for each channel."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.lambda1 = nn.Parameter(torch.ones(width))

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, T, width) → (B, T, width)."""
        return tokens * self.lambda1


class FeedForward(nn.Module):
    """Two linear layers."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(width, hidden), nn.Linear(hidden, width)

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, T, width) → (B, T, width)."""
        return self.fc2(F.gelu(self.fc1(tokens)))
