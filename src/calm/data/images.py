"""Photos as people have them, decoded to upright sRGB arrays; never changed on disk.

The content of a file decides what it is, not its name. Whatever cannot be decoded whole is a :class:`PhotoError`:
a truncated photo is never scored by its grey half.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import stat
import struct
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageCms, ImageOps

from calm.data.notes import detail_of, note_on
from calm.data.raw import SMALL, Raw, open_raw
from calm.errors import PhotoError, UsageError

REFERENCE = 1024
"""Long edge, pixels, to which larger photos are brought."""
MAX_PIXELS = 200_000_000
"""Pixels that are decoded of a photo, at most, unless ``$CALM_MAX_PIXELS`` says otherwise."""
SCALED = 10
"""Times as many pixels may a photo have whose format can be decoded at a smaller size."""
MAX_BYTES = 2_000_000_000
"""Larger files are refused before they are read."""
AT_ONCE = 100_000_000
"""Pixels that are decoded at the same time, so that memory does not grow with cores: 10 to 20 bytes each."""
FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "GIF", "BMP", "HEIF", "AVIF")
"""Formats that are read, by Pillow's names."""
ANIMATED = ("GIF", "WEBP", "PNG", "AVIF")
"""Formats whose pictures are frames of one animation; further pictures of the others are no frames."""
ANIMATION = 50_000_000
"""Pixels of an animation that are looked at for its best frame, at most."""


@dataclass(frozen=True)
class Photo:
    """A decoded photo.

    Attributes:
        path: as it was given.
        pixels: (H, W, 3) uint8, sRGB, upright, at most ``reference`` pixels long edge.
        sha256: of the file's bytes.
        width, height: of the photo as it is displayed, in its own pixels.
        developed: whether a RAW file was asked to be developed, and not just shown.
        note: what should be told of it besides any answer.
    """

    path: str
    pixels: np.ndarray
    sha256: str
    width: int
    height: int
    developed: bool = False
    note: str | None = None


class Undecoded(Photo):
    """A photo that is known, so that nobody needs its pixels; they are decoded should somebody ask for them all the
    same.
    """

    def __init__(
        self, path: str, sha256: str, width: int, height: int, note: str | None, developed: bool = False
    ) -> None:
        vars(self).update(path=path, sha256=sha256, width=width, height=height, note=note, developed=developed)

    @functools.cached_property
    def pixels(self) -> np.ndarray:  # type: ignore[override]
        """As of a decoded photo. Raises :class:`PhotoError`."""
        return load_photo(self.path, develop=self.developed).pixels


def load_photo(
    path: str | Path,
    *,
    max_pixels: int | None = None,
    reference: int = REFERENCE,
    develop: bool = False,
    data: bytes | None = None,
    raw: bool = True,
) -> Photo:
    """Decode one photo; of an animation, the frame with the most detail.

    Args:
        max_pixels: decode no more, and refuse photos with more unless a smaller copy of them can be decoded; None for
            ``$CALM_MAX_PIXELS`` or :data:`MAX_PIXELS`.
        reference: larger photos are brought down to this long edge, by averaging; smaller ones stay as they are.
        develop: of a RAW file, develop the sensor's data; else its preview is taken, unless it is very small.
        data: the file's bytes, where they do not stand in a file of that name.
        raw: whether RAW files are read at all.

    Raises:
        PhotoError: for a file that is missing, unreadable, empty, not a photo, truncated or too large.
    """
    limit = usual_limit() if max_pixels is None else max_pixels
    data = _read(path) if data is None else data
    if not data:
        raise PhotoError(f"expected a photo in {path}, found an empty file; restore it from a copy")
    try:
        pixels, width, height, found_raw, note = _decode(str(path), data, limit, reference, develop, raw)
    except Image.DecompressionBombError as error:
        raise _too_large(path, str(error), limit) from error
    except (OSError, SyntaxError, ValueError, EOFError, IndexError, TypeError, KeyError, OverflowError) as error:
        cause = " ".join(str(error).split())
        raise PhotoError(
            f"expected a whole photo in {path}, found it damaged ({cause}); restore it from a copy"
        ) from error
    sha256 = hashlib.sha256(data).hexdigest()
    notes = "; ".join(filter(None, (note, note_on(pixels)))) or None
    return Photo(str(path), pixels, sha256, width, height, develop and found_raw, notes)


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
    pixels = _fit(pixels, REFERENCE)
    return Photo(name, pixels, sha256, width, height, note=note_on(pixels))


