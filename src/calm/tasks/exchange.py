"""Exchanges about a photo, and how several of them are packed into rows for one forward pass.

A photo's visual tokens stand once in a row; every exchange behind them reads them and itself and no other exchange, at
the positions that it would have alone. So a packed exchange gives the numbers of a single one. Several photos share a
row where there is room.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from calm.model.network import CalmForConditionalGeneration, VisualTokens

SCORE_QUESTION = "Can you give me the aesthetic score?"
QUALITY_QUESTION = "How good is the technical quality?"
SUGGEST_QUESTION = "What should be changed?"
CAPTION_QUESTION = "What does the photo show?"
KEYWORDS_QUESTION = "Name what is in the photo."
COMMENT_QUESTION = "Comment on this photo."
OPENING = "<|im_start|>user\n"
CLOSING = "<|im_end|>\n<|im_start|>assistant\n"
IGNORED = -100


@dataclass(frozen=True)
class Exchange:
    """One question about a photo with its answer.

    Attributes:
        kind: ``score``, ``quality``, ``suggest`` (read as distributions) or ``text``.
        question: what is asked.
        answer: text to be learnt, for ``text``; a ``prompt`` before it is read and not learnt.
        target: ``score`` and ``quality``: ten probabilities; ``suggest``: probability of each remedy.
        remedy, severity: ``suggest``: the remedy whose amount is asked, and its severity 0–1; None for none.
        detail: whether all visual tokens are read, or those of the frame alone.
        blind: the exchange reads no visual token (text without a photo).
        ended: whether the end of the answer is learnt as well.
        weight: of its loss.
    """

    kind: str
    question: str
    answer: str = ""
    prompt: str = ""
    target: tuple[float, ...] = ()
    remedy: int | None = None
    severity: float | None = None
    detail: bool = True
    blind: bool = False
    ended: bool = True
    weight: float = 1.0


@dataclass
class PackedRows:
    """Token rows for one forward pass, all of one length.

    Attributes:
        ids: (R, T), tokens of the language model; placeholders elsewhere.
        photo: (R, T), the photo whose visual token stands there, −1 elsewhere; ``place``: which of its tokens.
        remedy: (R, T), the remedy token that stands there, −1 elsewhere.
        mask: (R, T, T), what may read what; positions: (R, T).
        labels: (R, T), the next token to learn at each place, ``IGNORED`` elsewhere; weights: (R, T).
        reads: by kind, (row, column) of each place where a distribution is read, in the order of ``exchanges``.
    """

    ids: Tensor
    photo: Tensor
    place: Tensor
    remedy: Tensor
    mask: Tensor
    positions: Tensor
    labels: Tensor
    weights: Tensor
    reads: dict[str, list[tuple[int, int]]] = field(default_factory=dict)
    exchanges: dict[str, list[tuple[int, Exchange]]] = field(default_factory=dict)

    def chunks(self, size: int) -> Iterator[tuple[PackedRows, int]]:
        """Parts of exactly ``size`` rows with the number of rows that count; the last one repeats its first row."""
        for start in range(0, len(self.ids), size):
            rows = torch.arange(start, min(start + size, len(self.ids)))
            filled = torch.cat([rows, rows[:1].expand(size - len(rows))])
            names = ("ids", "photo", "place", "remedy", "mask", "positions", "labels", "weights")
            yield PackedRows(**{name: getattr(self, name)[filled] for name in names}), len(rows)


@dataclass
class _Piece:
    """Tokens of one photo with its exchanges, before they are laid into a row."""

    photo: int
    ids: list[int]
    place: list[int]
    remedy: list[int]
    segment: list[int]
    positions: list[int]
    labels: list[int]
    weights: list[float]
    reads: list[tuple[str, int, Exchange]]


class Packer:
    """Lays exchanges into rows.

    Args:
        tokenizer: of the language model.
        frame_tokens, detail_tokens: visual tokens of one photo.
        length: of a row, tokens. Exchanges that do not fit beside their photo are cut.
        packed: whether all exchanges about a photo stand behind its visual tokens once; else each has its own.
    """

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        frame_tokens: int,
        detail_tokens: int,
        length: int = 256,
        packed: bool = True,
    ) -> None:
        self.tokenizer, self.length, self.packed = tokenizer, length, packed
        self.frame_tokens, self.detail_tokens = frame_tokens, detail_tokens
        self.end = tokenizer.eos_token_id
        self.opening = self.tokens(OPENING)

    def tokens(self, text: str) -> list[int]:
        """Token ids of a text."""
        return self.tokenizer(text, add_special_tokens=False).input_ids

    def question(self, question: str) -> list[int]:
        """Token ids from the end of the visual tokens to the place where the answer is read."""
        return self.tokens(question + CLOSING)

    def size(self, exchanges: Sequence[Exchange]) -> int:
        """Tokens that one photo with all of its exchanges takes at most."""
        each = (self.tokens(x.question + CLOSING + x.prompt + x.answer) for x in exchanges)
        return len(self.opening) + self.frame_tokens + self.detail_tokens + sum(len(ids) + 2 for ids in each)

    def pack(self, photos: Sequence[Sequence[Exchange]], rows: int | None = None) -> PackedRows:
        """Rows of photo 0, 1, … with the exchanges of each.

        Args:
            rows: fixed number of rows, for one shape in every step; photos that do not fit are left out. None for as
                many as are needed.
        """
        asked = [(i, exchanges) for i, exchanges in enumerate(photos) if exchanges]
        if not self.packed:
            asked = [(i, [each]) for i, exchanges in asked for each in exchanges]
        pieces = [self._piece(i, exchanges) for i, exchanges in asked]
        bins: list[list[_Piece]] = [[] for _ in range(rows or 0)]
        room = [self.length] * len(bins)
        for piece in sorted(pieces, key=lambda each: -len(each.ids)):
            fitting = [i for i, left in enumerate(room) if left >= len(piece.ids)]
            if fitting:
                best = min(fitting, key=lambda i: room[i])
            elif rows is None:
                bins.append([])
                room.append(self.length)
                best = len(bins) - 1
            else:
                continue
            bins[best].append(piece)
            room[best] -= len(piece.ids)
        return self._lay(bins)

    def _piece(self, photo: int, exchanges: Sequence[Exchange]) -> _Piece:
        """The photo's tokens, then its exchanges; segment 0 is read by all that see the photo, −1 is the crop's."""
        frame, detail = self.frame_tokens, self.detail_tokens
        sees = any(not exchange.blind for exchange in exchanges)
        crop = detail if any(exchange.detail and not exchange.blind for exchange in exchanges) else 0
        opening = len(self.opening)
        base = opening + (frame if sees else 0)
        piece = _Piece(photo, list(self.opening), [-1] * opening, [-1] * opening, [-2] * opening, [], [], [], [])
        if sees:
            piece.ids += [self.end] * (frame + crop)
            piece.place += list(range(frame + crop))
            piece.remedy += [-1] * (frame + crop)
            piece.segment += [0] * frame + [-1] * crop
        piece.positions = list(range(len(piece.ids)))
        piece.labels = [IGNORED] * len(piece.ids)
        piece.weights = [0.0] * len(piece.ids)
        for number, exchange in enumerate(exchanges, start=1):
            asked = self.question(exchange.question)
            start = opening if exchange.blind else base + (detail if exchange.detail else 0)
            prompt = self.tokens(exchange.prompt) if exchange.prompt else []
            answer = self.tokens(exchange.answer) if exchange.kind == "text" else []
            answer += [self.end] if exchange.ended and (answer or prompt) else []
            amount = exchange.kind == "suggest" and exchange.remedy is not None
            extra = len(asked) + len(prompt) + max(len(answer) - 1, 0) + int(amount)
            room = self.length - len(piece.ids)
            if room < extra:
                if exchange.kind != "text" or room < len(asked) + len(prompt) + 8:
                    continue
                answer = answer[: room - len(asked) - len(prompt) + 1]
                extra = room
            first = len(piece.ids)
            ids = [*asked, *prompt, *answer[:-1]] if exchange.kind == "text" else list(asked)
            piece.ids += ids + ([self.end] if amount else [])
            piece.place += [-1] * extra
            piece.remedy += [-1] * len(ids) + ([int(exchange.remedy)] if amount else [])  # type: ignore[arg-type]
            # Segment numbers: exchanges with the crop are even, without it odd, blind ones above 1000.
            code = 1000 + number if exchange.blind else 2 * number + (0 if exchange.detail else 1)
            piece.segment += [code] * extra
            piece.positions += list(range(start, start + extra))
            labels = [IGNORED] * extra
            if exchange.kind == "text":
                begin = len(asked) + len(prompt) - 1
                labels[begin : begin + len(answer)] = answer
            piece.labels += labels
            piece.weights += [exchange.weight if label != IGNORED else 0.0 for label in labels]
            if exchange.kind != "text":
                piece.reads.append((exchange.kind, first + len(asked) - 1, exchange))
                if amount:
                    piece.reads.append(("amount", first + len(asked), exchange))
        return piece

    def _lay(self, bins: Sequence[Sequence[_Piece]]) -> PackedRows:
        shape = (len(bins), self.length)
        rows = PackedRows(
            ids=torch.full(shape, self.end),
            photo=torch.full(shape, -1),
            place=torch.full(shape, -1),
            remedy=torch.full(shape, -1),
            mask=torch.zeros(*shape, self.length, dtype=torch.bool),
            positions=torch.zeros(shape, dtype=torch.long),
            labels=torch.full(shape, IGNORED),
            weights=torch.zeros(shape),
        )
        owner = torch.full(shape, -1)
        segment = torch.full(shape, -9)
        for row, pieces in enumerate(bins):
            start = 0
            for number, piece in enumerate(pieces):
                stop = start + len(piece.ids)
                place = torch.tensor(piece.place)
                rows.ids[row, start:stop] = torch.tensor(piece.ids)
                rows.place[row, start:stop] = place
                rows.photo[row, start:stop] = torch.where(place >= 0, piece.photo, -1)
                rows.remedy[row, start:stop] = torch.tensor(piece.remedy)
                rows.positions[row, start:stop] = torch.tensor(piece.positions)
                rows.labels[row, start:stop] = torch.tensor(piece.labels)
                rows.weights[row, start:stop] = torch.tensor(piece.weights)
                owner[row, start:stop] = number
                segment[row, start:stop] = torch.tensor(piece.segment)
                for kind, column, exchange in piece.reads:
                    rows.reads.setdefault(kind, []).append((row, start + column))
                    rows.exchanges.setdefault(kind, []).append((piece.photo, exchange))
                start = stop
        rows.mask = _mask(owner, segment)
        return rows


def _mask(owner: Tensor, segment: Tensor) -> Tensor:
    """(R, T), (R, T) → (R, T, T): a token reads what stands before it, of its own photo and exchange, the opening, and
    the visual tokens that its exchange may see. Padding reads itself.
    """
    length = owner.shape[1]
    causal = torch.ones(length, length, dtype=torch.bool).tril()
    same = owner[:, :, None] == owner[:, None, :]
    asking, asked = segment[:, :, None], segment[:, None, :]
    blind = asking >= 1000
    detailed = (asking % 2 == 0) | (asking == -1)
    visible = (asked == asking) | (asked == -2) | ((asked == 0) & ~blind & (asking != -2))
    visible |= (asked == -1) & detailed & ~blind & (asking > 0)
    padding = torch.eye(length, dtype=torch.bool)
    return (causal & same & visible & (owner >= 0)[:, :, None]) | padding


def embed(model: CalmForConditionalGeneration, packed: PackedRows, seen: VisualTokens) -> Tensor:
    """Embeddings of packed rows with visual and remedy tokens in their places: (R, T, width)."""
    embeddings = model.get_input_embeddings()(packed.ids)
    visual = seen.frame if seen.detail is None else torch.cat([seen.frame, seen.detail], dim=1)
    here = packed.photo >= 0
    if here.any():
        placed = visual[packed.photo[here], packed.place[here]].to(embeddings.dtype)
        embeddings = embeddings.masked_scatter(here[..., None], placed)
    remedies = packed.remedy >= 0
    if remedies.any():
        tokens = model.remedy_tokens(packed.remedy[remedies]).to(embeddings.dtype)
        embeddings = embeddings.masked_scatter(remedies[..., None], tokens)
    return embeddings
