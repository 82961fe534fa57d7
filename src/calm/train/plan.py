"""What a recipe will take, worked out without any weights: parameters, tokens, operations, memory, time.

The model is the recipe's own (:func:`calm.model.checkpoint.skeleton`): the same classes, on the meta device.

**Operations and activations** are measured, not derived: see :mod:`calm.train.gauge`. Computing activations again costs
the forward pass of the language model's blocks once more, ``accumulate`` a whole forward pass
(:mod:`calm.train.gradient`).

**Memory of a GPU**, in bytes a parameter, for N GPUs. What learns is float32, what belongs to a frozen encoder or
language model is bfloat16, what stands still in this stage alone is float32:

===========  =============================  ===========  ==========================  ===============
way          weights that learn             gradients    AdamW                       weights at rest
===========  =============================  ===========  ==========================  ===============
DDP          4, and 2 as they are           4            8, and 4 with ``average``   2 or 4
             multiplied
ZeRO-2       2                              2/N          12/N (a float32 copy)       2 or 4
ZeRO-3       2/N, and 2 of the largest      2/N          12/N                        (2 or 4)/N
             block, gathered twice
===========  =============================  ===========  ==========================  ===============

(Rajbhandari et al., "ZeRO", SC 2020, arXiv 1910.02054.) FSDP shards as ZeRO-3 does. Left out: what the allocator
wastes, communication buffers, CUDA itself (0.5–1 GiB), and the encoder's short-lived activations.

**Time** is operations by the rate that is given; reading and editing photos, validation and start-up are left out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from torch import nn

from calm.data.record import dataset, datasets
from calm.model.checkpoint import skeleton
from calm.model.modeling import CalmForConditionalGeneration
from calm.train.gauge import Cost, Gauge
from calm.train.loop import learning_parameters
from calm.train.recipe import Recipe, Stage, TaskSpec

WAYS = ("DDP", "ZeRO-2", "ZeRO-3")
BRANCHES = ("low", "middle", "high", "thematic", "statistics", "technique")
"""Branches of the alignment module, as the names of its parameters have them."""


@dataclass(frozen=True)
class Part:
    """Parameters of a part of the model.

    Attributes:
        total: all of them.
        learns: those that learn, by stage.
        found: what the part is, and where its configuration is from.
    """

    name: str
    total: int
    learns: dict[str, int]
    found: str = ""


@dataclass(frozen=True)
class Lot:
    """One task of a stage.

    Attributes:
        photos: published number of photos in its sets' training splits, or what ``limit`` leaves of them; None where
            none of them is known.
        unknown: names of sets whose number is not known.
        visual, text: tokens of a sample.
    """

    task: TaskSpec
    sources: tuple[str, ...]
    photos: int | None
    unknown: tuple[str, ...]
    visual: int
    text: int
    samples: int
    cost: Cost


@dataclass(frozen=True)
class Memory:
    """Bytes on one GPU."""

    weights: float
    gradients: float
    optimizer: float

    @property
    def state(self) -> float:
        """All but activations."""
        return self.weights + self.gradients + self.optimizer


@dataclass(frozen=True)
class StagePlan:
    """One stage.

    Attributes:
        learns: parameters that learn.
        memory: by way, of :data:`WAYS`.
        kept, sparing: bytes of activations on one GPU, of the lot that has most, without and with computing them again.
        operations: of the whole stage, on all GPUs.
        parts: into which each GPU reads its share of a batch (``accumulate``), by way; None where nothing fits.
    """

    stage: Stage
    learns: int
    memory: dict[str, Memory]
    lots: list[Lot]
    kept: float
    sparing: float
    operations: float
    parts: dict[str, int | None] = field(default_factory=dict)


@dataclass(frozen=True)
class Plan:
    """A recipe's plan; see the module."""

    name: str
    gpus: int
    again: bool
    accumulate: int
    parts: list[Part]
    stages: list[StagePlan]


def plan(recipe: Recipe, shelf: Path | None = None, gpus: int = 1, memory: float | None = None) -> Plan:
    """Work out what a recipe will take.

    Args:
        shelf: folder of published configurations; see :func:`calm.model.checkpoint.part_config`.
        gpus: number of GPUs, 1 or more.
        memory: bytes of each; the plan then says in how many parts a batch must be read to fit.

    Raises:
        ConfigError: when the recipe does not fit its parts.
        WeightsError: when the configuration of a part cannot be read.
    """
    spec = recipe.model
    model = skeleton(spec.vision, spec.text, spec.pyramid, shelf, image_token_id=0, **spec.config)
    learns: dict[str, dict[str, int]] = {}
    stages = []
    with Gauge(model) as gauge:
        for stage in recipe.stages:
            learning_parameters(model, stage)
            learns[stage.name] = count(model, stage)
            stages.append(_stage(recipe, gauge, stage, gpus, memory))
    totals = count(model)
    where = {"vision": spec.vision, "language_model": spec.text, "pyramid": spec.pyramid}
    parts = [
        Part(name, total, {stage: counts.get(name, 0) for stage, counts in learns.items()}, where.get(name, ""))
        for name, total in totals.items()
    ]
    return Plan(recipe.name, gpus, recipe.checkpoint_activations, recipe.accumulate, parts, stages)


