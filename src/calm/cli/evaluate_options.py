"""Options that the commands of ``calm eval`` share, declared once; those of all commands are in ``options``."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from calm.cli.options import ModelOptions

ReportFormat = Annotated[Literal["table", "json"], typer.Option(help="How the figures are written to standard output.")]
Seed = Annotated[int, typer.Option(help="Which random draws are made; the same seed, the same figures.")]


def folder(help: str) -> Any:  # noqa: ANN401 - what typer.Option gives
    """An option that names a folder which exists."""
    return typer.Option(metavar="DIR", help=help, exists=True, file_okay=False)


def file(help: str) -> Any:  # noqa: ANN401 - what typer.Option gives
    """An option that names a file which exists."""
    return typer.Option(metavar="FILE", help=help, exists=True, dir_okay=False)


LIMIT = typer.Option(min=1, help="Use so many photos at most, drawn by the seed.")
Limit = Annotated[int, LIMIT]
Some = Annotated[int | None, LIMIT]
Resamples = Annotated[int, typer.Option(min=1, help="Draws of the bootstrap behind intervals and p.")]
Predictions = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Also write each photo's prediction, as JSON lines; see: calm eval paired."),
]
GoodPhotos = Annotated[Path, folder("Good photos, not trained on, with their native pixels.")]


@dataclass(frozen=True)
class DataSetOptions:
    """A data set in place of single files."""

    dataset: Annotated[str | None, typer.Option(metavar="NAME", help="A data set by name; needs --root.")] = None
    root: Annotated[Path | None, folder("Where the data set lies.")] = None
    split: Annotated[
        Literal["train", "validation", "test"] | None, typer.Option(help="Part of the data set; all of it by default.")
    ] = None

    @property
    def half_given(self) -> bool:
        """Whether a name stands without its folder, or the other way round."""
        return (self.dataset is None) != (self.root is None)


@dataclass(frozen=True)
class FigureOptions(ModelOptions):
    """How many photos are drawn, and how the figures are written."""

    seed: Seed = 0
    limit: Some = None
    format: ReportFormat = "table"
