"""The photos behind the arguments of a command: files, folders, patterns, and lists on standard input."""

import glob
import os
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from calm.data.raw import RAW_SUFFIXES
from calm.data.record import PHOTO_SUFFIXES
from calm.errors import UsageError

SYSTEM_FOLDERS = frozenset(
    {
        "@eadir",
        "#recycle",
        "@recycle",
        "$recycle.bin",
        "__macosx",
        "lost+found",
        "system volume information",
        "thumbnails",
        "thumbs",
    }
)
"""Folders of small copies and of deleted files: Synology's, QNAP's, Windows', macOS' (in small letters)."""
PREVIEWS = ".lrdata"
"""Ending of the folders of previews that Lightroom keeps."""


@dataclass(frozen=True)
class Search:
    """How folders and lists are read.

    Attributes:
        null: lists are separated by NUL characters instead of line ends.
        everything: hidden files and folders, :data:`SYSTEM_FOLDERS` and :data:`PREVIEWS` are searched as well.
        passed_over: takes the paths of photos there otherwise.
    """

    null: bool = False
    everything: bool = False
    passed_over: list[str] = field(default_factory=list)


def find_photos(
    paths: Sequence[str], stdin: Iterable[str | bytes] | None = None, search: Search | None = None
) -> Iterator[str]:
    """Paths of photos, each once.

    Args:
        paths: files (taken as they are, even when missing), folders (searched whole, in natural order), patterns, or
            ``-`` for a list on ``stdin``, or on standard input for None.
        search: how folders and lists are read.

    A folder that may not be looked into is told as if it were a photo, so that it fails and is not lost.

    Raises:
        UsageError: for a folder or pattern without any photo.
    """
    search = search or Search()
    seen: set[str] = set()
    for given in paths:
        if given == "-":
            stream = getattr(sys.stdin, "buffer", sys.stdin) if stdin is None else stdin
            found: Iterable[str] = listed(stream, "\0" if search.null else "\n")
        elif os.path.isdir(given):
            found = _below(given, search)
        elif not os.path.exists(given) and glob.has_magic(given):
            found = sorted((path for path in glob.glob(given, recursive=True) if os.path.isfile(path)), key=natural)
            if not found:
                raise UsageError(f"expected photos to match {given!r}, found none; check the pattern")
        else:
            found = [given]
        for path in found:
            if path not in seen:
                seen.add(path)
                yield path


def listed(stream: Iterable[str | bytes], separator: str) -> Iterator[str]:
    """The names in a list, as they come in; empty ones are left out."""
    rest = ""
    for line in stream:  # a name may hold line ends where NUL separates
        *names, rest = (rest + os.fsdecode(line)).split(separator)
        yield from filter(None, (name.removesuffix("\r") if separator == "\n" else name for name in names))
    if rest:
        yield rest


def natural(path: str) -> list[str | int]:
    """Sorting key by which ``a9.jpg`` comes before ``a10.jpg``."""
    return [int(part) if i % 2 else part for i, part in enumerate(re.split("([0-9]+)", path))]


def _below(folder: str, search: Search) -> list[str]:
    suffixes = PHOTO_SUFFIXES | RAW_SUFFIXES
    found: list[str] = []
    aside: list[str] = []
    for root, folders, files in os.walk(folder, onerror=lambda error: found.append(error.filename)):
        folders.sort(key=natural)
        within = os.path.relpath(root, folder).split(os.sep)
        hidden = not search.everything and any(_is_system(name) for name in within if name != os.curdir)
        for name in sorted(files, key=natural):
            if os.path.splitext(name)[1].lower() in suffixes:
                skipped = hidden or (not search.everything and name.startswith("."))
                (aside if skipped else found).append(os.path.join(root, name))
    search.passed_over.extend(aside)
    if not found:
        endings = ", ".join(sorted(suffixes))
        hint = f" but {len(aside)} in hidden and system folders: add --all" if aside else "; name another folder"
        raise UsageError(f"expected photos in {folder}, found no file ending in {endings}{hint}")
    return found


def _is_system(folder: str) -> bool:
    name = folder.lower()
    return name.startswith(".") or name in SYSTEM_FOLDERS or name.endswith(PREVIEWS)
