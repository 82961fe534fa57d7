"""Rows as a table to read: ruled and coloured in a terminal, plain and aligned anywhere else."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import IO, Any

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

        told = any(has_words(row) for row in self._rows)
        table = RichTable(show_lines=told, header_style="bold")
        table.add_column("photo", overflow="fold", max_width=40 if told else None)
        table.add_column("score", justify="right", no_wrap=True)
        table.add_column("±", justify="right", no_wrap=True)
        if told or any(row["status"] == "failed" for row in self._rows):
            table.add_column("what the model says" if told else "", overflow="fold")
        for row in self._rows:
            score, spread = figures(row)
            if row["status"] == "failed":
                table.add_row(Text(row["path"]), Text("failed", style="red"), "", Text(row["error"], style="red"))
            else:
                # Text and not str: a path such as "[a].jpg" is no markup.
                cells = [Text(row["path"]), Text(score, style="bold"), Text(spread)]
                table.add_row(*cells, *([Text("\n".join(words(row)))] if told else []))
        Console(file=self._stream).print(table)


def plain(rows: list[Mapping[str, Any]]) -> list[str]:
    """The rows as aligned lines; comments and suggestions stand indented below their photo."""
    width = max(len("photo"), *(len(row["path"]) for row in rows))
    lines = [f"{'photo':<{width}}  score     ±"]
    for row in rows:
        if row["status"] == "failed":
            lines.append(f"{row['path']:<{width}}  failed  {row['error']}")
            continue
        score, spread = figures(row)
        lines.append(f"{row['path']:<{width}}  {score:>5}  {spread:>4}")
        for paragraph in words(row):
            lines += textwrap.wrap(paragraph, PLAIN_WIDTH, initial_indent="    ", subsequent_indent="      ")
    return lines


def has_words(row: Mapping[str, Any]) -> bool:
    """Whether the row comes from a task that answers in words."""
    return "comment" in row or "suggestions" in row


def figures(row: Mapping[str, Any]) -> tuple[str, str]:
    """Score and its standard deviation, to two decimals; a rounded 10 is still at most 10."""
    if row["score"] is None:
        return "", ""
    return f"{row['score']:.2f}", f"{row['score_std']:.2f}"


def words(row: Mapping[str, Any]) -> list[str]:
    """What the row says in words, one paragraph an item."""
    said = []
    if row.get("comment"):
        said.append(row["comment"])
        said += [f"{ARROWS[each['polarity']]} {each['aspect']} ({each['level']})" for each in row.get("aspects") or []]
    if "suggestions" in row:
        said += [advice(each) for each in row["suggestions"] or []] or ["nothing to mend"]
    for trial in row.get("applied") or []:
        change = trial["score_after"] - trial["score_before"]
        said.append(
            f"{trial['attribute']} {trial['direction']}: {trial['score_before']:.2f} → {trial['score_after']:.2f} "
            f"({change:+.2f})  {trial['file']}"
        )
    return said


def advice(suggestion: Mapping[str, Any]) -> str:
    """One suggestion on one line: what, how much, how sure, and in words."""
    amount = ""
    if suggestion["amount"] is not None:
        amount = f" {suggestion['amount']:.3g} {suggestion['unit'] or ''}".rstrip()
    what = f"{suggestion['attribute']} {suggestion['direction']}{amount}"
    return f"{what} ({suggestion['confidence']:.0%}): {suggestion['text']}"
