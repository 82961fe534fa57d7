"""RAW files, what cameras note about photos, and shots of several files."""

from __future__ import annotations

import os
import struct
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from cameras import directory, jpeg, rational, text, write_dng
from PIL import Image
from skimage import data

from calm.data.images import load_photo
from calm.errors import PhotoError
from calm.library.exif import read_exif
from calm.library.shots import Shot, find_shots

COFFEE = data.coffee()[120:280]
NEGATIVE = 255 - COFFEE
LARGE = np.repeat(np.repeat(COFFEE, 2, 0), 2, 1)


def off(pixels: np.ndarray, truth: np.ndarray) -> float:
    """Mean difference, 0–255."""
    assert pixels.shape == truth.shape
    return float(np.abs(pixels.astype(int) - truth).mean())


# ------------------------------------------------------------------------------------------------ RAW


@pytest.mark.parametrize(("orientation", "ending"), [(1, "jpg"), (3, "dng"), (6, "tif"), (8, "nef")])
def test_raw_is_seen_by_its_preview_or_developed_upright(tmp_path: Path, orientation: int, ending: str) -> None:
    path = write_dng(tmp_path / f"a.{ending}", COFFEE, NEGATIVE, orientation)
    shown = load_photo(path)
    assert (shown.width, shown.height) == (600, 160) and off(shown.pixels, NEGATIVE) < 4
    assert off(load_photo(write_dng(path, COFFEE, COFFEE, orientation), develop=True).pixels, COFFEE) < 5


def test_raw_without_a_preview_of_use_is_developed(tmp_path: Path) -> None:
    assert off(load_photo(write_dng(tmp_path / "a.dng", COFFEE)).pixels, COFFEE) < 5
    assert off(load_photo(write_dng(tmp_path / "b.dng", COFFEE, COFFEE[::4, ::4])).pixels, COFFEE) < 5


def test_a_development_is_as_bright_as_the_preview(tmp_path: Path) -> None:
    dark = write_dng(tmp_path / "a.dng", (COFFEE * 0.5).astype(np.uint8), COFFEE)
    assert load_photo(dark, develop=True).pixels.mean() == pytest.approx(COFFEE.mean(), rel=0.05)


def test_large_raw_is_developed_at_half_size(tmp_path: Path) -> None:
    path = write_dng(tmp_path / "a.dng", LARGE)
    photo = load_photo(path, reference=600)
    assert (photo.width, photo.height, photo.pixels.shape) == (1200, 320, (160, 600, 3))
    assert off(photo.pixels, COFFEE) < 5


