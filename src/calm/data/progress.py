"""Progress of long work on stderr."""

import sys
import time
from collections.abc import Iterable, Iterator, Sized
from typing import TypeVar

T = TypeVar("T")
PACE = 60.0
"""Seconds between two lines of progress where there is no terminal to draw a bar on."""


def progress(items: Iterable[T], label: str, total: int | None = None) -> Iterator[T]:
    """The items, with a progress bar on stderr where that is a terminal, and else a line a minute."""
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    if console.is_terminal:
        yield from track(items, label, total=total, console=console, transient=True)
        return
    if total is None and isinstance(items, Sized):
        total = len(items)
    printed = time.monotonic()
    for done, item in enumerate(items):
        if time.monotonic() - printed > PACE:
            print(f"{label}: {done}" + (f"/{total}" if total else ""), file=sys.stderr, flush=True)
            printed = time.monotonic()
        yield item
