"""What readers of published sets share: tables that name photos, and folders that hold them.

A reader derives from :class:`TableSet`, says which files it needs and yields a record a row; where photos stand, which
of them a copy lacks, and what is said about it, is settled here.
"""

import csv
import json
import os
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from calm.data.record import DataSet, Record, Split
from calm.errors import DataError

PROBED = 20
"""Rows that are looked at to find out which of a set's folders holds the photos."""


class TableSet(DataSet):
    """A set whose tables name its photos; the paths of :meth:`rows` are relative to the folder of the photos.

    Attributes:
        needs: the files without which nothing can be read, each as the places where it may stand below the root; the
            first one is the publisher's.
        folders: where the photos may stand below the root; the first one is the publisher's.
        splits: those that have a table each, and ``split_table`` the places where it may stand, ``{}`` for the split.
    """

    needs: tuple[tuple[str, ...], ...] = ()
    folders: tuple[str, ...] = (".",)
    splits: tuple[Split, ...] = ()
    split_table: tuple[str, ...] = ()

    def check(self, root: str | Path) -> None:
        """Raise a one-line :class:`DataError` saying what is missing and where the set is published."""
        needs = (*self.needs, *map(self._places, self.splits))
        lacking = [places[0] for places in needs if not any((Path(root) / place).exists() for place in places)]
        if not any((Path(root) / folder).is_dir() for folder in self.folders):
            lacking.append(self.folders[0])
        self.need(root, *lacking)

    def tables(self, root: Path) -> Iterator[tuple[Split, Path]]:
        """Each of :attr:`splits` with its table. Raises :class:`DataError` where there is none."""
        for split in self.splits:
            yield split, self.at(root, *self._places(split))

    def _places(self, split: Split) -> tuple[str, ...]:
        return tuple(place.format(split) for place in self.split_table)

    def at(self, root: Path, *places: str) -> Path:
        """The first of the places below ``root`` that exists. Raises :class:`DataError` when none does."""
        for place in places:
            if (root / place).exists():
                return root / place
        self.need(root, places[0])
        raise AssertionError("need() has raised")

    def listed(self, root: str | Path) -> list[Record]:
        """A record for each photo that the tables name, also those that this copy lacks."""
        self.check(root)
        found = list(self.rows(Path(root)))
        if not found:
            raise self.lacking("rows in the tables", root)
        base = self._folder(Path(root), found)
        return [replace(record, path=os.path.join(base, record.path)) for record in found]

    def records(self, root: str | Path, split: Split | None = None) -> list[Record]:
        """Records of the photos that are there. Raises :class:`DataError` when more are missing than may be."""
        everything = self.listed(root)
        there = Presence()
        found = [record for record in everything if there(record.path)]
        missing = len(everything) - len(found)
        if not found or missing > self.tolerated * len(everything):
            example = next(record.path for record in everything if not there(record.path))
            raise self.lacking(
                f"the {len(everything)} photos of its tables", root, f"{missing} missing, such as {example}"
            )
        return self.choose(found, split)

    def _folder(self, root: Path, records: Sequence[Record]) -> str:
        """The folder in which the first photos stand; the publisher's where none is found."""
        there = [root / folder for folder in self.folders if (root / folder).is_dir()]
        for folder in there:
            if any((folder / record.path).is_file() for record in records[:PROBED]):
                return str(folder)
        return str(there[0])


class Presence:
    """Whether files are there: each folder is listed once, which is faster by far than to ask for each file."""

    def __init__(self) -> None:
        self._names: dict[str, frozenset[str]] = {}

    def __call__(self, path: str) -> bool:
        """True for a name that stands in its folder."""
        folder, name = os.path.split(path)
        if folder not in self._names:
            try:
                self._names[folder] = frozenset(os.listdir(folder))
            except OSError:
                self._names[folder] = frozenset()
        return name in self._names[folder]


def number(text: object, table: Path) -> float:
    """The text of a cell as a number. Raises :class:`DataError` that names the table."""
    try:
        return float(str(text))
    except ValueError:
        raise DataError(f"expected a number in every row of {table}, found {text!r}; give it as published") from None


