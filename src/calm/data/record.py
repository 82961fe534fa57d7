"""One photo with whatever people said about it, and the data sets that yield such records.

A data set is one file in ``calm/data/datasets``: a class derived from :class:`DataSet` with a ``name``. Nothing else
has to be changed for it to be found: :func:`datasets` looks into every module of that folder. A set that is nothing but
folders of photos is a row of ``photos.yaml`` there.
"""

import difflib
import functools
import importlib
import inspect
import math
import pkgutil
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import yaml

from calm.errors import DataError, UsageError

Split = Literal["train", "validation", "test"]
SPLITS: tuple[str, ...] = get_args(Split)

PHOTO_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".gif", ".heic", ".heif", ".hif", ".avif", ".bmp"}
)
"""What a folder is searched for. A file's content, not its ending, decides how it is decoded."""


@dataclass(frozen=True)
class Record:
    """One photo of a data set.

    Attributes:
        path: the photo's file.
        score: mean rating, 1–10, or None where nobody rated it.
        captions: what the photo shows, in people's words.
        names: things and scenes that the photo shows, as its data set labels them, the main one first.
        emotions: how many people named each emotion.
        attributes: mean rating of each attribute, 1–10.
        split: the part of the data set, or None where it has none.
        group: the kind of photo in plain words (its class or scene); "" where it is not known.
        histogram: share of raters at each score 1, 2, … 10; 10 numbers that sum to 1.
        spread: standard deviation of single people's scores, in points of 1–10 (n − 1 in the denominator).
        raters: how many people scored the photo.
        sha256: of the file's bytes, where the data set had to know it anyway.
        comments: what people said about it as a photo: its merits, faults, craft.
    """

    path: str
    score: float | None = None
    captions: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    emotions: dict[str, int] | None = None
    attributes: dict[str, float] | None = None
    split: Split | None = None
    group: str = ""
    histogram: tuple[float, ...] | None = None
    spread: float | None = None
    raters: int | None = None
    sha256: str | None = None
    comments: tuple[str, ...] = ()


@dataclass(frozen=True)
class UserRating:
    """One person's rating of one photo, ``score`` on 1–10."""

    person: str
    path: str
    score: float


@functools.cache
def _facts() -> dict[str, dict[str, Any]]:
    """What ``sets.yaml`` says of each data set by name."""
    path = Path(__file__).parent / "datasets" / "sets.yaml"
    return yaml.safe_load(path.read_text(encoding="utf-8"))


class DataSet(ABC):
    """A data set: where it is published, under which terms, and how its files become records.

    All but the name may stand in ``datasets/sets.yaml``.

    Attributes:
        name: unique short name, as in ``calm data`` and recipes.
        licence: the terms as its publisher states them.
        source: ``owner/name @ commit`` of a repository, or another place where it is published.
        held_out: True for a set that no training of this project may read.
        summary: what it is, in a few words.
        published: how many photos its publisher counts in each split, under ``all`` where there are none; empty where
            that is not known.
        published_scale: lowest and highest score there could be, as published; None without scores.
        remark: what has to be known about copies of it; "" for nothing.
        tolerated: share of the photos named by its tables, 0–1, that a copy may lack: 0 unless photos were withdrawn or
            are not published with it. Above 0, counts are given but no fault when they differ from ``published``.
        files: files and folders that have to stand below the root.
    """

    name: str
    licence: str
    source: str
    held_out: bool = False
    summary: str = ""
    published: Mapping[str, int] = {}
    published_scale: tuple[float, float] | None = None
    remark: str = ""
    tolerated: float = 0.0
    files: tuple[str, ...] = ()

    def __init_subclass__(cls) -> None:
        for key, value in _facts().get(vars(cls).get("name", ""), {}).items():
            setattr(cls, key, tuple(value) if isinstance(value, list) else value)

    def check(self, root: str | Path) -> None:
        """Raise a one-line :class:`DataError` saying what ``root`` lacks and where the set is published."""
        self.need(root, *self.files)

    @abstractmethod
    def rows(self, root: Path) -> Iterable[Record]:
        """A record for each photo of a checked copy, in a fixed order. Raises :class:`DataError`."""

    def records(self, root: str | Path, split: Split | None = None) -> list[Record]:
        """Records under ``root`` in a fixed order, of one split or of all. Raises :class:`DataError`."""
        self.check(root)
        return self.choose(self.rows(Path(root)), split)

    def ratings(self, root: str | Path) -> list[UserRating]:
        """Ratings of single people. Raises :class:`DataError` where the set (or this copy of it) has none."""
        raise DataError(
            f"expected ratings of single people in {self.name} at {root}, found none: it publishes means only; "
            f"use a set with ratings, such as oasis"
        )

    def listed(self, root: str | Path) -> list[Record]:
        """All records, also of photos that this copy lacks where the set can tell. Raises :class:`DataError`."""
        return self.records(root)

    def photo_bytes(self, record: Record) -> bytes:
        """The photo's file. Raises :class:`DataError` when it cannot be read."""
        try:
            return Path(record.path).read_bytes()
        except OSError as error:
            raise DataError(f"expected a readable photo at {record.path}, found: {error}; restore it") from error

    def need(self, root: str | Path, *relative: str) -> None:
        """Raise :class:`DataError` in one line unless every file or folder ``relative`` to ``root`` exists."""
        missing = [name for name in relative if not (Path(root) / name).exists()]
        if missing:
            raise self.lacking(", ".join(missing), root)

    def lacking(self, what: str, place: str | Path, found: str = "none") -> DataError:
        """The error for a copy in which something is missing."""
        source = f"get the data set from {self.source} ({self.licence})"
        return DataError(f"{self.name}: expected {what} in {place}, found {found}; {source}")

    def choose(self, records: Iterable[Record], split: Split | None) -> list[Record]:
        """The records of ``split``, or all for None; :class:`DataError` for a split that the set does not have."""
        everything = list(records)
        if split is None:
            return everything
        if split not in SPLITS:
            raise DataError(
                f"expected a split of {', '.join(SPLITS)}, found {split!r}; name one of them or none for all"
            )
        chosen = [record for record in everything if record.split == split]
        if not chosen:
            have = sorted({record.split for record in everything if record.split})
            raise DataError(
                f"{self.name}: expected a split named {split!r}, found {', '.join(have) or 'no splits'}; "
                f"name one of these or none for all"
            )
        return chosen


