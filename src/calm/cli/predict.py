"""``calm score``, ``calm rank``, ``calm comment`` and ``calm suggest``: one row a photo."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from calm.cli.options import (
    DEFAULT_BATCH_SIZE,
    DEFAULT_MODEL,
    BatchSize,
    Device,
    Formatted,
    Model,
    NoStore,
    Output,
    Overwrite,
    Paths,
    Profile,
    Quiet,
    Verbose,
)
from calm.cli.running import Run, Talk, find, leave, open_model, open_profile
from calm.output import Format, TaskName, check_choice, open_sink
from calm.types import MOST

if TYPE_CHECKING:
    from collections.abc import Callable

    from calm.engine import Answer, Task
    from calm.output import Sink


def score(
    paths: Paths,
    profile: Profile = None,
    format: Formatted = None,
    output: Output = None,
    overwrite: Overwrite = False,
    model: Model = DEFAULT_MODEL,
    device: Device = None,
    batch_size: BatchSize = DEFAULT_BATCH_SIZE,
    no_store: NoStore = False,
    verbose: Verbose = 0,
    quiet: Quiet = False,
) -> None:
    """Score photos on 1–10."""
    from calm.engine import score_task

    options = _Options(format, output, overwrite, model, device, batch_size, no_store, Talk(verbose, quiet))
    _run("score", score_task() if profile is None else open_profile(profile, model), paths, options)


def rank(
    paths: Paths,
    profile: Profile = None,
    top: Annotated[
        int | None,
        typer.Option("--top", min=1, metavar="N", help="Only the N best; failed photos are told all the same."),
    ] = None,
    format: Formatted = None,
    output: Output = None,
    overwrite: Overwrite = False,
    model: Model = DEFAULT_MODEL,
    device: Device = None,
    batch_size: BatchSize = DEFAULT_BATCH_SIZE,
    no_store: NoStore = False,
    verbose: Verbose = 0,
    quiet: Quiet = False,
) -> None:
    """Score photos and list them best first."""
    from calm.engine import score_task

    options = _Options(format, output, overwrite, model, device, batch_size, no_store, Talk(verbose, quiet))
    task = score_task() if profile is None else open_profile(profile, model)
    _run("rank", task, paths, options, arrange=lambda sink: sink.rank(top))


def comment(
    paths: Paths,
    aspect: Annotated[
        list[str] | None,
        typer.Option(
            "--aspect", metavar="ASPECT", help="Comment on this aspect only; may be repeated.", show_default=False
        ),
    ] = None,
    format: Formatted = None,
    output: Output = None,
    overwrite: Overwrite = False,
    model: Model = DEFAULT_MODEL,
    device: Device = None,
    batch_size: BatchSize = DEFAULT_BATCH_SIZE,
    no_store: NoStore = False,
    verbose: Verbose = 0,
    quiet: Quiet = False,
) -> None:
    """Say in two to four sentences how photos work, and score them."""
    from calm.engine import comment_task

    options = _Options(format, output, overwrite, model, device, batch_size, no_store, Talk(verbose, quiet))
    _run("comment", comment_task(aspect), paths, options)


def suggest(
    paths: Paths,
    apply: Annotated[
        Path | None,
        typer.Option(
            "--apply",
            metavar="DIR",
            help="Try each suggestion: save a changed copy and a before-after picture into DIR, and score the copy. "
            "Originals are not touched, nothing is overwritten.",
            show_default=False,
        ),
    ] = None,
    least: Annotated[
        float | None,
        typer.Option(
            "--least",
            min=0,
            max=1,
            help="Confidence from which to suggest; lower to be told of slighter doubts too.  "
            "[default: the model's threshold]",
            show_default=False,
        ),
    ] = None,
    most: Annotated[int, typer.Option("--most", min=1, help="Suggestions for a photo, at most.")] = MOST,
    format: Formatted = None,
    output: Output = None,
    overwrite: Overwrite = False,
    model: Model = DEFAULT_MODEL,
    device: Device = None,
    batch_size: BatchSize = DEFAULT_BATCH_SIZE,
    no_store: NoStore = False,
    verbose: Verbose = 0,
    quiet: Quiet = False,
) -> None:
    """Say what to change in photos, best first, and score them."""
    from calm.engine import suggest_task

    options = _Options(format, output, overwrite, model, device, batch_size, no_store, Talk(verbose, quiet))
    _run("suggest", suggest_task(least, most), paths, options, apply)


@dataclass(frozen=True)
class _Options:
    """The options that every task has."""

    format: Format | None
    output: Path | None
    overwrite: bool
    model: str
    device: str | None
    batch_size: int
    no_store: bool
    talk: Talk


def _run(
    name: TaskName,
    task: Task,
    paths: list[str],
    options: _Options,
    apply: Path | None = None,
    arrange: Callable[[Sink], Sink] = lambda sink: sink,
) -> None:
    from calm.engine import Engine
    from calm.trial import check_folder, try_suggestions

    # What can be wrong with the call comes before what takes long.
    options.talk.begin()
    check_choice(options.format, options.output, overwrite=options.overwrite)
    photos, total = find(paths)
    if apply is not None:
        check_folder(apply)
    model = open_model(options.model, options.device, options.talk, stored=not options.no_store)
    engine = Engine(model, options.batch_size)

    def tried(answer: Answer) -> dict[str, object]:
        assert apply is not None
        return {"applied": [asdict(trial) for trial in try_suggestions(answer, engine, apply)]}

    more = ("applied",) if apply else ()
    sink = open_sink(name, options.format, options.output, overwrite=options.overwrite, more=more)
    run = Run(engine, task, arrange(sink), options.talk, total=total, finish=tried if apply else None)
    leave(run(photos))
