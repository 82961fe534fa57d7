"""All commands, put together. Only what is needed for ``--help`` is imported here."""

from __future__ import annotations

from typing import Annotated

import typer

from calm import __version__
from calm.cli import compare, controls, data, evaluate, manage, predict, profile, store

app = typer.Typer(
    name="calm",
    help="Scores photos, comments on them and says how to improve them.",
    epilog="Exit status: 0 all is well, 1 some photos failed (their rows say why), 2 wrong usage, 130 interrupted.",
    no_args_is_help=True,
    # Plain help and one-line errors: both are read by programs, and it starts faster.
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.command()(predict.score)
app.command()(predict.rank)
app.command()(predict.comment)
app.command()(predict.suggest)
app.add_typer(profile.app, name="profile")
app.command()(manage.train)
evaluate.app.command()(compare.compare)
evaluate.app.command()(controls.controls)
evaluate.app.command()(controls.names)
evaluate.app.command()(controls.captions)
evaluate.app.command()(controls.framing)
evaluate.app.command()(controls.faults)
evaluate.app.command()(controls.order)
evaluate.app.command()(controls.quality)
app.add_typer(evaluate.app, name="eval")
app.command()(manage.models)
app.add_typer(data.app, name="data")
app.add_typer(store.app, name="store")


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
