"""TAD66K: 66,327 photos of 47 themes, each judged by the criteria of its theme (He et al., IJCAI 2022).

Layout, from woshidandan/TANet-image-aesthetics-and-quality-assessment @ da7aebd (``code/TAD66K/dataset.zip``)::

    labels/merge/{train,test}.csv               image,score: the official split
    labels/unmerge/{train,test}/THEME.csv       the same rows by theme, optional: the group
    TAD66K/PHOTO.jpg …

The folder ``labels`` is called ``dataset`` in the repository. Scores are divided by ten there before they are learnt,
so they are taken as on 0–10.
"""

from collections.abc import Iterator
from pathlib import Path

from calm.data.record import Record, to_ten
from calm.data.tables import TableSet, number, read_rows


class Tad66k(TableSet):
    name = "tad66k"
    splits = ("train", "test")
    split_table = ("labels/merge/{}.csv", "dataset/merge/{}.csv", "./merge/{}.csv")
    folders = ("TAD66K", "images", "my_scene")

    def rows(self, root: Path) -> Iterator[Record]:
        """Records in the tables' order, train before test."""
        for split, table in self.tables(root):
            themes = {
                row["image"]: theme.stem
                for theme in sorted((table.parents[1] / "unmerge" / split).glob("*.csv"))
                for row in read_rows(theme, ("image",))
            }
            for row in read_rows(table, ("image", "score")):
                score = to_ten(number(row["score"], table), 0, 10)
                yield Record(row["image"], score, split=split, group=themes.get(row["image"], ""))
