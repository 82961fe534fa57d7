"""Texts of the language model, many side by side: where one ends, the next one begins."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from calm.errors import AbandonedError
from calm.inference.tasks import ABANDONED
from calm.model.decoder import Cache
from calm.model.fixed import LEAST
from calm.model.network import Network

GROUP = 8
"""Prompts that are read at once: as many always, so that no text depends on what others are written."""


@dataclass
class Prompts:
    """What texts are written behind.

    Attributes:
        embeddings: (B, T, width).
        begun: (B, T'), the words that each text begins with; −1 behind them.
        seeds: (B,), by which words are drawn; −1 for the likeliest words.
        prose: (B,), whether words are drawn from the first one on, and not behind the first line.
    """

    embeddings: Tensor
    begun: Tensor
    seeds: Tensor
    prose: Tensor


class Writer:
    """Writes texts, :data:`calm.model.fixed.LEAST` at once.

    Args:
        end, line_end: tokens that end a text and its first line.
        length: of a text, tokens at most.
        temperature: at which words are drawn, above 0.
        progress: is given each text as far as it is written, by its number and as token ids with its beginning.
    """

    def __init__(
        self,
        model: Network,
        end: int,
        line_end: int,
        length: int,
        temperature: float,
        progress: Callable[[int, list[int]], None] | None = None,
    ) -> None:
        self.model, self.end, self.line_end = model, end, line_end
        self.length, self.temperature, self.progress = length, temperature, progress

    def write(self, prompts: Prompts) -> Tensor:
        """Token ids of the texts with their beginnings, filled up with ``end``: (B, T' + length).

        Raises:
            AbandonedError: where :data:`ABANDONED` says so.
        """
        abandoned, device = ABANDONED.get(), prompts.embeddings.device
        count, asked = prompts.embeddings.shape[:2]
        begun = torch.nn.functional.pad(prompts.begun, (0, self.length), value=-1)
        starts = (begun >= 0).sum(dim=1)
        written = torch.full_like(begun, self.end)
        waiting = deque(torch.arange(count, device=device).split(GROUP))
        rows, states = waiting[0][:0], prompts.embeddings[:0, -1]
        cache = Cache(rows)
        while True:
            while waiting and len(rows) + GROUP <= LEAST:
                rows = torch.cat([rows, waiting[0]])
                states = torch.cat([states, self._read(prompts.embeddings[waiting.popleft()], cache)])
            if not len(rows):
                return written
            if abandoned():
                raise AbandonedError("nobody waits for this answer any more")
            places = cache.filled - asked
            own, words = places - starts[rows], begun[rows, places]
            free = (own >= 0).nonzero()[:, 0]
            if len(free):
                there = rows[free]
                words[free] = self._words(states[free], prompts.seeds[there], prompts.prose[there], own[free])
            written[rows, places] = words
            if self.progress is not None:
                for number, place in zip(rows[free].tolist(), places[free].tolist(), strict=True):
                    self.progress(number, written[number, : place + 1].tolist())
            prompts.prose[rows] |= words == self.line_end
            going = _first((words != self.end) & (own + 1 < self.length))
            cache.keep(going)
            rows, states = rows[going], states[going]
            if len(rows):
                states = self._step(words[going], cache)

    def _step(self, words: Tensor, cache: Cache) -> Tensor:
        """Read one more word of each row: (n,) → states behind them, (n, width)."""
        mask = torch.arange(cache.room, device=words.device) <= cache.filled[:, None]
        embedded = self.model.get_input_embeddings()(words)[:, None]
        states = self.model.hidden(embedded, mask[:, None], cache.filled[:, None], cache)[:, 0]
        cache.filled = cache.filled + 1
        return states

    def _read(self, prompts: Tensor, cache: Cache) -> Tensor:
        """Read prompts, (n, T, width), into the cache: states behind them, (n, width)."""
        count, length = prompts.shape[:2]
        places = torch.arange(length, device=prompts.device).expand(GROUP, -1)
        own = Cache(torch.full_like(places[:, 0], length))
        mask = places[:, None, :] <= places[:, :, None]
        filled = prompts[torch.arange(GROUP, device=prompts.device).clamp(max=count - 1)]
        states = self.model.hidden(filled, mask, places, own)[:, -1]
        own.keep(places[0, :1].new_tensor(range(count)))
        cache.join(own)
        return states[:count]

    def _words(self, states: Tensor, seeds: Tensor, prose: Tensor, places: Tensor) -> Tensor:
        """The next word of each row: (n, width) → (n,)."""
        logits = self.model.word_logits(states)
        words, draws = logits.argmax(dim=1), (prose & (seeds >= 0)).nonzero()[:, 0]
        if len(draws):
            words[draws] = drawn(logits[draws], seeds[draws], places[draws], self.temperature)
        return words


def _first(wanted: Tensor) -> Tensor:
    """Numbers of wanted rows, (n,) → (m,); those among the first m are where they were."""
    count = int(wanted.sum())
    order = torch.arange(len(wanted), device=wanted.device)
    order[(~wanted[:count]).nonzero()[:, 0]] = order[count:][wanted[count:]]
    return order[:count]


def drawn(logits: Tensor, seeds: Tensor, places: Tensor, temperature: float, likeliest: int = 5) -> Tensor:
    """One word a row out of its likeliest ones, by the Gumbel-max trick: (B, words), (B,), (B,) → (B,).

    The same seed at the same place draws the same way, whatever other rows there are.
    """
    best, words = logits.float().topk(likeliest, dim=1)
    noise = [
        torch.rand(likeliest, generator=torch.Generator().manual_seed(1000 * abs(seed) + place))
        for seed, place in zip(seeds.tolist(), places.tolist(), strict=True)
    ]
    gumbel = -(-torch.stack(noise).clamp(1e-6, 1 - 1e-6).log()).log().to(best.device)
    return words.gather(1, (best / temperature + gumbel).argmax(dim=1, keepdim=True))[:, 0]
