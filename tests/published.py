"""Published sets in their true layouts, a few rows each. To add a set is one entry in ``PUBLISHED``."""

from __future__ import annotations

import io
import json
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

from layouts import photo

PUBLISHED: dict[str, tuple[Callable[[Path], Path], int]] = {}
"""What lays out every set, and how many records it holds."""


def published(name: str, count: int) -> Callable[[Callable[[Path], Path]], Callable[[Path], Path]]:
    """Registers what lays out a data set, which holds so many records."""

    def add(make: Callable[[Path], Path]) -> Callable[[Path], Path]:
        PUBLISHED[name] = make, count
        return make

    return add


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def photos_at(folder: Path, *names: str, first: int = 0) -> None:
    for i, name in enumerate(names, first):
        photo(folder / name, i)


def votes(row: int, photo: int, counts: list[int], tags: str = "22 0") -> str:
    return f"{row} {photo} {' '.join(map(str, counts))} {tags} 1396\n"


@published("ava", 3)
def ava(root: Path) -> Path:
    low, high = [10, *[0] * 9], [*[0] * 8, 5, 5]
    write(root / "AVA.txt", votes(1, 953619, high, "1 24") + votes(2, 629797, low) + votes(3, 615485, high, "0 0"))
    write(root / "tags.txt", "1 Abstract\n22 Still_Life\n24 Action\n")
    write(root / "aesthetics_image_lists/generic_test.jpgl", "629797\n999999\n")
    lists = root / "style_image_lists"
    write(lists / "styles.txt", "1 Complementary_Colors\n10 Rule_of_Thirds\n2 HDR\n")
    write(lists / "train.jpgl", "615485\n")
    write(lists / "train.lab", "10\n")
    write(lists / "test.jpgl", "629797\n953619\n")
    write(lists / "test.multilab", "1 1\n0 0\n")
    photos_at(root / "images", "953619.jpg", "629797.jpg", "615485.jpg")
    return root


@published("ava-captions", 5)
def ava_captions(root: Path) -> Path:
    def image(number: int, split: str, *said: str) -> dict:
        sentences = [{"raw": f" {text} ", "clean": text.lower(), "tokens": text.split()} for text in said]
        return {"filename": f"{number}.jpg", "imgid": number, "split": split, "sentences": sentences}

    images = [image(11, "train", "Nice light!", "Too dark"), image(12, "val", "Sharp"), image(13, "train", "Crop it")]
    write(
        root / "CLEAN_AVA_FULL_AFTER_SUBJECTIVE_CLEANING.json",
        json.dumps({"images": [*images, image(15, "test", "Wow")], "dataset": "AVA"}),
    )
    held = {
        "images": [{"id": 13, "file_name": "13.jpg"}, {"id": 14}],
        "annotations": [{"image_id": 14, "caption": "Fine depth", "id": 1}],
    }
    write(root / "AVA_FULL_VALIDATION.json", json.dumps(held))
    photos_at(root / "images", *(f"{number}.jpg" for number in range(11, 16)))
    return root


@published("aadb", 4)
def aadb(root: Path) -> Path:
    lists = root / "imgListFiles_label"
    write(lists / "imgListTrainRegression_score.txt", "farm1_1_b.jpg 0.75\nfarm1_2_b.jpg 0\n")
    write(lists / "imgListTrainRegression_DoF.txt", "farm1_1_b.jpg -1\nfarm1_2_b.jpg 0.5\n")
    write(lists / "imgListValidationRegression_score.txt", "farm1_3_b.jpg 1\n")
    write(lists / "imgListTestNewRegression_score.txt", "farm1_4_b.jpg 0.5\n")
    photos_at(root / "datasetImages_warp256", "farm1_1_b.jpg", "farm1_2_b.jpg", "farm1_3_b.jpg")
    photos_at(root / "AADB_newtest", "0.500_farm1_4_b.jpg", first=9)
    return root


@published("tad66k", 3)
def tad66k(root: Path) -> Path:
    tables = {"merge/train": "ada1.jpg,5.0\nbob@N2.jpg,2.5\n", "merge/test": "cy3.jpg,10\n"}
    tables |= {"unmerge/train/art": "ada1.jpg,5.0\n", "unmerge/test/beach": "cy3.jpg,10\n"}
    for name, rows in tables.items():
        write(root / f"labels/{name}.csv", f"image,score\n{rows}")
    photos_at(root / "TAD66K", "ada1.jpg", "bob@N2.jpg", "cy3.jpg")
    return root


