"""Everything that is known of the photos at hand, gathered from their data sets into one list.

Each set is a folder of the root, as DATA lists them; a set whose folder is missing is left out and named.
"""

from __future__ import annotations

import csv
import hashlib
import logging
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from calm.data.record import Record, dataset
from calm.errors import DataError
from calm.train.examples import Known
from calm.train.vocabulary import Vocabulary, caption_nouns, singular

FOLDERS = {
    "para": "para",
    "biq2021": "biq",
    "flickr8k": "flickr8k",
    "animal-pose": "animal-pose",
    "corel5k": "corel5k",
    "sun": "sun",
    "scene15": "scene15",
    "imagenette": "imagenette",
    "flower-kinds": "flowers",
    "clothing": "clothing",
    "recipes": "recipes",
    "imagenet": "imagenet",
    "savoias": "savoias",
}
"""Folder below the root of each data set that training reads."""
SQUASHED = frozenset({"para", "flickr8k", "scene15", "imagenette", "flower-kinds", "corel5k"})
"""Sets whose photos have lost their native pixels."""
EDITABLE = frozenset({"biq2021", "animal-pose", "clothing", "recipes", "imagenet", "savoias", "flickr8k", "flms"})
"""Sets whose photos are edited."""


def gather(root: str | Path, split: str = "train", soft: Mapping[str, np.ndarray] | None = None) -> list[Known]:
    """Known photos of ``split`` (``train``, ``validation`` or ``test``) of every set below ``root``.

    Args:
        soft: ten probabilities of the teachers by ``variant:path``, the path relative to ``root``; variant 0 is the
            whole photo, 1 the teachers' crop.
    """
    base, soft = Path(root), soft or {}
    more = _more_captions(base)
    found: list[Known] = []
    for name, folder in FOLDERS.items():
        try:
            records = dataset(name).records(base / folder)
        except DataError as error:
            logging.getLogger(__name__).warning("left out: %s", error)
            continue
        for record in records:
            if (record.split or "train") == split:
                found.append(_known(record, name, base, soft, more))
    if split == "train":
        found += _flms(base, soft)
    return found


def _known(
    record: Record, source: str, base: Path, soft: Mapping[str, np.ndarray], more: Mapping[str, list[str]]
) -> Known:
    relative = str(Path(record.path).relative_to(base))
    names = record.names or tuple(filter(None, [record.group] if source not in ("para", "biq2021") else []))
    captions = tuple(
        dict.fromkeys([*record.captions, *(more.get(Path(record.path).name, []) if source == "flickr8k" else [])])
    )
    whole, crop = soft.get(f"0:{relative}"), soft.get(f"1:{relative}")
    return Known(
        record.path,
        source,
        names,
        captions,
        record.score if source == "para" else None,
        None if whole is None else tuple(map(float, whole)),
        None if crop is None else tuple(map(float, crop)),
        (record.attributes or {}).get("quality") if source == "biq2021" else None,
        record.emotions,
        native=source not in SQUASHED,
    )


def _flms(base: Path, soft: Mapping[str, np.ndarray]) -> list[Known]:
    """Well-framed photos of FLMS, the odd half only (the even half is held out)."""
    folder = base / "flms/data/Benchmark_FLMS/images"
    found = []
    for path in sorted(folder.glob("*")) if folder.is_dir() else []:
        if int(hashlib.sha256(path.name.encode()).hexdigest(), 16) % 2:
            whole = soft.get(f"0:{path.relative_to(base)}")
            found.append(Known(str(path), "flms", soft=None if whole is None else tuple(map(float, whole))))
    return found


def _more_captions(base: Path) -> dict[str, list[str]]:
    """Five captions each for a thousand photos of Flickr8k."""
    path = base / "flickr1k/data/captions.txt"
    found: defaultdict[str, list[str]] = defaultdict(list)
    if path.is_file():
        with path.open(newline="", encoding="utf-8") as stream:
            for row in csv.DictReader(stream):
                found[row["image"]].append(row["caption"])
    return found


def read_soft(folder: str | Path, root: str | Path) -> dict[str, np.ndarray]:
    """Soft labels by ``variant:path`` from the tables in ``folder``."""
    found = {}
    for path in sorted(Path(folder).glob("*.npz")):
        variant = path.stem[-1]
        table = np.load(path)
        probabilities = table["probs"].astype(np.float32)
        probabilities /= probabilities.sum(axis=1, keepdims=True)
        found.update({f"{variant}:{name}": row for name, row in zip(table["paths"], probabilities, strict=True)})
    return found


def build_vocabulary(photos: list[Known]) -> Vocabulary:
    """Names of two photos at least, and nouns of captions, in alphabetical order."""
    counts: defaultdict[str, int] = defaultdict(int)
    for photo in photos:
        for name in photo.names:
            counts[singular(name.lower())] += 1
    named = {name for name, count in counts.items() if count >= 4}
    nouns = caption_nouns(caption for photo in photos for caption in photo.captions)
    return Vocabulary(sorted(named | set(nouns)))
