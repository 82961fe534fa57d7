"""The Q-Former: learnt queries that read image features by cross-attention.

Li et al., "BLIP-2", ICML 2023 (arXiv 2301.12597), section 3.1, without its text branch. Layer by layer: the queries
attend to one another, then to the image features, then pass a feed-forward network; each step ends in a residual sum
and a layer norm. With the same weights it gives the same numbers as ``transformers.Blip2QFormerModel``.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Attention(nn.Module):
    """Multi-head attention from ``queries`` to ``features``, then residual sum and layer norm."""

    def __init__(self, width: int, heads: int, feature_width: int, dropout: float, eps: float) -> None:
        super().__init__()
        self.heads = heads
        self.dropout = dropout
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(feature_width, width)
        self.value = nn.Linear(feature_width, width)
        self.out = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width, eps=eps)

    def forward(self, queries: Tensor, features: Tensor, mask: Tensor | None = None) -> Tensor:
        """(B, Q, width), (B, N, feature_width), mask (B, N) True where features may be read → (B, Q, width)."""
        asking, asked = queries.shape[1], features.shape[1]
        few = asking * (1 + self.heads * asked / features.shape[2]) < asked
        read = (self._read_unprojected if few else self._read)(queries, features, mask)
        out = self.out(read.transpose(1, 2).flatten(2))
        return self.norm(queries + F.dropout(out, self.dropout, self.training))

    def _read(self, queries: Tensor, features: Tensor, mask: Tensor | None) -> Tensor:
        """What each head reads, (B, heads, Q, width / heads)."""
        q, k, v = (
            projected.unflatten(2, (self.heads, -1)).transpose(1, 2)
            for projected in (self.query(queries), self.key(features), self.value(features))
        )
        return F.scaled_dot_product_attention(
            q,
            k,
            v,
            attn_mask=None if mask is None else mask[:, None, None, :],
            dropout_p=self.dropout if self.training else 0.0,
        )

    def _read_unprojected(self, queries: Tensor, features: Tensor, mask: Tensor | None) -> Tensor:
        """The same without projecting every feature, for few queries and many features.

        q · (K x) = (Kᵀ q) · x, and Σ a (V x) = V (Σ a x): the projections move to the side of the queries. The key's
        bias moves all of a query's logits alike, which the softmax takes away.
        """
        heads, count = self.heads, queries.shape[1]
        q = self.query(queries).unflatten(2, (heads, -1)).transpose(1, 2)  # (B, heads, Q, d)
        key, value = (layer.weight.unflatten(0, (heads, -1)) for layer in (self.key, self.value))  # (heads, d, C)
        asked = torch.einsum("bhqd,hdc->bhqc", q, key).flatten(1, 2)  # (B, heads · Q, C)
        logits = asked @ features.transpose(1, 2) * q.shape[3] ** -0.5
        if mask is not None:
            logits = logits.masked_fill(~mask[:, None, :], -torch.inf)
        weights = F.dropout(logits.softmax(dim=2), self.dropout, self.training)
        seen = (weights @ features).unflatten(1, (heads, count))  # (B, heads, Q, C)
        bias = self.value.bias.unflatten(0, (heads, 1, -1))
        read = torch.einsum("bhqc,hdc->bhqd", seen, value)
        return read + weights.sum(dim=2).unflatten(1, (heads, count)).unsqueeze(3) * bias


class QFormerLayer(nn.Module):
    """Self-attention, cross-attention, feed-forward."""

    def __init__(self, width: int, heads: int, feature_width: int, hidden: int, dropout: float, eps: float) -> None:
        super().__init__()
        self.dropout = dropout
        self.self_attention = Attention(width, heads, width, dropout, eps)
        self.cross_attention = Attention(width, heads, feature_width, dropout, eps)
        self.up = nn.Linear(width, hidden)
        self.down = nn.Linear(hidden, width)
        self.norm = nn.LayerNorm(width, eps=eps)

    def forward(self, queries: Tensor, features: Tensor, mask: Tensor | None = None) -> Tensor:
        """Shapes as in :class:`Attention`."""
        queries = self.self_attention(queries, queries)
        queries = self.cross_attention(queries, features, mask)
        out = self.down(F.gelu(self.up(queries)))
        return self.norm(queries + F.dropout(out, self.dropout, self.training))


class QFormer(nn.Module):
    """Learnt queries and a stack of layers.

    Args:
        queries: number of learnt queries, which is the number of tokens that come out.
        width: channels of a query; divisible by ``heads``.
        feature_width: channels of the image features that are read.
        hidden: width of the feed-forward network.
        layers: number of layers, each with cross-attention.
    """

    def __init__(
        self,
        queries: int,
        width: int,
        heads: int,
        feature_width: int,
        hidden: int,
        layers: int,
        dropout: float = 0.0,
        eps: float = 1e-12,
    ) -> None:
        super().__init__()
        self.dropout = dropout
        self.queries = nn.Parameter(torch.empty(queries, width).normal_(std=0.5))
        self.norm = nn.LayerNorm(width, eps=eps)
        self.layers = nn.ModuleList(
            QFormerLayer(width, heads, feature_width, hidden, dropout, eps) for _ in range(layers)
        )

    def forward(self, features: Tensor, mask: Tensor | None = None, summary: Tensor | None = None) -> Tensor:
        """Read ``features`` (B, N, feature_width), where ``mask`` (B, N) is True, into (B, queries, width).

        ``summary`` (B, width), if given, is added to every query: the question then depends on the photo (ours).
        """
        queries = self.queries.to(features.dtype).expand(features.shape[0], -1, -1)
        if summary is not None:
            queries = queries + summary.unsqueeze(1)
        queries = F.dropout(self.norm(queries), self.dropout, self.training)
        for layer in self.layers:
            queries = layer(queries, features, mask)
        return queries
