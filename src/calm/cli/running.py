"""What the commands share: the model they open, the progress they show, the way they end."""

from __future__ import annotations

import logging
import os
import signal
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

import typer

from calm.errors import PhotoError, UsageError

if TYPE_CHECKING:
    from calm.engine import Answer, Engine, Model, Task
    from calm.inference.pipeline import Pipeline
    from calm.output import Sink
    from calm.personal.prior import Prior
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


def load_model(name: str, device: str | None) -> Pipeline:
    """The model of that name or folder."""
    from calm.inference.pipeline import Pipeline
    from calm.model.weights import model_dir

    return Pipeline.load(model_dir(name), device)


def open_model(name: str, device: str | None, talk: Talk, *, stored: bool = False) -> Model:
    """Opens a model and, at its first use on this machine, says under which terms.

    Args:
        stored: keep its answers, and load it only to ask what is new.
    """
    from calm.catalogue import terms_to_tell
    from calm.inference.store import Ledger, Stored, request_of

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


def open_profile(name: str, model: str) -> Task:
    """Personal scores by the profile of that name, which belongs to a model."""
    from calm.personal.store import Store
    from calm.profiles import personal_task

    return personal_task(Store().load(name), open_prior(model))


def open_prior(model: str) -> Prior:
    """What is known of any person's taste, as it comes with a model."""
    from calm.model.weights import model_dir
    from calm.personal.prior import PRIOR, Prior

    return Prior.load(model_dir(model) / PRIOR)


def find(paths: Sequence[str]) -> tuple[Iterable[str], int | None]:
    """The photos behind the arguments, and how many; None where paths come from standard input and are not known yet.

    Raises:
        UsageError: there is not one photo.
    """
    from calm.data.images import find_photos

    if "-" in paths:
        return find_photos(paths, sys.stdin), None
    found = list(find_photos(paths, sys.stdin))
    if not found:
        raise UsageError(f"expected at least one photo, found none at {' '.join(paths)}; name a file, folder or glob")
    return found, len(found)


@dataclass
class Run:
    """Sends photos through an engine into a sink.

    Attributes:
        total: number of photos, None if not known.
        finish: adds columns to a row that is ok; a :class:`PhotoError` from it fails that row.
    """

    engine: Engine
    task: Task
    sink: Sink
    talk: Talk
    total: int | None = None
    finish: Callable[[Answer], dict[str, object]] | None = None

    def __call__(self, photos: Iterable[str]) -> int:
        """Runs to the end. Returns the exit status: 0, or 1 when some photos failed."""
        from calm.inference.store import Stored

        failed, began = 0, time.monotonic()
        try:
            with self.sink, closing(self.engine.answers(photos, self.task)) as answers, self._progress() as advance:
                for answer in answers:
                    row = self._row(answer)
                    failed += row.status == "failed"
                    self.sink.write(row.as_dict())
                    advance()
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
        if self.finish is not None and answer.result is not None:
            try:
                row.extra |= self.finish(answer)
            except PhotoError as error:
                row.status, row.error = "failed", str(error)
        return row

    @contextmanager
    def _progress(self) -> Iterator[Callable[[], None]]:
        """A bar on standard error, where that is a terminal into which no rows run."""
        if self.talk.quiet or not sys.stderr.isatty() or (self.sink.streams and sys.stdout.isatty()):
            yield lambda: None
            return
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = TextColumn("photos"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
        with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
            line = bar.add_task("", total=self.total)
            yield lambda: bar.advance(line)


def leave(status: int) -> NoReturn:
    """Ends the command with an exit status."""
    raise typer.Exit(status)
