"""Suggestions are tried: each remedy is rendered into a new file, scored again, and laid beside the original.

The original is only ever read. A file that exists is never overwritten: the new one takes the next free name.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from calm.engine import Answer, Engine, score_task
from calm.errors import PhotoError, UsageError
from calm.types import Suggestion

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

JPEG_QUALITY = 95
JPEG_ENDINGS = (".jpg", ".jpeg", ".jpe", ".jfif")
"""A remedy of one of these is saved as JPEG, of any other photo as PNG."""
FULL_SIZE = 1 << 20
"""A reference long edge, in pixels, that no photo reaches: nothing is made smaller."""
PANEL = 640
"""Height of each half of a comparison, in pixels; a smaller photo keeps its own."""
GAP, STRIP = 12, 36
"""Space between the halves and height of the caption below them, in pixels."""


@dataclass(frozen=True)
class Trial:
    """A suggestion that was tried.

    Attributes:
        file: the photo with the remedy applied, at full size.
        comparison: PNG with before on the left and after on the right.
        score_before, score_after: 1–10, of the original and of ``file`` as saved.
    """

    attribute: str
    direction: str
    file: str
    comparison: str
    score_before: float
    score_after: float


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


def try_suggestions(answer: Answer, engine: Engine, folder: Path) -> list[Trial]:
    """Renders every suggestion of ``answer`` that can be rendered, each by itself, and scores the results.

    Args:
        answer: of a run that asked for suggestions.
        engine: scores the copies.
        folder: where they go; it exists.

    Raises:
        PhotoError: the original cannot be read any more, or a copy cannot be written or scored.
    """
    import numpy as np

    from calm.data.images import load_photo
    from calm.edits import render

    result = answer.result
    if result is None or not result.suggestions:
        return []
    before = load_photo(answer.path, reference=FULL_SIZE).pixels
    done: list[tuple[Suggestion, np.ndarray, Path]] = []
    try:
        for suggestion in result.suggestions:
            after = render(before, suggestion)
            if after is not None:
                name = f"{Path(answer.path).stem}.{suggestion.attribute}-{suggestion.direction}"
                done.append((suggestion, after, save_copy(after, folder, name, Path(answer.path).suffix)))
        trials = []
        scored = engine.answers([str(path) for _, _, path in done], score_task())
        for (suggestion, after, path), again in zip(done, scored, strict=True):
            if again.result is None:
                raise PhotoError(f"expected to score the copy {path}, found: {again.error}; the copy is left as it is")
            scores = result.score.value, again.result.score.value
            beside = compare(before, after, *scores)
            picture = save_copy(np.asarray(beside), folder, f"{path.stem}.before-after", ".png")
            trials.append(Trial(suggestion.attribute, suggestion.direction, str(path), str(picture), *scores))
    except OSError as error:
        raise PhotoError(
            f"expected to write a copy into {folder}, found: {error}; free or name another folder"
        ) from error
    return trials


def save_copy(pixels: np.ndarray, folder: Path, name: str, suffix: str) -> Path:
    """Saves pixels (H, W, 3; uint8, sRGB) under a new name: as JPEG for a JPEG's ``suffix``, as PNG for any other."""
    from PIL import Image

    image = Image.fromarray(pixels)
    if suffix.lower() in JPEG_ENDINGS:
        return _save(folder, name, ".jpg", lambda out: image.save(out, "JPEG", quality=JPEG_QUALITY, subsampling=0))
    return _save(folder, name, ".png", lambda out: image.save(out, "PNG"))


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


def _save(folder: Path, name: str, ending: str, write: Callable[[IO[bytes]], None]) -> Path:
    encoded = io.BytesIO()
    write(encoded)
    number = 1
    while True:
        path = folder / (f"{name}{ending}" if number == 1 else f"{name}-{number}{ending}")
        try:
            with path.open("xb") as stream:
                stream.write(encoded.getbuffer())
            return path
        except FileExistsError:
            number += 1
