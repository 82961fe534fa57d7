"""Photos with names of what they show: scenes, objects, keywords. They teach the model to name things.

Where a set has no split of its own, a photo belongs to ``test`` by the hash of its name, so that the split is the same
everywhere.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from calm.data.datasets.photos import PhotoFolders
from calm.data.record import DataSet, Record, Split, photos_below
from calm.errors import DataError

TESTED = 0.15
"""Share of photos that are kept out of training where a set has no split of its own."""


def hashed_split(name: str, share: float = TESTED) -> Split:
    """``test`` for ``share`` of all names, chosen by the SHA-256 of the name, else ``train``."""
    number = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")
    return "test" if number < share * 2**64 else "train"


class NamedFolders(PhotoFolders):
    """Photos whose folder says what they show.

    Attributes:
        words: names by folder; a folder that is not listed is its own name with spaces.
    """

    words: ClassVar[dict[str, tuple[str, ...]]] = {}

    def records(self, root: str | Path, split: Split | None = None) -> list[Record]:
        """One record a photo with its names."""
        found = super().records(root)
        return self.choose([replace(each, names=self.names_of(Path(each.path))) for each in found], split)

    def names_of(self, path: Path) -> tuple[str, ...]:
        """What the photo shows, the main thing first."""
        folder = path.parent.name
        return self.words.get(folder, (folder.replace("_", " ").lower(),))

    def split_of(self, path: Path) -> Split:
        """By the hash of the file's name."""
        return hashed_split(path.name)


class Sun(NamedFolders):
    """Eight scenes of the SUN database, at most 320 px."""

    name = "sun"
    licence = "none stated"
    source = "nhantd/CMU16720-Scene-Classification @ de3679b1be3e3a0dd77e2170410f54b230adfc78"
    folders = ("data/images",)
    pattern = "*/*"
    words: ClassVar[dict[str, tuple[str, ...]]] = {
        "airport": ("airport", "plane"),
        "bamboo_forest": ("bamboo", "forest"),
        "campus": ("campus", "building"),
        "football_field": ("football field", "stadium"),
        "kitchen": ("kitchen", "room"),
        "auditorium": ("auditorium", "seats"),
        "desert": ("desert", "sand"),
    }


class Scene15(NamedFolders):
    """Fifteen scenes, squashed to 200×200."""

    name = "scene15"
    licence = "none stated"
    source = "jaaumeadrover/Landscape-Image-Classification @ 7985b6b6e532f94f96da7dee74eb9a0ae7972083"
    folders = ("data/train", "data/test")
    pattern = "*/*"
    words: ClassVar[dict[str, tuple[str, ...]]] = {
        "Coast": ("coast", "sea"),
        "Forest": ("forest", "trees"),
        "Highway": ("highway", "road"),
        "Insidecity": ("city", "buildings"),
        "Mountain": ("mountain",),
        "Office": ("office", "desk"),
        "OpenCountry": ("countryside", "field"),
        "Street": ("street", "city"),
        "Suburb": ("suburb", "house"),
        "TallBuilding": ("skyscraper", "building"),
        "industrial": ("factory",),
        "livingroom": ("living room", "room"),
        "bedroom": ("bedroom", "bed", "room"),
        "kitchen": ("kitchen", "room"),
        "store": ("store", "shop"),
    }

    def names_of(self, path: Path) -> tuple[str, ...]:
        """The test folders are written in lower case."""
        lower = {key.lower(): names for key, names in self.words.items()}
        return lower.get(path.parent.name.lower(), (path.parent.name.lower(),))

    def split_of(self, path: Path) -> Split:
        """The set's own split."""
        return "test" if path.parent.parent.name == "test" else "train"


class Imagenette(NamedFolders):
    """Ten classes of ImageNet, squashed to 224×224."""

    name = "imagenette"
    licence = "ImageNet terms: non-commercial research and education"
    source = "thunderInfy/imagenette @ b850f030ff0701c36a4adc8b928ea9483a46915b"
    folders = ("train", "val")
    pattern = "*/*"
    words: ClassVar[dict[str, tuple[str, ...]]] = {
        "n01440764": ("fish",),
        "n02102040": ("dog",),
        "n02979186": ("cassette player",),
        "n03000684": ("chainsaw",),
        "n03028079": ("church", "building"),
        "n03394916": ("french horn",),
        "n03417042": ("garbage truck", "truck"),
        "n03425413": ("gas pump",),
        "n03445777": ("golf ball", "ball"),
        "n03888257": ("parachute",),
    }

    def split_of(self, path: Path) -> Split:
        """The set's own split."""
        return "test" if path.parent.parent.name == "val" else "train"


