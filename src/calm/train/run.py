"""``calm train``: from a recipe to a trained folder."""

from __future__ import annotations

import functools
import hashlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from calm.chat import Chat
from calm.memory import keep_freed_memory
from calm.model.checkpoint import build, freeze_base, load_tokenizer, save_trained, trained_state
from calm.model.examples import READER, save_reader
from calm.model.modeling import CalmForConditionalGeneration
from calm.model.weights import cache_dir
from calm.tasks.base import Context, Task, task_class
from calm.train.calibrate import calibrate, calibrate_content, calibrate_scores, read_content, read_lessons, read_photos
from calm.train.engine import Engine
from calm.train.loop import Trainer
from calm.train.recipe import ModelSpec, Recipe, Stage, load_recipe


def new_model(
    spec: ModelSpec, seed: int, dtype: torch.dtype | None = None
) -> tuple[CalmForConditionalGeneration, Chat]:
    """The untrained model of a recipe and its prompts; the same seed gives the same weights.

    Args:
        dtype: of the parts that stand still, what is fast here if None.
    """
    tokenizer = load_tokenizer(spec.text)
    torch.manual_seed(seed)
    image_token_id = tokenizer.convert_tokens_to_ids(spec.image_token)
    model = build(spec.vision, spec.text, dtype, spec.pyramid, image_token_id=image_token_id, **spec.config)
    return model, Chat(tokenizer, image_token_id, model.config.visual_tokens)


def fingerprint(recipe: Recipe) -> str:
    """Identifies what determines the result: model, seed and stages, not where files lie."""
    facts = recipe.model_dump(mode="json", include={"model", "seed", "stages"})
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]


def train(
    recipe: str | Path,
    overrides: list[str] | None = None,
    init: str | Path | None = None,
    judges: Sequence[str | Path] = (),
) -> Path:
    """Train a recipe from the beginning or from where it was interrupted; returns the trained folder.

    Args:
        init: trained tensors to begin with (``calm.safetensors`` of the same configuration), instead of random ones.
        judges: the same of other runs; their mean becomes the second judge of scores (:mod:`calm.model.judge`).
    """
    from calm.model.checkpoint import load_trained
    from calm.model.judge import JUDGE, save_judge
    from calm.model.pyramid import PYRAMID, save_pyramid

    keep_freed_memory()
    spec = load_recipe(recipe, overrides)
    if spec.threads:
        torch.set_num_threads(spec.threads)
    engine = Engine.of(spec)
    dtype = None if spec.precision == "auto" else engine.dtype

    def begin() -> tuple[CalmForConditionalGeneration, Chat]:
        model, chat = new_model(spec.model, spec.seed, dtype)
        freeze_base(model)
        if init:
            load_trained(model, init)
        return model, chat

    model, chat = begin()
    context = Context(spec.data.root, spec.data.cache or cache_dir(), model.config, spec.output)
    made: dict[str, Task] = {}

    def tasks(stage: Stage, model: CalmForConditionalGeneration) -> list[Task]:
        chosen = []
        for task in stage.tasks:
            key = json.dumps([task.name, task.options], sort_keys=True)
            if key not in made:
                made[key] = task_class(task.name)(context, **task.options)
            made[key].branches = stage.branches
            # At every stage anew: what is prepared may depend on what the last one taught.
            made[key].prepare(model, functools.partial(prepared, task.name))
            chosen.append(made[key])
        return chosen

    from calm.train.validate import Validator

    trainer = Trainer(
        model,
        lambda: begin()[0],
        chat,
        spec.output,
        tasks,
        fingerprint(spec),
        engine,
        seed=spec.seed,
        save_every=spec.save_every,
        validate=Validator(context, chat),
        report=Report(spec),
    )
    model = trainer.run(spec.stages)
    final = spec.output / "model"
    if engine.main:
        save_trained(model, final, chat.tokenizer, torch.bfloat16, spec.compact)
        if judges:
            save_judge(judges, final / JUDGE)
        if spec.stages and all(stage.read == ["pyramid"] for stage in spec.stages):
            # Beside the model's folder, which has it already: what another model takes as one pyramid more.
            save_pyramid(model, spec.output / PYRAMID)
        _finish(final, spec, context, model, chat)
    engine.finish()
    return final


