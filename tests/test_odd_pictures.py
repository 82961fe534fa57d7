"""Pictures of odd kinds: blank ones, pages, animations, panoramas, several pictures in one file, and files meant to
do harm.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import resource
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import matplotlib
import numpy as np
import pillow_heif
import pytest
from PIL import Image, ImageDraw, ImageFont
from skimage import data

from calm.data.find import find_photos
from calm.data.images import load_photo
from calm.data.notes import note_on
from calm.errors import PhotoError, UsageError

COFFEE = data.coffee()
pillow_heif.register_heif_opener()
RNG = np.random.default_rng(0)


# ------------------------------------------------------------------------------------------------ notes


def cap_left_on() -> np.ndarray:
    """A dark frame with the sensor's noise."""
    return np.clip(RNG.normal(6, 3, (480, 640, 3)), 0, 255).astype(np.uint8)


BLANK = {
    "black": np.zeros((40, 60, 3), np.uint8),
    "white": np.full((300, 400, 3), 255, np.uint8),
    "red": np.full((300, 400, 3), (200, 30, 40), np.uint8),
    "one pixel": np.full((1, 1, 3), 128, np.uint8),
    "cap left on": cap_left_on(),
}


@pytest.mark.parametrize("name", BLANK)
def test_blank_frames_have_a_note(name: str, tmp_path: Path) -> None:
    Image.fromarray(BLANK[name]).save(tmp_path / "a.png")
    Image.fromarray(BLANK[name]).save(tmp_path / "a.jpg")
    for path in tmp_path.iterdir():
        assert (load_photo(path).note or "").startswith("almost blank")


def moon() -> np.ndarray:
    """Little else than black, and yet something."""
    pixels = np.zeros((600, 900, 3), np.uint8)
    pixels[280:300, 440:460] = 220
    return pixels


def fog() -> np.ndarray:
    return np.broadcast_to(np.linspace(190, 215, 600).astype(np.uint8)[:, None, None], (600, 900, 3)).copy()


PHOTOS = {"coffee": COFFEE, "cat": data.chelsea(), "rocket": data.rocket(), "moon": moon(), "fog": fog()}


@pytest.mark.parametrize("name", PHOTOS)
def test_photos_have_none(name: str) -> None:
    assert note_on(PHOTOS[name]) is None


def page(paper: tuple[int, int, int], ink: tuple[int, int, int], size: tuple[int, int], letters: int) -> Image.Image:
    """A page of running text."""
    font = ImageFont.truetype(Path(matplotlib.get_data_path()) / "fonts/ttf/DejaVuSans.ttf", letters)
    words = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8").split()
    image = Image.new("RGB", size, paper)
    pen, line, top = ImageDraw.Draw(image), "", 60
    for word in words * 4:
        if pen.textlength(f"{line} {word}", font) > size[0] - 120:
            pen.text((60, top), line, ink, font)
            line, top = "", top + letters * 3 // 2
        line = f"{line} {word}"
        if top > size[1] - 60:
            break
    return image


@pytest.mark.parametrize("ending", ["png", "jpg"])
@pytest.mark.parametrize(
    "look",
    [((255, 255, 255), (0, 0, 0), (1240, 1754), 26), ((30, 30, 34), (220, 220, 220), (1080, 1920), 40)],
    ids=["page", "dark screen"],
)
def test_pages_of_text_and_screenshots_have_a_note(look: tuple, ending: str, tmp_path: Path) -> None:
    page(*look).save(tmp_path / f"text.{ending}")
    assert (
        load_photo(tmp_path / f"text.{ending}").note == "looks like a page of text or a screenshot and not like a photo"
    )


# ------------------------------------------------------------------------------------------------ several pictures


def fading_in() -> list[Image.Image]:
    """A film of eight frames: black, darker and brighter ones, the sixth the brightest."""
    small = Image.fromarray(COFFEE).resize((150, 100))
    return [small.point(lambda value, share=share: value * share) for share in (0, 0.1, 0.2, 0.4, 0.7, 1, 0.6, 0.05)]


