"""Arguments and options that mean the same in every command: declared once, used by name in signatures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from calm.cli import running
from calm.errors import UsageError
from calm.inference.output import Format, Sink, TaskName, check_choice, check_target, open_sink
from calm.types import DEFAULT_BATCH_SIZE

if TYPE_CHECKING:
    from calm.inference import tasks
    from calm.inference.pipeline import Pipeline
    from calm.library.report.cards import Card

Paths = Annotated[
    list[str],
    typer.Argument(
        metavar="PATH", help="Photos: files, folders (with all below them), globs, or - for paths on stdin."
    ),
]
Formatted = Annotated[Format | None, typer.Option(help="How rows are written to standard output; a table by default.")]
Output = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Write rows to FILE instead: .jsonl, .csv or .parquet.")
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Let --output and --report replace a file that exists.")]
Model = Annotated[str, typer.Option(metavar="DIR_OR_ID", help="A packaged model's name, or a model folder.")]
Device = Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1, mps, openvino (calm export); else the best.")]
BatchSize = Annotated[int, typer.Option(min=1, help="Photos a forward pass: changes speed and memory, not results.")]
Verbose = Annotated[
    int,
    typer.Option("-v", "--verbose", count=True, help="Say more on stderr; twice for debugging.", show_default=False),
]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="Say nothing on stderr but errors.")]
Profile = Annotated[str | None, typer.Option(metavar="NAME", help="As this person would; see: calm profile.")]

Recipe = Annotated[
    Path, typer.Argument(metavar="RECIPE", help="What to train, or to compare.", exists=True, dir_okay=False)
]
Overrides = Annotated[
    list[str] | None,
    typer.Argument(metavar="KEY=VALUE", help="Settings in place of the recipe's, such as data.root=DIR."),
]

NoStore = Annotated[
    bool, typer.Option("--no-store", help="Ask the model anew about every photo, and keep nothing; see: calm store.")
]

DEFAULT_MODEL = "calm-small"


def scale_option(help: str) -> Any:  # noqa: ANN401 - what typer.Option gives
    """The option of the ends of a scale."""
    return typer.Option("--scale", metavar="LOW HIGH", help=help)


@dataclass(frozen=True)
class ModelOptions:
    """Which model, where it runs, and how much is said on standard error."""

    model: Model = DEFAULT_MODEL
    device: Device = None
    verbose: Verbose = 0
    quiet: Quiet = False

    @property
    def talk(self) -> running.Talk:
        """How much is said on standard error."""
        return running.Talk(self.verbose, self.quiet)

    def begin(self, *, reports: bool = False) -> None:
        """Set up logging; to be called before anything heavy is imported.

        Args:
            reports: say what ``-v`` does without it, too.
        """
        running.Talk(max(self.verbose, int(reports and not self.quiet)), self.quiet).begin()

    def load(self) -> Pipeline:
        """The model with all of its parts, for what looks into it."""
        return running.load_model(self.model, self.device)

    def open(self, *, stored: bool = False):  # noqa: ANN201 - whatever the caller asks of a model
        """The model, to be asked about photos; see :func:`calm.cli.running.open_model`."""
        self.begin()
        return running.open_model(self.model, self.device, self.talk, stored=stored)


@dataclass(frozen=True)
class RowOptions(ModelOptions):
    """Where rows go, and how the model is asked for them."""

    format: Formatted = None
    output: Output = None
    overwrite: Overwrite = False
    batch_size: BatchSize = DEFAULT_BATCH_SIZE
    no_store: NoStore = False
    null: Annotated[
        bool, typer.Option("-0", "--null", help="Paths on stdin are separated by NUL, as find -print0 writes them.")
    ] = False
    everything: Annotated[
        bool, typer.Option("--all", help="Take photos in hidden, thumbnail and system folders as well.")
    ] = False
    exif: Annotated[
        bool, typer.Option("--exif", help="Add columns: time of capture, camera, lens, exposure, focal length.")
    ] = False
    develop: Annotated[
        bool, typer.Option("--develop", help="Develop RAW files; else the camera's own picture in them is looked at.")
    ] = False

    report: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also make a web page to look through: FILE.html.")
    ] = None

    def check(self) -> None:
        """Raise :class:`UsageError` where rows or report cannot go where they should."""
        check_choice(self.format, self.output, overwrite=self.overwrite)
        if self.report is not None:
            check_target(self.report, (".html",), overwrite=self.overwrite)

    def sink(self, name: TaskName, more: Sequence[str], paths: Sequence[str], model: tasks.Model) -> Sink:
        """Where rows of a task go.

        Args:
            more: further columns.
            paths: arguments of the command.
            model: was asked.
        """
        sink = open_sink(name, self.format, self.output, overwrite=self.overwrite, more=more)
        if self.report is None:
            return sink
        from calm.data.progress import progress
        from calm.library.report import Report

        title = f"calm {name} {' '.join(paths[:3])}{' …' if len(paths) > 3 else ''}"

        def shown(cards: Iterable[Card], total: int) -> Iterable[Card]:
            return cards if self.quiet else progress(cards, "the report", total)

        known = partial(running.known, model=model, develop=self.develop)
        return sink.also(Report(self.report, title, develop=self.develop, more=known, progress=shown))

    def find(self, paths: Sequence[str]) -> running.Found:
        """The photos behind the arguments, see :func:`calm.cli.running.find`."""
        from calm.data.find import Search

        return running.find(paths, self.talk, Search(self.null, self.everything), develop=self.develop)


@dataclass(frozen=True)
class EngineOptions:
    """Where photos are answered: in this process, or by the workers of a cluster."""

    engine: Annotated[
        Literal["local", "ray"], typer.Option(help="ray: on a cluster; --output is a folder or URL for Parquet files.")
    ] = "local"
    ray_address: Annotated[str | None, typer.Option(metavar="A", help="Of a cluster; else one is made here.")] = None
    workers: Annotated[
        int | None, typer.Option(min=1, help="With ray: models at work.  [default: one for each GPU, or CPU]")
    ] = None
    partition: Annotated[int, typer.Option(min=1, help="With ray: photos of an output file.")] = 1000
    column: Annotated[
        str | None, typer.Option(metavar="NAME", help="With ray: of tables, where photos or their paths are.")
    ] = None

    def check(self, options: RowOptions, alone: Mapping[str, object]) -> None:
        """Raise :class:`UsageError` for options that do not go together.

        Args:
            alone: options that only the local engine has, by name; those that are not given are false.
        """
        if self.engine == "local":
            if self != type(self)():
                raise UsageError("expected --engine ray beside options of it, found none; add it or leave them away")
            return
        given = [name for name, value in alone.items() if value]
        if given:
            raise UsageError(f"expected no {given[0]} with --engine ray, found it; leave it away")
        if options.output is None:
            raise UsageError("expected --output DIR_OR_URL with --engine ray, found none; name a folder for rows")


@dataclass(frozen=True)
class XmpOptions:
    """What is written into sidecars."""

    write_xmp: Annotated[
        bool, typer.Option("--write-xmp", help="Write rating and colour label into the XMP sidecar of each photo.")
    ] = False
    overwrite_rating: Annotated[
        bool, typer.Option("--overwrite-rating", help="With --write-xmp: also where a person has rated the photo.")
    ] = False
    no_xmp_label: Annotated[bool, typer.Option("--no-xmp-label", help="With --write-xmp: no colour label.")] = False
    sidecar: Annotated[
        Literal["photo.ext.xmp", "photo.xmp"],
        typer.Option(metavar="NAME", help="Name of new ones: photo.ext.xmp, or photo.xmp (Lightroom)."),
    ] = "photo.ext.xmp"

    def check(self) -> None:
        """Raise :class:`UsageError` for options of --write-xmp without it."""
        if not self.write_xmp and self != type(self)():
            raise UsageError("expected --write-xmp beside options of it, found none; add it or leave them away")


@dataclass(frozen=True)
class CommentXmpOptions(XmpOptions):
    """The same for comments, which have words."""

    xmp_description: Annotated[
        bool, typer.Option("--xmp-description", help="With --write-xmp: also the comment, as description.")
    ] = False
    xmp_keywords: Annotated[
        bool, typer.Option("--xmp-keywords", help="With --write-xmp: also what the model noted, as keywords.")
    ] = False
