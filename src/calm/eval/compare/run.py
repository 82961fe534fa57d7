"""Run a comparison row by row, keep each finished row, and put them together."""

import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import astuple
from pathlib import Path
from typing import Any

import numpy as np

from calm.errors import DataError, UsageError
from calm.eval.compare.photos import Photos, tested
from calm.eval.compare.report import markdown, page
from calm.eval.compare.row import Found, Place, kind
from calm.eval.compare.spec import Comparison, load_comparison
from calm.eval.editing import eval_edits
from calm.eval.gather import plain
from calm.eval.paired import paired_bootstrap
from calm.inference.pipeline import Pipeline
from calm.model.catalogue import model_dir
from calm.tasks.metrics import RESAMPLES, bootstrap, emd, krcc, plcc, rmse, srcc

METRICS = {"srcc": srcc, "plcc": plcc, "krcc": krcc, "rmse": rmse}
OFFICIAL_TEST = 3000


def compare(
    path: str | Path,
    overrides: list[str] | None = None,
    *,
    rows: Sequence[str] = (),
    results: str | Path | None = None,
    run: bool = True,
    resamples: int = RESAMPLES,
) -> dict[str, Any]:
    """Run the rows of a comparison that are not finished, and return all that are.

    Args:
        rows: to run now; none for all. The others are taken where they are finished.
        results: of an earlier run of the same comparison; rows that it holds under the same fingerprint are taken over.
        run: False to put together what is finished and run nothing.

    Returns:
        ``rows`` (for each name ``title srcc plcc krcc rmse`` with ``interval`` and over seeds ``seeds``; ``gain``, the
        paired difference to the row that it is compared with), ``missing``, and what they share: ``photos``, ``test``,
        ``budget``, ``published``.

    Raises:
        ConfigError, DataError: for a comparison, data or rows that cannot be used.
    """
    spec = load_comparison(path, overrides)
    unknown = [name for name in rows if name not in spec.rows]
    if unknown:
        raise UsageError(f"expected rows among {', '.join(spec.rows)}, found {unknown[0]!r}")
    kept = _kept(spec, results)
    todo = [name for name in rows or spec.rows if run and name not in kept]
    finished = {name: kept[name] for name in spec.rows if name in kept}
    for name in todo:
        spec.network(spec.rows[name])  # a setting that does not fit is reported before the first row trains
    if todo:
        photos = Photos.gather(spec)
        for name in todo:
            finished[name] = _row(spec, name, photos)
    return assemble(spec, finished, resamples)


def _row(spec: Comparison, name: str, photos: Photos) -> dict[str, Any]:
    """Run one row with all its seeds and keep what it came to."""
    row, runs, began = spec.rows[name], [], time.monotonic()
    for seed in range(row.seeds):
        print(f"{name}: {row.title}" + (f", seed {seed}" if row.seeds > 1 else ""), file=sys.stderr, flush=True)
        runs.append(kind(row.kind)(Place(spec, photos), row, spec.seed + seed))
    found = {
        "fingerprint": spec.fingerprint(name),
        "test": photos.test.digest,
        "seconds": round(time.monotonic() - began, 1),
        "given": photos.test.given.round(4).tolist(),
        "hashes": photos.test.hashes,
        "runs": [_told(run, photos) for run in runs],
        "suggestions": _suggestions(spec, runs[0]),
        "photos": {"train": len(photos.train), "validation": len(photos.validation), "test": len(photos.test)},
    }
    target = _file(spec, name)
    target.parent.mkdir(parents=True, exist_ok=True)
    scratch = target.with_suffix(".part")
    scratch.write_text(json.dumps(plain(found)))
    scratch.replace(target)
    return plain(found)


def _told(run: Found, photos: Photos) -> dict[str, Any]:
    """A run as it is kept: its scores, and of its distributions how far they are from the raters' histograms."""
    histograms = [record.histogram for record in photos.test.records]
    rated = [i for i, histogram in enumerate(histograms) if histogram is not None]
    distance = None
    if run.distributions is not None and rated:
        distance = emd(run.distributions[rated], [list(histograms[i] or ()) for i in rated])
    return {"predicted": np.round(run.predicted, 4).tolist(), "emd": distance, "chosen": run.chosen, "curve": run.curve}


def _suggestions(spec: Comparison, run: Found) -> dict[str, Any] | None:
    """The benchmark of edits, for a row that has a model which says what to change."""
    if spec.edits is None or run.model is None:
        return None
    pipeline, folder = Pipeline.load(model_dir(run.model)), spec.data.root / spec.edits.folder
    limit = spec.edits.limit or None
    return eval_edits(pipeline, folder, seed=spec.seed, limit=limit, per_photo=spec.edits.per_photo)


def _file(spec: Comparison, name: str) -> Path:
    return spec.output / "rows" / f"{name}.json"


