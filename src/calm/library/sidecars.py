"""Ratings, labels, descriptions and keywords in XMP sidecars, beside what people and other programs wrote there.

What a person set is never replaced: a rating, a label or a description counts as a person's unless it is the one that
calm wrote, which stands beside it under calm's own namespace. Photos themselves are only read.
"""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from calm.errors import PhotoError
from calm.library.exif import read_packet
from calm.library.shots import find_shots, is_raw, twins
from calm.library.xmp import Packet

Naming = Literal["photo.ext.xmp", "photo.xmp"]
"""Names of new sidecars: those of darktable, digiKam and immich, or that of Lightroom and Capture One."""
REJECTED = -1
STARS = (4.75, 5.5, 6.25, 7.0)
"""Scores from which a photo has 2, 3, 4 and 5 stars."""
LABELS = {1: "Red", 2: "Red", 3: "Yellow", 4: "Green", 5: "Green", REJECTED: "Red"}
"""Colour label of each rating."""
PERCENT = (1, 13, 38, 63, 87)
"""Windows' ratings (1, 25, 50, 75, 99 as it writes them) from which a photo has 1, 2, … 5 stars."""
SUFFIX, WRITING = ".xmp", ".writing"
LEFT_OVER = 30.0
"""Seconds after which a half-written file belongs to a run that was killed."""
TRIES = 5
"""Times that a sidecar is merged anew because another program wrote it meanwhile."""


@dataclass(frozen=True)
class Marks:
    """What is to be said of a photo; None for what is not.

    Attributes:
        score: 1–10.
        model: that gave it.
        rating: −1 (rejected), 1 … 5.
        label: a colour, as Lightroom names it.
        description: text.
        keywords: added to those that are there; earlier ones of calm's that are not among them go.
    """

    score: float | None = None
    model: str | None = None
    rating: int | None = None
    label: str | None = None
    description: str | None = None
    keywords: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Rating:
    """A photo's rating.

    Attributes:
        value: −1 (rejected), 1 … 5; None for a photo that is not rated.
        person: whether a person gave it, and not calm.
    """

    value: int | None = None
    person: bool = False


@dataclass(frozen=True)
class Change:
    """A sidecar as it is and as it should be.

    Attributes:
        path: of the sidecar.
        before, after: its bytes; None for no file. Equal where there is nothing to do.
        rating: that the photo has afterwards.
    """

    path: str
    before: bytes | None
    after: bytes | None
    rating: Rating

    def write(self) -> bool:
        """Puts the sidecar into its place, whole; False where another program has changed it since it was read.

        Raises:
            OSError: where it cannot be written.
        """
        if self.after == self.before:
            return True
        return replace(Path(os.path.realpath(self.path)), self.before, self.after)

    def undone(self) -> Change:
        """What takes it back, unless the sidecar has been changed since."""
        return Change(self.path, self.after, self.before, Rating())


def stars(score: float) -> int:
    """1 … 5 stars for a score of 1–10, see :data:`STARS`."""
    return 1 + sum(score >= least for least in STARS)


def mark(path: str, marks: Marks, *, overwrite_rating: bool = False, naming: Naming = "photo.ext.xmp") -> Change:
    """Writes marks into a photo's sidecar, a new one where it has none.

    Args:
        overwrite_rating: replace a rating that a person gave.

    Raises:
        PhotoError: for a sidecar that is no XMP (it stays as it is), or that cannot be written.
    """
    try:
        for _ in range(TRIES):
            change = plan(path, marks, overwrite_rating=overwrite_rating, naming=naming)
            if change.write():
                return change
    except OSError as error:
        raise PhotoError(
            f"expected to write the sidecar of {path}, found: {error}; check the permissions of its folder"
        ) from error
    raise PhotoError(f"expected {change.path} to stay the same for a moment, found it changing; close what writes it")


