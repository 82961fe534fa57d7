"""Arguments and options that mean the same in every command: declared once, used by name in signatures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from calm.engine import DEFAULT_BATCH_SIZE
from calm.output import Format

Paths = Annotated[
    list[str],
    typer.Argument(
        metavar="PATH", help="Photos: files, folders (with all below them), globs, or - for paths on stdin."
    ),
]
Formatted = Annotated[
    Format | None, typer.Option("--format", help="How rows are written to standard output; a table by default.")
]
Output = Annotated[
    Path | None,
    typer.Option(
        "--output", metavar="FILE", help="Write rows to FILE instead: .jsonl, .csv or .parquet.", show_default=False
    ),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Let --output replace a file that exists.")]
Model = Annotated[str, typer.Option("--model", metavar="DIR_OR_ID", help="A packaged model's name, or a model folder.")]
Device = Annotated[
    str | None,
    typer.Option("--device", help="cpu, cuda, cuda:1, mps; by default the best there is.", show_default=False),
]
BatchSize = Annotated[
    int, typer.Option("--batch-size", min=1, help="Photos a forward pass: changes speed and memory, not results.")
]
Verbose = Annotated[
    int,
    typer.Option("-v", "--verbose", count=True, help="Say more on stderr; twice for debugging.", show_default=False),
]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="Say nothing on stderr but errors.")]
Profile = Annotated[
    str | None,
    typer.Option("--profile", metavar="NAME", help="As this person would; see: calm profile.", show_default=False),
]

NoStore = Annotated[
    bool, typer.Option("--no-store", help="Ask the model anew about every photo, and keep nothing; see: calm store.")
]

DEFAULT_MODEL = "calm-small"

__all__ = [
    "DEFAULT_BATCH_SIZE",
    "DEFAULT_MODEL",
    "BatchSize",
    "Device",
    "Formatted",
    "Model",
    "NoStore",
    "Output",
    "Overwrite",
    "Paths",
    "Profile",
    "Quiet",
    "Verbose",
]