class FlowerKinds(NamedFolders):
    """Five kinds of flowers."""

    name = "flower-kinds"
    licence = "CC-BY (originals)"
    source = "RlNZLER/Image-Text-Matching @ 3d5693b5b1210f712bd0973aea2d492fe561c5d4"
    folders = (
        "dataset_for_transformer_classifier/flower_photos-resised_train",
        "dataset_for_transformer_classifier/flower_photos-resised_test",
    )
    pattern = "*/*"
    words: ClassVar[dict[str, tuple[str, ...]]] = {
        "daisy": ("daisy", "flower"),
        "dandelion": ("dandelion", "flower"),
        "roses": ("rose", "flower"),
        "sunflowers": ("sunflower", "flower"),
        "tulips": ("tulip", "flower"),
    }


class Corel5k(DataSet):
    """4,999 photos of 192×128 with one to five keywords."""

    name = "corel5k"
    licence = "none stated"
    source = "ParkByungYoon/corel-5k @ 6fc96e09b1922bf08a53ca44831a958337205d2b"

    def check(self, root: str | Path) -> None:
        """Raise a one-line :class:`DataError` saying what is missing."""
        self.need(root, "labels/words", "labels/training_label", "labels/test_label", "train_jpeg", "test_jpeg")

    def records(self, root: str | Path, split: Split | None = None) -> list[Record]:
        """Records with keywords as names, in the order of the tables."""
        self.check(root)
        base = Path(root)
        words = base.joinpath("labels/words").read_text().split()
        found = []
        parts: tuple[tuple[str, str, Split], ...] = (
            ("training_label", "train_jpeg", "train"),
            ("test_label", "test_jpeg", "test"),
        )
        for table, folder, part in parts:
            for line in base.joinpath("labels", table).read_text().splitlines():
                cells = line.split()
                path = base / folder / f"{cells[0]}.jpeg" if cells else base
                if path.is_file():
                    names = tuple(words[int(cell) - 1] for cell in cells[1:])
                    found.append(Record(str(path), names=names, split=part))
        if not found:
            raise DataError(f"{self.name}: expected photos in {root}, found none; get them from {self.source}")
        return self.choose(found, split)


class AnimalPose(DataSet):
    """4,608 photos of dogs, cats, sheep, horses and cows, most of VOC 2012."""

    name = "animal-pose"
    licence = "VOC terms underneath"
    source = "mateusrafael4/Atividade_programacao_pose_estimation @ dab5c74036184926803e5edcf2082b71e0c85c86"

    def check(self, root: str | Path) -> None:
        """Raise a one-line :class:`DataError` saying what is missing."""
        self.need(root, "keypoints.json", "images")

    def records(self, root: str | Path, split: Split | None = None) -> list[Record]:
        """Records with the animals by size of their boxes as names, in order of file name."""
        self.check(root)
        table = json.loads(Path(root, "keypoints.json").read_text())
        kinds = {each["id"]: each["name"] for each in table["categories"]}
        animals: dict[str, dict[str, float]] = {}
        for each in table["annotations"]:
            name = table["images"][str(each["image_id"])]
            left, top, right, bottom = each["bbox"]
            sizes = animals.setdefault(name, {})
            kind = kinds[each["category_id"]]
            sizes[kind] = max(sizes.get(kind, 0.0), abs((right - left) * (bottom - top)))
        found = []
        for path in photos_below(Path(root) / "images", "*"):
            areas = animals.get(path.name, {})
            names = tuple(sorted(areas, key=lambda kind: -areas[kind]))
            if names:
                found.append(Record(str(path), names=names, split=hashed_split(path.name)))
        return self.choose(found, split)


class CocoMini(DataSet):
    """159 photos of COCO 2017 with captions and boxes: a small true test of naming. Held out."""

    name = "coco-mini"
    licence = "COCO terms of use; the photos are their photographers'"
    source = "Obmutescence/COCO-MINI @ 644f29e7c1d2eefd9c4412d39bc5b0ee6fd0afd4"
    held_out = True

    def check(self, root: str | Path) -> None:
        """Raise a one-line :class:`DataError` saying what is missing."""
        self.need(root, "annotations/instances_val2017.json", "annotations/captions_val2017.json")

    def records(self, root: str | Path, split: Split | None = None) -> list[Record]:
        """Records with captions, and the objects by size of their boxes as names."""
        self.check(root)
        found = []
        for part in ("train2017", "val2017"):
            base = Path(root)
            boxes = json.loads((base / f"annotations/instances_{part}.json").read_text())
            captioned = json.loads((base / f"annotations/captions_{part}.json").read_text())
            kinds = {each["id"]: each["name"] for each in boxes["categories"]}
            for image in boxes["images"]:
                path = base / part / image["file_name"]
                areas: dict[str, float] = {}
                for each in boxes["annotations"]:
                    if each["image_id"] == image["id"]:
                        kind = kinds[each["category_id"]]
                        areas[kind] = areas.get(kind, 0.0) + each["area"]
                captions = [
                    each["caption"].strip() for each in captioned["annotations"] if each["image_id"] == image["id"]
                ]
                if path.is_file() and areas and captions:
                    names = tuple(sorted(areas, key=lambda kind: -areas[kind]))
                    found.append(Record(str(path), captions=tuple(captions), names=names, split="test"))
        return self.choose(found, split)
