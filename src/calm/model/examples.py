"""Rated photos in the prompt: the language model learns a person's taste from the examples that it reads (in context).

A prompt is a few words, then ``<photo><rating><photo><rating> … <photo>``: one token a photo and one a rating, so that
a hundred examples are two hundred tokens. After each photo the language model says what this person would give it, as a
distribution over ten ratings. Every photo of a sequence is such a question, so that one pass over n ratings teaches
with n − 1 and fewer examples at once; and examples are encoded once, for all photos that are asked about afterwards.

Among a photo's numbers is what a linear model of tastes makes of the examples before it, a mean and a standard
deviation. The distribution begins as that verdict, a normal density; the language model adds to its logits what it
reads beyond it, through a gate that is closed before training. A reader that has to say again what it was told loses
some of it, most where there are few examples (docs/lab.md, 56).

Untrained, language models are poor at this; they are taught on the ratings of many people (meta-learning by sequences:
Brown et al., NeurIPS 2020, section 2; for regression: Garg et al., NeurIPS 2022).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers.cache_utils import DynamicCache

from calm.chat import Chat
from calm.errors import WeightsError
from calm.model.compact import pack, unpack

READER = "reader.safetensors"
"""Name of the file in a model's folder."""
OWN = ("examples.", "language_model.")
"""Prefixes of what a reader of examples does not share with the rest of a model."""
INTRODUCTION = "Photos and how one person rates them:"
RATINGS = 10
"""Whole ratings, 1 … 10."""
HIDDEN = 256
"""Width of the layer between a photo's numbers and its token."""
LEVEL, NOISE = 6.0, 1.5
"""Before training: the mean rating of all people, and the standard deviation of a rating about what tastes say."""


class Examples(nn.Module):
    """Numbers of photos, and ratings, as tokens; and ratings read from what the language model makes of them.

    Args:
        width: numbers of a photo, each of about unit size; the last two are the verdict of the tastes: mean, from the
            mean rating of all people, and standard deviation, in points.
        size: width of the language model, D.
        token_rms: root mean square of a photo's token.
    """

    def __init__(self, width: int, size: int, token_rms: float) -> None:
        super().__init__()
        self.token_rms = token_rms
        self.bent = nn.Sequential(nn.Linear(width, HIDDEN), nn.GELU(), nn.Linear(HIDDEN, size))
        self.straight = nn.Linear(width, size)
        self.heard = nn.Parameter(torch.zeros(RATINGS, size))
        self.said = nn.Parameter(torch.zeros(RATINGS, size))
        self.bias = nn.Parameter(torch.zeros(RATINGS))
        self.gate = nn.Parameter(torch.zeros(()))
        self.level = nn.Parameter(torch.tensor(LEVEL))
        self.noise = nn.Parameter(torch.tensor(NOISE).log())

    def photos(self, told: Tensor) -> Tensor:
        """Tokens of photos: (…, width) → (…, D)."""
        token = self.bent(told) + self.straight(told)
        return F.rms_norm(token, token.shape[-1:]) * self.token_rms

    def ratings(self, given: Tensor, digits: Tensor) -> Tensor:
        """Tokens of ratings: (…), 1–10 → (…, D), between the tokens of the two whole ratings beside each.

        ``digits``: (10, D), word embeddings of 1 … 9 and, for ten, 0.
        """
        table = digits.float() + self.heard
        given = given.clamp(1, RATINGS)
        below = given.floor().clamp(max=RATINGS - 1)
        share = (given - below).unsqueeze(-1)
        index = below.long() - 1
        return table[index] * (1 - share) + table[index + 1] * share

    def logits(self, states: Tensor, digits: Tensor, told: Tensor) -> Tensor:
        """Of the ratings 1 … 10: (…, D) and (…, width) → (…, 10).

        Args:
            states: what the language model makes of photos.
            digits: (10, D), rows of the language model's head.
            told: the photos' numbers.
        """
        beyond = states.float() @ (digits.float() + self.said).T + self.bias
        return self.verdict(told) + self.gate * beyond

    def verdict(self, told: Tensor) -> Tensor:
        """Logits of a normal density with the tastes' mean and their uncertainty: (…, width) → (…, 10)."""
        mean, spread = told[..., -2:-1] + self.level, told[..., -1:]
        ratings = torch.arange(1.0, RATINGS + 1, device=told.device)
        return -0.5 * (ratings - mean).square() / (spread.square() + self.noise.exp().square())


@dataclass(frozen=True)
class Remembered:
    """A person's examples, as the language model keeps them.

    Attributes:
        cache: keys and values.
        length: tokens.
    """

    cache: DynamicCache
    length: int


