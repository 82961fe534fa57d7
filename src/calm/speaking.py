"""Varied words that are always the same for the same photo, alone or in a batch.

A sampled answer is an argmax over logits with Gumbel noise (Gumbel-max trick: Maddison et al., NeurIPS 2014). The noise
of each row and step comes from that row's own seed, so neither the batch nor the order of photos changes a word.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from transformers import LogitsProcessor


class SeededChoice(LogitsProcessor):
    """Greedy decoding over these scores samples at ``temperature`` from the ``top`` most likely tokens.

    Args:
        seeds: one for each row.
        temperature: 0 leaves the scores as they are.
    """

    def __init__(self, seeds: Sequence[int], temperature: float = 0.3, top: int = 12) -> None:
        self.seeds, self.temperature, self.top = list(seeds), temperature, top
        self.step = 0

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """(B, T), (B, vocabulary) → (B, vocabulary): all but the top tokens at −inf, noise on those."""
        if self.temperature <= 0:
            return scores
        best, places = scores.float().topk(min(self.top, scores.shape[1]), dim=1)
        noise = torch.stack([self._gumbel(seed, best.shape[1]) for seed in self.seeds]).to(best)
        self.step += 1
        chosen = torch.full_like(scores, -torch.inf, dtype=torch.float32)
        return chosen.scatter(1, places, best / self.temperature + noise)

    def _gumbel(self, seed: int, count: int) -> Tensor:
        generator = torch.Generator().manual_seed((seed * 1000003 + self.step) & 0x7FFFFFFFFFFF)
        uniform = torch.rand(count, generator=generator).clamp(1e-9, 1 - 1e-9)
        return -(-uniform.log()).log()