def plan(path: str, marks: Marks, *, overwrite_rating: bool = False, naming: Naming = "photo.ext.xmp") -> Change:
    """What :func:`mark` would do; nothing is written."""
    place = find_sidecar(path) or new_sidecar(path, naming)
    before = content(place)
    packet = Packet(before or b"", place)
    untouched = bytes(packet)
    given = _rating(packet)
    given = _put(packet, marks, read_rating(path) if given.value is None else given, overwrite_rating)
    after = bytes(packet)
    return Change(place, before, before if after == untouched else after, given)


def marked(before: bytes, marks: Marks, embedded: Rating, name: str) -> bytes:
    """A sidecar with marks in it, as :func:`plan` puts them there; no file is looked at.

    Args:
        before: what it holds; nothing for a new one.
        embedded: rating within the photo itself, which counts where the sidecar has none.
        name: of the sidecar, for messages.

    Raises:
        PhotoError: for what is no XMP.
    """
    packet = Packet(before, name)
    given = _rating(packet)
    _put(packet, marks, embedded if given.value is None else given)
    return bytes(packet)


def _put(packet: Packet, marks: Marks, given: Rating, overwrite_rating: bool = False) -> Rating:
    """Puts marks into a packet. Returns the rating that the photo, which had the rating ``given``, has now."""
    if marks.score is not None:
        packet.set_text("calm:Score", f"{marks.score:.2f}")
        packet.set_text("calm:Model", marks.model)
    if given.person and not overwrite_rating:
        packet.set_text("calm:Rating", None)
        packet.set_text("xmp:Rating", str(given.value))
    elif marks.rating is not None:
        packet.set_text("xmp:Rating", str(marks.rating))
        packet.set_text("calm:Rating", str(marks.rating))
        given = Rating(marks.rating)
    if marks.label is not None and packet.text("xmp:Label") in (None, packet.text("calm:Label")):
        packet.set_text("xmp:Label", marks.label)
        packet.set_text("calm:Label", marks.label)
    if marks.description is not None and packet.described("dc:description") in (None, packet.text("calm:Description")):
        packet.describe("dc:description", marks.description)
        packet.set_text("calm:Description", marks.description)
    if marks.keywords is not None:
        _set_keywords(packet, marks.keywords)
    return given


def read_rating(path: str) -> Rating:
    """A photo's rating in its sidecar, else in another sidecar of its name, else within the file itself.

    Raises:
        PhotoError: for a sidecar that is no XMP.
    """
    for place in sidecars(path):
        found = _rating(Packet(content(place) or b"", place))
        if found.value is not None:
            return found
    return rating_in(read_packet(path))


def rating_in(packet: bytes) -> Rating:
    """The rating in the packet within a photo; a damaged one says nothing."""
    with contextlib.suppress(PhotoError):
        return _rating(Packet(packet))
    return Rating()


def rated(folder: str) -> tuple[dict[str, int], list[dict[str, str]]]:
    """Stars that a person gave photos of a folder and below it, by path, and photos whose sidecar is damaged.

    Photos that nobody rated, or calm alone did, are left out. A rejected photo counts as one of 1 star.
    """
    found: dict[str, int] = {}
    failed: list[dict[str, str]] = []
    for shot in find_shots([folder]):
        try:
            given = [rating.value for rating in map(read_rating, shot.files) if rating.value and rating.person]
        except PhotoError as error:
            failed.append({"path": shot.path, "error": str(error)})
            continue
        if given:
            found[shot.path] = max(given[0], 1)
    return found, failed


def find_sidecar(path: str) -> str | None:
    """The sidecar of a photo, the one with its whole name before the one with its stem; None where it has none."""
    return next(iter(sidecars(path)), None)


def new_sidecar(path: str, naming: Naming) -> str:
    """Where a photo's sidecar goes. One with the stem alone is for a file that shares it with no other, or is RAW."""
    stem = os.path.splitext(path)[0]
    alone = not twins(path) or (is_raw(path) and not any(map(is_raw, twins(path))))
    free = not os.path.lexists(stem + SUFFIX)
    return stem + SUFFIX if naming == "photo.xmp" and alone and free else path + SUFFIX


