"""PCCD: 4,235 photos, each with critiques of seven aspects and scores for them (Chang et al., ICCV 2017).

Layout, from mediatechnologycenter/aestheval @ 580e336 (``aestheval/data/PCCD`` and the loader beside it; the set's own
repository, kunghunglu/DeepPhotoCritic-ICCV17, has no files)::

    guru_train.json, guru_validation.json, guru_test.json
        [{"title", "category", "description", "general_impression", …, "score": seven of "1" … "10" or "N", "overall"}]
    images/full/12_choc-cherry-tart.jpg …       titles, with or without their ending in the table

That split is aestheval's; the paper's is not published. The score is ``overall``, the mean of the seven. An aspect that
was not scored (``N``) is left out of the attributes. What the photographer wrote (``description``) is not read.
"""

from collections.abc import Iterator
from pathlib import Path

from calm.data.record import Record, Split
from calm.data.tables import TableSet, number, read_json
from calm.errors import DataError

ASPECTS = {
    "general_impression": "general_impression",
    "subject_of_photo": "subject",
    "composition": "composition",
    "use_of_camera": "use_of_camera",
    "depth_of_field": "depth_of_field",
    "color_lighting": "colour_and_light",
    "focus": "focus",
}
"""Names of the aspects by their keys, in the order of the scores."""


class Pccd(TableSet):
    name = "pccd"
    splits = ("train", "validation", "test")
    split_table = ("guru_{}.json", "PCCD/guru_{}.json", "aestheval/data/PCCD/guru_{}.json")
    folders = ("images/full", "PCCD/images/full", "images")

    def rows(self, root: Path) -> Iterator[Record]:
        """Records in the files' order: train, validation, test."""
        for split, table in self.tables(root):
            for row in read_json(table, list):
                try:
                    yield _record(row, split, table)
                except (KeyError, TypeError, ValueError, AttributeError) as error:
                    raise DataError(
                        f"expected title, score, overall and seven aspects in every row of {table}, found: {error}; "
                        f"give the file as published"
                    ) from error


def _record(row: dict, split: Split, table: Path) -> Record:
    title = str(row["title"])
    scored = zip(ASPECTS.values(), row["score"], strict=True)
    return Record(
        title if Path(title).suffix.lower() in (".jpg", ".jpeg", ".png") else f"{title}.jpg",
        min(max(number(row["overall"], table), 1.0), 10.0),
        split=split,
        group=str(row.get("category", "")).removesuffix("-photography").replace("-", " "),
        attributes={name: float(score) for name, score in scored if score != "N"} or None,
        comments=tuple(text for key in ASPECTS if (text := str(row[key] or "").strip())),
    )