def _kept(spec: Comparison, results: str | Path | None) -> dict[str, dict[str, Any]]:
    """Finished rows of the same fingerprint, from this comparison's folder or from earlier results."""
    earlier: Mapping[str, Any] = {}
    if results and Path(results).is_file():
        whole = json.loads(Path(results).read_text())
        shared = {"hashes": whole["hashes"], "given": _given(spec, whole["hashes"])} if whole["rows"] else {}
        earlier = {name: each["run"] | shared for name, each in whole["rows"].items()}
    kept = {}
    for name in spec.rows:
        path = _file(spec, name)
        found = json.loads(path.read_text()) if path.is_file() else earlier.get(name)
        if found and found["fingerprint"] == spec.fingerprint(name):
            kept[name] = found
    return kept


def _given(spec: Comparison, hashes: Sequence[str]) -> list[float]:
    """People's scores of test photos, by the first digits of their hashes. Raises :class:`DataError` for an unknown
    photo.
    """
    scores = {str(record.sha256)[:8]: float(record.score or 0) for record in tested(spec)}
    unknown = [each for each in hashes if each not in scores]
    if unknown:
        raise DataError(
            f"expected the test photos of {spec.source} that the results are of, found none with the hash "
            f"{unknown[0]}; give the same data set, or no --output of an earlier run"
        )
    return [round(scores[each], 4) for each in hashes]


def assemble(spec: Comparison, finished: Mapping[str, dict[str, Any]], resamples: int) -> dict[str, Any]:
    """Figures with intervals of every finished row, and paired differences."""
    tests = {found["test"] for found in finished.values()}
    if len(tests) > 1:
        raise DataError(
            f"expected every row on the same test photos, found {len(tests)} sets; take away {spec.output / 'rows'}"
        )
    table: dict[str, Any] = {}
    first = next(iter(finished.values()), {})
    given = np.array(first.get("given", []))
    for name in [name for name in spec.rows if name in finished]:
        row, found = spec.rows[name], finished[name]
        predicted = [np.array(run["predicted"]) for run in found["runs"]]
        figures: dict[str, Any] = {"title": row.title, "n": len(given), "budget": row.budget or "shared"}
        intervals = {}
        for metric, measure in METRICS.items():
            each = [bootstrap(measure, one, given, resamples=resamples, seed=spec.seed) for one in predicted]
            value, low, high = np.mean([astuple(one) for one in each], axis=0).tolist()
            figures[metric], intervals[metric] = value, [low, high]
        figures["interval"] = intervals
        if len(predicted) > 1:
            figures["seeds"] = {m: [measure(one, given) for one in predicted] for m, measure in METRICS.items()}
        distances = [run["emd"] for run in found["runs"] if run["emd"] is not None]
        figures["emd"] = float(np.mean(distances)) if distances else None
        other = row.of or spec.main
        if other != name and other in finished:
            base = np.array(finished[other]["runs"][0]["predicted"])
            figures["gain"] = {"over": other}
            for metric in ("srcc", "plcc"):
                gain = paired_bootstrap(METRICS[metric], base, predicted[0], given, resamples=resamples, seed=spec.seed)
                figures["gain"][metric] = gain
        figures["run"] = {key: value for key, value in found.items() if key not in ("given", "hashes")}
        table[name] = figures
    return plain(
        {
            "task": "compare",
            "name": spec.name,
            "title": spec.title,
            "source": spec.source,
            "official": spec.tested == 0 and len(given) == OFFICIAL_TEST,
            "photos": first.get("photos", {}),
            "stages": [{key: stage[key] for key in ("name", "steps", "batch")} for stage in spec.tree()["stages"]],
            "main": spec.main,
            "rows": table,
            "missing": [name for name in spec.rows if name not in finished],
            "published": spec.published,
            "given": given,
            "hashes": first.get("hashes", []),
        }
    )


def test_files(path: str | Path, overrides: list[str] | None = None) -> dict[str, str]:
    """File of each test photo by the first eight digits of its SHA-256."""
    return {str(record.sha256)[:8]: record.path for record in tested(load_comparison(path, overrides))}


def write(figures: Mapping[str, Any], path: str | Path, photos: Mapping[str, str] | None = None) -> None:
    """The figures as JSON, and beside them as Markdown and as one HTML page; each file is complete or absent.

    People's scores of single photos are left out of the JSON: they are the data set's to give.

    Args:
        photos: see :func:`calm.eval.compare.report.page`.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    kept = {key: value for key, value in figures.items() if key != "given"}
    texts = {".json": json.dumps(kept, ensure_ascii=False) + "\n", ".md": markdown(figures)}
    if figures["rows"]:
        texts[".html"] = page(figures, photos)
    for suffix, text in texts.items():
        scratch = path.with_suffix(suffix + ".part")
        scratch.write_text(text, encoding="utf-8")
        scratch.replace(path.with_suffix(suffix))
