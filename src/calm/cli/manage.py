"""``calm train`` and ``calm models``."""

from __future__ import annotations

import sys
from dataclasses import asdict, fields
from pathlib import Path
from typing import Annotated

import typer

from calm.cli.options import Formatted, Quiet, Verbose
from calm.cli.running import Talk
from calm.output import CsvWriter, JsonlWriter


def train(
    recipe: Annotated[
        Path, typer.Argument(metavar="RECIPE", help="A recipe: model and stages.", exists=True, dir_okay=False)
    ],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(metavar="KEY=VALUE", help="Settings in place of the recipe's, such as data.root=DIR."),
    ] = None,
    verbose: Verbose = 0,
    quiet: Quiet = False,
) -> None:
    """Train a model by a recipe.

    A run that was interrupted goes on where it stopped.
    """
    Talk(max(verbose, int(not quiet)), quiet).begin()
    from calm.train.one import train as run

    typer.echo(run(recipe, overrides or []))


def models(
    folders: Annotated[
        list[Path] | None, typer.Argument(metavar="DIR", help="Also list the models in these folders.")
    ] = None,
    format: Formatted = None,
) -> None:
    """List models and their terms.

    Where they are, which they are (sha256), and what they may be used for.
    """
    from calm.catalogue import Listed, listed

    names = [field.name for field in fields(Listed)]
    found = listed(folders or [])
    if format in ("jsonl", "csv"):
        writer = (JsonlWriter if format == "jsonl" else CsvWriter)(sys.stdout, names)
        for model in found:
            writer.write(asdict(model))
        writer.finish()
        return
    for model in found:
        typer.echo(f"{model.name}  ({model.origin}, {model.bytes / 1e6:.1f} MB)")
        for label, text in (
            ("what", model.summary),
            ("path", model.path),
            ("sha256", model.sha256),
            ("licence", model.licence),
            ("terms", model.terms),
        ):
            if text:
                typer.echo(f"  {label:<8}{text}")
    if not found:
        typer.echo("no models found; name a folder that holds some")
