"""A network that is trained by the comparison's recipe: CALM and its ablations."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

from calm.data.batches import batches
from calm.data.images import load_photo
from calm.data.progress import progress
from calm.eval.compare.row import Found, Place
from calm.eval.compare.spec import RowSpec, training_digest
from calm.eval.gather import refuse_trained
from calm.inference.pipeline import Pipeline
from calm.model.config import SCORE_LEVELS
from calm.tasks.metrics import srcc
from calm.train.run import train

BATCH = 16
CURVE = 60
"""Points of a training curve that are kept."""
SCORES = np.arange(1.0, SCORE_LEVELS + 1)


def run(place: Place, row: RowSpec, seed: int) -> Found:
    """Train it as ``calm train`` does, from a recipe that is left beside it, and read its scores of the test photos.

    Rows whose recipes are the same share what was trained: they differ in where their scores are read.
    """
    tree = place.spec.tree(row, seed)
    folder = place.spec.output / "trained" / training_digest(tree)
    kept = folder / f"scores-{place.photos.test.digest}.npz"
    if not kept.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "recipe.yaml"
        tree |= {"name": f"{place.spec.name}: {row.title}", "output": str(folder)}
        path.write_text(yaml.safe_dump(tree, sort_keys=False))
        read_scores(train(path), place.photos.test.paths, kept)
    with np.load(kept) as stored:
        distributions = {name: stored[name] for name in stored}
    manifest = json.loads((folder / "manifest.json").read_text())["tensors"]
    facts: dict[str, Any] = {"learnt_parameters": sum(int(np.prod(each["shape"])) for each in manifest)}
    facts |= {f"{name}_srcc": srcc(each @ SCORES, place.photos.test.given) for name, each in distributions.items()}
    return Found(
        distributions[row.read] @ SCORES,
        facts,
        curve(folder, tree["stages"]),
        distributions[row.read],
        folder if row.read == "language" else None,  # suggestions are the language model's
    )


def read_scores(folder: Path, paths: Sequence[str], target: Path) -> None:
    """Distributions of the score by the language model and by the auxiliary head, (n, 10) each, into ``target``.

    ``paths``: of photos that the network never saw.
    """
    pipeline = Pipeline.load(folder)
    refuse_trained(pipeline, paths)
    found: dict[str, list[np.ndarray]] = {"language": [], "heads": []}
    with torch.inference_mode():
        for part in progress(list(batches(paths, BATCH)), "reading"):
            visual = pipeline.answers.see([load_photo(path).pixels for path in part], detail=False)
            found["language"].append(pipeline.answers.scores(visual).double().numpy())
            found["heads"].append(visual.score.double().softmax(dim=1).cpu().numpy())
    scratch = target.with_suffix(".part.npz")
    np.savez(scratch, language=np.concatenate(found["language"]), heads=np.concatenate(found["heads"]))
    scratch.replace(target)


def curve(folder: Path, stages: Sequence[Mapping[str, Any]]) -> list[dict[str, float]]:
    """Losses along the training: means over equal stretches, steps counted through all stages."""
    rows = [row for row in map(json.loads, (folder / "log.jsonl").read_text().splitlines()) if "step" in row]
    begins, total = {}, 0
    for stage in stages:
        begins[stage["name"]], total = total, total + stage["steps"]
    points = []
    for part in np.array_split(np.arange(len(rows)), min(CURVE, len(rows)) or 1):
        chosen = [rows[i] for i in part]
        names = sorted({name for row in chosen for name in row} - {"stage", "step", "rate"})
        means = {name: float(np.mean([row[name] for row in chosen if name in row])) for name in names}
        if chosen:
            points.append({"step": float(begins[chosen[-1]["stage"]] + chosen[-1]["step"]), **means})
    return points
