"""BIQ2021: 12,000 photos of 512×512 with mean opinion scores of technical quality (30 raters in a laboratory).

Layout::

    Images/ss01 (1).jpg …                   ss01 everyday photos, ss02 faults made on purpose, ss03 from Unsplash
    Train (Images and MOS).csv, Test (Images and MOS).csv

The score is about quality, 0–1, and stands in ``attributes["quality"]`` on 1–10; it is no rating of beauty.
"""

from collections.abc import Iterator
from pathlib import Path

from calm.data.record import DataSet, Record, Split, to_ten
from calm.data.tables import read_rows

TABLES: dict[Split, str] = {"train": "Train (Images and MOS).csv", "test": "Test (Images and MOS).csv"}


class Biq2021(DataSet):
    name = "biq2021"
    files = ("Images", *TABLES.values())

    def rows(self, root: Path) -> Iterator[Record]:
        """Records in the order of the tables; ``group`` is the subset. One file's ending differs in case."""
        files = {path.name.lower(): path for path in (root / "Images").iterdir()}
        for part, table in TABLES.items():
            for row in read_rows(root / table, ("Image Name", "MOS")):
                path = files.get(row["Image Name"].strip().lower())
                if path is not None:
                    quality = {"quality": to_ten(float(row["MOS"]), 0, 1)}
                    yield Record(str(path), attributes=quality, split=part, group=path.name[:4])
