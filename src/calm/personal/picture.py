"""The picture of a profile: what this person likes and dislikes, as bars."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from calm.personal.traits import Leaning

LIKED, DISLIKED = "#2a7f62", "#b3473f"


def draw_leanings(title: str, leanings: Sequence[Leaning], path: str | Path) -> None:
    """Write bars of how traits move the personal score, most liked first, as a PNG, SVG or PDF by the file's name.

    Args:
        leanings: those to show, in any order.
    """
    from matplotlib.figure import Figure

    ordered = sorted(leanings, key=lambda one: one.points)
    figure = Figure(figsize=(7.0, 1.2 + 0.32 * len(ordered)), layout="constrained")
    axes = figure.subplots()
    colours = [LIKED if one.points > 0 else DISLIKED for one in ordered]
    bars = axes.barh([one.trait for one in ordered], [one.points for one in ordered], color=colours)
    axes.bar_label(bars, fmt="%+.2f", padding=3, fontsize=8)
    axes.axvline(0, color="black", linewidth=0.8)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(left=False)
    axes.margins(x=0.15)
    axes.set_xlabel("points on 1–10 for one standard deviation more, on top of the general score", fontsize=8)
    axes.set_title(title, fontsize=11)
    figure.savefig(path, dpi=120)
