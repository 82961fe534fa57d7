"""Instruct: what people, or models asked by people, said about a photo, as it was published.

Generic image–text pairs teach the thematic branch (stage G: LAION-CC-SBU-558K, ShareGPT4V); people's comments on
photos teach comments (stage C: AVA-Captions, PCCD, DPC-Captions). Photos are read as pixels: such sets are too large to
keep encoded.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from calm.data.hashes import hash_files
from calm.data.rated import read_whole
from calm.data.record import Record, Turn, dataset
from calm.data.sample import Sample
from calm.errors import DataError
from calm.tasks.base import Context, Task
from calm.words.questions import QUESTIONS


class InstructTask(Task):
    """Photos with a conversation, or comments, or captions: the first of these that a photo has.

    Args:
        source: a data set by name.
        folder: its folder below the data root, its name if empty.
        apart: a data set whose test photos are left out, by the name of their file: AVA-Captions has photos of AVA's
            test.
        limit: photos at most; 0 for all.

    Raises:
        DataError: when no photo of the split has any words.
    """

    name = "instruct"

    def __init__(
        self, context: Context, source: str, folder: str = "", apart: str = "", split: str = "train", limit: int = 0
    ) -> None:
        super().__init__(context)
        records = dataset(source).records(context.root / (folder or source))
        held = dataset(apart).records(context.root / apart, "test") if apart else []
        kept = {Path(record.path).stem for record in held}
        mine = [r for r in records if (r.split or "train") == split and Path(r.path).stem not in kept]
        said = [r for r in mine if exchanges(r.turns) or r.comments or r.captions]
        if not said:
            raise DataError(
                f"expected photos with words in {source}'s split {split!r}, found none among {len(records)}; "
                "name a set that has conversations, comments or captions"
            )
        self.records = said[: limit or None]

    def hashes(self) -> set[str]:
        paths = [record.path for record in self.records]
        return set(hash_files(paths, label=str(self.context.root)).values())

    def __len__(self) -> int:
        return len(self.records)

    def sample(self, index: int, rng: np.random.Generator) -> Sample:
        record = self.records[index]
        question, answer = exchange(record, rng)
        whole = read_whole(record.path, self.context.config.image_size)
        return Sample(views=whole[None], question=question, answer=answer)


def exchange(record: Record, rng: np.random.Generator) -> tuple[str, str]:
    """One question and its answer; where people only commented or described, the question is one of ours."""
    asked = exchanges(record.turns)
    if asked:
        return asked[int(rng.integers(len(asked)))]
    kind, said = ("comment", record.comments) if record.comments else ("describe", record.captions)
    return str(rng.choice(QUESTIONS[kind])), said[int(rng.integers(len(said)))].strip()


def exchanges(turns: tuple[Turn, ...]) -> list[tuple[str, str]]:
    """Pairs of a user's turn and the assistant's answer to it; each is learnt without those before it."""
    pairs = zip(turns, turns[1:], strict=False)
    return [
        (first.text.strip(), second.text.strip())
        for first, second in pairs
        if first.role == "user" and second.role == "assistant" and second.text.strip()
    ]
