"""Data sets in their true layouts, with a few drawn photos."""

from __future__ import annotations

import csv
import json
import shutil
import zipfile
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from calm.data.datasets.para import EMOTIONS, GRADES


def photo(path: Path, seed: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(path)
    return path


def table(path: Path, rows: list[dict[str, object]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def giaa_row(name: str, scene: str) -> dict[str, object]:
    """A row of PARA-GiaaTest.csv or PARA-GiaaTrain.csv; all ten people gave 3.5."""
    row: dict[str, object] = {"imageName": name, "sessionId": "session1", "semantic": scene}
    row |= {f"aestheticScore_{level}": 10 if level == 3.5 else 0 for level in GRADES}
    row |= {"aestheticScore_mean": 3.5, "aestheticScore_std": 0, "qualityScore_mean": 2, "qualityScore_std": 1}
    row |= {"compositionScore_mean": 4, "dofScore_mean": 5, "isObjectEmphasis_mean": 0.5}
    return row | {f"imgEmotion_{name}": i for i, name in enumerate(EMOTIONS)}


TRAINED, TESTED = [f"iaa_pub{i}_.jpg" for i in range(1, 25)], ["iaa_pub90_.jpg", "iaa_pub91_.jpg"]


def para(root: Path) -> Path:
    """26 photos in PARA's layout; iaa_pub3_ repeats the bytes of a test photo, iaa_pub5_ those of iaa_pub4_."""
    for i, name in enumerate(TRAINED + TESTED):
        photo(root / "imgs" / f"session{i // 20 + 1}" / name, i)
    shutil.copy(root / "imgs/session2/iaa_pub90_.jpg", root / "imgs/session1/iaa_pub3_.jpg")
    shutil.copy(root / "imgs/session1/iaa_pub4_.jpg", root / "imgs/session1/iaa_pub5_.jpg")
    means = [
        {
            "": i,
            "image_label": name,
            **{emotion: k for k, emotion in enumerate(EMOTIONS)},
            "aesthetic_score": 1 + i / 10,
        }
        for i, name in enumerate(TRAINED + TESTED)
    ]
    table(root / "annotation/aggregation_1.csv", means)
    table(root / "annotation/PARA-GiaaTest.csv", [giaa_row(TESTED[0], "nightScene"), giaa_row(TESTED[1], "plant")])
    quality = [{"": 0, "imageName": name, "aestheticScore": 3, "qualityScore": 4} for name in TRAINED + TESTED]
    table(root / "annotation/PARA_images_mean_score_greaterorequalthan_2_outier_removed.csv", quality)
    return root


def flickr(root: Path) -> Path:
    for i, name in enumerate(["a.jpg", "b.jpg", "c.jpg", "lonely.jpg"]):
        photo(root / "data/images" / name, i)
    folder = root / "flickr8k.dataset-cmp9137-item1"
    folder.mkdir()
    (folder / "flickr8k.TrainImages.txt").write_text(
        "a.jpg\tA dog runs .\tmatch\na.jpg\tA cat sleeps .\tno-match\n"
        "a.jpg\tA dog runs .\tmatch\na.jpg\tA brown dog\tmatch\n"
    )
    (folder / "flickr8k.DevImages.txt").write_text("b.jpg\tA boat\tmatch\nc.jpg\tA hill\tmatch\n")
    (folder / "flickr8k.TestImages.txt").write_text("c.jpg\tA green hill\tmatch\n")
    return root


def oasis(root: Path) -> Path:
    rows = [{"file": f"Cat {i}.jpg", "block": i, "category": "Animal", "beauty_mean": 4 * i - 1} for i in (1, 2)]
    for i in (1, 2):
        photo(root / "images" / f"Cat {i}.jpg", i)
    table(root / "images.csv", rows)
    table(
        root / "ratings.csv",
        [{"user": 7, "file": "Cat 1.jpg", "rating": 1}, {"user": 8, "file": "Cat 2.jpg", "rating": 7}],
    )
    return root


def savoias(root: Path) -> Path:
    for folder in ("Scenes", "Objects", "Interior Design", "Art"):
        for i in range(2):
            photo(root / "Images" / folder / f"{i}.jpg", i)
    cells = "".join(f'<row r="{r}"><c r="A{r}"><v>{v}</v></c></row>' for r, v in ((1, 0), (2, 100), (3, 25)))
    sheet = f'<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">{cells}</worksheet>'
    (root / "Ground truth/xlsx").mkdir(parents=True)
    with zipfile.ZipFile(root / "Ground truth/xlsx/global_ranking_scenes.xlsx", "w") as book:
        book.writestr("xl/worksheets/sheet1.xml", sheet)
    return root


def photos(*names: str):
    def make(root: Path) -> Path:
        for i, name in enumerate(names):
            photo(root / name, i)
        return root

    return make


def corel(root: Path) -> Path:
    photos("train_jpeg/1000.jpeg", "train_jpeg/1003.jpeg", "test_jpeg/1001.jpeg")(root)
    (root / "labels").mkdir()
    (root / "labels/words").write_text("city\nmountain\nsky\n")
    (root / "labels/training_label").write_text("1000 1 2  \n1003 3  \n1004 3  \n")
    (root / "labels/test_label").write_text("1001 2 3 \n")
    return root


def animals(root: Path) -> Path:
    photos("images/2007_000063.jpg", "images/2007_000175.jpg", "images/unnamed.jpg")(root)
    boxes = [(1, [0, 0, 10, 10], 1), (1, [0, 0, 50, 40], 2), (2, [5, 5, 9, 9], 1)]
    described = {
        "images": {"1": "2007_000063.jpg", "2": "2007_000175.jpg"},
        "annotations": [{"image_id": image, "bbox": box, "category_id": kind} for image, box, kind in boxes],
        "categories": [{"id": 1, "name": "dog"}, {"id": 2, "name": "cat"}],
    }
    (root / "keypoints.json").write_text(json.dumps(described))
    return root


def coco_mini(root: Path) -> Path:
    photos("train2017/1.jpg", "val2017/2.jpg")(root)
    (root / "annotations").mkdir()
    for part, number in (("train2017", 1), ("val2017", 2)):
        images = [{"id": number, "file_name": f"{number}.jpg"}]
        boxes = [{"image_id": number, "category_id": kind, "area": 10 * kind} for kind in (1, 2)]
        kinds = [{"id": 1, "name": "cup"}, {"id": 2, "name": "bus"}]
        tables = {
            "instances": {"images": images, "annotations": boxes, "categories": kinds},
            "captions": {"images": images, "annotations": [{"image_id": number, "caption": " A red bus "}]},
        }
        for name, rows in tables.items():
            (root / f"annotations/{name}_{part}.json").write_text(json.dumps(rows))
    return root


def biq(root: Path) -> Path:
    photos("Images/ss01 (1).jpg", "Images/ss02 (2).JPG", "Images/ss03 (3).jpg")(root)
    (root / "Train (Images and MOS).csv").write_text("Image Name,MOS,,\nss01 (1).jpg,0.5,,\nss02 (2).jpg,0,,\n")
    (root / "Test (Images and MOS).csv").write_text("Image Name,MOS\nss03 (3).jpg,1\n")
    return root


def draw_again(root: Path, width: int, height: int) -> None:
    """Other photos of noise, of that size, in place of those of Corel5k and BIQ2021 below ``root``."""
    rng = np.random.default_rng(0)
    for path in [*root.rglob("*.jpeg"), *(root / "biq/Images").iterdir()]:
        small = rng.integers(0, 255, (8, 10, 3), dtype=np.uint8)
        cv2.imwrite(str(path), cv2.resize(small, (width, height)))


FLOWER_KINDS = "dataset_for_transformer_classifier/flower_photos-resised"

LAYOUTS = {
    "animal-pose": (animals, 2),
    "biq2021": (biq, 3),
    "coco-mini": (coco_mini, 2),
    "corel5k": (corel, 3),
    "flower-kinds": (photos(f"{FLOWER_KINDS}_train/roses/a.jpg", f"{FLOWER_KINDS}_test/daisy/b.jpg"), 2),
    "imagenette": (photos("train/n01440764/a.JPEG", "val/n03028079/b.JPEG"), 2),
    "scene15": (photos("data/train/Coast/1.jpg", "data/test/coast/2.jpg"), 2),
    "sun": (photos("data/images/airport/a.jpg", "data/images/bamboo_forest/b.jpg"), 2),
    "bsds": (photos("BSDS500/data/images/test/1.jpg", "BSDS500/data/images/train/2.jpg"), 2),
    "clothing": (photos("train/hat/a.jpg", "validation/t-shirt/b.jpg", "test/longsleeve/c.jpg"), 3),
    "coco128": (photos("images/train2017/1.jpg", "images/val2017/2.jpg"), 2),
    "flickr8k": (flickr, 4),
    "flowers": (photos("roses/a.jpg", "b.jpg"), 2),
    "folder": (photos("a.jpg", "trip/b.png"), 2),
    "imagenet": (photos("n02101006_Gordon_setter.JPEG", "gallery.jpg"), 1),
    "oasis": (oasis, 2),
    "para": (para, 25),
    "recipes": (
        photos(*(f"static/images/{kind}/x.jpg" for kind in ("dissert", "pasta", "salad", "salad_toEdit", "snacks"))),
        4,
    ),
    "savoias": (savoias, 6),
    "sunhays80": (photos("data/Sun-Hays80/image_SRF_8/1_HR.png", "data/Sun-Hays80/image_SRF_8/1_LR.png"), 1),
    "urban100": (photos("data/Urban100/image_SRF_4/1_HR.png", "data/Urban100/image_SRF_4/1_LR.png"), 1),
}
"""Every data set's layout and how many records it holds."""

from published import PUBLISHED  # noqa: E402 - it draws with the functions above

LAYOUTS |= PUBLISHED
