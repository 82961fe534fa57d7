"""Shots: what one press of the shutter wrote, be it one file or several (RAW, JPEG, HEIC, a Live Photo's video)."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import combinations

from calm.data.find import Search, find_photos
from calm.data.raw import RAW_SUFFIXES
from calm.data.record import PHOTO_SUFFIXES
from calm.library.exif import read_exif

JPEG_SUFFIXES = frozenset({".jpg", ".jpeg"})
HEIF_SUFFIXES = frozenset({".heic", ".heif", ".hif", ".avif"})
VIDEO_SUFFIXES = (".mov", ".MOV", ".mp4", ".MP4")
"""Endings of the video that a phone writes beside a Live Photo."""
APART = timedelta(seconds=2)
"""Files of one name whose times of capture differ by more are different photos."""


@dataclass(frozen=True)
class Shot:
    """One photo, and all files that it was written into.

    Attributes:
        path: the file that is looked at.
        files: all of them, ``path`` first and a Live Photo's video last.
    """

    path: str
    files: tuple[str, ...]


def find_shots(
    paths: Sequence[str],
    stdin: Iterable[str] | None = None,
    *,
    develop: bool = False,
    search: Search | None = None,
) -> Iterator[Shot]:
    """The shots behind arguments of the command line, see :func:`calm.data.find.find_photos`.

    Files of a folder are brought together; files that are named one by one are a shot each.

    Args:
        develop: look at the RAW file of a shot, where it has one, rather than at what the camera made of it.
        search: how folders and lists are read.

    Raises:
        UsageError: for a folder or pattern without any photo.
    """
    seen: set[str] = set()
    for given in paths:
        found = find_photos([given], stdin, search)
        shots = group(found, develop=develop) if os.path.isdir(given) else (Shot(path, (path,)) for path in found)
        for shot in shots:
            if shot.path not in seen:
                seen.update(shot.files)
                yield shot


def group(paths: Iterable[str], *, develop: bool = False) -> list[Shot]:
    """Shots of files, in the order of the first file of each.

    A shot is a RAW file with the JPEG and HEIC of its name, or a HEIC with its JPEG; they stand in one folder, and
    their times of capture agree as far as they are known.
    """
    named: defaultdict[str, list[str]] = defaultdict(list)
    for path in paths:
        named[os.path.splitext(path)[0].casefold()].append(path)
    shots = []
    for files in named.values():
        kinds = {path: _kind(path) for path in files}
        together = [path for path in files if kinds[path]]
        found = [kinds[path] for path in together]
        certain = "raw" not in found or len(set(found)) < len(found)
        if len(together) < 2 or not _agree(together, certain=certain):
            together = []
        order = ("raw", "jpeg", "heif") if develop else ("jpeg", "heif", "raw")
        together.sort(key=lambda path: order.index(kinds[path]))
        shots += [_shot(together)] if together else []
        shots += [_shot([path]) for path in files if path not in together]
    return shots


def twins(path: str) -> list[str]:
    """Other photos in a file's folder that have its name but for the ending."""
    stem, own = os.path.splitext(path)
    endings = sorted(PHOTO_SUFFIXES | RAW_SUFFIXES)
    candidates = [stem + form for ending in endings for form in (ending, ending.upper()) if form != own]
    return [other for other in candidates if os.path.isfile(other) and not os.path.samefile(other, path)]


def is_raw(path: str) -> bool:
    """Whether a file is RAW by its name."""
    return _kind(path) == "raw"


def _kind(path: str) -> str:
    """``raw``, ``jpeg``, ``heif``; "" for files that cameras do not write beside another."""
    ending = os.path.splitext(path)[1].lower()
    kinds = {"raw": RAW_SUFFIXES, "jpeg": JPEG_SUFFIXES, "heif": HEIF_SUFFIXES}
    return next((kind for kind, endings in kinds.items() if ending in endings), "")


def _agree(paths: Sequence[str], *, certain: bool) -> bool:
    """Whether files may be of one shot by their times of capture; unknown ones agree unless it has to be certain."""
    times = [read_exif(path).taken for path in paths]
    known = [time.replace(tzinfo=None) for time in times if time]
    return (len(known) == len(times) or not certain) and all(abs(a - b) <= APART for a, b in combinations(known, 2))


def _shot(files: Sequence[str]) -> Shot:
    stem = os.path.splitext(files[0])[0]
    videos = [stem + ending for ending in VIDEO_SUFFIXES if os.path.isfile(stem + ending)]
    phone = any(_kind(path) in ("jpeg", "heif") for path in files)
    return Shot(files[0], (*files, *videos[:1]) if phone else tuple(files))