def photos_below(folder: str | Path, pattern: str = "**/*") -> list[Path]:
    """Photo files below ``folder`` whose path matches ``pattern``, sorted; hidden files are left out."""
    root = Path(folder)
    return sorted(
        path
        for path in root.glob(pattern)
        if path.suffix.lower() in PHOTO_SUFFIXES and not path.name.startswith(".") and path.is_file()
    )


def to_ten(score: float, low: float = 1.0, high: float = 5.0) -> float:
    """Linear map of a rating from ``low``–``high`` to 1–10: 1 + (score − low)·9/(high − low)."""
    return 1.0 + (score - low) * 9.0 / (high - low)


def ten_bins(counts: Sequence[float], scores: Sequence[float]) -> tuple[float, ...]:
    """Histogram over the scores 1, 2, … 10 with the same mean as ``counts`` at ``scores`` (both n long; scores 1–10).

    A vote between two whole scores is shared between them by nearness. Raises :class:`DataError` without any vote.
    """
    total = float(sum(counts))
    if total <= 0 or len(counts) != len(scores):
        raise DataError(f"expected votes at {len(scores)} scores, found {list(counts)}; leave such a row out")
    bins = [0.0] * 10
    for count, score in zip(counts, scores, strict=True):
        place = min(max(score, 1.0), 10.0) - 1.0
        lower = min(int(place), 8)
        bins[lower] += count / total * (1.0 - (place - lower))
        bins[lower + 1] += count / total * (place - lower)
    return tuple(bins)


def disagreement(counts: Sequence[float], scores: Sequence[float]) -> dict[str, Any]:
    """``raters`` and ``spread`` of a :class:`Record` from ``counts`` of votes at ``scores`` (both n long; 1–10); fewer
    than two raters cannot disagree.
    """
    total = float(sum(counts))
    mean = sum(count * score for count, score in zip(counts, scores, strict=True)) / total
    squared = sum(count * (score - mean) ** 2 for count, score in zip(counts, scores, strict=True))
    return {"raters": round(total), "spread": math.sqrt(squared / (total - 1)) if total > 1 else None}


@functools.cache
def datasets() -> dict[str, DataSet]:
    """Every data set there is by name: classes and ``DATA_SETS`` of the modules of ``calm.data.datasets``."""
    package = importlib.import_module("calm.data.datasets")
    found: dict[str, DataSet] = {}
    for info in sorted(pkgutil.iter_modules(package.__path__), key=lambda info: info.name):
        module = importlib.import_module(f"{package.__name__}.{info.name}")
        own = [each for each in vars(module).values() if inspect.isclass(each) and each.__module__ == module.__name__]
        kinds = [each for each in own if issubclass(each, DataSet) and "name" in vars(each)]
        for member in [*(kind() for kind in kinds), *getattr(module, "DATA_SETS", ())]:
            if member.name in found:
                raise UsageError(
                    f"expected one data set named {member.name!r}, found it in {type(found[member.name]).__module__} "
                    f"and in {module.__name__}; rename one"
                )
            found[member.name] = member
    return dict(sorted(found.items()))


def dataset(name: str) -> DataSet:
    """The data set of that name. Raises :class:`UsageError` with the nearest names for an unknown one."""
    known = datasets()
    if name not in known:
        near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
        hint = f"did you mean {' or '.join(near)}? " if near else ""
        raise UsageError(f"expected the name of a data set, found {name!r}; {hint}There are: {', '.join(known)}")
    return known[name]
