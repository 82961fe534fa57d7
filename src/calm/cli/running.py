"""What the commands share: the model they open, the progress they show, the way they end."""

from __future__ import annotations

import logging
import os
import signal
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn

import typer

from calm.errors import PhotoError, UsageError

if TYPE_CHECKING:
    import torch

    from calm.data.find import Search
    from calm.inference.engine import Answer, Engine
    from calm.inference.output import Sink
    from calm.inference.pipeline import Pipeline
    from calm.inference.tasks import Model, Task
    from calm.personal.prior import Prior
    from calm.personal.tasks import PersonalTask
    from calm.types import Row

logger = logging.getLogger(__name__)

SOME_FAILED = 1
TERMINATED = 128 + signal.SIGTERM


@dataclass(frozen=True)
class Talk:
    """How much is said on standard error."""

    verbose: int
    quiet: bool

    def begin(self) -> None:
        """Sets up logging, and silences libraries that would talk over the program."""
        if self.verbose and self.quiet:
            raise UsageError("expected -v or -q, found both; choose one")
        level = [logging.WARNING, logging.INFO, logging.DEBUG][min(self.verbose, 2)]
        logging.basicConfig(format="calm: %(message)s")
        logging.getLogger("calm").setLevel(level)
        signal.signal(signal.SIGTERM, _terminated)
        if not self.verbose:
            os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
            os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
            if not sys.warnoptions:
                warnings.simplefilter("ignore")

    def say(self, text: str) -> None:
        """A line on standard error, unless quiet."""
        if not self.quiet:
            print(f"calm: {text}", file=sys.stderr)


def _terminated(number: int, frame: FrameType | None) -> NoReturn:
    # As an exception, so that what is open is closed properly.
    sys.exit(TERMINATED)


def load_model(name: str, device: str | None, dtype: torch.dtype | None = None) -> Pipeline:
    """The model of that name or folder, in that number format or a fast one; or by its graph of OpenVINO."""
    from calm.inference.compiled import open_pipeline
    from calm.model.catalogue import model_dir

    return open_pipeline(model_dir(name), device, dtype)


def open_model(name: str, device: str | None, talk: Talk, *, stored: bool = False) -> Model:
    """Opens a model and, at its first use on this machine, says under which terms.

    Args:
        stored: keep its answers, and load it only to ask what is new.
    """
    from calm.inference.store import Ledger, Stored, request_of
    from calm.model.catalogue import terms_to_tell

    def load() -> Model:
        began = time.monotonic()
        model = load_model(name, device)
        logger.info(
            "%s (%s, %s) loaded in %.1f s", model.name, model.sha256[:12], model.preprocess, time.monotonic() - began
        )
        return model

    model = Stored(load, Ledger(), request_of(name, device)) if stored else load()
    if not talk.quiet:
        terms = terms_to_tell(name)
        if terms:
            talk.say(f"{terms} (said once)")
    return model


def known(row: Mapping[str, Any], *, model: Model, develop: bool) -> dict[str, object]:
    """Comment and suggestions of a row's photo, as far as the store has them; columns of a row."""
    from calm.inference.engine import columns_of
    from calm.inference.store import Stored
    from calm.inference.tasks import CommentTask, SuggestTask

    found: dict[str, object] = {}
    if not isinstance(model, Stored) or row["status"] == "failed":
        return found
    tasks: tuple[Task, ...] = CommentTask(), SuggestTask()
    for task in tasks:
        photo = model.recall(row["path"], task.question, developed=develop)
        if photo is not None:
            found |= columns_of(task.ask(model, [photo])[0])
    return found


def open_profile(name: str, model: str) -> PersonalTask:
    """Personal scores by the profile of that name, which belongs to a model."""
    from calm.personal.store import Store
    from calm.personal.tasks import PersonalTask

    return PersonalTask(Store().load(name), open_prior(model))