def _read(path: str | Path) -> bytes:
    try:
        state = os.stat(path)
        if stat.S_ISREG(state.st_mode) and state.st_size <= MAX_BYTES:
            return Path(path).read_bytes()
        if stat.S_ISDIR(state.st_mode):
            os.listdir(path)  # one that may not be looked into is told as such
            raise IsADirectoryError
        # reading a pipe or a device may never end
        kind = f"a file of {state.st_size} bytes" if stat.S_ISREG(state.st_mode) else "a pipe or a device"
        raise PhotoError(f"expected a file of at most {MAX_BYTES} bytes at {path}, found {kind}; leave it out")
    except FileNotFoundError as error:
        raise PhotoError(f"expected a photo at {path}, found nothing there; check the path") from error
    except IsADirectoryError as error:
        raise PhotoError(
            f"expected a photo at {path}, found a folder; name its files or give the folder itself"
        ) from error
    except OSError as error:
        raise PhotoError(f"expected to read {path}, found: {error.strerror or error}; check its permissions") from error


def _decode(
    path: str, data: bytes, limit: int, reference: int, develop: bool, raw: bool
) -> tuple[np.ndarray, int, int, bool, str | None]:
    """Pixels of at most ``reference`` long edge; the photo's own width and height; whether it is RAW; and a note."""
    image = open_image(BytesIO(data))
    if raw and (image is None or image.format == "TIFF"):
        with open_raw(path, data) as found:
            if found is not None:
                if found.width * found.height > limit:
                    raise _too_large(path, f"{found.width} × {found.height}", limit)
                pixels, note = _raw_pixels(found, reference, develop)
                return _fit(pixels, reference), found.width, found.height, True, note
    if image is None:
        raise PhotoError(
            f"expected a photo ({', '.join(FORMATS)}{' or RAW' if raw else ''}) in {path}, found something else; "
            "convert it or leave it out"
        )
    width, height = image.size
    _shrink(path, image, limit, reference)  # before anything that may decode it, as looking for EXIF does in PNG
    with _room.take(image.width * image.height):
        if image.getexif().get(0x0112, 1) in (5, 6, 7, 8):
            width, height = height, width
        note = _to_best_frame(image) if image.format in ANIMATED else None
        image.load()
        return _fit(_to_srgb(_upright(image)), reference), width, height, False, note


def _shrink(path: str, image: Image.Image, limit: int, reference: int) -> None:
    """Have a photo decoded at a smaller size where that is enough. Raises :class:`PhotoError` if it stays too large."""
    width, height = image.size
    if width * height > limit:
        edge = reference / max(width, height)
        # A progressive JPEG is held in memory whole, whatever the size that it is decoded at.
        if width * height <= limit * (2 if image.info.get("progressive") else SCALED):
            image.draft(image.mode, (max(1, round(width * edge)), max(1, round(height * edge))))
        if image.width * image.height > limit:
            raise _too_large(path, f"{width} × {height}", limit)
    elif image.format in ("JPEG", "MPO") and max(image.size) >= 4 * reference:
        edge = 2 * reference / max(width, height)  # of both sides: the shorter one decides how far it is shrunk
        image.draft(image.mode, (max(1, int(width * edge)), max(1, int(height * edge))))


