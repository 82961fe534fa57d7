"""KonIQ-10k: 10,073 photos rated for technical quality by a hundred people or so each (Hosu et al., IEEE TIP 2020).

Layout, from subpic/koniq @ 2466b20 (``metadata``) and the publisher's archive::

    koniq10k_distributions_sets.csv             image_name,c1,c2,c3,c4,c5,c_total,MOS,SD,set: the official split
    koniq10k_scores_and_distributions.csv       the same without it (no record has a split then)
    1024x768/PHOTO.jpg … or 512x384/

The MOS is taken as on 0–100 (it runs from 3.91 to 88.39). It is not the mean of the five shares on another scale, so no
record has a histogram. It is quality, not beauty.
"""

from collections.abc import Iterator
from pathlib import Path

from calm.data.record import Record, Split, to_ten
from calm.data.tables import TableSet, number, read_rows
from calm.errors import DataError

SETS: dict[str, Split] = {"training": "train", "validation": "validation", "test": "test"}
SCORES = "koniq10k_scores_and_distributions.csv"
TABLES = (
    "koniq10k_distributions_sets.csv",
    "metadata/koniq10k_distributions_sets.csv",
    SCORES,
    f"koniq10k_scores_and_distributions/{SCORES}",
)


class Koniq10k(TableSet):
    name = "koniq10k"
    needs = (TABLES,)
    folders = ("1024x768", "512x384", "images")

    def rows(self, root: Path) -> Iterator[Record]:
        """Records in the table's order."""
        table = self.at(root, *TABLES)
        for row in read_rows(table, ("image_name", "MOS")):
            if row.get("set", "training") not in SETS:
                raise DataError(
                    f"expected a set of {', '.join(SETS)} in {table}, found {row['set']!r}; see {self.source}"
                )
            split = SETS[row["set"]] if "set" in row else None
            yield Record(row["image_name"], to_ten(number(row["MOS"], table), 0, 100), split=split)
