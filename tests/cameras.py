"""Files as cameras write them: a Bayer DNG with an embedded preview, and JPEGs with EXIF."""

from __future__ import annotations

import struct
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image

TURNED = {1: 0, 3: 2, 6: 1, 8: 3}
"""Quarter turns, counterclockwise, from upright pixels to the sensor's, by EXIF orientation."""


def mosaic(pixels: np.ndarray) -> np.ndarray:
    """(H, W) uint16 of 14 bits, what an RGGB sensor would see of (H, W, 3) sRGB."""
    values = pixels / 255.0
    linear = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    seen = np.empty(pixels.shape[:2])
    seen[::2, ::2], seen[::2, 1::2] = linear[::2, ::2, 0], linear[::2, 1::2, 1]
    seen[1::2, ::2], seen[1::2, 1::2] = linear[1::2, ::2, 1], linear[1::2, 1::2, 2]
    return (512 + seen * (16383 - 512)).astype(np.uint16)


def write_dng(
    path: Path,
    pixels: np.ndarray,
    preview: np.ndarray | None = None,
    orientation: int = 1,
    taken: str = "2024:05:06 07:08:09",
    packet: bytes = b"",
) -> Path:
    """A DNG whose sensor saw ``pixels`` (H, W, 3 upright sRGB, even sides), with a JPEG ``preview`` or none."""
    seen = mosaic(np.rot90(pixels, TURNED[orientation]))
    content = b"II*\0\0\0\0\0"

    def add(block: bytes) -> int:
        nonlocal content
        at = len(content)
        content += block + b"\0" * (len(block) % 2)
        return at

    sensor = seen.astype("<u2").tobytes()
    tags = {254: long(0), 258: short(16), 259: short(1), 262: short(32803), 277: short(1)}  # a mosaic
    tags |= {256: long(seen.shape[1]), 257: long(seen.shape[0]), 278: long(seen.shape[0])}
    tags |= {273: long(add(sensor)), 279: long(len(sensor)), 274: short(orientation)}
    tags |= {271: text("Calm"), 272: text("Testcam"), 50708: text("Calm Testcam"), 50706: (1, bytes((1, 4, 0, 0)))}
    tags |= {33421: short(2, 2), 33422: (1, bytes((0, 1, 1, 2))), 50714: short(512), 50717: short(16383)}
    xyz = np.linalg.inv([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    matrix = [part for value in xyz.ravel() for part in (round(value * 10000), 10000)]
    tags |= {50721: (10, struct.pack("<18i", *matrix)), 50728: rational(1, 1, 1, 1, 1, 1), 50778: short(21)}
    exif = {0x829A: rational(1, 250), 0x829D: rational(28, 10), 0x8827: short(400), 0x9003: text(taken)}
    tags[0x8769] = long(add(directory(exif, len(content))))
    if preview is not None:
        shown = np.rot90(preview, TURNED[orientation])
        file = jpeg(shown)
        small = {254: long(1), 258: short(8, 8, 8), 259: short(7), 262: short(6), 277: short(3)}
        small |= {256: long(shown.shape[1]), 257: long(shown.shape[0]), 278: long(shown.shape[0])}
        small |= {273: long(add(file)), 279: long(len(file))}
        tags[330] = long(add(directory(small, len(content))))
    if packet:
        tags[700] = (1, packet)
    main = add(directory(tags, len(content)))
    path.write_bytes(content[:4] + struct.pack("<I", main) + content[8:])
    return path


def directory(tags: dict[int, tuple[int, bytes]], at: int) -> bytes:
    """A directory of a TIFF file that begins at a byte, with the values that do not fit into it behind it."""
    entries, behind = struct.pack("<H", len(tags)), b""
    end = at + 2 + 12 * len(tags) + 4
    for tag, (kind, value) in sorted(tags.items()):
        count = len(value) // {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 10: 8}[kind]
        if len(value) > 4:
            place = struct.pack("<I", end + len(behind))
            behind += value + b"\0" * (len(value) % 2)
        else:
            place = value.ljust(4, b"\0")
        entries += struct.pack("<HHI", tag, kind, count) + place
    return entries + bytes(4) + behind


def text(value: str) -> tuple[int, bytes]:
    return 2, value.encode() + b"\0"


def short(*values: int) -> tuple[int, bytes]:
    return 3, struct.pack(f"<{len(values)}H", *values)


def long(*values: int) -> tuple[int, bytes]:
    return 4, struct.pack(f"<{len(values)}I", *values)


def rational(*values: int) -> tuple[int, bytes]:
    return 5, struct.pack(f"<{len(values)}I", *values)


def jpeg(pixels: np.ndarray, exif: dict[int, object] | None = None, **more: object) -> bytes:
    """A JPEG file; ``exif`` holds tags of the EXIF directory."""
    tags = Image.Exif()
    tags.get_ifd(ExifTags.IFD.Exif).update(exif or {})
    written = BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(written, "JPEG", quality=92, exif=tags, **more)
    return written.getvalue()
