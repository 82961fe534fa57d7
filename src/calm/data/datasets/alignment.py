"""Image–text pairs made for alignment: one photo and one conversation a row, whose answers are captions.

Layouts, from haotian-liu/LLaVA (docs/Data.md) and InternLM/InternLM-XComposer (projects/ShareGPT4V/docs/Data.md)::

    laion-cc-sbu-558k:  blip_laion_cc_sbu_558k.json, and below images/ or beside it 00453/004539375.jpg …
    sharegpt4v:         sharegpt4v/sharegpt4v_instruct_gpt4-vision_cap100k.json, coco/train2017/…, sam/images/…, …
    sharegpt4v-pt:      sharegpt4v/share-captioner_coco_lcs_sam_1246k_1107.json, the same folders

Each is a JSON list of ``{"id", "image", "conversations": [{"from": "human" | "gpt", "value"}, …]}``.
"""

from collections.abc import Iterator
from pathlib import Path

from calm.data.record import Record
from calm.data.tables import TableSet, read_json
from calm.errors import DataError


class Alignment(TableSet):
    """A published file whose answers are captions."""

    def rows(self, root: Path) -> Iterator[Record]:
        """Records in the file's order."""
        path = self.at(root, *self.needs[0])
        for place, row in enumerate(read_json(path, list), 1):
            try:
                captions = [str(turn["value"]).strip() for turn in row["conversations"] if turn["from"] == "gpt"]
                yield Record(row["image"], captions=tuple(captions), split="train")
            except (KeyError, TypeError) as error:
                raise DataError(
                    f"expected a photo and a conversation in row {place} of {path}, found: {error}; give the file as "
                    "published"
                ) from error


class LaionCcSbu(Alignment):
    """LLaVA's alignment set: photos of LAION, CC3M and SBU with BLIP's captions."""

    name = "laion-cc-sbu-558k"
    needs = (("blip_laion_cc_sbu_558k.json",),)
    folders = ("images", ".")


class ShareGpt4v(Alignment):
    """Long captions by GPT-4V (Chen et al., 2023)."""

    name = "sharegpt4v"
    needs = (
        ("sharegpt4v/sharegpt4v_instruct_gpt4-vision_cap100k.json", "sharegpt4v_instruct_gpt4-vision_cap100k.json"),
    )


class ShareGpt4vPretrain(Alignment):
    """Long captions by ShareCaptioner (Chen et al., 2023)."""

    name = "sharegpt4v-pt"
    needs = (
        ("sharegpt4v/share-captioner_coco_lcs_sam_1246k_1107.json", "share-captioner_coco_lcs_sam_1246k_1107.json"),
    )
