"""RPCD: photos of Reddit's r/photocritique with the critiques that they got (Vera Nieto et al., NeurIPS 2022).

Layout, from mediatechnologycenter/aestheval @ 580e336; ids are published, photos and texts are fetched by its scripts::

    train_ids.csv, validation_ids.csv, test_ids.csv     one id a line, no header: the official split
    reddit_photocritique_image_comments.json            {"im_paths": [...], "first_level_comments_values": [[...]], …}
    photocritique/images/2009-photocritique/8mlk4n-image.jpg …      the id is what precedes the first dash

The ids may also stand in ``aestheval/data/reddit``. The sentiment score of the paper is predicted from the critiques
and no rating by people, so records have no score.
"""

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from calm.data.record import Record
from calm.data.tables import TableSet, read_json, read_words
from calm.errors import DataError

TABLE = "reddit_photocritique_image_comments.json"


class Rpcd(TableSet):
    name = "rpcd"
    needs = ((TABLE, f"photocritique/{TABLE}"),)
    splits = ("train", "validation", "test")
    split_table = ("{}_ids.csv", "aestheval/data/reddit/{}_ids.csv", "reddit/{}_ids.csv")
    folders = ("photocritique/images", "images", ".")

    def rows(self, root: Path) -> Iterator[Record]:
        """Records in the table's order; photos in none of the three lists are left out."""
        splits = {words[0]: split for split, table in self.tables(root) for words in read_words(table)}
        path = self.at(root, *self.needs[0])
        table = read_json(path, dict)
        try:
            pairs = list(zip(table["im_paths"], table["first_level_comments_values"], strict=True))
        except (KeyError, ValueError) as error:
            raise DataError(
                f"expected as many first_level_comments_values as im_paths in {path}, found: {error}; make it again"
            ) from error
        for photo, comments in pairs:
            split = splits.get(PurePosixPath(photo).name.split("-")[0])
            if split:
                yield Record(photo, comments=tuple(text.strip() for text in comments), split=split)