def read_words(table: Path, count: int = 1) -> Iterator[list[str]]:
    """Words of each line that is not empty. Raises :class:`DataError` for a line with fewer than ``count``."""
    try:
        with open(table, encoding="utf-8-sig") as stream:
            for place, line in enumerate(stream, 1):
                words = line.split()
                if words and len(words) < count:
                    raise DataError(
                        f"expected {count} columns in line {place} of {table}, found {len(words)}; give it as published"
                    )
                if words:
                    yield words
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"expected a readable table at {table}, found: {error}; check the file") from error


def read_rows(table: str | Path, columns: Sequence[str], separator: str = ",") -> Iterator[dict[str, str]]:
    """Rows below a header line, one at a time; names and values without surrounding blanks.

    Raises :class:`DataError` unless there are ``columns``, and for a row that is too short.
    """
    try:
        with open(table, newline="", encoding="utf-8-sig") as stream:
            lines = csv.reader(stream, delimiter=separator)
            header = [name.strip() for name in next(lines, [])]
            lacking = [name for name in columns if name not in header]
            if lacking:
                raise DataError(
                    f"expected column {', '.join(lacking)} in {table}, found "
                    f"{', '.join(header[:12]) or 'an empty file'}; give the file as it was published"
                )
            for cells in lines:
                if not cells:
                    continue
                if len(cells) < len(header):
                    raise DataError(
                        f"expected {len(header)} columns in line {lines.line_num} of {table}, found {len(cells)}; "
                        f"give the file as it was published"
                    )
                yield {name: cell.strip() for name, cell in zip(header, cells, strict=False)}
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"expected a readable table at {table}, found: {error}; check the file") from error


def read_json(path: Path, kind: type) -> Any:  # noqa: ANN401 - whatever stands in the file
    """A JSON file whose outermost value is a ``kind`` (list or dict). Raises :class:`DataError`."""
    try:
        with open(path, encoding="utf-8") as stream:
            value = json.load(stream)
    except (OSError, ValueError) as error:
        raise DataError(f"expected JSON in {path}, found: {error}; fetch the file again") from error
    if not isinstance(value, kind):
        raise DataError(
            f"expected a JSON {kind.__name__} in {path}, found {type(value).__name__}; give the file as published"
        )
    return value


def read_sheet(path: Path, columns: Sequence[str]) -> list[dict[str, str]]:
    """Rows of the first sheet of an xlsx file below its header, values as text. Raises :class:`DataError`."""
    try:
        with zipfile.ZipFile(path) as book:
            shared: list[str] = []
            if "xl/sharedStrings.xml" in book.namelist():
                strings = ElementTree.fromstring(book.read("xl/sharedStrings.xml"))
                shared = ["".join(text.itertext()) for text in strings.findall("{*}si")]
            sheet = ElementTree.fromstring(book.read("xl/worksheets/sheet1.xml"))
        lines = [
            {_column(cell.get("r", "")): _value(cell, shared) for cell in row.findall("{*}c")}
            for row in sheet.findall(".//{*}row")
        ]
    except (OSError, KeyError, ValueError, IndexError, zipfile.BadZipFile, ElementTree.ParseError) as error:
        raise DataError(f"expected an xlsx table at {path}, found: {error}; give the file as published") from error
    header = {letters: name.strip() for letters, name in lines[0].items()} if lines else {}
    lacking = [name for name in columns if name not in header.values()]
    if lacking:
        raise DataError(
            f"expected column {', '.join(lacking)} in {path}, found {', '.join(header.values()) or 'none'}; "
            f"give the file as it was published"
        )
    return [{name: line.get(letters, "") for letters, name in header.items()} for line in lines[1:] if line]


def _column(reference: str) -> str:
    """Letters of a cell's reference, such as AB of AB12."""
    return reference.rstrip("0123456789")


def _value(cell: ElementTree.Element, shared: Sequence[str]) -> str:
    inline = cell.find("{*}is")
    if inline is not None:
        return "".join(inline.itertext())
    text = cell.findtext("{*}v") or ""
    return shared[int(text)] if cell.get("t") == "s" else text
