"""What a row can have beside the answer of a model: what the camera noted, and what was written into sidecars."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from calm.cli.options import CommentXmpOptions, XmpOptions
from calm.library.exif import read_exif
from calm.library.shots import VIDEO_SUFFIXES
from calm.library.sidecars import LABELS, Change, Marks, mark, plan, read_rating, stars

if TYPE_CHECKING:
    from calm.inference.engine import Answer

XMP_COLUMNS = ("rating", "rated_by", "sidecars")


def exif(path: str, files: Sequence[str]) -> dict[str, object]:
    """What the camera noted; a photo with a video beside it is of the kind ``live``."""
    columns = read_exif(path).as_columns()
    return columns | ({"kind": "live"} if files[-1].endswith(VIDEO_SUFFIXES) else {})


def marks_of(answer: Answer, options: XmpOptions, model: str) -> Marks:
    """What is written about a photo: stars and label by its score, and what was asked for of its comment."""
    assert answer.result is not None
    score, comment = answer.result.score.value, answer.result.comment
    words, keywords = None, None
    if isinstance(options, CommentXmpOptions) and comment is not None:
        from calm.tasks.observation import NOTHING, UNCLEAR

        words = comment.text if options.xmp_description else None
        noted = [each for aspect in comment.aspects if aspect.polarity == 0 for each in aspect.text.split(", ")]
        keywords = tuple(each for each in noted if each not in (NOTHING, UNCLEAR)) if options.xmp_keywords else None
    return Marks(score, model, stars(score), LABELS[stars(score)], words, keywords)


def write_marks(
    marks: Marks, files: Sequence[str], options: XmpOptions, *, later: bool = False
) -> tuple[dict[str, object], list[Change]]:
    """Writes into the sidecar of every file of a shot but its video.

    Where a person rated one of the files, that is the rating of all of them, and they get no label.

    Args:
        later: only plan it.

    Returns:
        The :data:`XMP_COLUMNS`, and how each sidecar changes.

    Raises:
        PhotoError: for a sidecar that is no XMP, or that cannot be written.
    """
    photos = [path for path in files if not path.endswith(VIDEO_SUFFIXES)]
    if options.no_xmp_label:
        marks = replace(marks, label=None)
    given = next((found for found in map(read_rating, photos) if found.person), None)
    if given is not None and not options.overwrite_rating:
        marks = replace(marks, rating=None, label=None)
    write = plan if later else mark
    changes = [write(path, marks, overwrite_rating=options.overwrite_rating, naming=options.sidecar) for path in photos]
    rating = changes[0].rating if given is None or options.overwrite_rating else given
    columns: dict[str, object] = {
        "rating": rating.value,
        "rated_by": "person" if rating.person else "calm",
        "sidecars": [change.path for change in changes],
    }
    return columns, changes
