"""Where rows go: a table to read, JSON lines, CSV or Parquet; to standard output or to a file.

A file is written under a hidden name beside its place and moved there when the run has ended well: it is complete or
absent.
"""

from __future__ import annotations

import csv
import io
import json
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any, Literal, Protocol, Self

from calm.errors import UsageError
from calm.table import Table
from calm.types import Row

if TYPE_CHECKING:
    import pyarrow

Format = Literal["table", "jsonl", "csv"]
TaskName = Literal["score", "comment", "suggest", "rank"]

ENDINGS = (".jsonl", ".csv", ".parquet")
COLUMNS = tuple(Row("").as_dict())
"""Columns that every row has, in the contract's order."""
TASK_COLUMNS: dict[TaskName, tuple[str, ...]] = {
    "score": (),
    "comment": ("comment", "aspects"),
    "suggest": ("suggestions",),
    "rank": ("rank",),
}
ROW_GROUP = 1024
"""Rows held back before they are written to a Parquet file."""


def columns(task: TaskName, more: Sequence[str] = ()) -> tuple[str, ...]:
    """All columns of a task's rows; ``more`` are those of an option (``applied`` with ``--apply``)."""
    return (*COLUMNS, *TASK_COLUMNS[task], *more)


class Writer(Protocol):
    """Writes rows in one format to one stream."""

    def write(self, row: Mapping[str, Any]) -> None: ...

    def finish(self) -> None: ...


class JsonlWriter:
    """One JSON object a line, UTF-8."""

    def __init__(self, stream: IO[str], names: Sequence[str]) -> None:
        self._stream, self._names = stream, names

    def write(self, row: Mapping[str, Any]) -> None:
        ordered = {name: row.get(name) for name in self._names}
        self._stream.write(json.dumps(ordered, ensure_ascii=False, allow_nan=False) + "\n")
        self._stream.flush()

    def finish(self) -> None:
        self._stream.flush()


class CsvWriter:
    """Comma-separated with a header; an empty cell is null, lists are JSON in their cell."""

    def __init__(self, stream: IO[str], names: Sequence[str]) -> None:
        self._stream = stream
        self._writer = csv.DictWriter(stream, names, lineterminator="\n")
        self._writer.writeheader()
        self._names = names

    def write(self, row: Mapping[str, Any]) -> None:
        self._writer.writerow({name: _cell(row.get(name)) for name in self._names})
        self._stream.flush()

    def finish(self) -> None:
        self._stream.flush()


class ParquetWriter:
    """Typed columns with lists and structs as such."""

    def __init__(self, stream: IO[bytes], names: Sequence[str]) -> None:
        import pyarrow.parquet

        self._schema = _schema(names)
        self._writer = pyarrow.parquet.ParquetWriter(stream, self._schema, compression="zstd")
        self._rows: list[dict[str, Any]] = []

    def write(self, row: Mapping[str, Any]) -> None:
        self._rows.append({name: _valid_text(row.get(name)) for name in self._schema.names})
        if len(self._rows) >= ROW_GROUP:
            self._flush()

    def finish(self) -> None:
        self._flush()
        self._writer.close()

    def _flush(self) -> None:
        import pyarrow

        if self._rows:
            self._writer.write_table(pyarrow.Table.from_pylist(self._rows, schema=self._schema))
            self._rows.clear()


class RankWriter:
    """Holds rows back and writes them best first, each with its ``rank`` from 1 on; failed ones come last, unranked.

    Args:
        writer: where they go in the end.
        top: only the best so many of those that did not fail; None for all.
    """

    def __init__(self, writer: Writer, top: int | None = None) -> None:
        self._writer, self._top = writer, top
        self._rows: list[Mapping[str, Any]] = []

    def write(self, row: Mapping[str, Any]) -> None:
        self._rows.append(row)

    def finish(self) -> None:
        scored = sorted((row for row in self._rows if row["score"] is not None), key=lambda row: -row["score"])
        for place, row in enumerate(scored[: self._top], 1):
            self._writer.write({**row, "rank": place})
        for row in self._rows:
            if row["score"] is None:
                self._writer.write({**row, "rank": None})
        self._writer.finish()


class Sink:
    """A context that takes rows.

    Attributes:
        streams: whether rows appear on standard output one by one.
        written: rows taken so far.
    """

    def __init__(self, writer: Writer, *, streams: bool = False) -> None:
        self._writer = writer
        self.streams = streams
        self.written = 0

    def rank(self, top: int | None = None) -> Self:
        """Has rows written best first, see :class:`RankWriter`; to be called before the first row."""
        self._writer = RankWriter(self._writer, top)
        self.streams = False
        return self

    def write(self, row: Mapping[str, Any]) -> None:
        """Takes one row, a mapping with the columns that the sink was opened for."""
        self._writer.write(row)
        self.written += 1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if not isinstance(error, BrokenPipeError):
            self._writer.finish()


