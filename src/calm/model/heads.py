"""Auxiliary heads straight on the visual tokens.

They see the very tokens that the language model reads, so training them shapes the alignment module many times faster
than the detour through the language model. They are a warm-up and a yardstick; the language path is the method.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from calm.model.configuration import BRANCHES, CalmConfig
from calm.types import CLASSES

EMOTIONS = ("amusement", "awe", "contentment", "disgust", "excitement", "fear", "neutral", "sadness")
"""PARA's emotions, in the order of the emotion head."""

HEADS = {
    "score": 10,
    "quality": 1,
    "emotions": len(EMOTIONS),
    "edits": len(CLASSES) + 1,
    "amounts": len(CLASSES),
}
"""Outputs of each head: logits of the scores 1 … 10; quality (1–10, as is); logits of emotions; logits of edit classes,
the last one "nothing to mend"; severity 0–1 of each edit class."""


class AuxiliaryHeads(nn.Module):
    """Mean tokens of the branches → one hidden layer → every head."""

    def __init__(self, config: CalmConfig, dropout: float = 0.2) -> None:
        super().__init__()
        width = config.text_config.hidden_size
        branches = sum(bool(n) for n in (config.low_queries, config.middle_queries, config.high_queries)) + 2
        branches += bool(config.statistics)
        self.norm = nn.LayerNorm(branches * width)
        self.hidden = nn.Linear(branches * width, config.head_hidden)
        self.dropout = dropout
        self.out = nn.ModuleDict({name: nn.Linear(config.head_hidden, n) for name, n in HEADS.items()})

    def forward(self, tokens: dict[str, Tensor]) -> dict[str, Tensor]:
        """Branch tokens as :class:`calm.model.mfam.Mfam` gives them → (B, n) for each name of ``HEADS``."""
        means = [tokens[name].mean(dim=1) for name in (*BRANCHES, "statistics") if name in tokens]
        joined = torch.cat([*means, tokens["thematic"][:, 0], tokens["thematic"].mean(dim=1)], dim=1)
        hidden = F.gelu(self.hidden(F.dropout(self.norm(joined), self.dropout, self.training)))
        hidden = F.dropout(hidden, self.dropout, self.training)
        return {name: layer(hidden) for name, layer in self.out.items()}


class Beliefs(nn.Module):
    """What the heads believe, and what was measured, as tokens for the language model: one linear map of both.

    Without a bias, so that each token is a mixture of one direction for each score, emotion, edit and measurement.
    """

    def __init__(self, config: CalmConfig) -> None:
        super().__init__()
        self.tokens, self.measures, self.token_rms = config.beliefs, config.measures, config.token_rms
        told = sum(HEADS.values()) + config.measures
        self.mix = nn.Linear(told, config.beliefs * config.text_config.hidden_size, bias=False)

    def forward(self, outputs: dict[str, Tensor], measures: Tensor | None = None) -> Tensor:
        """Tokens, each of the size of a word: (B, config.beliefs, language width).

        Args:
            outputs: of :class:`AuxiliaryHeads`.
            measures: (B, config.measures), standardised, or None where nothing was measured.
        """
        edits = outputs["edits"].softmax(dim=1)
        believed = {
            "score": outputs["score"].softmax(dim=1),
            "quality": outputs["quality"] / 10,
            "emotions": outputs["emotions"].softmax(dim=1),
            "edits": edits,
            "amounts": outputs["amounts"] * edits[:, :-1],
        }
        measured = edits.new_zeros(len(edits), self.measures) if measures is None else measures.to(edits.dtype) / 5
        told = torch.cat([*(believed[name] for name in HEADS), measured], dim=1)
        tokens = self.mix(told).unflatten(1, (self.tokens, -1))
        return F.rms_norm(tokens, tokens.shape[-1:]) * self.token_rms
