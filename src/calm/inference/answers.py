"""Every answer of the one network about a batch of photos: score, suggestions, caption, comment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from calm.data.measure import MEASURE_NAMES, measure
from calm.data.views import make_views, normalise, squash
from calm.model.config import SCORE_LEVELS
from calm.model.network import CalmForConditionalGeneration, VisualTokens
from calm.tasks.exchange import (
    COMMENT_QUESTION,
    IGNORED,
    SCORE_QUESTION,
    SUGGEST_QUESTION,
    Exchange,
    Packer,
    embed,
)
from calm.tasks.observation import Observation, parse_line, score_prefix


@dataclass(frozen=True)
class Spoken:
    """A comment: the observation line as it was written and as it was read, and the prose behind it."""

    line: str
    observation: Observation
    prose: str


class Answers:
    """Asks the network.

    Args:
        model: its adapters are merged here; it is put in evaluation mode.
        tokenizer: of its language model.
    """

    def __init__(self, model: CalmForConditionalGeneration, tokenizer: PreTrainedTokenizerBase) -> None:
        self.model, self.tokenizer = model.eval(), tokenizer
        self.packer = Packer(tokenizer, model.config.frame_tokens, model.config.detail_tokens)

    # ------------------------------------------------------------------------------------------------ seeing

    @torch.inference_mode()
    def see(self, photos: Sequence[np.ndarray], detail: bool = True) -> VisualTokens:
        """Visual tokens of photos (H, W, 3) uint8; without ``detail`` of the whole frames alone."""
        config = self.model.config
        if not detail:
            whole = np.stack([squash(pixels, config.image_size) for pixels in photos])
            return self.model.see(normalise(whole, config.image_mean, config.image_std))
        views = [make_views(pixels, config.image_size) for pixels in photos]
        frames = normalise(np.stack([each.whole for each in views]), config.image_mean, config.image_std)
        crops = normalise(np.stack([each.crops[0] for each in views]), config.image_mean, config.image_std)
        measures = np.stack([measure(pixels)[: len(MEASURE_NAMES)] for pixels in photos])
        return self.model.see(frames, crops, torch.from_numpy(measures))

    def prompt(self, seen: VisualTokens, question: str, detail: bool = True) -> Tensor:
        """Embeddings of ``<photo><question>`` up to where the answer is read: (B, T, width)."""
        table = self.model.get_input_embeddings()
        count = len(seen.frame)

        def words(ids: Sequence[int]) -> Tensor:
            return table(torch.tensor(ids)).expand(count, -1, -1)

        parts = [words(self.packer.opening), seen.frame]
        if detail and seen.detail is not None:
            parts.append(seen.detail)
        parts.append(words(self.packer.question(question)))
        return torch.cat([part.to(table.weight.dtype) for part in parts], dim=1)

    def states(self, embeddings: Tensor) -> Tensor:
        """Last hidden states of prompts of one length: (B, T, width)."""
        count, length = embeddings.shape[:2]
        mask = torch.ones(length, length, dtype=torch.bool).tril().expand(count, -1, -1)
        return self.model.hidden(embeddings, mask, torch.arange(length).expand(count, -1))

    # ------------------------------------------------------------------------------------------------ answers

    @torch.inference_mode()
    def scores(self, seen: VisualTokens) -> Tensor:
        """Probabilities of the scores 1 … 10, read in one forward pass over the frame: (B, 10)."""
        states = self.states(self.prompt(seen, SCORE_QUESTION, detail=False))
        return self.model.score_logits(states[:, -1]).softmax(dim=1)

    @torch.inference_mode()
    def remedy_logits(self, seen: VisualTokens) -> Tensor:
        """Logits of each remedy as the network gives them, the last is "nothing": (B, remedies)."""
        states = self.states(self.prompt(seen, SUGGEST_QUESTION))
        return self.model.remedy_logits(states[:, -1])

    def remedies(self, seen: VisualTokens) -> Tensor:
        """Calibrated probability of each remedy, the last is "nothing", in one forward pass: (B, remedies)."""
        logits = self.remedy_logits(seen) / self.model.config.remedy_temperature
        logits[:, -1] += self.model.config.remedy_nothing
        return logits.softmax(dim=1)

    @torch.inference_mode()
    def severities(self, seen: VisualTokens, remedies: Tensor) -> Tensor:
        """How strong the fault is that a remedy mends, 0–1: one remedy a photo (B,) → (B,)."""
        prompt = self.prompt(seen, SUGGEST_QUESTION)
        asked = self.model.remedy_tokens(remedies)[:, None].to(prompt.dtype)
        levels = self.model.amount_logits(self.states(torch.cat([prompt, asked], dim=1))[:, -1]).softmax(dim=1)
        return (levels * torch.linspace(0, 1, levels.shape[1])).sum(dim=1)

    @torch.inference_mode()
    def text(
        self, seen: VisualTokens, question: str, length: int = 48, begun: Sequence[str] | None = None
    ) -> list[str]:
        """Greedy answers in words.

        Args:
            begun: how each answer begins, all of as many tokens; only what follows is returned.
        """
        prompt = self.prompt(seen, question)
        if begun is not None:
            ids = torch.tensor([self.packer.tokens(each) for each in begun])
            prompt = torch.cat([prompt, self.model.get_input_embeddings()(ids)], dim=1)
        attention = torch.ones(prompt.shape[:2], dtype=torch.long)
        ids = self.model.language_model.generate(
            inputs_embeds=prompt,
            attention_mask=attention,
            max_new_tokens=length,
            do_sample=False,
            pad_token_id=self.tokenizer.eos_token_id,
        )
        return [text.strip() for text in self.tokenizer.batch_decode(ids, skip_special_tokens=True)]

    def comments(self, seen: VisualTokens, length: int = 150) -> list[Spoken]:
        """An observation line that begins with the score as it is read, then prose."""
        means = self.scores(seen).float() @ torch.arange(1.0, SCORE_LEVELS + 1)
        begun = [score_prefix(mean) for mean in means.tolist()]
        found = []
        for start, text in zip(begun, self.text(seen, COMMENT_QUESTION, length, begun), strict=True):
            line, _, prose = text.partition("\n")
            found.append(Spoken(start + line, parse_line(start + line), prose.strip()))
        return found

    @torch.inference_mode()
    def likelihood(self, seen: VisualTokens, question: str, answers: Sequence[str]) -> Tensor:
        """log p of each answer given each photo: (photos, answers), natural logarithms summed over tokens.

        All answers stand behind one photo in one packed row, so that its prompt is read once.
        """
        exchanges = [Exchange("text", question, answer) for answer in answers]
        length = self.packer.length
        self.packer.length = self.packer.size(exchanges)
        found = []
        for photo in range(len(seen.frame)):
            packed = self.packer.pack([exchanges])
            detail = None if seen.detail is None else seen.detail[photo : photo + 1]
            one = VisualTokens(seen.frame[photo : photo + 1], detail, None)
            states = self.model.hidden(embed(self.model, packed, one), packed.mask, packed.positions)[0]
            places = (packed.labels[0] != IGNORED).nonzero()[:, 0]
            logs = self.model.word_logits(states[places]).log_softmax(dim=1)
            each = logs.gather(1, packed.labels[0][places, None])[:, 0]
            # the labels of one answer stand side by side; a gap begins the next answer
            answer = torch.cat([places.new_zeros(1), (places.diff() > 1).long().cumsum(0)])
            found.append(each.new_zeros(len(answers)).index_add(0, answer, each))
        self.packer.length = length
        return torch.stack(found)
