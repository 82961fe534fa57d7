"""OASIS with beauty ratings: 450 photos of 500×400, 508 people, each rating one half of the photos on 1–7.

Layout: ``images/``, ``images.csv`` (file, block, category, beauty_mean, …), ``ratings.csv`` (user, file, rating).
It rates the beauty of content rather than the photographer's craft, and is here for personal taste. It contains nudity
and violence: never show it.

Block 1 has the split ``train`` and block 2 ``test``; an experiment that swaps them says so.
"""

from __future__ import annotations

from pathlib import Path

from calm.data.record import DataSet, Rating, Record, Split, read_table, to_ten
from calm.errors import DataError


class Oasis(DataSet):
    """Reader of the OASIS beauty ratings; see the module for layout and splits."""

    name = "oasis"
    licence = "open access for research; the source of each photo stands in images.csv"
    source = "Kurdi et al. 2017 (photos), Brielmann & Pelli 2019 (beauty ratings), https://osf.io/6pnd7"
    summary = "450 photos with the ratings of 508 single people; contains nudity and violence"
    published_scale = (1.0, 7.0)

    def check(self, root: str | Path) -> None:
        """Raise a one-line :class:`DataError` saying what is missing and where the set is published."""
        self.need(root, "images", "images.csv", "ratings.csv")

    def records(self, root: str | Path, split: Split | None = None) -> list[Record]:
        """Records in the table's order: mean beauty 1–10, the category as group."""
        self.check(root)
        table = Path(root) / "images.csv"
        records = []
        for row in read_table(table, ("file", "block", "category", "beauty_mean")):
            path = Path(root) / "images" / row["file"]
            self.need(root, f"images/{row['file']}")
            part: Split = "train" if row["block"] == "1" else "test"
            score = _beauty(row["beauty_mean"], table)
            records.append(Record(str(path), score, split=part, group=row["category"].lower()))
        return self.choose(records, split)

    def ratings(self, root: str | Path) -> list[Rating]:
        """Every single rating, 1–10."""
        self.check(root)
        table, folder = Path(root) / "ratings.csv", Path(root) / "images"
        return [
            Rating(row["user"], str(folder / row["file"]), _beauty(row["rating"], table))
            for row in read_table(table, ("user", "file", "rating"))
        ]


def _beauty(text: str, table: Path) -> float:
    try:
        return to_ten(float(text), 1, 7)
    except ValueError:
        raise DataError(
            f"expected a rating 1–7 in every row of {table}, found {text!r}; give the file as published"
        ) from None