def count(model: CalmForConditionalGeneration, stage: Stage | None = None) -> dict[str, int]:
    """Parameters by part, adapters apart from what they adapt: all, or those that a stage's gradient reaches.

    Args:
        stage: a stage whose parts ``requires_grad`` marks already; branches that take no part in it learn nothing.
    """
    absent = set() if stage is None or stage.branches is None else set(BRANCHES) - set(stage.branches)
    counts: dict[str, int] = {}
    for name, parameter in model.named_parameters():
        place = name.split(".")
        if stage is not None and (not parameter.requires_grad or place[0] == "mfam" and absent & set(place[1:3])):
            continue
        part = place[0] + (" adapters" if "lora_" in name else "")
        counts[part] = counts.get(part, 0) + parameter.numel()
    return counts


def _stage(recipe: Recipe, gauge: Gauge, stage: Stage, gpus: int, memory: float | None) -> StagePlan:
    lots = [_lot(gauge, stage, task) for task in stage.tasks]
    shares = [math.ceil(lot.task.batch / gpus) for lot in lots]
    at_once = [math.ceil(share / recipe.accumulate) for share in shares]
    held = memory_of(gauge.model, gpus, bool(stage.average))
    each = [lot.cost.sparing if recipe.checkpoint_activations else lot.cost.kept for lot in lots]
    parts = {way: parts_that_fit(shares, each, memory - state.state) for way, state in held.items()} if memory else {}
    return StagePlan(
        stage=stage,
        learns=sum(count(gauge.model, stage).values()),
        memory=held,
        lots=lots,
        kept=max(n * lot.cost.kept for n, lot in zip(at_once, lots, strict=True)),
        sparing=max(n * lot.cost.sparing for n, lot in zip(at_once, lots, strict=True)),
        operations=sum(_operations(lot.cost, recipe) * lot.samples for lot in lots),
        parts=parts,
    )


def parts_that_fit(shares: Sequence[int], costs: Sequence[float], room: float) -> int | None:
    """In how many parts a GPU must read its share of each batch, so that none has more activations than there is room.

    Args:
        shares: samples of each batch on one GPU.
        costs: bytes of activations of one sample of each. room: bytes.

    Returns:
        1 or more; None where not one sample fits.
    """
    if any(cost > room for cost in costs):
        return None
    return max(math.ceil(share / (room // max(1.0, cost))) for share, cost in zip(shares, costs, strict=True))


def _operations(cost: Cost, recipe: Recipe) -> float:
    """Operations of a sample, with what is computed again to save memory."""
    again = cost.block if recipe.checkpoint_activations else 0.0
    return cost.operations + again + (cost.again if recipe.accumulate > 1 else 0.0)


def memory_of(model: CalmForConditionalGeneration, gpus: int, averaged: bool = False) -> dict[str, Memory]:
    """Memory of weights, gradients and optimiser on one of ``gpus`` GPUs, by way; formulas in the module.

    Args:
        model: with what learns marked by ``requires_grad``, in the number formats of training.
        averaged: a running mean of what learns is kept.
    """
    learnt = sum(p.numel() for p in model.parameters() if p.requires_grad)
    rest = sum(p.numel() * p.element_size() for p in model.parameters() if not p.requires_grad)
    largest = max(sum(p.numel() for p in block.parameters()) for block in language_blocks(model))
    return {
        "DDP": Memory(rest + 6 * learnt, 4 * learnt, (12 if averaged else 8) * learnt),
        "ZeRO-2": Memory(rest + 2 * learnt, 2 * learnt / gpus, 12 * learnt / gpus),
        "ZeRO-3": Memory((rest + 2 * learnt) / gpus + 4 * largest, 2 * learnt / gpus, 12 * learnt / gpus),
    }


def language_blocks(model: CalmForConditionalGeneration) -> list[nn.Module]:
    """The language model's blocks, first to last."""
    return list(model.language_model.model.layers)


# ------------------------------------------------------------------------------------------------ what is asked


def _lot(gauge: Gauge, stage: Stage, task: TaskSpec) -> Lot:
    numbers = photos(task)
    sources = tuple(numbers)
    unknown = tuple(name for name, number in numbers.items() if number is None)
    known = None if len(unknown) == len(sources) else sum(number for number in numbers.values() if number)
    seen, asked, answered = gauge.tokens(stage, task)
    seen = seen if set(stage.read) != {"pyramid"} else 0
    text = asked + answered if "language" in stage.read else 0
    return Lot(task, sources, known, unknown, seen, text, stage.steps * task.batch, gauge.cost(stage, task))


def photos(task: TaskSpec) -> dict[str, int | None]:
    """Photos that a task reads of each data set, as published and as its ``limit`` allows; None where it is unknown."""
    default = {"score": "para", "comment": "para", "caption": "flickr8k", "people": "oasis"}.get(task.name)
    name = task.options.get("source", default)
    found: dict[str, int | None] = {}
    for source in task.options.get("sources") or ([{"name": name} | task.options] if name else []):
        limit = source.get("limit") or None
        number = published(source["name"])
        number = limit if number is None else min(number, limit or number)
        found[source["name"]] = max(number or 0, found.get(source["name"]) or 0) or None
    return found


def published(name: str) -> int | None:
    """Photos of a data set's training split (of all where it has none), as its publisher counts them; None: unknown."""
    if name not in datasets():
        dataset(name)
    counts = datasets()[name].published
    if "train" in counts:
        return counts["train"]
    return counts["all"] - counts.get("test", 0) - counts.get("validation", 0) if "all" in counts else None