class FileSink(Sink):
    """A sink whose file appears under its name only when the run has ended well."""

    def __init__(self, path: Path, names: Sequence[str], *, overwrite: bool = False) -> None:
        check_target(path, ENDINGS, overwrite=overwrite)
        self._path = path
        binary = path.suffix.lower() == ".parquet"
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".writing")
        self._scratch = Path(name)
        try:
            # mkstemp's file is private; a result should have the permissions of any other new file.
            umask = os.umask(0)
            os.umask(umask)
            os.chmod(name, 0o666 & ~umask)
            self._stream: IO[Any] = os.fdopen(handle, "wb") if binary else _text(os.fdopen(handle, "wb"))
            make = {".jsonl": JsonlWriter, ".csv": CsvWriter, ".parquet": ParquetWriter}[path.suffix.lower()]
            super().__init__(make(self._stream, names))
        except BaseException:
            self._scratch.unlink()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            self._writer.finish()
            self._stream.flush()
            os.fsync(self._stream.fileno())
            self._stream.close()
            if error is None:
                os.replace(self._scratch, self._path)
        finally:
            self._stream.close()
            self._scratch.unlink(missing_ok=True)


def open_sink(
    task: TaskName,
    format: Format | None = None,
    output: Path | None = None,
    *,
    overwrite: bool = False,
    more: Sequence[str] = (),
) -> Sink:
    """A sink for a task's rows: standard output in ``format`` (table when None), or the file ``output`` by its ending.

    Raises:
        UsageError: as :func:`check_choice`.
    """
    check_choice(format, output, overwrite=overwrite)
    names = columns(task, more)
    if output is not None:
        return FileSink(output, names, overwrite=overwrite)
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A name that is not UTF-8 must not end the run; in JSON the escape this writes is the right one.
        sys.stdout.reconfigure(errors="backslashreplace")
    if format == "jsonl":
        return Sink(JsonlWriter(sys.stdout, names), streams=True)
    if format == "csv":
        return Sink(CsvWriter(sys.stdout, names), streams=True)
    return Sink(Table(sys.stdout))


def check_choice(format: Format | None, output: Path | None, *, overwrite: bool) -> None:
    """Raises :class:`UsageError` when both are given, the ending is unknown, or the file may not be replaced."""
    if output is None:
        return
    if format is not None:
        raise UsageError(
            f"expected --format (standard output) or --output (a file), found both ({format}, {output}); "
            "the ending of the output file is its format"
        )
    check_target(output, ENDINGS, overwrite=overwrite)


def check_target(path: Path, endings: Sequence[str], *, overwrite: bool) -> None:
    """Raises :class:`UsageError` when ``path`` cannot become an output file with one of ``endings``."""
    if path.suffix.lower() not in endings:
        raise UsageError(f"expected an output file ending in {', '.join(endings)}, found {path}; rename it")
    if path.is_dir():
        raise UsageError(f"expected an output file, found the folder {path}; name a file in it")
    if not path.parent.is_dir():
        raise UsageError(f"expected the output's folder to exist, found no {path.parent}; make it first")
    if path.exists() and not overwrite:
        raise UsageError(f"expected a new output file, found that {path} exists; name another or add --overwrite")


def _text(stream: IO[bytes]) -> IO[str]:
    return io.TextIOWrapper(stream, encoding="utf-8", errors="backslashreplace", newline="")


def _cell(value: object) -> object:
    return json.dumps(value, ensure_ascii=False, allow_nan=False) if isinstance(value, list | dict) else value


def _valid_text(value: object) -> object:
    """Parquet takes UTF-8 only: bytes of a name that are not become escapes."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode("utf-8")
    return value


def _schema(names: Sequence[str]) -> pyarrow.Schema:
    import pyarrow as pa

    text, real, whole = pa.string(), pa.float64(), pa.int32()
    aspect = pa.struct([("aspect", text), ("level", text), ("polarity", pa.int8()), ("text", text)])
    suggestion = pa.struct(
        [
            ("level", text),
            ("attribute", text),
            ("direction", text),
            ("amount", real),
            ("unit", text),
            ("confidence", real),
            ("text", text),
            ("crop", pa.list_(real)),
        ]
    )
    applied = pa.struct(
        [
            ("attribute", text),
            ("direction", text),
            ("file", text),
            ("comparison", text),
            ("score_before", real),
            ("score_after", real),
        ]
    )
    known = {
        "width": whole,
        "height": whole,
        "score": real,
        "score_std": real,
        "distribution": pa.list_(real),
        "aspects": pa.list_(aspect),
        "suggestions": pa.list_(suggestion),
        "applied": pa.list_(applied),
    }
    return pa.schema([(name, known.get(name, text)) for name in names])
