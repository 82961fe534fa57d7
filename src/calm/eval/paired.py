"""Is one model better than another, or did the photos fall that way? Tests on the very same photos.

Predictions are kept as JSON lines ``{"task", "path", "sha256", "draw", "predicted", "given"}``. ``draw`` tells apart
what was asked of one photo; it is "" where a photo is asked about once. ``predicted`` and ``given`` are numbers on
1–10, or names of classes.

- Correlations: paired bootstrap. Photos are drawn with replacement, the same for both models, and the difference of the
  two correlations is taken each time: its 2.5th and 97.5th percentile are the interval, and the p of no difference is
  twice the share of draws on the rarer side of 0 (Efron & Tibshirani, An Introduction to the Bootstrap, 1993, ch. 13
  and 16). With R draws p is at least 2/(R + 1).
- Right or wrong answers (the side of a threshold, the edit's name): McNemar's exact test, a binomial test on the photos
  that one model alone has right (McNemar, Psychometrika 12, 1947).
"""

import json
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from calm.errors import DataError, UsageError
from calm.eval.gather import plain
from calm.tasks.metrics import MIDDLE, RESAMPLES, Metric, plcc, rmse, srcc

TOLERANCE = 1e-6
"""How far apart two given scores of one photo may lie and be the same label."""


@dataclass(frozen=True)
class Prediction:
    """One photo's line; see the module."""

    task: str
    path: str
    sha256: str
    draw: str
    predicted: float | str
    given: float | str


def write_predictions(path: str | Path, predictions: Iterable[Mapping[str, Any]]) -> None:
    """Write one line a prediction; a file that exists is replaced. Raises :class:`UsageError` where that fails."""
    try:
        with open(path, "w", encoding="utf-8") as stream:
            stream.writelines(f"{json.dumps(dict(each), ensure_ascii=False)}\n" for each in predictions)
    except OSError as error:
        raise UsageError(
            f"expected a file for predictions that can be written, found: {error}; name another"
        ) from error


def read_predictions(path: str | Path) -> list[Prediction]:
    """The lines of a file, or ``predictions`` of a result in JSON. Raises :class:`DataError` for any other file."""
    try:
        text = Path(path).read_text(encoding="utf-8")
        try:
            whole = json.loads(text)
            rows = [whole] if "predicted" in whole else whole["predictions"]
        except json.JSONDecodeError:
            rows = [json.loads(line) for line in text.splitlines() if line.strip()]
        found = [Prediction(**row) for row in rows]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise DataError(
            f"expected predictions at {path}, found none ({error}); write them with --predictions FILE.jsonl"
        ) from error
    if not found:
        raise DataError(f"expected predictions at {path}, found none; write them with --predictions FILE.jsonl")
    return found


def prediction(
    task: str, path: str, sha256: str | None, predicted: float | str, given: float | str, draw: str = ""
) -> dict[str, Any]:
    """A line as plain data."""
    return asdict(Prediction(task, path, sha256 or "", draw, predicted, given))


def eval_paired(
    first: str | Path, second: str | Path, *, threshold: float = MIDDLE, resamples: int = RESAMPLES, seed: int = 0
) -> dict[str, Any]:
    """Compare two models by their predictions; see the module for the tests.

    Args:
        first, second: files as :func:`write_predictions` writes them.
        threshold: on 1–10, above which a photo counts as good.

    Returns:
        ``n`` (photos that both predicted), ``only_first``, ``only_second``; for numbers ``srcc plcc rmse`` (each
        ``first second difference interval p``; the difference is second less first) and ``accuracy`` (``first second
        difference first_alone second_alone p``); for classes ``accuracy`` and, of several draws, ``per_draw``.

    Raises:
        DataError: for files that cannot be read, share no photo, or were made against different labels.
    """
    pairs, alone = match(read_predictions(first), read_predictions(second), f"{first} and {second}")
    given = [one.given for one, _ in pairs]
    a, b = [one.predicted for one, _ in pairs], [other.predicted for _, other in pairs]
    found: dict[str, Any] = {
        "task": "paired",
        "first": str(first),
        "second": str(second),
        "n": len(pairs),
        "only_first": alone[0],
        "only_second": alone[1],
    }
    if all(isinstance(each, str) for each in (*a, *b, *given)):
        right = [np.array([answer == true for answer, true in zip(each, given, strict=True)]) for each in (a, b)]
        draws = np.array([one.draw for one, _ in pairs])
        kinds = [str(kind) for kind in dict.fromkeys(draws)]
        by_draw = {kind: mcnemar(right[0][draws == kind], right[1][draws == kind]) for kind in kinds}
        return plain(found | {"accuracy": mcnemar(*right)} | ({"per_draw": by_draw} if len(kinds) > 1 else {}))
    try:
        x, y, labels = (np.array(each, float) for each in (a, b, given))
    except ValueError as error:
        raise DataError(
            f"expected numbers throughout {first} and {second}, found: {error}; do not mix tasks"
        ) from error
    for name, metric in (("srcc", srcc), ("plcc", plcc), ("rmse", rmse)):
        found[name] = paired_bootstrap(metric, x, y, labels, resamples=resamples, seed=seed)
    good = labels > threshold
    return plain(
        found | {"threshold": threshold, "accuracy": mcnemar((x > threshold) == good, (y > threshold) == good)}
    )


