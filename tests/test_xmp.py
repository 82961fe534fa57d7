"""XMP sidecars: what others wrote stays, what a person rated stays, and exiftool reads what was written."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pillow_heif
import pytest
from cameras import jpeg, write_dng
from lxml import etree
from PIL import Image
from shapes import NAMES, RATINGS, sidecars
from skimage import data

from calm.errors import PhotoError
from calm.library.sidecars import LABELS, Marks, Rating, find_sidecar, mark, new_sidecar, plan, read_rating, stars
from calm.library.xmp import PREFIXES, Packet

COFFEE = data.coffee()[::16, ::16]
OURS = ("Rating", "Label", "Subject", "Description")
"""What calm may change, by exiftool's names; and all of its own namespace."""
MARKS = Marks(6.66, "calm-small", 4, "Green", "A dog on grass.", ("dog", "grass"))
exiftool = pytest.mark.skipif(
    shutil.which("exiftool") is None, reason="needs exiftool: apt-get install libimage-exiftool-perl"
)


def asked(folder: Path, *options: str) -> dict[str, dict[str, Any]]:
    """What exiftool reads of every file in a folder, by its name."""
    command = ["exiftool", "-j", "-struct", "-a", "-u", "-ee", "-G1", *options, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return {Path(row["SourceFile"]).name: row for row in json.loads(done.stdout)}


def foreign(row: dict[str, Any]) -> dict[str, Any]:
    """What is neither calm's nor of the file system."""
    return {
        name: value
        for name, value in row.items()
        if name.startswith("XMP-") and not name.startswith("XMP-calm:") and name not in OUR_TAGS
    }


OUR_TAGS = ("XMP-xmp:Rating", "XMP-xmp:Label", "XMP-dc:Subject", "XMP-dc:Description")


def nodes(sidecar: bytes) -> Counter[tuple]:
    """Everything in an XMP file that is not calm's to write, with its prefix and its place."""
    ours = {f"{{{NAMES['xmp']}}}{name}" for name in OURS} | {f"{{{NAMES['dc']}}}{name.lower()}" for name in OURS}
    found: Counter[tuple] = Counter()
    for element in etree.fromstring(sidecar).getroottree().iter():
        line = [element, *element.iterancestors()]
        tags = [str(each.tag) for each in line]
        if any(tag in ours or PREFIXES["calm"] in tag for tag in tags) or element.get(f"{{{RDF}}}nodeID") == "words":
            continue
        if any(each.get(f"{{{RDF}}}nodeID") == "words" for each in line):
            continue
        text = (element.text or "").strip()
        kept = {name: value for name, value in element.attrib.items() if name not in ours} if element.attrib else {}
        if not kept and not text and not len(element) and tags[0] == f"{{{RDF}}}Description":
            continue
        found[(tuple(tags), element.prefix, text, tuple(kept.items()))] += 1
    return found


RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "IMG_0001.JPG"
    path.write_bytes(jpeg(COFFEE))
    return path


def sidecar(photo: Path, rating: str | None = None, **more: str) -> Path:
    """A sidecar with the photo's whole name."""
    path = photo.with_name(photo.name + ".xmp")
    packet = Packet()
    if rating is not None:
        packet.set_text("xmp:Rating", rating)
    for name, value in more.items():
        packet.set_text(name.replace("_", ":"), value)
    path.write_bytes(bytes(packet))
    return path


# ------------------------------------------------------------------------------------------------ nothing is lost


@pytest.fixture(scope="module")
def shoot(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of photos with a sidecar in each shape."""
    folder = tmp_path_factory.mktemp("shoot")
    content = jpeg(COFFEE)
    for name, written in sidecars().items():
        (folder / f"{name}.jpg").write_bytes(content)
        (folder / f"{name}.jpg.xmp").write_bytes(written)
    return folder


@pytest.fixture(scope="module")
def before(shoot: Path) -> dict[str, dict[str, Any]]:
    return asked(shoot, "-ext", "xmp")


@exiftool
@pytest.mark.parametrize("overwrite", [False, True])
def test_all_that_others_wrote_stays(
    shoot: Path, before: dict[str, dict[str, Any]], tmp_path: Path, overwrite: bool
) -> None:
    folder = Path(shutil.copytree(shoot, tmp_path / "shoot"))
    assert len(before) >= 60 and all(len(foreign(row)) >= 3 for row in before.values())
    for path in sorted(folder.glob("*.jpg")):
        mark(str(path), MARKS, overwrite_rating=overwrite)
    after = asked(folder, "-ext", "xmp")
    assert set(after) == set(before)
    for name, row in after.items():
        assert foreign(row) == foreign(before[name]), name
        old = before[name].get("XMP-xmp:Rating", 0)
        assert row["XMP-xmp:Rating"] == (4 if overwrite or old == 0 else old), name
        old_words = before[name].get("XMP-dc:Subject", [])
        old_words = [old_words] if isinstance(old_words, str) else old_words
        assert row["XMP-dc:Subject"] == [*old_words, *(word for word in ("dog", "grass") if word not in old_words)]
        assert row["XMP-dc:Description"] == "A dog on grass." and row["XMP-xmp:Label"] == "Green"
        assert row.get("XMP-dc:Description-de") == before[name].get("XMP-dc:Description-de")
        assert row["XMP-calm:Score"] == 6.66 and row["XMP-calm:Model"] == "calm-small"


def test_elements_prefixes_comments_and_order_stay(shoot: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(shoot, tmp_path / "shoot"))
    for path in sorted(folder.glob("*.jpg")):
        old = Path(f"{path}.xmp").read_bytes()
        new = bytes(plan(str(path), MARKS, overwrite_rating=True).after or b"")
        assert nodes(new) >= nodes(old) and nodes(old), path.name
        assert (b"<!-- kept by hand -->" in old) == (b"<!-- kept by hand -->" in new)
        if not path.name.startswith("utf16"):
            assert old.count(b"<?xpacket") == new.count(b"<?xpacket") and (b"<?xml" in old) == (b"<?xml" in new)


def test_marking_twice_is_marking_once(shoot: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(shoot, tmp_path / "shoot"))
    for path in sorted(folder.glob("*.jpg"))[::5]:
        mark(str(path), MARKS)
        once = Path(f"{path}.xmp").read_bytes(), Path(f"{path}.xmp").stat().st_mtime_ns
        again = mark(str(path), MARKS)
        assert again.before == again.after
        assert (Path(f"{path}.xmp").read_bytes(), Path(f"{path}.xmp").stat().st_mtime_ns) == once


# ------------------------------------------------------------------------------------------------ ratings


@exiftool
def test_ratings_are_read_back_as_written(tmp_path: Path) -> None:
    for value in (-1, 1, 2, 3, 4, 5):
        path = tmp_path / f"{value}.jpg"
        path.write_bytes(jpeg(COFFEE))
        mark(str(path), Marks(rating=value, label=LABELS[value]))
        assert read_rating(str(path)) == Rating(value)
    found = asked(tmp_path, "-ext", "xmp")
    assert {name: row["XMP-xmp:Rating"] for name, row in found.items()} == {
        f"{value}.jpg.xmp": value for value in (-1, 1, 2, 3, 4, 5)
    }
    assert found["-1.jpg.xmp"]["XMP-xmp:Label"] == "Red"


@pytest.mark.parametrize("given", RATINGS)
def test_a_persons_rating_stays_and_what_is_unrated_is_rated(photo: Path, given: str) -> None:
    place = sidecar(photo, given or None)
    change = mark(str(photo), Marks(rating=2))
    rated = given not in ("", "0")
    assert change.rating == (Rating(int(given), True) if rated else Rating(2))
    assert Packet(place.read_bytes()).text("xmp:Rating") == (given if rated else "2")
    assert mark(str(photo), Marks(rating=2), overwrite_rating=True).rating == Rating(2)
    assert read_rating(str(photo)) == Rating(2)


def test_calms_own_rating_follows_the_score_until_a_person_changes_it(photo: Path) -> None:
    mark(str(photo), Marks(rating=2))
    assert mark(str(photo), Marks(rating=3)).rating == Rating(3)
    place = Path(f"{photo}.xmp")
    place.write_bytes(place.read_bytes().replace(b"<xmp:Rating>3<", b"<xmp:Rating>5<"))
    assert mark(str(photo), Marks(rating=4)).rating == Rating(5, True)
    place.write_bytes(place.read_bytes().replace(b"<xmp:Rating>5<", b"<xmp:Rating>3<"))
    assert mark(str(photo), Marks(rating=4)).rating == Rating(3, True), "a person may come back to calm's old rating"


def test_a_persons_label_and_description_stay_and_calms_own_follow(photo: Path) -> None:
    mark(str(photo), Marks(label="Red", description="Old.", keywords=("cat", "grass")))
    mark(str(photo), Marks(label="Green", description="New.", keywords=("dog", "grass")))
    place = Path(f"{photo}.xmp")
    packet = Packet(place.read_bytes())
    assert (packet.text("xmp:Label"), packet.described("dc:description")) == ("Green", "New.")
    assert packet.items("dc:subject") == ["grass", "dog"]
    packet.set_text("xmp:Label", "Winner")
    packet.describe("dc:description", "By Ana.")
    packet.set_items("dc:subject", ["Dog", "mine"])
    place.write_bytes(bytes(packet))
    mark(str(photo), Marks(label="Red", description="Newer.", keywords=("dog", "sea")), overwrite_rating=True)
    packet = Packet(place.read_bytes())
    assert (packet.text("xmp:Label"), packet.described("dc:description")) == ("Winner", "By Ana.")
    assert packet.items("dc:subject") == ["Dog", "mine", "sea"]


@exiftool
def test_a_rating_within_a_photo_is_a_persons_and_the_photo_is_not_touched(tmp_path: Path) -> None:
    pillow_heif.register_heif_opener()
    paths = [tmp_path / f"a.{ending}" for ending in ("jpg", "png", "webp", "tif", "heic", "avif")]
    for path in paths:
        Image.fromarray(COFFEE).save(path)
    paths.append(write_dng(tmp_path / "a.dng", COFFEE))
    subprocess.run(["exiftool", "-q", "-overwrite_original", "-XMP-xmp:Rating=2", str(tmp_path)], check=True)
    contents = [path.read_bytes() for path in paths]
    for path in paths:
        assert mark(str(path), Marks(7.5, rating=5)).rating == Rating(2, True) == read_rating(str(path)), path.suffix
    assert [path.read_bytes() for path in paths] == contents
    assert [row["XMP-xmp:Rating"] for row in asked(tmp_path, "-ext", "xmp").values()] == [2] * len(paths)


def test_windows_ratings_and_odd_ones(photo: Path) -> None:
    for name, given, value in (
        *(("MicrosoftPhoto_Rating", text, number) for text, number in (("1", 1), ("25", 2), ("75", 4), ("99", 5))),
        *(("xmp_Rating", text, number) for text, number in (("3.0", 3), ("-1", -1), ("9", None), ("five", None))),
    ):
        sidecar(photo, **{name: given})
        assert read_rating(str(photo)).value == value, given


def test_stars_rise_with_the_score() -> None:
    given = [stars(1 + 0.01 * step) for step in range(901)]
    assert given == sorted(given) and set(given) == {1, 2, 3, 4, 5}


# ------------------------------------------------------------------------------------------------ whose sidecar


def test_equal_names_in_two_folders(tmp_path: Path) -> None:
    for folder, value in (("a", 2), ("b", 5)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "IMG.jpg").write_bytes(jpeg(COFFEE))
        mark(str(tmp_path / folder / "IMG.jpg"), Marks(rating=value))
    assert [read_rating(str(tmp_path / folder / "IMG.jpg")).value for folder in "ab"] == [2, 5]


def test_a_stems_sidecar_belongs_to_the_raw_file(tmp_path: Path) -> None:
    raw, shown, stem = (tmp_path / name for name in ("IMG.NEF", "IMG.JPG", "IMG.xmp"))
    write_dng(raw, COFFEE)
    shown.write_bytes(jpeg(COFFEE))
    stem.write_bytes(sidecars()["darktable_3_0"])
    assert find_sidecar(str(raw)) == str(stem) and find_sidecar(str(shown)) is None
    assert mark(str(shown), Marks(rating=1)).path == f"{shown}.xmp"
    assert (read_rating(str(raw)), read_rating(str(shown))) == (Rating(3, True), Rating(1))
    raw.unlink()
    assert find_sidecar(str(shown)) == f"{shown}.xmp", "the whole name comes first"
    Path(f"{shown}.xmp").unlink()
    assert find_sidecar(str(shown)) == str(stem)
    stem.write_bytes(sidecars()["lightroom_3_0"])
    assert find_sidecar(str(shown)) is None, "it says that it is of a NEF"


def test_a_stems_sidecar_that_names_its_photo(tmp_path: Path) -> None:
    one, two, stem = (tmp_path / name for name in ("IMG_0001.jpg", "IMG_0001.png", "IMG_0001.xmp"))
    for path in (one, two):
        path.write_bytes(jpeg(COFFEE))
    packet = Packet()
    stem.write_bytes(bytes(packet))
    assert find_sidecar(str(one)) is None and find_sidecar(str(two)) is None
    packet.set_text("xmpMM:DerivedFrom", "img_0001.PNG")
    stem.write_bytes(bytes(packet))
    assert find_sidecar(str(one)) is None and find_sidecar(str(two)) == str(stem)


def test_names_of_new_sidecars(tmp_path: Path) -> None:
    raw, shown, alone = (str(tmp_path / name) for name in ("IMG.NEF", "IMG.JPG", "B.jpg"))
    write_dng(Path(raw), COFFEE)
    for path in (shown, alone):
        Path(path).write_bytes(jpeg(COFFEE))
    assert [new_sidecar(path, "photo.ext.xmp") for path in (raw, alone)] == [f"{raw}.xmp", f"{alone}.xmp"]
    assert new_sidecar(raw, "photo.xmp") == str(tmp_path / "IMG.xmp")
    assert new_sidecar(shown, "photo.xmp") == f"{shown}.xmp", "IMG.xmp is the RAW file's"
    assert new_sidecar(alone, "photo.xmp") == str(tmp_path / "B.xmp")


# ------------------------------------------------------------------------------------------------ files stay whole


@pytest.mark.parametrize(
    "content",
    [b"<x:xmpmeta", b"<html/>", b"\1\2", b"<!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/hostname'>]><a>&b;</a>"],
)
def test_a_sidecar_that_is_no_xmp_is_left_alone(photo: Path, content: bytes) -> None:
    place = Path(f"{photo}.xmp")
    place.write_bytes(content)
    with pytest.raises(PhotoError, match="expected XMP in .*IMG_0001.JPG.xmp, found: "):
        mark(str(photo), MARKS)
    assert place.read_bytes() == content and sorted(os.listdir(photo.parent)) == [photo.name, place.name]


def test_a_folder_that_cannot_be_written(photo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = sidecar(photo, "3")
    old = place.read_bytes()

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(PhotoError, match="expected to write the sidecar of .*, found: .*No space left"):
        mark(str(photo), MARKS)
    assert place.read_bytes() == old and sorted(os.listdir(photo.parent)) == [photo.name, place.name]


def test_links_permissions_and_what_another_program_writes(photo: Path) -> None:
    real = photo.with_name("real.xmp")
    real.write_bytes(bytes(Packet()))
    real.chmod(0o640)
    place = Path(f"{photo}.xmp")
    place.symlink_to(real)
    mark(str(photo), Marks(rating=3))
    assert place.is_symlink() and read_rating(str(photo)) == Rating(3) and real.stat().st_mode & 0o777 == 0o640
    change = plan(str(photo), Marks(rating=4))
    other = Packet(real.read_bytes())
    other.set_text("dc:format", "image/jpeg")
    real.write_bytes(bytes(other))
    assert not change.write() and Packet(real.read_bytes()).text("xmp:Rating") == "3"
    assert mark(str(photo), Marks(rating=4)).rating == Rating(4)
    assert Packet(real.read_bytes()).text("dc:format") == "image/jpeg"


def test_a_change_is_taken_back(photo: Path) -> None:
    for before in (None, sidecars()["digikam_3_2"]):
        place = Path(f"{photo}.xmp")
        if before:
            place.write_bytes(before)
        change = mark(str(photo), MARKS)
        assert change.undone().write()
        assert (place.read_bytes() if place.exists() else None) == before


KILLED = """
import sys
from pathlib import Path
from calm.library.sidecars import Marks, mark
photos = sorted(str(path) for path in Path(sys.argv[1]).glob("*.jpg"))
print("go", flush=True)
for turn in range(10**6):
    for path in photos:
        mark(path, Marks(5.0, "m" * (turn % 5000), 1 + turn % 5, keywords=(f"word{turn % 7}",)), overwrite_rating=True)
"""


def test_a_killed_run_leaves_every_sidecar_whole(shoot: Path, tmp_path: Path) -> None:
    folder = tmp_path / "shoot"
    folder.mkdir()
    for name in sorted(os.listdir(shoot))[::8]:
        stem = name.split(".")[0]
        for ending in (".jpg", ".jpg.xmp"):
            shutil.copy(shoot / (stem + ending), folder)
    old = {path: nodes(path.read_bytes()) for path in folder.glob("*.xmp")}
    moments = random.Random(0)
    for _ in range(3):
        with subprocess.Popen([sys.executable, "-c", KILLED, str(folder)], stdout=subprocess.PIPE) as run:
            assert run.stdout is not None and run.stdout.readline() == b"go\n"
            time.sleep(moments.uniform(0, 0.3))
            run.send_signal(signal.SIGKILL)
        for path, known in old.items():
            assert nodes(path.read_bytes()) >= known
            assert Packet(path.read_bytes()).text("xmp:Rating") in ("-1", "0", "1", "2", "3", "4", "5", None)
