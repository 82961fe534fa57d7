"""ICAA17K: photos rated for their colour and as a whole (He et al., ICCV 2023).

Layout, from woshidandan/Image-Color-Aesthetics-and-Quality-Assessment @ 85b6a9f (``ICAA17K_code``)::

    dataset/ICAA17K/1train.csv, 1test.csv       ID,color,MOS,probability: the official split
    ICAA17K/complementary/orange_blue/PHOTO.jpg …       photos, by the ID

Scores are divided by ten there before they are learnt, so they are taken as on 0–10. The group is the combination of
colours, which is the name of the photo's folder.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from calm.data.record import Record, Split, to_ten
from calm.data.tables import TableSet, number, read_rows

TABLES: tuple[tuple[str, Split], ...] = (("1train.csv", "train"), ("1test.csv", "test"))
PLACES = ("dataset/ICAA17K", "ICAA17K", ".")


class Icaa17k(TableSet):
    """Reader of ICAA17K; see the module for its layout."""

    name = "icaa17k"
    summary = "photos rated for their colour and as a whole"
    licence = "none stated for the data (its repository says Apache-2.0)"
    source = "woshidandan/Image-Color-Aesthetics-and-Quality-Assessment @ 85b6a9f (its README links the photos)"
    published = {"train": 15734, "test": 1617}
    published_scale = (0.0, 10.0)
    needs = tuple(tuple(f"{place}/{table}" for place in PLACES) for table, _ in TABLES)
    folders = ("ICAA17K", "images", ".")

    def rows(self, root: Path) -> Iterator[Record]:
        """Records in the tables' order, train before test."""
        for name, split in TABLES:
            table = self.at(root, *(f"{place}/{name}" for place in PLACES))
            for row in read_rows(table, ("ID", "color", "MOS")):
                yield Record(
                    row["ID"],
                    to_ten(number(row["MOS"], table), 0, 10),
                    split=split,
                    group=PurePosixPath(row["ID"]).parent.name.replace("_", " "),
                    attributes={"colour": to_ten(number(row["color"], table), 0, 10)},
                )
