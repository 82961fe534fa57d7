"""Where rows go: a table to read, JSON lines, CSV or Parquet; to standard output or to a file.

A file is written under a hidden name beside its place and moved there when the run has ended well: it is complete or
absent.
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal, Protocol, Self

from calm.errors import UsageError
from calm.inference.table import Table
from calm.types import Aspect, Row, Suggestion, Trial

if TYPE_CHECKING:
    import pyarrow

Format = Literal["table", "jsonl", "csv"]
TaskName = Literal["score", "comment", "suggest", "rank", "cull"]

ENDINGS = (".jsonl", ".csv", ".parquet")
COLUMNS = tuple(Row("").as_dict())
"""Columns that every row has, in the contract's order."""
TASK_COLUMNS: dict[TaskName, tuple[str, ...]] = {
    "score": (),
    "comment": ("comment", "aspects"),
    "suggest": ("suggestions",),
    "rank": ("rank",),
    "cull": ("series", "series_kind", "decision", "reason", "rival"),
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
        from calm.data.find import natural  # here, since help texts must not wait for numpy

        scored = [row for row in self._rows if row["score"] is not None]
        scored.sort(key=lambda row: (-row["score"], natural(row["path"])))
        for place, row in enumerate(scored[: self._top], 1):
            self._writer.write({**row, "rank": place})
        for row in self._rows:
            if row["score"] is None:
                self._writer.write({**row, "rank": None})
        self._writer.finish()


class Both:
    """Writes rows twice; only the first writer is finished with it."""

    def __init__(self, first: Writer, second: Writer) -> None:
        self._first, self._second = first, second

    def write(self, row: Mapping[str, Any]) -> None:
        self._first.write(row)
        self._second.write(row)

    def finish(self) -> None:
        self._first.finish()


class Sink:
    """A context that takes rows.

    Attributes:
        streams: whether rows appear on standard output one by one.
        written: rows taken so far.

    Raises:
        UsageError: where rows cannot be written, as on a full disk.
    """

    def __init__(self, writer: Writer, *, streams: bool = False, target: Path | None = None) -> None:
        self._writer, self._target = writer, target
        self._report: Writer | None = None
        self.streams = streams
        self.written = 0

    def rank(self, top: int | None = None) -> Self:
        """Has rows written best first, see :class:`RankWriter`; to be called before the first row."""
        self._writer = RankWriter(self._writer, top)
        self.streams = False
        return self

    def also(self, report: Writer) -> Self:
        """Has ``report`` take the same rows; it is finished when the run has ended well. To be called first of all."""
        self._writer, self._report = Both(self._writer, report), report
        return self

    def write(self, row: Mapping[str, Any]) -> None:
        """Takes one row, a mapping with the columns that the sink was opened for."""
        with _writing(self._target):
            self._writer.write(row)
        self.written += 1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if not isinstance(error, BrokenPipeError):
            with _writing(self._target):
                self._writer.finish()
        self._finish_report(error)

    def _finish_report(self, error: BaseException | None) -> None:
        if self._report is not None and error is None:
            self._report.finish()


class FileSink(Sink):
    """A sink whose file appears under its name only when the run has ended well."""

    def __init__(self, path: Path, names: Sequence[str], *, overwrite: bool = False) -> None:
        check_target(path, ENDINGS, overwrite=overwrite)
        self._path = path
        binary = path.suffix.lower() == ".parquet"
        with _writing(path):
            handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".writing")
        self._scratch = Path(name)
        try:
            # mkstemp's file is private; a result should have the permissions of any other new file.
            umask = os.umask(0)
            os.umask(umask)
            os.chmod(name, 0o666 & ~umask)
            self._stream: IO[Any] = os.fdopen(handle, "wb")
            if not binary:
                self._stream = io.TextIOWrapper(self._stream, "utf-8", "backslashreplace", newline="")
            make = {".jsonl": JsonlWriter, ".csv": CsvWriter, ".parquet": ParquetWriter}[path.suffix.lower()]
            super().__init__(make(self._stream, names), target=path)
        except BaseException:
            self._scratch.unlink()
            raise

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        try:
            with _writing(self._path):
                self._writer.finish()
                self._stream.flush()
                os.fsync(self._stream.fileno())
                self._stream.close()
                if error is None:
                    os.replace(self._scratch, self._path)
        finally:
            with contextlib.suppress(OSError):
                self._stream.close()
            self._scratch.unlink(missing_ok=True)
        self._finish_report(error)


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
        with _writing(None):  # the header
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


@contextlib.contextmanager
def _writing(target: Path | None) -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        if target is None:  # what is left of it must not fail once more when the process ends
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise UsageError(
            f"expected to write rows to {target or 'standard output'}, found: {error.strerror or error}; "
            "free space, or name another place"
        ) from error


def _cell(value: object) -> object:
    return json.dumps(value, ensure_ascii=False, allow_nan=False) if isinstance(value, list | dict) else value


def _valid_text(value: object) -> object:
    """Parquet takes UTF-8 only: bytes of a name that are not become escapes."""
    return value.encode("utf-8", "backslashreplace").decode("utf-8") if isinstance(value, str) else value


def _schema(names: Sequence[str]) -> pyarrow.Schema:
    import pyarrow as pa

    text, real, whole = pa.string(), pa.float64(), pa.int32()

    def struct(kind: type, **others: pyarrow.DataType) -> pyarrow.DataType:
        """The fields of a dataclass: texts, but for those of another type."""
        return pa.struct([(each.name, others.get(each.name, text)) for each in fields(kind)])

    known = {
        "width": whole,
        "height": whole,
        "score": real,
        "score_std": real,
        "distribution": pa.list_(real),
        "aspects": pa.list_(struct(Aspect, polarity=pa.int8())),
        "suggestions": pa.list_(struct(Suggestion, amount=real, confidence=real, crop=pa.list_(real))),
        "applied": pa.list_(
            struct(Trial, amount=real, kept=pa.bool_(), score_before=real, score_after=real, crop=pa.list_(real))
        ),
        "score_improved": real,
        "files": pa.list_(text),
        "sidecars": pa.list_(text),
        "rating": pa.int8(),
        "series": whole,
        "iso": whole,
        **dict.fromkeys(("exposure_time", "f_number", "exposure_bias", "focal_length"), real),
    }
    return pa.schema([(name, known.get(name, text)) for name in names])
