"""WebDataset shards as a data set: tar files in which the files of a sample stand one after another under one name.

Layout::

    train-000000.tar …              below the folder; the names of shards or their folders may begin with a split
        000123.jpg
        000123.txt                  a caption
        000123.json                 {"caption" or "text", "score", "comments": [...]}

A sample's key is the path up to the first dot of the file's name, as the format has it (webdataset/webdataset, README
and FAQ). Shards are read from begin to end, one sample in memory at a time; what cannot be read is reported and left
out. Records hold texts, not photos.
"""

import contextlib
import io
import itertools
import json
import logging
import os
import tarfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import IO, Any, cast

from PIL import Image

from calm.data.record import PHOTO_SUFFIXES, DataSet, Record, Split, to_ten
from calm.errors import DataError

logger = logging.getLogger(__name__)

ENDINGS = (".tar", ".tar.gz", ".tgz")
UNREADABLE = (tarfile.TarError, EOFError, OSError, zlib.error)
MARK = "::"
"""Between shard and member in a record's path."""
SPLITS: dict[str, Split] = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "validation": "validation",
    "test": "test",
}


@dataclass(frozen=True)
class Sample:
    """The files of one sample.

    Attributes:
        key: path in the shard without endings.
        photo: bytes of its photo, and ``ending`` what the photo's name ends in, without the dot.
        about: the object in ``json``; empty without it.
        text: what stands in ``txt`` (or ``caption``); "" without it.
    """

    key: str
    photo: bytes
    ending: str
    about: dict[str, Any] = field(default_factory=dict)
    text: str = ""


class WebDataset(DataSet):
    """Reader of shards; see the module for their layout.

    Args:
        scale: lowest and highest score of the ``json`` files, mapped to 1–10 linearly.
    """

    name = "webdataset"

    def __init__(self, scale: tuple[float, float] = (1.0, 10.0)) -> None:
        self.scale = scale

    def check(self, root: str | Path) -> None:
        """Raise a one-line :class:`DataError` unless there are shards."""
        if not find_shards(root):
            raise self.lacking(f"shards ({', '.join(ENDINGS)})", root)

    def rows(self, root: Path) -> Iterator[Record]:
        """A record a sample, in order of shard; ``path`` is shard, ``::`` and member. Broken ones are in the log."""
        for shard in find_shards(root):
            part = _split(shard.relative_to(root) if root.is_dir() else Path(shard.name))
            yield from (self._record(shard, each, part) for each in read_shard(shard))

    def photo_bytes(self, record: Record) -> bytes:
        """The photo's file, out of its shard."""
        shard, _, member = record.path.rpartition(MARK)
        try:
            place = _members(shard, os.stat(shard).st_mtime_ns)[member]
            with tarfile.open(shard) as archive:
                stream = cast(IO[bytes], archive.fileobj)
                stream.seek(place.offset_data)
                data = stream.read(place.size)
            if len(data) < place.size:
                raise EOFError(f"{len(data)} of {place.size} bytes")
            return data
        except (*UNREADABLE, KeyError) as error:
            raise DataError(f"expected {member} in {shard}, found: {error}; fetch the shard again") from error

    def _record(self, shard: Path, sample: Sample, split: Split | None) -> Record:
        about, (low, high) = sample.about, self.scale
        try:
            score = None if about.get("score") is None else float(about["score"])
            if score is not None and not low <= score <= high:
                raise ValueError(f"a score of {score:g} outside of {low:g}–{high:g}")
        except (TypeError, ValueError) as error:
            raise DataError(
                f"expected a score of {low:g}–{high:g} in {sample.key}.json of {shard}, found {error}; give the scale "
                "of the scores"
            ) from error
        caption = sample.text or str(about.get("caption") or about.get("text") or "").strip()
        return Record(
            f"{shard}{MARK}{sample.key}.{sample.ending}",
            None if score is None else to_ten(score, low, high),
            captions=(caption,) if caption else (),
            comments=tuple(str(text) for text in about.get("comments") or ()),
            split=split,
        )


def find_shards(path: str | Path) -> list[Path]:
    """The tar files at or below ``path``, sorted."""
    place = Path(path)
    return [place] if place.is_file() else sorted(each for each in place.rglob("*") if each.name.endswith(ENDINGS))


def read_shard(shard: str | Path, report: Callable[[str], None] = logger.warning) -> Iterator[Sample]:
    """Samples of one shard, from begin to end. A shard that breaks off gives what stands before the break."""
    done = 0
    try:
        with open(shard, "rb") as stream, tarfile.open(fileobj=stream, mode="r|*") as archive:
            for key, members in itertools.groupby(_contents(archive), key=lambda member: member[0]):
                try:
                    yield _sample(key, {ending: data for _, ending, data in members})
                    done += 1
                except DataError as error:
                    report(f"{shard}: {error}; it is left out")
    except UNREADABLE as error:
        report(f"{shard}: broken after {done} samples ({error}); the rest of it is left out")


def _contents(archive: tarfile.TarFile) -> Iterator[tuple[str, str, bytes]]:
    """Key, ending and bytes of each file. Raises :class:`EOFError` for one that is cut short."""
    for member in archive:
        folder, _, name = member.name.rpartition("/")
        stem, _, ending = name.partition(".")
        if not member.isfile() or not stem:
            continue
        data = cast(IO[bytes], archive.extractfile(member)).read()
        if len(data) < member.size:
            raise EOFError(f"{member.name} has {len(data)} of {member.size} bytes")
        yield f"{folder}/{stem}" if folder else stem, ending.lower() if ending.isupper() else ending, data


def _sample(key: str, files: dict[str, bytes]) -> Sample:
    """A sample from its files by their endings. Raises :class:`DataError` where it is broken or has not one photo."""
    photos = [ending for ending in files if f".{ending}" in PHOTO_SUFFIXES]
    if len(photos) != 1:
        raise DataError(f"{key} has {len(photos)} photos for one")
    photo = files[photos[0]]
    try:
        about = json.loads(files.get("json", b"{}"))
        if not isinstance(about, dict):
            raise ValueError(f"{key}.json holds a {type(about).__name__} for an object")
        if photos[0] not in ("heic", "heif"):  # Pillow alone does not know these
            Image.open(io.BytesIO(photo)).close()
    except (OSError, ValueError, SyntaxError) as error:
        raise DataError(f"{key} is broken ({' '.join(str(error).split())})") from error
    text = files.get("txt", files.get("caption", b"")).decode("utf-8", "replace").strip()
    return Sample(key, photo, photos[0], about, text)


@lru_cache(maxsize=64)
def _members(shard: str, stamp: int) -> dict[str, tarfile.TarInfo]:
    """Where the files of a shard stand, as far as it can be read; ``stamp``: its time of change."""
    found: dict[str, tarfile.TarInfo] = {}
    with contextlib.suppress(*UNREADABLE), tarfile.open(shard) as archive:
        for member in archive:
            found[member.name] = member
    return found


def _split(place: Path) -> Split | None:
    """Split that a part of the shard's path begins with, such as ``val-000.tar`` or ``test/0.tar``."""
    for part in place.parts:
        words = part.replace("_", "-").replace(".", "-").lower().split("-")
        if words[0] in SPLITS:
            return SPLITS[words[0]]
    return None
