"""What readers of published sets make of their rows, and what they say when something is missing or broken."""

from __future__ import annotations

import gzip
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from layouts import photo
from PIL import Image
from published import PUBLISHED, ava, jpeg, shard, write

from calm.data.datasets.flickr_aes import FlickrAes
from calm.data.datasets.webdataset import WebDataset, read_shard
from calm.data.record import DataSet, Record, dataset
from calm.data.tables import TableSet, read_rows, read_sheet, read_words
from calm.errors import DataError

EXPECTED: dict[str, dict[str, dict[str, Any]]] = {
    "aadb": {
        "farm1_1_b.jpg": {"score": 7.75, "split": "train", "attributes": {"depth_of_field": 1.0}},
        "farm1_3_b.jpg": {"score": 10.0, "split": "validation", "attributes": None},
        "0.500_farm1_4_b.jpg": {"score": 5.5, "split": "test"},
    },
    "ava": {
        "953619.jpg": {"score": 9.5, "split": "train", "group": "abstract", "attributes": None},
        "629797.jpg": {
            "score": 1.0,
            "split": "test",
            "group": "still life",
            "histogram": (1.0, *[0.0] * 9),
            "spread": 0.0,
            "attributes": {"complementary colors": 10.0, "rule of thirds": 10.0},
        },
        "615485.jpg": {"group": "", "attributes": {"rule of thirds": 10.0}},
    },
    "ava-captions": {
        "11.jpg": {"split": "train", "comments": ("Nice light!", "Too dark")},
        "13.jpg": {"split": "validation", "comments": ("Crop it",)},
        "14.jpg": {"split": "validation", "comments": ("Fine depth",)},
        "15.jpg": {"split": "test"},
    },
    "dpc-captions": {"1.jpg": {"comments": ("Tight crop", "Tilted", "Slow shutter"), "split": None}},
    "eva": {
        "71.jpg": {
            "score": 5.5,
            "group": "still life",
            "histogram": (0.5, *[0.0] * 8, 0.5),
            "raters": 2,
            "spread": 9 / 2**0.5,
            "attributes": {"light_and_colour": 10.0, "composition": 1.0, "technical_quality": 4.0, "content": 7.0},
        },
        "106.jpg": {"score": 5.5, "group": "architecture and city scenes"},
    },
    "flickr-aes": {
        "farm1_a.jpg": {"score": 5.5, "split": "train"},
        "farm1_b.jpg": {"score": 10.0, "split": "test"},
    },
    "icaa17k": {
        "a@N0.jpg": {"score": 10.0, "split": "train", "group": "orange blue", "attributes": {"colour": 5.5}},
        "b.jpg": {"score": 3.25, "split": "test", "attributes": {"colour": 1.0}},
    },
    "koniq10k": {
        "1.jpg": {"score": 7.75, "split": "train"},
        "2.jpg": {"score": 5.5, "split": "test"},
        "3.jpg": {"score": 1.0, "split": "validation"},
    },
    "laion-cc-sbu-558k": {
        "004539375.jpg": {
            "split": "train",
            "captions": ("select luxury furniture",),
        }
    },
    "pccd": {
        "12_tart.jpg": {"score": 9.1, "split": "train", "group": "black and white"},
        "14_lake.jpg": {"split": "validation", "attributes": None},
        "17_boy.jpg": {"split": "test"},
    },
    "real-cur": {"b.jpg": {"score": 10.0, "group": "user1", "split": None}},
    "rpcd": {
        "8l00n-image.jpg": {"split": "train", "comments": ("Too tight", "Fine"), "score": None},
        "74vwhz-image.jpg": {"split": "test"},
    },
    "sharegpt4v": {"sa_1.jpg": {"captions": ("A long caption.",), "split": "train"}},
    "sharegpt4v-pt": {"000000000009.jpg": {"captions": ("A long caption.",), "split": "train"}},
    "spaq": {
        "00001.jpg": {
            "score": 5.5,
            "group": "still life",
            "attributes": {"brightness": 10.0, "colourfulness": 1.0, "contrast": 5.5, "noise": 5.5, "sharpness": 5.5},
        },
        "00002.jpg": {"score": 1.0, "group": "night scene"},
    },
    "tad66k": {
        "ada1.jpg": {"score": 5.5, "split": "train", "group": "art"},
        "bob@N2.jpg": {"score": 3.25, "group": ""},
        "cy3.jpg": {"score": 10.0, "split": "test", "group": "beach"},
    },
    "webdataset": {
        "train-000000.tar::a/0.png": {
            "score": 7.0,
            "split": "train",
            "captions": ("A dune",),
            "comments": ("Fine light",),
        },
        "train-000000.tar::a/1.png": {"captions": ("A hat",), "score": None},
        "val-000000.tar::2.png": {"split": "validation"},
    },
}
"""What some photos of each layout must say, by the end of their path."""