@published("icaa17k", 2)
def icaa17k(root: Path) -> Path:
    one, two = "complementary/orange_blue/a@N0.jpg", "single/red/b.jpg"
    write(root / "dataset/ICAA17K/1train.csv", f"ID,color,MOS,probability\n{one},5.0,10,0.7\n")
    write(root / "dataset/ICAA17K/1test.csv", f"ID,color,MOS,probability\n{two},0,2.5,0.6\n")
    photos_at(root / "ICAA17K", one, two)
    return root


@published("koniq10k", 3)
def koniq10k(root: Path) -> Path:
    table = "image_name,c1,c2,c3,c4,c5,c_total,MOS,SD,set\n1.jpg,0,0,.25,.75,0,104,75,.5,training\n"
    table += "2.jpg,0,0,1,0,0,96,50,.6,test\n3.jpg,1,0,0,0,0,96,0,.6,validation\n"
    write(root / "koniq10k_distributions_sets.csv", table)
    photos_at(root / "1024x768", "1.jpg", "2.jpg", "3.jpg")
    return root


def sheet(path: Path, rows: list[list[object]]) -> None:
    """An xlsx file with shared strings, as spreadsheet programs write it."""
    shared: list[str] = []

    def cell(place: str, value: object) -> str:
        if isinstance(value, str):
            shared.append(value)
            return f'<c r="{place}" t="s"><v>{len(shared) - 1}</v></c>'
        return f'<c r="{place}"><v>{value}</v></c>'

    space = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
    lines = [
        f'<row r="{r}">{"".join(cell(f"{chr(65 + c)}{r}", value) for c, value in enumerate(row))}</row>'
        for r, row in enumerate(rows, 1)
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as book:
        book.writestr(
            "xl/worksheets/sheet1.xml", f"<worksheet {space}><sheetData>{''.join(lines)}</sheetData></worksheet>"
        )
        strings = "".join(f"<si><t>{text}</t></si>" for text in shared)
        book.writestr("xl/sharedStrings.xml", f"<sst {space}>{strings}</sst>")


@published("spaq", 2)
def spaq(root: Path) -> Path:
    head: list[object] = ["Image name", "MOS", "Brightness", "Colorfulness", "Contrast", "Noisiness", "Sharpness"]
    sheet(
        root / "Annotations/MOS and Image attribute scores.xlsx",
        [head, ["00001.jpg", 50, 100, 0, 50, 50, 50], ["00002.jpg", 0.0, 1, 2, 3, 4, 5]],
    )
    scenes: list[object] = ["Image name", "Animal", "Night scene", "Still-life"]
    sheet(root / "Annotations/Scene category labels.xlsx", [scenes, ["00001.jpg", 0, 0, 1], ["00002.jpg", 0, 1, 1]])
    photos_at(root / "TestImage", "00001.jpg", "00002.jpg")
    return root


@published("eva", 2)
def eva(root: Path) -> Path:
    head = "image_id=user_id=score=difficulty=visual=composition=quality=semantic=vote_time=1=2=3=4\n"
    rows = "71=E1=10=3=4=1=2.0=3=9=0=0=0=1\n71=E2=0=3=4=1=2.0=3=9=0=0=0=1\n106=E1=5=3=1=4=2=3=9=0=0=0=1\n"
    write(root / "data/votes_filtered.csv", head + rows)
    write(root / "data/image_content_category.csv", '\ufeff"image_id","sort"\n"71","5"\n"106","2"\n"999","1"\n')
    photos_at(root / "images/EVA_together", "71.jpg", "106.jpg", "999.jpg")
    return root


@published("flickr-aes", 3)
def flickr_aes(root: Path) -> Path:
    write(root / "FLICKR-AES_image_score.txt", " farm1_a.jpg 0.5\n farm1_b.jpg 1.0\n farm1_c.jpg 0\n")
    ratings = [
        ("A1", "farm1_a.jpg", 3),
        ("A1", "farm1_b.jpg", 5),
        ("A2", "farm1_b.jpg", 1),
        ("A3", "farm1_gone.jpg", 2),
    ]
    lines = "".join(f"{person}, {name}, {score}\n" for person, name, score in ratings)
    write(root / "FLICKR-AES_image_labeled_by_each_worker.csv", " worker, imagePair, score\n" + lines)
    write(root / "test.json", json.dumps([{"image": "images/farm1_b.jpg", "gt_score": 10}]))
    photos_at(root / "40K", "farm1_a.jpg", "farm1_b.jpg", "farm1_c.jpg")
    return root


@published("real-cur", 3)
def real_cur(root: Path) -> Path:
    photos_at(root, "user1/1/a.jpg", "user1/5/b.jpg", "user2/3/a.jpg", "user2/notes/c.jpg")
    return root


@published("pccd", 3)
def pccd(root: Path) -> Path:
    def row(title: str, scores: list[str]) -> dict:
        aspects = ["general_impression", "subject_of_photo", "composition", "use_of_camera", "depth_of_field"]
        said = {aspect: f"About {aspect}." for aspect in [*aspects, "color_lighting"]} | {"focus": ""}
        about = {"title": title, "category": "black-and-white-photography", "description": "Mine", "reviewer": "R"}
        return about | said | {"score": scores, "overall": "9.1"}

    for part, title, scores in (
        ("train", "12_tart", ["9", "10", "9", "7", "10", "9", "10"]),
        ("validation", "14_lake.jpg", ["N"] * 7),
        ("test", "17_boy", ["8"] * 6 + ["N"]),
    ):
        write(root / f"guru_{part}.json", json.dumps([row(title, scores)]))
    photos_at(root / "images/full", "12_tart.jpg", "14_lake.jpg", "17_boy.jpg")
    return root


@published("rpcd", 3)
def rpcd(root: Path) -> Path:
    names = [f"2009-photocritique/{key}-image.jpg" for key in ("8l00n", "8m1qk", "74vwhz", "stray")]
    pairs = {
        "im_paths": names,
        "aspect_prediction": [],
        "first_level_comments_values": [["Too tight", "Fine"], [], ["x"], []],
    }
    write(root / "reddit_photocritique_image_comments.json", json.dumps(pairs))
    for part, key in (("train", "8l00n"), ("validation", "8m1qk"), ("test", "74vwhz")):
        write(root / f"{part}_ids.csv", f"{key}\nzzz\n")
    photos_at(root / "photocritique/images", *names)
    return root


@published("dpc-captions", 2)
def dpc_captions(root: Path) -> Path:
    write(root / "composition.json", json.dumps({"1.jpg": ["Tight crop", "Tilted"], "2.jpg": ["Busy"]}))
    write(root / "use_of_camera.json", json.dumps({"1.jpg": ["Tilted", "Slow shutter"], "404.jpg": ["Gone"]}))
    photos_at(root / "images", "1.jpg", "2.jpg")
    return root


def llava_row(image: str, *turns: str) -> dict:
    said = [{"from": ("human", "gpt")[i % 2], "value": text} for i, text in enumerate(turns)]
    return {"id": "7", "image": image, "conversations": said}


@published("laion-cc-sbu-558k", 1)
def laion(root: Path) -> Path:
    rows = [llava_row("00453/004539375.jpg", "Render a clear summary.\n<image>", "select luxury furniture")]
    write(root / "blip_laion_cc_sbu_558k.json", json.dumps(rows))
    photos_at(root / "images", "00453/004539375.jpg")
    return root


def sharegpt4v(name: str) -> Callable[[Path], Path]:
    def make(root: Path) -> Path:
        images = ["coco/train2017/000000000009.jpg", "sam/images/sa_1.jpg"]
        rows = [llava_row(image, "<image>\nWhat do you see?", "A long caption.") for image in images]
        write(root / "sharegpt4v" / name, json.dumps(rows))
        photos_at(root, *images)
        return root

    return make


def shard(path: Path, files: dict[str, bytes]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path


def jpeg(folder: Path, seed: int) -> bytes:
    path = photo(folder / f"drawn{seed}.png", seed)
    data = path.read_bytes()
    path.unlink()
    return data


@published("webdataset", 3)
def webdataset(root: Path) -> Path:
    about = {"caption": "A dune", "score": 7, "comments": ["Fine light"]}
    one = {
        "a/0.png": jpeg(root, 0),
        "a/0.json": json.dumps(about).encode(),
        "a/1.png": jpeg(root, 1),
        "a/1.txt": b"A hat\n",
    }
    shard(root / "train-000000.tar", one)
    shard(root / "val-000000.tar", {"2.png": jpeg(root, 2)})
    return root


published("sharegpt4v", 2)(sharegpt4v("sharegpt4v_instruct_gpt4-vision_cap100k.json"))
published("sharegpt4v-pt", 2)(sharegpt4v("share-captioner_coco_lcs_sam_1246k_1107.json"))
