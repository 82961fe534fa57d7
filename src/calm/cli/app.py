"""All commands, put together. Only what is needed for ``--help`` is imported here."""

from __future__ import annotations

from typing import Annotated

import typer

from calm import __version__
from calm.cli import bench, compare, controls, cull, data, evaluate, manage, predict, profile, serve
from calm.cli.commands import Commands

app = Commands(
    "Scores photos, comments on them and says how to improve them.",
    name="calm",
    epilog="Exit status: 0 all is well, 1 some photos failed (their rows say why), 2 wrong usage, 130 interrupted.",
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.command()(predict.score)
app.command()(predict.rank)
app.command()(predict.comment)
app.command()(predict.suggest)
app.command()(cull.cull)
app.add_typer(profile.app, name="profile")
app.command()(manage.train)
app.command()(manage.export)
app.command()(bench.bench)
evaluate.app.command()(compare.compare)
evaluate.app.command()(controls.controls)
evaluate.app.command()(controls.names)
evaluate.app.command()(controls.captions)
evaluate.app.command()(controls.framing)
evaluate.app.command()(controls.faults)
evaluate.app.command()(controls.order)
evaluate.app.command()(controls.quality)
evaluate.app.command()(controls.attention)
app.add_typer(evaluate.app, name="eval")
app.add_typer(manage.app, name="models")
app.add_typer(data.app, name="data")
app.add_typer(manage.store, name="store")
app.add_typer(serve.app, name="serve")


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"calm {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and leave.")
    ] = False,
) -> None:
    pass
