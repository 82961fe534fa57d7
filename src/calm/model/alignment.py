"""The multi-scale feature alignment module (MFAM), the heart of CALM (AAAI 2025, arXiv 2412.11952).

Three Q-Formers, each with its own learnt queries, read encoder features of their own depth: low-level aesthetics
(light, colour, sharpness), middle-level (geometry, framing) and high-level (subject, harmony). A fully connected branch
passes on the thematic features of the last block. The low-level Q-Former reads the native-resolution crop a second
time, which gives the detail tokens. Every token ends in the language model's width and has the size of its word
embeddings.

Ours beside the paper: a summary of a branch's own features is added to its queries, pixel statistics are added to the
queries of the detail tokens, and the words that the thematic tokens are surest of stand among the tokens as words
(:mod:`calm.model.lexicon`).
"""

from __future__ import annotations

import math
from collections.abc import Container

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from calm.model.config import NetworkConfig
from calm.model.qformer import QFormer


class StandardisedLinear(nn.Linear):
    """A linear map of channels about their centre and in units of their spread.

    Channels of a frozen encoder have large means of their own; standardised, they are learnt from several times faster
    (docs/lab.md, 22). Centre and spread are measured once and are part of the weights.
    """

    def __init__(self, read: int, out: int) -> None:
        super().__init__(read, out)
        self.register_buffer("centre", torch.zeros(read))
        self.register_buffer("spread", torch.ones(read))

    def forward(self, values: Tensor) -> Tensor:
        """(B, read) → (B, out)."""
        return super().forward(self.standardised(values))

    def standardised(self, values: Tensor) -> Tensor:
        """(B, read) → (B, read), about the centre and in units of the spread."""
        return ((values - self.centre) / self.spread).to(values.dtype)

    @torch.no_grad()
    def standardise(self, values: Tensor) -> None:
        """Take centre and spread from examples (B, read); weight and bias make up for it: the function is the same."""
        centre, spread = values.mean(dim=0), values.std(dim=0) + 1e-2
        weight = self.weight / self.spread
        self.bias += weight @ (centre - self.centre)
        self.weight.copy_(weight * spread)
        self.centre.copy_(centre)
        self.spread.copy_(spread)


class Branch(nn.Module):
    """A Q-Former over features of several blocks, whose queries depend on a summary of those features."""

    def __init__(self, config: NetworkConfig, name: str) -> None:
        super().__init__()
        branch, width = config.branch(name), config.vision_config.hidden_size
        count = len(branch.layers)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(count))
        self.position = nn.Parameter(torch.empty(config.features, width).normal_(std=0.02))
        self.depth = nn.Parameter(torch.empty(count, 1, width).normal_(std=0.02))
        self.summary = StandardisedLinear(3 * count * width, width)
        self.qformer = QFormer(
            branch.queries,
            width,
            config.qformer_heads,
            width,
            config.qformer_hidden,
            config.qformer_layers,
            config.qformer_dropout,
        )
        self.projection = nn.Linear(width, config.text_config.hidden_size)

    def forward(self, features: Tensor, question: Tensor | None = None) -> Tensor:
        """(B, layers, tokens, width) → (B, queries, language width).

        ``question`` (B, width), if given, is added to every query.
        """
        asked = self.summary(summarise(features))
        asked = asked if question is None else asked + question
        return self.projection(self.qformer(self._read(features), asked))

    def attention(self, features: Tensor) -> Tensor:
        """Where the Q-Former looks, over all layers: (B, layers, tokens, width) → (B, side, side), sums of 1.

        What it reads of the class token is left out.
        """
        read = self.qformer.attention(self._read(features), self.summary(summarise(features)))
        patches = read.unflatten(1, features.shape[1:3]).sum(dim=1)[:, 1:]
        side = math.isqrt(patches.shape[1])
        return (patches / patches.sum(dim=1, keepdim=True)).unflatten(1, (side, side))

    def _read(self, features: Tensor) -> Tensor:
        """(B, layers, tokens, width) → (B, layers · tokens, width), normed, each with its place and depth."""
        normed = torch.stack([norm(features[:, i]) for i, norm in enumerate(self.norms)], dim=1)
        return (normed + self.position + self.depth).flatten(1, 2)


