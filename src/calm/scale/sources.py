"""Photos of a large run, wherever they stand, divided into partitions.

A partition is a list of names, some rows of a Parquet table, or a WebDataset shard. It can be read anew at any time, on
any machine, and gives the same photos in the same order.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import tarfile
import time
import zlib
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from typing import IO, Any, Literal, Self, cast

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq

from calm.data.datasets.webdataset import ENDINGS, MARK
from calm.data.find import listed, natural
from calm.data.images import MAX_BYTES, Photo, load_photo
from calm.data.raw import RAW_SUFFIXES
from calm.data.record import PHOTO_SUFFIXES
from calm.errors import PhotoError, UsageError

TABLE, LIST = ".parquet", ".txt"
NAMES = ("path", "url", "file", "file_name", "filename", "image")
"""Columns of a table that may name its photos, the likeliest first."""
TRIES = 3
"""Times that a read over the network is tried, with pauses of 1, 2, … seconds."""
AT_ONCE = 64
"""Rows of a table with photos that are in memory at once."""
BROKEN = (tarfile.TarError, EOFError, zlib.error, pa.ArrowInvalid)
"""What libraries raise at a damaged shard or table; at a failing network they raise :class:`OSError`."""


class Source(str):
    """The name of a photo, with its bytes where they do not stand in a file of that name, or why there are none."""

    data: bytes | None
    error: str | None

    def __new__(cls, name: str, data: bytes | None = None, error: str | None = None) -> Self:
        """Name, bytes and error."""
        self = super().__new__(cls, name)
        self.data, self.error = data, error
        return self


@dataclass(frozen=True)
class Part:
    """Photos that are answered together, and whose rows become one file.

    Attributes:
        names: of photos; or the one name of a shard or table.
        column: of a table, the one that holds or names its photos.
        start, stop: of a table, its rows from ``start`` up to but not including ``stop``.
    """

    number: int
    kind: Literal["names", "table", "shard"]
    names: tuple[str, ...]
    column: str = ""
    start: int = 0
    stop: int = 0

    def to_json(self) -> str:
        """The partition as text, in which any name has a place."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Part:
        """What :meth:`to_json` wrote."""
        given = json.loads(text)
        return cls(**given | {"names": tuple(given["names"])})


# ------------------------------------------------------------------------------------------------ dividing


def divide(names: Iterable[str], size: int, column: str | None = None) -> list[Part]:
    """Partitions of all photos behind names.

    Args:
        names: of photos, Parquet tables, tar files (one partition each) and lists (``.txt``, a name a line); or URLs of
            those, of folders, and with wildcards, as fsspec reads them.
        size: photos a partition, about; a table that holds photos is divided between its row groups.
        column: of tables, the one that holds or names photos; None where it can be told.

    Raises:
        UsageError: where a table, a list or a URL cannot be read, or there is no photo.
    """
    found = [each for name in names for each in _expand(name)]
    tables = [name for name in found if name.lower().endswith(TABLE)]
    shards = [name for name in found if name.lower().endswith(ENDINGS)]
    photos = [name for name in found if not name.lower().endswith((TABLE, *ENDINGS))]
    parts = [Part(0, "names", tuple(each)) for each in _batched(photos, size)]
    with ThreadPoolExecutor(16) as pool:
        parts += itertools.chain.from_iterable(pool.map(lambda name: _divide_table(name, size, column), tables))
    parts += [Part(0, "shard", (name,)) for name in shards]
    if not parts:
        raise UsageError("expected at least one photo, found none; name photos, tables, shards or a URL")
    return [replace(part, number=number) for number, part in enumerate(parts)]


def is_url(name: str) -> bool:
    """Whether a name is one for fsspec, such as ``s3://bucket/photos``."""
    return "://" in name


def open_file(name: str) -> contextlib.AbstractContextManager[IO[bytes]]:
    """A file or URL, opened for reading bytes. Raises :class:`OSError`."""
    return fsspec.open(name, "rb") if is_url(name) else open(name, "rb")