class ExampleReader:
    """A language model with its module of examples.

    Args:
        language_model: a causal language model, with adapters or with them folded in.
        examples: its module.
        chat: its prompts, for the words and digits.
    """

    def __init__(self, language_model: nn.Module, examples: Examples, chat: Chat) -> None:
        self.language_model, self.examples = language_model, examples
        self._words = torch.tensor(chat.tokenizer(INTRODUCTION, add_special_tokens=False).input_ids)
        self._digits = torch.tensor([chat.token(str(rating % RATINGS)) for rating in range(1, RATINGS + 1)])

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> ExampleReader:
        """Move the language model, and where ``dtype`` is given let it run in that format; the module goes with it."""
        self.language_model.to(device=device, dtype=dtype)
        self.examples.to(device=device)
        return self

    @property
    def device(self) -> torch.device:
        """Where the language model is."""
        return self._embeddings.device

    @property
    def _embeddings(self) -> Tensor:
        return self.language_model.get_input_embeddings().weight

    def logits(self, photos: Tensor, ratings: Tensor) -> Tensor:
        """What is said of each photo of sequences after those before it: (B, n, 10).

        Args:
            photos: (B, n, width).
            ratings: (B, n), 1–10.
        """
        told = photos.to(self.device).float()
        states = self._states(self._prompt(told, ratings))
        return self._read(states[:, len(self._words) :: 2], told)

    @torch.inference_mode()
    def remember(self, photos: Tensor, ratings: Tensor) -> Remembered:
        """Encode a person's examples, for :meth:`rate`.

        Args:
            photos: (k, width), k ≥ 0.
            ratings: (k,), 1–10.
        """
        prompt = self._prompt(photos[None], ratings[None])
        cache = DynamicCache()
        self._states(prompt, past_key_values=cache, use_cache=True)
        return Remembered(cache, prompt.shape[1])

    def forget(self, remembered: Remembered, count: int) -> Remembered:
        """All but the first ``count`` examples are forgotten, in place."""
        length = min(remembered.length, len(self._words) + 2 * count)
        if length < remembered.length:
            remembered.cache.crop(length - remembered.length)
        return Remembered(remembered.cache, length)

    @torch.inference_mode()
    def rate(self, remembered: Remembered, photos: Tensor) -> Tensor:
        """Probabilities of the ratings 1 … 10 of photos, each asked about by itself: (m, width) → (m, 10).

        The photos go through in one row: each stands where the next photo would, and sees the examples and itself.
        """
        count, length = len(photos), remembered.length
        told = photos.to(self.device).float()[None]
        tokens = self.examples.photos(told)
        seen = torch.cat([torch.ones(count, length, dtype=torch.bool), torch.eye(count, dtype=torch.bool)], dim=1)
        mask = torch.zeros(seen.shape).masked_fill(~seen, torch.finfo(self._embeddings.dtype).min)
        try:
            states = self._states(
                tokens,
                past_key_values=remembered.cache,
                use_cache=True,
                attention_mask=mask[None, None].to(self._embeddings),
                position_ids=torch.full((1, count), length, device=self.device),
            )
        finally:
            remembered.cache.crop(-count)  # the examples stay, the photos go
        return self._read(states, told)[0].softmax(dim=1)

    def _prompt(self, photos: Tensor, ratings: Tensor) -> Tensor:
        """(B, n, width) and (B, n) → (B, words + 2 n, D)."""
        words = self._embeddings[self._words].float().expand(len(photos), -1, -1)
        tokens = self.examples.photos(photos.to(self.device).float())
        answers = self.examples.ratings(ratings.to(self.device).float(), self._embeddings[self._digits])
        return torch.cat([words, torch.stack([tokens, answers], dim=2).flatten(1, 2)], dim=1)

    def _states(self, tokens: Tensor, **settings: Any) -> Tensor:
        tokens = tokens.to(self._embeddings.dtype)
        return self.language_model.model(inputs_embeds=tokens, **settings).last_hidden_state

    def _read(self, states: Tensor, told: Tensor) -> Tensor:
        return self.examples.logits(states, self.language_model.get_output_embeddings().weight[self._digits], told)


def save_reader(state: Mapping[str, Tensor], lora: Mapping[str, Any], hashes: Sequence[str], path: str | Path) -> None:
    """Take a reader out of a trained state (:func:`calm.model.checkpoint.trained_state`).

    Args:
        lora: keyword arguments of ``peft.LoraConfig`` of the language model's adapters.
        hashes: of the photos whose ratings by real people were learnt from, hexadecimal.
    """
    own = {name: value.to(torch.bfloat16).contiguous() for name, value in state.items() if name.startswith(OWN)}
    facts = {"lora": json.dumps(dict(lora)), "photos": json.dumps(sorted(hashes))}
    save_file(pack(own, OWN), path, metadata=facts)


def load_reader(path: str | Path, text_source: str, chat: Chat, token_rms: float) -> tuple[ExampleReader, list[str]]:
    """What :func:`save_reader` wrote as a reader in float32, adapters folded in, and the hashes of photos.

    Args:
        text_source: of the language model, see :class:`calm.model.configuration.CalmConfig`.

    Raises:
        WeightsError: for a file that does not fit.
    """
    from peft import LoraConfig, inject_adapter_in_model
    from safetensors import SafetensorError
    from transformers import AutoModelForCausalLM

    from calm.model.backbone import merge_lora
    from calm.model.checkpoint import source_dir

    try:
        with safe_open(path, "pt") as file:
            facts = file.metadata() or {}
            state = unpack({name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118 - not a mapping
        language_model = AutoModelForCausalLM.from_pretrained(source_dir(text_source), dtype=torch.float32)
        inject_adapter_in_model(LoraConfig(**json.loads(facts["lora"])), language_model)
        width, size = state["examples.straight.weight"].shape[1], language_model.config.hidden_size
        whole = nn.ModuleDict({"language_model": language_model, "examples": Examples(width, size, token_rms)})
        missing, unexpected = whole.load_state_dict(state, strict=False)
        odd = [*unexpected, *(n for n in missing if n.startswith("examples.") or "lora_" in n)]
        if odd:
            raise KeyError(odd[0])
        photos = json.loads(facts["photos"])
    except (OSError, SafetensorError, KeyError, ValueError, RuntimeError) as error:
        raise WeightsError(
            f"expected a reader of examples at {path} that fits {text_source}, found: {error}; fetch the model anew"
        ) from error
    merge_lora(language_model)
    whole.eval().requires_grad_(False)
    return ExampleReader(language_model, whole["examples"], chat), photos
