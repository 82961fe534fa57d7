"""What is there of a data set, and what is wrong with it: counts, photos, scores, duplicates across its splits."""

import os
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError

from calm.data.datasets.folder import Folder
from calm.data.datasets.webdataset import WebDataset
from calm.data.hashes import hash_files
from calm.data.images import FORMATS, load_photo
from calm.data.likeness import COSINE, DIFFERENCE, alike, perceptual_hashes
from calm.data.record import SPLITS, DataSet, Record, dataset
from calm.data.tables import Presence
from calm.errors import DataError, PhotoError, UsageError

REFERENCE = 256
"""Long edge, pixels, to which photos are decoded here: enough for their hashes."""
BATCH = 4096
"""Photos that wait for a thread at once."""
EXAMPLES = 5
"""Paths of each kind of trouble that are named; of unreadable photos all are."""
NO_SPLIT = "none"


@dataclass(frozen=True)
class Audit:
    """What was found.

    Attributes:
        about: of :func:`describe`.
        counts: photos that are there by split (``none`` for those without one), and ``all``.
        score_map: how published scores become 1–10; "" for a set without scores.
        scores: how many photos have one, and lowest, mean and highest of them, 1–10; None without scores.
        texts: how many photos have captions, comments.
        missing: photos that the tables name and that are not there; ``missing_examples`` are some of them.
        unreadable: path and reason of each photo that cannot be decoded (or, of headers alone, recognised).
        identical: groups of photos with the same bytes; None where that was not looked at.
        leaks: those of them that stand in more than one split.
        near: pairs that look alike and stand in different splits (identical ones left out); None if not looked for.
        problems: what is wrong, a line each; empty when all is well.
    """

    about: dict[str, Any]
    root: str
    counts: dict[str, int]
    score_map: str = ""
    scores: dict[str, float] | None = None
    texts: dict[str, int] = field(default_factory=dict)
    missing: int = 0
    missing_examples: list[str] = field(default_factory=list)
    unreadable: list[dict[str, str]] = field(default_factory=list)
    identical: int | None = None
    leaks: list[list[str]] = field(default_factory=list)
    near: list[list[str]] | None = None
    problems: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Plain data, the description of the set among the rest."""
        found = asdict(self)
        return found.pop("about") | found


@dataclass(frozen=True)
class Finding:
    """What decoding one photo gave: an error, or the file's SHA-256 and its perceptual hashes."""

    error: str | None = None
    sha256: str | None = None
    hashes: tuple[int, int] | None = None


def describe(each: DataSet) -> dict[str, Any]:
    """``name what source licence published remark``: a data set as its publisher describes it."""
    about = {"name": each.name, "what": each.summary, "source": each.source, "licence": each.licence}
    return about | {"published": dict(each.published), "remark": each.remark}


def open_set(name: str, scale: tuple[float, float] | None = None) -> DataSet:
    """The data set of that name, its scores on ``scale``. Raises :class:`UsageError` where its scale is published."""
    found = dataset(name)
    if scale is None:
        return found
    if not isinstance(found, Folder | WebDataset):
        raise UsageError(f"expected --scale for folder or webdataset alone, found it for {name}; leave it out")
    if not scale[0] < scale[1]:
        raise UsageError(f"expected a scale from low to high, found {scale[0]:g} {scale[1]:g}; turn it round")
    return type(found)(scale=scale)


def audit(
    each: DataSet,
    root: str | Path,
    *,
    near: bool = False,
    headers: bool = False,
    advance: Callable[[int, int], None] = lambda done, total: None,
) -> Audit:
    """Read a data set and look at every photo of it.

    Args:
        near: also look for photos that look alike in different splits.
        headers: look at the headers of photos alone, and hash only files of the same size: fast, but a photo that is
            cut short passes.
        advance: is told how many photos are done, of how many.

    Raises:
        DataError: when the set is not there.
        UsageError: for ``near`` together with ``headers``.
    """
    if near and headers:
        raise UsageError("expected --near or --headers, found both; likeness needs whole photos")
    each.check(root)
    try:
        listed = each.listed(root)
    except DataError as error:
        return Audit(describe(each), str(root), {"all": 0}, problems=[str(error)])
    files = _are_files(each)
    there = Presence()
    records = [record for record in listed if not files or there(record.path)]
    missing = [record.path for record in listed if files and not there(record.path)]
    findings: list[Finding] = []
    for finding in _examine(each, records, near, headers):
        findings.append(finding)
        advance(len(findings), len(records))
    if headers and files:
        findings = _same_size(records, findings, str(root))
    groups = _identical(records, findings)
    crossing = [group for group in groups if len({records[i].split for i in group} - {None}) > 1]
    result = Audit(
        describe(each),
        str(root),
        _counts(records),
        score_map(each),
        _scores(records),
        {kind: sum(bool(getattr(record, kind)) for record in records) for kind in ("captions", "comments")},
        len(missing),
        missing[:EXAMPLES],
        [
            {"path": record.path, "error": finding.error}
            for record, finding in zip(records, findings, strict=True)
            if finding.error
        ],
        len(groups) if files or not headers else None,
        [[records[i].path for i in group] for group in crossing],
        _near(records, findings) if near else None,
    )
    result.problems.extend(_problems(each, result, len(listed)))
    return result


