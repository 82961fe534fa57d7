"""ICAA17K: photos rated for their colour and as a whole (He et al., ICCV 2023).

Layout, from woshidandan/Image-Color-Aesthetics-and-Quality-Assessment @ 85b6a9f (``ICAA17K_code``)::

    dataset/ICAA17K/1train.csv, 1test.csv       ID,color,MOS,probability: the official split
    ICAA17K/complementary/orange_blue/PHOTO.jpg …       photos, by the ID

Scores are divided by ten there before they are learnt, so they are taken as on 0–10. The group is the combination of
colours, which is the name of the photo's folder.
"""

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from calm.data.record import Record, to_ten
from calm.data.tables import TableSet, number, read_rows


class Icaa17k(TableSet):
    name = "icaa17k"
    splits = ("train", "test")
    split_table = ("dataset/ICAA17K/1{}.csv", "ICAA17K/1{}.csv", "./1{}.csv")
    folders = ("ICAA17K", "images", ".")

    def rows(self, root: Path) -> Iterator[Record]:
        """Records in the tables' order, train before test."""
        for split, table in self.tables(root):
            for row in read_rows(table, ("ID", "color", "MOS")):
                yield Record(
                    row["ID"],
                    to_ten(number(row["MOS"], table), 0, 10),
                    split=split,
                    group=PurePosixPath(row["ID"]).parent.name.replace("_", " "),
                    attributes={"colour": to_ten(number(row["color"], table), 0, 10)},
                )
