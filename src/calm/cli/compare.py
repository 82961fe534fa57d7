"""``calm eval compare``: the method, its ablations and its peers in one table."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from calm.cli.options import Quiet, Verbose
from calm.cli.running import Talk


def compare(
    recipe: Annotated[
        Path, typer.Argument(metavar="RECIPE", help="What to compare, and how.", exists=True, dir_okay=False)
    ],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(metavar="KEY=VALUE", help="Settings in place of the recipe's, such as data.root=DIR."),
    ] = None,
    row: Annotated[
        list[str] | None,
        typer.Option("--row", metavar="NAME", help="Run this row (may be repeated)."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            metavar="F.json",
            help="Write the figures here, and beside them F.md and F.html; rows that it holds already are kept.",
            dir_okay=False,
            show_default=False,
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
