"""Exchanges about a photo, and how several of them are packed into rows for one forward pass.

A photo's visual tokens stand once in a row; every exchange behind them reads them and itself and no other exchange, at
the positions that it would have alone. So a packed exchange gives the numbers of a single one. Several photos share a
row where there is room.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

from calm.model.network import Network
from calm.model.tokenizer import Tokenizer
from calm.model.visual import VisualTokens

SCORE_QUESTION = "Can you give me the aesthetic score?"
QUALITY_QUESTION = "How good is the technical quality?"
SUGGEST_QUESTION = "What should be changed?"
CAPTION_QUESTION = "What does the photo show?"
KEYWORDS_QUESTION = "Name what is in the photo."
COMMENT_QUESTION = "Comment on this photo."
OPENING = "<|im_start|>user\n"
CLOSING = "<|im_end|>\n<|im_start|>assistant\n"
IGNORED = -100
MOST_FAULTS = 2
"""Faults that an observation line begins with at most."""
NO_FAULTS = "none"
"""What a line says of a photo without a fault."""


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


class _Token(NamedTuple):
    """One token of a row; the fields are those of :class:`PackedRows` at its place.

    Segments say what may read what: −2 is the opening, 0 the frame's tokens, −1 the crop's; exchanges that read the
    crop have even numbers, those that do not odd ones, and those that read no visual token numbers from 1000 on.
    """

    id: int
    place: int = -1
    remedy: int = -1
    segment: int = -2
    position: int = 0
    label: int = IGNORED
    weight: float = 0.0


@dataclass
class _Piece:
    """Tokens of one photo with its exchanges, before they are laid into a row, and where distributions are read."""

    photo: int
    tokens: list[_Token]
    reads: list[tuple[str, int, Exchange]] = field(default_factory=list)


class Packer:
    """Lays exchanges into rows.

    Args:
        tokenizer: of the language model.
        frame_tokens, detail_tokens: visual tokens of one photo.
        length: of a row, tokens. Exchanges that do not fit beside their photo are cut.
        packed: whether all exchanges about a photo stand behind its visual tokens once; else each has its own.
    """

    def __init__(
        self, tokenizer: Tokenizer, frame_tokens: int, detail_tokens: int, length: int = 256, packed: bool = True
    ) -> None:
        self.tokenizer, self.length, self.packed = tokenizer, length, packed
        self.frame_tokens, self.detail_tokens = frame_tokens, detail_tokens
        self.end = tokenizer.eos_token_id
        self.opening = self.tokens(OPENING)

    def tokens(self, text: str) -> list[int]:
        """Token ids of a text."""
        return self.tokenizer.encode(text, add_special_tokens=False)

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
        for piece in sorted(pieces, key=lambda each: -len(each.tokens)):
            fitting = [i for i, left in enumerate(room) if left >= len(piece.tokens)]
            if fitting:
                best = min(fitting, key=lambda i: room[i])
            elif rows is None:
                bins.append([])
                room.append(self.length)
                best = len(bins) - 1
            else:
                continue
            bins[best].append(piece)
            room[best] -= len(piece.tokens)
        return self._lay(bins)

    def _piece(self, photo: int, exchanges: Sequence[Exchange]) -> _Piece:
        """The photo's tokens, then its exchanges as far as there is room for them."""
        sees = any(not exchange.blind for exchange in exchanges)
        crop = any(exchange.detail and not exchange.blind for exchange in exchanges)
        opening, visual = len(self.opening), (self.frame_tokens + self.detail_tokens * crop) * sees
        tokens = [_Token(each, position=i) for i, each in enumerate(self.opening)]
        for place in range(visual):
            segment = 0 if place < self.frame_tokens else -1
            tokens.append(_Token(self.end, place, segment=segment, position=opening + place))
        piece = _Piece(photo, tokens)
        base = opening + self.frame_tokens * sees
        for number, exchange in enumerate(exchanges, start=1):
            start = opening if exchange.blind else base + self.detail_tokens * exchange.detail
            code = 1000 + number if exchange.blind else 2 * number + (not exchange.detail)
            self._add(piece, exchange, code, start)
        return piece

    def _add(self, piece: _Piece, exchange: Exchange, segment: int, start: int) -> None:
        """Put an exchange behind a piece, its first token at position ``start``; a long answer is cut."""
        asked, text = self.question(exchange.question), exchange.kind == "text"
        prompt = self.tokens(exchange.prompt) if exchange.prompt else []
        answer = self.tokens(exchange.answer) if text else []
        answer += [self.end] if exchange.ended and (answer or prompt) else []
        amount = exchange.kind == "suggest" and exchange.remedy is not None
        extra = len(asked) + len(prompt) + max(len(answer) - 1, 0) + int(amount)
        room = self.length - len(piece.tokens)
        if room < extra:
            if not text or room < len(asked) + len(prompt) + 8:
                return
            answer = answer[: room - len(asked) - len(prompt) + 1]
        first = len(piece.tokens)
        ids = [*asked, *prompt, *answer[:-1]] if text else list(asked)
        labels = [IGNORED] * len(ids)
        if text:
            begin = len(asked) + len(prompt) - 1
            labels[begin : begin + len(answer)] = answer
        for i, (each, label) in enumerate(zip(ids, labels, strict=True)):
            weight = exchange.weight if label != IGNORED else 0.0
            piece.tokens.append(_Token(each, -1, -1, segment, start + i, label, weight))
        if amount:
            piece.tokens.append(_Token(self.end, -1, int(exchange.remedy or 0), segment, start + len(ids)))
        if not text:
            piece.reads.append((exchange.kind, first + len(asked) - 1, exchange))
            if amount:
                piece.reads.append(("amount", first + len(asked), exchange))

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
        owner, segment = torch.full(shape, -1), torch.full(shape, -9)
        columns = rows.ids, rows.place, rows.remedy, segment, rows.positions, rows.labels, rows.weights
        for row, pieces in enumerate(bins):
            start = 0
            for number, piece in enumerate(pieces):
                stop = start + len(piece.tokens)
                for column, values in zip(columns, zip(*piece.tokens, strict=True), strict=True):
                    column[row, start:stop] = torch.tensor(values)
                rows.photo[row, start:stop] = torch.where(rows.place[row, start:stop] >= 0, piece.photo, -1)
                owner[row, start:stop] = number
                for kind, column_of, exchange in piece.reads:
                    rows.reads.setdefault(kind, []).append((row, start + column_of))
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


def spoken_score(score: float) -> str:
    """A score as the line states it: one decimal, 1.0 to 9.9, so that it always has as many tokens."""
    return f"{min(max(score, 1.0), 9.9):.1f}"


def line_start(score: float, faults: Sequence[tuple[str, str]]) -> str:
    """How an observation line begins: with score and faults as they were read, so that a comment agrees with the score
    and the suggestions.

    Args:
        faults: (fault, strength) with words of :data:`calm.edits.words.FAULTS` and ``DEGREES``, the surest first.
    """
    return f"Score: {spoken_score(score)}. Faults: {listed(faults[:MOST_FAULTS]) or NO_FAULTS}. "


def listed(faults: Sequence[tuple[str, str]]) -> str:
    """Faults as a line lists them: "noisy (clear), tilted to the left"."""
    return ", ".join(f"{fault} ({degree})" if degree else fault for fault, degree in faults)


def embed(model: Network, packed: PackedRows, seen: VisualTokens) -> Tensor:
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
