"""Instruction sets in LLaVA's layout or as messages: two published ones, and any file of one's own.

Layouts, from haotian-liu/LLaVA (docs/Data.md) and InternLM/InternLM-XComposer (projects/ShareGPT4V/docs/Data.md)::

    laion-cc-sbu-558k:  blip_laion_cc_sbu_558k.json, and below images/ or beside it 00453/004539375.jpg …
    sharegpt4v:         sharegpt4v/sharegpt4v_instruct_gpt4-vision_cap100k.json, coco/train2017/…, sam/images/…, …
    sharegpt4v-pt:      sharegpt4v/share-captioner_coco_lcs_sam_1246k_1107.json, the same folders

All three have captions for answers, and train alone. ``llava`` and ``messages`` read any other file; see
:mod:`calm.data.conversations` for the two layouts.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from calm.data.conversations import llava_rows, message_rows
from calm.data.record import Record
from calm.data.tables import TableSet
from calm.errors import DataError

LLAVA = "LLaVA's layout: haotian-liu/LLaVA, docs/Data.md"
SHAREGPT4V = "https://huggingface.co/datasets/Lin-Chen/ShareGPT4V (photos: docs/Data.md of ShareGPT4Omni/ShareGPT4V)"
RESEARCH = "CC BY-NC 4.0, research only; the photos as their own sets say"


class Alignment(TableSet):
    """A published file whose answers are captions."""

    def rows(self, root: Path) -> Iterator[Record]:
        """Records in the file's order."""
        return llava_rows(self.at(root, *self.needs[0]), split="train", captions=True)


class LaionCcSbu(Alignment):
    """LLaVA's alignment set: photos of LAION, CC3M and SBU with BLIP's captions."""

    name = "laion-cc-sbu-558k"
    summary = "photos of the web with captions by BLIP, LLaVA's alignment set"
    licence = "as CC-3M's terms, and BLIP's for the captions"
    source = "https://huggingface.co/datasets/liuhaotian/LLaVA-Pretrain"
    published = {"train": 558128}
    needs = (("blip_laion_cc_sbu_558k.json",),)
    folders = ("images", ".")


class ShareGpt4v(Alignment):
    """Long captions by GPT-4V (Chen et al., 2023)."""

    name = "sharegpt4v"
    summary = "long captions by GPT-4V"
    licence = RESEARCH
    source = SHAREGPT4V
    published = {"train": 102025}
    needs = (
        ("sharegpt4v/sharegpt4v_instruct_gpt4-vision_cap100k.json", "sharegpt4v_instruct_gpt4-vision_cap100k.json"),
    )


class ShareGpt4vPretrain(Alignment):
    """Long captions by ShareCaptioner (Chen et al., 2023)."""

    name = "sharegpt4v-pt"
    summary = "long captions by ShareCaptioner, which learnt from GPT-4V's"
    licence = RESEARCH
    source = SHAREGPT4V
    published = {"train": 1246901}
    needs = (
        ("sharegpt4v/share-captioner_coco_lcs_sam_1246k_1107.json", "share-captioner_coco_lcs_sam_1246k_1107.json"),
    )


class Instructions(TableSet):
    """Any file of conversations.

    Args:
        table: the file; None for the only one of its kind in the folder.
    """

    ending: ClassVar[str]
    folders = (".", "images")

    def __init__(self, table: str | Path | None = None) -> None:
        self.table = table

    def check(self, root: str | Path) -> None:
        """Raise a one-line :class:`DataError` unless the file can be told."""
        self._file(Path(root))

    def _file(self, root: Path) -> Path:
        found = [Path(self.table)] if self.table else sorted(root.glob(f"*{self.ending}"))
        if len(found) != 1 or not found[0].exists():
            names = ", ".join(path.name for path in found[:4]) or "none"
            raise DataError(
                f"{self.name}: expected one file *{self.ending} in {root}, found {names}; "
                f"{self.source} ({self.licence})"
            )
        return found[0]


class Llava(Instructions):
    """A JSON list in LLaVA's layout, photos relative to the folder or to its ``images``."""

    name = "llava"
    summary = "any JSON file of conversations in LLaVA's layout"
    licence = "the owner's"
    source = LLAVA
    ending = ".json"

    def rows(self, root: Path) -> Iterator[Record]:
        """Records in the file's order."""
        return llava_rows(self._file(root))


class Messages(Instructions):
    """A file with one ``{"messages", "images"}`` a line, photos relative to the folder or to its ``images``."""

    name = "messages"
    summary = "any JSONL file of conversations as messages and images"
    licence = "the owner's"
    source = "lines of messages and images, as chat templates take them"
    ending = ".jsonl"

    def rows(self, root: Path) -> Iterator[Record]:
        """Records in the file's order."""
        return message_rows(self._file(root))
