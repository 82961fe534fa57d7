"""The evaluations behind ``calm eval``: each takes a predictor and photos and returns plain data for JSON.

Every result says what was measured, by which model, on how many photos, and which photos failed. A figure that is
undefined (a correlation with constant numbers) is None.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from calm.data.datasets.folder import locate, read_labels
from calm.data.datasets.para import Para
from calm.data.record import Record, to_ten
from calm.engine import Model, score_task
from calm.errors import DataError
from calm.eval.bench import eval_invariance, eval_speed
from calm.eval.comments import eval_comments
from calm.eval.editing import eval_edits
from calm.eval.gather import ask, plain, refuse_trained, stamp
from calm.eval.metrics import RESAMPLES, bootstrap, emd, krcc, mae, plcc, rmse, srcc
from calm.eval.piaa import eval_piaa

__all__ = ["eval_comments", "eval_edits", "eval_invariance", "eval_para", "eval_piaa", "eval_scores", "eval_speed"]

SCALES = ((0.0, 1.0), (1.0, 5.0), (1.0, 10.0), (0.0, 5.0), (0.0, 10.0), (0.0, 100.0))
"""Rating scales in use; the first that holds all labels is taken where none is named."""
OFFICIAL_TEST = 3000


def eval_scores(
    predictor: Model,
    images: str | Path,
    labels: str | Path,
    *,
    scale: tuple[float, float] | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> dict[str, Any]:
    """How well the scores of the photos below ``images`` agree with the labels.

    Args:
        labels: CSV, Parquet or JSON table; the first column names the photo, the second its score.
        scale: lowest and highest score that a label could have; None for the first of :data:`SCALES` that holds them
            all. Labels are mapped to 1–10 linearly for ``rmse`` and ``mae``; correlations do not depend on it.
        resamples: draws of the bootstrap behind every 95 % interval.

    Returns:
        ``n srcc plcc krcc rmse mae``, ``interval`` (low and high of each), ``scale`` (what labels were found and how
        they were mapped), ``failed`` (path and error of photos without a score), ``warnings`` and the model.

    Raises:
        DataError: for a table that cannot be used, an ambiguous name, or no photo at all that could be scored.
    """
    named = read_labels(labels)
    located = locate(images, [name for name, _ in named])
    failed = [{"path": name, "error": f"not found below {images}"} for name, path in located.items() if path is None]
    wanted = {str(path): score for name, score in named if (path := located[name]) is not None}
    if len(wanted) < len(named) - len(failed):
        raise DataError(f"expected each photo once in {labels}, found two names of one file; take one row out")
    if not wanted:
        raise DataError(
            f"expected the photos of {labels} below {images}, found none of {len(named)}, such as {named[0][0]!r}; "
            f"give the folder that the names are relative to"
        )
    mapping, low, high = _scale([score for _, score in named], scale, labels)
    answers = ask(predictor, list(wanted), score_task(), "scoring", failed)
    predicted = [answer.result.score.value for answer in answers if answer.result]
    given = [to_ten(wanted[answer.path], low, high) for answer in answers]
    result = {"task": "scores", "images": str(images), "labels": str(labels), "scale": mapping}
    return plain(result | agreement(predicted, given, resamples, seed) | {"failed": failed} | stamp(predictor))


def eval_para(
    predictor: Model, root: str | Path, *, limit: int | None = None, resamples: int = RESAMPLES, seed: int = 0
) -> dict[str, Any]:
    """Agreement with PARA's official means on its test photos, as a whole and by kind of photo.

    Args:
        root: folder of PARA, with ``annotation`` and ``imgs``.
        limit: only the first photos of the test, for a quick look; the result then says that it is not official.

    Returns:
        as :func:`eval_scores`, with ``emd`` where the raters' histograms are known, ``per_scene`` (the same figures for
        each kind of photo) and ``protocol`` (how the photos were split and what was left out of training).

    Raises:
        DataError: for missing files, or for a predictor that was trained on test photos.
    """
    records, protocol = Para().read(root)
    test = [record for record in records if record.split == "test"]
    compared = refuse_trained(predictor, [record.path for record in test])
    test = test[:limit]
    failed: list[dict[str, str]] = []
    by_path = {record.path: record for record in test}
    answers = ask(predictor, list(by_path), score_task(), "scoring PARA", failed)
    found = [by_path[answer.path] for answer in answers]
    scores = [answer.result.score for answer in answers if answer.result]
    predicted = [score.value for score in scores]
    result: dict[str, Any] = {
        "task": "para",
        "root": str(root),
        "official": protocol.test == OFFICIAL_TEST == len(found),
        "protocol": {
            "test": "photos named in annotation/PARA-GiaaTest.csv",
            "means": "annotation/aggregation_1.csv, 1–5 mapped to 1–10 by 1 + (s − 1)·9/4",
            "training": "the other photos, without files whose bytes stand in the test, and 1,000 for model selection",
            "training_hashes_compared": compared,
            **protocol.as_dict(),
        },
    }
    result |= agreement(predicted, _given(found), resamples, seed)
    rated = [i for i, record in enumerate(found) if record.histogram is not None]
    if rated:
        histograms = [list(found[i].histogram or ()) for i in rated]
        result["emd"] = emd([scores[i].distribution for i in rated], histograms)
    result["per_scene"] = _per_scene(found, predicted)
    return plain(result | {"failed": failed} | stamp(predictor))


def agreement(predicted: Sequence[float], given: Sequence[float], resamples: int, seed: int) -> dict[str, Any]:
    """All figures of agreement with their intervals; both sides on 1–10 and n long, n ≥ 1."""
    metrics = {"srcc": srcc, "plcc": plcc, "krcc": krcc, "rmse": rmse, "mae": mae}
    found = {name: bootstrap(each, predicted, given, resamples=resamples, seed=seed) for name, each in metrics.items()}
    warnings = []
    for name, values in (("predicted scores", predicted), ("labels", given)):
        if np.ptp(np.asarray(values, float)) == 0:
            warnings.append(f"correlations are undefined: all {len(values)} {name} are {values[0]:.3f}")
    return {
        "n": len(given),
        **{name: each.value for name, each in found.items()},
        "interval": {name: [each.low, each.high] for name, each in found.items()},
        "warnings": warnings,
    }


def _scale(scores: Sequence[float], scale: tuple[float, float] | None, labels: str | Path) -> tuple[dict, float, float]:
    """What is said about the labels' scale, and its ends."""
    least, most = min(scores), max(scores)
    guessed = scale is None
    if scale is None:
        scale = next(((low, high) for low, high in SCALES if low <= least and most <= high), (least, most))
    low, high = scale
    if not low < high or least < low or most > high:
        raise DataError(
            f"expected labels on a scale of {low:g}–{high:g}, found {least:g}–{most:g} in {labels}; "
            f"name the table's own scale"
        )
    if (low, high) == (1.0, 10.0):
        said = "labels taken as they are, on 1–10"
    else:
        said = f"labels mapped from {low:g}–{high:g} to 1–10 by 1 + (s − {low:g})·9/{high - low:g}, before rmse and mae"
    found = {"found": [least, most], "low": low, "high": high, "guessed": guessed, "mapping": said}
    return found, low, high


def _given(records: Sequence[Record]) -> list[float]:
    return [record.score for record in records if record.score is not None]


def _per_scene(records: Sequence[Record], predicted: Sequence[float]) -> dict[str, dict[str, float]]:
    """Figures without intervals for each kind of photo, in order of name."""
    places: defaultdict[str, list[int]] = defaultdict(list)
    for i, record in enumerate(records):
        places[record.group or "unknown"].append(i)
    table = {}
    for scene, rows in sorted(places.items()):
        ours, theirs = [predicted[i] for i in rows], _given([records[i] for i in rows])
        table[scene] = {
            "n": len(rows),
            "srcc": srcc(ours, theirs),
            "plcc": plcc(ours, theirs),
            "rmse": rmse(ours, theirs),
            "bias": float(np.mean(ours) - np.mean(theirs)),
        }
    return table
