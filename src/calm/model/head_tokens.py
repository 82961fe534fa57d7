"""Auxiliary heads on the visual tokens, and head tokens: what the heads say, spoken to the language model.

The heads teach the visual tokens without a pass of the language model (deep supervision, Lee et al., 2015, arXiv
1409.5185). What they predict also stands among the visual tokens: for each head the expected embedding of its levels,
Σ p(level) · embedding(level). The language model reads it as it reads any other token, and every answer is still its
own (docs/lab.md).
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from calm.model.config import AMOUNT_LEVELS, SCORE_LEVELS, NetworkConfig


class HeadTokens(nn.Module):
    """Heads for the score, for remedies and for the severity of the fault that the surest remedy mends."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        width = config.text_config.hidden_size
        self.size = 1 / config.token_rms
        self.remedies = config.remedies
        queries = {name: config.branch(name).queries for name in config.branches}
        self.score = nn.Linear(sum(config.scored.values()) * width, SCORE_LEVELS)
        crop = config.branch("low").queries if config.detail_layers else 0
        questions = config.vision_config.hidden_size if config.measures else 0
        read = (sum(queries.values()) + crop) * width + questions
        out = config.remedies + AMOUNT_LEVELS
        self.remedy = nn.Sequential(nn.Linear(read, 384), nn.GELU(), nn.Dropout(0.1), nn.Linear(384, out))
        levels = {"score": SCORE_LEVELS, "remedy": config.remedies, "amount": AMOUNT_LEVELS}
        self.levels = nn.ModuleDict({name: nn.Linear(count, width, bias=False) for name, count in levels.items()})
        for table in self.levels.values():
            nn.init.normal_(table.weight, std=2 * config.token_rms)  # an expectation is shorter than its terms

    def read_score(self, tokens: Tensor) -> Tensor:
        """Logits of the scores 1 … 10 from the tokens that the score is read from, (B, n, width): (B, 10).

        Linear: a hidden layer fits the rated photos better and others worse (docs/lab.md, 73).
        """
        return self.score(self._scaled(tokens).flatten(1))

    def read_remedy(self, tokens: Mapping[str, Tensor], crop: Tensor, question: Tensor | None) -> tuple[Tensor, Tensor]:
        """Logits of remedies, the last is "nothing", and of the severity: (B, remedies), (B, AMOUNT_LEVELS).

        Args:
            tokens: of the whole frame by name, each (B, n, width).
            crop: (B, n, width), tokens of the crop.
            question: (B, encoder width), the pixel statistics as the crop's tokens are asked with them.
        """
        parts = [self._scaled(each).flatten(1) for name, each in tokens.items() if name != "summary"]
        parts.append(self._scaled(crop).flatten(1))
        parts += [] if question is None else [question.float()]
        remedy, amount = self.remedy(torch.cat(parts, dim=1)).split([self.remedies, AMOUNT_LEVELS], dim=1)
        return remedy, amount

    def token(self, name: str, logits: Tensor) -> Tensor:
        """What a head says as one visual token: (B, levels) → (B, 1, width). No gradient flows back to the head."""
        return self.levels[name](logits.detach().float().softmax(dim=1))[:, None]

    def _scaled(self, tokens: Tensor) -> Tensor:
        return tokens.float() * self.size
