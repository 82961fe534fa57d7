"""WebDataset shards: tar files in which the files of a sample stand one after another under one name.

``000123.jpg``, ``000123.json`` and ``000123.txt`` are one sample; its key is the path up to the first dot of the file's
name, as the format has it (webdataset/webdataset, README and FAQ). Shards are read from begin to end, one sample in
memory at a time; what cannot be read is reported and left out.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
import tarfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import IO, Any, cast

from PIL import Image

from calm.data.record import PHOTO_SUFFIXES
from calm.errors import DataError

logger = logging.getLogger(__name__)

ENDINGS = (".tar", ".tar.gz", ".tgz")
UNREADABLE = (tarfile.TarError, EOFError, OSError, zlib.error)
KEPT = 64
"""Shards whose contents are remembered."""
PHOTO_ENDINGS = frozenset(suffix.removeprefix(".") for suffix in PHOTO_SUFFIXES)


@dataclass(frozen=True)
class Sample:
    """The files of one sample.

    Attributes:
        key: path in the shard without endings.
        shard: the tar file.
        photo: bytes of its photo, and ``ending`` what the photo's name ends in, without the dot.
        files: bytes of the other files by their endings, such as ``json``, ``txt`` or ``seg.png``.
    """

    key: str
    shard: str
    photo: bytes
    ending: str
    files: Mapping[str, bytes] = field(default_factory=dict)

    def json(self) -> dict[str, Any]:
        """What ``json`` holds; empty without one. Raises :class:`DataError` when it is no JSON object."""
        if "json" not in self.files:
            return {}
        try:
            value = json.loads(self.files["json"])
        except ValueError as error:
            raise DataError(
                f"expected JSON in {self.key}.json of {self.shard}, found: {error}; write it anew"
            ) from error
        if not isinstance(value, dict):
            raise DataError(f"expected a JSON object in {self.key}.json of {self.shard}, found {type(value).__name__}")
        return value

    def text(self) -> str:
        """What ``txt`` (or ``caption``) holds; "" without one."""
        return self.files.get("txt", self.files.get("caption", b"")).decode("utf-8", "replace").strip()


def find_shards(path: str | Path) -> list[str]:
    """The tar files at or below ``path``, sorted. Raises :class:`DataError` when there is none."""
    place = Path(path)
    found = [place] if place.is_file() else sorted(each for each in place.rglob("*") if each.name.endswith(ENDINGS))
    if not found:
        raise DataError(f"expected shards ({', '.join(ENDINGS)}) at {path}, found none; check the path")
    return [str(each) for each in found]


def read_shard(shard: str | Path, report: Callable[[str], None] = logger.warning) -> Iterator[Sample]:
    """Samples of one shard, from begin to end. A shard that breaks off gives what stands before the break."""
    done = 0
    try:
        with open(shard, "rb") as stream, tarfile.open(fileobj=stream, mode="r|*") as archive:
            for key, members in _grouped(_contents(archive)):
                sample = _sample(key, str(shard), members, report)
                if sample is not None:
                    done += 1
                    yield sample
    except UNREADABLE as error:
        report(f"{shard}: broken after {done} samples ({error}); the rest of it is left out")


def read_member(shard: str | Path, member: str) -> bytes:
    """One file of a shard. Raises :class:`DataError` when it is not there or broken.

    Where the files of a shard stand is remembered, so that each is one look; a compressed shard is read from its begin.
    """
    try:
        places = _places(str(shard), os.stat(shard).st_mtime_ns)
        if places:
            offset, size = places[member]
            with open(shard, "rb") as stream:
                stream.seek(offset)
                data = stream.read(size)
            if len(data) < size:
                raise EOFError(f"{len(data)} of {size} bytes")
            return data
        with tarfile.open(shard) as archive:
            return cast(IO[bytes], archive.extractfile(member)).read()
    except (*UNREADABLE, KeyError, AttributeError) as error:
        raise DataError(f"expected {member} in {shard}, found: {error}; fetch the shard again") from error


@lru_cache(maxsize=KEPT)
def _places(shard: str, stamp: int) -> dict[str, tuple[int, int]]:
    """Offset and size of each file of an uncompressed shard, as far as it can be read; empty for a compressed one."""
    found: dict[str, tuple[int, int]] = {}
    with contextlib.suppress(*UNREADABLE), tarfile.open(shard, "r:") as archive:
        for member in archive:
            found[member.name] = member.offset_data, member.size
    return found


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


def _grouped(contents: Iterator[tuple[str, str, bytes]]) -> Iterator[tuple[str, dict[str, bytes]]]:
    """Files of the same key that stand one after another."""
    current: str | None = None
    files: dict[str, bytes] = {}
    for key, ending, data in contents:
        if current is not None and (key != current or ending in files):
            yield current, files
            files = {}
        current = key
        files[ending] = data
    if current is not None:
        yield current, files


def _sample(key: str, shard: str, files: dict[str, bytes], report: Callable[[str], None]) -> Sample | None:
    photos = [ending for ending in files if ending in PHOTO_ENDINGS]
    if len(photos) != 1:
        report(f"{shard}: {key} has {len(photos)} photos for one; it is left out")
        return None
    photo = files[photos[0]]
    sample = Sample(key, shard, photo, photos[0], {end: data for end, data in files.items() if end != photos[0]})
    try:
        sample.json()
        if photos[0] not in ("heic", "heif"):  # Pillow alone does not know these
            Image.open(io.BytesIO(photo)).close()
    except (OSError, ValueError, SyntaxError, DataError) as error:
        report(f"{shard}: {key} is broken ({' '.join(str(error).split())}); it is left out")
        return None
    return sample
