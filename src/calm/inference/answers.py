"""Every answer of the network about a batch of photos: score, suggestions, caption, comment."""

from __future__ import annotations

import copy
import functools
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedTokenizerBase

from calm.inference.processing import look
from calm.model.backbone import in_chunks
from calm.model.network import CalmForConditionalGeneration, VisualTokens
from calm.tasks.exchange import COMMENT_QUESTION, IGNORED, Exchange, embed
from calm.tasks.observation import Observation, parse_line, score_prefix
from calm.tasks.reader import Reader

WRITTEN = 16
"""Texts that are written at once where numbers of rows are fixed: on a CPU sixteen take little longer than one."""


@dataclass(frozen=True)
class Spoken:
    """A comment: the observation line as it was written and as it was read, and the prose behind it.

    ``begun`` is the score that the line begins with; what follows it is the language model's own.
    """

    line: str
    observation: Observation
    prose: str
    begun: str = ""

    @property
    def written(self) -> str:
        """Everything behind :attr:`begun`."""
        return f"{self.line.removeprefix(self.begun)}\n{self.prose}".strip()


class Answers(Reader):
    """Asks the network about photos.

    Args:
        model: it is put in evaluation mode.
        tokenizer: of its language model.
        rows: as of :class:`Reader`.
    """

    def __init__(self, model: CalmForConditionalGeneration, tokenizer: PreTrainedTokenizerBase, rows: int = 0) -> None:
        super().__init__(model.eval(), tokenizer, rows)

    @torch.inference_mode()
    def see(self, photos: Sequence[np.ndarray], detail: bool = True) -> VisualTokens:
        """Visual tokens of photos (H, W, 3) uint8; without ``detail`` those that the score needs."""

        see = functools.partial(self.model.see, score_only=not detail)

        def read(*views: Tensor) -> list[Tensor | None]:
            return see(*views).parts

        return VisualTokens(*in_chunks(read, self.rows, *self.views(photos, detail).values()))

    def views(self, photos: Sequence[np.ndarray], detail: bool = False) -> dict[str, Tensor]:
        """What the network sees of photos, see :func:`calm.inference.processing.look`, on its device."""
        return {name: views.to(self.model.device) for name, views in look(photos, self.model.config, detail).items()}

    @torch.inference_mode()
    def text(
        self, seen: VisualTokens, question: str, length: int = 48, begun: Sequence[str] | None = None
    ) -> list[str]:
        """Greedy answers in words.

        Args:
            begun: how each answer begins, all of as many tokens; only what follows is returned.
        """
        core, table, end = self.model.language_model.model, self.model.get_input_embeddings(), self.packer.end
        prompt = self.prompt(seen, question)
        if begun is not None:
            ids = torch.tensor([self.packer.tokens(each) for each in begun], device=prompt.device)
            prompt = torch.cat([prompt, table(ids)], dim=1)

        def write(part: Tensor) -> list[Tensor]:
            # transformers' generate() copies the table of words for every row to read the first one
            cache, written = DynamicCache(), torch.full((len(part), length), end, device=part.device)
            done = torch.zeros(len(part), dtype=torch.bool, device=part.device)
            for place in range(length):
                states = core(inputs_embeds=part, past_key_values=cache).last_hidden_state[:, -1]
                words = self.model.word_logits(states).argmax(dim=1).masked_fill(done, end)
                written[:, place], done = words, done | (words == end)
                if done.all():
                    break
                part = table(words)[:, None]
            return [written]

        (ids,) = in_chunks(write, WRITTEN if self.rows else 0, prompt)
        return [text.strip() for text in self.tokenizer.batch_decode(ids, skip_special_tokens=True)]

    def comments(self, seen: VisualTokens, length: int = 150, scores: Sequence[float] | None = None) -> list[Spoken]:
        """An observation line that begins with the score as it is read, then prose.

        ``scores``: the scores, 1–10, where they have been read already.
        """
        begun = [score_prefix(score) for score in (self.means(seen) if scores is None else scores)]
        found = []
        for start, text in zip(begun, self.text(seen, COMMENT_QUESTION, length, begun), strict=True):
            line, _, prose = text.partition("\n")
            found.append(Spoken(start + line, parse_line(start + line), prose.strip(), start))
        return found

    @torch.inference_mode()
    def likelihood(
        self, seen: VisualTokens, question: str, answers: Sequence[str], begun: Sequence[str] | None = None
    ) -> Tensor:
        """log p of each answer given each photo: (photos, answers), natural logarithms summed over tokens.

        All answers stand behind one photo in one packed row, so that its prompt is read once.

        Args:
            answers: not empty, except behind a beginning.
            begun: how each answer begins; this part is given and not counted.
        """
        starts = [""] * len(answers) if begun is None else begun
        exchanges = [Exchange("text", question, a, prompt=b) for a, b in zip(answers, starts, strict=True)]
        packer = copy.copy(self.packer)
        packer.length = packer.size(exchanges)
        found = []
        for photo in range(len(seen.frame)):
            packed = packer.pack([exchanges])
            here = {name: each.to(self.model.device) for name, each in vars(packed).items() if isinstance(each, Tensor)}
            packed = replace(packed, **here)
            one = seen.of(slice(photo, photo + 1))
            states = self.model.hidden(embed(self.model, packed, one), packed.mask, packed.positions)[0]
            places = (packed.labels[0] != IGNORED).nonzero()[:, 0]
            logs = self.model.word_logits(states[places].float()).log_softmax(dim=1)
            each = logs.gather(1, packed.labels[0][places, None])[:, 0]
            # the labels of one answer stand side by side; a gap begins the next answer
            answer = torch.cat([places.new_zeros(1), (places.diff() > 1).long().cumsum(0)])
            found.append(each.new_zeros(len(answers)).index_add(0, answer, each))
        return torch.stack(found).cpu()
