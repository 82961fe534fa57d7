"""TAD66K: 66,327 photos of 47 themes, each judged by the criteria of its theme (He et al., IJCAI 2022).

Layout, from woshidandan/TANet-image-aesthetics-and-quality-assessment @ da7aebd (``code/TAD66K/dataset.zip``)::

    labels/merge/{train,test}.csv               image,score: the official split
    labels/unmerge/{train,test}/THEME.csv       the same rows by theme, optional: the group
    TAD66K/PHOTO.jpg …

The folder ``labels`` is called ``dataset`` in the repository. Scores are divided by ten there before they are learnt,
so they are taken as on 0–10.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from calm.data.record import Record, Split, to_ten
from calm.data.tables import TableSet, number, read_rows

PARTS: tuple[Split, ...] = ("train", "test")
LABELS = ("labels", "dataset", ".")


class Tad66k(TableSet):
    """Reader of TAD66K; see the module for its layout."""

    name = "tad66k"
    summary = "photos of 47 themes, at least 1,200 judgements each"
    licence = "none stated for the data (its repository is Apache-2.0)"
    source = "woshidandan/TANet-image-aesthetics-and-quality-assessment @ da7aebd (its README links the photos)"
    published = {"train": 52248, "test": 14079}
    published_scale = (0.0, 10.0)
    needs = tuple(tuple(f"{folder}/merge/{part}.csv" for folder in LABELS) for part in PARTS)
    folders = ("TAD66K", "images", "my_scene")

    def rows(self, root: Path) -> Iterator[Record]:
        """Records in the tables' order, train before test."""
        for split in PARTS:
            table = self.at(root, *(f"{folder}/merge/{split}.csv" for folder in LABELS))
            themes = {
                row["image"]: theme.stem
                for theme in sorted((table.parents[1] / "unmerge" / split).glob("*.csv"))
                for row in read_rows(theme, ("image",))
            }
            for row in read_rows(table, ("image", "score")):
                score = to_ten(number(row["score"], table), 0, 10)
                yield Record(row["image"], score, split=split, group=themes.get(row["image"], ""))