def score_map(each: DataSet) -> str:
    """How the set's scores become 1–10, in words; "" for a set without scores."""
    scale = each.scale if isinstance(each, Folder | WebDataset) else each.published_scale
    if scale is None:
        return ""
    low, high = scale
    if scale == (1.0, 10.0):
        return "score = s, published on 1–10"
    return f"score = 1 + (s − {low:g}) · 9/{high - low:g}, s published on {low:g}–{high:g}"


def _are_files(each: DataSet) -> bool:
    """Whether a record's path is that of a file of its own."""
    return type(each).photo_bytes is DataSet.photo_bytes


def _examine(each: DataSet, records: Sequence[Record], near: bool, headers: bool) -> Iterator[Finding]:
    import pillow_heif

    pillow_heif.register_heif_opener()

    def look(record: Record) -> Finding:
        if headers:
            return _header(record.path) if _are_files(each) else Finding()
        try:
            photo = load_photo(record.path, reference=REFERENCE, data=each.photo_bytes(record))
        except (DataError, PhotoError) as error:
            return Finding(str(error))
        return Finding(None, photo.sha256, perceptual_hashes(photo.pixels) if near else None)

    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        for begin in range(0, len(records), BATCH):
            yield from pool.map(look, records[begin : begin + BATCH])


def _header(path: str) -> Finding:
    try:
        with Image.open(path, formats=FORMATS):
            return Finding()
    except UnidentifiedImageError:
        return Finding(f"expected a photo in {path}, found something else; restore it")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        return Finding(f"expected a photo in {path}, found: {error}; restore it")


def _same_size(records: Sequence[Record], findings: Sequence[Finding], label: str) -> list[Finding]:
    """The findings with the SHA-256 of those files whose size another one has as well."""
    sizes = {record.path: os.path.getsize(record.path) for record in records if os.access(record.path, os.R_OK)}
    often = Counter(sizes.values())
    hashes = hash_files([path for path, size in sizes.items() if often[size] > 1], label=label)
    return [Finding(finding.error, hashes.get(record.path)) for record, finding in zip(records, findings, strict=True)]


def _identical(records: Sequence[Record], findings: Sequence[Finding]) -> list[list[int]]:
    """Places of photos with the same bytes, a list a group. The same file named twice is no duplicate."""
    groups: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for i, (record, finding) in enumerate(zip(records, findings, strict=True)):
        if finding.sha256:
            groups[finding.sha256].setdefault(record.path, i)
    return [list(group.values()) for group in groups.values() if len(group) > 1]


def _near(records: Sequence[Record], findings: Sequence[Finding]) -> list[list[str]]:
    places: defaultdict[str, list[int]] = defaultdict(list)
    for i, (record, finding) in enumerate(zip(records, findings, strict=True)):
        if record.split and finding.hashes:
            places[record.split].append(i)
    hashes = {
        split: np.array([findings[i].hashes for i in each], np.uint64).reshape(-1, 2) for split, each in places.items()
    }
    pairs = []
    for one, other in (("train", "test"), ("train", "validation"), ("validation", "test")):
        if one in places and other in places:
            for left, right in alike(hashes[one], hashes[other]):
                i, j = places[one][left], places[other][right]
                if findings[i].sha256 != findings[j].sha256:
                    pairs.append([records[i].path, records[j].path])
    return pairs


def _counts(records: Sequence[Record]) -> dict[str, int]:
    """Photos in all, and by split in the usual order."""
    counts = Counter(record.split or NO_SPLIT for record in records)
    return {"all": len(records)} | {split: counts[split] for split in (*SPLITS, NO_SPLIT) if counts[split]}


def _scores(records: Sequence[Record]) -> dict[str, float] | None:
    scores = [record.score for record in records if record.score is not None]
    if not scores:
        return None
    mean = sum(scores) / len(scores)
    return {"photos": len(scores), "lowest": min(scores), "mean": mean, "highest": max(scores)}


def _problems(each: DataSet, found: Audit, listed: int) -> list[str]:
    lines = []
    if found.missing > each.tolerated * listed:
        lines.append(f"{found.missing} of {listed} photos are missing; get them from {each.source} ({each.licence})")
    if not each.tolerated:
        for split, published in found.about["published"].items():
            have = found.counts.get(split, 0) + (found.missing if split == "all" else 0)
            if have != published:
                lines.append(f"{have} photos of {split}, {published} as published")
    if found.unreadable:
        lines.append(f"{len(found.unreadable)} photos cannot be read")
    if found.leaks:
        lines.append(f"{len(found.leaks)} groups of identical photos stand in more than one split")
    low, high = (found.scores["lowest"], found.scores["highest"]) if found.scores else (1.0, 10.0)
    if not 1.0 <= low <= high <= 10.0:
        lines.append(f"scores of {low:.2f}–{high:.2f} are outside of 1–10: the scale is not as published")
    return lines


def near_rule() -> str:
    """When two photos count as alike, in words."""
    return f"difference hashes within {DIFFERENCE} and cosine hashes within {COSINE} of 64 bits"
