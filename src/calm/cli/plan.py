"""``calm train --plan``: what a recipe will take, as text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from calm.train.plan import Lot, Plan, StagePlan

GIB = 2**30
HOUR = 3600

Planned = Annotated[
    bool,
    typer.Option("--plan", help="Do not train: say what it will take, worked out without weights or data, and leave."),
]
Gpus = Annotated[int, typer.Option("--gpus", metavar="N", min=1, help="With --plan: number of GPUs.")]
Rate = Annotated[
    float,
    typer.Option(
        "--flops",
        metavar="TFLOPS",
        min=0.001,
        help="With --plan: what a GPU sustains, in 10¹² operations a second; 125 is two fifths of an A100's peak.",
    ),
]
Room = Annotated[float, typer.Option("--memory", metavar="GIB", min=0.1, help="With --plan: memory of a GPU, in GiB.")]


def show(recipe: Path, overrides: list[str], gpus: int, rate: float, room: float) -> None:
    """Print the plan of a recipe.

    Args:
        rate: 10¹² operations a second and GPU. room: GiB a GPU.
    """
    from calm.train.plan import plan
    from calm.train.recipe import load_recipe

    found = plan(load_recipe(recipe, overrides), recipe.parent / "parts", gpus, room * GIB)
    typer.echo("\n".join(lines(found, rate, room)))


def lines(plan: Plan, rate: float, room: float) -> Iterable[str]:
    """The plan as lines of text; see :func:`show`."""
    yield f"{plan.name} on {plan.gpus} GPU{'s' * (plan.gpus > 1)} of {room:g} GiB"
    yield ""
    yield from _parts(plan)
    for stage in plan.stages:
        yield ""
        yield from _stage(plan, stage, rate, room)
    work = sum(stage.operations for stage in plan.stages)
    yield ""
    time = f"{_time(work, plan, rate)} at {rate:g} TFLOP/s a GPU, reading of photos left out"
    yield f"all stages: {_number(work)}FLOP, {time}"


def _parts(plan: Plan) -> Iterable[str]:
    rows = [["parameters", "", ""]]
    rows += [["  " + part.name, _number(part.total), part.found] for part in plan.parts]
    rows.append(["  together", _number(sum(part.total for part in plan.parts)), ""])
    yield from _table(rows)


def _stage(plan: Plan, planned: StagePlan, rate: float, room: float) -> Iterable[str]:
    stage = planned.stage
    batch = sum(task.batch for task in stage.tasks)
    work = f"{_number(planned.operations)}FLOP, {_time(planned.operations, plan, rate)}"
    yield f"stage {stage.name}: {stage.steps:,} steps of {batch} samples, {work}"
    learns = {part.name: part.learns[stage.name] for part in plan.parts if part.learns[stage.name]}
    yield "  learn: " + ", ".join(f"{name} {_number(count)}".rstrip() for name, count in learns.items())
    rows = [["  a sample of", "photos", "samples", "passes", "tokens", "FLOP", "activations", "computed again"]]
    rows += [["  " + _name(lot), *_figures(lot)] for lot in planned.lots]
    yield from _table(rows)
    for lot in planned.lots:
        if lot.unknown and lot.photos is not None:
            yield f"  {_name(lot)}: how many photos {', '.join(lot.unknown)} has is not known and not counted"
    again = plan.again
    activations = planned.sparing if again else planned.kept
    rows = [["  GiB a GPU", "weights", "gradients", "AdamW", "activations", "together", f"fits in {room:g}"]]
    for way, memory in planned.memory.items():
        cells = memory.weights, memory.gradients, memory.optimizer, activations, memory.state + activations
        rows.append(["  " + way, *(f"{cell / GIB:.1f}" for cell in cells), _fits(plan, planned.parts[way])])
    yield from _table(rows)
    way, other = ("computed again", "kept") if again else ("kept", "computed again")
    would = planned.kept if again else planned.sparing
    yield f"  activations are {way}; {other} they would take {would / GIB:.1f} GiB"


def _name(lot: Lot) -> str:
    several = len(lot.sources) > 2
    return lot.task.name + (f" ({len(lot.sources)} sets)" if several else f" ({', '.join(lot.sources)})")


def _figures(lot: Lot) -> list[str]:
    known = lot.photos is not None
    return [
        f"{lot.photos:,}" if known else "unknown",
        f"{lot.samples:,}",
        f"{lot.samples / lot.photos:.1f}" if lot.photos else "unknown",
        f"{lot.visual} + {lot.text}",
        _number(lot.cost.operations),
        f"{lot.cost.kept / 2**20:.0f} MiB",
        f"{lot.cost.sparing / 2**20:.0f} MiB",
    ]


def _fits(plan: Plan, parts: int | None) -> str:
    if parts is None:
        return "no"
    return "yes" if parts <= plan.accumulate else f"accumulate={parts}"


def _time(operations: float, plan: Plan, rate: float) -> str:
    seconds = operations / (rate * 1e12 * plan.gpus)
    return f"{seconds / HOUR:.1f} h" if seconds >= HOUR else f"{seconds / 60:.1f} min"


def _number(value: float) -> str:
    """Three digits and a unit, such as ``1.54 G``; ``0`` and small numbers as they are."""
    for power, unit in ((18, "E"), (15, "P"), (12, "T"), (9, "G"), (6, "M"), (3, "k")):
        if value >= 10**power:
            return f"{value / 10**power:.4g} {unit}"
    return f"{value:g} "


def _table(rows: Sequence[Sequence[str]]) -> Iterable[str]:
    """Rows with aligned columns, the first to the left."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        cells = [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        yield "  ".join(cells).rstrip()
