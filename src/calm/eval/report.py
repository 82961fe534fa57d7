"""Figures of an evaluation as text: a line for each figure, a table for what is told by attribute, class or scene."""

from collections.abc import Mapping, Sequence
from typing import Any

Cells = list[list[str]]


def render(figures: Mapping[str, Any]) -> str:
    """Text for people; the JSON of the same figures is the interface for programs.

    Args:
        figures: what an evaluation returned.
    """
    lines: list[tuple[str, str]] = []
    tables: list[str] = []
    _walk(figures, "", lines, tables)
    width = max((len(name) for name, _ in lines), default=0)
    body = "\n".join(f"{name:<{width}}  {value}" for name, value in lines)
    return "\n\n".join(part for part in (body, *tables) if part)


def _walk(figures: Mapping[str, Any], prefix: str, lines: list[tuple[str, str]], tables: list[str]) -> None:
    for name, value in figures.items():
        path = prefix + name
        rows = _rows(value)
        if rows:
            tables.append(f"{path}\n{_aligned(rows)}")
        elif isinstance(value, Mapping):
            _walk(value, f"{path}.", lines, tables)
        elif isinstance(value, (list, tuple)) and not _flat(value):
            lines.append((path, f"{len(value)}" if value else "none"))
        else:
            lines.append((path, _cell(value)))


def _rows(value: object) -> Cells:
    """Header and rows where the value is a table: like mappings, two or more by name or one in a list; or nothing."""
    if isinstance(value, Mapping):
        named = [(str(name), each) for name, each in value.items()]
    elif isinstance(value, (list, tuple)):
        named = [("", each) for each in value]
    else:
        return []
    least = 2 if isinstance(value, Mapping) else 1
    if len(named) < least or not all(isinstance(each, Mapping) and each for _, each in named):
        return []
    columns = list(named[0][1])
    if any(list(each) != columns or any(isinstance(cell, Mapping) for cell in each.values()) for _, each in named):
        return []
    lead = [""] if any(name for name, _ in named) else []
    header = [*lead, *columns]
    return [
        header,
        *([*([name] if lead else []), *(_cell(each[column]) for column in columns)] for name, each in named),
    ]


def _aligned(rows: Cells) -> str:
    """Columns as wide as their widest cell: words to the left, figures to the right."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    words = [not all(_figure(row[i]) for row in rows[1:]) for i in range(len(rows[0]))]

    def line(row: Sequence[str]) -> str:
        cells = (
            f"{cell:<{width}}" if left else f"{cell:>{width}}"
            for cell, width, left in zip(row, widths, words, strict=True)
        )
        return "  " + "  ".join(cells).rstrip()

    return "\n".join(line(row) for row in rows)


def _figure(cell: str) -> bool:
    return cell == "–" or cell[:1] in "+-−0123456789[" and bool(cell)


def _flat(values: Sequence[object]) -> bool:
    return all(not isinstance(each, (Mapping, list, tuple)) for each in values)


def _cell(value: object) -> str:
    """One value: None is a dash, a float has four decimals at most, a list stands in brackets."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4f}" if abs(value) < 1000 else f"{value:.0f}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_cell(each) for each in value) + "]" if value else "none"
    return str(value)
