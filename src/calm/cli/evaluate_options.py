"""Options that the commands of ``calm eval`` share, declared once; those of all commands are in ``options``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

ReportFormat = Annotated[
    Literal["table", "json"], typer.Option("--format", help="How the figures are written to standard output.")
]
Limit = Annotated[int, typer.Option("--limit", min=1, help="Use so many photos at most, drawn by the seed.")]
Seed = Annotated[int, typer.Option("--seed", help="Which random draws are made; the same seed, the same figures.")]


def folder(option: str, help: str) -> Any:  # noqa: ANN401 - what typer.Option gives
    """An option that names a folder which exists."""
    return typer.Option(option, metavar="DIR", help=help, exists=True, file_okay=False)


DataSet = Annotated[
    str | None, typer.Option("--dataset", metavar="NAME", help="A data set by name; needs --root.", show_default=False)
]
Root = Annotated[
    Path | None,
    typer.Option(
        "--root", metavar="DIR", help="Where the data set lies.", exists=True, file_okay=False, show_default=False
    ),
]
Split = Annotated[
    Literal["train", "validation", "test"] | None,
    typer.Option("--split", help="Part of the data set; all of it by default.", show_default=False),
]
Some = Annotated[
    int | None,
    typer.Option("--limit", min=1, help="Use so many photos at most, drawn by the seed.", show_default=False),
]
Resamples = Annotated[int, typer.Option("--resamples", min=1, help="Draws of the bootstrap behind intervals and p.")]
Predictions = Annotated[
    Path | None,
    typer.Option(
        "--predictions",
        metavar="FILE",
        help="Also write each photo's prediction, as JSON lines; see: calm eval paired.",
        show_default=False,
    ),
]
