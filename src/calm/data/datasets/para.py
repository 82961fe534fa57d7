"""PARA: 31,220 photos, each rated by about 25 people (Yang et al., CVPR 2022).

Layout::

    annotation/aggregation_1.csv                      official means and emotion counts of all photos
    annotation/PARA-GiaaTest.csv                      names, histograms and attributes of the 3,000 test photos
    annotation/PARA_images_mean_score_greaterorequalthan_2_outier_removed.csv   quality, optional
    annotation/PARA-GiaaTrain.csv, PARA-Images.csv    optional: histograms and attributes, votes of single people
    imgs/session1/iaa_pub1_.jpg …

Protocol: the test photos are those named in ``PARA-GiaaTest.csv``; a file whose bytes also stand in the test is dropped
from everything else; 1,000 of the remaining photos, chosen by their hash, are for model selection. Attributes of test
photos are never yielded, so nothing that is trained can have seen them; the histogram of their score is, to evaluate.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from calm.data.hashes import hash_files
from calm.data.record import DataSet, Record, Split, UserRating, disagreement, ten_bins, to_ten
from calm.data.tables import number, read_rows
from calm.errors import DataError

EMOTIONS = ("amusement", "awe", "contentment", "disgust", "excitement", "fear", "neutral", "sadness")
GRADES = tuple(1.0 + 0.5 * i for i in range(9))
"""The scores that a person could give: 1, 1.5, … 5."""
ATTRIBUTES = {
    "qualityScore": "quality",
    "compositionScore": "composition",
    "colorScore": "colour",
    "dofScore": "depth_of_field",
    "lightScore": "light",
    "contentScore": "content",
    "contentPreference": "content_preference",
    "willingnessToShare": "willingness_to_share",
}
SCENES = {"nightScene": "night scene", "stilllife": "still life"}
VALIDATION = 1000
MEANS = "annotation/aggregation_1.csv"
TEST = "annotation/PARA-GiaaTest.csv"
TRAIN = "annotation/PARA-GiaaTrain.csv"
VOTES = "annotation/PARA-Images.csv"
QUALITY = "annotation/PARA_images_mean_score_greaterorequalthan_2_outier_removed.csv"


@dataclass(frozen=True)
class Protocol:
    """How many photos stand where, and what was left out.

    Attributes:
        leaked_groups: groups of byte-identical files that stand both in the test and outside it.
        leaked_files: files outside the test that were dropped for it.
        unlabelled_files: files of the image folder that no table names.
    """

    test: int
    train: int
    validation: int
    leaked_groups: int
    leaked_files: int
    unlabelled_files: int


class Para(DataSet):
    name = "para"

    def check(self, root: str | Path) -> None:
        """Raise a one-line :class:`DataError` saying what is missing and where PARA is published."""
        self.need(root, "imgs", TEST, *([] if (Path(root) / TRAIN).exists() else [MEANS]))

    def rows(self, root: Path) -> list[Record]:
        """Records in order of name within train, validation, test."""
        return self.read(root)[0]

    def listed(self, root: str | Path) -> list[Record]:
        """All records, also of the files that :meth:`records` drops because their bytes stand in the test."""
        return self.read(root, leaks=True)[0]

    def read(self, root: str | Path, *, leaks: bool = False) -> tuple[list[Record], Protocol]:
        """All records and the counts of the protocol in one pass; with ``leaks`` also those that are dropped.

        Raises :class:`DataError`.
        """
        self.check(root)
        base = Path(root)
        test_rows = {row["imageName"]: row for row in read_rows(base / TEST, ("imageName", "semantic"))}
        train_rows = _optional(base / TRAIN, "imageName")
        labels = _labels(base, test_rows, train_rows)
        files = self._files(base, labels)
        hashes = hash_files([files[name] for name in labels], label=str(base.resolve()))
        digest = {name: hashes[str(files[name])] for name in labels}

        tested = {digest[name] for name in test_rows}
        rest = [name for name in labels if name not in test_rows]
        leaked = [name for name in rest if digest[name] in tested]
        kept = [name for name in rest if digest[name] not in tested]
        held = choose_by_hash({name: digest[name] for name in kept}, VALIDATION)
        quality = _quality(base, kept)
        votes = _vote_counts(base, set(kept))
        records = []
        for name in sorted(labels):
            if name not in test_rows and digest[name] in tested and not leaks:
                continue
            score, emotions = labels[name]
            row = test_rows.get(name) or train_rows.get(name, {})
            record = Record(
                str(files[name]),
                to_ten(score),
                emotions=emotions,
                group=SCENES.get(row.get("semantic", ""), row.get("semantic", "")),
                **_votes(row),
                sha256=digest[name],
            )
            if name in test_rows:
                record = replace(record, split="test")
            else:
                attributes = (quality.get(name, {}) | _attributes(row)) or None
                part: Split = "validation" if name in held else "train"
                histogram = record.histogram or votes.get(name)
                record = replace(record, split=part, attributes=attributes, histogram=histogram)
            records.append(record)
        order = {"train": 0, "validation": 1, "test": 2}
        records.sort(key=lambda record: order[record.split or "train"])
        groups = len({digest[name] for name in leaked})
        unlabelled = sum(1 for _ in base.glob("imgs/**/*.jpg")) - len(files)
        return records, Protocol(len(test_rows), len(kept) - len(held), len(held), groups, len(leaked), unlabelled)

    def ratings(self, root: str | Path) -> list[UserRating]:
        """Votes of single people from ``PARA-Images.csv``, which only PARA's authors give out."""
        self.check(root)
        base = Path(root)
        self.need(base, VOTES)
        rows = list(read_rows(base / VOTES, ("imageName", "userId", "aestheticScore")))
        files = self._files(base, {row["imageName"] for row in rows})
        return [
            UserRating(row["userId"], str(files[row["imageName"]]), to_ten(number(row["aestheticScore"], base / VOTES)))
            for row in rows
        ]

    def _files(self, base: Path, names: Collection[str]) -> dict[str, Path]:
        """File of each name; PARA's names are unique over its sessions."""
        found = {path.name: path for path in base.glob("imgs/**/*.jpg")}
        missing = sorted(name for name in names if name not in found)
        if missing:
            raise self.lacking(
                f"all {len(names)} photos", base / "imgs", f"{len(missing)} missing, such as {missing[0]}"
            )
        return {name: found[name] for name in names}


