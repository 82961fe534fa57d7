"""``calm eval compare``: the method, its ablations and its peers in one table."""

from pathlib import Path
from typing import Annotated

import typer

from calm.cli.options import Overrides, Quiet, Recipe, Verbose
from calm.cli.running import Talk


def compare(
    recipe: Recipe,
    overrides: Overrides = None,
    row: Annotated[list[str] | None, typer.Option(metavar="NAME", help="Run this row (may be repeated).")] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            metavar="F.json",
            help="Write the figures here, and beside them F.md and F.html; rows that it holds already are kept.",
            dir_okay=False,
        ),
    ] = None,
    pictures: Annotated[
        bool, typer.Option("--pictures", help="Show photos in the page; see whether their terms let you pass it on.")
    ] = False,
    run: Annotated[bool, typer.Option("--run/--no-run", help="Run rows that are missing, or only write.")] = True,
    verbose: Verbose = 0,
    quiet: Quiet = False,
) -> None:
    """Compare models that learn and are measured alike.

    Rows that are finished are kept: a comparison that was interrupted goes on where it stopped.
    """
    Talk(max(verbose, int(not quiet)), quiet).begin()
    from calm.eval.compare.report import markdown
    from calm.eval.compare.run import compare as put_together
    from calm.eval.compare.run import test_files, write

    figures = put_together(recipe, overrides, rows=row or [], results=output, run=run)
    if output:
        write(figures, output, test_files(recipe, overrides) if pictures else None)
    typer.echo(markdown(figures))
