"""A table of single people's ratings: CSV or Parquet with person, photo and rating.

The columns are known by their names (``user``, ``person`` or ``rater``; ``file``, ``image``, ``photo`` or ``path``;
``rating`` or ``score``), or, where the header says nothing of the kind or there is none, by their order.
"""

import csv
from pathlib import Path

from calm.data.datasets.folder import finite, locate, read_cells
from calm.data.record import UserRating, to_ten
from calm.errors import DataError

NAMES = {
    "person": ("person", "user", "rater", "worker", "user_id"),
    "photo": ("photo", "image", "file", "path", "image_id", "imagepair"),
    "rating": ("rating", "score"),
}


def read_ratings(
    path: str | Path, images: str | Path, scale: tuple[float, float] | None = None
) -> tuple[list[UserRating], list[str]]:
    """Ratings on 1–10 with the files of their photos, and the names of photos that are not there.

    Args:
        images: folder that the photos' names are relative to.
        scale: lowest and highest rating that could be given; None for those found in the table. Mapped to 1–10
            linearly.

    Raises:
        DataError: for a table that cannot be read, a rating that is no number or outside of the scale, or no photo at
            all.
    """
    rows = _rows(path)
    values = [_value(row[2], i, path) for i, row in enumerate(rows, 1)]
    low, high = scale or (min(values), max(values))
    if not low < high or min(values) < low or max(values) > high:
        raise DataError(
            f"expected ratings that differ, on a scale of {low:g}–{high:g}, found {min(values):g}–{max(values):g} in "
            f"{path}; name the table's own scale"
        )
    located = locate(images, list(dict.fromkeys(row[1] for row in rows)))
    missing = [name for name, place in located.items() if place is None]
    if len(missing) == len(located):
        raise DataError(
            f"expected the photos of {path} below {images}, found none of {len(missing)}, such as {missing[0]!r}; give "
            f"the folder that the names are relative to"
        )
    found = [
        UserRating(person, str(located[name]), to_ten(value, low, high))
        for (person, name, _), value in zip(rows, values, strict=True)
        if located[name] is not None
    ]
    return found, missing


PAIRS = ("better", "worse")
"""Columns of a table of preferences."""


def read_pairs(path: str | Path) -> list[tuple[str, str]] | None:
    """Names of two photos of every row, the preferred one first; None for a table without columns :data:`PAIRS`.

    Raises:
        DataError: for a table that cannot be read, or that prefers a photo to itself or to none.
    """
    header, *body = _table(path) or [[]]
    names = [str(cell).strip().lower() for cell in header]
    if not set(PAIRS) <= set(names):
        return None
    better, worse = (names.index(name) for name in PAIRS)
    pairs: list[tuple[str, str]] = []
    for number, row in enumerate(body, 1):
        cells = [str(cell).strip() for cell in row] + [""] * len(names)
        if not cells[better] or not cells[worse] or cells[better] == cells[worse]:
            raise DataError(
                f"expected two photos in row {number} of {path}, found {cells[better]!r} and {cells[worse]!r}; "
                "correct the row"
            )
        pairs.append((cells[better], cells[worse]))
    if not pairs:
        raise DataError(f"expected rows of two photos in {path}, found none; fill the table")
    return list(dict.fromkeys(pairs))


def _table(path: str | Path) -> list[list]:
    """The rows of a table, the first one its header where it has one."""
    try:
        return read_cells(path)
    except (OSError, UnicodeDecodeError, csv.Error, ValueError) as error:
        raise DataError(f"expected a CSV or Parquet table of ratings at {path}, found: {error}") from error


def _rows(path: str | Path) -> list[tuple[str, str, object]]:
    rows = _table(path)
    narrow = next((i for i, row in enumerate(rows, 1) if len(row) < 3), None)
    if narrow or not rows:
        found = f"{len(rows[narrow - 1])} in line {narrow}" if narrow else "no rows"
        raise DataError(
            f"expected three columns in {path}, person, photo and rating, found {found}; add what is missing"
        )
    header = [str(cell).strip().lower() for cell in rows[0]]
    order = [next((header.index(name) for name in names if name in header), None) for names in NAMES.values()]
    named = None not in order
    columns = [i for i in order if i is not None] if named else [0, 1, 2]
    body = rows[1:] if named or finite(rows[0][2]) is None else rows
    if not body:
        raise DataError(f"expected rows of person, photo and rating in {path}, found none; fill the table")
    return [(str(row[columns[0]]).strip(), str(row[columns[1]]).strip(), row[columns[2]]) for row in body]


def _value(value: object, row: int, path: str | Path) -> float:
    found = finite(value)
    if found is None:
        raise DataError(f"expected a rating in row {row} of {path}, found {value!r}; correct the row")
    return found
