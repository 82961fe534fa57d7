"""DPC-Captions: comments of dpchallenge.com sorted in five aspects (Jin et al., ACM Multimedia 2019).

Layout, from BestiVictory/DPC-Captions @ eb655fd::

    color_lighting.json, composition.json, depth_and_focus.json, impression_and_subject.json, use_of_camera.json
        {"11170.jpg": ["the photo doesn't …", …], …}
    images/11170.jpg …          not published; the numbers are those of dpchallenge.com, as in AVA

Any of the five files is enough. No split is published, so no record has one. Most photos are AVA's, the others have to
be fetched; records are made of those that are there.
"""

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from calm.data.datasets.ava import PHOTOS
from calm.data.record import Record
from calm.data.tables import TableSet, read_json
from calm.errors import DataError

ASPECTS = ("color_lighting", "composition", "depth_and_focus", "impression_and_subject", "use_of_camera")


class DpcCaptions(TableSet):
    name = "dpc-captions"
    needs = (tuple(f"{aspect}.json" for aspect in ASPECTS),)
    folders = PHOTOS

    def rows(self, root: Path) -> Iterator[Record]:
        """Records in the order in which the files name photos, each with its comments on all aspects."""
        comments: defaultdict[str, dict[str, None]] = defaultdict(dict)
        for path in [root / f"{aspect}.json" for aspect in ASPECTS]:
            if not path.exists():
                continue
            for photo, texts in read_json(path, dict).items():
                if not isinstance(texts, list):
                    raise DataError(f"expected a list of comments for {photo} in {path}, found {type(texts).__name__}")
                comments[photo].update(dict.fromkeys(str(text).strip() for text in texts))
        for photo, texts in comments.items():
            yield Record(photo, comments=tuple(texts))
