"""Instruction sets: conversations about photos, in LLaVA's layout or as ``messages``.

LLaVA's layout (haotian-liu/LLaVA, docs/Finetune_Custom_Data.md and llava/train/train.py) is a JSON list of
``{"id", "image", "conversations": [{"from": "human" | "gpt", "value"}, …]}``, ``<image>`` standing where the photo
does. The other layout, which chat templates take, is a line of JSON for each conversation:
``{"messages": [{"role", "content"}, …], "images": [path, …]}``.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from calm.data.record import Record, Split, Turn
from calm.data.tables import read_json
from calm.errors import DataError

logger = logging.getLogger(__name__)

ROLES = {"human": "user", "user": "user", "gpt": "assistant", "assistant": "assistant", "system": "system"}


def llava_rows(path: Path, *, split: Split | None = None, captions: bool = False) -> Iterator[Record]:
    """A record for each conversation about one photo. Those about none or several are left out, and counted in the log.

    Args:
        captions: whether an answer says what the photo shows, as in sets made for alignment: it becomes a caption.

    Raises:
        DataError: for a file of another layout.
    """
    rows = read_json(path, list)
    yield from _photos(((f"row {i}", *_llava(row)) for i, row in enumerate(rows, 1)), path, split, captions)


def message_rows(path: Path, *, split: Split | None = None) -> Iterator[Record]:
    """As :func:`llava_rows`, of a file with one JSON object a line; the file is read line by line."""
    yield from _photos(_lines(path), path, split, captions=False)


def turns_of(rows: object) -> tuple[Turn, ...]:
    """Turns of a list in either layout, without image placeholders. Raises :class:`ValueError`."""
    if not isinstance(rows, list):
        raise ValueError("no list of turns")
    turns = []
    for row in rows:
        if not isinstance(row, Mapping):
            raise ValueError(f"a turn that is {type(row).__name__}")
        role = ROLES.get(str(row.get("from", row.get("role"))))
        if role is None:
            raise ValueError(f"a turn of {row.get('from', row.get('role'))!r}")
        turns.append(Turn(role, _text(row.get("value", row.get("content")))))
    return tuple(turns)


Parsed = tuple[str, list[str], tuple[Turn, ...] | str]
"""Place in the file, names of the photos, and the turns or what is wrong with them."""


def _llava(row: object) -> tuple[list[str], tuple[Turn, ...] | str]:
    """Photos and turns of one row, or what is wrong with it."""
    if not isinstance(row, Mapping):
        return [], f"found {type(row).__name__}"
    try:
        return _names(row.get("image")), turns_of(row.get("conversations"))
    except ValueError as error:
        return [], f"found {error}"


def _lines(path: Path) -> Iterator[Parsed]:
    try:
        with open(path, encoding="utf-8") as stream:
            for place, line in enumerate(stream, 1):
                if not line.strip():
                    continue
                try:
                    row = json.loads(line)
                    yield f"line {place}", _names(row.get("images", row.get("image"))), turns_of(row["messages"])
                except (ValueError, KeyError, AttributeError) as error:
                    yield f"line {place}", [], f"found: {error}"
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"expected a readable file at {path}, found: {error}; check the file") from error


def _photos(rows: Iterable[Parsed], path: Path, split: Split | None, captions: bool) -> Iterator[Record]:
    left_out = 0
    for place, photos, turns in rows:
        if isinstance(turns, str):
            raise DataError(f"expected a conversation in {place} of {path}, {turns}; give the file as published")
        if len(photos) != 1:
            left_out += 1
            continue
        answers = tuple(turn.text for turn in turns if turn.role == "assistant") if captions else ()
        yield Record(photos[0], captions=answers, turns=turns, split=split)
    if left_out:
        logger.warning("%s: %d conversations about no photo or several are left out", path, left_out)


def _names(value: object) -> list[str]:
    """Names of photos: a string, a list of strings or of ``{"path"}``, or nothing."""
    if value is None or value == "":
        return []
    rows = value if isinstance(value, list) else [value]
    return [str(row.get("path", row.get("image", ""))) if isinstance(row, Mapping) else str(row) for row in rows]


def _text(value: Any) -> str:  # noqa: ANN401 - a string or a list of parts
    """Text of a turn's content, its image placeholders taken out."""
    if isinstance(value, list):
        value = " ".join(str(part.get("text", "")) for part in value if isinstance(part, Mapping))
    return str(value or "").replace("<image>", "").strip()