def _batched(names: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    for start in range(0, len(names), size):
        yield names[start : start + size]


def _expand(name: str) -> Iterator[str]:
    """The photos, tables and shards behind a name; itself for a file."""
    with _usage(name):
        if name.lower().endswith(LIST):
            with open_file(name) as stream:
                yield from list(listed(stream, "\n"))
        elif not is_url(name):
            yield name
        else:
            system, path = fsspec.core.url_to_fs(name)
            if "*" in name:
                found = system.glob(path)
            elif name.lower().endswith((TABLE, *ENDINGS)) or not system.isdir(path):
                found = [path]
            else:
                wanted = (*PHOTO_SUFFIXES, *RAW_SUFFIXES, TABLE, *ENDINGS)
                found = [each for each in system.find(path) if each.lower().endswith(wanted)]
            if not found:
                raise UsageError(f"expected photos, tables or shards at {name}, found none; check the URL")
            yield from sorted(map(system.unstrip_protocol, found), key=natural)


def _divide_table(name: str, size: int, wanted: str | None) -> list[Part]:
    with _usage(name), open_file(name) as stream:
        table = pq.ParquetFile(stream)
        column, held = _photo_column(name, table.schema_arrow, wanted)
        rows = table.metadata.num_rows
        ends: Iterable[int] = range(size, rows + size, size)
        if held:  # a row group is read from its begin, so that one with photos is not divided
            lengths = (table.metadata.row_group(i).num_rows for i in range(table.metadata.num_row_groups))
            ends = itertools.accumulate(lengths)
    parts, start = [], 0
    for end in ends:
        if end - start >= size or end >= rows > start:
            parts.append(Part(0, "table", (name,), column, start, min(end, rows)))
            start = end
    return parts


def _photo_column(table: str, schema: pa.Schema, wanted: str | None) -> tuple[str, bool]:
    """Name of the column, and whether photos are in it rather than their names."""
    holding = [each.name for each in schema if _holds_photos(each.type)]
    texts = [each.name for each in schema if pa.types.is_string(each.type) or pa.types.is_large_string(each.type)]
    likely = [wanted] if wanted else [*holding, *(name for name in NAMES if name in texts)]
    if not likely or likely[0] not in (*holding, *texts):
        raise UsageError(
            f"expected a column {wanted or 'of photos or their paths'} in {table}, found {', '.join(schema.names)}; "
            "name one with --column"
        )
    return likely[0], likely[0] in holding


def _holds_photos(kind: pa.DataType) -> bool:
    if pa.types.is_struct(kind):  # as Hugging Face's data sets have images: {bytes, path}
        return kind.get_field_index("bytes") >= 0
    return pa.types.is_binary(kind) or pa.types.is_large_binary(kind)


@contextlib.contextmanager
def _usage(name: str) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError, ImportError, *BROKEN) as error:  # ImportError: of a file system's own package
        raise UsageError(f"expected to read {name}, found: {error}; check the name, and that it is whole") from error


# ------------------------------------------------------------------------------------------------ reading


def read(part: Part) -> Iterator[Source]:
    """Photos of a partition, in order. Raises :class:`OSError` where a table or shard cannot be reached.

    A table or shard that is missing or breaks off gives one last photo that cannot be read, so that it is told.
    """
    if part.kind == "names":
        yield from map(Source, part.names)
        return
    (name,), done = part.names, 0
    try:
        with open_file(name) as stream:
            for each in _read_table(part, stream) if part.kind == "table" else _read_shard(name, stream):
                yield each
                done += 1
    except (FileNotFoundError, *BROKEN) as error:
        cause = " ".join(str(error).split())
        yield Source(name, error=f"expected a whole {part.kind} at {name}, found {done} photos in it, then: {cause}")


def _read_table(part: Part, stream: IO[bytes]) -> Iterator[Source]:
    table = pq.ParquetFile(stream)
    lengths = [table.metadata.row_group(i).num_rows for i in range(table.metadata.num_row_groups)]
    begins = [0, *itertools.accumulate(lengths)]
    groups = [i for i, begin in enumerate(begins[:-1]) if begin < part.stop and begins[i + 1] > part.start]
    row = begins[groups[0]]
    for batch in table.iter_batches(AT_ONCE, row_groups=groups, columns=[part.column]):
        for value in batch.column(part.column):
            if part.start <= row < part.stop:
                yield source_in(f"{part.names[0]}{MARK}{row}", value.as_py())
            row += 1


def source_in(row: str, value: str | bytes | dict[str, Any] | None) -> Source:
    """The photo in a cell of a table; ``row`` names it where the cell does not."""
    if isinstance(value, str):
        return Source(value)
    data = value["bytes"] if isinstance(value, dict) else value
    if data is None:
        return Source(row, error=f"expected a photo in {row}, found an empty cell; leave the row out")
    return Source(row, data)


def _read_shard(name: str, stream: IO[bytes]) -> Iterator[Source]:
    endings = (*PHOTO_SUFFIXES, *RAW_SUFFIXES)
    with tarfile.open(fileobj=stream, mode="r|*") as shard:
        for member in shard:
            if not member.isfile() or not member.name.lower().endswith(endings):
                continue
            photo = f"{name}{MARK}{member.name}"
            if member.size > MAX_BYTES:
                yield Source(photo, error=_too_large(photo))
                continue
            data = cast(IO[bytes], shard.extractfile(member)).read()
            if len(data) < member.size:
                raise EOFError(f"{member.name} has {len(data)} of {member.size} bytes")
            yield Source(photo, data)


def load(name: str, *, develop: bool = False) -> Photo:
    """Decode a photo of :func:`read`. Raises :class:`PhotoError`."""
    data, error = (name.data, name.error) if isinstance(name, Source) else (None, None)
    if error is not None:
        raise PhotoError(error)
    if data is None and is_url(name):
        data = _fetch(str(name))
    return load_photo(str(name), develop=develop, data=data)


def _fetch(url: str) -> bytes:
    for left in reversed(range(TRIES)):
        try:
            with open_file(url) as stream:
                data = stream.read(MAX_BYTES + 1)
            if len(data) > MAX_BYTES:
                raise PhotoError(_too_large(url))
            return data
        except (FileNotFoundError, PermissionError) as error:
            raise PhotoError(f"expected a photo at {url}, found none that may be read: {error}") from error
        except (OSError, ValueError, ImportError) as error:
            if not left:
                raise PhotoError(f"expected to read {url}, found {TRIES} times: {error}") from error
            time.sleep(TRIES - left)
    raise AssertionError("the last try returns or raises")


def _too_large(name: str) -> str:
    return f"expected at most {MAX_BYTES} bytes in {name}, found more; leave it out"
