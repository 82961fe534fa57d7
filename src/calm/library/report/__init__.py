"""Rows as one web page to look through: a gallery with scores, decisions, words and charts; nothing else is needed.

The page holds its pictures, its style and its script, asks no server for anything, and is complete or absent.
"""

from __future__ import annotations

import base64
import hashlib
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import datetime
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Any

from calm.errors import UsageError
from calm.library.report.cards import Card, card_of
from calm.library.report.charts import histogram, seconds, timeline

Row = Mapping[str, Any]
EDGES = ((200, 720), (1200, 480))
"""Long edge, in pixels, of pictures in reports of at most so many photos."""
SMALLEST = 320
"""That in larger ones."""


class Report:
    """Takes rows, and makes a page of them in the end.

    Args:
        path: the page's, ending in .html.
        title: what was done to which photos.
        develop: show RAW files developed.
        more: gives further columns of a row, such as what is known of its photo from before.
        progress: goes through the cards as they are made, and shows how far it is.
    """

    def __init__(
        self,
        path: Path,
        title: str,
        *,
        develop: bool = False,
        more: Callable[[Row], Row] = lambda row: {},
        progress: Callable[[Iterable[Card], int], Iterable[Card]] = lambda cards, total: cards,
    ) -> None:
        self._path, self._title, self._develop, self._more, self._progress = path, title, develop, more, progress
        self._rows: list[Row] = []

    def write(self, row: Row) -> None:
        """Take one row."""
        self._rows.append(row)

    def finish(self) -> None:
        """Make the page. Raises :class:`UsageError` where it cannot be written."""
        with ExitStack() as stack:
            pool = stack.enter_context(ThreadPoolExecutor(min(8, os.cpu_count() or 1)))
            make = partial(card_of, folder=self._path.parent, edge=edge_of(len(self._rows)), develop=self._develop)
            cards = pool.map(lambda row: make({**self._more(row), **row}), self._rows)
            shown = self._progress(cards, len(self._rows))
            try:
                write_whole(self._path, page(self._title, list(shown)))
            except OSError as error:
                raise UsageError(
                    f"expected to write the report {self._path}, found: {error.strerror or error}; "
                    "free space, or name another place"
                ) from error


def edge_of(count: int) -> int:
    """Long edge of the pictures in a report of so many photos, in pixels."""
    return next((edge for most, edge in EDGES if count <= most), SMALLEST)


def page(title: str, cards: Sequence[Card]) -> Iterator[str]:
    """The page's text in parts. Everything that comes from photos, names and models is escaped."""
    from jinja2 import Environment, PackageLoader

    loader = PackageLoader(__name__, "")
    environment = Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True)
    style, script = ((files(__name__) / f"page.{ending}").read_text(encoding="utf-8") for ending in ("css", "js"))
    whole = [card for card in cards if card.score is not None]
    return environment.get_template("page.html").generate(
        title=title,
        made=datetime.now().strftime("%-d %B %Y, %H:%M"),
        cards=cards,
        decisions={name: sum(card.decision == name for card in cards) for name in ("keep", "maybe", "reject")},
        mean=sum(card.score or 0 for card in whole) / max(len(whole), 1),
        scored=len(whole),
        scores=histogram(whole),
        times=timeline(whole),
        seconds=seconds,
        groups=[name for name in ("decision", "series", "group", "day") if any(name in card.groups for card in cards)],
        model=next((card.model for card in cards if card.model), None),
        style=style,
        script=script,
        script_sha256=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    )


def write_whole(path: Path, parts: Iterable[str]) -> None:
    """Write a text file that is complete or absent."""
    handle, scratch = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".writing")
    try:
        umask = os.umask(0)  # mkstemp's file is private; a page should have the permissions of any other new file
        os.umask(umask)
        os.chmod(scratch, 0o666 & ~umask)
        with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace", newline="") as stream:
            stream.writelines(parts)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(scratch, path)
    finally:
        Path(scratch).unlink(missing_ok=True)
