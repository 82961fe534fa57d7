"""``calm train``, ``calm models`` and ``calm store``: what is made and kept."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, fields
from pathlib import Path
from typing import Annotated, Any

import typer

from calm.cli.commands import Commands
from calm.cli.options import DEFAULT_MODEL, Formatted, Model, Overrides, Quiet, Recipe, Verbose
from calm.cli.running import Talk
from calm.inference.output import CsvWriter, Format, JsonlWriter


def train(recipe: Recipe, overrides: Overrides = None, verbose: Verbose = 0, quiet: Quiet = False) -> None:
    """Train a model by a recipe.

    A run that was interrupted goes on where it stopped.
    """
    Talk(max(verbose, int(not quiet)), quiet).begin()
    from calm.train.run import train as run

    typer.echo(run(recipe, overrides or []))


def export(
    target: Annotated[Path, typer.Argument(metavar="DIR", help="A folder that is made.")],
    model: Model = DEFAULT_MODEL,
    bfloat16: Annotated[
        bool, typer.Option("--bfloat16", help="Half of the size; scores are equal where they are computed in it.")
    ] = False,
    openvino: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PHOTOS", help="Also the score as a graph of OpenVINO, compared with the network on these photos."
        ),
    ] = None,
    verbose: Verbose = 0,
    quiet: Quiet = False,
) -> None:
    """Write a model into a folder of its own, with all that it needs, as transformers' classes read it."""
    Talk(verbose, quiet).begin()
    import torch

    from calm.data.find import find_photos
    from calm.scale.export import add_graph
    from calm.scale.export import export as write

    photos = list(find_photos(openvino)) if openvino else []
    typer.echo(write(model, target, torch.bfloat16 if bfloat16 else torch.float32))
    if photos:
        typer.echo(json.dumps(add_graph(target, photos)))


app = typer.Typer(help="List models, their terms, and where their frozen parts come from.", invoke_without_command=True)

Folders = Annotated[list[Path] | None, typer.Argument(metavar="DIR", help="Also the models in these folders.")]


@app.callback()
def models(context: typer.Context, format: Formatted = None) -> None:
    """List models and their terms, and where their frozen parts come from."""
    if context.invoked_subcommand is None:
        list_(None, format)


@app.command("list")
def list_(folders: Folders = None, format: Formatted = None) -> None:
    """Where models are, which they are (sha256), and what they may be used for.

    The same as calm models alone, which lists the packaged ones and those of the cache.
    """
    from calm.model.catalogue import Listed, listed

    found = listed(folders or [])
    if _written(found, Listed, format):
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


@app.command("sources")
def sources_(folders: Folders = None, format: Formatted = None) -> None:
    """Where the frozen encoder and language model of each model come from.

    A source is the name of a packaged part, a folder as transformers saves it, or a name on the hub that was fetched
    before (hf download NAME). Recipes name it as vision and text, a trained model's config.json as vision_source and
    text_source; whichever it is, the weights go the same way.
    """
    from calm.model.catalogue import Source, sources

    found = sources(folders or [])
    if _written(found, Source, format):
        return
    for each in found:
        typer.echo(f"{each.model}  {each.part:<7}{each.source}  ({each.kind})  {each.path or each.how}")


def _written(found: list[Any], kind: type, format: Format | None) -> bool:
    """Whether rows were written, which they are in every format but the table."""
    if format not in ("jsonl", "csv"):
        return False
    writer = (JsonlWriter if format == "jsonl" else CsvWriter)(sys.stdout, [field.name for field in fields(kind)])
    for each in found:
        writer.write(asdict(each))
    writer.finish()
    return True


store = Commands("Look after the answers that are kept, so that unchanged photos cost nothing.")


@store.command()
def info() -> None:
    """Say where answers are kept, and how many of which model."""
    from calm.inference.store import Ledger

    ledger = Ledger()
    typer.echo(f"{ledger.path}  ({ledger.path.stat().st_size / 1e6:.1f} MB)")
    for name, sha256, question, count in ledger.counts():
        typer.echo(f"{count:>10}  {name} {sha256[:12]}  {question}")


@store.command("clear")
def clear_() -> None:
    """Forget every answer; a damaged store is replaced."""
    from calm.inference.store import clear, usual_path

    clear(usual_path())


@store.command()
def vacuum() -> None:
    """Forget what cannot be used again, and give the space back.

    That is answers of other versions of calm, and hashes of files that changed or are gone.
    """
    from calm.inference.store import Ledger

    Ledger().vacuum()
