"""A model that is trained by the comparison's stages: CALM, its ablations, and other ways to join eye and tongue."""

from __future__ import annotations

import copy
import functools
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import yaml

from calm.eval.compare.photos import BATCH
from calm.eval.compare.rows.base import Found, Place
from calm.eval.compare.spec import Row
from calm.eval.gather import progress
from calm.eval.metrics import srcc
from calm.readout import SCORES, level_scores, score_distribution, written_scores

if TYPE_CHECKING:
    from calm.chat import Chat
    from calm.eval.compare.photos import Part
    from calm.model.modeling import CalmForConditionalGeneration

READ = {"score": score_distribution, "level": level_scores, "text": written_scores}
"""What reads each kind of answer."""
CURVE = 60
"""Points of a training curve that are kept."""


def run(place: Place, row: Row, seed: int) -> Found:
    """Train it as ``calm train`` does, from a recipe that is left beside it, and read its answers."""
    from calm.chat import Chat
    from calm.model.checkpoint import load, load_tokenizer
    from calm.train.run import train

    place.folder.mkdir(parents=True, exist_ok=True)
    path = place.folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(recipe(place, row, seed), sort_keys=False))
    folder = train(path)
    model = load(folder).eval().requires_grad_(False)
    model.merge_adapters()
    tokenizer = load_tokenizer(model.config.text_source)
    chat = Chat(tokenizer, model.config.image_token_id, model.config.visual_tokens)
    predicted, heads, distributions = say(model, chat, place.photos.test, row.answer)
    facts: dict[str, Any] = {
        "learnt_parameters": _learnt(folder),
        "heads_srcc": srcc(heads, place.photos.test.given),
    }
    return Found(predicted, facts, _curve(place), distributions, folder)


def recipe(place: Place, row: Row, seed: int) -> dict[str, Any]:
    """The recipe of a row: the comparison's model and stages, with what the row changes."""
    spec = place.spec
    stages = copy.deepcopy([stage.model_dump(mode="json", exclude_unset=True) for stage in spec.stages])
    for stage in stages:
        stage["tasks"] = [task for task in stage["tasks"] if task["name"] not in row.without]
        for task in stage["tasks"]:
            if task["name"] == "score":
                shared = {"source": spec.source, "cached": "finished", "limit": spec.photos, "drawn": True}
                task["options"] = shared | task.get("options", {}) | {"answer": row.answer}
    model = spec.model.model_dump(mode="json", exclude_unset=True)
    model["config"] = model.get("config", {}) | row.config
    return {
        "name": f"{spec.name}-{place.folder.name}",
        "seed": seed,
        "model": model,
        "data": spec.data.model_dump(mode="json", exclude_none=True),
        "output": str(place.folder),
        "calibrate": row.answer == "score",  # the suggestions of the others are not measured
        "stages": stages,
    }


def say(
    model: CalmForConditionalGeneration, chat: Chat, part: Part, answer: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Scores by the language model, scores by the heads, and distributions where the read-out is one."""
    from calm.train.calibrate import read_answers

    watch = functools.partial(progress, label="reading")
    found, judged, _ = read_answers(model, chat, part.task, "score", READ[answer], BATCH, watch)
    heads = judged.softmax(dim=1) @ SCORES
    if answer == "score":
        return (found @ SCORES).numpy(), heads.numpy(), found.numpy()
    return found.numpy(), heads.numpy(), None


def _learnt(folder: Any) -> int:  # noqa: ANN401 - a path
    """Numbers in the trained file."""
    from safetensors import safe_open

    from calm.model.checkpoint import TRAINED

    with safe_open(folder / TRAINED, "pt") as file:
        return sum(int(np.prod(file.get_slice(name).get_shape())) for name in file.keys())  # noqa: SIM118


def _curve(place: Place) -> list[dict[str, float]]:
    """Losses along the training: means over equal stretches, steps counted through all stages."""
    lines = (place.folder / "metrics.jsonl").read_text().splitlines()
    rows = [row for row in map(json.loads, lines) if "step" in row]
    begins, total = {}, 0
    for stage in place.spec.stages:
        begins[stage.name], total = total, total + stage.steps
    points = []
    for part in np.array_split(np.arange(len(rows)), min(CURVE, len(rows))):
        chosen = [rows[i] for i in part]
        names = {name for row in chosen for name in row if "/" in name and not name.startswith("rate/")}
        means = {name: float(np.mean([row[name] for row in chosen if name in row])) for name in sorted(names)}
        points.append({"step": float(begins[chosen[-1]["stage"]] + chosen[-1]["step"]), **means})
    return points
