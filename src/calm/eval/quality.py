"""Does the network know technical quality from beauty? Two answers against people's ratings of quality, on BIQ2021.

The subset alone predicts the rating of BIQ2021 (everyday photos, faults made on purpose, chosen photos), so agreement
is also told within each subset.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from calm.data.datasets.biq2021 import Biq2021
from calm.errors import DataError
from calm.eval.gather import Drawn
from calm.inference.pipeline import Pipeline
from calm.model.reader import means_of
from calm.tasks.metrics import RESAMPLES, bootstrap, plcc, srcc


def eval_quality(
    pipeline: Pipeline, root: str | Path, *, limit: int | None = None, seed: int = 0, resamples: int = RESAMPLES
) -> dict[str, Any]:
    """The answer to the question about quality, and the score, against mean opinions of quality.

    Args:
        root: folder of BIQ2021; its official test is used.
        limit: use only so many photos, drawn by ``seed``.

    Returns:
        ``quality`` and ``score``, each a table of ``whole``, ``ss01``, ``ss02`` and ``ss03`` with ``n``, ``srcc`` and
        its 95 % interval over photos, and ``plcc``; ``failed`` and the model.

    Raises:
        DataError: for another layout, no photo that can be read, or photos that were trained on.
    """
    records = {record.path: record for record in Biq2021().records(root, "test")}
    drawn = Drawn.unseen(pipeline, list(records), limit, seed)
    rows = []
    for photos in drawn.batches("quality"):
        visual = pipeline.answers.see([photo.pixels for photo in photos])
        read = zip(photos, means_of(pipeline.answers.qualities(visual)), pipeline.answers.means(visual), strict=True)
        rows += [(photo.path, quality, score) for photo, quality, score in read]
    found = [records[path] for path, _, _ in rows]
    given = [(record.attributes or {})["quality"] for record in found]
    subsets = [record.group or "" for record in found]
    if not rows:
        raise DataError(f"expected photos of the test that can be read in {root}, found {len(drawn.paths)} that cannot")
    figures = {
        "photos": len(rows),
        "quality": _within(subsets, [quality for _, quality, _ in rows], given, resamples, seed),
        "score": _within(subsets, [score for _, _, score in rows], given, resamples, seed),
    }
    return drawn.result("quality", figures)


def _within(
    subsets: Sequence[str], predicted: Sequence[float], given: Sequence[float], resamples: int, seed: int
) -> dict[str, dict[str, Any]]:
    """Agreement on all photos and within each subset."""
    names, ours, theirs = np.array(subsets), np.array(predicted), np.array(given)
    found = {}
    for name in ("whole", *sorted(set(subsets))):
        own = np.ones(len(names), bool) if name == "whole" else names == name
        rank = bootstrap(srcc, ours[own], theirs[own], resamples=resamples, seed=seed)
        found[name] = {"n": int(own.sum()), **rank.named("srcc"), "plcc": plcc(ours[own], theirs[own])}
    return found
