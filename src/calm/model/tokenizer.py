"""Text → token ids and back, by the ``tokenizer.json`` of a language model's folder."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


class Tokenizer:
    """What this project asks of a tokenizer, by the names of transformers' class and with its numbers, without
    importing it.

    Args:
        folder: has ``tokenizer.json`` and ``tokenizer_config.json``. Raises OSError, KeyError or ValueError where those
            are missing or damaged.
    """

    def __init__(self, folder: Path) -> None:
        from tokenizers import Tokenizer as Core

        settings = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
        end = settings["eos_token"]
        self.core = Core.from_str((folder / "tokenizer.json").read_text(encoding="utf-8"))
        self.eos_token: str = end["content"] if isinstance(end, dict) else end
        found = self.core.token_to_id(self.eos_token)
        if found is None:
            raise ValueError(f"no token {self.eos_token!r}, which ends texts")
        self.eos_token_id: int = found

    def encode(self, text: str, add_special_tokens: bool = True) -> list[int]:
        """Token ids of a text."""
        return self.core.encode(text, add_special_tokens=add_special_tokens).ids

    def batch_decode(self, rows: Tensor | Sequence[Sequence[int]], skip_special_tokens: bool = False) -> list[str]:
        """Texts of rows of ids, (B, T)."""
        ids = [[int(each) for each in row] for row in rows]
        return self.core.decode_batch(ids, skip_special_tokens=skip_special_tokens)
