"""WebDataset shards as a data set: tar files of photos with ``txt``, ``json`` or both beside each.

Layout::

    train-000000.tar …              below the folder; the names of shards or their folders may begin with a split
        000123.jpg
        000123.txt                  a caption
        000123.json                 {"caption" or "text", "score", "comments": [...]}

Records are made for check, show and evaluation: they hold texts, not photos.
"""

from __future__ import annotations

from pathlib import Path

from calm.data.record import DataSet, Record, Split, to_ten
from calm.data.shards import Sample, find_shards, read_member, read_shard
from calm.errors import DataError

MARK = "::"
"""Between shard and member in a record's path."""
SPLITS: dict[str, Split] = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "validation": "validation",
    "test": "test",
}


class WebDataset(DataSet):
    """Reader of shards; see the module for their layout.

    Args:
        scale: lowest and highest score of the ``json`` files, mapped to 1–10 linearly.
    """

    name = "webdataset"
    summary = "any folder of WebDataset shards"
    licence = "the owner's"
    source = "tar files as webdataset/webdataset describes them"

    def __init__(self, scale: tuple[float, float] = (1.0, 10.0)) -> None:
        self.scale = scale

    def check(self, root: str | Path) -> None:
        """Raise a one-line :class:`DataError` unless there are shards."""
        try:
            find_shards(root)
        except DataError as error:
            raise DataError(f"{self.name}: {error}; {self.source} ({self.licence})") from error

    def records(self, root: str | Path, split: Split | None = None) -> list[Record]:
        """A record a sample, in order of shard; ``path`` is shard, ``::`` and member. Broken ones are in the log."""
        self.check(root)
        found = []
        for shard in find_shards(root):
            part = _split(Path(shard).relative_to(root) if Path(root).is_dir() else Path(Path(shard).name))
            found += [self._record(each, part) for each in read_shard(shard)]
        return self.choose(found, split)

    def photo_bytes(self, record: Record) -> bytes:
        """The photo's file, out of its shard."""
        shard, _, member = record.path.rpartition(MARK)
        return read_member(shard, member)

    def _record(self, sample: Sample, split: Split | None) -> Record:
        about = sample.json()
        low, high = self.scale
        try:
            score = None if about.get("score") is None else float(about["score"])
            if score is not None and not low <= score <= high:
                raise ValueError(f"a score of {score:g} outside of {low:g}–{high:g}")
        except (TypeError, ValueError) as error:
            raise DataError(
                f"expected a score of {low:g}–{high:g} in {sample.key}.json of {sample.shard}, found "
                f"{error}; give the scale of the scores"
            ) from error
        caption = sample.text() or str(about.get("caption") or about.get("text") or "").strip()
        return Record(
            f"{sample.shard}{MARK}{sample.key}.{sample.ending}",
            None if score is None else to_ten(score, low, high),
            captions=(caption,) if caption else (),
            comments=tuple(str(text) for text in about.get("comments") or ()),
            split=split,
        )


def _split(place: Path) -> Split | None:
    """Split that a part of the shard's path begins with, such as ``val-000.tar`` or ``test/0.tar``."""
    for part in place.parts:
        words = part.replace("_", "-").replace(".", "-").lower().split("-")
        if words[0] in SPLITS:
            return SPLITS[words[0]]
    return None