UNSEEN_CAPTIONS = 600
"""Captioned photos after those that were learnt from, to see how surely things are named."""


def _finish(folder: Path, spec: Recipe, context: Context, model: CalmForConditionalGeneration, chat: Chat) -> None:
    """What belongs beside the weights: the suggestions' calibration, and which photos were trained on."""
    used: set[str] = set()
    for stage in spec.stages:
        for task in stage.tasks:
            made = task_class(task.name)(context, **task.options)
            made.branches = []  # nothing more is read of them, so nothing more is encoded
            made.prepare(model)
            used |= made.hashes()
            made.leave(folder)
    (folder / "trained_on.txt").write_text("".join(f"{sha[:8]}\n" for sha in sorted(used)))
    if any("examples" in stage.read for stage in spec.stages):
        known = sorted({sha[:8] for sha in used})
        save_reader(trained_state(model), model.config.text_lora or {}, known, folder / READER)
    lessons = [task.options for stage in spec.stages for task in stage.tasks if task.name == "edits"]
    if spec.calibrate and lessons and "language" in spec.stages[-1].read:
        held_out = task_class("edits")(context, **(lessons[-1] | {"split": "validation"}))
        held_out.prepare(model)
        found: dict[str, Any] = calibrate(*read_lessons(model, chat, held_out))
        ratings = [task.options for stage in spec.stages for task in stage.tasks if task.name == "score"]
        if ratings:
            rated = task_class("score")(context, **(ratings[-1] | {"split": "validation"}))
            rated.prepare(model)
            found |= calibrate_scores(*read_photos(model, chat, rated))
        told: list[Task] = [held_out]
        captions = [task.options for stage in spec.stages for task in stage.tasks if task.name == "caption"]
        if captions and captions[-1].get("limit"):
            passed = captions[-1] | {"skip": captions[-1]["limit"], "limit": UNSEEN_CAPTIONS}
            told.append(task_class("caption")(context, **passed))
            told[-1].prepare(model)
        found["content"] = calibrate_content(*read_content(model, told))
        (folder / "calibration.json").write_text(json.dumps(found, indent=1))


def prepared(name: str, done: int, total: int) -> None:
    """A line on stderr for each five hundredth photo that a task prepares."""
    if done and (done // 500 > (done - 16) // 500 or done == total):
        print(f"{name}: {done}/{total} photos prepared", file=sys.stderr, flush=True)


class Report:
    """A line on stderr now and then: where the run stands and how long it will take."""

    def __init__(self, recipe: Recipe, every: int = 20) -> None:
        self.steps = {stage.name: stage.steps for stage in recipe.stages}
        self.every = every
        self.recent: list[dict] = []

    def __call__(self, row: dict) -> None:
        self.recent.append(row)
        if len(self.recent) < self.every and "step" in row and row["step"] < self.steps[row["stage"]]:
            return
        names = [n for n in row if "/" in n and not n.startswith("rate/")] + ["gradient_norm"]
        means = {n: float(np.mean([r[n] for r in self.recent if n in r])) for n in names}
        pace = float(np.mean([r["seconds"] for r in self.recent]))
        left = (self.steps[row["stage"]] - row["step"]) * pace / 60
        words = "  ".join(f"{n} {v:.3f}" for n, v in means.items())
        checks = "  ".join(f"{n} {v:.4f}" for r in self.recent for n, v in r.items() if n.startswith("validation"))
        place = f"{row['stage']} {row['step']}/{self.steps[row['stage']]}"
        print(f"{place}  {pace:.2f} s/step  {left:.0f} min left  {words}  {checks}", file=sys.stderr, flush=True)
        self.recent.clear()
