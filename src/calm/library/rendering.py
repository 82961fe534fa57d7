"""Suggestions are carried out: what mends a photo is rendered at full size into a new file, and scored again.

The original is only ever read. A file that exists is never overwritten: the new one takes the next free name.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import IO, TYPE_CHECKING

from calm.data.images import Photo, load_photo
from calm.errors import PhotoError, UsageError
from calm.inference.engine import Answer, Engine
from calm.inference.tasks import ScoreTask, SuggestTask
from calm.library import fullsize
from calm.library.mending import mend, remedies

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

COLUMNS = ("applied", "improved", "comparison", "score_improved")
PANEL = 640
"""Height of each half of a comparison, in pixels; a smaller photo keeps its own."""
GAP, STRIP = 12, 36
"""Space between the halves and height of the caption below them, in pixels."""


def check_folder(folder: Path) -> None:
    """Makes the folder for the copies. Raises :class:`UsageError` when it cannot be made or written to."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"expected a folder for the copies, found {folder} cannot be one ({error}); name another"
        ) from error
    if not os.access(folder, os.W_OK):
        raise UsageError(f"expected a folder that can be written to, found {folder} read-only; name another")


def improve(answer: Answer, engine: Engine, task: SuggestTask, folder: Path) -> dict[str, object]:
    """Try the suggestions of an answer, and save the photo with what was kept of them.

    Args:
        answer: of a run that asked for suggestions.
        engine: asks the model about what was tried.
        task: that it was asked.
        folder: where the copy goes, and a picture of before and after; it exists.

    Returns:
        :data:`COLUMNS`: what became of each suggestion, the copy, the picture and the copy's score; None for the last
        three where nothing was kept.

    Raises:
        PhotoError: the original cannot be read any more, or the copy cannot be written or scored.
    """
    result, suffix = answer.result, Path(answer.path).suffix
    assert result is not None
    if not result.suggestions:
        return dict.fromkeys(COLUMNS) | {"applied": []}
    before = _before(answer.path)
    if before.developed and not engine.develop:  # the answer is about the preview
        (shown,) = engine.answers([before], ScoreTask())
        if shown.result is None:
            raise PhotoError(f"expected to score {answer.path} developed, found: {shown.error}; leave this photo out")
        result = replace(result, score=shown.result.score)
    after, trials = mend(before, result, engine, task)
    found = dict.fromkeys(COLUMNS) | {"applied": [asdict(trial) for trial in trials]}
    kept = list(remedies(result.suggestions or (), trials))
    if not kept:
        return found
    whole = fullsize.change(fullsize.read(answer.path, develop=before.developed), kept)
    ending, stem = fullsize.ending_of(whole, suffix), Path(answer.path).stem
    try:
        copy = save(folder, f"{stem}.improved", ending, lambda out: fullsize.write(whole, out, ending))
        (again,) = engine.answers([str(copy)], ScoreTask())
        if again.result is None:
            raise PhotoError(f"expected to score the copy {copy}, found: {again.error}; the copy is left as it is")
        scores = result.score.value, again.result.score.value
        beside = compare(before.pixels, after, *scores)
        picture = save(folder, f"{stem}.before-after", ".png", lambda out: beside.save(out, "PNG"))
    except OSError as error:
        raise PhotoError(
            f"expected to write a copy into {folder}, found: {error}; free or name another folder"
        ) from error
    return found | {"improved": str(copy), "comparison": str(picture), "score_improved": scores[1]}


def _before(path: str) -> Photo:
    """The photo that remedies are tried on: of a RAW file its development, else its preview."""
    try:
        return load_photo(path, develop=True)
    except PhotoError:
        return load_photo(path)


def compare(before: np.ndarray, after: np.ndarray, score_before: float, score_after: float) -> Image.Image:
    """Before on the left, after on the right, at one height, each with its score below. Pixels (H, W, 3), uint8."""
    from PIL import Image, ImageDraw, ImageFont

    height = min(PANEL, before.shape[0], after.shape[0])
    halves = []
    for pixels in (before, after):
        half = Image.fromarray(pixels)
        width = max(1, round(half.width * height / half.height))
        halves.append(half.resize((width, height), Image.Resampling.LANCZOS))
    picture = Image.new("RGB", (sum(half.width for half in halves) + GAP, height + STRIP), "white")
    draw, font, left = ImageDraw.Draw(picture), ImageFont.load_default(size=18), 0
    captions = f"before {score_before:.2f}", f"after {score_after:.2f}"
    for half, caption in zip(halves, captions, strict=True):
        picture.paste(half, (left, 0))
        draw.text((left + 6, height + 7), caption, fill="black", font=font)
        left += half.width + GAP
    return picture


def save(folder: Path, name: str, ending: str, write: Callable[[IO[bytes]], None]) -> Path:
    """Write a new file that is whole or absent; the next free name is taken where there is one already."""
    handle, scratch = tempfile.mkstemp(dir=folder, prefix=f".{name[:100]}.", suffix=".writing")
    try:
        umask = os.umask(0)  # mkstemp's file is private; a copy should have the permissions of any other new file
        os.umask(umask)
        os.chmod(scratch, 0o666 & ~umask)
        with os.fdopen(handle, "w+b") as stream:
            write(stream)
            stream.flush()
            os.fsync(stream.fileno())
        number = 1
        while True:
            path = folder / (f"{name}{ending}" if number == 1 else f"{name}-{number}{ending}")
            try:
                path.open("xb").close()  # takes the name, or fails where there is such a file
                os.replace(scratch, path)
                return path
            except FileExistsError:
                number += 1
    finally:
        Path(scratch).unlink(missing_ok=True)
