"""Reads the network's answers off the visual tokens of photos, as numbers and as the words that state them."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from calm.edits.remedy import to_suggestion
from calm.edits.words import FAULTS, degree
from calm.model.backbone import in_chunks
from calm.model.config import SCORE_LEVELS
from calm.model.exchange import (
    COMMENT_QUESTION,
    MOST_FAULTS,
    QUALITY_QUESTION,
    SCORE_QUESTION,
    SUGGEST_QUESTION,
    Packer,
    line_start,
)
from calm.model.network import Network
from calm.model.tokenizer import Tokenizer
from calm.model.visual import VisualTokens
from calm.types import CLASSES

NOTHING = "Nothing."
"""The answer to :data:`SUGGEST_QUESTION` where no remedy is sure enough."""


class Reader:
    """Reads answers. Numbers come back on the CPU, whichever device the network is on.

    Args:
        model: in evaluation mode.
        tokenizer: of its language model.
        rows: photos that go through the network at once, see :func:`calm.model.backbone.in_chunks`; 0 for all.
    """

    def __init__(self, model: Network, tokenizer: Tokenizer, rows: int = 0) -> None:
        self.model, self.tokenizer, self.rows = model, tokenizer, rows
        self.packer = Packer(tokenizer, model.config.frame_tokens, model.config.detail_tokens)

    def prompt(self, seen: VisualTokens, question: str, detail: bool = True) -> Tensor:
        """Embeddings of ``<photo><question>`` up to where the answer is read: (B, T, width)."""
        table = self.model.get_input_embeddings()
        count = len(seen.frame)

        def words(ids: Sequence[int]) -> Tensor:
            return table(torch.tensor(ids, device=table.weight.device)).expand(count, -1, -1)

        parts = [words(self.packer.opening), seen.frame]
        if detail and seen.detail is not None:
            parts.append(seen.detail)
        parts.append(words(self.packer.question(question)))
        return torch.cat([part.to(table.weight.dtype) for part in parts], dim=1)

    def states(self, embeddings: Tensor, ends: int = 1) -> Tensor:
        """Last hidden states of prompts of one length: (B, T, width).

        Args:
            ends: of the tokens, (B, T, width), so many last ones each end the prompt by itself.
        """
        length, device = embeddings.shape[1], embeddings.device
        mask = torch.ones(length, length, dtype=torch.bool, device=device).tril()
        mask[-ends:, -ends:] = torch.eye(ends, dtype=torch.bool, device=device)
        positions = torch.arange(length, device=device).clamp(max=length - ends)

        def read(part: Tensor) -> list[Tensor]:
            count = len(part)
            return [self.model.hidden(part, mask.expand(count, -1, -1), positions.expand(count, -1))]

        return in_chunks(read, self.rows, embeddings)[0]

    # ------------------------------------------------------------------------------------------------ numbers

    @torch.inference_mode()
    def scores(self, seen: VisualTokens) -> Tensor:
        """Probabilities of the scores 1 … 10, read in one forward pass over the frame: (B, 10).

        The language model's, with the share of the score head that the configuration gives it.
        """
        states = self.states(self.prompt(seen, SCORE_QUESTION, detail=False))
        read = self._logits(self.model.score_logits, states[:, -1]).softmax(dim=1)
        share = self.model.config.score_head_share
        if not share or seen.score is None:
            return read
        return read.lerp(seen.score.float().softmax(dim=1).cpu(), share)

    def means(self, seen: VisualTokens) -> list[float]:
        """Mean of :meth:`scores`, 1–10, of each photo."""
        return means_of(self.scores(seen))

    @torch.inference_mode()
    def qualities(self, seen: VisualTokens) -> Tensor:
        """Probabilities of technical quality 1 … 10, read in one forward pass over frame and crop: (B, 10)."""
        states = self.states(self.prompt(seen, QUALITY_QUESTION))
        return self._logits(self.model.quality_logits, states[:, -1]).softmax(dim=1)

    @torch.inference_mode()
    def remedy_logits(self, seen: VisualTokens) -> Tensor:
        """Logits of each remedy as the network gives them, the last is "nothing": (B, remedies)."""
        states = self.states(self.prompt(seen, SUGGEST_QUESTION))
        return self._logits(self.model.remedy_logits, states[:, -1])

    def remedies(self, seen: VisualTokens) -> Tensor:
        """Calibrated probability of each remedy, the last is "nothing", in one forward pass: (B, remedies)."""
        return self._calibrated(self.remedy_logits(seen))

    @torch.inference_mode()
    def advice(self, seen: VisualTokens) -> tuple[Tensor, Tensor]:
        """:meth:`remedies`, and how strong the fault is that each remedy mends, 0–1, in one forward pass.

        Returns:
            (B, remedies) probabilities, the last is of "nothing"; (B, len(CLASSES)) severities.
        """
        prompt, count = self.prompt(seen, SUGGEST_QUESTION), len(CLASSES)
        asked = self.model.remedy_tokens.weight[:count].to(prompt.dtype).expand(len(prompt), -1, -1)
        states = self.states(torch.cat([prompt, asked], dim=1), ends=count)[:, -count - 1 :]
        levels = self._logits(self.model.amount_logits, states[:, 1:]).softmax(dim=2)
        severities = (levels * torch.linspace(0, 1, levels.shape[2])).sum(dim=2)
        return self._calibrated(self._logits(self.model.remedy_logits, states[:, 0])), severities

    def _calibrated(self, logits: Tensor) -> Tensor:
        logits = logits / self.model.config.remedy_temperature
        logits[:, -1] += self.model.config.remedy_nothing
        return logits.softmax(dim=1)

    def _logits(self, layer: Callable[[Tensor], Tensor], states: Tensor) -> Tensor:
        """What a layer reads off states (B, …, width), in its number format and as many rows at once as always."""
        states = states.to(self.model.answers.weight.dtype)
        return in_chunks(lambda part: [layer(part)], self.rows, states)[0].cpu()

    # ------------------------------------------------------------------------------------------------ words

    def spoken_scores(self, seen: VisualTokens) -> list[str]:
        """The score that is read, in words: "6.5"."""
        return [f"{mean:.1f}" for mean in self.means(seen)]

    def spoken_remedies(self, seen: VisualTokens) -> list[str]:
        """The surest remedy as a sentence; :data:`NOTHING` where it is less sure than ``config.remedy_least``."""
        remedies, severities = self.advice(seen)
        sure, index = remedies[:, : len(CLASSES)].max(dim=1)
        found = zip(sure.tolist(), index.tolist(), severities.gather(1, index[:, None])[:, 0].tolist(), strict=True)
        least = self.model.config.remedy_least
        return [to_suggestion(CLASSES[k], how, p, seed=0).text if p >= least else NOTHING for p, k, how in found]

    def line_starts(self, seen: VisualTokens, scores: Sequence[float] | None = None) -> list[str]:
        """How each comment begins: with the score that is read, and the faults of the surest suggestions.

        Args:
            scores: 1–10, where they have been read already.
        """
        remedies, severities = self.advice(seen)
        sure, index = remedies[:, : len(CLASSES)].topk(MOST_FAULTS, dim=1)
        found = []
        for row, score in enumerate(self.means(seen) if scores is None else scores):
            named = [k for p, k in zip(sure[row], index[row], strict=True) if p >= self.model.config.remedy_least]
            faults = [(FAULTS[CLASSES[k]], degree(float(severities[row, k]))) for k in named]
            found.append(line_start(score, faults))
        return found

    def begun(self, seen: VisualTokens, prompts: Tensor) -> list[list[int]]:
        """Token ids that the answer to each prompt begins with.

        Args:
            prompts: (B, T), padded on the left; one question about each photo.

        Returns:
            The whole answer and its end for a score or a suggestion, score and faults for a comment, else nothing.
        """
        ways: tuple[tuple[str, Callable[[VisualTokens], list[str]], list[int]], ...] = (
            (SCORE_QUESTION, self.spoken_scores, [self.packer.end]),
            (SUGGEST_QUESTION, self.spoken_remedies, [self.packer.end]),
            (COMMENT_QUESTION, self.line_starts, []),
        )
        rows = prompts.tolist()
        found: list[list[int]] = [[] for _ in rows]
        for question, speak, end in ways:
            tail = [self.model.config.image_token_id, *self.packer.question(question)]
            asked = [i for i, ids in enumerate(rows) if ids[-len(tail) :] == tail]
            texts = speak(seen) if asked else []
            for i in asked:
                found[i] = [*self.packer.tokens(texts[i]), *end]
        return found


def means_of(table: Tensor) -> list[float]:
    """Means, 1–10, of distributions over the scores 1 … 10: (B, 10)."""
    table = table.double()
    return (table @ torch.arange(1, SCORE_LEVELS + 1, dtype=table.dtype, device=table.device)).tolist()
