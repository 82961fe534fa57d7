"""Prompts: where the visual tokens stand, what is asked, what is answered."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

KEPT = 256
"""Latest prompts that are kept as token ids: few questions are asked about many photos."""

IGNORED = -100
"""Label of a token that is not learnt."""


class Chat:
    """Writes prompts for one tokenizer.

    Args:
        tokenizer: with a chat template.
        image_token_id: placeholder of a visual token.
        visual_tokens: placeholders for one photo.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, image_token_id: int, visual_tokens: int) -> None:
        self.tokenizer = tokenizer
        self.image_token_id = image_token_id
        self.visual_tokens = visual_tokens
        self._prompts = lru_cache(maxsize=KEPT)(self._prompt)

    def prompt(self, question: str) -> list[int]:
        """Token ids of ``<photo><question>`` up to where the answer begins."""
        return list(self._prompts(question))

    def _prompt(self, question: str) -> tuple[int, ...]:
        mark = self.tokenizer.convert_ids_to_tokens(self.image_token_id)
        messages = [{"role": "user", "content": mark * self.visual_tokens + question}]
        text = self.tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        return tuple(self.tokenizer(text, add_special_tokens=False).input_ids)

    def exchange(self, exchanges: Sequence[tuple[str, str]]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Questions with their answers, padded on the right.

        Returns:
            input_ids, attention_mask, labels (B, T; only the answer and its end are learnt), and the position (B,) of
            the last prompt token, whose logits predict the first token of the answer.
        """
        end = self.tokenizer.eos_token_id
        rows: list[tuple[list[int], list[int]]] = []
        starts = []
        for question, words in exchanges:
            starts.append(len(self.prompt(question)) - 1)
            rows.append((self.prompt(question), [*self.tokenizer(words, add_special_tokens=False).input_ids, end]))
        length = max(len(prompt) + len(answer) for prompt, answer in rows)
        ids = torch.full((len(rows), length), end)
        mask = torch.zeros(len(rows), length, dtype=torch.long)
        labels = torch.full((len(rows), length), IGNORED)
        for i, (prompt, answer) in enumerate(rows):
            ids[i, : len(prompt) + len(answer)] = torch.tensor(prompt + answer)
            mask[i, : len(prompt) + len(answer)] = 1
            labels[i, len(prompt) : len(prompt) + len(answer)] = torch.tensor(answer)
        return ids, mask, labels, torch.tensor(starts)

    def questions(self, questions: Sequence[str], begun: Sequence[str] | None = None) -> tuple[Tensor, Tensor]:
        """Prompts padded on the left, for generation: input_ids and attention_mask (B, T).

        ``begun``: how each answer begins.
        """
        rows = [self.prompt(question) for question in questions]
        for row, start in zip(rows, begun or (), strict=begun is not None):
            row += self.tokenizer(start, add_special_tokens=False).input_ids if start else []
        length = max(map(len, rows))
        ids = torch.full((len(rows), length), self.tokenizer.eos_token_id)
        mask = torch.zeros(len(rows), length, dtype=torch.long)
        for i, ask in enumerate(rows):
            ids[i, length - len(ask) :] = torch.tensor(ask)
            mask[i, length - len(ask) :] = 1
        return ids, mask

    def token(self, text: str) -> int:
        """Id of a text that is one token."""
        ids = self.tokenizer(text, add_special_tokens=False).input_ids
        if len(ids) != 1:
            raise ValueError(f"{text!r} is {len(ids)} tokens")
        return ids[0]