def choose_by_hash(digests: dict[str, str], count: int) -> set[str]:
    """Names of ``count`` photos (or a tenth of them, where that is less), chosen by content and nothing else.

    Byte-identical photos stay together, so that none stands on both sides.
    """
    groups: defaultdict[str, list[str]] = defaultdict(list)
    for name, digest in digests.items():
        groups[digest].append(name)
    wanted = min(count, len(digests) // 10)
    chosen: set[str] = set()
    for digest in sorted(groups, key=lambda value: hashlib.sha256(f"validation {value}".encode()).digest()):
        if len(chosen) == wanted:
            break
        if len(chosen) + len(groups[digest]) <= wanted:
            chosen.update(groups[digest])
    return chosen


def _labels(
    base: Path, test_rows: dict[str, dict[str, str]], train_rows: dict[str, dict[str, str]]
) -> dict[str, tuple[float, dict[str, int]]]:
    """Official mean (1–5) and emotion counts of every photo."""
    path = base / MEANS
    if path.exists():
        rows = list(read_rows(path, ("image_label", "aesthetic_score", *EMOTIONS)))
        name_column, score_column, prefix = "image_label", "aesthetic_score", ""
    else:
        path, rows = base / TRAIN, [*train_rows.values(), *test_rows.values()]
        name_column, score_column, prefix = "imageName", "aestheticScore_mean", "imgEmotion_"
    labels = {}
    for row in rows:
        emotions = {name: int(number(row.get(prefix + name), path)) for name in EMOTIONS}
        labels[row[name_column]] = (number(row.get(score_column), path), emotions)
    absent = [name for name in test_rows if name not in labels]
    if absent:
        raise DataError(
            f"expected every test photo in {path}, found {len(absent)} missing, such as {absent[0]}; "
            f"{MEANS} and {TEST} must come from one release"
        )
    return labels


def _optional(path: Path, key: str) -> dict[str, dict[str, str]]:
    return {row[key]: row for row in read_rows(path, (key,))} if path.exists() else {}


def _quality(base: Path, kept: list[str]) -> dict[str, dict[str, float]]:
    """Quality (1–10) of the photos outside the test; the table must cover them all."""
    rows = _optional(base / QUALITY, "imageName")
    if not rows:
        return {}
    absent = [name for name in kept if name not in rows]
    if absent:
        raise DataError(
            f"expected the quality of all {len(kept)} training photos in {base / QUALITY}, found {len(absent)} "
            f"missing, such as {absent[0]}; give the table as published, or remove it"
        )
    return {name: {"quality": to_ten(number(rows[name].get("qualityScore"), base / QUALITY))} for name in kept}


def _vote_counts(base: Path, kept: set[str]) -> dict[str, tuple[float, ...]]:
    """Histograms counted from the votes of single people, of the photos outside the test only."""
    if not (base / VOTES).exists():
        return {}
    counts: defaultdict[str, Counter[float]] = defaultdict(Counter)
    for row in read_rows(base / VOTES, ("imageName", "userId", "aestheticScore")):
        if row["imageName"] in kept:
            counts[row["imageName"]][number(row["aestheticScore"], base / VOTES)] += 1
    return {name: ten_bins(list(each.values()), [to_ten(s) for s in each]) for name, each in counts.items()}


def _attributes(row: dict[str, str]) -> dict[str, float]:
    found = {name: to_ten(float(row[f"{key}_mean"])) for key, name in ATTRIBUTES.items() if row.get(f"{key}_mean")}
    if row.get("isObjectEmphasis_mean"):
        found["subject_emphasis"] = to_ten(float(row["isObjectEmphasis_mean"]), 0.0, 1.0)
    return found


def _votes(row: dict[str, str]) -> dict[str, Any]:
    """``histogram`` of a photo, ``raters`` and ``spread`` where it is counts and not shares; nothing without any."""
    if "aestheticScore_1.0" not in row:
        return {}
    counts = [float(row[f"aestheticScore_{level}"]) for level in GRADES]
    levels = [to_ten(level) for level in GRADES]
    people = disagreement(counts, levels) if all(count.is_integer() for count in counts) else {}
    return {"histogram": ten_bins(counts, levels), **people}