def _to_best_frame(image: Image.Image) -> str | None:
    """Turn to the frame of an animation that has the most detail, among the first :data:`ANIMATION` pixels; say so."""
    count = getattr(image, "n_frames", 1)
    if count == 1:
        return None
    looked = min(count, max(1, ANIMATION // (image.width * image.height)))
    details = []
    for number in range(looked):
        image.seek(number)
        details.append(detail_of(_to_srgb(image)))
    best = int(np.argmax(details))
    image.seek(best)
    within = "" if looked == count else f" among the first {looked}"
    return f"animated: frame {best + 1} of {count}, the one with the most detail{within}"


class Room:
    """Lets threads decode large photos at the same time only as far as they have so many pixels together."""

    def __init__(self, pixels: int) -> None:
        self._all = self._free = pixels
        self._changed = threading.Condition()

    @contextlib.contextmanager
    def take(self, pixels: int) -> Iterator[None]:
        """Waits for room; a photo larger than all of it is decoded alone."""
        pixels = min(pixels, self._all)
        with self._changed:
            self._changed.wait_for(lambda: self._free >= pixels)
            self._free -= pixels
        try:
            yield
        finally:
            with self._changed:
                self._free += pixels
                self._changed.notify_all()


_room = Room(AT_ONCE)


def _raw_pixels(raw: Raw, reference: int, develop: bool) -> tuple[np.ndarray, str | None]:
    """Pixels of a RAW file, by its preview or developed, and a note where neither is as it should be."""
    preview = None if develop else raw.preview(reference)
    if preview is not None and max(preview.size) >= SMALL:
        return _to_srgb(_upright(preview)), None
    try:
        with _room.take(raw.width * raw.height):
            return raw.develop(reference), None
    except PhotoError:
        if preview is None:
            raise
        size = f"{preview.width} × {preview.height}"
        return _to_srgb(_upright(preview)), f"seen by a preview of {size} pixels alone: its RAW data is damaged"


def open_image(source: BytesIO | BinaryIO) -> Image.Image | None:
    """A photo of :data:`FORMATS`, its header read; None for anything else."""
    _register_heif()
    begin = source.read(16)
    for factory, accept in map(Image.OPEN.__getitem__, FORMATS):  # not Image.open: its limit is one for the process
        source.seek(0)
        verdict = accept is None or accept(begin)
        if verdict and not isinstance(verdict, str):  # a text says why not
            try:
                return factory(source, "")
            except (SyntaxError, IndexError, TypeError, struct.error):
                continue
    return None


@functools.cache
def _register_heif() -> None:
    import pillow_heif

    Image.init()
    pillow_heif.register_heif_opener()


def usual_limit() -> int:
    """``$CALM_MAX_PIXELS``, or :data:`MAX_PIXELS`. Raises :class:`UsageError` where that is no number."""
    given = os.environ.get("CALM_MAX_PIXELS", str(MAX_PIXELS))
    if not given.isascii() or not given.isdigit():
        raise UsageError(f"expected a number of pixels in CALM_MAX_PIXELS, found {given!r}; unset it for {MAX_PIXELS}")
    return int(given)


def _too_large(path: str | Path, found: str, limit: int) -> PhotoError:
    return PhotoError(
        f"expected at most {limit} pixels in {path}, found {found}; scale it down, or raise the limit: "
        "CALM_MAX_PIXELS=1000000000 (each million takes about 10 MB)"
    )


def _upright(image: Image.Image) -> Image.Image:
    """Turned as its EXIF orientation says; damaged EXIF counts as none."""
    try:
        return ImageOps.exif_transpose(image) if image.getexif().get(0x0112, 1) != 1 else image
    except (OSError, SyntaxError, ValueError, KeyError, TypeError):
        return image


def _to_srgb(image: Image.Image) -> np.ndarray:
    """(H, W, 3) uint8 of any mode: alpha on white, 16 bits scaled, profiles converted (a broken one counts as sRGB)."""
    if image.mode in ("I;16", "I;16B", "I;16L"):
        table = (np.arange(65536) / 65535 * 255 + 0.5).astype(np.uint8)
        image = Image.fromarray(table[np.asarray(image)])
    if image.mode in ("I", "F"):
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
    colour = colour if colour.mode == "RGB" else colour.convert("RGB")
    if alpha is not None:
        white = Image.new("RGB", colour.size, "white")
        white.paste(colour, mask=alpha)
        colour = white
    return np.asarray(colour)


def _convert_profile(image: Image.Image, profile: bytes) -> Image.Image:
    try:
        return ImageCms.applyTransform(image, _to_srgb_from(profile, image.mode)) or image
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return image


@functools.lru_cache(16)
def _to_srgb_from(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform:
    """Made once for all photos of a camera; without its memory of the last pixel, so that threads may share it."""
    source = ImageCms.ImageCmsProfile(BytesIO(profile))
    return ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), mode, "RGB", flags=ImageCms.Flags.NOCACHE)


def _fit(pixels: np.ndarray, reference: int) -> np.ndarray:
    import cv2  # a score of a small photo does without it

    height, width = pixels.shape[:2]
    scale = reference / max(height, width)
    if scale >= 1:
        return np.ascontiguousarray(pixels)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