def open_prior(model: str) -> Prior:
    """What is known of any person's taste, as it comes with a model."""
    from calm.model.catalogue import model_dir
    from calm.personal.prior import PRIOR, Prior

    return Prior.load(model_dir(model) / PRIOR)


@dataclass(frozen=True)
class Found:
    """Photos behind the arguments of a command.

    Attributes:
        paths: one a photo.
        total: how many; None where paths come from standard input and are not known yet.
        files: all files of a photo that has several, by its path.
    """

    paths: Iterable[str]
    total: int | None = None
    files: Mapping[str, Sequence[str]] = field(default_factory=dict)


def find(paths: Sequence[str], talk: Talk, search: Search | None = None, *, develop: bool = False) -> Found:
    """The photos behind the arguments, those of several files once.

    Args:
        search: how folders and lists are read.
        develop: of photos that have a RAW file, take that.

    Raises:
        UsageError: there is not one photo.
    """
    from calm.data.find import Search
    from calm.library.shots import find_shots

    search = search or Search()
    shots = find_shots(paths, develop=develop, search=search)
    if "-" in paths:
        return Found(shot.path for shot in shots)
    found = list(shots)
    if search.passed_over:
        talk.say(
            f"passed over {len(search.passed_over)} photos in hidden, thumbnail and system folders, such as "
            f"{search.passed_over[0]}; --all takes them"
        )
    if not found:
        raise UsageError(f"expected at least one photo, found none at {' '.join(paths)}; name a file, folder or glob")
    several = {shot.path: shot.files for shot in found if len(shot.files) > 1}
    return Found([shot.path for shot in found], len(found), several)


@dataclass
class Run:
    """Sends photos through an engine into a sink.

    Attributes:
        found: the photos.
        finish: adds columns to a row that is ok; a :class:`PhotoError` from it fails that row.
    """

    engine: Engine
    task: Task
    sink: Sink
    talk: Talk
    found: Found
    finish: Callable[[Answer], dict[str, object]] | None = None

    def __call__(self) -> int:
        """Runs to the end. Returns the exit status: 0, or 1 when some photos failed."""
        from calm.inference.store import Stored

        failed, began = 0, time.monotonic()
        bar = progress_bar(not self.talk.quiet and not (self.sink.streams and sys.stdout.isatty()))
        try:
            with self.sink, closing(self.engine.answers(self.found.paths, self.task)) as answers, bar as advance:
                for answer in answers:
                    row = self._row(answer)
                    failed += row.status == "failed"
                    self.sink.write(row.as_dict())
                    advance(self.sink.written, self.found.total)
        except (KeyboardInterrupt, SystemExit):
            if isinstance(self.engine.model, Stored):
                self.talk.say(f"interrupted after {self.sink.written} photos; the same command goes on from there")
            raise
        seconds, written = time.monotonic() - began, self.sink.written
        logger.info("%d photos in %.1f s, %.1f a second", written, seconds, written / max(seconds, 1e-9))
        if failed:
            self.talk.say(f"{failed} of {written} photos failed; their rows say why")
        return SOME_FAILED if failed else 0

    def _row(self, answer: Answer) -> Row:
        row = self.engine.row(answer)
        if self.found.files:
            row.extra["files"] = list(self.found.files.get(row.path, (row.path,)))
        if self.finish is not None and answer.result is not None:
            try:
                row.extra |= self.finish(answer)
            except PhotoError as error:
                row.status, row.error = "failed", str(error)
        return row


@contextmanager
def progress_bar(shown: bool) -> Iterator[Callable[[int, int | None], None]]:
    """A bar on standard error, where that is a terminal, of photos done and their number where it is known."""
    if not shown or not sys.stderr.isatty():
        yield lambda done, total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = TextColumn("photos"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        line = bar.add_task("", total=None)
        yield lambda done, total: bar.update(line, completed=done, total=total)


def leave(status: int) -> NoReturn:
    """Ends the command with an exit status."""
    raise typer.Exit(status)