def test_raw_that_is_cut_short_is_refused_and_a_whole_preview_is_not(tmp_path: Path) -> None:
    whole = write_dng(tmp_path / "a.dng", COFFEE, COFFEE).read_bytes()
    mosaic_end = 8 + COFFEE.shape[0] * COFFEE.shape[1] * 2
    torn = tmp_path / "torn.dng"
    torn.write_bytes(whole[: mosaic_end // 2] + bytes(mosaic_end - mosaic_end // 2) + whole[mosaic_end:])
    assert off(load_photo(torn).pixels, COFFEE) < 4
    with pytest.raises(PhotoError, match="can be developed, found: rows without a picture; .* leave --develop away"):
        load_photo(torn, develop=True)
    small = write_dng(tmp_path / "b.dng", np.zeros_like(COFFEE), COFFEE[::4, ::4])
    small.write_bytes(small.read_bytes()[:8] + bytes(mosaic_end - 8) + small.read_bytes()[mosaic_end:])
    assert load_photo(small).note == "seen by a preview of 150 × 40 pixels alone: its RAW data is damaged"
    torn.write_bytes(whole[:8] + bytes(mosaic_end // 10) + whole[8 + mosaic_end // 10 :])
    with pytest.raises(PhotoError, match="rows without a picture"):
        load_photo(torn, develop=True)


def test_tiff_is_no_raw(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x010F], exif[0x0110] = "Canon", "Canon EOS 350D DIGITAL"
    Image.fromarray(COFFEE).save(tmp_path / "a.tif", exif=exif)
    assert off(load_photo(tmp_path / "a.tif", develop=True).pixels, COFFEE) == 0


def test_frames_that_are_black_or_partly_white_are_no_damage(tmp_path: Path) -> None:
    black = np.random.default_rng(0).integers(0, 4, COFFEE.shape).astype(np.uint8)
    assert load_photo(write_dng(tmp_path / "a.dng", black)).pixels.max() < 8
    white = np.concatenate([COFFEE[:80], np.full_like(COFFEE[80:], 255)])
    assert off(load_photo(write_dng(tmp_path / "b.dng", white)).pixels, white) < 5


# ------------------------------------------------------------------------------------------------ EXIF


TAGS = {
    0x9003: "2024:05:06 07:08:09",
    0x9291: "25",
    0x9011: "+02:00",
    0x829A: 0.004,
    0x829D: 2.8,
    0x8827: 400,
    0x9204: -2 / 3,
    0x920A: 35.0,
    0xA434: "35mm F2",
}


def test_exif_of_a_jpeg_and_of_raw(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(jpeg(COFFEE, TAGS))
    found = read_exif(tmp_path / "a.jpg")
    assert found.taken == datetime.fromisoformat("2024-05-06T07:08:09.250000+02:00")
    assert (found.lens, found.exposure_time, found.f_number, found.iso) == ("35mm F2", 0.004, 2.8, 400)
    assert found.exposure_bias == pytest.approx(-2 / 3) and found.focal_length == 35
    for preview in (None, COFFEE):
        found = read_exif(write_dng(tmp_path / "a.dng", COFFEE, preview))
        assert found.taken == datetime(2024, 5, 6, 7, 8, 9) and found.camera == "Calm Testcam"
        assert (found.exposure_time, found.f_number, found.iso, found.focal_length) == (0.004, 2.8, 400, None)


def test_exif_of_canons_boxes(tmp_path: Path) -> None:
    main = b"II*\0\x08\0\0\0" + directory({0x010F: text("Canon"), 0x0110: text("Canon EOS R5")}, 8)
    detail = b"II*\0\x08\0\0\0" + directory({0x9003: text("2024:05:06 07:08:09"), 0x829A: rational(1, 250)}, 8)
    boxes = [struct.pack(">I", len(box) + 8) + name + box for name, box in ((b"CMT1", main), (b"CMT2", detail))]
    (tmp_path / "a.cr3").write_bytes(b"\0\0\0\x18ftypcrx \0\0\0\1crx isom" + b"".join(boxes) + bytes(99))
    found = read_exif(tmp_path / "a.cr3")
    assert (found.taken, found.camera, found.exposure_time) == (datetime(2024, 5, 6, 7, 8, 9), "Canon EOS R5", 0.004)


@pytest.mark.parametrize("when", ["0000:00:00 00:00:00", "    :  :     :  :  ", "2024-05-06", ""])
def test_what_is_no_time_is_not_known(tmp_path: Path, when: str) -> None:
    (tmp_path / "a.jpg").write_bytes(jpeg(COFFEE, {0x9003: when, 0x829A: 0.0}))
    assert read_exif(tmp_path / "a.jpg").taken is None


def test_files_that_are_no_photo_have_no_exif(tmp_path: Path) -> None:
    for name, content in (("a.jpg", b""), ("b.jpg", b"II*\0" + bytes(40)), ("c.nef", os.urandom(500))):
        (tmp_path / name).write_bytes(content)
        assert read_exif(tmp_path / name).taken is None
    assert read_exif(tmp_path / "gone.jpg").camera is None


def test_motion_photos_and_ultra_hdr_are_known(tmp_path: Path) -> None:
    motion = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><a GCamera:MotionPhoto="1"/></x:xmpmeta>'
    hdr = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><a xmlns:h="http://ns.adobe.com/hdr-gain-map/1.0/"/></x:xmpmeta>'
    for name, packet, kind in (("a.jpg", motion, "motion"), ("b.jpg", hdr, "ultra_hdr"), ("c.jpg", b"", None)):
        (tmp_path / name).write_bytes(jpeg(COFFEE, xmp=packet) if packet else jpeg(COFFEE))
        assert read_exif(tmp_path / name).kind == kind
    (tmp_path / "d.jpg").write_bytes(jpeg(COFFEE) + b"\0MotionPhoto_Data" + bytes(999) + b"SEFT")
    assert read_exif(tmp_path / "d.jpg").kind == "motion"
    assert off(load_photo(tmp_path / "d.jpg").pixels, COFFEE) < 4


# ------------------------------------------------------------------------------------------------ shots


def write(folder: Path, *names: str, taken: str = "2024:05:06 07:08:09") -> None:
    """Files of the same small photo, of that time."""
    folder.mkdir(exist_ok=True)
    for name in names:
        if name.lower().endswith((".dng", ".nef")):
            write_dng(folder / name, COFFEE[::8, ::8], taken=taken)
        else:
            (folder / name).write_bytes(jpeg(COFFEE[::8, ::8], {0x9003: taken}))


def found(folder: Path, **how: bool) -> list[list[str]]:
    return [[os.path.relpath(file, folder) for file in shot.files] for shot in find_shots([str(folder)], **how)]


def test_files_of_one_shot_are_one_photo(tmp_path: Path) -> None:
    write(tmp_path, "a.NEF", "a.JPG", "a.heic", "b.jpg", "c.heic", "c.jpg", "d.dng", "a.png", "e.heic", "e.mov")
    (tmp_path / "sub").mkdir()
    write(tmp_path / "sub", "a.jpg")
    assert sorted(found(tmp_path)) == [
        ["a.JPG", "a.heic", "a.NEF"],
        ["a.png"],
        ["b.jpg"],
        ["c.jpg", "c.heic"],
        ["d.dng"],
        ["e.heic", "e.mov"],
        ["sub/a.jpg"],
    ]
    assert ["a.NEF", "a.JPG", "a.heic"] in found(tmp_path, develop=True)


def test_equal_names_of_different_times_are_different_photos(tmp_path: Path) -> None:
    write(tmp_path, "a.jpg", "b.jpg")
    write(tmp_path, "a.NEF", taken="2023:01:01 00:00:00")
    write(tmp_path, "b.heic", "c.NEF", "c.DNG", taken="")
    assert sorted(found(tmp_path)) == [["a.NEF"], ["a.jpg"], ["b.heic"], ["b.jpg"], ["c.DNG"], ["c.NEF"]]


def test_files_that_are_named_are_a_shot_each(tmp_path: Path) -> None:
    write(tmp_path, "a.NEF", "a.jpg")
    named = [str(tmp_path / "a.NEF"), str(tmp_path / "a.jpg")]
    assert list(find_shots(named)) == [Shot(path, (path,)) for path in named]
    assert list(find_shots(["-"], [line + "\n" for line in named])) == list(find_shots(named))
    assert len(list(find_shots([str(tmp_path), *named]))) == 1
