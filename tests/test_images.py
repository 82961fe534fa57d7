"""Photos as people have them: every odd file is made here, and is either read right or refused with words."""

from __future__ import annotations

import os
import stat
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path

import numpy as np
import pillow_heif
import pytest
from PIL import Image, ImageCms
from skimage import data

from calm.data import images
from calm.data.images import REFERENCE, Room, load_photo
from calm.errors import PhotoError

COFFEE = data.coffee()


def corners(pixels: np.ndarray) -> list[list[int]]:
    """Mean colours of the four quarters, row by row."""
    height, width = pixels.shape[0] // 2, pixels.shape[1] // 2
    parts = [pixels[y : y + height, x : x + width] for y in (0, height) for x in (0, width)]
    return [part.reshape(-1, 3).mean(0).round().astype(int).tolist() for part in parts]


def quarters() -> Image.Image:
    """Red, green / blue, white."""
    pixels = np.zeros((40, 60, 3), np.uint8)
    pixels[:20, :30], pixels[:20, 30:], pixels[20:, :30], pixels[20:, 30:] = (
        (255, 0, 0),
        (0, 255, 0),
        (0, 0, 255),
        (255, 255, 255),
    )
    return Image.fromarray(pixels)


RIGHT = [[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255]]


@pytest.mark.parametrize("ending", ["png", "jpg", "webp", "tif", "gif", "bmp", "heic", "avif"])
def test_formats(tmp_path: Path, ending: str) -> None:
    pillow_heif.register_heif_opener()
    path = tmp_path / f"photo.{ending}"
    quarters().save(path, **({"quality": 95} if ending not in ("png", "gif", "bmp", "tif") else {}))
    photo = load_photo(path)
    assert (photo.width, photo.height) == (60, 40)
    assert np.abs(np.array(corners(photo.pixels)) - RIGHT).max() <= 12


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_is_turned_upright(tmp_path: Path, orientation: int) -> None:
    turns = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    stored = quarters().transpose(turns[orientation]) if orientation > 1 else quarters()
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored.save(tmp_path / "turned.png", exif=exif)
    photo = load_photo(tmp_path / "turned.png")
    assert (photo.width, photo.height) == (60, 40) and corners(photo.pixels) == RIGHT


def test_content_decides_and_not_the_ending(tmp_path: Path) -> None:
    path = tmp_path / "really_a_png.jpg"
    quarters().save(path, "PNG")
    assert corners(load_photo(path).pixels) == RIGHT


@pytest.mark.parametrize("mode", ["L", "LA", "RGBA", "P", "1", "CMYK", "I;16"])
def test_modes(tmp_path: Path, mode: str) -> None:
    grey = Image.fromarray(np.tile(np.linspace(0, 255, 64, dtype=np.uint8), (32, 1)))
    path = tmp_path / ("photo.tif" if mode == "CMYK" else "photo.png")
    if mode == "I;16":
        Image.fromarray(np.asarray(grey).astype(np.uint16) * 257).save(path)
    else:
        grey.convert("RGB").convert(mode).save(path)
    pixels = load_photo(path).pixels
    assert pixels.shape == (32, 64, 3) and pixels.dtype == np.uint8
    assert pixels[:, :4].mean() < 30 and pixels[:, -4:].mean() > 225


def test_alpha_lies_on_white(tmp_path: Path) -> None:
    Image.new("RGBA", (8, 8), (255, 0, 0, 0)).save(tmp_path / "clear.png")
    assert load_photo(tmp_path / "clear.png").pixels.min() == 255


def test_adobe_cmyk_is_not_inverted(tmp_path: Path) -> None:
    Image.new("RGB", (16, 16), "white").convert("CMYK").save(tmp_path / "white.jpg", quality=95)
    assert load_photo(tmp_path / "white.jpg").pixels.mean() > 245


def test_profiles_are_brought_to_srgb(tmp_path: Path) -> None:
    """A photo in XYZ-like Lab looks as it did; a broken profile counts as none."""
    srgb = ImageCms.createProfile("sRGB")
    lab = ImageCms.createProfile("LAB")
    photo = Image.fromarray(COFFEE[:64, :64])
    converted = ImageCms.profileToProfile(photo, srgb, lab, outputMode="LAB")
    converted.save(tmp_path / "lab.tif", icc_profile=ImageCms.ImageCmsProfile(lab).tobytes())
    difference = np.abs(load_photo(tmp_path / "lab.tif").pixels.astype(int) - COFFEE[:64, :64])
    assert difference.mean() < 3
    photo.save(tmp_path / "broken.png", icc_profile=b"no profile at all")
    assert np.array_equal(load_photo(tmp_path / "broken.png").pixels, COFFEE[:64, :64])


