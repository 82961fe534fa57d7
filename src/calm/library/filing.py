"""What a plan does to files: a folder for each decision they are linked, copied or moved to, and marks in sidecars."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from calm.data.hashes import file_sha256
from calm.errors import PhotoError, UsageError
from calm.library.journal import Action, Step
from calm.library.sidecars import REJECTED, Marks, sidecars, stars


def check_target(into: Path, paths: Sequence[str]) -> None:
    """Raise :class:`UsageError` for a target that is no folder, or lies in a folder of photos or around it."""
    target = Path(os.path.realpath(into))
    if target.exists() and not target.is_dir():
        raise UsageError(f"expected a folder, found the file {into}; name a folder")
    for given in paths:
        source = Path(os.path.realpath(given))
        if source.is_dir() and (source == target or source in target.parents or target in source.parents):
            raise UsageError(
                f"expected a folder apart from the photos in {given}, found {into}; name one beside it, so that the "
                "next run does not take its own results for photos"
            )


def steps(action: Action, into: Path, roots: Sequence[str], decided: Iterable[tuple[str, Sequence[str]]]) -> list[Step]:
    """What is to be done with the files of photos, their sidecars among them.

    Args:
        into: files go to ``into/DECISION/``, and within to where they lie in their root.
        roots: what the command was given; a file below none of the folders among them goes by its name alone.
        decided: a decision, and all files of a photo.

    Raises:
        PhotoError: for a file that cannot be read any more.
    """
    folders = [os.path.abspath(root) for root in roots if os.path.isdir(root)]
    target, found = os.path.abspath(into), list[Step]()
    for decision, files in decided:
        for path in _with_sidecars(files):
            source = os.path.abspath(path)
            root = next((each for each in folders if Path(each) in Path(source).parents), os.path.dirname(source))
            place = os.path.join(target, decision, os.path.relpath(source, root))
            try:
                found.append(Step(action, source, place, file_sha256(source)))
            except OSError as error:
                raise PhotoError(f"expected to read {path}, found: {error}; nothing has been done") from error
    return found


def _with_sidecars(files: Sequence[str]) -> Iterator[str]:
    yield from dict.fromkeys([*files, *(sidecar for path in files for sidecar in sidecars(path))])


def marks(score: float, decision: str, model: str | None) -> Marks:
    """What is written of a photo: −1 for what is rejected, else stars by its score; green, yellow or red."""
    rating = REJECTED if decision == "reject" else stars(score)
    colours = {"keep": "Green", "maybe": "Yellow", "reject": "Red"}
    return Marks(score, model, rating, colours[decision])