def match(
    first: Sequence[Prediction], second: Sequence[Prediction], where: str
) -> tuple[list[tuple[Prediction, Prediction]], tuple[int, int]]:
    """Predictions of the same photo (by its hash) and draw, and how many stand on one side only.

    Photos with the same bytes are paired in the order that they come in.
    """
    sides = []
    for rows in (first, second):
        side: defaultdict[tuple[str, str, str], list[Prediction]] = defaultdict(list)
        for row in rows:
            side[row.task, row.sha256 or row.path, row.draw].append(row)
        sides.append(side)
    pairs = [pair for key, rows in sides[0].items() for pair in zip(rows, sides[1].get(key, []), strict=False)]
    if not pairs:
        raise DataError(f"expected the same photos and task in {where}, found none in common; evaluate on one data set")
    for one, other in pairs:
        same = one.given == other.given
        if not same and isinstance(one.given, (int, float)) and isinstance(other.given, (int, float)):
            same = abs(one.given - other.given) <= TOLERANCE
        if not same:
            raise DataError(
                f"expected the same labels in {where}, found {one.given} and {other.given} for {one.path}; "
                f"evaluate both on one table"
            )
    return pairs, (len(first) - len(pairs), len(second) - len(pairs))


def paired_bootstrap(
    metric: Metric,
    first: np.ndarray,
    second: np.ndarray,
    given: np.ndarray,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> dict[str, Any]:
    """The figure of both models, its difference (second less first), the 95 % interval of that, and the p of none.

    Args:
        first, second, given: (n,) of the same photos.
    """
    rng = np.random.default_rng(seed)
    draws = (rng.integers(0, len(given), len(given)) for _ in range(resamples))
    gaps = np.array([metric(second[i], given[i]) - metric(first[i], given[i]) for i in draws])
    gaps = gaps[np.isfinite(gaps)]
    a, b = metric(first, given), metric(second, given)
    low, high = np.quantile(gaps, [0.025, 0.975]) if gaps.size else (math.nan, math.nan)
    rarer = min(int((gaps <= 0).sum()), int((gaps >= 0).sum()))
    p = min(1.0, 2 * (rarer + 1) / (gaps.size + 1)) if gaps.size else math.nan
    return {"first": a, "second": b, "difference": b - a, "interval": [low, high], "p": p}


def mcnemar(first: Sequence[bool] | np.ndarray, second: Sequence[bool] | np.ndarray) -> dict[str, Any]:
    """Accuracies of two models, and the two-sided p of McNemar's exact test.

    Args:
        first, second: (n,) whether each was right about the same photos.
    """
    from scipy.stats import binomtest

    a, b = np.asarray(first, bool), np.asarray(second, bool)
    one, other = int((a & ~b).sum()), int((b & ~a).sum())
    return {
        "first": a.mean(),
        "second": b.mean(),
        "difference": b.mean() - a.mean(),
        "first_alone": one,
        "second_alone": other,
        "p": binomtest(one, one + other).pvalue if one + other else 1.0,
    }
