"""Rows as a table to read: ruled and coloured in a terminal, plain and aligned anywhere else."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping
from typing import IO, Any

from calm.types import UNITS

PLAIN_WIDTH = 100
"""Characters a line of running text may have outside a terminal."""

ARROWS = {1: "+", 0: "·", -1: "−"}


class Table:
    """Collects rows and prints them when finished, since columns are as wide as their widest cell."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self._rows: list[Mapping[str, Any]] = []

    def write(self, row: Mapping[str, Any]) -> None:
        self._rows.append(row)

    def finish(self) -> None:
        if not self._rows:
            return
        if self._stream.isatty():
            self._print_rich()
        else:
            self._stream.write("\n".join(plain(self._rows)) + "\n")
        self._stream.flush()

    def _print_rich(self) -> None:
        from rich.console import Console
        from rich.table import Table as RichTable
        from rich.text import Text

        worded = any(has_words(row) for row in self._rows)
        table = RichTable(show_lines=worded, header_style="bold")
        table.add_column("photo", overflow="fold", max_width=40 if worded else None)
        table.add_column("score", justify="right", no_wrap=True)
        table.add_column("±", justify="right", no_wrap=True)
        besides = list(beside(self._rows[0]))
        for name in besides:
            table.add_column(name, overflow="fold")
        if worded or any(row["status"] == "failed" for row in self._rows):
            table.add_column("what the model says" if worded else "", overflow="fold")
        for row in self._rows:
            score, spread = figures(row)
            if row["status"] == "failed":
                empty = [""] * (1 + len(besides))
                table.add_row(Text(row["path"]), Text("failed", style="red"), *empty, Text(row["error"], style="red"))
            else:
                # Text and not str: a path such as "[a].jpg" is no markup.
                cells = [Text(row["path"]), Text(score, style="bold"), Text(spread), *map(Text, beside(row).values())]
                table.add_row(*cells, *([Text("\n".join(words(row)))] if worded else []))
        Console(file=self._stream).print(table)


def plain(rows: list[Mapping[str, Any]]) -> list[str]:
    """The rows as aligned lines; comments and suggestions stand indented below their photo."""
    width = max(len("photo"), *(len(row["path"]) for row in rows))
    besides = {name: max(len(name), *(len(beside(row)[name]) for row in rows)) for name in beside(rows[0])}
    heads = "".join(f"  {name:<{wide}}" for name, wide in besides.items())
    lines = [f"{'photo':<{width}}  score     ±{heads}".rstrip()]
    for row in rows:
        if row["status"] == "failed":
            lines.append(f"{row['path']:<{width}}  failed  {row['error']}")
            continue
        score, spread = figures(row)
        cells = "".join(f"  {text:<{besides[name]}}" for name, text in beside(row).items())
        lines.append(f"{row['path']:<{width}}  {score:>5}  {spread:>4}{cells}".rstrip())
        for paragraph in words(row):
            lines += textwrap.wrap(paragraph, PLAIN_WIDTH, initial_indent="    ", subsequent_indent="      ")
    return lines


def beside(row: Mapping[str, Any]) -> dict[str, str]:
    """What stands beside the score on one line, by its heading: of plans and groups, with their reasons."""
    found = {}
    if "group" in row:
        found["rank"] = str(row["rank"] or "")
        found["group"] = row["group"] or ""
    if "decision" in row:
        found["decision"] = row["decision"] or ""
        found["series"] = f"{row['series_kind']} {row['series']}" if row["series"] else ""
    if "reason" in row:
        found["reason"] = row["reason"] or ""
    return found


def has_words(row: Mapping[str, Any]) -> bool:
    """Whether something is said of the row in words."""
    names = "comment", "suggestions", "taken", "rating"
    return any(name in row for name in names) or bool(row.get("note"))


def figures(row: Mapping[str, Any]) -> tuple[str, str]:
    """Score and its standard deviation, to two decimals; a rounded 10 is still at most 10."""
    if row["score"] is None:
        return "", ""
    return f"{row['score']:.2f}", f"{row['score_std']:.2f}"


def words(row: Mapping[str, Any]) -> list[str]:
    """What the row says in words, one paragraph an item."""
    found = [f"note: {row['note']}"] if row.get("note") else []
    if row.get("comment"):
        found.append(row["comment"])
        found += [f"{ARROWS[each['polarity']]} {each['aspect']} ({each['level']})" for each in row.get("aspects") or []]
    if "suggestions" in row:
        found += [advice(each) for each in row["suggestions"] or []] or ["nothing to mend"]
    for tried in row.get("applied") or []:
        state = "kept" if tried["kept"] else "not kept" if tried["score_after"] else "not tried"
        amount = f" {tried['amount']:g} {UNITS[tried['attribute']]}" if tried["kept"] and tried["amount"] else ""
        found.append(f"{tried['attribute']} {tried['direction']}{amount} {state}: {tried['reason']}")
    if row.get("improved"):
        before = row["applied"][0]["score_before"]  # of a RAW file developed, where the score is of its preview
        found.append(f"improved: {before:.2f} → {row['score_improved']:.2f}  {row['improved']}")
    if "taken" in row:
        found.append(camera(row) or "the camera noted nothing")
    if "rating" in row:
        given = {None: "not rated", -1: "rejected"}.get(row["rating"], f"{row['rating']} of 5 stars")
        found.append(f"{given} by {row['rated_by']}: {', '.join(row['sidecars'])}")
    return found


def camera(row: Mapping[str, Any]) -> str:
    """When and how a photo was taken, on one line."""
    seconds = row["exposure_time"]
    shown = (
        row["taken"] and re.sub(r"\.\d+", "", row["taken"]).replace("T", " "),
        row["camera"],
        row["lens"],
        seconds and (f"{seconds:g} s" if seconds > 0.3 else f"1/{1 / seconds:.0f} s"),
        row["f_number"] and f"f/{row['f_number']:g}",
        row["iso"] and f"ISO {row['iso']}",
        row["exposure_bias"] and f"{row['exposure_bias']:+.2g} EV",
        row["focal_length"] and f"{row['focal_length']:g} mm",
        row["kind"] and f"({row['kind']})".replace("_", " "),
    )
    return ", ".join(each for each in shown if each)


def advice(suggestion: Mapping[str, Any]) -> str:
    """One suggestion on one line: what, how much, how sure, and in words."""
    amount = ""
    if suggestion["amount"] is not None:
        amount = f" {suggestion['amount']:.3g} {suggestion['unit'] or ''}".rstrip()
    what = f"{suggestion['attribute']} {suggestion['direction']}{amount}"
    return f"{what} ({suggestion['confidence']:.0%}): {suggestion['text']}"
