"""Sets of photos without scores, each a few folders of files: what they teach, they teach by being edited.

Sets that are held out of all training are marked so and have the split ``test`` only; the others have ``train`` (the
clothing set keeps its own three).
"""

from __future__ import annotations

import re
import zipfile
from pathlib import Path
from typing import ClassVar
from xml.etree import ElementTree

from calm.data.record import DataSet, Record, Split, photos_below, to_ten
from calm.errors import DataError


class PhotoFolders(DataSet):
    """Photos in named folders; a set says which, and what a file's place or name tells about its content.

    Attributes:
        folders: folders below the root that hold the photos, all of them needed.
        pattern: which files in them belong to the set.
    """

    folders: ClassVar[tuple[str, ...]] = (".",)
    pattern: ClassVar[str] = "**/*"

    def check(self, root: str | Path) -> None:
        """Raise a one-line :class:`DataError` unless every folder is there and holds photos."""
        self.need(root, *self.folders)
        for folder in self.folders:
            if not photos_below(Path(root) / folder, self.pattern):
                raise DataError(
                    f"{self.name}: expected photos ({self.pattern}) in {Path(root) / folder}, found none; "
                    f"get the data set from {self.source} ({self.licence})"
                )

    def records(self, root: str | Path, split: Split | None = None) -> list[Record]:
        """One record a photo, in order of folder and name."""
        self.check(root)
        found = []
        for folder in self.folders:
            extras = self.attributes_of(Path(root), folder)
            for path in photos_below(Path(root) / folder, self.pattern):
                group, part = self.group_of(path), self.split_of(path)
                found.append(Record(str(path), group=group, split=part, attributes=extras.get(path.stem)))
        return self.choose(found, split)

    def group_of(self, path: Path) -> str:
        """What the photo shows in plain words, "" where its place and name do not tell."""
        return ""

    def split_of(self, path: Path) -> Split:
        """``test`` for a held-out set, else ``train``."""
        return "test" if self.held_out else "train"

    def attributes_of(self, root: Path, folder: str) -> dict[str, dict[str, float]]:
        """Rated attributes (1–10) by the stem of the file, of the photos in one folder."""
        return {}


class Clothing(PhotoFolders):
    """Clothes photographed by amateurs, ~400×533, ten classes."""

    name = "clothing"
    licence = "CC0"
    source = "alexeygrigorev/clothing-dataset-small @ 11961516512414bf9f6c150a832cfd21b54a6b54"
    folders = ("train", "validation", "test")
    pattern = "*/*"

    def group_of(self, path: Path) -> str:
        """The class, which is the folder's name."""
        words = {"longsleeve": "long-sleeved shirt", "outwear": "outerwear"}
        return words.get(path.parent.name, path.parent.name)

    def split_of(self, path: Path) -> Split:
        """The set's own split."""
        parts: dict[str, Split] = {"train": "train", "validation": "validation", "test": "test"}
        return parts[path.parent.parent.name]


class ImageNetSample(PhotoFolders):
    """One photo of each of the 1,000 ImageNet classes, ~500×375."""

    name = "imagenet"
    licence = "ImageNet terms: non-commercial research and education"
    source = "EliSchwartz/imagenet-sample-images @ bc69043"
    pattern = "n*_*.JPEG"

    def group_of(self, path: Path) -> str:
        """Class words of a name such as ``n02101006_Gordon_setter.JPEG``."""
        return re.sub(r"^n\d+_", "", path.stem).replace("_", " ")


class Recipes(PhotoFolders):
    """Photos of dishes, ~960 px; ``salad_toEdit`` repeats ``salad`` and is left out."""

    name = "recipes"
    licence = "none stated"
    source = "ayoubGL/Recipe-Image-Attractiveness @ d363308"
    folders = ("static/images/dissert", "static/images/pasta", "static/images/salad", "static/images/snacks")
    pattern = "*"

    def group_of(self, path: Path) -> str:
        """The kind of dish."""
        return {"dissert": "dessert", "snacks": "snack"}.get(path.parent.name, path.parent.name)


