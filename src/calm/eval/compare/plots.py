"""Pictures of a comparison."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SHOWN = 6
"""Rows whose photos are shown one by one."""
NEAR = 0.02
"""Differences of SRCC that are drawn to scale."""
BINS = 10


def draw(figures: Mapping[str, Any]) -> Iterator[tuple[str, Figure]]:
    """Each picture with its title."""
    rows = figures["rows"]
    yield "Agreement with people, 95 % intervals", _bars(rows)
    if any("gain" in row for row in rows.values()):
        yield f"Difference to the row that each is compared with (mostly {figures['main']})", _gains(rows)
    given = np.array(figures["given"])
    best = sorted(rows, key=lambda name: -(rows[name]["srcc"] or 0))
    others = [name for name in best if name != figures["main"]][: SHOWN - 1]
    chosen = [name for name in rows if name in (figures["main"], *others)]
    predicted = {name: np.array(rows[name]["run"]["runs"][0]["predicted"]) for name in chosen}
    yield "Scores by people and by the model", _grid(predicted, lambda axes, each: _scatter(axes, each, given))
    yield "What is left over, by the people's score", _grid(predicted, lambda axes, each: _residuals(axes, each, given))
    yield (
        "Calibration: mean of the people's scores where a score is given",
        _grid(predicted, lambda axes, each: _calibration(axes, each, given)),
    )
    curves = {name: row["run"]["runs"][0]["curve"] for name, row in rows.items()}
    trained = {name: curve for name, curve in curves.items() if any("score" in point for point in curve)}
    if trained:
        yield "Training: loss of the score that the language model gives", _curves(trained, "score")


def _figure(width: float, height: float) -> Figure:
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def _numbers(values: Iterable[float | None]) -> list[float]:
    """Figures to draw; what is undefined is not drawn."""
    return [math.nan if value is None else value for value in values]


def _bars(rows: Mapping[str, Any]) -> Figure:
    figure = _figure(8, 0.8 + 0.32 * len(rows))
    axes = figure.subplots()
    for i, row in enumerate(rows.values()):
        for metric, shift, colour in (("srcc", -0.12, "#2b6cb0"), ("plcc", 0.12, "#c05621")):
            axes.plot(_numbers(row["interval"][metric]), [i + shift] * 2, color=colour, linewidth=2, alpha=0.5)
            (value,) = _numbers([row[metric]])
            axes.plot(value, i + shift, "o", color=colour, markersize=5, label=metric.upper() if not i else None)
    axes.set_yticks(range(len(rows)), list(rows))
    axes.invert_yaxis()
    axes.grid(axis="x", alpha=0.3)
    axes.legend(frameon=False, fontsize=8)
    return figure


def _gains(rows: Mapping[str, Any]) -> Figure:
    gains = {name: row["gain"] for name, row in rows.items() if "gain" in row}
    figure = _figure(8, 0.8 + 0.32 * len(gains))
    axes = figure.subplots()
    for i, gain in enumerate(gains.values()):
        low, high = _numbers(gain["srcc"]["interval"])
        colour = "#2b6cb0" if low > 0 or high < 0 else "#999999"
        axes.plot([low, high], [i, i], color=colour, linewidth=2)
        axes.plot(_numbers([gain["srcc"]["difference"]]), [i], "o", color=colour, markersize=5)
    axes.axvline(0, color="black", linewidth=0.8)
    axes.axvspan(-NEAR, NEAR, color="#f4f4f4", zorder=0)
    axes.set_xscale("symlog", linthresh=NEAR, linscale=3)
    least, most = axes.get_xlim()
    ticks = (-1, -0.1, -NEAR, -NEAR / 2, 0, NEAR / 2, NEAR, 0.1, 1)
    shown = [tick for tick in ticks if min(least, -NEAR) <= tick <= max(most, NEAR)]
    axes.set_xticks(shown, [f"{tick:+g}" if tick else "0" for tick in shown])
    axes.set_yticks(range(len(gains)), [f"{name} − {gain['over']}" for name, gain in gains.items()])
    axes.invert_yaxis()
    axes.grid(axis="x", alpha=0.3)
    axes.set_xlabel(f"SRCC; grey where the interval holds 0; logarithmic beyond {NEAR:g} (shaded)")
    return figure


def _grid(predicted: Mapping[str, np.ndarray], show: Any) -> Figure:  # noqa: ANN401 - a function of axes and scores
    columns = min(3, len(predicted))
    lines = -(-len(predicted) // columns)
    figure = _figure(3.2 * columns, 3.0 * lines)
    places = np.ravel(figure.subplots(lines, columns, squeeze=False))
    for axes, (name, each) in zip(places, predicted.items(), strict=False):
        show(axes, each)
        axes.set_title(name, fontsize=9)
        axes.tick_params(labelsize=7)
    for axes in figure.axes[len(predicted) :]:
        axes.set_visible(False)
    return figure


def _scatter(axes: Axes, predicted: np.ndarray, given: np.ndarray) -> None:
    axes.scatter(given, predicted, s=3, alpha=0.3, linewidths=0)
    low, high = min(given.min(), predicted.min()), max(given.max(), predicted.max())
    axes.plot([low, high], [low, high], color="black", linewidth=0.8)
    _label(axes, "people", "model")


def _residuals(axes: Axes, predicted: np.ndarray, given: np.ndarray) -> None:
    axes.scatter(given, predicted - given, s=3, alpha=0.3, linewidths=0)
    axes.axhline(0, color="black", linewidth=0.8)
    _label(axes, "people", "model − people")


def _calibration(axes: Axes, predicted: np.ndarray, given: np.ndarray) -> None:
    edges = np.quantile(predicted, np.linspace(0, 1, BINS + 1))
    place = np.clip(np.searchsorted(edges, predicted, side="right") - 1, 0, BINS - 1)
    there = [i for i in range(BINS) if (place == i).any()]
    x = [predicted[place == i].mean() for i in there]
    axes.plot(x, [given[place == i].mean() for i in there], marker="o", markersize=4)
    axes.plot([min(x), max(x)], [min(x), max(x)], color="black", linewidth=0.8)
    _label(axes, "model", "people")


def _label(axes: Axes, across: str, up: str) -> None:
    axes.set_xlabel(across, fontsize=8)
    axes.set_ylabel(up, fontsize=8)


def _curves(curves: Mapping[str, list[dict[str, float]]], name: str) -> Figure:
    figure = _figure(8, 4)
    axes = figure.subplots()
    for row, curve in curves.items():
        points = [(point["step"], point[name]) for point in curve if name in point]
        axes.plot(*zip(*points, strict=True), label=row, linewidth=1)
    axes.set(xlabel="step", ylabel=name, yscale="log")
    axes.legend(frameon=False, fontsize=7, ncols=2)
    return figure
