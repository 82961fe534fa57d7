"""The multi-scale feature alignment module (MFAM), the heart of CALM (AAAI 2025, arXiv 2412.11952).

Three Q-Formers, each with its own learnt queries, read encoder features of their own depth: low-level aesthetics
(light, colour, sharpness) from shallow blocks of all views, middle-level (geometry, framing) and high-level (subject,
harmony) from deeper blocks of the whole frame. One fully connected branch passes on the thematic features of the last
block. Each ends in the language model's width, so that its tokens can stand in a prompt.

The paper publishes no layer map, no query counts and no code: those choices are ours.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from calm.errors import ConfigError
from calm.model.configuration import BRANCHES, CalmConfig
from calm.model.qformer import QFormer


class FeatureReader(nn.Module):
    """Makes one sequence of features out of several layers and views, and says where each token is from.

    Each layer has its own layer norm (depths differ in scale); a learnt position, layer and view embedding is added.
    """

    def __init__(self, layers: int, views: int, tokens: int, width: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(layers))
        self.position = nn.Parameter(torch.empty(tokens, width).normal_(std=0.02))
        self.layer = nn.Parameter(torch.empty(layers, 1, width).normal_(std=0.02))
        self.view = nn.Parameter(torch.empty(views, 1, 1, width).normal_(std=0.02))

    def forward(self, features: Tensor) -> Tensor:
        """(B, views, layers, tokens, width) → (B, views · layers · tokens, width)."""
        normed = torch.stack([norm(features[:, :, i]) for i, norm in enumerate(self.norms)], dim=2)
        views = features.shape[1]
        return (normed + self.position + self.layer + self.view[:views]).flatten(1, 3)


class Statistics(nn.Module):
    """A fully connected branch over summaries of features, standardised by channel.

    Channels of a frozen encoder have large means of their own; standardised, they are learnt from several times faster
    (docs/lab.md, 22). Centre and spread are measured once (:meth:`standardise`) and are part of the weights.
    """

    def __init__(self, read: int, hidden: int, out: int, dropout: float) -> None:
        super().__init__()
        self.read = read
        self.layers = nn.Sequential(
            nn.Dropout(dropout), nn.Linear(read, hidden), nn.GELU(), nn.Dropout(dropout), nn.Linear(hidden, out)
        )
        self.register_buffer("centre", torch.zeros(read))
        self.register_buffer("spread", torch.ones(read))

    def forward(self, told: Tensor, exists: Tensor) -> Tensor:
        """(B, ≥ read) values, of which the first ``read`` are read, and 1 where they exist → (B, out)."""
        return self.layers(self.standard(told, exists).to(self.layers[1].weight.dtype))

    def standard(self, told: Tensor, exists: Tensor) -> Tensor:
        """What is read, about its centre and in units of its spread; 0 where it does not exist: (B, read)."""
        return (told[:, : self.read] - self.centre) / self.spread * exists[:, : self.read]

    def standardise(self, told: Tensor, exists: Tensor) -> None:
        """Take centre and spread from examples, as :meth:`forward` reads them; what too few have is left as it is."""
        told, exists = told[:, : self.read], exists[:, : self.read]
        count = exists.sum(dim=0)
        centre = (told * exists).sum(dim=0) / count.clamp(min=1)
        spread = ((told - centre).square() * exists).sum(dim=0).div(count.clamp(min=1)).sqrt()
        known = count >= 2
        self.centre.copy_(torch.where(known, centre, 0.0))
        self.spread.copy_(torch.where(known, spread + 1e-3, 1.0))


class Mfam(nn.Module):
    """Features of one photo's views → visual tokens in the language model's width."""

    def __init__(self, config: CalmConfig) -> None:
        super().__init__()
        self.config = config
        width, out = config.vision_config.hidden_size, config.text_config.hidden_size
        views = {"low": 1 + config.crops, "middle": 1, "high": 1}
        self.layers = {"low": config.low_layers, "middle": config.middle_layers, "high": config.high_layers}
        queries = {"low": config.low_queries, "middle": config.middle_queries, "high": config.high_queries}
        self.readers = nn.ModuleDict(
            {b: FeatureReader(len(self.layers[b]), views[b], config.features_tokens, width) for b in BRANCHES}
        )
        self.qformers = nn.ModuleDict(
            {
                b: QFormer(
                    queries[b],
                    width,
                    config.qformer_heads,
                    width,
                    config.qformer_hidden,
                    config.qformer_layers,
                    config.qformer_dropout,
                )
                for b in BRANCHES
                if queries[b]
            }
        )
        self.summaries = nn.ModuleDict(
            {b: nn.Linear(3 * len(self.layers[b]) * width, width) for b in self.qformers} if config.summaries else {}
        )
        for summary in self.summaries.values():
            nn.init.zeros_(summary.weight)
            nn.init.zeros_(summary.bias)
        self.projections = nn.ModuleDict({b: nn.Linear(width, out) for b in self.qformers})
        if config.thematic:
            self.thematic = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, out), nn.GELU(), nn.Linear(out, out))
        frame, crop = 3 * len(config.layers) * width, 3 * len(config.low_layers) * width
        drop = config.statistics_dropout
        if config.statistics:
            self.statistics = Statistics(frame, config.statistics_hidden, config.statistics * out, drop)
        if config.technique:
            self.technique = Statistics(frame + crop, config.technique_hidden, config.technique * out, drop)
        if config.measures:
            self.measures = nn.Sequential(
                nn.Linear(config.measures, 256), nn.GELU(), nn.Linear(256, config.measure_tokens * width)
            )
            self.measured = nn.ModuleDict({b: nn.Linear(256, width) for b in ("low", "middle") if b in self.qformers})
            for layer in self.measured.values():
                nn.init.zeros_(layer.weight)
                nn.init.zeros_(layer.bias)

    def forward(
        self,
        whole: Tensor | None,
        crops: Tensor | None = None,
        crop_mask: Tensor | None = None,
        measures: Tensor | None = None,
        branches: Sequence[str] | None = None,
        adapted: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """Align features.

        Args:
            whole: (B, len(config.layers), tokens, width), features of the whole frame, layers shallow to deep.
            crops: (B, crops, len(config.low_layers), tokens, width), features of the crops, or None.
            crop_mask: (B, crops), True where a crop exists.
            measures: (B, config.measures), standardised pixel measurements, or None.
            branches: those to compute; None for all.
            adapted: as ``whole``, by the encoder with its adapters, for ``config.adapted_branches``. Either may be None
                where no branch to compute reads it.

        Returns:
            Tokens of ``low``, ``middle``, ``high``, ``thematic``, ``statistics`` (of the frame alone) and ``technique``
            (of the crops as well), each (B, n, language width); a branch without tokens is absent.
        """
        index = {layer: i for i, layer in enumerate(self.config.layers)}
        extra, hidden = None, None
        if measures is not None and self.config.measures:
            hidden = self.measures[1](self.measures[0](measures.to(self.measures[0].weight.dtype)))
            extra = self.measures[2](hidden).unflatten(1, (self.config.measure_tokens, -1))
        tokens = {}
        for branch, qformer in self.qformers.items():
            if branches is not None and branch not in branches:
                continue
            features = self.source(branch, whole, adapted)
            features = features[:, [index[layer] for layer in self.layers[branch]]].unsqueeze(1)
            mask = None
            if branch == "low" and crops is not None:
                features = torch.cat([features, crops], dim=1)
                mask = self._low_mask(features, crop_mask)
            sequence = self.readers[branch](features)
            summary = self.summaries[branch](summarise(features[:, 0])) if self.summaries else None
            if extra is not None and branch in ("low", "middle"):
                # The measurements are read like features, and also say from the first what to ask for.
                asked = self.measured[branch](hidden)
                summary = asked if summary is None else summary + asked
                sequence = torch.cat([sequence, extra], dim=1)
                mask = None if mask is None else F.pad(mask, (0, extra.shape[1]), value=True)
            tokens[branch] = self._sized(self.projections[branch](qformer(sequence, mask, summary)))
        if self.config.thematic and (branches is None or "thematic" in branches):
            last = self.source("thematic", whole, adapted)[:, index[self.config.thematic_layer]]
            tokens["thematic"] = self._sized(self.thematic(self._thematic_grid(last)))
        for name in ("statistics", "technique"):
            if getattr(self.config, name) and (branches is None or name in branches):
                features = self.source(name, whole, adapted)
                read = self.raw_statistics(features, crops if name == "technique" else None, crop_mask)
                told = getattr(self, name)(*read).to(features.dtype)
                tokens[name] = self._sized(told.unflatten(1, (getattr(self.config, name), -1)))
        return tokens

    def source(self, branch: str, whole: Tensor | None, adapted: Tensor | None) -> Tensor:
        """The features of the frame that a branch reads."""
        features = adapted if self.config.reads_adapted(branch) else whole
        if features is None:
            kind = "with" if self.config.reads_adapted(branch) else "without"
            raise ConfigError(
                f"expected features of the encoder {kind} its adapters for the branch {branch}, found none; "
                "ask encode() for this branch"
            )
        return features

    def raw_statistics(
        self, whole: Tensor, crops: Tensor | None = None, crop_mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """What the branches of statistics read before it is standardised, and 1 where it exists: both (B, n).

        Summaries of the whole frame, then the mean of those of the crops that exist.
        """
        frame = summarise(whole)
        blank = frame.new_zeros(len(frame), 3 * len(self.config.low_layers) * whole.shape[3])
        if crops is None or not crops.shape[1]:
            return torch.cat([frame, blank], dim=1), torch.cat([torch.ones_like(frame), blank], dim=1)
        each = summarise(crops.flatten(0, 1)).unflatten(0, crops.shape[:2])
        weight = torch.ones(each.shape[:2], device=each.device) if crop_mask is None else crop_mask.to(each.dtype)
        mean = (each * weight.unsqueeze(2)).sum(dim=1) / weight.sum(dim=1, keepdim=True).clamp(min=1)
        exists = (weight.sum(dim=1, keepdim=True) > 0).to(frame.dtype) + blank
        return torch.cat([frame, mean.to(frame.dtype)], dim=1), torch.cat([torch.ones_like(frame), exists], dim=1)

    def _low_mask(self, features: Tensor, crop_mask: Tensor | None) -> Tensor | None:
        """(B, views · layers · tokens): the whole frame is always read, a crop only where it exists."""
        if crop_mask is None:
            return None
        views = F.pad(crop_mask.bool(), (1, 0), value=True)
        return views.repeat_interleave(features.shape[2] * features.shape[3], dim=1)

    def _thematic_grid(self, features: Tensor) -> Tensor:
        """(B, tokens, width) → (B, 1 + thematic_grid², width)."""
        side = self.config.features_side
        grid = features[:, 1:].transpose(1, 2).unflatten(2, (side, side))
        pooled = F.adaptive_avg_pool2d(grid, self.config.thematic_grid).flatten(2).transpose(1, 2)
        return torch.cat([features[:, :1], pooled], dim=1)

    def _sized(self, tokens: Tensor) -> Tensor:
        return F.rms_norm(tokens, tokens.shape[-1:]) * self.config.token_rms


def summarise(features: Tensor) -> Tensor:
    """Summary token, mean and spread of the patches of each layer, each of unit size: (B, L, N, C) → (B, 3 · L · C)."""
    patches = features[:, :, 1:].float()
    parts = [features[:, :, 0].float(), patches.mean(dim=2), patches.std(dim=2)]
    return torch.cat([F.layer_norm(part, part.shape[-1:]).flatten(1) for part in parts], dim=1).to(features.dtype)