class AlignmentModule(nn.Module):
    """Encoder features of one photo → visual tokens in the language model's width."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        width, out = config.vision_config.hidden_size, config.text_config.hidden_size
        self.index = {layer: i for i, layer in enumerate(config.layers)}
        self.branches = nn.ModuleDict({name: Branch(config, name) for name in config.branches})
        if config.share_qformer:
            first, *others = self.branches.values()
            for branch in others:
                branch.qformer.layers = first.qformer.layers
        self.detail_kind = nn.Parameter(torch.empty(width).normal_(std=0.02))
        if config.measures:
            self.measures = nn.Sequential(nn.Linear(config.measures, 256), nn.GELU(), nn.Linear(256, width))
        if config.summary_tokens:
            drop = nn.Dropout(config.summary_dropout)
            self.overview = StandardisedLinear(3 * len(config.layers) * width, config.summary_hidden)
            self.overview_out = nn.Sequential(
                nn.GELU(), drop, nn.Linear(config.summary_hidden, config.summary_tokens * out)
            )
        if config.thematic_grid:
            self.thematic = nn.Sequential(
                nn.LayerNorm(2 * width), nn.Linear(2 * width, 2 * out), nn.GELU(), nn.Linear(2 * out, out)
            )
            self.place = nn.Parameter(torch.zeros(1 + config.thematic_grid**2, out))

    def frame(self, features: Tensor, names: Container[str] | None = None) -> dict[str, Tensor]:
        """Tokens of the whole frame from (B, len(config.layers), tokens, width), each (B, n, language width).

        ``names``: of the parts that are wanted; None for all.
        """
        found = {
            name: self._sized(branch(self._of_branch(features, name)))
            for name, branch in self.branches.items()
            if names is None or name in names
        }
        if self.config.thematic_grid and (names is None or "thematic" in names):
            found["thematic"] = self._sized(self._thematic(features[:, -1]))
        if self.config.summary_tokens and (names is None or "summary" in names):
            found["summary"] = self.summary(summarise(features))
        return found

    def summary(self, summaries: Tensor) -> Tensor:
        """The summary tokens, which the score is read from, of :func:`summarise`'s values: (B, n, language width)."""
        hidden = self.overview(F.dropout(summaries, self.config.summary_dropout, self.training))
        return self._sized(self.overview_out(hidden).unflatten(1, (self.config.summary_tokens, -1)))

    def attention(self, features: Tensor) -> dict[str, Tensor]:
        """Where each Q-Former looks, see :meth:`Branch.attention`, from features as of :meth:`frame`."""
        return {name: branch.attention(self._of_branch(features, name)) for name, branch in self.branches.items()}

    def _of_branch(self, features: Tensor, name: str) -> Tensor:
        """Features of the blocks that a branch reads."""
        return features[:, [self.index[layer] for layer in self.config.branch(name).layers]]

    def standardise(self, features: Tensor) -> None:
        """Standardise all summaries by examples (B, len(config.layers), tokens, width), float32."""
        for name, branch in self.branches.items():
            branch.summary.standardise(summarise(self._of_branch(features, name)))
        if self.config.summary_tokens:
            self.overview.standardise(summarise(features))

    def question(self, measures: Tensor | None) -> Tensor | None:
        """Pixel statistics (B, config.measures), standardised, as the crop's tokens are asked with them: (B, encoder
        width); None without statistics.
        """
        if measures is None or not self.config.measures:
            return None
        return self.measures(measures.to(self.detail_kind.dtype))

    def detail(self, features: Tensor, question: Tensor | None = None) -> Tensor:
        """Tokens of the crop from (B, len(config.detail_layers), tokens, width): (B, n, language width), n = 0 without
        the low-level branch. ``question`` as :meth:`question` gives it.
        """
        if not self.config.detail_layers:
            return features.new_zeros(len(features), 0, self.config.text_config.hidden_size)
        kind = self.detail_kind.to(features.dtype)
        return self._sized(self.branches["low"](features, kind if question is None else kind + question))

    def _thematic(self, features: Tensor) -> Tensor:
        """(B, tokens, width) → (B, 1 + grid², out): each token sees its cell beside the class token."""
        side = int((features.shape[1] - 1) ** 0.5)
        grid = features[:, 1:].transpose(1, 2).unflatten(2, (side, side))
        cells = F.adaptive_avg_pool2d(grid, self.config.thematic_grid).flatten(2).transpose(1, 2)
        whole = features[:, 1:].mean(dim=1, keepdim=True)
        local = torch.cat([whole, cells], dim=1)
        return self.thematic(torch.cat([features[:, :1].expand_as(local), local], dim=2)) + self.place

    def _sized(self, tokens: Tensor) -> Tensor:
        return F.rms_norm(tokens, tokens.shape[-1:]) * self.config.token_rms


def summarise(features: Tensor) -> Tensor:
    """Class token, mean and spread of the patches of each layer, each of unit size: (B, L, N, C) → (B, 3 · L · C)."""
    patches = features[:, :, 1:].float()
    parts = [features[:, :, 0].float(), patches.mean(dim=2), patches.std(dim=2)]
    return torch.cat([F.layer_norm(part, part.shape[-1:]).flatten(1) for part in parts], dim=1).to(features.dtype)
