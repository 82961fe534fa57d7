"""EVA: photos of AVA rated anew, with four attributes, by 30 to 46 people each (Kang et al., ATQAM/MAST 2020).

Layout, from the readme of kang-gnak/eva-dataset @ fb40a9f::

    data/votes_filtered.csv             image_id=user_id=score=difficulty=visual=composition=quality=semantic=…
    data/image_content_category.csv     optional: "image_id","sort", six categories; the group
    images/EVA_together/71.jpg …        unpacked from its zip files, or images/EVA_category/EVA_category/5/71.jpg

Scores are whole numbers 0–10, attributes 1–4. No split is published, so no record has one. Photos without votes that
passed the publisher's filter are not listed. :meth:`Eva.ratings` gives every single vote.
"""

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from calm.data.record import Record, UserRating, disagreement, ten_bins, to_ten
from calm.data.tables import TableSet, number, read_rows

VOTES = ("data/votes_filtered.csv", "votes_filtered.csv")
CATEGORIES = ("animals", "architecture and city scenes", "people", "natural and rural scenes", "still life", "other")
"""Plain words for the categories 1 … 6."""
ATTRIBUTES = {
    "visual": "light_and_colour",
    "composition": "composition",
    "quality": "technical_quality",
    "semantic": "content",
}


class Eva(TableSet):
    name = "eva"
    needs = (VOTES,)
    folders = ("images/EVA_together", "EVA_together", "images/EVA_category/EVA_category", "images")

    def rows(self, root: Path) -> Iterator[Record]:
        """Records in the order in which photos are first voted on."""
        table = self.at(root, *VOTES)
        votes: defaultdict[str, list[list[float]]] = defaultdict(list)
        for row in read_rows(table, ("image_id", "user_id", "score", *ATTRIBUTES), "="):
            votes[row["image_id"]].append([number(row[key], table) for key in ("score", *ATTRIBUTES)])
        kinds = self._kinds(table.parent / "image_content_category.csv")
        by_kind = not any((root / folder).is_dir() for folder in self.folders[:2])
        for photo, each in votes.items():
            scores, *rated = zip(*each, strict=True)
            mapped = [to_ten(score, 0, 10) for score in scores]
            kind = kinds.get(photo, 0)
            yield Record(
                f"{kind}/{photo}.jpg" if by_kind and kind else f"{photo}.jpg",
                sum(mapped) / len(mapped),
                group=CATEGORIES[kind - 1] if kind else "",
                attributes={
                    name: to_ten(sum(values) / len(values), 1, 4)
                    for name, values in zip(ATTRIBUTES.values(), rated, strict=True)
                },
                histogram=ten_bins([1.0] * len(mapped), mapped),
                **disagreement([1.0] * len(mapped), mapped),
            )

    def ratings(self, root: str | Path) -> list[UserRating]:
        """Every vote on a photo that is there, 1–10."""
        files = {Path(record.path).stem: record.path for record in self.records(root)}
        table = self.at(Path(root), *VOTES)
        return [
            UserRating(row["user_id"], files[row["image_id"]], to_ten(number(row["score"], table), 0, 10))
            for row in read_rows(table, ("image_id", "user_id", "score"), "=")
            if row["image_id"] in files
        ]

    def _kinds(self, table: Path) -> dict[str, int]:
        if not table.exists():
            return {}
        return {row["image_id"]: int(number(row["sort"], table)) for row in read_rows(table, ("image_id", "sort"))}
