"""AVA: photos of dpchallenge.com with histograms of votes 1–10 (Murray et al., CVPR 2012).

Layout, as its README of June 2012 describes it (copy in imfing/ava_downloader @ 8a70aac, ``AVA_dataset``)::

    AVA.txt                                         index, photo, votes for 1 … 10, two tags, challenge
    tags.txt, challenges.txt                        number and name
    aesthetics_image_lists/generic_test.jpgl        the official 20,000 test photos
    style_image_lists/{train.jpgl,train.lab,test.jpgl,test.multilab,styles.txt}     optional
    images/629797.jpg …                             not published with it; folder names differ between copies

Every photo that is not in the test list has the split ``train``. The group is the photo's first tag. A photo's styles
(``rule of thirds``) stand in its attributes, 10 for those that it has been labelled with.
"""

from collections.abc import Iterator
from pathlib import Path

from calm.data.record import Record, disagreement
from calm.data.tables import TableSet, number, read_words
from calm.errors import DataError

SCORES = tuple(range(1, 11))
TABLE = ("AVA.txt", "AVA_dataset/AVA.txt")
TEST = "aesthetics_image_lists/generic_test.jpgl"
PHOTOS = ("images", "image", "ava_images", "AVA_dataset/images", "AVA_dataset/image", "AVA_dataset/ava_images")


class Ava(TableSet):
    name = "ava"
    needs = (TABLE, (TEST, f"AVA_dataset/{TEST}"))
    folders = PHOTOS

    def rows(self, root: Path) -> Iterator[Record]:
        """Records in the table's order."""
        table = self.at(root, *TABLE)
        base = table.parent
        tested = {words[0].removesuffix(".jpg") for words in read_words(base / TEST)}
        tags = names(base / "tags.txt") if (base / "tags.txt").exists() else {}
        styled = _styles(base / "style_image_lists")
        for words in read_words(table, 15):
            photo, counts = words[1], [number(word, table) for word in words[2:12]]
            total = sum(counts)
            if not total:
                raise DataError(f"expected votes for photo {photo} in {table}, found none; give the file as published")
            yield Record(
                f"{photo}.jpg",
                sum(score * count for score, count in zip(SCORES, counts, strict=True)) / total,
                split="test" if photo in tested else "train",
                group=tags.get(words[12], ""),
                histogram=tuple(count / total for count in counts),
                **disagreement(counts, SCORES),
                attributes=styled.get(photo),
            )


def names(table: Path) -> dict[str, str]:
    """Names in plain words by number, of a file such as ``tags.txt``."""
    return {words[0]: " ".join(words[1:]).replace("_", " ").lower() for words in read_words(table, 2)}


def _styles(folder: Path) -> dict[str, dict[str, float]]:
    """Styles by photo; empty unless the lists are all there."""
    parts = [folder / name for name in ("styles.txt", "train.jpgl", "train.lab", "test.jpgl", "test.multilab")]
    if not all(part.exists() for part in parts):
        return {}
    styles = names(parts[0])
    trained, labels, tested, marks = (list(read_words(part)) for part in parts[1:])
    if (len(trained), len(tested)) != (len(labels), len(marks)):
        raise DataError(f"expected a label for every photo in {folder}, found fewer or more; give it as published")
    found = {photo[0]: {styles[label[0]]: 10.0} for photo, label in zip(trained, labels, strict=True)}
    for photo, row in zip(tested, marks, strict=True):
        found[photo[0]] = {style: 10.0 for style, mark in zip(styles.values(), row, strict=False) if mark == "1"}
    return {photo: each for photo, each in found.items() if each}
