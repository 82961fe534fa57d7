"""The model's own probabilities, read in one forward pass: no decoding loop.

A question is put, and the distribution over the tokens that an answer may begin with is the answer. ``10`` is two
tokens: the probability of ``1`` is split by a second position, behind a ``1`` that is appended to the prompt, in the
same pass (attention is causal, so the first position does not see it).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import torch
from torch import Tensor

from calm.chat import Chat
from calm.model.modeling import CalmForConditionalGeneration
from calm.model.splice import splice
from calm.types import CLASSES

SCORE_QUESTION = "Can you give me the aesthetic score?"
"""Canonical question of the score."""
MEND_QUESTION = "What should be changed?"
"""Canonical question of the suggestions; its answer begins with the letter of a class."""
SCORES = torch.arange(1.0, 11.0)
"""The scores that a distribution is over."""
LEVELS = ("bad", "poor", "fair", "good", "excellent")
"""Words for fifths of the scale, the lowest first, after Q-Align (Wu et al., ICML 2024); for comparison."""
LETTERS = tuple(chr(ord("A") + i) for i in range(len(CLASSES) + 1))
"""One letter for each of :data:`calm.types.CLASSES`, and the last for "nothing to mend"."""


def hidden_states(
    model: CalmForConditionalGeneration, chat: Chat, visual: Tensor, question: str, forced: str = ""
) -> Tensor:
    """Last hidden states of ``<visual><question><forced>``: (B, T, D). Rows have one length, so none is padded."""
    tail = chat.tokenizer(forced, add_special_tokens=False).input_ids if forced else []
    ids = torch.tensor([chat.prompt(question) + tail], device=visual.device).expand(len(visual), -1)
    embeddings = splice(model.get_input_embeddings()(ids), ids, visual, model.config.image_token_id)
    return model.language_model.model(inputs_embeds=embeddings, use_cache=False).last_hidden_state


def choice(model: CalmForConditionalGeneration, states: Tensor, tokens: list[int]) -> Tensor:
    """Log-probabilities of ``tokens`` among themselves at each state: (B, D) → (B, len(tokens)), float32, whatever
    format the model runs in.
    """
    weight = model.get_output_embeddings().weight[tokens]
    with torch.autocast(states.device.type, enabled=False):
        return (states.float() @ weight.float().T).log_softmax(dim=1)


def score_distribution(model: CalmForConditionalGeneration, chat: Chat, visual: Tensor) -> Tensor:
    """Probabilities of the scores 1 … 10: (B, 10), float32, rows sum to 1."""
    states = hidden_states(model, chat, visual, SCORE_QUESTION, forced="1")
    digits = [chat.token(str(score)) for score in range(1, 10)]
    first = choice(model, states[:, -2], digits).exp()
    # Behind a "1" comes "0" (ten) or the point of a decimal (one and a bit).
    ten = first[:, :1] * choice(model, states[:, -1], [chat.token("0"), chat.token(".")]).exp()[:, :1]
    return torch.cat([first[:, :1] - ten, first[:, 1:], ten], dim=1)


def level(score: float) -> str:
    """The word of the fifth of 1–10 that a score lies in."""
    return LEVELS[min(int((score - 1) / 9 * len(LEVELS)), len(LEVELS) - 1)]


def level_scores(model: CalmForConditionalGeneration, chat: Chat, visual: Tensor) -> Tensor:
    """Scores of a model that answers by :func:`level`: (B,), 1–10, the mean of the middles of the fifths, weighted by
    the probabilities of the words (Q-Align). A word is told by its first token.
    """
    states = hidden_states(model, chat, visual, SCORE_QUESTION)
    first = [chat.tokenizer(word, add_special_tokens=False).input_ids[0] for word in LEVELS]
    width = 9 / len(LEVELS)
    middles = 1 + width * (torch.arange(len(LEVELS), device=visual.device) + 0.5)
    return (choice(model, states[:, -1], first).exp() * middles).sum(dim=1)


def written_scores(model: CalmForConditionalGeneration, chat: Chat, visual: Tensor, tokens: int = 4) -> Tensor:
    """Scores that a model writes out, the likeliest token after the other: (B,), as :func:`read_numbers` reads them.
    For comparison.
    """
    ids = torch.tensor([chat.prompt(SCORE_QUESTION)], device=visual.device).expand(len(visual), -1)
    embeddings = splice(model.get_input_embeddings()(ids), ids, visual, model.config.image_token_id)
    said, cache = [], None
    for _ in range(tokens):
        out = model.language_model.model(inputs_embeds=embeddings, past_key_values=cache, use_cache=True)
        cache = out.past_key_values
        said.append(model.get_output_embeddings()(out.last_hidden_state[:, -1]).argmax(dim=1))
        embeddings = model.get_input_embeddings()(said[-1][:, None])
    texts = chat.tokenizer.batch_decode(torch.stack(said, dim=1), skip_special_tokens=True)
    return torch.tensor(read_numbers(texts))


def read_numbers(texts: Sequence[str]) -> list[float]:
    """The number that each text begins with, limited to 1–10; the middle of the scale where there is none."""
    found = [re.match(r"\s*(\d+(?:\.\d+)?)", text) for text in texts]
    return [min(max(float(each[1]), 1.0), 10.0) if each else 5.5 for each in found]


def mend_probabilities(model: CalmForConditionalGeneration, chat: Chat, visual: Tensor) -> Tensor:
    """Log-probabilities of every class of :data:`calm.types.CLASSES` and of "nothing to mend": (B, classes + 1)."""
    states = hidden_states(model, chat, visual, MEND_QUESTION)
    return choice(model, states[:, -1], [chat.token(letter) for letter in LETTERS])


def severity(model: CalmForConditionalGeneration, chat: Chat, visual: Tensor, letter: str) -> Tensor:
    """How strongly the class of ``letter`` shows, 0.1–0.9 by the model's words: (B,), the mean over digits 1 … 9."""
    states = hidden_states(model, chat, visual, MEND_QUESTION, forced=letter)
    probabilities = choice(model, states[:, -1], [chat.token(str(digit)) for digit in range(1, 10)]).exp()
    return probabilities @ (torch.arange(1, 10, device=visual.device) / 10.0)


def soft_score(mean: float, spread: float = 0.8) -> Tensor:
    """A target distribution over 1 … 10: a normal density round ``mean`` (1–10), (10,), sum 1."""
    density = torch.exp(-0.5 * ((SCORES - mean) / spread) ** 2)
    return density / density.sum()
