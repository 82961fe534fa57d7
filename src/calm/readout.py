"""The model's own probabilities, read in one forward pass: no decoding loop.

A question is put, and the distribution over the tokens that an answer may begin with is the answer. ``10`` is two
tokens: the probability of ``1`` is split by a second position, behind a ``1`` that is appended to the prompt, in the
same pass (attention is causal, so the first position does not see it).
"""

from __future__ import annotations

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
    """Log-probabilities of ``tokens`` among themselves at each state: (B, D) → (B, len(tokens)), float32."""
    weight = model.get_output_embeddings().weight[tokens]
    return (states.float() @ weight.float().T).log_softmax(dim=1)


def score_distribution(model: CalmForConditionalGeneration, chat: Chat, visual: Tensor) -> Tensor:
    """Probabilities of the scores 1 … 10: (B, 10), float32, rows sum to 1."""
    states = hidden_states(model, chat, visual, SCORE_QUESTION, forced="1")
    digits = [chat.token(str(score)) for score in range(1, 10)]
    first = choice(model, states[:, -2], digits).exp()
    # Behind a "1" comes "0" (ten) or the point of a decimal (one and a bit).
    ten = first[:, :1] * choice(model, states[:, -1], [chat.token("0"), chat.token(".")]).exp()[:, :1]
    return torch.cat([first[:, :1] - ten, first[:, 1:], ten], dim=1)


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