@pytest.mark.parametrize("name", PUBLISHED)
def test_rows_become_records(name: str, tmp_path: Path) -> None:
    records = dataset(name).records(PUBLISHED[name][0](tmp_path))
    for ending, expected in EXPECTED[name].items():
        (record,) = [record for record in records if record.path.endswith(f"/{ending}")]
        for key, value in expected.items():
            found = getattr(record, key)
            if isinstance(value, float | dict) or key == "histogram":
                assert found == pytest.approx(value), f"{ending}: {key}"
            else:
                assert found == value, f"{ending}: {key}"


@pytest.mark.parametrize("name", [name for name in PUBLISHED if issubclass(type(dataset(name)), TableSet)])
def test_a_copy_without_photos_says_where_they_are_published(name: str, tmp_path: Path) -> None:
    root = PUBLISHED[name][0](tmp_path)
    for path in [*root.rglob("*.jpg"), *root.rglob("*.png")]:
        path.unlink()
    with pytest.raises(DataError, match="expected .* found .*(missing|none)") as caught:
        dataset(name).records(root)
    assert dataset(name).source in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "name",
    [
        name
        for name, (_, count) in PUBLISHED.items()
        if count > 1 and dataset(name).tolerated < 0.2 and name not in ("real-cur", "webdataset")  # have no tables
    ],
)
def test_one_missing_photo_is_named(name: str, tmp_path: Path) -> None:
    root = PUBLISHED[name][0](tmp_path)
    each = dataset(name)
    gone = each.records(root)[-1].path
    Path(gone).unlink()
    with pytest.raises(DataError, match="found 1 missing, such as .*"):
        each.records(root)
    assert any(Path(gone).name.endswith(Path(record.path).name) for record in each.listed(root))


def test_photos_that_may_be_missing_are_left_out(tmp_path: Path) -> None:
    root = PUBLISHED["dpc-captions"][0](tmp_path)
    each = dataset("dpc-captions")
    assert (len(each.records(root)), len(each.listed(root))) == (2, 3)


def _break(name: str, table: str, text: str) -> Callable[[Path], Path]:
    def make(root: Path) -> Path:
        write(PUBLISHED[name][0](root) / table, text)
        return root

    return make


