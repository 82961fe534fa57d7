"""Llama's decoder (Touvron et al., 2023, arXiv 2302.13971) with grouped queries, as much of it as answers need.

Names and numbers are those of ``transformers.LlamaForCausalLM``, which training adapts. Importing that takes longer
than all else that a score needs.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Angles = tuple[Tensor, Tensor]
"""Cosines and sines of positions, each (B, T, width of a head)."""
ROOM = 32
"""Tokens by which the room of a cache grows."""


class Cache:
    """Keys and values of tokens that were read, by layer: each (B, heads, room, width of a head).

    Room grows by :data:`ROOM` tokens at a time, so that kernels, and with them the rounding, do not depend on it.

    Args:
        filled: (B,), how many places of each row are taken; who adds a token counts it.
    """

    def __init__(self, filled: Tensor) -> None:
        self.filled, self.layers = filled, dict[int, tuple[Tensor, Tensor]]()

    @property
    def room(self) -> int:
        """Places of a row once one more token is added."""
        there = self.layers[0][0].shape[2] if self.layers else 0
        return max(there, -(-(int(self.filled.max()) + 1) // ROOM) * ROOM)

    def update(self, keys: Tensor, values: Tensor, layer: int, *_: object) -> tuple[Tensor, Tensor]:
        """Add those of new tokens, (B, heads, T, width of a head), to the first ones or T = 1; returns all.

        The name and the order of arguments are those of transformers' caches.
        """
        if layer in self.layers:
            stored = tuple(_widened(each, self.room) for each in self.layers[layer])
            rows = torch.arange(len(keys), device=keys.device)
            for place, new in zip(stored, (keys, values), strict=True):
                place[rows, :, self.filled] = new[:, :, 0]
        else:
            stored = keys, values
        self.layers[layer] = stored[0], stored[1]
        return self.layers[layer]

    def join(self, other: Cache) -> None:
        """Add the rows of another one."""
        self.filled = torch.cat([self.filled, other.filled])
        for layer, added in other.layers.items():
            mine = self.layers.get(layer, tuple(each[:0] for each in added))
            keys, values = (
                torch.cat([_widened(each, self.room) for each in both]) for both in zip(mine, added, strict=True)
            )
            self.layers[layer] = keys, values

    def keep(self, rows: Tensor) -> None:
        """Keep rows, in this order: where a row stands where it stood, it is not copied."""
        moved = (rows != torch.arange(len(rows), device=rows.device)).nonzero()[:, 0]
        for layer, stored in self.layers.items():
            for each in stored:
                each[moved] = each[rows[moved]]
            self.layers[layer] = stored[0][: len(rows)], stored[1][: len(rows)]
        self.filled = self.filled[rows]


def _widened(values: Tensor, room: int) -> Tensor:
    """(B, heads, T, width) → (B, heads, room, width), zeros behind."""
    return F.pad(values, (0, 0, 0, room - values.shape[2])) if values.shape[2] < room else values


class LanguageModel(nn.Module):
    """The decoder and the layer that reads words off its states.

    Args:
        config: of a model of type ``llama``, with plain rotary positions and no biases.
    """

    def __init__(self, config: Any) -> None:  # noqa: ANN401 - attributes by transformers' names
        super().__init__()
        self.model = Decoder(config)
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)

    def tie_weights(self) -> None:
        """Words are read off states by the very table that they are looked up in."""
        self.lm_head.weight = self.model.embed_tokens.weight


class Decoder(nn.Module):
    """Word embeddings, blocks and the norm behind them."""

    def __init__(self, config: Any) -> None:  # noqa: ANN401
        super().__init__()
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        self.layers = nn.ModuleList(Block(config, number) for number in range(config.num_hidden_layers))
        self.norm = Norm(config.hidden_size, config.rms_norm_eps)
        self.theta, self.head = config.rope_parameters["rope_theta"], head_width(config)

    def rotary_emb(self, embeddings: Tensor, positions: Tensor) -> Angles:
        """Rotary positions (Su et al., 2021, arXiv 2104.09864) of ``positions`` (B, T), in the format of the others."""
        steps = torch.arange(0, self.head, 2, device=positions.device).float() / self.head
        angles = positions[..., None].float() * (1.0 / self.theta**steps)
        angles = torch.cat([angles, angles], dim=-1)
        return angles.cos().to(embeddings.dtype), angles.sin().to(embeddings.dtype)


def head_width(config: Any) -> int:  # noqa: ANN401
    """Channels of one head of attention."""
    return config.head_dim or config.hidden_size // config.num_attention_heads


class Block(nn.Module):
    """Attention and feed-forward network, each on normed states and added."""

    def __init__(self, config: Any, number: int) -> None:  # noqa: ANN401
        super().__init__()
        self.self_attn = Attention(config, number)
        self.mlp = FeedForward(config.hidden_size, config.intermediate_size)
        self.input_layernorm = Norm(config.hidden_size, config.rms_norm_eps)
        self.post_attention_layernorm = Norm(config.hidden_size, config.rms_norm_eps)

    def forward(
        self,
        states: Tensor,
        position_embeddings: Angles,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        past_key_values: Cache | None = None,
    ) -> Tensor:
        """(B, T, width) → (B, T, width).

        Args:
            attention_mask: (B, 1, T, S), what is added to the logits of attention; None where each token reads all.
            position_ids: what ``position_embeddings`` were made of.
        """
        read = self.self_attn(self.input_layernorm(states), position_embeddings, attention_mask, past_key_values)
        states = states + read
        return states + self.mlp(self.post_attention_layernorm(states))


class Attention(nn.Module):
    """Several heads of queries share one of keys and values."""

    def __init__(self, config: Any, number: int) -> None:  # noqa: ANN401
        super().__init__()
        width, self.head, self.number = config.hidden_size, head_width(config), number
        self.groups = config.num_attention_heads // config.num_key_value_heads
        queries, keys = config.num_attention_heads * self.head, config.num_key_value_heads * self.head
        self.q_proj = nn.Linear(width, queries, bias=False)
        self.k_proj, self.v_proj = (nn.Linear(width, keys, bias=False) for _ in range(2))
        self.o_proj = nn.Linear(queries, width, bias=False)

    def forward(self, states: Tensor, angles: Angles, mask: Tensor | None, cache: Cache | None) -> Tensor:
        """(B, T, width) → (B, T, width)."""
        projections = (self.q_proj, self.k_proj, self.v_proj)
        q, k, v = (layer(states).unflatten(2, (-1, self.head)).transpose(1, 2) for layer in projections)
        q, k = rotated(q, angles), rotated(k, angles)
        if cache is not None:
            k, v = cache.update(k, v, self.number)
        shape = q.shape
        if shape[2] == 1:  # queries that share keys stand side by side, rather than the keys several times
            q = q.reshape(len(q), -1, self.groups, self.head)
        else:
            k, v = (each.repeat_interleave(self.groups, dim=1) for each in (k, v))
        read = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        return self.o_proj(read.reshape(shape).transpose(1, 2).flatten(2))


def rotated(values: Tensor, angles: Angles) -> Tensor:
    """Queries or keys, (B, heads, T, width of a head), turned by the angles of their positions."""
    cosines, sines = (each.unsqueeze(1) for each in angles)
    first, second = values.chunk(2, dim=-1)
    return values * cosines + torch.cat([-second, first], dim=-1) * sines


class FeedForward(nn.Module):
    """A gated network (SwiGLU, Shazeer, 2020, arXiv 2002.05202)."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.gate_proj, self.up_proj = (nn.Linear(width, hidden, bias=False) for _ in range(2))
        self.down_proj = nn.Linear(hidden, width, bias=False)

    def forward(self, states: Tensor) -> Tensor:
        """(B, T, width) → (B, T, width)."""
        return self.down_proj(F.silu(self.gate_proj(states)) * self.up_proj(states))


class Norm(nn.Module):
    """Root-mean-square norm in float32, and a factor for each channel."""

    def __init__(self, width: int, eps: float) -> None:
        super().__init__()
        self.weight, self.eps = nn.Parameter(torch.ones(width)), eps

    def forward(self, states: Tensor) -> Tensor:
        """(B, T, width) → (B, T, width)."""
        exact = states.float()
        exact = exact * torch.rsqrt(exact.square().mean(dim=-1, keepdim=True) + self.eps)
        return self.weight * exact.to(states.dtype)
