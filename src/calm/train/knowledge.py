"""Everything that is known of the photos at hand, gathered from their data sets into one list.

Each set is a folder of the root, as DATA lists them; a set whose folder is missing is left out and named.
"""

import csv
import logging
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet

from calm.data.hashes import hash_files
from calm.data.record import Record, dataset
from calm.errors import DataError
from calm.train.shots import Known
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
EDITABLE = frozenset({"biq2021", "animal-pose", "clothing", "recipes", "imagenet", "savoias"})
"""Sets whose photos with native pixels are edited."""
PLEASING = frozenset({"para", "corel5k", "flickr8k", "sun"})
"""Sets whose good photos are edited as well: a fault that nobody made is not in them yet."""
GOOD = 6.67
"""Score, 1–10, from which a rated photo of :data:`PLEASING` is good: the best quarter of PARA."""


def editable(photo: Known) -> bool:
    """Whether edits of a photo are learnt from."""
    if photo.source in PLEASING:
        return photo.score is None or photo.score >= GOOD
    return photo.source in EDITABLE and photo.native


def gather(
    root: str | Path,
    split: str = "train",
    soft: Mapping[str, tuple[float, ...]] | None = None,
    names: Mapping[str, tuple[str, ...]] | None = None,
) -> list[Known]:
    """Known photos of ``split`` (``train``, ``validation`` or ``test``) of every set below ``root``.

    Args:
        soft: ten probabilities of the teachers by the SHA-256 of a photo.
        names: what an object detector and a classifier see, by the SHA-256 of a photo.
    """
    base = Path(root)
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
                found.append(_known(record, name, more))
    if not soft and not names:
        return found
    hashes = hash_files([photo.path for photo in found], label=str(root))
    soft, names = soft or {}, names or {}
    digests = [hashes[photo.path] for photo in found]
    return [
        replace(photo, soft=soft.get(digest), detected=names.get(digest, ()))
        for photo, digest in zip(found, digests, strict=True)
    ]


def _known(record: Record, source: str, more: Mapping[str, list[str]]) -> Known:
    names = record.names or tuple(filter(None, [record.group] if source not in ("para", "biq2021") else []))
    captions = tuple(
        dict.fromkeys([*record.captions, *(more.get(Path(record.path).name, []) if source == "flickr8k" else [])])
    )
    return Known(
        record.path,
        source,
        names,
        captions,
        record.score if source == "para" else None,
        None,
        (record.attributes or {}).get("quality") if source == "biq2021" else None,
        record.emotions,
        native=source not in SQUASHED,
    )


def _more_captions(base: Path) -> dict[str, list[str]]:
    """Five captions each for a thousand photos of Flickr8k."""
    path = base / "flickr1k/data/captions.txt"
    found: defaultdict[str, list[str]] = defaultdict(list)
    if path.is_file():
        with path.open(newline="", encoding="utf-8") as stream:
            for row in csv.DictReader(stream):
                found[row["image"]].append(row["caption"])
    return found


def read_soft(path: str | Path) -> dict[str, tuple[float, ...]]:
    """Ten probabilities of the teachers by the SHA-256 of the photo, from a Parquet table.

    Columns: ``sha256`` (hexadecimal) and ``probabilities`` (ten whole numbers of 0 … 255 in proportion).
    """
    table = pyarrow.parquet.read_table(path)
    rows = np.array(table["probabilities"].to_pylist(), np.float64)
    rows /= rows.sum(axis=1, keepdims=True)
    return {digest: tuple(row) for digest, row in zip(table["sha256"].to_pylist(), rows.tolist(), strict=True)}


def read_names(path: str | Path) -> dict[str, tuple[str, ...]]:
    """Names of what photos show by their SHA-256, the main thing first, from a Parquet table.

    Columns: ``sha256`` (hexadecimal) and ``names`` (lists of nouns).
    """
    table = pyarrow.parquet.read_table(path)
    return dict(zip(table["sha256"].to_pylist(), map(tuple, table["names"].to_pylist()), strict=True))


def build_vocabulary(photos: list[Known]) -> Vocabulary:
    """Names of four photos at least, and nouns of captions, in alphabetical order."""
    counts: defaultdict[str, int] = defaultdict(int)
    for photo in photos:
        for name in (*photo.names, *photo.detected):
            counts[singular(name.lower())] += 1
    named = {name for name, count in counts.items() if count >= 4}
    nouns = caption_nouns(caption for photo in photos for caption in photo.captions)
    return Vocabulary(sorted(named | set(nouns)))
