"""Data sets in their true layouts, on a few drawn photos, and what a reader says when files are missing."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from layouts import LAYOUTS, TRAINED, flickr, giaa_row, oasis, para, photo, photos, savoias, table

from calm.data import hashes
from calm.data.datasets.folder import Folder, locate, read_labels
from calm.data.datasets.para import EMOTIONS, GRADES, Para, choose_by_hash
from calm.data.record import SPLITS, DataSet, Record, dataset, datasets, photos_below, ten_bins, to_ten
from calm.errors import CalmError, DataError, UsageError


def test_every_data_set_has_a_layout_here() -> None:
    assert sorted(LAYOUTS) == list(datasets())


@pytest.mark.parametrize("name", LAYOUTS)
def test_contract(name: str, tmp_path: Path) -> None:
    make, count = LAYOUTS[name]
    root, each = make(tmp_path / "set"), dataset(name)
    assert each.licence and each.source
    each.check(root)
    records = each.records(root)
    assert len(records) == count
    assert records == each.records(str(root))
    assert len({record.path for record in records}) == count
    for record in records:
        assert each.photo_bytes(record)
        assert record.split is None or record.split in SPLITS
        for score in [record.score, *(record.attributes or {}).values()]:
            assert score is None or 1 <= score <= 10
        assert record.histogram is None or sum(record.histogram) == pytest.approx(1)
        if each.held_out:
            assert record.split == "test", "a held-out set must not offer anything to train on"
    for split in {record.split for record in records if record.split}:
        assert each.records(root, split) == [record for record in records if record.split == split]


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_missing_set_is_one_line_that_says_what_and_where_from(name: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="expected .* found") as caught:
        dataset(name).records(tmp_path)
    assert "\n" not in str(caught.value)
    assert name in str(caught.value)
    if name != "folder":
        assert dataset(name).source in str(caught.value)


def test_an_absent_split_is_named() -> None:
    records = [Record("a", split="train")]
    with pytest.raises(DataError, match="expected a split named 'test', found train"):
        Folder().choose(records, "test")
    with pytest.raises(DataError, match="found 'trian'"):
        Folder().choose(records, "trian")  # type: ignore[arg-type]


def test_unknown_name_is_answered_with_near_ones_and_the_list() -> None:
    with pytest.raises(UsageError, match="found 'flickr'; did you mean flickr8k.*There are: aadb, animal-pose, ava"):
        dataset("flickr")


def test_a_new_data_set_is_one_new_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import calm.data.datasets

    lines = "from calm.data.record import DataSet\n\nclass Mine(DataSet):\n"
    body = "    name, licence, source = 'mine', 'free', 'here'\n    def check(self, root): ...\n"
    body += "    def rows(self, root):\n        return []\n"
    (tmp_path / "my_set.py").write_text(lines + body)
    monkeypatch.setattr(calm.data.datasets, "__path__", [*calm.data.datasets.__path__, str(tmp_path)])
    datasets.cache_clear()
    try:
        assert dataset("mine").records(tmp_path) == []
    finally:
        datasets.cache_clear()
        sys.modules.pop("calm.data.datasets.my_set", None)


def test_means_only_sets_have_no_ratings(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="ratings of single people in flickr8k"):
        dataset("flickr8k").ratings(flickr(tmp_path))


# ------------------------------------------------------------------------------------------------ PARA


def test_para_drops_leaks_and_keeps_test_attributes_out_of_training(tmp_path: Path) -> None:
    records, protocol = Para().read(para(tmp_path))
    assert asdict(protocol) == {
        "test": 2,
        "train": 21,
        "validation": 2,
        "leaked_groups": 1,
        "leaked_files": 1,
        "unlabelled_files": 0,
    }
    by_name = {Path(record.path).name: record for record in records}
    assert "iaa_pub3_.jpg" not in by_name
    tested = {record.sha256 for record in records if record.split == "test"}
    assert not tested & {record.sha256 for record in records if record.split != "test"}
    night = by_name["iaa_pub90_.jpg"]
    assert (night.split, night.group, night.attributes) == ("test", "night scene", None)
    assert night.histogram == pytest.approx(ten_bins([1], [to_ten(3.5)]))
    assert (night.raters, night.spread) == (10, 0.0)
    one = by_name["iaa_pub1_.jpg"]
    assert one.raters is None and one.split in ("train", "validation")
    assert one.score == pytest.approx(1.0)
    assert by_name["iaa_pub11_.jpg"].score == pytest.approx(1 + 1.0 * 9 / 4)
    assert one.emotions == {name: i for i, name in enumerate(EMOTIONS)}
    assert one.attributes == {"quality": pytest.approx(7.75)}
    assert one.histogram is None


def test_para_reads_what_its_authors_give_out(tmp_path: Path) -> None:
    """GiaaTrain and the votes are absent from the public copy; with them, aggregation_1.csv is not needed."""
    root = para(tmp_path)
    table(root / "annotation/PARA-GiaaTrain.csv", [giaa_row(name, "stilllife") for name in TRAINED])
    votes = [
        {"sessionId": "s", "imageName": "iaa_pub1_.jpg", "userId": f"u{i}", "aestheticScore": s}
        for i, s in enumerate((1, 5))
    ]
    table(root / "annotation/PARA-Images.csv", votes)
    (root / "annotation/aggregation_1.csv").unlink()
    one = next(record for record in Para().records(root) if record.path.endswith("iaa_pub1_.jpg"))
    assert one.score == pytest.approx(to_ten(3.5))
    assert one.group == "still life"
    assert one.emotions == {name: i for i, name in enumerate(EMOTIONS)}
    assert one.attributes is not None
    assert one.attributes["quality"] == pytest.approx(to_ten(2))  # the histogram table, not the one without outliers
    assert one.attributes["depth_of_field"] == pytest.approx(10)
    assert one.attributes["subject_emphasis"] == pytest.approx(5.5)
    assert one.histogram == pytest.approx(ten_bins([1], [to_ten(3.5)]))
    ratings = Para().ratings(root)
    assert [(each.person, each.score) for each in ratings] == [("u0", 1.0), ("u1", 10.0)]


def test_para_counts_votes_where_there_is_no_histogram_but_never_of_the_test(tmp_path: Path) -> None:
    root = para(tmp_path)
    names = ["iaa_pub1_.jpg", "iaa_pub1_.jpg", "iaa_pub90_.jpg"]
    votes = [{"imageName": name, "userId": f"u{i}", "aestheticScore": (1, 5, 1)[i]} for i, name in enumerate(names)]
    table(root / "annotation/PARA-Images.csv", votes)
    by_name = {Path(record.path).name: record for record in Para().records(root)}
    assert by_name["iaa_pub1_.jpg"].histogram == pytest.approx((0.5, *[0] * 8, 0.5))
    assert by_name["iaa_pub90_.jpg"].histogram == pytest.approx(ten_bins([1], [to_ten(3.5)]))
    assert by_name["iaa_pub2_.jpg"].histogram is None


def test_para_without_votes_says_who_has_them(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"PARA-Images\.csv"):
        Para().ratings(para(tmp_path))


def test_para_names_missing_photos_and_rows(tmp_path: Path) -> None:
    root = para(tmp_path)
    (root / "imgs/session1/iaa_pub7_.jpg").unlink()
    with pytest.raises(
        DataError, match=r"found 1 missing, such as iaa_pub7_\.jpg; get the data set from anirbanpranto"
    ):
        Para().records(root)
    photo(root / "imgs/session1/iaa_pub7_.jpg", 7)
    table(
        root / "annotation/PARA_images_mean_score_greaterorequalthan_2_outier_removed.csv",
        [{"imageName": TRAINED[0], "qualityScore": 3}],
    )
    with pytest.raises(DataError, match="quality of all 23 training photos.*found 22 missing"):
        Para().records(root)


def test_validation_is_chosen_by_content_and_keeps_duplicates_together() -> None:
    digests = {f"photo{i}": f"{i // 2:064x}" for i in range(400)}
    chosen = choose_by_hash(digests, 30)
    assert len(chosen) == 30
    assert choose_by_hash(dict(reversed(digests.items())), 30) == chosen
    assert all((f"photo{i}" in chosen) == (f"photo{i + 1}" in chosen) for i in range(0, 400, 2))
    renamed = {f"other{name}": digest for name, digest in digests.items()}
    assert choose_by_hash(renamed, 30) == {f"other{name}" for name in chosen}
    assert len(choose_by_hash(digests, 1000)) == 40


def test_scale_map_and_bins_keep_the_mean() -> None:
    assert [to_ten(score) for score in (1, 3, 5)] == [1, 5.5, 10]
    counts = np.random.default_rng(0).integers(0, 9, 9)
    mean = float((counts * np.array(GRADES)).sum() / counts.sum())
    bins = ten_bins(counts.tolist(), [to_ten(level) for level in GRADES])
    assert sum(bins) == pytest.approx(1)
    assert sum(share * (i + 1) for i, share in enumerate(bins)) == pytest.approx(to_ten(mean))
    with pytest.raises(DataError, match="expected votes"):
        ten_bins([0, 0], [1, 2])


# ------------------------------------------------------------------------------------------------ other sets


def test_flickr_reads_true_captions_once_and_takes_the_strictest_split(tmp_path: Path) -> None:
    by_name = {Path(record.path).name: record for record in dataset("flickr8k").records(flickr(tmp_path))}
    assert by_name["a.jpg"].captions == ("A dog runs .", "A brown dog")
    assert (by_name["a.jpg"].split, by_name["b.jpg"].split, by_name["c.jpg"].split) == ("train", "validation", "test")
    assert (by_name["lonely.jpg"].captions, by_name["lonely.jpg"].split) == ((), "train")


def test_flickr_names_a_bad_line(tmp_path: Path) -> None:
    root = flickr(tmp_path)
    (root / "flickr8k.dataset-cmp9137-item1/flickr8k.DevImages.txt").write_text("b.jpg A boat match\n")
    with pytest.raises(DataError, match=r"DevImages\.txt line 1, found 'b\.jpg A boat"):
        dataset("flickr8k").records(root)


def test_groups_are_plain_words(tmp_path: Path) -> None:
    def groups(name: str) -> dict[str, str]:
        root = LAYOUTS[name][0](tmp_path / name)
        return {Path(record.path).stem: record.group for record in dataset(name).records(root)}

    assert groups("imagenet") == {"n02101006_Gordon_setter": "Gordon setter"}
    assert groups("clothing") == {"a": "hat", "b": "t-shirt", "c": "long-sleeved shirt"}
    assert groups("flowers") == {"a": "rose", "b": "flower"}
    assert groups("folder") == {"a": "", "b": "trip"}


@pytest.mark.parametrize(
    ("name", "ending", "names"),
    [
        ("corel5k", "1000.jpeg", ("city", "mountain")),
        ("animal-pose", "2007_000063.jpg", ("cat", "dog")),
        ("coco-mini", "2.jpg", ("bus", "cup")),
        ("sun", "b.jpg", ("bamboo", "forest")),
        ("scene15", "2.jpg", ("coast", "sea")),
        ("imagenette", "b.JPEG", ("church", "building")),
    ],
)
def test_the_main_thing_is_named_first(name: str, ending: str, names: tuple[str, ...], tmp_path: Path) -> None:
    records = dataset(name).records(LAYOUTS[name][0](tmp_path))
    assert [record.names for record in records if record.path.endswith(f"/{ending}")] == [names]


def test_quality_is_no_score_of_beauty(tmp_path: Path) -> None:
    records = dataset("biq2021").records(LAYOUTS["biq2021"][0](tmp_path))
    assert [(record.score, record.attributes, record.split) for record in records] == [
        (None, {"quality": 5.5}, "train"),
        (None, {"quality": 1.0}, "train"),
        (None, {"quality": 10.0}, "test"),
    ]


def test_savoias_leaves_art_out_and_reads_complexity_without_its_pickles(tmp_path: Path) -> None:
    records = dataset("savoias").records(savoias(tmp_path))
    assert not [record for record in records if "Art" in record.path]
    rated = {f"{record.group} {Path(record.path).stem}": record.attributes for record in records}
    assert rated["scene 0"] == {"complexity": 10.0}
    assert rated["scene 1"] == {"complexity": pytest.approx(3.25)}
    assert rated["object 0"] is None


def test_oasis_ratings(tmp_path: Path) -> None:
    root = oasis(tmp_path)
    assert [(record.split, record.score, record.group) for record in dataset("oasis").records(root)] == [
        ("train", to_ten(3, 1, 7), "animal"),
        ("test", 10.0, "animal"),
    ]
    assert [(each.person, each.score) for each in dataset("oasis").ratings(root)] == [("7", 1.0), ("8", 10.0)]


# ------------------------------------------------------------------------------------------------ folders and tables


def test_folder_with_labels_on_their_own_scale(tmp_path: Path) -> None:
    root = photos("a.jpg", "trip/b.png", "unrated.jpg")(tmp_path)
    (root / "labels.csv").write_text("photo,score,note\ntrip/b.png,5,fine\na,1,dull\n")
    records = Folder(scale=(1, 5)).records(root)
    assert [(Path(record.path).name, record.score) for record in records] == [("b.png", 10.0), ("a.jpg", 1.0)]
    with pytest.raises(DataError, match="scores of 1–4 .* found 5"):
        Folder(scale=(1, 4)).records(root)
    (root / "a.jpg").unlink()
    with pytest.raises(DataError, match="1 missing, such as a"):
        Folder(scale=(1, 5)).records(root)


@pytest.mark.parametrize("form", ["header", "no header", "parquet", "json"])
def test_labels_in_every_form(form: str, tmp_path: Path) -> None:
    if form == "parquet":
        path = tmp_path / "labels.parquet"
        pyarrow.parquet.write_table(pyarrow.table({"f": ["a.jpg", "b.jpg"], "s": [3, 4.5], "t": ["x", "y"]}), path)
    elif form == "json":
        path = tmp_path / "labels.json"
        path.write_text(json.dumps([{"image": "a.jpg", "gt_score": 3}, {"image": "b.jpg", "gt_score": 4.5}]))
    else:
        path = tmp_path / "labels.csv"
        path.write_text(("file,score\n" if form == "header" else "") + "a.jpg,3\n\nb.jpg,4.5\n")
    assert read_labels(path) == [("a.jpg", 3.0), ("b.jpg", 4.5)]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("file,score\n", "rows of photo and score"),
        ("file,score\na.jpg,high\n", "score in row 1 .* found 'high' for 'a.jpg'"),
        ("file,score\na.jpg,nan\n", "found 'nan'"),
        ("file,score\na.jpg,3\na.jpg,4\n", "each photo once .* 'a.jpg' again in row 2"),
        ("file\na.jpg\n", "line 1 has fewer than two columns"),
        ("a.jpg,3\nb.jpg\n", "line 2 has fewer than two columns"),
    ],
)
def test_tables_that_cannot_be_used(text: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text(text)
    with pytest.raises(DataError, match=words):
        read_labels(tmp_path / "labels.csv")


@pytest.mark.parametrize("name", ["absent.csv", "broken.parquet", "broken.json"])
def test_tables_that_cannot_be_read(name: str, tmp_path: Path) -> None:
    if name.startswith("broken"):
        (tmp_path / name).write_text('[{"image": "a"}]')
    with pytest.raises(DataError, match="expected a CSV, Parquet or JSON table"):
        read_labels(tmp_path / name)


def test_locate_refuses_to_guess_between_two_photos(tmp_path: Path) -> None:
    root = photos("one/a.jpg", "two/a.jpg", "two/b.jpg")(tmp_path)
    assert locate(root, ["two/a.jpg", "b", "absent.jpg"]) == {
        "two/a.jpg": root / "two/a.jpg",
        "b": root / "two/b.jpg",
        "absent.jpg": None,
    }
    with pytest.raises(DataError, match="one photo named 'a.jpg' .* found 2"):
        locate(root, ["a.jpg"])


def test_photos_below_leaves_out_hidden_and_other_files(tmp_path: Path) -> None:
    photos("b.JPG".lower(), "sub/a.png", ".hidden.jpg")(tmp_path)
    (tmp_path / "notes.txt").write_text("x")
    assert [path.name for path in photos_below(tmp_path)] == ["b.jpg", "a.png"]


# ------------------------------------------------------------------------------------------------ hashes


def test_hashes_are_remembered_until_the_file_changes(
    tmp_path: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"one")
    read: list[str] = []
    real = hashes.file_sha256
    monkeypatch.setattr(hashes, "file_sha256", lambda name: (read.append(name), real(name))[1])
    first = hashes.hash_files([path, path], label="x")
    assert first == hashes.hash_files([str(path)], label="x")
    assert read == [str(path)]
    path.write_bytes(b"other")
    assert hashes.hash_files([path], label="x") == {str(path): real(path)} != first
    (store,) = (own_cache / "hashes").iterdir()
    store.write_text("{ cut short")
    assert hashes.hash_files([path], label="x") == {str(path): real(path)}
    with pytest.raises(DataError, match="expected a readable file"):
        hashes.hash_files([tmp_path / "absent"], label="x")


def test_errors_of_data_sets_are_the_projects_own() -> None:
    assert issubclass(DataError, CalmError)
    assert all(isinstance(each, DataSet) for each in datasets().values())