@pytest.mark.parametrize(
    ("name", "table", "text", "words"),
    [
        ("ava", "AVA.txt", "1 953619 1 2 3\n", "15 columns in line 1 of .*AVA.txt, found 5"),
        ("ava", "AVA.txt", f"1 7 {'0 ' * 10} 1 2 3\n", "expected votes for photo 7"),
        ("ava", "style_image_lists/train.lab", "1\n2\n", "a label for every photo"),
        ("aadb", "imgListFiles_label/imgListTrainRegression_score.txt", "a.jpg high\n", "a number .* found 'high'"),
        ("tad66k", "labels/merge/train.csv", "photo,score\na.jpg,1\n", "column image .* found photo, score"),
        ("tad66k", "labels/merge/train.csv", "image,score\na.jpg\n", "2 columns in line 2 .* found 1"),
        ("koniq10k", "koniq10k_distributions_sets.csv", "image_name,MOS,set\n1.jpg,2,held\n", "found 'held'"),
        ("pccd", "guru_test.json", "{}", "a JSON list .* found dict"),
        ("pccd", "guru_test.json", '[{"title": "x"}]', "every row of .* found: 'score'"),
        ("rpcd", "reddit_photocritique_image_comments.json", '{"im_paths": []}', "found: 'first_level"),
        ("ava-captions", "AVA_FULL_VALIDATION.json", '{"images": []}', "as in COCO .* found no 'annotations'"),
        ("flickr-aes", "test.json", '["a.jpg"]', "expected image in every row"),
        ("dpc-captions", "composition.json", '{"1.jpg": "Nice"}', "a list of comments for 1.jpg"),
        ("laion-cc-sbu-558k", "blip_laion_cc_sbu_558k.json", '[{"image": "a.jpg"}]', "row 1 .* found: 'conversations'"),
        ("laion-cc-sbu-558k", "blip_laion_cc_sbu_558k.json", "[", "expected JSON in"),
        ("spaq", "Annotations/MOS and Image attribute scores.xlsx", "no workbook", "expected an xlsx table"),
    ],
)
def test_a_table_that_is_not_as_published_is_one_line(
    name: str, table: str, text: str, words: str, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=words) as caught:
        dataset(name).records(_break(name, table, text)(tmp_path))
    assert "\n" not in str(caught.value)


# ------------------------------------------------------------------------------------------------ people's ratings


def test_single_ratings(tmp_path: Path) -> None:
    def ratings(name: str) -> list[tuple[str, str, float]]:
        root = PUBLISHED[name][0](tmp_path / name)
        return [(each.person, Path(each.path).name, each.score) for each in dataset(name).ratings(root)]

    assert ratings("eva") == [("E1", "71.jpg", 10.0), ("E2", "71.jpg", 1.0), ("E1", "106.jpg", 5.5)]
    assert ratings("real-cur") == [("user1", "a.jpg", 1.0), ("user1", "b.jpg", 10.0), ("user2", "a.jpg", 5.5)]
    # A rating of a photo that is not there (farm1_gone.jpg) is of no use.
    assert ratings("flickr-aes") == [
        ("A1", "farm1_a.jpg", 5.5),
        ("A1", "farm1_b.jpg", 10.0),
        ("A2", "farm1_b.jpg", 1.0),
    ]


def test_people_of_flickr_aes_are_those_whose_photos_are_all_in_the_test(tmp_path: Path) -> None:
    root = PUBLISHED["flickr-aes"][0](tmp_path)
    assert FlickrAes().people(root) == (["A1", "A3"], ["A2"])
    (root / "test.json").unlink()
    with pytest.raises(DataError, match=r"expected test\.json, the list of test photos.*ArtiMuse"):
        FlickrAes().people(root)
    assert {record.split for record in FlickrAes().records(root)} == {None}


# ------------------------------------------------------------------------------------------------ places, layouts


def test_files_may_stand_where_copies_have_them(tmp_path: Path) -> None:
    """AVA as the repository that mirrors its lists lays it out."""
    ava(tmp_path / "AVA_dataset")
    (tmp_path / "AVA_dataset/images").rename(tmp_path / "AVA_dataset/image")
    assert len(dataset("ava").records(tmp_path)) == 3


def test_koniq_without_its_split_and_eva_by_category(tmp_path: Path) -> None:
    root = PUBLISHED["koniq10k"][0](tmp_path / "koniq")
    (root / "koniq10k_distributions_sets.csv").unlink()
    write(root / "koniq10k_scores_and_distributions.csv", "image_name,MOS,MOS_zscore\n1.jpg,50,60\n")
    assert [(record.score, record.split) for record in dataset("koniq10k").records(root)] == [(5.5, None)]
    root = PUBLISHED["eva"][0](tmp_path / "eva")
    folder = root / "images/EVA_category/EVA_category"
    for name, kind in (("71.jpg", "5"), ("106.jpg", "2")):
        (folder / kind).mkdir(parents=True)
        (root / "images/EVA_together" / name).rename(folder / kind / name)
    (root / "images/EVA_together/999.jpg").unlink()
    (root / "images/EVA_together").rmdir()
    assert [Path(record.path).parent.name for record in dataset("eva").records(root)] == ["5", "2"]


