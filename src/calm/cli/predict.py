"""``calm score``, ``calm rank``, ``calm comment`` and ``calm suggest``: one row a photo."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from calm.cli.options import CommentXmpOptions, EngineOptions, Paths, Profile, RowOptions, XmpOptions
from calm.cli.running import Run, leave, open_profile
from calm.errors import UsageError
from calm.inference.output import TaskName
from calm.types import MOST

if TYPE_CHECKING:
    from collections.abc import Callable

    from calm.inference.engine import Answer
    from calm.inference.output import Sink
    from calm.inference.tasks import Task


def score(paths: Paths, profile: Profile = None, *, xmp: XmpOptions, where: EngineOptions, options: RowOptions) -> None:
    """Score photos on 1–10."""
    from calm.inference.tasks import ScoreTask

    task = ScoreTask() if profile is None else open_profile(profile, options.model)
    _run("score", task, paths, options, xmp=xmp, where=where)


def rank(
    paths: Paths,
    profile: Profile = None,
    top: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Only the N best (of each group); failed photos are told as well."),
    ] = None,
    by: Annotated[
        Literal["all", "folder", "day", "series"] | None,
        typer.Option(help="Rank within groups, or all together, and say what sets each photo above the next."),
    ] = None,
    diverse: Annotated[
        bool, typer.Option("--diverse", help="Each better photo of the same scene costs a photo half a point.")
    ] = False,
    *,
    xmp: XmpOptions,
    options: RowOptions,
) -> None:
    """Score photos and list them best first."""
    from calm.inference.tasks import ScoreTask

    if by or diverse:
        from calm.cli.groups import rank_groups

        options.begin()
        options.check()
        if xmp.write_xmp:
            raise UsageError("expected --write-xmp without --by and --diverse, found both; leave one of them away")
        taste = open_profile(profile, options.model) if profile else None
        leave(rank_groups(paths, by or "all", taste, top, diverse=diverse, options=options))

    task = ScoreTask() if profile is None else open_profile(profile, options.model)
    _run("rank", task, paths, options, arrange=lambda sink: sink.rank(top), xmp=xmp)


def comment(
    paths: Paths,
    aspect: Annotated[
        list[str] | None, typer.Option(metavar="ASPECT", help="Comment on this aspect only; may be repeated.")
    ] = None,
    *,
    xmp: CommentXmpOptions,
    where: EngineOptions,
    options: RowOptions,
) -> None:
    """Say in two to four sentences how photos work, and score them."""
    from calm.inference.tasks import CommentTask

    _run("comment", CommentTask(tuple(aspect) if aspect else None), paths, options, xmp=xmp, where=where)


def suggest(
    paths: Paths,
    apply: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Try the suggestions, best first, and save the photo with those that help into DIR, at full size. "
            "Originals are not touched, nothing is overwritten.",
        ),
    ] = None,
    least: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=1,
            help="Confidence from which to suggest; lower to be told of slighter doubts too.  "
            "[default: the model's threshold]",
        ),
    ] = None,
    most: Annotated[int, typer.Option(min=1, help="Suggestions for a photo, at most.")] = MOST,
    *,
    where: EngineOptions,
    options: RowOptions,
) -> None:
    """Say what to change in photos, best first, and score them."""
    from calm.inference.tasks import SuggestTask

    _run("suggest", SuggestTask(least, most), paths, options, apply, where=where)


def _run(
    name: TaskName,
    task: Task,
    paths: list[str],
    options: RowOptions,
    apply: Path | None = None,
    arrange: Callable[[Sink], Sink] = lambda sink: sink,
    xmp: XmpOptions | None = None,
    where: EngineOptions | None = None,
) -> None:
    from calm.cli import beside
    from calm.inference.engine import Engine
    from calm.inference.tasks import SuggestTask
    from calm.library.exif import COLUMNS as EXIF_COLUMNS

    # What can be wrong with the call comes before what takes long.
    options.begin()
    if where is not None:
        written = xmp is not None and xmp.write_xmp
        local = {"--apply": apply, "--exif": options.exif, "--write-xmp": written, "--report": options.report}
        where.check(options, local | {"--format": options.format})
        if where.engine == "ray":
            from calm.cli.cluster import run_on_ray

            leave(run_on_ray(name, task, paths, options, where))
    options.check()
    if xmp is not None:
        xmp.check()
    found = options.find(paths)
    if apply is not None:
        from calm.library import rendering  # needs much that a score does not

        rendering.check_folder(apply)
    model = options.open(stored=not options.no_store)

    def more(answer: Answer) -> dict[str, object]:
        files = found.files.get(answer.path, (answer.path,))
        columns: dict[str, object] = {}
        if apply is not None:
            assert isinstance(task, SuggestTask)
            columns |= rendering.improve(answer, engine, task, apply)
        if options.exif:
            columns |= beside.exif(answer.path, files)
        if xmp is not None and xmp.write_xmp:
            columns |= beside.write_marks(beside.marks_of(answer, xmp, engine.model.name), files, xmp)[0]
        return columns

    names: list[str] = ["files"] if found.files else []
    names += rendering.COLUMNS if apply else ()
    names += EXIF_COLUMNS if options.exif else ()
    names += beside.XMP_COLUMNS if xmp is not None and xmp.write_xmp else ()
    sink = options.sink(name, names, paths, model)
    with Engine(model, options.batch_size, develop=options.develop) as engine:
        leave(Run(engine, task, arrange(sink), options.talk, found, finish=more)())
