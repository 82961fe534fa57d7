"""Run a comparison row by row, keep each finished row, and put them together."""

from __future__ import annotations

import hashlib
import json
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from calm.errors import DataError, UsageError
from calm.eval.compare.photos import Photos
from calm.eval.compare.rows.base import Found, Place, kind
from calm.eval.compare.spec import Comparison, Row, load_comparison
from calm.eval.gather import plain
from calm.eval.metrics import RESAMPLES, bootstrap, emd, krcc, plcc, rmse, srcc
from calm.eval.paired import paired_bootstrap

if TYPE_CHECKING:
    from calm.data.rated import Rated
    from calm.tasks.base import Context

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
    if todo:
        photos = _photos(spec)
        for name in todo:
            finished[name] = _row(spec, name, photos)
    return assemble(spec, finished, resamples)


def _photos(spec: Comparison) -> Photos:
    from calm.model.checkpoint import freeze_base
    from calm.train.run import new_model

    model, _ = new_model(spec.model, spec.seed)
    freeze_base(model)
    return Photos.gather(spec, model, _context(spec, model.config))


def _context(spec: Comparison, config: Any) -> Context:  # noqa: ANN401 - a CalmConfig
    from calm.model.weights import cache_dir
    from calm.tasks.base import Context

    return Context(spec.data.root, spec.data.cache or cache_dir(), config, spec.output)


def _row(spec: Comparison, name: str, photos: Photos) -> dict[str, Any]:
    """Run one row with all its seeds and keep what it came to."""
    row, runs, began = spec.rows[name], [], time.monotonic()
    for seed in range(row.seeds):
        folder = spec.output / (name if row.seeds == 1 else f"{name}-{seed}")
        print(f"{name}: {row.title}" + (f", seed {seed}" if row.seeds > 1 else ""), file=sys.stderr, flush=True)
        runs.append(kind(row.kind)(Place(spec, photos, folder), row, spec.seed + seed))
    found = {
        "fingerprint": spec.fingerprint(name),
        "test": digest(photos.test.hashes),
        "seconds": round(time.monotonic() - began, 1),
        "given": photos.test.given.round(4).tolist(),
        "hashes": [sha256[:8] for sha256 in photos.test.hashes],
        "runs": [_told(run, photos) for run in runs],
        "suggestions": _suggestions(spec, row, runs[0]),
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
    histograms = [photo.record.histogram for photo in photos.test.task.photos]
    rated = [i for i, histogram in enumerate(histograms) if histogram is not None]
    distance = None
    if run.distributions is not None and rated:
        distance = emd(run.distributions[rated], [list(histograms[i] or ()) for i in rated])
    return {
        "predicted": np.round(run.predicted, 4).tolist(),
        "emd": distance,
        "chosen": run.chosen,
        "curve": run.curve,
    }


def _suggestions(spec: Comparison, row: Row, run: Found) -> dict[str, Any] | None:
    """The benchmark of edits, for a row that has a model which says what to change."""
    if spec.edits is None or run.model is None or row.answer != "score":
        return None
    from calm.eval.suites import eval_edits
    from calm.predictor import Predictor

    folder = spec.data.root / spec.edits.folder
    limit = spec.edits.limit or None
    return eval_edits(Predictor.load(run.model), folder, seed=spec.seed, limit=limit, per_photo=spec.edits.per_photo)


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
    scores = {photo.sha256[:8]: photo.score for photo in _test(spec)}
    unknown = [each for each in hashes if each not in scores]
    if unknown:
        raise DataError(
            f"expected the test photos of {spec.source} that the results are of, found none with the hash "
            f"{unknown[0]}; give the same data set, or no --output of an earlier run"
        )
    return [round(scores[each], 4) for each in hashes]


def _test(spec: Comparison) -> list[Rated]:
    from calm.data.rated import rated
    from calm.data.record import dataset

    return rated(dataset(spec.source).records(spec.data.root / spec.source, "test"))


def digest(hashes: Sequence[str]) -> str:
    """Twelve hex digits that name a set of photos in their order."""
    return hashlib.sha256("".join(each[:8] for each in hashes).encode()).hexdigest()[:12]


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
        said = [np.array(run["predicted"]) for run in found["runs"]]
        figures: dict[str, Any] = {"title": row.title, "n": len(given), "budget": row.budget or "shared"}
        intervals = {}
        for metric, measure in METRICS.items():
            each = [bootstrap(measure, one, given, resamples=resamples, seed=spec.seed) for one in said]
            figures[metric] = float(np.mean([one.value for one in each]))
            intervals[metric] = [float(np.mean([one.low for one in each])), float(np.mean([one.high for one in each]))]
        figures["interval"] = intervals
        if len(said) > 1:
            figures["seeds"] = {m: [measure(one, given) for one in said] for m, measure in METRICS.items()}
        distances = [run["emd"] for run in found["runs"] if run["emd"] is not None]
        figures["emd"] = float(np.mean(distances)) if distances else None
        other = row.of or spec.main
        if other != name and other in finished:
            base = np.array(finished[other]["runs"][0]["predicted"])
            figures["gain"] = {"over": other} | {
                metric: paired_bootstrap(METRICS[metric], base, said[0], given, resamples=resamples, seed=spec.seed)
                for metric in ("srcc", "plcc")
            }
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
            "stages": [
                {"name": s.name, "steps": s.steps, "tasks": {t.name: t.batch for t in s.tasks}} for s in spec.stages
            ],
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
    return {photo.sha256[:8]: photo.record.path for photo in _test(load_comparison(path, overrides))}


def write(figures: Mapping[str, Any], path: str | Path, photos: Mapping[str, str] | None = None) -> None:
    """The figures as JSON, and beside them as Markdown and as one HTML page; each file is complete or absent.

    People's scores of single photos are left out of the JSON: they are the data set's to give.

    Args:
        photos: see :func:`calm.eval.compare.report.page`.
    """
    from calm.eval.compare.report import markdown, page

    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    told = {key: value for key, value in figures.items() if key != "given"}
    texts = {".json": json.dumps(told, ensure_ascii=False) + "\n", ".md": markdown(figures)}
    if figures["rows"]:
        texts[".html"] = page(figures, photos)
    for suffix, text in texts.items():
        scratch = path.with_suffix(suffix + ".part")
        scratch.write_text(text, encoding="utf-8")
        scratch.replace(path.with_suffix(suffix))