def test_tables_with_odd_lines(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", "\ufeff a , b \n\n1, 2 \n")
    assert list(read_rows(path, ("a", "b"))) == [{"a": "1", "b": "2"}]
    assert list(read_words(write(tmp_path / "t.txt", "\n a  b\n\n"))) == [["a", "b"]]
    for read in (lambda path: list(read_rows(path, ())), lambda path: list(read_words(path))):
        with pytest.raises(DataError, match="expected a readable table"):
            read(tmp_path / "gone.csv")
    with pytest.raises(DataError, match="expected an xlsx table"):
        read_sheet(tmp_path / "gone.xlsx", ())


# ------------------------------------------------------------------------------------------------ shards


def test_broken_samples_and_shards_are_reported_and_left_out(tmp_path: Path) -> None:
    data, told = jpeg(tmp_path, 0), []
    path = shard(
        tmp_path / "a.tar",
        {
            "x/good.png": data,
            "x/good.txt": b"kept",
            "lonely.txt": b"no photo",
            "two.png": data,
            "two.jpg": data,
            "torn.png": b"not a photo",
            "json.png": data,
            "json.json": b"{",
            "last.png": data,
        },
    )
    samples = list(read_shard(path, told.append))
    assert [sample.key for sample in samples] == ["x/good", "last"]
    assert samples[0].photo == data and samples[0].text == "kept"
    assert [line.split(": ")[1].split()[0] for line in told] == ["lonely", "two", "torn", "json"]
    told.clear()
    cut = tmp_path / "cut.tar"
    cut.write_bytes(path.read_bytes()[: 3 * 512])
    (tmp_path / "junk.tar").write_bytes(b"junk" * 300)
    assert list(read_shard(cut, told.append)) == list(read_shard(tmp_path / "junk.tar", told.append)) == []
    assert ["broken after 0 samples" in line for line in told] == [True, True]


def test_only_one_sample_is_held_at_a_time(tmp_path: Path) -> None:
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (400, 400, 3), np.uint8)).save(tmp_path / "big.png")
    data = (tmp_path / "big.png").read_bytes()
    path = shard(tmp_path / "a.tar", {f"{i:03d}.png": data for i in range(30)})
    tracemalloc.start()
    try:
        assert sum(len(sample.photo) for sample in read_shard(path)) == 30 * len(data)
        assert tracemalloc.get_traced_memory()[1] < 8 * len(data)
    finally:
        tracemalloc.stop()


def test_scores_of_shards_are_on_the_scale_given(tmp_path: Path) -> None:
    root = PUBLISHED["webdataset"][0](tmp_path)
    record = WebDataset((1, 9)).records(root)[0]
    assert record.score == pytest.approx(7.75)
    assert WebDataset().photo_bytes(record) == jpeg(tmp_path, 0)
    with pytest.raises(DataError, match="a score of 1–5 .* a score of 7 outside"):
        WebDataset((1, 5)).records(root)
    packed = tmp_path / "packed.tar.gz"
    packed.write_bytes(gzip.compress((root / "train-000000.tar").read_bytes()))
    assert WebDataset().photo_bytes(Record(f"{packed}::a/1.png")) == jpeg(tmp_path, 1)
    assert [sample.key for sample in read_shard(packed)] == ["a/0", "a/1"]
    with pytest.raises(DataError, match=r"expected a/9\.png in .*train-000000\.tar"):
        WebDataset().photo_bytes(Record(f"{root}/train-000000.tar::a/9.png"))


def test_a_photo_that_is_gone_cannot_be_read(tmp_path: Path) -> None:
    path = photo(tmp_path / "a.png", 1)
    each: DataSet = dataset("folder")
    assert each.photo_bytes(Record(str(path))) == path.read_bytes()
    with pytest.raises(DataError, match="expected a readable photo"):
        each.photo_bytes(Record(str(tmp_path / "b.png")))
