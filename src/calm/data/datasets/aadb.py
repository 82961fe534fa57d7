"""AADB: 10,000 photos with scores and eleven attributes, five raters each (Kong et al., ECCV 2016).

Layout, from isaaccorley/deep-aesthetics-pytorch @ 90efdd7 and Graviti's loader in TensorBay::

    imgListFiles_label/imgListTrainRegression_score.txt                     photo score; also _Light.txt and so on
    imgListFiles_label/{imgListValidationRegression,imgListTestNewRegression}_score.txt
    datasetImages_originalSize/ or datasetImages_warp256/                   photos of train and validation
    AADB_newtest_originalSize/ or AADB_newtest/                             test photos, names begin with their score

Scores are means of 1–5 brought to 0–1, attributes means of −1, 0 and 1. ``imgListTestNew`` is the test that is
reported; the older ``imgListTest`` is not read.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from calm.data.record import Record, Split, photos_below, to_ten
from calm.data.tables import TableSet, number, read_words

LISTS: tuple[tuple[str, Split], ...] = (("Train", "train"), ("Validation", "validation"), ("TestNew", "test"))
ATTRIBUTES = {
    "BalacingElements": "balance",
    "ColorHarmony": "colour_harmony",
    "Content": "content",
    "DoF": "depth_of_field",
    "Light": "light",
    "MotionBlur": "motion_blur",
    "Object": "subject_emphasis",
    "Repetition": "repetition",
    "RuleOfThirds": "rule_of_thirds",
    "Symmetry": "symmetry",
    "VividColor": "vivid_colour",
}
"""Names of attributes by those of their files, misspelt as published."""
TRAINED = ("datasetImages_originalSize", "datasetImages_warp256")
TESTED = ("AADB_newtest_originalSize", "AADB_newtest", *TRAINED)


class Aadb(TableSet):
    name = "aadb"
    needs = (*((f"imgListFiles_label/imgList{part}Regression_score.txt",) for part, _ in LISTS), TRAINED, TESTED)

    def rows(self, root: Path) -> Iterator[Record]:
        """Records in the order of the lists: train, validation, test."""
        for part, split in LISTS:
            folder = self.at(root, *(TESTED if split == "test" else TRAINED))
            files = {re.sub(r"^\d\.\d+_", "", path.name): path.name for path in photos_below(folder, "*")}
            scores = _values(root, part, "score")
            rated = {name: _values(root, part, key) for key, name in ATTRIBUTES.items()}
            for photo, score in scores.items():
                attributes = {name: to_ten(each[photo], -1, 1) for name, each in rated.items() if photo in each}
                yield Record(
                    f"{folder.name}/{files.get(photo, photo)}",
                    to_ten(score, 0, 1),
                    split=split,
                    attributes=attributes or None,
                )


def _values(root: Path, part: str, key: str) -> dict[str, float]:
    """Values by photo, empty where the file is absent (only those of the score are needed)."""
    table = root / f"imgListFiles_label/imgList{part}Regression_{key}.txt"
    return {words[0]: number(words[1], table) for words in read_words(table, 2)} if table.exists() else {}
