"""``calm data``: what is listed, what a check finds and how it ends, and the contact sheet."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from layouts import LAYOUTS, photo
from PIL import Image
from published import jpeg, shard, write

from calm.cli import main
from calm.data.likeness import BANDS, COSINE, DIFFERENCE, alike, perceptual_hashes
from calm.data.record import Record, dataset, datasets
from calm.data.sheet import contact_sheet, draw, first_words


def calm(*arguments: object) -> int:
    """Runs ``calm data``; returns its exit status."""
    with pytest.raises(SystemExit) as left:
        main(["data", *(str(each) for each in arguments)])
    return left.value.code or 0


def found(capsys) -> dict:
    return json.loads(capsys.readouterr().out)


def scene(seed: int, size: tuple[int, int] = (320, 240)) -> Image.Image:
    """A picture with shapes, unlike those of other seeds."""
    draws = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return Image.fromarray(draws).resize(size, Image.Resampling.BICUBIC)


@pytest.fixture
def tad(tmp_path: Path) -> Path:
    """TAD66K with 2 train photos and 1 test photo, all different."""
    root = LAYOUTS["tad66k"][0](tmp_path / "tad")
    for seed, name in enumerate(("ada1.jpg", "bob@N2.jpg", "cy3.jpg")):
        scene(seed).save(root / "TAD66K" / name)
    return root


@pytest.fixture(autouse=True)
def small(monkeypatch) -> None:
    """As if so few photos were published."""
    monkeypatch.setattr(datasets()["tad66k"], "published", {"train": 2, "test": 1})


# ------------------------------------------------------------------------------------------------ list, check


def test_all_sets_are_listed_with_counts_and_terms(capsys):
    assert calm("list") == 0
    table = capsys.readouterr().out
    assert calm("list", "--format", "json") == 0
    listed = {each["name"]: each for each in found(capsys)}
    assert list(listed) == list(datasets())
    for name, each in listed.items():
        assert f"\n{name}\n" in f"\n{table}" and each["what"] and each["licence"] in table
    assert listed["koniq10k"]["published"] == {"train": 7058, "validation": 1000, "test": 2015}
    assert "7,058 train, 1,000 validation, 2,015 test" in table


def test_a_copy_that_is_whole(tad, capsys):
    assert calm("check", "tad66k", "--root", tad, "--near", "--format", "json") == 0
    report = found(capsys)
    assert report["counts"] == {"all": 3, "train": 2, "test": 1}
    assert report["score_map"] == "score = 1 + (s − 0) · 9/10, s published on 0–10"
    assert report["scores"] == pytest.approx(
        {"photos": 3, "lowest": 3.25, "mean": (5.5 + 3.25 + 10) / 3, "highest": 10}
    )
    assert (report["identical"], report["leaks"], report["near"], report["problems"]) == (0, [], [], [])
    assert calm("check", "tad66k", "--root", tad) == 0
    captured = capsys.readouterr()
    assert "photos, train      2 of 2 published" in captured.out and "all is well" in captured.out
    assert "none stated for the data" in captured.out and captured.err == ""


def test_duplicates_across_splits_are_a_fault_and_likeness_is_told(tad, capsys):
    photos = tad / "TAD66K"
    shutil.copy(photos / "cy3.jpg", photos / "ada1.jpg")
    scene(2, (200, 150)).save(photos / "bob@N2.jpg", quality=60)  # the test photo, smaller and recompressed
    assert calm("check", "tad66k", "--root", tad, "--near", "--format", "json") == 1
    report = found(capsys)
    assert report["identical"] == 1
    assert report["leaks"] == [[str(photos / "ada1.jpg"), str(photos / "cy3.jpg")]]
    assert report["near"] == [[str(photos / "bob@N2.jpg"), str(photos / "cy3.jpg")]]
    assert report["problems"] == ["1 groups of identical photos stand in more than one split"]
    assert calm("check", "tad66k", "--root", tad, "--headers", "--format", "json") == 1
    assert len(found(capsys)["leaks"]) == 1


def test_torn_photos_are_named_but_not_by_headers_alone(tad, tmp_path, capsys):
    torn = tad / "TAD66K/cy3.jpg"
    torn.write_bytes(torn.read_bytes()[:-600])
    assert calm("check", "tad66k", "--root", tad, "--headers", "-q") == 0
    capsys.readouterr()
    assert calm("check", "tad66k", "--root", tad) == 1
    out = capsys.readouterr().out
    assert f"expected a whole photo in {torn}" in out and "1 photos cannot be read" in out
    torn.unlink()
    torn.symlink_to(tmp_path / "nowhere.jpg")
    assert calm("check", "tad66k", "--root", tad, "--headers", "-q") == 1
    capsys.readouterr()
    torn.unlink()
    torn.write_bytes(b"no photo at all")
    assert calm("check", "tad66k", "--root", tad, "--headers", "--format", "json") == 1
    assert found(capsys)["unreadable"][0]["path"] == str(torn)


def test_missing_photos_and_wrong_counts(tad, capsys, monkeypatch):
    (tad / "TAD66K/cy3.jpg").unlink()
    monkeypatch.setattr(datasets()["tad66k"], "published", {"all": 3, "train": 9})
    assert calm("check", "tad66k", "--root", tad, "--format", "json") == 1
    report = found(capsys)
    assert report["missing"] == 1 and report["missing_examples"] == [str(tad / "TAD66K/cy3.jpg")]
    assert report["problems"][0].startswith("1 of 3 photos are missing; get them from woshidandan/TANet")
    assert report["problems"][1:] == ["2 photos of train, 9 as published"]


def test_a_table_that_is_broken_is_a_fault_and_a_set_that_is_not_there_is_wrong_usage(tad, tmp_path, capsys):
    write(tad / "labels/merge/train.csv", "photo,mark\n")
    assert calm("check", "tad66k", "--root", tad) == 1
    assert "problem            expected column image, score" in capsys.readouterr().out
    assert calm("check", "tad66k", "--root", tmp_path / "nowhere") == 2
    said = capsys.readouterr()
    assert said.err.count("\n") == 1 and "woshidandan/TANet" in said.err and said.out == ""


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["check", "tad", "--root", "."], "did you mean tad66k"),
        (["check", "tad66k", "--root", ".", "--scale", "1", "5"], "--scale for folder or webdataset alone"),
        (["check", "folder", "--root", ".", "--scale", "5", "1"], "a scale from low to high"),
        (["check", "folder", "--root", ".", "--near", "--headers"], "--near or --headers, found both"),
        (["show", "folder", "--root", ".", "--output", "x.gif"], "ending in .jpg, .jpeg, .png"),
        (["show", "folder", "--root", ".", "--output", "no/x.jpg"], "the output's folder to exist"),
    ],
)
def test_wrong_usage(arguments, words, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert calm(*arguments) == 2
    assert words in capsys.readouterr().err


def test_scores_of_a_folder_are_on_the_scale_given(tmp_path, capsys):
    root = LAYOUTS["folder"][0](tmp_path / "set")
    write(root / "labels.csv", "photo,score\na.jpg,5\ntrip/b.png,1\n")
    assert calm("check", "folder", "--root", root, "--scale", 1, 5, "--format", "json") == 0
    report = found(capsys)
    assert report["score_map"] == "score = 1 + (s − 1) · 9/4, s published on 1–5"
    assert (report["scores"]["lowest"], report["scores"]["highest"]) == (1, 10)


def test_shards_are_decoded_too(tmp_path, capsys):
    good = jpeg(tmp_path, 0)
    shard(tmp_path / "set/train-0.tar", {"a.png": good, "b.png": good[:-90]})
    shard(tmp_path / "set/test-0.tar", {"c.png": good})
    assert calm("check", "webdataset", "--root", tmp_path / "set", "--format", "json") == 1
    report = found(capsys)
    assert report["counts"] == {"all": 3, "train": 1 + 1, "test": 1}
    assert [Path(each["path"]).name for each in report["unreadable"]] == ["train-0.tar::b.png"]
    assert [[Path(path).name for path in group] for group in report["leaks"]] == [
        ["test-0.tar::c.png", "train-0.tar::a.png"]
    ]


def test_para_tells_of_the_files_that_its_reader_drops(tmp_path, capsys):
    root = LAYOUTS["para"][0](tmp_path)
    assert calm("check", "para", "--root", root, "--format", "json") == 1
    report = found(capsys)
    assert [[Path(path).name for path in group] for group in report["leaks"]] == [["iaa_pub3_.jpg", "iaa_pub90_.jpg"]]
    assert report["counts"]["all"] == 26


# ------------------------------------------------------------------------------------------------ likeness


def test_hashes_know_a_copy_from_another_photo():
    def hashes(image: Image.Image) -> tuple[int, int]:
        return perceptual_hashes(np.asarray(image))

    def apart(one: tuple[int, int], other: tuple[int, int]) -> tuple[int, int]:
        return (one[0] ^ other[0]).bit_count(), (one[1] ^ other[1]).bit_count()

    one = hashes(scene(0, (640, 480)))
    bits = apart(one, hashes(scene(0, (300, 225))))
    assert bits[0] <= DIFFERENCE and bits[1] <= COSINE
    assert min(apart(one, hashes(scene(1, (640, 480))))) > COSINE


def test_the_search_finds_what_comparing_everything_finds(monkeypatch):
    from calm.data import likeness

    rng = np.random.default_rng(3)
    one = rng.integers(0, 2**63, (300, 2), dtype=np.uint64)
    other = one[rng.integers(0, 300, 200)].copy()
    for row in other:  # up to five bits of each hash turned
        for column in (0, 1):
            for bit in rng.integers(0, 64, rng.integers(0, 6)):
                row[column] ^= np.uint64(1) << np.uint64(bit)
    other[:20] = rng.integers(0, 2**63, (20, 2), dtype=np.uint64)
    near = (np.bitwise_count(one[:, None, 0] ^ other[None, :, 0]) <= DIFFERENCE) & (
        np.bitwise_count(one[:, None, 1] ^ other[None, :, 1]) <= COSINE
    )
    expected = [tuple(map(int, pair)) for pair in np.argwhere(near)]
    assert len(expected) > 50 and BANDS == DIFFERENCE + 1
    for chunk in (4_000_000, 7):
        monkeypatch.setattr(likeness, "CHUNK", chunk)
        assert alike(one, other) == expected
    nothing = np.empty((0, 2), np.uint64)
    assert alike(nothing, other) == alike(one, nothing) == []


# ------------------------------------------------------------------------------------------------ show


def test_the_sheet_is_drawn_once(tad, tmp_path, capsys):
    sheet = tmp_path / "sheet.jpg"
    assert calm("show", "tad66k", "--root", tad, "--output", sheet, "--count", 2, "--split", "train") == 0
    assert capsys.readouterr().out == f"{sheet}\n"
    with Image.open(sheet) as image:
        assert image.format == "JPEG" and image.width < 3 * 244
    before = sheet.read_bytes()
    assert calm("show", "tad66k", "--root", tad, "--output", sheet) == 2
    assert "add --overwrite" in capsys.readouterr().err and sheet.read_bytes() == before
    assert calm("show", "tad66k", "--root", tad, "--output", sheet, "--overwrite") == 0
    assert sheet.read_bytes() != before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["sheet.jpg", "tad"]
    assert calm("show", "tad66k", "--root", tad, "--output", tmp_path / "x.png", "--split", "validation") == 2


def test_which_photos_are_drawn_depends_on_the_seed_alone():
    records = [Record(str(i)) for i in range(50)]
    assert draw(records, 5, 1) == draw(records, 5, 1) != draw(records, 5, 2)
    assert draw(records, 99, 0) == records


def test_each_photo_stands_above_its_label(tmp_path):
    red = tmp_path / "red.png"
    Image.new("RGB", (60, 40), "red").save(red)
    torn = photo(tmp_path / "torn.png", 0)
    torn.write_bytes(torn.read_bytes()[:60])
    each = dataset("folder")
    records = [Record(str(red), 7.5, comments=("Fine " * 60,)), Record(str(torn))]
    sheet = np.asarray(contact_sheet(each, records)).astype(int)
    reds = (sheet[..., 0] > 200) & (sheet[..., 1] < 80)
    assert reds[:, :250].sum() > 20_000 and not reds[:, 250:].any()
    below = sheet[190:, :250]
    assert (below.max(axis=2) < 100).sum() > 100, "no label is drawn"


def test_the_first_words_are_a_comment_then_a_caption():
    assert first_words(Record("a", captions=("A  dog",))) == "A dog"
    assert first_words(Record("a", captions=("A dog",), comments=(" ", "Sharp"))) == "Sharp"
    assert first_words(Record("a")) == ""


def test_help_names_the_commands(capsys):
    for command in ([], ["list"], ["check"], ["show"]):
        assert calm(*command, "--help") == 0
        assert capsys.readouterr().out.startswith("Usage: " + " ".join(["calm data", *command]))


def test_every_set_has_its_card():
    """``docs/datasets.md`` names every set, and its published counts as the reader has them."""
    text = (Path(__file__).parents[1] / "docs/datasets.md").read_text(encoding="utf-8")
    cards = {line.split("`")[1]: line for line in text.splitlines() if line.startswith("| `")}
    for name, each in datasets().items():
        assert f"`{name}`" in text
        for count in {"tad66k": (52248, 14079)}.get(name, each.published.values()):
            assert f"{count:,}" in cards[name], f"{name}: {count}"
