"""Auxiliary heads straight on the visual tokens.

They see the very tokens that the language model reads, so training them shapes the alignment module many times faster
than the detour through the language model. They are a warm-up and a yardstick; the language path is the method.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from calm.errors import ConfigError
from calm.model.configuration import BRANCHES, CalmConfig
from calm.types import CLASSES
from calm.words.things import THINGS

EMOTIONS = ("amusement", "awe", "contentment", "disgust", "excitement", "fear", "neutral", "sadness")
"""PARA's emotions, in the order of the emotion head."""

HEADS = {
    "score": 10,
    "quality": 1,
    "emotions": len(EMOTIONS),
    "edits": len(CLASSES) + 1,
    "amounts": len(CLASSES),
    "content": len(THINGS),
}
"""Outputs of each head: logits of the scores 1 … 10; quality (1–10, as is); logits of emotions; logits of edit classes,
the last one "nothing to mend"; severity 0–1 of each edit class; logits of each thing of :mod:`calm.words.things`."""


EDITED = ("edits", "amounts")
"""Heads of what was done to a photo; the others are of what people say of it."""
NAMES = (*BRANCHES, "statistics", "technique")


class AuxiliaryHeads(nn.Module):
    """Mean tokens of branches → one hidden layer → heads: one such path for people's judgements, another for edits.

    The two paths share nothing here: what tells one from the other is learnt by heart at a different pace (docs/lab.md,
    29). The measurements come in on the path of edits, beside the tokens and through two layers of their own: in the
    branches they are one voice among hundreds of features, and were lost (docs/lab.md, 11 and 19). With
    ``config.content_branches`` the head of content reads those tokens itself, without a hidden layer.
    """

    def __init__(self, config: CalmConfig, dropout: float = 0.2) -> None:
        super().__init__()
        width = self.width = config.text_config.hidden_size
        counts = config.low_queries, config.middle_queries, config.high_queries, config.statistics, config.technique
        there = [name for name, count in zip(NAMES, counts, strict=True) if count]
        there += ["summary", "thematic"] if config.thematic else []
        self.parts = {"judged": _parts(config.head_branches, there), "edited": _parts(config.edit_branches, there)}
        self.hidden = nn.ModuleDict(
            {path: nn.Linear(len(parts) * width, config.head_hidden) for path, parts in self.parts.items()}
        )
        self.measured = (
            nn.Sequential(nn.Linear(config.measures, 256), nn.GELU(), nn.Linear(256, config.head_hidden))
            if config.measures
            else None
        )
        self.dropout = dropout
        read = dict.fromkeys(HEADS, config.head_hidden)
        if config.content_branches is not None:
            self.parts["shown"] = _parts(config.content_branches, there)
            read["content"] = len(self.parts["shown"]) * width
        self.out = nn.ModuleDict({name: nn.Linear(read[name], n) for name, n in HEADS.items()})

    def forward(self, tokens: dict[str, Tensor], measures: Tensor | None = None) -> dict[str, Tensor]:
        """Branch tokens as :class:`calm.model.mfam.Mfam` gives them → (B, n) for each name of ``HEADS``.

        A branch that is absent says nothing: zeros stand in its place.
        ``measures``: (B, config.measures), standardised, or None where nothing was measured.
        """
        parts = {name: tokens[name].mean(dim=1) for name in (*NAMES, "thematic") if name in tokens}
        if "thematic" in tokens:
            parts["summary"] = tokens["thematic"][:, 0]
        silent = torch.zeros_like(next(iter(parts.values())))
        normed = {name: F.layer_norm(part, part.shape[1:]) for name, part in parts.items()}
        read = {
            path: torch.cat([normed.get(name, silent) for name in names], dim=1) for path, names in self.parts.items()
        }
        read = {path: F.dropout(joined, self.dropout, self.training) for path, joined in read.items()}
        hidden = {path: layer(read[path]) for path, layer in self.hidden.items()}
        if measures is not None and self.measured is not None:
            hidden["edited"] = hidden["edited"] + self.measured(measures.to(hidden["edited"].dtype))
        hidden = {path: F.dropout(F.gelu(value), self.dropout, self.training) for path, value in hidden.items()}
        hidden = read | hidden
        paths = {name: "edited" if name in EDITED else "judged" for name in HEADS}
        if "shown" in self.parts:
            paths["content"] = "shown"
        return {name: layer(hidden[paths[name]]) for name, layer in self.out.items()}


def _parts(wanted: Sequence[str] | None, there: Sequence[str]) -> list[str]:
    """Parts that a path reads: those of the branches ``wanted``, all if None; the thematic branch has two."""
    chosen = there if wanted is None else wanted
    parts = [name for name in there if name in chosen or (name == "summary" and "thematic" in chosen)]
    if not parts:
        raise ConfigError(f"expected branches for the heads among {there}, found {wanted}; name one that has tokens")
    return parts


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
            "content": outputs["content"].sigmoid(),
        }
        measured = edits.new_zeros(len(edits), self.measures) if measures is None else measures.to(edits.dtype) / 5
        told = torch.cat([*(believed[name] for name in HEADS), measured], dim=1)
        tokens = self.mix(told).unflatten(1, (self.tokens, -1))
        return F.rms_norm(tokens, tokens.shape[-1:]) * self.token_rms
