"""Agreement of scores with people's: on a folder of photos, on any data set, and on PARA's official test.

Every result says what was measured, by which model, on how many photos, and which photos failed. A figure that is
undefined (a correlation with constant numbers) is None.
"""

import functools
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from calm.data.batches import draw
from calm.data.datasets.folder import locate, read_labels
from calm.data.datasets.para import Para
from calm.data.record import Record, Split, dataset, to_ten
from calm.errors import DataError
from calm.eval.gather import ask, plain, refuse_trained, seen_in_training, stamp
from calm.eval.paired import prediction
from calm.inference.tasks import Model, ScoreTask
from calm.tasks import metrics
from calm.tasks.metrics import MIDDLE, RESAMPLES, accuracy, bootstrap, plcc, rmse, srcc

SCALES = ((0.0, 1.0), (1.0, 5.0), (1.0, 10.0), (0.0, 5.0), (0.0, 10.0), (0.0, 100.0))
"""Rating scales in use; the first that holds all labels is taken where none is named."""
OFFICIAL_TEST = 3000
AVA_SCALE, AVA_THRESHOLD = (1.0, 10.0), 5.0
"""AVA's photos count as good above 5 on 1–10, and so do those of other sets on that scale."""


def eval_scores(
    predictor: Model,
    images: str | Path,
    labels: str | Path,
    *,
    scale: tuple[float, float] | None = None,
    threshold: float | None = None,
    limit: int | None = None,
    seed: int = 0,
    **settings: Any,
) -> dict[str, Any]:
    """How well the scores of the photos below ``images`` agree with the labels.

    Args:
        labels: CSV, Parquet or JSON table; the first column names the photo, the second its score.
        scale: lowest and highest score that a label could have; None for the first of :data:`SCALES` that holds them
            all. Labels are mapped to 1–10 linearly for ``rmse`` and ``mae``; correlations do not depend on it.
        threshold: on 1–10, above which a photo counts as good; None for 5 with labels on 1–10, as AVA's are, and for
            the middle of any other scale, which is 5.5 when it is mapped.
        limit: only so many photos, drawn by ``seed``.
        settings: of :class:`Measured`.

    Returns:
        ``n srcc plcc krcc rmse mae accuracy balanced_accuracy``, ``interval`` (low and high of each), ``threshold`` (of
        the accuracies, on 1–10, and the share of labels above it), ``scale`` (what labels were found and how they were
        mapped), ``per_category`` (by the folder that a photo stands in, where there are two or more), ``failed`` (path
        and error of photos without a score), ``warnings`` and the model.

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
    if threshold is None:
        threshold = AVA_THRESHOLD if (low, high) == AVA_SCALE else MIDDLE
    records = {
        path: Record(path, to_ten(wanted[path], low, high), group=_folder(path, images))
        for path in (draw(list(wanted), limit, seed) if limit else wanted)
    }
    about = {"task": "scores", "images": str(images), "labels": str(labels), "scale": mapping}
    return Measured(predictor, records, threshold, seed, failed, **settings).result(about, "scoring")


def eval_dataset(
    predictor: Model,
    name: str,
    root: str | Path,
    *,
    split: Split | None = None,
    limit: int | None = None,
    threshold: float | None = None,
    seed: int = 0,
    **settings: Any,
) -> dict[str, Any]:
    """Agreement with the scores of any data set that :func:`calm.data.record.datasets` knows.

    Args:
        name, root, split: the data set, where it lies and the part of it; None for all of it.
        limit: only so many photos, drawn by ``seed``.
        threshold: as in :func:`eval_scores`; None for 5 where the set is published on 1–10, 5.5 elsewhere.
        settings: of :class:`Measured`.

    Returns:
        as :func:`eval_scores`, with ``emd`` where the raters' histograms are known, ``people`` where their number and
        spread are (:class:`calm.tasks.metrics.Panel`), and ``seen_in_training``: how many of the photos the model was
        trained on (None where it does not say); more than 0 only in a part for training.

    Raises:
        UsageError: for an unknown data set.
        DataError: for missing files, a part without scores, or photos of a test that the model was trained on.
    """
    source = dataset(name)
    found = [record for record in source.records(root, split) if record.score is not None]
    if not found:
        raise DataError(
            f"expected photos with scores in {name}{f' ({split})' if split else ''} at {root}, found none; "
            f"name a data set or split that people rated"
        )
    chosen = {record.path: record for record in found}
    chosen = {path: chosen[path] for path in draw(list(chosen), limit, seed)} if limit else chosen
    if split in ("train", "validation"):
        seen = seen_in_training(predictor, list(chosen))
    else:
        seen = 0 if refuse_trained(predictor, list(chosen)) else None
    if threshold is None:
        threshold = AVA_THRESHOLD if source.published_scale == AVA_SCALE else MIDDLE
    about = {"task": "scores", "dataset": name, "root": str(root), "split": split, "photos": len(found)}
    measured = Measured(predictor, chosen, threshold, seed, **settings)
    return measured.result(about | {"seen_in_training": seen}, f"scoring {name}")


def eval_para(predictor: Model, root: str | Path, **settings: Any) -> dict[str, Any]:
    """Agreement with PARA's official means on its test photos, as a whole and by kind of photo.

    Args:
        root: folder of PARA, with ``annotation`` and ``imgs``.
        settings: of :class:`Measured`.

    Returns:
        as :func:`eval_scores`, with ``emd`` where the raters' histograms are known, ``people`` (how far they agree,
        :class:`calm.tasks.metrics.Panel`), ``per_scene`` (in place of ``per_category``) and ``protocol`` (how the
        photos were split and what was left out of training).

    Raises:
        DataError: for missing files, or for a predictor that was trained on test photos.
    """
    records, protocol = Para().read(root)
    test = [record for record in records if record.split == "test"]
    compared = refuse_trained(predictor, [record.path for record in test])
    about = {
        "task": "para",
        "root": str(root),
        "official": protocol.test == OFFICIAL_TEST == len(test),
        "protocol": {
            "test": "photos named in annotation/PARA-GiaaTest.csv",
            "means": "annotation/aggregation_1.csv, 1–5 mapped to 1–10 by 1 + (s − 1)·9/4",
            "training": "the other photos, without files whose bytes stand in the test, and 1,000 for model selection",
            "training_hashes_compared": compared,
            **asdict(protocol),
        },
    }
    measured = Measured(predictor, {record.path: record for record in test}, MIDDLE, **settings)
    found = measured.result(about, "scoring PARA", by_group="per_scene")
    return found | {"official": found["official"] and found["n"] == OFFICIAL_TEST}


@dataclass
class Measured:
    """Scores of photos that people rated, set beside the ratings.

    Attributes:
        records: of each photo by its path, every one with a score.
        threshold: on 1–10, above which a photo counts as good.
        failed: path and error of photos without a score.
        resamples: draws of the bootstrap behind every 95 % interval.
        keep: return each photo's line (:mod:`calm.eval.paired`) as ``predictions`` too.
    """

    predictor: Model
    records: Mapping[str, Record]
    threshold: float
    seed: int = 0
    failed: list[dict[str, str]] = field(default_factory=list)
    resamples: int = RESAMPLES
    keep: bool = False

    def result(self, about: Mapping[str, Any], label: str, by_group: str = "") -> dict[str, Any]:
        """What was measured, its figures, what failed, and the model.

        Args:
            label: of the progress.
            by_group: what the table of groups is called, which is then there even where there is but one.
        """
        answers = ask(self.predictor, list(self.records), ScoreTask(), label, self.failed)
        records = [self.records[answer.path] for answer in answers]
        scores = [answer.result.score for answer in answers if answer.result]
        predicted, given = [score.value for score in scores], _given(records)
        found = {**about, **agreement(predicted, given, self.resamples, self.seed, self.threshold)}
        rated = [i for i, record in enumerate(records) if record.histogram is not None]
        if rated:
            histograms = [list(records[i].histogram or ()) for i in rated]
            found["emd"] = metrics.emd([scores[i].distribution for i in rated], histograms)
        people = [(record.score, record.spread, record.raters) for record in records]
        if all(None not in each for each in people) and len(people) > 2:
            found["people"] = asdict(metrics.panel(found["plcc"], *zip(*people, strict=True)))
        if by_group or len({record.group for record in records}) > 1:
            found[by_group or "per_category"] = _per_category(records, predicted, self.threshold)
        found |= {"failed": self.failed, **stamp(self.predictor)}
        if self.keep:
            lines = zip(answers, predicted, given, strict=True)
            found["predictions"] = [prediction("scores", each.path, each.sha256, p, g) for each, p, g in lines]
        return plain(found)


def agreement(
    predicted: Sequence[float], given: Sequence[float], resamples: int, seed: int, threshold: float = MIDDLE
) -> dict[str, Any]:
    """All figures of agreement with their intervals; both sides and the threshold on 1–10, n long, n ≥ 1."""
    measures = {each.__name__: each for each in (srcc, plcc, metrics.krcc, rmse, metrics.mae)}
    for each in (accuracy, metrics.balanced_accuracy):
        measures[each.__name__] = functools.partial(each, threshold=threshold)
    found = {name: bootstrap(each, predicted, given, resamples=resamples, seed=seed) for name, each in measures.items()}
    warnings = []
    for name, values in (("predicted scores", predicted), ("labels", given)):
        if np.ptp(np.asarray(values, float)) == 0:
            warnings.append(f"correlations are undefined: all {len(values)} {name} are {values[0]:.3f}")
    return {
        "n": len(given),
        **{name: each.value for name, each in found.items()},
        "interval": {name: [each.low, each.high] for name, each in found.items()},
        "threshold": {"above": threshold, "share_of_labels": float(np.mean(np.asarray(given) > threshold))},
        "warnings": warnings,
    }


def _folder(path: str, root: str | Path) -> str:
    """The folder below ``root`` that a photo stands in, "" for ``root`` itself or another place."""
    parent = Path(path).parent
    return parent.relative_to(root).as_posix().removeprefix(".") if parent.is_relative_to(root) else ""


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
        how = "labels taken as they are, on 1–10"
    else:
        how = f"labels mapped from {low:g}–{high:g} to 1–10 by 1 + (s − {low:g})·9/{high - low:g}, before rmse and mae"
    found = {"found": [least, most], "low": low, "high": high, "guessed": guessed, "mapping": how}
    return found, low, high


def _given(records: Sequence[Record]) -> list[float]:
    return [record.score for record in records if record.score is not None]


def _per_category(
    records: Sequence[Record], predicted: Sequence[float], threshold: float
) -> dict[str, dict[str, float]]:
    """Figures without intervals for each kind of photo, in order of name."""
    places: defaultdict[str, list[int]] = defaultdict(list)
    for i, record in enumerate(records):
        places[record.group or "unknown"].append(i)
    table = {}
    for kind, rows in sorted(places.items()):
        ours, theirs = [predicted[i] for i in rows], _given([records[i] for i in rows])
        table[kind] = {
            "n": len(rows),
            "srcc": srcc(ours, theirs),
            "plcc": plcc(ours, theirs),
            "rmse": rmse(ours, theirs),
            "accuracy": accuracy(ours, theirs, threshold),
            "bias": float(np.mean(ours) - np.mean(theirs)),
        }
    return table
