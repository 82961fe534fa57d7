"""AVA-Captions: comments on AVA's photos, those that say little filtered out (Ghosal et al., ICCV workshops 2019).

Layout, from the README and the scripts of V-Sense/Aesthetic-Image-Captioning-ICCVW-2019 @ a5a6947::

    CLEAN_AVA_FULL_AFTER_SUBJECTIVE_CLEANING.json   {"images": [{"filename", "split", "sentences": [{"raw", "clean"}]}]}
    AVA_FULL_VALIDATION.json                        optional, 9,362 photos in COCO's layout
    images/629797.jpg …                             AVA's photos, to be brought

The file names a split for each photo (train, val, test). Photos of ``AVA_FULL_VALIDATION.json``, where it is there,
have the split ``validation``. A sentence is read as it was written (``raw``).
"""

from collections.abc import Iterator
from pathlib import Path

from calm.data.datasets.ava import PHOTOS
from calm.data.record import Record, Split
from calm.data.tables import TableSet, read_json
from calm.errors import DataError

TABLE = "CLEAN_AVA_FULL_AFTER_SUBJECTIVE_CLEANING.json"
VALIDATION = "AVA_FULL_VALIDATION.json"
SPLITS: dict[str, Split] = {"train": "train", "restval": "train", "val": "validation", "test": "test"}


class AvaCaptions(TableSet):
    name = "ava-captions"
    needs = ((TABLE,),)
    folders = PHOTOS

    def rows(self, root: Path) -> Iterator[Record]:
        """Records in the file's order, then those that only the validation file has."""
        held = _validation(root / VALIDATION) if (root / VALIDATION).exists() else {}
        for row in read_json(root / TABLE, dict).get("images", []):
            try:
                photo, comments = row["filename"], tuple(sentence["raw"].strip() for sentence in row["sentences"])
                split = SPLITS[row["split"]]
            except (KeyError, TypeError) as error:
                raise DataError(
                    f"expected filename, split and sentences in every image of {root / TABLE}, found no {error}; "
                    f"give the file as published"
                ) from error
            split = "validation" if held.pop(photo, None) is not None else split
            yield Record(photo, comments=comments, split=split)
        for photo, comments in held.items():
            yield Record(photo, comments=comments, split="validation")


def _validation(path: Path) -> dict[str, tuple[str, ...]]:
    """Captions by photo of a file in COCO's layout."""
    data = read_json(path, dict)
    try:
        photos = {row["id"]: str(row.get("file_name") or f"{row['id']}.jpg") for row in data["images"]}
        found: dict[str, list[str]] = {photo: [] for photo in photos.values()}
        for row in data["annotations"]:
            found[photos[row["image_id"]]].append(row["caption"].strip())
    except (KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"expected images and annotations as in COCO in {path}, found no {error}; give the file as published"
        ) from error
    return {photo: tuple(captions) for photo, captions in found.items()}
