"""FLICKR-AES: 40,988 photos of Flickr, rated 1–5 by 210 people, five a photo (Ren et al., ICCV 2017).

Layout, from alanspike/personalizedImageAesthetics @ 5edca81 and from loaders of other projects that read it::

    FLICKR-AES_image_labeled_by_each_worker.csv     worker, imagePair, score, with a blank after each comma
    FLICKR-AES_image_score.txt                      photo and score 0–1, a weighted mean
    40K/farm1_22_25508496_a6c5d0a8ac_b.jpg …
    test.json                                       optional, see below

The official experiment keeps 37 of the 210 people, and the 4,737 photos that they rated, for the test. Which ones is
not in the published files. ``test.json``, a list of ``{"image", "gt_score"}``, is that list of photos as
thunderbolt215/ArtiMuse @ 750d980 has it in ``test_datasets``: with it, records have the splits train and test, and
:meth:`FlickrAes.people` tells the people apart. Without it no record has a split.
"""

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from calm.data.record import Record, UserRating, to_ten
from calm.data.tables import TableSet, number, read_json, read_rows, read_words
from calm.errors import DataError

SCORES = "FLICKR-AES_image_score.txt"
WORKERS = "FLICKR-AES_image_labeled_by_each_worker.csv"
TEST = "test.json"


class FlickrAes(TableSet):
    name = "flickr-aes"
    needs = ((SCORES,), (WORKERS,))
    folders = ("40K", "FLICKR-AES-001/40K")

    def rows(self, root: Path) -> Iterator[Record]:
        """Records in the order of the scores."""
        tested = _tested(root / TEST) if (root / TEST).exists() else None
        for words in read_words(root / SCORES, 2):
            split = None if tested is None else "test" if words[0] in tested else "train"
            yield Record(words[0], to_ten(number(words[1], root / SCORES), 0, 1), split=split)  # type: ignore[arg-type]

    def ratings(self, root: str | Path) -> list[UserRating]:
        """Every single rating of a photo that is there, 1–5 as published and 1–10 here."""
        files = {Path(record.path).name: record.path for record in self.records(root)}
        table = Path(root) / WORKERS
        return [
            UserRating(row["worker"], files[row["imagePair"]], to_ten(number(row["score"], table)))
            for row in read_rows(table, ("worker", "imagePair", "score"))
            if row["imagePair"] in files
        ]

    def people(self, root: str | Path) -> tuple[list[str], list[str]]:
        """People to train on and people to test on, 173 and 37 as published, in order of name.

        A person to test on is one all of whose photos stand in the test list. Raises :class:`DataError` without it.
        """
        if not (Path(root) / TEST).exists():
            raise DataError(
                f"{self.name}: expected {TEST}, the list of test photos, in {root}, found none; take it from "
                f"test_datasets of thunderbolt215/ArtiMuse @ 750d980"
            )
        tested = _tested(Path(root) / TEST)
        photos: defaultdict[str, set[str]] = defaultdict(set)
        for row in read_rows(Path(root) / WORKERS, ("worker", "imagePair")):
            photos[row["worker"]].add(row["imagePair"])
        test = sorted(person for person, rated in photos.items() if rated <= tested)
        return sorted(set(photos) - set(test)), test


def _tested(path: Path) -> set[str]:
    try:
        return {PurePosixPath(str(row["image"])).name for row in read_json(path, list)}
    except (KeyError, TypeError) as error:
        raise DataError(f"expected image in every row of {path}, found {error}; give the list as published") from error