def replace(path: Path, before: bytes | None, after: bytes | None) -> bool:
    """Puts new bytes in a file's place, or removes it (None), provided that it still has the old ones.

    The file is whole at any time, also when the process is killed: new bytes are on the disk before they get its name.

    Raises:
        OSError: where it cannot be written.
    """
    _tidy(path.parent)
    scratch = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}{WRITING}")
    try:
        if after is not None:
            with open(scratch, "xb") as stream:
                stream.write(after)
                stream.flush()
                os.fsync(stream.fileno())
        if before is not None and after is not None:
            _same_owner(path, scratch)
        if content(path) != before:
            return False
        if after is None:
            path.unlink()
        else:
            os.replace(scratch, path)
    finally:
        scratch.unlink(missing_ok=True)
    if os.name == "posix":
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    return True


def sidecars(path: str) -> Iterator[str]:
    """Sidecars of a photo that exist, the one with its whole name first."""
    stem = os.path.splitext(path)[0]
    for place in (path + SUFFIX, path + SUFFIX.upper()):
        if os.path.isfile(place):
            yield place
    for place in (stem + SUFFIX, stem + SUFFIX.upper()):
        if os.path.isfile(place) and _belongs(place, path):
            yield place


def _belongs(sidecar: str, path: str) -> bool:
    """Whether a sidecar with a photo's stem is of this photo, and not of another file with that stem."""
    packet = Packet(content(sidecar) or b"", sidecar)
    ending = packet.text("photoshop:SidecarForExtension")
    if ending:
        return path.lower().endswith("." + ending.lower())
    others = [os.path.basename(other).casefold() for other in twins(path)]
    if not others:
        return True
    for name in ("crs:RawFileName", "xmpMM:DerivedFrom"):
        written = (packet.text(name) or "").casefold()
        if written in (os.path.basename(path).casefold(), *others):
            return written not in others
    return is_raw(path) and not any(map(is_raw, others))


def _rating(packet: Packet) -> Rating:
    given = packet.text("xmp:Rating")
    try:
        value = round(float(given if given is not None else packet.text("MicrosoftPhoto:Rating") or 0))
    except (ValueError, OverflowError):
        return Rating()
    if given is None:
        value = sum(value >= least for least in PERCENT)
    if value not in (REJECTED, *range(1, 6)):
        return Rating()
    return Rating(value, person=str(value) != packet.text("calm:Rating"))


def _set_keywords(packet: Packet, keywords: Sequence[str]) -> None:
    ours = packet.items("calm:Keywords")
    kept = [word for word in packet.items("dc:subject") if word not in ours or word in keywords]
    known = {word.casefold() for word in kept}
    new = [word for word in dict.fromkeys(keywords) if word.casefold() not in known]
    packet.set_items("dc:subject", [*kept, *new])
    packet.set_items("calm:Keywords", [*(word for word in ours if word in kept), *new])


def content(path: str | Path) -> bytes | None:
    """A file's bytes; None where there is none."""
    try:
        return Path(path).read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise PhotoError(f"expected to read the sidecar {path}, found: {error}; check its permissions") from error


@functools.cache
def _tidy(folder: Path) -> None:
    """Removes what killed runs left half-written, once a process and folder."""
    for left in folder.glob(f".*{SUFFIX}.*{WRITING}"):
        with contextlib.suppress(OSError):
            if time.time() - left.stat().st_mtime > LEFT_OVER:
                left.unlink()


def _same_owner(path: Path, scratch: Path) -> None:
    shutil.copymode(path, scratch)
    with contextlib.suppress(OSError, AttributeError):  # only some may give files away, and not on every system
        state = path.stat()
        os.chown(scratch, state.st_uid, state.st_gid)
