"""Photos as people have them, decoded to upright sRGB arrays; never changed on disk.

The content of a file decides what it is, not its name. Whatever cannot be decoded whole is a :class:`PhotoError`:
a truncated photo is never scored by its grey half.
"""

from __future__ import annotations

import functools
import glob
import hashlib
import os
import sys
import threading
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

from calm.data.record import PHOTO_SUFFIXES
from calm.errors import PhotoError, UsageError

REFERENCE = 1024
"""Long edge, pixels, to which larger photos are brought."""
MAX_PIXELS = 200_000_000
"""Photos with more pixels are refused before they are decoded."""
FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "GIF", "BMP", "HEIF", "AVIF")
"""Formats that are read, by Pillow's names."""

_registering = threading.Lock()
_registered = False


@dataclass(frozen=True)
class Photo:
    """A decoded photo.

    Attributes:
        path: as it was given.
        pixels: (H, W, 3) uint8, sRGB, upright, at most ``reference`` pixels long edge.
        sha256: of the file's bytes.
        width, height: of the photo as it is displayed, in its own pixels.
    """

    path: str
    pixels: np.ndarray
    sha256: str
    width: int
    height: int


class Undecoded(Photo):
    """A photo that is known, so that nobody needs its pixels; they are decoded should somebody ask for them all the
    same.
    """

    def __init__(self, path: str, sha256: str, width: int, height: int) -> None:
        vars(self).update(path=path, sha256=sha256, width=width, height=height)

    @functools.cached_property
    def pixels(self) -> np.ndarray:  # type: ignore[override]
        """As of a decoded photo. Raises :class:`PhotoError`."""
        return load_photo(self.path).pixels


def load_photo(path: str | Path, *, max_pixels: int = MAX_PIXELS, reference: int = REFERENCE) -> Photo:
    """Decode one photo.

    Args:
        max_pixels: refuse photos with more.
        reference: larger photos are brought down to this long edge, by averaging; smaller ones stay as they are.

    Raises:
        PhotoError: for a file that is missing, unreadable, empty, not a photo, truncated or too large.
    """
    data = _read(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = _open(path, data, max_pixels)
            width, height = _displayed_size(image)
            if image.format == "JPEG" and max(image.size) >= 4 * reference:
                image.draft(image.mode, (2 * reference, 2 * reference))
            image.load()
    except PhotoError:
        raise
    except Image.DecompressionBombError as error:
        raise PhotoError(
            f"expected at most {max_pixels} pixels in {path}, found more ({error}); scale it down"
        ) from error
    except (OSError, SyntaxError, ValueError, EOFError, IndexError, TypeError, KeyError, OverflowError) as error:
        raise PhotoError(
            f"expected a whole photo in {path}, found it damaged ({error}); restore it from a copy"
        ) from error
    pixels = _to_srgb(_upright(image))
    return Photo(str(path), _fit(pixels, reference), hashlib.sha256(data).hexdigest(), width, height)


def as_photo(photo: object, name: str) -> Photo:
    """A path, a PIL image, or an array (H, W, 3) or (H, W) of uint8 in sRGB, as :func:`load_photo` gives a file.

    Args:
        name: stands for the path of an image or array; its hash is that of its pixels.

    Raises:
        PhotoError: for a file that cannot be read.
        UsageError: for anything that is none of these.
    """
    if isinstance(photo, str | os.PathLike):
        return load_photo(os.fspath(photo))
    if isinstance(photo, np.ndarray):
        if photo.dtype != np.uint8 or photo.ndim not in (2, 3) or (photo.ndim == 3 and photo.shape[2] not in (3, 4)):
            raise UsageError(
                f"expected an array (H, W, 3) or (H, W) of uint8, found {photo.shape} of {photo.dtype}; "
                "scale it to 0–255 and convert it to sRGB"
            )
        photo = Image.fromarray(photo)
    if not isinstance(photo, Image.Image):
        raise UsageError(f"expected a path, a PIL image or an array, found {type(photo).__name__}; give one of those")
    pixels = _to_srgb(_upright(photo))
    height, width = pixels.shape[:2]
    sha256 = hashlib.sha256(repr(pixels.shape).encode() + pixels.tobytes()).hexdigest()
    return Photo(name, _fit(pixels, REFERENCE), sha256, width, height)


def _read(path: str | Path) -> bytes:
    try:
        data = Path(path).read_bytes()
    except FileNotFoundError as error:
        raise PhotoError(f"expected a photo at {path}, found nothing there; check the path") from error
    except IsADirectoryError as error:
        raise PhotoError(
            f"expected a photo at {path}, found a folder; name its files or give the folder itself"
        ) from error
    except OSError as error:
        raise PhotoError(f"expected to read {path}, found: {error.strerror or error}; check its permissions") from error
    if not data:
        raise PhotoError(f"expected a photo in {path}, found an empty file; restore it from a copy")
    return data


def _open(path: str | Path, data: bytes, max_pixels: int) -> Image.Image:
    global _registered
    with _registering:
        if not _registered:
            import pillow_heif

            pillow_heif.register_heif_opener()
            _registered = True
    try:
        image = Image.open(BytesIO(data), formats=FORMATS)
    except UnidentifiedImageError as error:
        raise PhotoError(
            f"expected a photo ({', '.join(FORMATS)}) in {path}, found something else; convert it or leave it out"
        ) from error
    if image.width * image.height > max_pixels:
        raise PhotoError(
            f"expected at most {max_pixels} pixels in {path}, found {image.width} × {image.height}; scale it down"
        )
    return image


def _displayed_size(image: Image.Image) -> tuple[int, int]:
    turned = image.getexif().get(0x0112, 1) in (5, 6, 7, 8)
    return (image.height, image.width) if turned else image.size


def _upright(image: Image.Image) -> Image.Image:
    """Turned as its EXIF orientation says; damaged EXIF counts as none."""
    try:
        return ImageOps.exif_transpose(image)
    except (OSError, SyntaxError, ValueError, KeyError, TypeError):
        return image


def _to_srgb(image: Image.Image) -> np.ndarray:
    """(H, W, 3) uint8 of any mode: alpha on white, 16 bits scaled, profiles converted (a broken one counts as sRGB)."""
    if image.mode in ("I;16", "I;16B", "I;16L", "I", "F"):
        values = np.asarray(image, np.float64)
        top = 65535.0 if image.mode != "F" or values.max() > 255 else 255.0 if values.max() > 1 else 1.0
        image = Image.fromarray((np.clip(values / top, 0, 1) * 255 + 0.5).astype(np.uint8))
    if image.mode == "P" or "transparency" in image.info:
        image = image.convert("RGBA")
    if image.mode in ("LA", "PA", "La", "RGBa"):
        image = image.convert("RGBA")
    profile = image.info.get("icc_profile")
    alpha = image.getchannel("A") if image.mode == "RGBA" else None
    colour = image.convert("RGB") if image.mode in ("RGBA", "1") else image
    if profile and colour.mode in ("RGB", "CMYK", "L", "LAB"):
        colour = _convert_profile(colour, profile)
    colour = colour.convert("RGB")
    if alpha is not None:
        white = Image.new("RGB", colour.size, "white")
        white.paste(colour, mask=alpha)
        colour = white
    return np.asarray(colour)


def _convert_profile(image: Image.Image, profile: bytes) -> Image.Image:
    try:
        source = ImageCms.ImageCmsProfile(BytesIO(profile))
        return ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode="RGB") or image
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return image


