"""Flickr8k, squashed to 224×224: true captions for about half of its 8,091 photos (Hodosh et al., 2013).

Layout::

    data/images/1001773457_577c3a7d70.jpg …
    flickr8k.dataset-cmp9137-item1/flickr8k.{Train,Dev,Test}Images.txt    photo TAB caption TAB match | no-match

The tables pair photos with captions that are true (``match``) or of another photo (``no-match``); only the first are
read. Some photos stand both in the Dev and the Test table: a photo belongs to the strictest split that names it. Photos
in no table have no caption and the split ``train``.
"""

from collections import defaultdict
from pathlib import Path

from calm.data.record import DataSet, Record, Split, photos_below
from calm.errors import DataError

TABLES: tuple[tuple[str, Split], ...] = (("Train", "train"), ("Dev", "validation"), ("Test", "test"))
"""Tables in order of strictness."""
FOLDER = "flickr8k.dataset-cmp9137-item1"


class Flickr8k(DataSet):
    name = "flickr8k"
    files = ("data/images", *(f"{FOLDER}/flickr8k.{part}Images.txt" for part, _ in TABLES))

    def rows(self, root: Path) -> list[Record]:
        """Records in order of file name, each with all true captions of its photo."""
        captions: defaultdict[str, dict[str, None]] = defaultdict(dict)  # an ordered set: some captions stand twice
        splits: dict[str, Split] = {}
        for part, name in TABLES:
            path = root / FOLDER / f"flickr8k.{part}Images.txt"
            for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
                cells = line.split("\t")
                if len(cells) != 3 or cells[2].strip() not in ("match", "no-match"):
                    raise DataError(
                        f"expected photo, caption and match or no-match in {path} line {number}, found {line[:60]!r}; "
                        f"get the table from {self.source}"
                    )
                photo, caption, verdict = (cell.strip() for cell in cells)
                splits[photo] = name
                if verdict == "match":
                    captions[photo][caption] = None
        photos = {path.name: path for path in photos_below(root / "data/images", "*")}
        missing = sorted(set(splits) - set(photos))
        if missing:
            raise self.lacking(
                f"all {len(splits)} photos of the tables",
                f"{root}/data/images",
                f"{len(missing)} missing, such as {missing[0]}",
            )
        return [
            Record(str(path), captions=tuple(captions.get(name, ())), split=splits.get(name, "train"))
            for name, path in photos.items()
        ]
