"""OASIS with beauty ratings: 450 photos of 500×400, 508 people, each rating one half of the photos on 1–7.

Layout: ``images/``, ``images.csv`` (file, block, category, beauty_mean, …), ``ratings.csv`` (user, file, rating).
It rates the beauty of content rather than the photographer's craft, and is here for personal taste. It contains nudity
and violence: never show it.

Block 1 has the split ``train`` and block 2 ``test``; an experiment that swaps them says so.
"""

from collections.abc import Iterator
from pathlib import Path

from calm.data.record import DataSet, Record, Split, UserRating, to_ten
from calm.data.tables import number, read_rows


class Oasis(DataSet):
    name = "oasis"
    files = ("images", "images.csv", "ratings.csv")

    def rows(self, root: Path) -> Iterator[Record]:
        """Records in the table's order: mean beauty 1–10, the category as group."""
        table = root / "images.csv"
        for row in read_rows(table, ("file", "block", "category", "beauty_mean")):
            path = root / "images" / row["file"]
            self.need(root, f"images/{row['file']}")
            part: Split = "train" if row["block"] == "1" else "test"
            score = to_ten(number(row["beauty_mean"], table), 1, 7)
            yield Record(str(path), score, split=part, group=row["category"].lower())

    def ratings(self, root: str | Path) -> list[UserRating]:
        """Every single rating, 1–10."""
        self.check(root)
        table, folder = Path(root) / "ratings.csv", Path(root) / "images"
        return [
            UserRating(row["user"], str(folder / row["file"]), to_ten(number(row["rating"], table), 1, 7))
            for row in read_rows(table, ("user", "file", "rating"))
        ]
