"""What a camera noted about a photo. Read by Pillow, and by LibRaw of RAW files that are no TIFF."""

from __future__ import annotations

import contextlib
import math
import mmap
import re
import struct
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

from PIL import ExifTags, Image

from calm.data.images import open_image
from calm.data.raw import open_raw

Base = ExifTags.Base
ULTRA_HDR = (b"http://ns.adobe.com/hdr-gain-map/", b"urn:iso:std:iso:ts:21496")
"""Marks of a JPEG with a gain map, in its XMP or in an APP2 segment."""
MOTION = re.compile(rb"""Camera:(MotionPhoto|MicroVideo)\s*(=\s*["']|>)\s*1""")
"""In the XMP of a photo with a video behind it."""
CANON_MAIN, CANON_DETAIL, CANON_HEAD = b"CMT1", b"CMT2", 1 << 16
"""Boxes of a CR3 that hold EXIF as TIFF, and the bytes within which they stand."""
PACKET_BEGIN, PACKET_END = b"<x:xmpmeta", b"</x:xmpmeta>"
DAMAGED = (OSError, ValueError, SyntaxError, TypeError, KeyError, struct.error, Image.DecompressionBombError)
"""What Pillow raises for files that are no photo or are damaged."""
SAMSUNG, SAMSUNG_END = b"MotionPhoto_Data", b"SEFT"


@dataclass(frozen=True)
class Exif:
    """Everything is None where it is not known.

    Attributes:
        taken: time of capture, as the camera's clock showed it; with its zone where that was noted.
        camera, lens: maker and model.
        exposure_time: seconds.
        f_number: focal length over aperture.
        iso: sensitivity.
        exposure_bias: EV by which the photographer departed from the meter.
        focal_length: millimetres.
        kind: ``motion`` (a photo with a video in its file) or ``ultra_hdr`` (with a gain map); None for others.
    """

    taken: datetime | None = None
    camera: str | None = None
    lens: str | None = None
    exposure_time: float | None = None
    f_number: float | None = None
    iso: int | None = None
    exposure_bias: float | None = None
    focal_length: float | None = None
    kind: str | None = None

    def as_columns(self) -> dict[str, object]:
        """The same for a row; time as ISO 8601."""
        return vars(self) | {"taken": self.taken.isoformat() if self.taken else None}


COLUMNS = tuple(vars(Exif()))


def read_exif(path: str | Path) -> Exif:
    """What is known of a photo; nothing of a file that is none, or whose EXIF is damaged."""
    with contextlib.suppress(*DAMAGED), warnings.catch_warnings(action="ignore"), open(path, "rb") as file:
        image = open_image(file)
        if image is not None:
            exif = image.getexif()
            return _facts(exif, exif.get_ifd(ExifTags.IFD.Exif), _kind(image, file))
        return _facts(*raw_tables(str(path), file), None)
    return Exif()


def exif_of(data: bytes) -> tuple[Exif, bytes]:
    """What is known of a photo by its bytes, but for its kind, and the XMP packet within; nothing of RAW files."""
    with contextlib.suppress(*DAMAGED), warnings.catch_warnings(action="ignore"):
        image = open_image(BytesIO(data))
        if image is not None:
            exif = image.getexif()
            return _facts(exif, exif.get_ifd(ExifTags.IFD.Exif), None), _packet(image)
    return Exif(), b""


def read_packet(path: str | Path) -> bytes:
    """The XMP packet within a photo; no bytes where there is none."""
    with contextlib.suppress(*DAMAGED), warnings.catch_warnings(action="ignore"), open(path, "rb") as file:
        image = open_image(file)
        if image is not None:
            return _packet(image)
        # Packets are made to be found in files of any format.
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            begin = content.find(PACKET_BEGIN)
            end = content.find(PACKET_END, begin)
            return content[begin : end + len(PACKET_END)] if 0 <= begin < end else b""
    return b""


def raw_tables(path: str, file: BinaryIO) -> tuple[Image.Exif, Mapping[int, Any]]:
    """Main table of a RAW file, and that of its exposure: it begins as a TIFF does, or is Canon's CR3, or has a preview
    with EXIF. Empty ones of any other.
    """
    exif = Image.Exif()
    file.seek(0)
    head = file.read(CANON_HEAD)
    if CANON_MAIN in head:
        detail = Image.Exif()
        exif.load(b"Exif\0\0" + head.partition(CANON_MAIN)[2])
        detail.load(b"Exif\0\0" + head.partition(CANON_DETAIL)[2])
        return exif, detail
    with contextlib.suppress(*DAMAGED):
        file.seek(0)
        exif.load_from_fp(file)
        return exif, exif.get_ifd(ExifTags.IFD.Exif)
    file.seek(0)
    with open_raw(path, file.read()) as raw:
        preview = raw.preview() if raw else None
    exif = Image.Exif() if preview is None else preview.getexif()
    return exif, exif.get_ifd(ExifTags.IFD.Exif)


def _facts(main: Image.Exif, detail: Mapping[int, Any], kind: str | None) -> Exif:
    make, model = _text(main.get(Base.Make)), _text(main.get(Base.Model))
    if make and model and not model.lower().startswith(make.split()[0].lower()):
        model = f"{make} {model}"
    iso = _number(detail.get(Base.ISOSpeedRatings))
    return Exif(
        _time(detail, Base.DateTimeOriginal, Base.SubsecTimeOriginal, Base.OffsetTimeOriginal)
        or _time(detail, Base.DateTimeDigitized, Base.SubsecTimeDigitized, Base.OffsetTimeDigitized)
        or _time(main, Base.DateTime, None, None),
        model or make,
        _text(detail.get(Base.LensModel)),
        _number(detail.get(Base.ExposureTime)),
        _number(detail.get(Base.FNumber)),
        None if iso is None else round(iso),
        _number(detail.get(Base.ExposureBiasValue)),
        _number(detail.get(Base.FocalLength)),
        kind,
    )


def _time(tags: Any, when: int, part: int | None, zone: int | None) -> datetime | None:  # noqa: ANN401 - Pillow's tags
    text = _text(tags.get(when)) or ""
    digits = re.sub(r"\D", "", _text(tags.get(part)) or "") if part else ""
    offset = re.fullmatch(r"[+-]\d\d:\d\d", _text(tags.get(zone)) or "") if zone else None
    try:
        found = datetime.strptime(text[:19], "%Y:%m:%d %H:%M:%S")
        found = found.replace(microsecond=int(digits[:6].ljust(6, "0"))) if digits else found
        return datetime.fromisoformat(found.isoformat() + offset[0]) if offset else found
    except ValueError:
        return None


def _text(value: object) -> str | None:
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    return value.split("\0")[0].strip() or None if isinstance(value, str) else None


def _number(value: Any) -> float | None:  # noqa: ANN401 - whatever the tag holds
    if isinstance(value, tuple):
        value = value[0] if value else None
    try:
        number = float(value)
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    return number if math.isfinite(number) else None


def _kind(image: Image.Image, file: BinaryIO) -> str | None:
    packet = _packet(image)
    if MOTION.search(packet) or _samsung_video(file):
        return "motion"
    segments = b"".join(content[:64] for _, content in getattr(image, "applist", ()))
    return "ultra_hdr" if any(mark in packet or mark in segments for mark in ULTRA_HDR) else None


def _packet(image: Image.Image) -> bytes:
    found = image.info.get("xmp") or b""
    return found.encode() if isinstance(found, str) else found


def _samsung_video(file: BinaryIO) -> bool:
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return content[-4:] == SAMSUNG_END and content.rfind(SAMSUNG) >= 0
