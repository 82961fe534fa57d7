"""A photo at full size, in its own colours and depth: read, changed by remedies strip by strip, and written.

Pixels are (H, W, 3) uint16 in the colour space of the file, upright, whatever depth the file has; so that nothing is
rounded to eight bits between two remedies, and memory stays at two such arrays.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import IO, Any

import cv2
import numpy as np
from PIL import Image, ImageCms, TiffImagePlugin

from calm.data.images import ANIMATED, load_photo, open_image, usual_limit
from calm.data.raw import Raw, open_raw
from calm.edits.base import edits
from calm.edits.framing import cut
from calm.edits.light import decode, encode
from calm.edits.tilt import turn
from calm.errors import PhotoError
from calm.library.exif import raw_tables
from calm.types import Suggestion

STRIP = 256
"""Rows that are changed at a time."""
SMALL = 256
"""Long edge, in pixels, of the copy that says how bright a photo is on the whole."""
FULL_SIZE = 1 << 20
"""A reference long edge, in pixels, that no photo reaches: nothing is made smaller."""
JPEG_QUALITY = 95
ORIENTATION, WIDTH, HEIGHT = 0x0112, 0xA002, 0xA003
DESCRIPTIVE = frozenset((270, 271, 272, 282, 283, 296, 305, 306, 315, 33432))
"""Tags of a TIFF's or EXIF's main table that tell of the photo: description, camera, resolution, program, author, …"""
TABLES, INTEROP = (0x8769, 0x8825), 0xA005
"""The tables of exposure and place, and a pointer in the first that holds for the old file alone."""
GREY_NEAR = 2.5
"""Levels of 255 by which greys of a colour space may differ from those of sRGB and count as the same."""


@dataclass(frozen=True)
class FullSize:
    """A photo at full size.

    Attributes:
        pixels: (H, W, 3) uint16.
        bits: that are worth keeping, 8 or 16.
        exif: of the file; its orientation says upright.
        profile: ICC profile of the pixels; None for sRGB.
        gamma: light is a value to this power; None where values are sRGB's.
    """

    pixels: np.ndarray
    bits: int
    exif: Image.Exif
    profile: bytes | None = None
    gamma: float | None = None


def read(path: str, *, develop: bool = False) -> FullSize:
    """Read a photo. One that is not RGB of 8 or 16 bits is converted to sRGB of 8 bits; a RAW file is one of 16 bits.

    Args:
        develop: of a RAW file, develop the sensor's data; else its preview is taken, unless it is very small.

    Raises:
        PhotoError: for a photo that cannot be read, or has more pixels than are decoded.
    """
    data = _bytes(path)
    image = open_image(BytesIO(data))
    if image is None or image.format == "TIFF":
        with open_raw(path, data) as raw:
            if raw is not None:
                exif = _exif(*raw_tables(path, BytesIO(data)))
                return FullSize(_of_raw(path, data, raw, develop), 16, exif)
    given = Image.Exif() if image is None else image.getexif()
    exif, turned = _exif(given, given.get_ifd(TABLES[0])), given.get(ORIENTATION, 1)
    if image is not None and image.width * image.height > usual_limit():
        raise PhotoError(
            f"expected at most {usual_limit()} pixels in {path}, found {image.width} × {image.height}; scale it down"
        )
    profile = image.info.get("icc_profile") if image is not None else None
    deep = isinstance(image, TiffImagePlugin.TiffImageFile) and image.tag_v2.get(258, ())[:3] == (16, 16, 16)
    pixels = _deep(data) if deep else None
    if pixels is not None:
        return FullSize(_upright(pixels, turned), 16, exif, profile, gamma_of(profile))
    animated = image is not None and image.format in ANIMATED and getattr(image, "n_frames", 1) > 1
    if image is None or image.mode != "RGB" or deep or animated:
        pixels = load_photo(path, reference=FULL_SIZE, develop=develop, data=data).pixels
        return FullSize(pixels.astype(np.uint16) * 257, 8, exif)
    try:
        image.load()
    except (OSError, SyntaxError, ValueError) as error:
        raise PhotoError(f"expected a whole photo in {path}, found it damaged ({error}); restore it") from error
    pixels = _upright(np.asarray(image), turned)
    return FullSize(pixels.astype(np.uint16) * 257, 8, exif, profile, gamma_of(profile))


def change(photo: FullSize, remedies: Iterable[Suggestion]) -> FullSize:
    """The photo with remedies carried out, one after the other."""
    pixels = photo.pixels
    for remedy in remedies:
        if remedy.crop is not None:
            pixels = np.ascontiguousarray(cut(pixels, remedy.crop))
        elif remedy.attribute == "tilt":
            degrees = edits()["tilt"].wanted(remedy)
            pixels = turn(pixels, degrees if remedy.direction == "clockwise" else -degrees)
        else:
            pixels = _in_strips(pixels, remedy, photo.gamma)
    detail = photo.exif.get_ifd(TABLES[0])
    if WIDTH in detail:
        detail[HEIGHT], detail[WIDTH] = pixels.shape[:2]
    return replace(photo, pixels=pixels)


def write(photo: FullSize, stream: IO[bytes], ending: str) -> None:
    """Write a photo as JPEG, PNG or TIFF; a TIFF has the depth of the original, the others have 8 bits."""
    if ending == ".tif" and photo.bits == 16:
        _write_deep(photo, stream)
        return
    height = photo.pixels.shape[0]
    shallow = np.empty(photo.pixels.shape, np.uint8)
    for top in range(0, height, STRIP):
        shallow[top : top + STRIP] = (photo.pixels[top : top + STRIP].astype(np.uint32) + 128) // 257
    kind = {".jpg": "JPEG", ".png": "PNG", ".tif": "TIFF"}[ending]
    options: dict[str, dict[str, Any]] = {
        "JPEG": {"quality": JPEG_QUALITY, "subsampling": 0},
        "PNG": {"compress_level": 3},
        "TIFF": {"compression": "tiff_adobe_deflate"},
    }
    Image.fromarray(shallow).save(stream, kind, exif=photo.exif, icc_profile=photo.profile, **options[kind])


def ending_of(photo: FullSize, suffix: str) -> str:
    """The ending for a copy of a photo with that suffix: JPEG of JPEG, TIFF of TIFF, RAW and 16 bits, PNG of others."""
    if photo.bits == 16 or suffix.lower() in (".tif", ".tiff"):
        return ".tif"
    return ".jpg" if suffix.lower() in (".jpg", ".jpeg", ".jpe", ".jfif") else ".png"


def gamma_of(profile: bytes | None) -> float | None:
    """The exponent of a colour space's greys; None where they are sRGB's, or nothing is known."""
    if profile is None:
        return None
    ramp = np.arange(256, dtype=np.uint8)
    try:
        source = ImageCms.ImageCmsProfile(BytesIO(profile))
        image = Image.fromarray(np.repeat(ramp[None, :, None], 3, axis=2))
        seen = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"))
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None
    shown = np.asarray(seen, np.float64)[0, :, 1]
    if np.abs(shown - ramp).max() < GREY_NEAR:
        return None
    middle = slice(32, 240)
    return float(np.mean(np.log(decode(shown[middle] / 255)) / np.log(ramp[middle] / 255)))


def _in_strips(pixels: np.ndarray, remedy: Suggestion, gamma: float | None) -> np.ndarray:
    """A remedy that changes no place, on (H, W, 3) uint16; with what the rows around a strip say of it."""
    edit, height = edits()[remedy.attribute], pixels.shape[0]
    scale = min(1.0, SMALL / max(pixels.shape[:2]))
    size = max(1, round(pixels.shape[1] * scale)), max(1, round(height * scale))
    small = _tones(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), gamma)
    out = np.empty_like(pixels)
    for top in range(0, height, STRIP):
        first, last = max(0, top - edit.reach), min(height, top + STRIP + edit.reach)
        made = edit.render_rows(_tones(pixels[first:last], gamma), remedy, small, first, height)
        assert made is not None, "only remedies that can be rendered are carried out"
        made = np.clip(made[top - first : top - first + STRIP], 0, 1)
        if gamma is not None:
            made = decode(made) ** (1 / gamma)
        out[top : top + STRIP] = made * 65535 + 0.5
    return out


def _tones(pixels: np.ndarray, gamma: float | None) -> np.ndarray:
    """(…, 3) uint16 → float32 in 0–1 with the tones of sRGB."""
    values = pixels.astype(np.float32) / 65535
    return values if gamma is None else encode(values**gamma).astype(np.float32)


def _exif(given: Image.Exif, detail: Mapping[int, Any]) -> Image.Exif:
    """What a photo says of itself and not of how its file is laid out, upright, without a thumbnail of what it was.

    Args:
        given, detail: its main table, and that of its exposure.
    """
    found = Image.Exif()
    for tag in DESCRIPTIVE & set(given):
        found[tag] = given[tag]
    for table, tags in zip(TABLES, (detail, given.get_ifd(TABLES[1])), strict=True):
        found.get_ifd(table).update({tag: value for tag, value in tags.items() if tag != INTEROP})
    found[ORIENTATION] = 1
    return found


def _bytes(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise PhotoError(f"expected to read {path}, found: {error.strerror or error}; check the file") from error


def _of_raw(path: str, data: bytes, raw: Raw, develop: bool) -> np.ndarray:
    """(H, W, 3) uint16 in sRGB: developed in 16 bits, or the preview."""
    if develop:
        return raw.develop(FULL_SIZE, deep=True)
    return load_photo(path, reference=FULL_SIZE, data=data).pixels.astype(np.uint16) * 257


def _deep(data: bytes) -> np.ndarray | None:
    """(H, W, 3) uint16 of a TIFF of 16 bits, as it is stored; None where OpenCV cannot read it."""
    found = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if found is None or found.dtype != np.uint16 or found.ndim != 3:
        return None
    return np.ascontiguousarray(found[:, :, 2::-1])


def _upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Pixels turned as an EXIF orientation says."""
    if orientation in (2, 4, 5, 7):  # mirrored
        pixels = pixels[:, ::-1]
        orientation = {2: 1, 4: 3, 5: 8, 7: 6}[orientation]
    return np.ascontiguousarray(np.rot90(pixels, {1: 0, 3: 2, 6: 3, 8: 1}.get(orientation, 0)))


def _write_deep(photo: FullSize, stream: IO[bytes]) -> None:
    """A TIFF of 16 bits a channel in one strip, which Pillow has no mode for; its tables are Pillow's."""
    height, width = photo.pixels.shape[:2]
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    for tag, value in photo.exif.items():
        tags[tag] = value
    for table in TABLES:
        if photo.exif.get_ifd(table):
            tags[table] = dict(photo.exif.get_ifd(table))
    tags[256], tags[257], tags[258], tags[259] = width, height, (16, 16, 16), 1
    tags[262], tags[277], tags[278], tags[284] = 2, 3, height, 1
    tags[273], tags[279] = 0, photo.pixels.nbytes
    if photo.profile:
        tags[34675] = photo.profile
    stream.write(b"II\x2a\x00\x08\x00\x00\x00")
    tags.save(stream)
    stream.write(photo.pixels.astype("<u2", copy=False).data)