@pytest.mark.parametrize("ending", ["gif", "webp", "png", "avif"])
def test_the_frame_of_an_animation_with_the_most_detail_is_taken(ending: str, tmp_path: Path) -> None:
    """Guards against a score for the black frame that a film begins with."""
    frames = fading_in()
    frames[0].save(tmp_path / f"film.{ending}", save_all=True, append_images=frames[1:], duration=40)
    photo = load_photo(tmp_path / f"film.{ending}")
    assert photo.note == "animated: frame 6 of 8, the one with the most detail"
    assert np.abs(photo.pixels.astype(int) - np.asarray(frames[5])).mean() < 12


def test_pictures_that_stand_still_have_no_frames(tmp_path: Path) -> None:
    for ending in ("gif", "webp", "png", "avif"):
        fading_in()[5].save(tmp_path / f"still.{ending}")
        assert load_photo(tmp_path / f"still.{ending}").note is None


def jpeg(pixels: np.ndarray, **options: object) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=90, **options)
    return stream.getvalue()


def test_the_main_picture_of_an_ultra_hdr_photo_is_taken(tmp_path: Path) -> None:
    """The gain map is a second, small and grey picture of the same file."""
    plain, both = tmp_path / "plain.jpg", tmp_path / "ultra.jpg"
    Image.fromarray(COFFEE).save(plain, quality=90)
    gains = Image.fromarray(COFFEE).convert("L").resize((150, 100))
    Image.fromarray(COFFEE).save(both, "MPO", quality=90, save_all=True, append_images=[gains])
    photo = load_photo(both)
    with Image.open(both) as opened:
        assert opened.n_frames == 2 and photo.note is None
    assert np.array_equal(photo.pixels, load_photo(plain).pixels)


def test_the_film_behind_a_motion_photo_is_left_alone(tmp_path: Path) -> None:
    film = struct.pack(">I4s4sI4s4s", 24, b"ftyp", b"mp42", 0, b"isom", b"mp42") + struct.pack(">I4s", 4096, b"mdat")
    (tmp_path / "plain.jpg").write_bytes(jpeg(COFFEE))
    (tmp_path / "motion.jpg").write_bytes(jpeg(COFFEE) + film + RNG.bytes(4088))
    plain, motion = (load_photo(tmp_path / name) for name in ("plain.jpg", "motion.jpg"))
    assert np.array_equal(plain.pixels, motion.pixels) and plain.sha256 != motion.sha256 and motion.note is None


# ------------------------------------------------------------------------------------------------ large


def test_a_panorama_of_220_megapixels_is_decoded_at_a_smaller_size(tmp_path: Path) -> None:
    wide = np.asarray(Image.fromarray(COFFEE).convert("L").resize((1500, 370)))
    Image.fromarray(np.kron(wide, np.ones((20, 20), np.uint8))).save(tmp_path / "wide.jpg", quality=70)
    photo = load_photo(tmp_path / "wide.jpg")
    assert (photo.width, photo.height, photo.pixels.shape) == (30000, 7400, (253, 1024, 3))
    small = np.asarray(Image.fromarray(wide).resize((1024, 253), Image.Resampling.BOX))
    assert np.abs(photo.pixels[..., 0].astype(int) - small).mean() < 4


def test_a_large_heif_is_read_by_its_preview(tmp_path: Path) -> None:
    Image.fromarray(COFFEE).save(tmp_path / "preview.heic", quality=90, thumbnails=[300])
    Image.fromarray(COFFEE).save(tmp_path / "bare.heic", quality=90)
    photo = load_photo(tmp_path / "preview.heic", max_pixels=100_000, reference=256)
    assert (photo.width, photo.height, max(photo.pixels.shape)) == (600, 400, 256)
    whole = load_photo(tmp_path / "bare.heic", reference=256)
    assert np.abs(photo.pixels.astype(int) - whole.pixels).mean() < 6
    with pytest.raises(PhotoError, match="expected at most 100000 pixels.*CALM_MAX_PIXELS"):
        load_photo(tmp_path / "bare.heic", max_pixels=100_000, reference=256)


