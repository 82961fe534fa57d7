"""``calm store …``: looks after the answers that are kept."""

from __future__ import annotations

import typer

app = typer.Typer(
    help="Look after the answers that are kept, so that unchanged photos cost nothing.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


@app.command()
def info() -> None:
    """Say where answers are kept, and how many of which model."""
    from calm.inference.store import Ledger

    ledger = Ledger()
    typer.echo(f"{ledger.path}  ({ledger.path.stat().st_size / 1e6:.1f} MB)")
    for name, sha256, question, count in ledger.counts():
        typer.echo(f"{count:>10}  {name} {sha256[:12]}  {question}")


@app.command()
def clear() -> None:
    """Forget every answer; a damaged store is replaced."""
    from calm.inference import store

    store.clear(store.usual_path())


@app.command()
def vacuum() -> None:
    """Forget what cannot be used again, and give the space back.

    That is answers of other versions of calm, and hashes of files that changed or are gone.
    """
    from calm.inference.store import Ledger

    Ledger().vacuum()
