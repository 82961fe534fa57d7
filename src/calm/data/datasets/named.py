"""Photos whose tables name what they show: animals, objects, keywords. They teach the model to name things."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

from calm.data.datasets.photos import hashed_split
from calm.data.record import DataSet, Record, Split, photos_below


class Corel5k(DataSet):
    """4,999 photos of 192×128 with one to five keywords."""

    name = "corel5k"
    files = ("labels/words", "labels/training_label", "labels/test_label", "train_jpeg", "test_jpeg")

    def rows(self, root: Path) -> list[Record]:
        """Records with keywords as names, in the order of the tables."""
        words = root.joinpath("labels/words").read_text().split()
        found = []
        parts: tuple[tuple[str, str, Split], ...] = (
            ("training_label", "train_jpeg", "train"),
            ("test_label", "test_jpeg", "test"),
        )
        for table, folder, part in parts:
            for line in root.joinpath("labels", table).read_text().splitlines():
                cells = line.split()
                path = root / folder / f"{cells[0]}.jpeg" if cells else root
                if path.is_file():
                    names = tuple(words[int(cell) - 1] for cell in cells[1:])
                    found.append(Record(str(path), names=names, split=part))
        if not found:
            raise self.lacking("photos", root)
        return found


class AnimalPose(DataSet):
    """4,608 photos of dogs, cats, sheep, horses and cows, most of VOC 2012."""

    name = "animal-pose"
    files = ("keypoints.json", "images")

    def rows(self, root: Path) -> Iterator[Record]:
        """Records with the animals by size of their boxes as names, in order of file name."""
        table = json.loads((root / "keypoints.json").read_text())
        kinds = {each["id"]: each["name"] for each in table["categories"]}
        animals: defaultdict[str, Counter[str]] = defaultdict(Counter)
        for each in table["annotations"]:
            name = table["images"][str(each["image_id"])]
            left, top, right, bottom = each["bbox"]
            sizes, kind = animals[name], kinds[each["category_id"]]
            sizes[kind] = max(sizes[kind], abs((right - left) * (bottom - top)))
        for path in photos_below(root / "images", "*"):
            names = tuple(name for name, _ in animals[path.name].most_common())
            if names:
                yield Record(str(path), names=names, split=hashed_split(path.name))


class CocoMini(DataSet):
    """159 photos of COCO 2017 with captions and boxes: a small true test of naming. Held out."""

    name = "coco-mini"
    files = ("annotations/instances_val2017.json", "annotations/captions_val2017.json")

    def rows(self, root: Path) -> Iterator[Record]:
        """Records with captions, and the objects by size of their boxes as names."""
        for part in ("train2017", "val2017"):
            boxes = json.loads((root / f"annotations/instances_{part}.json").read_text())
            kinds = {each["id"]: each["name"] for each in boxes["categories"]}
            areas: defaultdict[int, Counter[str]] = defaultdict(Counter)
            for each in boxes["annotations"]:
                areas[each["image_id"]][kinds[each["category_id"]]] += each["area"]
            captions: defaultdict[int, list[str]] = defaultdict(list)
            for each in json.loads((root / f"annotations/captions_{part}.json").read_text())["annotations"]:
                captions[each["image_id"]].append(each["caption"].strip())
            for image in boxes["images"]:
                path, texts = root / part / image["file_name"], tuple(captions[image["id"]])
                names = tuple(name for name, _ in areas[image["id"]].most_common())
                if path.is_file() and names and texts:
                    yield Record(str(path), captions=texts, names=names, split="test")