def _fit(pixels: np.ndarray, reference: int) -> np.ndarray:
    import cv2

    height, width = pixels.shape[:2]
    scale = reference / max(height, width)
    if scale >= 1:
        return np.ascontiguousarray(pixels)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)


def find_photos(paths: Sequence[str], stdin: Iterable[str] | None = None) -> Iterator[str]:
    """Paths of photos, each once.

    Args:
        paths: files (taken as they are, even when missing), folders (searched whole, in order of name, hidden ones
            left out), patterns, or ``-`` for a list on ``stdin``, one a line.

    Raises:
        UsageError: for a folder or pattern without any photo.
    """
    seen: set[str] = set()
    for given in paths:
        if given == "-":
            found: Iterable[str] = (line.rstrip("\r\n") for line in (stdin if stdin is not None else sys.stdin))
            found = (line for line in found if line)
        elif os.path.isdir(given):
            found = _below(given)
        elif not os.path.exists(given) and glob.has_magic(given):
            found = sorted(path for path in glob.glob(given, recursive=True) if os.path.isfile(path))
            if not found:
                raise UsageError(f"expected photos to match {given!r}, found none; check the pattern")
        else:
            found = [given]
        for path in found:
            if path not in seen:
                seen.add(path)
                yield path


def _below(folder: str) -> list[str]:
    found = []
    for root, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        found += [
            os.path.join(root, name)
            for name in sorted(files)
            if not name.startswith(".") and os.path.splitext(name)[1].lower() in PHOTO_SUFFIXES
        ]
    if not found:
        endings = ", ".join(sorted(PHOTO_SUFFIXES))
        raise UsageError(f"expected photos in {folder}, found no file ending in {endings}; name another folder")
    return found
