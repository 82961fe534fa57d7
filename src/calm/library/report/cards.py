"""What a page shows of one photo: its picture, and the texts of its row."""

from __future__ import annotations

import base64
import contextlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import quote

from calm.errors import PhotoError
from calm.inference.table import camera
from calm.library.exif import read_exif

QUALITY = 78
"""Of the pictures, which are WebP."""
SAME_SHAPE = 0.02
"""Two pictures whose aspects differ by no more lie on one another; others stand side by side."""


@dataclass(frozen=True)
class Picture:
    """A small picture as a data URL; ``width`` and ``height`` are its own, in pixels."""

    url: str
    width: int
    height: int


@dataclass(frozen=True)
class Card:
    """Texts are as people read them, not escaped.

    Attributes:
        path, name, place: the file, its name, and the folder that it is in.
        link: address of the file as seen from the page.
        picture: None where the file cannot be read.
        after: the improved photo; ``overlaid`` where it has the shape of the original.
        taken: time of capture by the camera's clock, without its zone.
        groups: what the photo may be grouped by.
        row: everything else.
    """

    path: str
    name: str
    place: str
    link: str
    score: float | None
    decision: str | None
    model: str | None
    picture: Picture | None
    after: Picture | None
    overlaid: bool
    taken: datetime | None
    camera: str
    groups: Mapping[str, str] = field(default_factory=dict)
    row: Mapping[str, Any] = field(default_factory=dict)


def card_of(row: Mapping[str, Any], *, folder: Path, edge: int, develop: bool = False) -> Card:
    """The card of a row.

    Args:
        folder: where the page is.
        edge: long edge of its picture, pixels.
        develop: show a RAW file developed.
    """
    path, whole = row["path"], row["status"] == "ok"
    facts = row if "taken" in row else {**row, **read_exif(path).as_columns()}
    picture = picture_of(path, edge, develop=develop) if whole else None
    after = picture_of(row["improved"], edge) if row.get("improved") else None
    return card_of_facts(row, facts, path, quote(os.fsencode(os.path.relpath(path, folder))), picture, after)


def card_of_facts(
    row: Mapping[str, Any],
    facts: Mapping[str, Any],
    path: str,
    link: str,
    picture: Picture | None,
    after: Picture | None = None,
) -> Card:
    """The card of a row whose pictures are there.

    Args:
        facts: what the camera noted, as :meth:`calm.library.exif.Exif.as_columns` has it.
    """
    taken = datetime.fromisoformat(facts["taken"]).replace(tzinfo=None) if facts["taken"] else None
    return Card(
        path=path,
        name=shown(os.path.basename(path)),
        place=shown(os.path.dirname(path)),
        link=link,
        score=row["score"],
        decision=row.get("decision"),
        model=row["model"],
        picture=picture,
        after=after,
        overlaid=bool(picture and after and alike(picture, after)),
        taken=taken,
        camera=camera(facts),
        groups=dict(groups_of(row, taken)),
        row=row,
    )


def picture_of(path: str, edge: int, *, develop: bool = False) -> Picture | None:
    """A photo, small; None where it cannot be read any more."""
    from PIL import Image

    from calm.data.images import load_photo

    with contextlib.suppress(PhotoError):
        image = Image.fromarray(load_photo(path, reference=edge, develop=develop).pixels)
        out = BytesIO()
        image.save(out, "WEBP", quality=QUALITY)
        return Picture(f"data:image/webp;base64,{base64.b64encode(out.getvalue()).decode()}", *image.size)
    return None


def alike(one: Picture, other: Picture) -> bool:
    """Whether two pictures have the same shape."""
    return abs(one.width * other.height / (one.height * other.width) - 1) < SAME_SHAPE


def groups_of(row: Mapping[str, Any], taken: datetime | None) -> Sequence[tuple[str, str]]:
    """What a photo may be grouped by, and the heading of its group."""
    found = []
    if row.get("decision"):
        found.append(("decision", {"keep": "Keep", "maybe": "Maybe", "reject": "Reject"}[row["decision"]]))
    if row.get("series"):
        found.append(("series", f"Series {row['series']}: {row['series_kind']}"))
    if row.get("group"):
        found.append(("group", shown(row["group"])))
    if taken:
        found.append(("day", f"{taken:%-d %B %Y}"))
    return found


def shown(name: str) -> str:
    """A file's name as text: bytes that are no UTF-8 become escapes."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")
