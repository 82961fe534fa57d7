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

    def forward(self, queries: Tensor, features: Tensor) -> Tensor:
        """(B, Q, width), (B, N, feature_width) → (B, Q, width)."""
        asking, asked = queries.shape[1], features.shape[1]
        few = asking * (1 + self.heads * asked / features.shape[2]) < asked
        read = (self._read_unprojected if few else self._read)(queries, features)
        out = self.out(read.transpose(1, 2).flatten(2))
        return self.norm(queries + F.dropout(out, self.dropout, self.training))

    def _read(self, queries: Tensor, features: Tensor) -> Tensor:
        """What each head reads, (B, heads, Q, width / heads)."""
        q, k, v = (
            projected.unflatten(2, (self.heads, -1)).transpose(1, 2)
            for projected in (self.query(queries), self.key(features), self.value(features))
        )
        return F.scaled_dot_product_attention(q, k, v, dropout_p=self.dropout if self.training else 0.0)

    def _read_unprojected(self, queries: Tensor, features: Tensor) -> Tensor:
        """The same without projecting every feature, for few queries and many features.

        q · (K x) = (Kᵀ q) · x, and Σ a (V x) = V (Σ a x): the projections move to the side of the queries.
        """
        heads, count = self.heads, queries.shape[1]
        value = self.value.weight.unflatten(0, (heads, -1))  # (heads, d, C)
        weights = F.dropout(self.weights(queries, features), self.dropout, self.training)
        seen = (weights @ features).unflatten(1, (heads, count))  # (B, heads, Q, C)
        bias = self.value.bias.unflatten(0, (heads, 1, -1))
        read = torch.einsum("bhqc,hdc->bhqd", seen, value)
        return read + weights.sum(dim=2).unflatten(1, (heads, count)).unsqueeze(3) * bias

    def weights(self, queries: Tensor, features: Tensor) -> Tensor:
        """How much each query reads of each feature, head by head: (B, heads · Q, N), sums of 1.

        The key's bias moves all of a query's logits alike, which the softmax takes away.
        """
        q = self.query(queries).unflatten(2, (self.heads, -1)).transpose(1, 2)  # (B, heads, Q, d)
        key = self.key.weight.unflatten(0, (self.heads, -1))  # (heads, d, C)
        asked = torch.einsum("bhqd,hdc->bhqc", q, key).flatten(1, 2)
        return (asked @ features.transpose(1, 2) * q.shape[3] ** -0.5).softmax(dim=2)


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

    def forward(self, queries: Tensor, features: Tensor) -> Tensor:
        """Shapes as in :class:`Attention`."""
        queries = self.self_attention(queries, queries)
        queries = self.cross_attention(queries, features)
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

    def forward(self, features: Tensor, summary: Tensor | None = None) -> Tensor:
        """Read ``features`` (B, N, feature_width) into (B, queries, width).

        ``summary`` (B, width), if given, is added to every query: the question then depends on the photo (ours).
        """
        queries = self._asking(features, summary)
        for layer in self.layers:
            queries = layer(queries, features)
        return queries

    def attention(self, features: Tensor, summary: Tensor | None = None) -> Tensor:
        """How much is read of each feature, the mean over layers, heads and queries: (B, N), sums of 1."""
        queries, found = self._asking(features, summary), []
        for layer in self.layers:
            asked = layer.self_attention(queries, queries)
            found.append(layer.cross_attention.weights(asked, features).mean(dim=1))
            queries = layer(queries, features)
        return torch.stack(found).mean(dim=0)

    def _asking(self, features: Tensor, summary: Tensor | None) -> Tensor:
        queries = self.queries.to(features.dtype).expand(features.shape[0], -1, -1)
        if summary is not None:
            queries = queries + summary.unsqueeze(1)
        return F.dropout(self.norm(queries), self.dropout, self.training)
