"""``calm serve``: models over HTTP, and the keys of those who may ask."""

from typing import Annotated

import typer

from calm.cli.commands import Commands, spread
from calm.cli.options import BatchSize, ModelOptions
from calm.errors import UsageError
from calm.types import DEFAULT_BATCH_SIZE

app = Commands(
    "Answer over HTTP: an API that OpenAI's clients know, and one of its own.",
    no_args_is_help=False,
    invoke_without_command=True,
)
keys = Commands("Make and revoke API keys.")
app.add_typer(keys, name="keys")

Name = Annotated[str, typer.Argument(metavar="NAME", help="Whose key it is.")]


def serve(
    context: typer.Context,
    host: Annotated[
        str, typer.Option(help="Address to listen at; beyond this machine, keys are required.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 for any that is free.")] = 8000,
    require_key: Annotated[
        bool, typer.Option("--require-key", help="Require API keys on this machine, too; so behind a proxy.")
    ] = False,
    batch_size: BatchSize = DEFAULT_BATCH_SIZE,
    queue: Annotated[int, typer.Option(min=1, help="Photos and requests that wait, at most.")] = 128,
    timeout: Annotated[float, typer.Option(min=1, help="Seconds of a request, at most.")] = 120.0,
    max_body: Annotated[int, typer.Option(min=1, metavar="MB", help="Size of a request.")] = 32,
    max_pixels: Annotated[int, typer.Option(min=1, metavar="MP", help="Megapixels of an image, at most.")] = 50,
    max_images: Annotated[int, typer.Option(min=1, help="Images of a request, at most.")] = 16,
    max_tokens: Annotated[int, typer.Option(min=1, help="Tokens of an answer, at most.")] = 256,
    rate: Annotated[int, typer.Option(min=1, help="Requests of a key a minute, at most.")] = 6000,
    *,
    options: ModelOptions,
) -> None:
    """Answer over HTTP until Ctrl-C or SIGTERM."""
    if context.invoked_subcommand is not None:
        return
    options.begin()
    try:
        from calm.serve.app import is_loopback
        from calm.serve.app import serve as run
    except ModuleNotFoundError as error:
        raise UsageError(
            f"expected the packages that serve, found no {error.name}; pip install 'calm-aesthetics[serve]'"
        ) from error
    from calm.cli.running import open_model
    from calm.model.catalogue import model_dir
    from calm.serve.keys import Keys
    from calm.serve.limits import Limits
    from calm.serve.service import Service

    model_dir(options.model)
    needed = Keys() if require_key or not is_loopback(host) else None
    if needed is not None and not needed.all():
        raise UsageError("expected an API key, found none yet; make one: calm serve keys add NAME")
    body = max_body * 1_000_000
    limits = Limits(
        body=body,
        bodies=8 * body,
        pixels=max_pixels * 1_000_000,
        images=max_images,
        tokens=max_tokens,
        seconds=timeout,
        queue=queue,
        rate=rate,
    )
    service = Service(lambda: open_model(options.model, options.device, options.talk), limits, batch_size)
    run(service, host, port, needed, lambda address: options.talk.say(f"listening on {address}"))


app.callback()(spread(serve))


@keys.command()
def add(name: Name) -> None:
    """Make a key and print it. It is shown this once: only its hash is kept."""
    from calm.serve.keys import Keys

    typer.echo(Keys().add(name))


@keys.command("list")
def list_() -> None:
    """List keys by name."""
    from calm.serve.keys import Keys

    for key in Keys().all():
        typer.echo(f"{key.name}  {key.created}")


@keys.command()
def revoke(name: Name) -> None:
    """Refuse a key from now on, by running servers too. Its profiles are nobody's any more."""
    from calm.serve.keys import Keys

    Keys().revoke(name)
