"""``calm score``, ``rank`` and ``comment`` on a shoot: RAW files, EXIF columns, and ratings in sidecars."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet
import pytest
from cameras import jpeg, write_dng
from doubles import BrightModel
from shapes import sidecars
from test_cli import calm, rows

from calm.cli import running
from calm.library.sidecars import Marks, Rating, mark, read_rating, stars
from calm.library.xmp import Packet
from calm.types import Aspect, Comment

TAKEN = {0x9003: "2024:05:06 07:08:09", 0x829A: 0.004, 0x829D: 2.8, 0x8827: 400, 0x920A: 35.0}
FILES = {"a.JPG": ["a.JPG", "a.DNG"], "b.jpg": ["b.jpg"], "c.jpg": ["c.jpg", "c.mov"]}


def grey(value: int) -> np.ndarray:
    return np.full((40, 60, 3), value, np.uint8)


@pytest.fixture(autouse=True)
def machine(own_cache, monkeypatch) -> BrightModel:
    opened = BrightModel()
    monkeypatch.setattr(running, "load_model", lambda name, device: opened)
    return opened


@pytest.fixture
def shoot(tmp_path: Path) -> Path:
    """A dark shot of two files, a bright one of one, and a Live Photo."""
    folder = tmp_path / "shoot"
    folder.mkdir()
    (folder / "a.JPG").write_bytes(jpeg(grey(60), TAKEN))
    write_dng(folder / "a.DNG", grey(60))
    (folder / "b.jpg").write_bytes(jpeg(grey(230)))
    (folder / "c.jpg").write_bytes(jpeg(grey(120), TAKEN))
    (folder / "c.mov").write_bytes(b"video")
    return folder


def by_name(capsys) -> dict[str, dict]:
    return {Path(row["path"]).name: row for row in rows(capsys)}


def test_files_of_one_shot_are_one_row_with_what_the_camera_noted(shoot, capsys, tmp_path):
    assert calm("score", shoot, "--exif", "--format", "jsonl", "-q") == 0
    found = by_name(capsys)
    assert set(found) == {"a.JPG", "b.jpg", "c.jpg"}
    assert found["a.JPG"]["files"] == [str(shoot / "a.JPG"), str(shoot / "a.DNG")] and found["b.jpg"]["files"] == [
        str(shoot / "b.jpg")
    ]
    shown = {name: found["a.JPG"][name] for name in ("taken", "exposure_time", "f_number", "iso", "focal_length")}
    assert list(shown.values()) == ["2024-05-06T07:08:09", 0.004, 2.8, 400, 35.0]
    assert found["b.jpg"]["taken"] is None and found["c.jpg"]["kind"] == "live"
    assert calm("score", shoot, "--exif", "-q") == 0
    assert "2024-05-06 07:08:09, 1/250 s, f/2.8, ISO 400, 35 mm" in capsys.readouterr().out
    assert calm("score", shoot, "--exif", "--output", tmp_path / "a.parquet", "-q") == 0
    assert pyarrow.parquet.read_table(tmp_path / "a.parquet")["iso"].to_pylist() == [400, None, 400]


def test_a_development_is_another_photo_than_the_preview(tmp_path, capsys):
    path = write_dng(tmp_path / "a.dng", np.full((160, 600, 3), 60, np.uint8), np.full((160, 600, 3), 200, np.uint8))
    found = []
    for options in ([], ["--develop"], [], ["--develop"], ["--develop", "--no-store"]):
        assert calm("score", path, "--format", "jsonl", "-q", *options) == 0
        found.append(rows(capsys)[0]["score"])
    shown, developed = found[:2]
    assert found == [shown, developed, shown, developed, developed]
    assert shown > developed + 1, "the camera's curve is followed as far as to eight times the light"


def test_ratings_go_into_the_sidecar_of_every_file_and_photos_are_not_touched(shoot, capsys):
    contents = {path: path.read_bytes() for path in shoot.iterdir()}
    assert calm("rank", shoot, "--write-xmp", "--no-xmp-label", "--format", "jsonl", "-q") == 0
    assert Packet((shoot / "b.jpg.xmp").read_bytes()).text("xmp:Label") is None
    capsys.readouterr()
    assert calm("rank", shoot, "--write-xmp", "--format", "jsonl", "-q") == 0
    found = by_name(capsys)
    for name, files in {"a.JPG": ["a.JPG", "a.DNG"], "b.jpg": ["b.jpg"], "c.jpg": ["c.jpg"]}.items():
        row = found[name]
        assert row["sidecars"] == [f"{shoot / file}.xmp" for file in files]
        assert row["rating"] == stars(row["score"]) and row["rated_by"] == "calm"
        for place in row["sidecars"]:
            packet = Packet(Path(place).read_bytes())
            assert packet.text("xmp:Rating") == str(row["rating"]) and packet.text("xmp:Label")
            assert packet.text("calm:Score") == f"{row['score']:.2f}" and packet.described("dc:description") is None
    assert {path: path.read_bytes() for path in contents} == contents
    assert {path.name for path in shoot.iterdir()} - {path.name for path in contents} == {
        f"{name}.xmp" for name in ("a.JPG", "a.DNG", "b.jpg", "c.jpg")
    }


def test_a_person_and_a_damaged_sidecar_keep_what_they_have(shoot, capsys):
    (shoot / "b.jpg.xmp").write_bytes(sidecars()["digikam_-1_0"])
    (shoot / "c.jpg.xmp").write_bytes(b"<x:xmpmeta")
    (shoot / "a.xmp").write_bytes(sidecars()["darktable_5_0"])
    assert calm("score", shoot, "--write-xmp", "--format", "jsonl", "-q") == 1
    found = by_name(capsys)
    assert (found["b.jpg"]["rating"], found["b.jpg"]["rated_by"]) == (-1, "person")
    assert (found["a.JPG"]["rating"], found["a.JPG"]["rated_by"]) == (5, "person"), "of its RAW file, so of the shot"
    assert found["a.JPG"]["sidecars"] == [f"{shoot / 'a.JPG'}.xmp", str(shoot / "a.xmp")]
    assert Packet((shoot / "a.JPG.xmp").read_bytes()).text("xmp:Rating") is None
    assert "expected XMP in" in found["c.jpg"]["error"] and found["c.jpg"]["score"] is not None
    assert (shoot / "c.jpg.xmp").read_bytes() == b"<x:xmpmeta"
    assert Packet((shoot / "b.jpg.xmp").read_bytes()).text("xmp:Label") is None
    assert calm("score", shoot / "b.jpg", "--write-xmp", "--overwrite-rating", "-q") == 0
    assert "5 of 5 stars by calm" in capsys.readouterr().out and read_rating(str(shoot / "b.jpg")) == Rating(5)


def test_words_on_request_and_lightrooms_names(shoot, capsys, machine, monkeypatch):
    noted = Aspect("subject", "high", 0, "dog, grass"), Aspect("light", "low", -1, "too dark (clear)")
    monkeypatch.setattr(machine, "_comment", lambda score: Comment("A dog.", noted))
    sidecar = ("--write-xmp", "--sidecar", "photo.xmp")
    assert calm("comment", shoot, *sidecar, "--xmp-description", "--xmp-keywords", "--format", "csv", "-q") == 0
    found = {Path(row["path"]).name: row for row in csv.DictReader(capsys.readouterr().out.splitlines())}
    assert json.loads(found["a.JPG"]["sidecars"]) == [f"{shoot / 'a.JPG'}.xmp", str(shoot / "a.xmp")]
    packet = Packet((shoot / "b.xmp").read_bytes())
    assert packet.described("dc:description") == found["b.jpg"]["comment"]
    assert packet.items("dc:subject") == ["dog", "grass"]


def test_options_of_sidecars_ask_for_them(shoot, capsys):
    assert calm("comment", shoot, "--xmp-keywords") == 2
    assert "expected --write-xmp beside options of it" in capsys.readouterr().err


def test_a_profile_is_learnt_from_a_persons_stars(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("CALM_PROFILES", str(tmp_path / "profiles"))
    photos, model = tmp_path / "photos", tmp_path / "model"
    photos.mkdir()
    model.mkdir()
    (model / "config.json").write_text("{}")
    many = [
        f"{person},{value}.jpg,{1 + 4 * (value / 255 if person % 2 else 1 - value / 255):.2f}"
        for value in range(20, 240, 12)
        for person in range(10)
    ]
    for value in range(20, 240, 12):
        (photos / f"{value}.jpg").write_bytes(jpeg(grey(value)))
    (tmp_path / "many.csv").write_text("\n".join(["person,photo,rating", *many]))
    prior = ("--images", photos, "--output", model / "tastes.safetensors", "-q")
    assert calm("profile", "prior", tmp_path / "many.csv", *prior) == 0
    given = {20: 5, 68: 4, 104: 4, 140: 3, 188: 2, 224: -1}
    for value, rating in given.items():
        packet = Packet(sidecars()["capture_one_none_0"])
        packet.set_text("xmp:Rating", str(rating))
        (photos / f"{value}.jpg.xmp").write_bytes(bytes(packet))
    mark(str(photos / "32.jpg"), Marks(rating=1))  # calm's own: nobody's taste
    capsys.readouterr()
    assert calm("profile", "learn", "me", "--read-xmp", "--images", photos, "--model", model, "-q") == 0
    assert "6 photos rated on 1–5" in capsys.readouterr().out
    assert calm("score", photos, "--profile", "me", "--model", model, "--format", "jsonl", "-q") == 0
    found = by_name(capsys)
    assert found["20.jpg"]["score"] > found["224.jpg"]["score"]
    assert calm("profile", "learn", "you", "--images", photos, "--model", model, "-q") == 2
    shutil.copy(photos / "20.jpg", photos / "x.jpg")
    (photos / "x.jpg.xmp").write_bytes(b"<torn")
    assert calm("profile", "update", "me", "--read-xmp", "--images", photos, "--model", model) == 0
    assert "left out" in capsys.readouterr().err
