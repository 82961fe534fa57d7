"""Any folder of photos, with or without a table of scores.

A table is CSV, Parquet or JSON. In a CSV or Parquet file the first column names the photo and the second gives its
score; further columns are ignored, a CSV's header line may be absent. A JSON file is a list of
``{"image": …, "gt_score": …}``. A photo is named by its path relative to the folder, or by its file name alone where
that is unique below the folder, with or without its ending.
"""

import csv
import json
import math
from collections import defaultdict
from pathlib import Path

from calm.data.record import DataSet, Record, photos_below, to_ten
from calm.errors import DataError

DEFAULT_TABLES = ("labels.csv", "labels.parquet", "labels.json")


class Folder(DataSet):
    """A folder of photos.

    Args:
        labels: table of scores; None for ``labels.csv``, ``labels.parquet`` or ``labels.json`` in the folder, where
            there is one.
        scale: lowest and highest score of the table, mapped to 1–10 linearly.
    """

    name = "folder"

    def __init__(self, labels: str | Path | None = None, scale: tuple[float, float] = (1.0, 10.0)) -> None:
        self.labels = labels
        self.scale = scale

    def check(self, root: str | Path) -> None:
        """Raise a one-line :class:`DataError` unless ``root`` is a folder with photos."""
        if not Path(root).is_dir():
            raise DataError(f"{self.name}: expected a folder of photos, found no folder at {root}; check the path")
        if not photos_below(root):
            raise DataError(f"{self.name}: expected photos below {root}, found none; check the path")

    def rows(self, root: Path) -> list[Record]:
        """All photos, or with a table those that it names, in the table's order. The folder's name is the group."""
        table = self.labels or next((root / name for name in DEFAULT_TABLES if (root / name).exists()), None)
        if table is None:
            return [Record(str(path), group=_group(path, root)) for path in photos_below(root)]
        low, high = self.scale
        labels = read_labels(table)
        outside = [score for _, score in labels if not low <= score <= high]
        if outside:
            raise DataError(
                f"expected scores of {low:g}–{high:g} in {table}, found {outside[0]:g}; give the table's own scale"
            )
        located = locate(root, [name for name, _ in labels])
        missing = [name for name, path in located.items() if path is None]
        if missing:
            raise DataError(
                f"{self.name}: expected every photo of {table} below {root}, found {len(missing)} missing, such as "
                f"{missing[0]}; take its row out or restore it"
            )
        placed = [(Path(str(located[name])), score) for name, score in labels]
        return [Record(str(path), to_ten(score, low, high), group=_group(path, root)) for path, score in placed]


def read_labels(path: str | Path) -> list[tuple[str, float]]:
    """Photo and score of every row, in the table's order.

    Raises :class:`DataError` for a table that cannot be read, has no rows, names a photo twice or has a score that is
    no finite number.
    """
    suffix = Path(path).suffix.lower()
    try:
        if suffix == ".json":
            rows = [(str(row["image"]), row["gt_score"]) for row in json.loads(Path(path).read_text(encoding="utf-8"))]
        else:
            rows = _pairs(read_cells(path), headed=suffix == ".parquet")
    except (OSError, UnicodeDecodeError, csv.Error, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"expected a CSV, Parquet or JSON table of photos and scores at {path}, found: {error}; "
            f"the first column names the photo, the second its score"
        ) from error
    if not rows:
        raise DataError(f"expected rows of photo and score in {path}, found none; fill the table")
    labels: dict[str, float] = {}
    for number, (name, value) in enumerate(rows, 1):
        score = finite(value)
        if score is None:
            raise DataError(
                f"expected a score in row {number} of {path}, found {value!r} for {name!r}; correct the row"
            )
        if name in labels:
            raise DataError(
                f"expected each photo once in {path}, found {name!r} again in row {number}; take one row out"
            )
        labels[name] = score
    return list(labels.items())


def locate(root: str | Path, names: list[str]) -> dict[str, Path | None]:
    """The file of each name below ``root``, None where there is none; :class:`DataError` for an ambiguous name."""
    base = Path(root)
    by_name: defaultdict[str, list[Path]] = defaultdict(list)
    by_stem: defaultdict[str, list[Path]] = defaultdict(list)
    for path in photos_below(base):
        by_name[path.name].append(path)
        by_stem[path.stem].append(path)
    found: dict[str, Path | None] = {}
    for name in names:
        if name and (base / name).is_file():
            found[name] = base / name
            continue
        last = Path(name).name
        candidates = by_name.get(last) or by_stem.get(last) or []
        if len(candidates) > 1:
            raise DataError(
                f"expected one photo named {name!r} below {root}, found {len(candidates)}, such as {candidates[0]} and "
                f"{candidates[1]}; name it by its path relative to the folder"
            )
        found[name] = candidates[0] if candidates else None
    return found


def read_cells(path: str | Path) -> list[list]:
    """The rows of a CSV or Parquet table; the first one of a Parquet table is its header."""
    if Path(path).suffix.lower() == ".parquet":
        import pyarrow.parquet

        table = pyarrow.parquet.read_table(path)
        return [table.column_names, *(list(row.values()) for row in table.to_pylist())]
    with open(path, newline="", encoding="utf-8-sig") as stream:
        return [row for row in csv.reader(stream) if row]


def _pairs(rows: list[list], headed: bool) -> list[tuple[str, object]]:
    """Photo and score of every row; a header, which may be absent, is known by its lack of a score."""
    narrow = next((number for number, row in enumerate(rows, 1) if len(row) < 2), None)
    if narrow:
        raise ValueError(f"line {narrow} has fewer than two columns")
    if headed or (rows and finite(rows[0][1]) is None):
        rows = rows[1:]
    return [(str(row[0]).strip(), row[1]) for row in rows]


def finite(value: object) -> float | None:
    """The value as a finite number, else None."""
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def _group(path: Path, root: Path) -> str:
    """Name of the folder that a photo of a sub-folder stands in, "" at the top."""
    parent = path.parent
    return "" if parent == root else parent.name
