"""BIQ2021: 12,000 photos of 512×512 with mean opinion scores of technical quality (30 raters in a laboratory).

Layout::

    Images/ss01 (1).jpg …                   ss01 everyday photos, ss02 faults made on purpose, ss03 from Unsplash
    Train (Images and MOS).csv, Test (Images and MOS).csv

The score is about quality, 0–1, and stands in ``attributes["quality"]`` on 1–10; it is no rating of beauty.
"""

from __future__ import annotations

from pathlib import Path

from calm.data.record import DataSet, Record, Split, read_table, to_ten

TABLES: dict[Split, str] = {"train": "Train (Images and MOS).csv", "test": "Test (Images and MOS).csv"}


class Biq2021(DataSet):
    """Reader of BIQ2021; see the module for its layout."""

    name = "biq2021"
    licence = "no licence file; research"
    source = "nisarahmedrana/BIQ2021 @ 62c7b40c036b68ee280626409699aa5c1a37fe57"
    published = {"all": 12000, "train": 10000, "test": 2000}
    published_scale = (0.0, 1.0)

    def check(self, root: str | Path) -> None:
        """Raise a one-line :class:`DataError` saying what is missing."""
        self.need(root, "Images", *TABLES.values())

    def records(self, root: str | Path, split: Split | None = None) -> list[Record]:
        """Records in the order of the tables; ``group`` is the subset. One file's ending differs in case."""
        self.check(root)
        files = {path.name.lower(): path for path in Path(root, "Images").iterdir()}
        found = []
        for part, table in TABLES.items():
            for row in read_table(Path(root) / table, ("Image Name", "MOS")):
                path = files.get(row["Image Name"].strip().lower())
                if path is not None:
                    quality = {"quality": to_ten(float(row["MOS"]), 0, 1)}
                    found.append(Record(str(path), attributes=quality, split=part, group=path.name[:4]))
        return self.choose(found, split)
