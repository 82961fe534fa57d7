"""Pictures of an evaluation, where people would rather look than read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NAMES = {
    "generic": "general score",
    "ridge": "ridge",
    "residual-ridge": "ridge on the residual",
    "others": "other people's taste",
    "tastes": "tastes learnt from others",
}
"""Learners of :mod:`calm.personal.learners`, as they are called in pictures."""


def plot_piaa(figures: Mapping[str, Any], folder: str | Path) -> list[Path]:
    """``curve.png``, the SRCC by the number of examples with 95 % bands, and ``people.png``, each person's gain.

    Args:
        figures: of :func:`calm.eval.piaa.eval_piaa`.
        folder: made if it is not there; pictures of these names are replaced.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, figure in (("curve", _curve(figures)), ("people", _people(figures))):
        written.append(folder / f"{name}.png")
        figure.savefig(written[-1], dpi=120)
    return written


def plot_roofline(figures: Mapping[str, Any], path: str | Path) -> None:
    """Operations a second of each part of the network beside what memory and matrix multiplication allow.

    Args:
        figures: of :func:`calm.eval.bench.bench`.
        path: of the picture; its folder exists.
    """
    figure = _figure()
    axes = figure.subplots()
    top, memory = figures["matmul_gflops"], figures["memory_gb"]
    parts = {name: each for name, each in figures["parts"].items() if "gflops" in each}
    places = sorted([*(each["flop_a_byte"] for each in parts.values()), top / memory])
    places = [places[0] / 4, *places, places[-1] * 4]
    axes.loglog(places, [min(top, memory * place) for place in places], color="black", label="limit, measured")
    for name, each in parts.items():
        axes.loglog(each["flop_a_byte"], each["gflops"], "o", label=f"{name}: {each['gflops'] / top:.0%}")
    axes.set(xlabel="operations a byte of weights", ylabel="GFLOP a second", title=figures["model"])
    axes.legend()
    figure.savefig(path, dpi=120)


def _figure(width: float = 7.0, height: float = 4.5) -> Figure:
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def _curve(figures: Mapping[str, Any]) -> Figure:
    figure = _figure()
    axes = figure.subplots()
    shots = [int(k) for k in figures["shots"]]
    for name in next(iter(figures["shots"].values())):
        rows = [row[name] for row in figures["shots"].values()]
        middle = [row["srcc"] for row in rows]
        reach = [1.96 * row["stderr"] for row in rows]
        (line,) = axes.plot(shots, middle, marker="o", markersize=4, label=NAMES.get(name, name))
        low, high = ([m + sign * r for m, r in zip(middle, reach, strict=True)] for sign in (-1, 1))
        axes.fill_between(shots, low, high, color=line.get_color(), alpha=0.12, linewidth=0)
    axes.axhline(figures["ceiling"], color="grey", linestyle="--", linewidth=1)
    axes.annotate("others' mean of the same photos", (shots[0], figures["ceiling"]), fontsize=8, va="bottom")
    if len(shots) > 1:
        axes.set_xscale("symlog", linthresh=1)
        axes.set_xticks(shots, [str(k) for k in shots])
        axes.set_xlim(shots[0] - 0.1, shots[-1] * 1.15)
    axes.set(xlabel="rated examples", ylabel="SRCC with the person's other ratings")
    axes.set_title(f"{figures['people']} people × {figures['draws']} draws; bands: 95 % over people", fontsize=10)
    axes.legend(fontsize=8, frameon=False)
    return figure


def _people(figures: Mapping[str, Any]) -> Figure:
    """Each person's SRCC by the general score and by the learner that is best at the most examples."""
    most = list(figures["shots"])[-1]
    row = figures["shots"][most]
    best = max((name for name in row if name != "generic"), key=lambda name: row[name]["srcc"])
    plain, own = (figures["by_person"][name] for name in ("generic", best))
    figure = _figure(5.0, 5.0)
    axes = figure.subplots()
    low, high = min(*plain, *own) - 0.05, max(*plain, *own) + 0.05
    axes.plot([low, high], [low, high], color="grey", linewidth=1)
    axes.scatter(plain, own, s=16, alpha=0.7)
    better = sum(b > a for a, b in zip(plain, own, strict=True))
    axes.set(xlabel=f"SRCC of the {NAMES['generic']}", ylabel=f"SRCC of {NAMES.get(best, best)}, {most} examples")
    axes.set_title(f"each person: better for {better} of {len(own)}", fontsize=10)
    axes.set(xlim=(low, high), ylim=(low, high), aspect="equal")
    return figure