def test_large_photos_come_down_to_the_reference_small_ones_stay(tmp_path: Path) -> None:
    Image.fromarray(COFFEE).resize((3000, 2000), Image.Resampling.BICUBIC).save(tmp_path / "large.jpg", quality=95)
    large = load_photo(tmp_path / "large.jpg")
    assert (large.width, large.height) == (3000, 2000)
    assert max(large.pixels.shape) == REFERENCE and large.pixels.shape[0] == 683
    Image.fromarray(COFFEE).save(tmp_path / "small.png")
    assert np.array_equal(load_photo(tmp_path / "small.png").pixels, COFFEE)


def test_size_of_storage_hardly_changes_the_pixels(tmp_path: Path) -> None:
    source = Image.fromarray(COFFEE).resize((4200, 2800), Image.Resampling.BICUBIC)
    source.save(tmp_path / "4200.jpg", quality=95)
    source.resize((1050, 700), Image.Resampling.LANCZOS).save(tmp_path / "1050.jpg", quality=95)
    large, small = (load_photo(tmp_path / name).pixels.astype(int) for name in ("4200.jpg", "1050.jpg"))
    assert np.abs(large - small).mean() < 3


def test_a_landscape_of_four_times_the_reference_is_decoded_at_half_of_its_size(tmp_path: Path, monkeypatch) -> None:
    """Guards against a size asked for that the shorter side forbids."""
    decoded: list[tuple[int, int]] = []
    monkeypatch.setattr(images, "_upright", lambda image: decoded.append(image.size) or image)
    Image.new("L", (4128, 2752)).save(tmp_path / "a.jpg")
    assert load_photo(tmp_path / "a.jpg").width == 4128 and decoded == [(2064, 1376)]


def jpeg() -> bytes:
    stream = BytesIO()
    Image.fromarray(COFFEE).save(stream, "JPEG", quality=90)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("empty.jpg", b"", "found an empty file"),
        ("text.jpg", b"This is not a photo at all.", "found something else"),
        ("half.jpg", jpeg()[: len(jpeg()) // 2], "found it damaged"),
        ("head.jpg", jpeg()[:300], "expected a"),
    ],
)
def test_what_cannot_be_read_whole_is_refused(tmp_path: Path, name: str, content: bytes, words: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(PhotoError, match=words):
        load_photo(path)


def test_a_truncated_png_is_not_half_grey(tmp_path: Path) -> None:
    stream = BytesIO()
    Image.fromarray(COFFEE).save(stream, "PNG")
    (tmp_path / "half.png").write_bytes(stream.getvalue()[: len(stream.getvalue()) // 2])
    with pytest.raises(PhotoError, match="found it damaged"):
        load_photo(tmp_path / "half.png")


def test_too_many_pixels_and_missing_and_folder(tmp_path: Path) -> None:
    quarters().save(tmp_path / "photo.png")
    with pytest.raises(PhotoError, match="expected at most 2000 pixels.*found 60 × 40.*CALM_MAX_PIXELS="):
        load_photo(tmp_path / "photo.png", max_pixels=2000)
    with pytest.raises(PhotoError, match="found nothing there"):
        load_photo(tmp_path / "gone.png")
    with pytest.raises(PhotoError, match="found a folder"):
        load_photo(tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_unreadable(tmp_path: Path) -> None:
    quarters().save(tmp_path / "photo.png")
    (tmp_path / "photo.png").chmod(0)
    with pytest.raises(PhotoError, match="check its permissions"):
        load_photo(tmp_path / "photo.png")
    (tmp_path / "photo.png").chmod(stat.S_IRUSR)


def test_large_photos_are_decoded_one_after_the_other() -> None:
    room, held, most = Room(100), [0], [0]
    lock = threading.Lock()

    def decode(pixels: int) -> None:
        with room.take(pixels):
            with lock:
                held[0] += pixels
                most[0] = max(most[0], held[0])
            time.sleep(0.005)
            with lock:
                held[0] -= pixels

    sizes = [60, 30, 10, 60, 30] * 8
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(decode, sizes))
    assert most[0] <= 100 and held[0] == 0
    with room.take(1000):
        pass


def test_sixteen_bit_grey(tmp_path: Path) -> None:
    values = np.linspace(0, 65535, 256 * 4).astype(np.uint16).reshape(32, 32)
    Image.fromarray(values).save(tmp_path / "a.png")
    pixels = load_photo(tmp_path / "a.png").pixels
    assert np.abs(pixels - (values / 257)[..., None]).max() <= 0.5
