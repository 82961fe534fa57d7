"""Every answer of the network about a batch of photos: score, suggestions, caption, comment."""

import copy
import functools
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from calm.inference.tasks import HEARD, Heard
from calm.inference.writing import Prompts, Writer
from calm.model.backbone import in_chunks
from calm.model.exchange import COMMENT_QUESTION, IGNORED, Exchange, embed
from calm.model.network import Network
from calm.model.reader import Reader
from calm.model.tokenizer import Tokenizer
from calm.model.visual import VisualTokens, look
from calm.tasks.observation import Observation, parse_line

TEMPERATURE = 0.3
"""At which the words of a comment are drawn."""


@dataclass(frozen=True)
class Spoken:
    """A comment: the observation line as it was written and as it was read, and the prose behind it.

    ``begun`` are score and faults, which the line begins with; what follows is the language model's own.
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

    def __init__(self, model: Network, tokenizer: Tokenizer, rows: int = 0) -> None:
        super().__init__(model.eval(), tokenizer, rows)

    @torch.inference_mode()
    def see(self, photos: Sequence[np.ndarray], detail: bool = True) -> VisualTokens:
        """Visual tokens of photos (H, W, 3) uint8; without ``detail`` those that the score needs."""

        see = functools.partial(self.model.see, score_only=not detail)

        def read(*views: Tensor) -> list[Tensor | None]:
            return see(*views).parts

        return VisualTokens(*in_chunks(read, self.rows, *self.views(photos, detail).values()))

    def views(self, photos: Sequence[np.ndarray], detail: bool = False) -> dict[str, Tensor]:
        """What the network sees of photos, see :func:`calm.model.visual.look`, on its device."""
        return {name: views.to(self.model.device) for name, views in look(photos, self.model.config, detail).items()}

    @torch.inference_mode()
    def text(
        self,
        seen: VisualTokens,
        question: str,
        length: int = 48,
        begun: Sequence[str] | None = None,
        seeds: Sequence[int] | None = None,
        temperature: float = TEMPERATURE,
        heard: Heard | None = None,
    ) -> list[str]:
        """Answers in words, each of them the likeliest next word.

        Args:
            begun: how each answer begins; only what follows is returned.
            seeds: one for each photo, by which words are drawn; behind the first line where the answer
                has a beginning.
            temperature: at which they are drawn, above 0.
            heard: is told what is written, token by token.

        Raises:
            AbandonedError: where :data:`ABANDONED` says so.
        """
        prompt = self.prompt(seen, question)
        starts = [self.packer.tokens(each) for each in begun or [""] * len(prompt)]
        longest = max(1, *map(len, starts))
        given = torch.tensor([[*each, *[-1] * (longest - len(each))] for each in starts], device=prompt.device)
        drawn = torch.tensor([-1] * len(prompt) if seeds is None else list(seeds), device=prompt.device)

        def words(number: int, ids: list[int]) -> str:
            (written,) = self.tokenizer.batch_decode([ids[len(starts[number]) :]], skip_special_tokens=True)
            return written.strip()

        def progress(number: int, ids: list[int]) -> None:
            if heard is not None:
                heard(number, words(number, ids))

        (line_end,) = self.packer.tokens("\n")
        prompts = Prompts(prompt, given, drawn, torch.full_like(drawn, begun is None, dtype=torch.bool))
        writer = Writer(self.model, self.packer.end, line_end, length, temperature, heard and progress)
        return [words(number, ids) for number, ids in enumerate(writer.write(prompts).tolist())]

    def comments(
        self,
        seen: VisualTokens,
        length: int = 150,
        scores: Sequence[float] | None = None,
        seeds: Sequence[int] | None = None,
        temperature: float = TEMPERATURE,
    ) -> list[Spoken]:
        """An observation line that begins with score and faults as they are read, then prose; :data:`HEARD` is told it.

        Args:
            scores: 1–10, where they have been read already.
            seeds: one for each photo, by which the words of its prose are drawn; None for the likeliest words.
            temperature: at which they are drawn, above 0.
        """
        begun = self.line_starts(seen, scores)
        found, listener = [], HEARD.get()
        heard = listener and (lambda number, text: listener(number, text.partition("\n")[2].strip()))
        texts = self.text(seen, COMMENT_QUESTION, length, begun, seeds, temperature, heard)
        for start, text in zip(begun, texts, strict=True):
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
            logs = self.model.word_logits(states[places]).log_softmax(dim=1)
            each = logs.gather(1, packed.labels[0][places, None])[:, 0]
            # the labels of one answer stand side by side; a gap begins the next answer
            answer = torch.cat([places.new_zeros(1), (places.diff() > 1).long().cumsum(0)])
            found.append(each.new_zeros(len(answers)).index_add(0, answer, each))
        return torch.stack(found).cpu()