class Savoias(PhotoFolders):
    """Photos with crowd-rated visual complexity: scenes, objects and interiors (its drawings and art are left out)."""

    name = "savoias"
    licence = "research; cite the source"
    source = "esaraee/Savoias-Dataset @ 6e6637ecb8d9072cbb0e18aa5dae6a50302a6931"
    folders = ("Images/Scenes", "Images/Objects", "Images/Interior Design")
    pattern = "*"
    tables: ClassVar[dict[str, str]] = {
        "Images/Scenes": "Ground truth/xlsx/global_ranking_scenes.xlsx",
        "Images/Objects": "Ground truth/xlsx/global_ranking_objects.xlsx",
        "Images/Interior Design": "Ground truth/xlsx/global_ranking_interior_design.xlsx",
    }

    def group_of(self, path: Path) -> str:
        """Scene, object or interior."""
        return {"Scenes": "scene", "Objects": "object", "Interior Design": "interior"}[path.parent.name]

    def attributes_of(self, root: Path, folder: str) -> dict[str, dict[str, float]]:
        """``complexity``, 0–100 in the table and 1–10 here; row n is the photo named n. Empty without the table."""
        table = root / self.tables[folder]
        if not table.exists():
            return {}
        return {str(i): {"complexity": to_ten(value, 0, 100)} for i, value in enumerate(_first_column(table))}


class Bsds500(PhotoFolders):
    """500 photos of the Berkeley segmentation benchmark, 481×321. Held out."""

    name = "bsds"
    licence = "non-commercial research and education"
    source = "BIDS/BSDS500 @ a04b7c6"
    folders = ("BSDS500/data/images",)
    held_out = True


class Coco128(PhotoFolders):
    """256 photos of COCO 2017, at most 640 px. Held out."""

    name = "coco128"
    licence = "COCO terms of use; the photos are their photographers'"
    source = "lightly-ai/coco128_yolo @ 6d6f7a0"
    folders = ("images/train2017", "images/val2017")
    pattern = "*"
    held_out = True


class Flowers(PhotoFolders):
    """3,670 photos of flowers, squashed to 224×224."""

    name = "flowers"
    licence = "CC-BY (originals)"
    source = "RlNZLER/Image-Text-Matching @ 3d5693b5b1210f712bd0973aea2d492fe561c5d4"

    def group_of(self, path: Path) -> str:
        """Always a flower; the kind where the folder is named after it."""
        kinds = {
            "daisy": "daisy",
            "dandelion": "dandelion",
            "roses": "rose",
            "sunflowers": "sunflower",
            "tulips": "tulip",
        }
        return kinds.get(path.parent.name, "flower")


class SunHays80(PhotoFolders):
    """80 photos of places, ~1,024 px: the untouched halves of a super-resolution benchmark."""

    name = "sunhays80"
    licence = "not checked"
    source = "jbhuang0604/SelfExSR @ 8f6dd8c"
    folders = ("data/Sun-Hays80/image_SRF_8",)
    pattern = "*_HR.png"

    def group_of(self, path: Path) -> str:
        """All show places."""
        return "scene"


class Urban100(PhotoFolders):
    """100 photos of buildings, ~1,024 px: the untouched halves of a super-resolution benchmark. Held out."""

    name = "urban100"
    licence = "not checked"
    source = "jbhuang0604/SelfExSR @ 8f6dd8c"
    folders = ("data/Urban100/image_SRF_4",)
    pattern = "*_HR.png"
    held_out = True

    def group_of(self, path: Path) -> str:
        """All show buildings."""
        return "building"


def _first_column(path: Path) -> list[float]:
    """Numbers of the first column of an xlsx sheet below its header. Raises :class:`DataError`."""
    try:
        with zipfile.ZipFile(path) as book:
            sheet = ElementTree.fromstring(book.read("xl/worksheets/sheet1.xml"))
        cells = {cell.get("r", ""): cell.findtext("{*}v") for cell in sheet.findall(".//{*}c")}
        count = sum(1 for name in cells if re.fullmatch(r"A\d+", name))
        if count < 2:
            raise ValueError("no rows below the header")
        return [float(cells[f"A{row}"] or "") for row in range(2, count + 1)]
    except (OSError, KeyError, ValueError, zipfile.BadZipFile, ElementTree.ParseError) as error:
        raise DataError(
            f"expected a column of numbers in {path}, found: {error}; give the table as published"
        ) from error