def test_the_limit_is_raised_as_its_message_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "large.png").write_bytes(png_that_claims(20000, 10001))
    with pytest.raises(PhotoError, match="at most 200000000 pixels.*found 20000 × 10001.*CALM_MAX_PIXELS=1000000000"):
        load_photo(tmp_path / "large.png")
    Image.new("L", (60, 40)).save(tmp_path / "small.png")
    monkeypatch.setenv("CALM_MAX_PIXELS", "2399")
    with pytest.raises(PhotoError, match="expected at most 2399 pixels"):
        load_photo(tmp_path / "small.png")
    monkeypatch.setenv("CALM_MAX_PIXELS", "2400")
    assert load_photo(tmp_path / "small.png").width == 60
    monkeypatch.setenv("CALM_MAX_PIXELS", "many")
    with pytest.raises(UsageError, match="expected a number of pixels in CALM_MAX_PIXELS, found 'many'"):
        load_photo(tmp_path / "small.png")


# ------------------------------------------------------------------------------------------------ hostile


ENDINGS = ("jpg", "png", "webp", "gif", "tif", "bmp", "heic", "avif")


def whole_file(ending: str) -> bytes:
    stream = io.BytesIO()
    kind = {"jpg": "JPEG", "tif": "TIFF", "heic": "HEIF"}.get(ending, ending.upper())
    Image.fromarray(COFFEE).resize((24, 16)).save(stream, kind)
    return stream.getvalue()


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@pytest.mark.parametrize("ending", ENDINGS)
def test_a_file_cut_short_anywhere_is_refused_or_is_the_whole_photo(ending: str, tmp_path: Path) -> None:
    whole, path = whole_file(ending), tmp_path / f"cut.{ending}"
    path.write_bytes(whole)
    pixels, refused = load_photo(path).pixels, 0
    for length in range(0, len(whole), 10):
        path.write_bytes(whole[:length])
        try:
            found = load_photo(path).pixels
        except PhotoError as error:
            refused += 1
            assert str(error).startswith("expected") and "\n" not in str(error)
        else:
            assert np.array_equal(found, pixels), f"{length} of {len(whole)} bytes gave another picture"
    assert refused > 0.8 * len(whole) / 10


