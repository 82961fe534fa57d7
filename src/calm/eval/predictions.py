"""What a model predicted for each photo, as JSON lines, so that two models can be compared photo by photo.

A line: ``{"task", "path", "sha256", "draw", "predicted", "given"}``. ``draw`` tells apart what was asked of one photo;
it is "" where a photo is asked about once. ``predicted`` and ``given`` are numbers on 1–10, or names of classes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from calm.errors import DataError, UsageError


@dataclass(frozen=True)
class Prediction:
    """One photo's line; see the module."""

    task: str
    path: str
    sha256: str
    draw: str
    predicted: float | str
    given: float | str


def write_predictions(path: str | Path, predictions: Iterable[Mapping[str, Any]]) -> None:
    """Write one line a prediction; a file that exists is replaced. Raises :class:`UsageError` where that fails."""
    try:
        with open(path, "w", encoding="utf-8") as stream:
            stream.writelines(f"{json.dumps(dict(each), ensure_ascii=False)}\n" for each in predictions)
    except OSError as error:
        raise UsageError(
            f"expected a file for predictions that can be written, found: {error}; name another"
        ) from error


def read_predictions(path: str | Path) -> list[Prediction]:
    """The lines of a file, or ``predictions`` of a result in JSON. Raises :class:`DataError` for any other file."""
    try:
        text = Path(path).read_text(encoding="utf-8")
        try:
            whole = json.loads(text)
            rows = [whole] if "predicted" in whole else whole["predictions"]
        except json.JSONDecodeError:
            rows = [json.loads(line) for line in text.splitlines() if line.strip()]
        found = [Prediction(**row) for row in rows]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise DataError(
            f"expected predictions at {path}, found none ({error}); write them with --predictions FILE.jsonl"
        ) from error
    if not found:
        raise DataError(f"expected predictions at {path}, found none; write them with --predictions FILE.jsonl")
    return found


def prediction(
    task: str, path: str, sha256: str | None, predicted: float | str, given: float | str, draw: str = ""
) -> dict[str, Any]:
    """A line as plain data."""
    return asdict(Prediction(task, path, sha256 or "", draw, predicted, given))
