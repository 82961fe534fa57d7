"""Suggestions that are tried: what is kept, the copy at full size, and originals that stay as they are."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from cameras import mosaic, write_dng
from doubles import BrightModel
from PIL import Image, ImageCms, ImageOps

from calm.data.images import as_photo
from calm.edits import render
from calm.errors import PhotoError, UsageError
from calm.inference.engine import Engine
from calm.inference.tasks import SuggestTask
from calm.library import fullsize
from calm.library.mending import BEYOND, mend
from calm.library.rendering import GAP, STRIP, check_folder, compare, improve
from calm.types import LEVELS, UNITS, Suggestion

TASK = SuggestTask()


def suggestion(attribute: str, direction: str, amount: float | None, crop=None) -> Suggestion:
    return Suggestion(LEVELS[attribute], attribute, direction, amount, UNITS[attribute], 0.9, "Do it.", crop)


@pytest.fixture
def original(tmp_path):
    pixels = np.random.default_rng(0).integers(100, 120, (60, 80, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "dune.jpg", quality=95)
    return tmp_path / "dune.jpg"


@pytest.fixture
def out(tmp_path):
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


def improved(path, folder, model=None):
    engine = Engine(model or BrightModel(), 4)
    (found,) = engine.answers([str(path)], TASK)
    return improve(found, engine, TASK, folder)


class Picky(BrightModel):
    """Suggests one EV and half a crop, whatever it sees, and finds dark photos better."""

    def _score(self, seen):
        score = BrightModel._score(seen)
        return replace(score, value=11 - score.value)

    @staticmethod
    def _suggest(score):
        return [suggestion("exposure", "increase", 1.0), suggestion("framing", "tighter", 20.0)]


def test_what_helps_is_kept_and_the_rest_is_said(original, out):
    before = hashlib.sha256(original.read_bytes()).digest()
    found = improved(original, out)
    brighter, tidier = found["applied"]
    assert brighter["kept"] and brighter["score_after"] > brighter["score_before"] + 0.3
    assert "and the fault is gone" in brighter["reason"]
    assert not tidier["kept"] and tidier["score_after"] is None and "needs your eye" in tidier["reason"]
    assert found["improved"] == str(out / "dune.improved.jpg") and found["score_improved"] > brighter["score_before"]
    with Image.open(found["improved"]) as image:
        assert image.format == "JPEG" and image.size == (80, 60)
    with Image.open(found["comparison"]) as image:
        assert image.format == "PNG" and image.size == (80 + GAP + 80, 60 + STRIP)
    assert hashlib.sha256(original.read_bytes()).digest() == before


def test_what_does_not_help_is_not_kept(original, out):
    found = improved(original, out, Picky())
    assert [trial["kept"] for trial in found["applied"]] == [False, False]
    assert "the score would fall from" in found["applied"][0]["reason"]
    assert found["applied"][1]["reason"] == BEYOND["framing"]
    assert found["improved"] is None and list(out.iterdir()) == []


def test_a_fault_that_would_remain_is_not_mended(original, out, monkeypatch):
    monkeypatch.setattr(BrightModel, "_suggest", staticmethod(lambda score: [suggestion("exposure", "increase", 0.5)]))
    (trial,) = improved(original, out)["applied"]
    assert not trial["kept"] and trial["reason"] == "the fault would remain" and trial["amount"] == 0.7


def test_blur_is_not_faked(original, out, monkeypatch):
    monkeypatch.setattr(BrightModel, "_suggest", staticmethod(lambda score: [suggestion("sharpness", "increase", 6)]))
    found = improved(original, out)
    assert "blur cannot be undone" in found["applied"][0]["reason"] and found["improved"] is None


def test_remedies_are_tried_on_what_was_kept_before(monkeypatch):
    def suggest(score):
        told = (3.6, "exposure", "increase", 1.0), (4.2, "vignetting", "decrease", 2.0)
        return [suggestion(*each) for limit, *each in told if score.value < limit]

    monkeypatch.setattr(BrightModel, "_suggest", staticmethod(suggest))
    pixels = np.random.default_rng(0).integers(50, 70, (60, 80, 3), np.uint8)
    engine = Engine(BrightModel(), 4)
    photo = as_photo(pixels, "a photo")
    (answer,) = engine.answers([photo], TASK)
    made, trials = mend(photo, answer.result, engine, TASK)
    assert [trial.kept for trial in trials] == [True, True]
    assert trials[1].score_before == trials[0].score_after
    assert made[30, 40].mean() > pixels.mean() + 15 and made[0, 0].mean() > made[30, 40].mean() + 30


def test_nothing_is_ever_overwritten(original, out):
    first = improved(original, out)
    kept = {path: path.read_bytes() for path in out.iterdir()}
    second = improved(original, out)
    assert second["improved"].endswith("dune.improved-2.jpg") and first["improved"] != second["improved"]
    assert all(path.read_bytes() == content for path, content in kept.items())


def test_what_is_no_jpeg_is_saved_without_loss(original, out, tmp_path):
    with Image.open(original) as image:
        image.save(tmp_path / "dune.webp", lossless=True)
    assert improved(tmp_path / "dune.webp", out)["improved"].endswith("dune.improved.png")


def test_an_original_that_is_gone_fails_with_a_reason(original, out):
    engine = Engine(BrightModel(), 4)
    (found,) = engine.answers([str(original)], TASK)
    original.unlink()
    with pytest.raises(PhotoError, match="dune.jpg"):
        improve(found, engine, TASK, out)


def test_a_folder_that_cannot_be_one(original):
    with pytest.raises(UsageError, match="expected a folder for the copies"):
        check_folder(original)


def test_halves_of_a_comparison_have_one_height():
    before, after = np.zeros((900, 1200, 3), np.uint8), np.full((700, 700, 3), 255, np.uint8)
    picture = compare(before, after, 4, 5)
    assert picture.size == (853 + GAP + 640, 640 + STRIP)
    assert picture.getpixel((100, 300)) == (0, 0, 0) and picture.getpixel((1000, 300)) == (255, 255, 255)
    assert picture.getpixel((853 + GAP // 2, 300)) == (255, 255, 255)


def test_the_command_shows_before_and_after(original, tmp_path, monkeypatch, capsys):
    from calm.cli import main, running

    monkeypatch.setattr(running, "load_model", lambda name, device: BrightModel())
    for format, words in (("jsonl", '"score_improved": '), ("table", "exposure increase 1 EV kept: ")):
        with pytest.raises(SystemExit) as left:
            main(["suggest", str(original), "--apply", str(tmp_path / "out"), "--format", format])
        assert left.value.code == 0
        assert words in capsys.readouterr().out


# ------------------------------------------------------------------------------------------------ full size

REMEDIES = [
    suggestion("exposure", "increase", 1.0),
    suggestion("contrast", "increase", 40.0),
    suggestion("saturation", "decrease", 40.0),
    suggestion("white_balance", "warmer", 30.0),
    suggestion("noise", "decrease", 6.0),
    suggestion("vignetting", "decrease", 1.5),
    suggestion("tilt", "clockwise", 3.0),
    suggestion("framing", "tighter", 20.0, (0.1, 0.1, 0.9, 0.9)),
]


def scene(height: int, width: int) -> np.ndarray:
    """(H, W, 3) float32 in 0.1–0.8 with large and small structure."""
    y, x = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j].astype(np.float32)
    waves = [0.45 + 0.25 * np.sin(9 * x + k) * np.cos(7 * y - k) + 0.1 * np.sin(90 * x) for k in range(3)]
    return np.stack(waves, axis=2).astype(np.float32)


@pytest.mark.parametrize("remedy", REMEDIES, ids=lambda each: each.attribute)
def test_strips_make_what_the_whole_photo_would_be(remedy):
    pixels = (scene(700, 500) * 255 + 0.5).astype(np.uint8)
    photo = fullsize.FullSize(pixels.astype(np.uint16) * 257, 8, Image.Exif())
    made = fullsize.change(photo, [remedy]).pixels / 257
    wanted = render(pixels, remedy)
    assert made.shape == wanted.shape
    assert np.abs(made - wanted).max() < 1.6


def test_light_is_linear_whatever_the_colour_space():
    space = fullsize.FullSize(np.full((20, 30, 3), 20000, np.uint16), 16, Image.Exif(), gamma=1.8)
    made = fullsize.change(space, [suggestion("exposure", "increase", 1.0)]).pixels[0, 0, 0]
    assert (made / 65535) ** 1.8 == pytest.approx(2 * (20000 / 65535) ** 1.8, rel=0.01)


def test_colour_spaces_are_told_by_their_greys():
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert fullsize.gamma_of(srgb) is None and fullsize.gamma_of(None) is None and fullsize.gamma_of(b"broken") is None


@pytest.mark.parametrize("orientation", range(1, 9))
def test_photos_are_read_upright(tmp_path, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = Image.fromarray((scene(40, 60) * 255).astype(np.uint8))
    image.save(tmp_path / "a.png", exif=exif)
    with Image.open(tmp_path / "a.png") as saved:
        wanted = np.asarray(ImageOps.exif_transpose(saved))
    read = fullsize.read(str(tmp_path / "a.png"))
    assert np.array_equal(read.pixels, wanted.astype(np.uint16) * 257) and read.exif[0x0112] == 1


def test_a_tiff_of_16_bits_stays_one_with_exif_and_profile(tmp_path):
    values = (scene(64, 90) * 65535).astype(np.uint16)
    icc = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    tifffile.imwrite(tmp_path / "a.tif", values, photometric="rgb", iccprofile=icc, compression="zlib")
    photo = fullsize.read(str(tmp_path / "a.tif"))
    assert photo.bits == 16 and np.array_equal(photo.pixels, values)
    photo.exif[0x010F] = "Calm"
    photo.exif.get_ifd(0x8769)[0x9003] = "2024:05:06 07:08:09"
    assert fullsize.ending_of(photo, ".tiff") == ".tif"
    with (tmp_path / "b.tif").open("wb") as stream:
        fullsize.write(photo, stream, ".tif")
    assert np.array_equal(tifffile.imread(tmp_path / "b.tif"), values)
    assert np.array_equal(cv2.imread(str(tmp_path / "b.tif"), cv2.IMREAD_UNCHANGED)[:, :, ::-1], values)
    facts = exiftool(tmp_path / "b.tif")
    assert facts["Make"] == "Calm" and facts["DateTimeOriginal"] == "2024:05:06 07:08:09"
    assert facts["BitsPerSample"] == "16 16 16" and facts["ProfileDescription"].startswith("sRGB")
    exposed = fullsize.change(photo, [suggestion("exposure", "increase", 0.3)])
    assert len(np.unique(exposed.pixels)) > 2000, "nothing is rounded to eight or twelve bits on the way"


def test_a_jpeg_keeps_exif_and_profile_and_is_upright(tmp_path, out):
    icc = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    exif = Image.Exif()
    exif[0x0112], exif[0x0110] = 6, "Testcam"
    exif.get_ifd(0x8769).update({0x9003: "2024:05:06 07:08:09", 0xA002: 80, 0xA003: 60, 0x829D: 2.8})
    exif.get_ifd(0x8825).update({1: "N", 2: (48.0, 8.0, 0.0)})
    pixels = np.full((60, 80, 3), 90, np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.jpg", quality=95, exif=exif, icc_profile=icc)
    facts = exiftool(improved(tmp_path / "a.jpg", out)["improved"])
    assert facts["Model"] == "Testcam" and facts["DateTimeOriginal"] == "2024:05:06 07:08:09"
    assert facts["FNumber"] == 2.8 and facts["GPSLatitudeRef"] == "N" and facts["Orientation"] == 1
    assert (
        (facts["ImageWidth"], facts["ImageHeight"]) == (60, 80) == (facts["ExifImageWidth"], facts["ExifImageHeight"])
    )
    with Image.open(tmp_path / "out" / "a.improved.jpg") as image:
        assert image.info["icc_profile"] == icc


def test_tags_of_the_old_file_are_left_behind(tmp_path):
    values = (scene(64, 90) * 65535).astype(np.uint16)
    cv2.imwrite(str(tmp_path / "a.tif"), values[:, :, ::-1], [cv2.IMWRITE_TIFF_COMPRESSION, 5])  # LZW, with a predictor
    photo = fullsize.read(str(tmp_path / "a.tif"))
    assert np.array_equal(photo.pixels, values) and set(photo.exif) <= fullsize.DESCRIPTIVE | {0x0112}


@pytest.mark.parametrize("develop", [False, True])
@pytest.mark.parametrize("sensor", ["whole", "damaged"])
def test_a_raw_file_becomes_a_tiff_of_16_bits(tmp_path, out, develop, sensor):
    """It is developed, whatever was looked at, and its preview taken only where that cannot be done."""
    ramp = np.repeat(np.tile(np.linspace(40, 130, 600).astype(np.uint8), (160, 1))[..., None], 3, axis=2)
    path = write_dng(tmp_path / "a.dng", ramp, ramp)
    if sensor == "damaged":
        path.write_bytes(path.read_bytes().replace(mosaic(ramp).tobytes(), bytes(2 * 160 * 600)))
    engine = Engine(BrightModel(), 4, develop=develop and sensor == "whole")
    (found,) = engine.answers([str(path)], TASK)
    row = improve(found, engine, TASK, out)
    assert row["improved"].endswith("a.improved.tif") and row["score_improved"] > row["applied"][0]["score_before"]
    pixels, facts = tifffile.imread(row["improved"]), exiftool(row["improved"])
    assert pixels.dtype == np.uint16 and pixels.shape == (160, 600, 3)
    tones = len(np.unique(pixels))
    assert tones > 500 if sensor == "whole" else tones < 300, "a preview has no more than 256 tones"
    assert facts["Model"] == "Testcam" and facts["DateTimeOriginal"] == "2024:05:06 07:08:09"


def test_of_crops_the_best_that_passes_is_kept(monkeypatch):
    """The farther the dark edge is cut away, the better; but the subject in the middle stays."""
    monkeypatch.setattr(
        BrightModel,
        "_suggest",
        staticmethod(lambda score: [suggestion("framing", "right", 20.0, (0.2, 0, 1, 1))] if score.value < 5 else []),
    )
    pixels = np.full((60, 100, 3), 110, np.uint8)
    pixels[:, :30], pixels[25:35, 55:65] = 20, 250
    engine, photo = Engine(BrightModel(), 4), as_photo(pixels, "a photo")
    (answer,) = engine.answers([photo], TASK)
    made, (trial,) = mend(photo, answer.result, engine, TASK)
    assert not trial.kept and trial.crop == pytest.approx((0.28, 0, 1, 1)) and trial.reason == "the fault would remain"
    monkeypatch.setattr(BrightModel, "_suggest", staticmethod(lambda score: []))
    made, (trial,) = mend(photo, answer.result, engine, TASK)
    assert trial.kept and made.shape == (60, 72, 3)
    told = replace(answer.result, suggestions=(suggestion("framing", "right", 20.0, (0.45, 0, 1, 1)),))
    made, (trial,) = mend(photo, told, engine, TASK)
    assert made.shape[1] == 55, "more would cut into the subject"


def exiftool(path) -> dict[str, object]:
    if shutil.which("exiftool") is None:
        pytest.skip("no exiftool here: apt-get install libimage-exiftool-perl")
    done = subprocess.run(["exiftool", "-j", "-n", str(Path(path))], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)[0]