def png_that_claims(width: int, height: int) -> bytes:
    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = zlib.compress(bytes(1 << 20))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def hostile(folder: Path) -> Path:
    """A folder with four good photos and all that could go wrong with the others."""
    folder.mkdir()
    for name in ("good.jpg", "really a png.jpg", "two\nlines.jpg", "ümlaut.jpg"):
        Image.fromarray(COFFEE).save(folder / name, "PNG" if "png" in name else "JPEG")
    shutil.copy(folder / "good.jpg", os.fsencode(folder) + b"/caf\xe9.jpg")
    for ending in ENDINGS:
        whole = whole_file(ending)
        (folder / f"torn.{ending}").write_bytes(whole[: len(whole) // 2])
        (folder / f"empty.{ending}").touch()
        (folder / f"text.{ending}").write_text("no photo at all")
        (folder / f"noise.{ending}").write_bytes(whole[:20] + RNG.bytes(500))
    (folder / "bomb.png").write_bytes(png_that_claims(60000, 60000))
    (folder / "lie.png").write_bytes(png_that_claims(10000, 10000))
    (folder / "bomb.jpg").write_bytes(jpeg(COFFEE).replace(struct.pack(">HH", *COFFEE.shape[:2]), b"\xff\xf0\xff\xf0"))
    (folder / "bomb.gif").write_bytes(
        b"GIF89a\xff\xff\xff\xff\x80\0\0" + bytes(6) + b",\0\0\0\0\xff\xff\xff\xff\0\2\2L\1\0;"
    )
    (folder / "gone.jpg").symlink_to("nowhere.jpg")
    (folder / "circle.jpg").symlink_to("circle.jpg")
    (folder / "folder.jpg").mkdir()
    os.mkfifo(folder / "pipe.jpg")
    (folder / "device.jpg").symlink_to("/dev/zero")
    return folder


RUN = """
import sys
from doubles import BrightModel
from calm.cli import main, running
running.load_model = lambda name, device: BrightModel()
main(sys.argv[1:])
"""


def run(*arguments: object, **options: object) -> subprocess.CompletedProcess:
    """The command with a small model; it must end within ten minutes, on a busy machine. Terms are not told."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "PYTHONUTF8": "1"}
    command = [sys.executable, "-c", RUN, *map(str, arguments), "-q"]
    return subprocess.run(command, env=environment, timeout=600, **{"capture_output": True} | options)


def test_a_hostile_folder_costs_rows_and_nothing_else(tmp_path: Path) -> None:
    folder = hostile(tmp_path / "hostile")
    done = run("score", folder, "--format", "jsonl", "--no-store")
    assert done.returncode == 1 and b"Traceback" not in done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["path"] for row in rows] == list(find_photos([str(folder)]))
    assert len(rows) == len(os.listdir(folder)) - 1, "folder.jpg is a folder"
    good = {os.path.basename(row["path"]) for row in rows if row["status"] == "ok"}
    names = {"good.jpg", "really a png.jpg", "two\nlines.jpg", "ümlaut.jpg", "caf\udce9.jpg"}
    assert good == names
    assert all(row["error"].startswith("expected") for row in rows if row["status"] == "failed")


@contextlib.contextmanager
def as_nobody() -> Iterator[None]:
    """As a user who owns nothing, where the tests are run by root."""
    own = os.geteuid()
    if own == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(own)


def test_what_may_not_be_read_is_told(shared_folder: Path) -> None:
    """Guards against a folder without permission that is left out without a word."""
    folder = shared_folder / "photos"
    (folder / "closed").mkdir(parents=True)
    for path in (folder / "closed/a.jpg", folder / "b.jpg", folder / "c.jpg"):
        path.write_bytes(jpeg(COFFEE))
    (folder / "closed").chmod(0)
    (folder / "b.jpg").chmod(0)
    try:
        with as_nobody():
            found = list(find_photos([str(folder)]))
            told = {}
            for path in found:
                try:
                    told[os.path.basename(path)] = load_photo(path).width
                except PhotoError as error:
                    told[os.path.basename(path)] = str(error).partition("found: ")[2]
    finally:
        (folder / "closed").chmod(0o755)
    denied = "Permission denied; check its permissions"
    assert told == {"closed": denied, "b.jpg": denied, "c.jpg": 600}


@pytest.fixture
def shared_folder() -> Iterator[Path]:
    """A folder that everybody may look into, unlike pytest's own."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        yield Path(folder)


def test_a_photo_that_vanishes_during_the_run_fails_alone(tmp_path: Path) -> None:
    from doubles import BrightModel

    from calm.inference.engine import Engine
    from calm.inference.tasks import ScoreTask

    paths = [str(tmp_path / f"{i}.jpg") for i in range(3)]
    for path in paths:
        Path(path).write_bytes(jpeg(COFFEE))

    def load(path: str):
        if path == paths[1]:
            os.remove(path)
        return load_photo(path)

    rows = list(Engine(BrightModel(), load=load).rows(paths, ScoreTask()))
    assert [row.status for row in rows] == ["ok", "failed", "ok"] and "found nothing there" in rows[1].error


def full_disk() -> None:
    """No file may grow beyond 8 kB."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192))


@pytest.mark.parametrize("ending", ["jsonl", "csv", "parquet"])
def test_a_full_disk_is_told_and_leaves_no_half_file(ending: str, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    for value in range(90):
        Image.new("L", (8, 6), value + 20).save(tmp_path / "photos" / f"{value}{'x' * 100}.png")
    output = tmp_path / f"rows.{ending}"
    done = run("score", tmp_path / "photos", "--output", output, "--no-store", preexec_fn=full_disk)
    assert done.returncode == 2 and b"Traceback" not in done.stderr
    assert b"expected to write rows to" in done.stderr and b"File too large; free space" in done.stderr
    assert os.listdir(tmp_path) == ["photos"]


def test_a_full_disk_behind_standard_output_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(jpeg(COFFEE))
    for style in ("table", "jsonl", "csv"):
        with open("/dev/full", "w") as full:
            told = {"stdout": full, "stderr": subprocess.PIPE, "capture_output": False}
            done = run("score", tmp_path / "a.jpg", "--format", style, "--no-store", **told)
        assert done.returncode == 2 and b"standard output, found: No space left on device" in done.stderr
        assert done.stderr.count(b"\n") == 1


def test_a_full_disk_for_the_store_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(jpeg(COFFEE))
    done = run("score", tmp_path / "a.jpg", preexec_fn=full_disk)
    assert done.returncode == 2 and b"--no-store" in done.stderr and b"Traceback" not in done.stderr
