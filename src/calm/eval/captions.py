"""Does the network say what a photo shows? Its captions against people's, with a wrong-photo control.

The main figure is CIDEr of :mod:`calm.eval.references`, of the answers to the caption question as they come.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from calm.data.tables import read_rows
from calm.errors import DataError
from calm.eval.gather import Drawn
from calm.eval.references import References, against_references, need_pycocoevalcap
from calm.inference.pipeline import Pipeline
from calm.model.exchange import CAPTION_QUESTION

LENGTH = 24
"""Tokens of a caption at most; people's rarely have more."""


def eval_captions(
    pipeline: Pipeline,
    references: References,
    *,
    limit: int | None = None,
    seed: int = 0,
    resamples: int = 1000,
    keep_texts: bool = False,
) -> dict[str, Any]:
    """Captions of photos against all that people wrote of the same photos.

    Args:
        references: people's captions by the photo's path, of photos that the network was never trained on.
        limit: use only so many photos, drawn by ``seed``; document frequencies are those of their captions alone.
        keep_texts: return every caption too.

    Returns:
        What :func:`calm.eval.references.against_references` returns, ``failed`` and the model.

    Raises:
        DataError: for photos that were trained on.
        UsageError: for fewer than two photos that can be read, or without the package that compares.
    """
    need_pycocoevalcap()
    drawn = Drawn.unseen(pipeline, list(references), limit, seed)
    texts_by_path: dict[str, str] = {}
    for photos in drawn.batches("captions"):
        visual = pipeline.answers.see([photo.pixels for photo in photos])
        texts = pipeline.answers.text(visual, CAPTION_QUESTION, LENGTH)
        texts_by_path |= {photo.path: text for photo, text in zip(photos, texts, strict=True)}
    given = [references[path] for path in texts_by_path]
    figures = against_references(list(texts_by_path.values()), given, resamples=resamples, seed=seed)
    return drawn.result("captions", figures | ({"captions": texts_by_path} if keep_texts else {}))


def captions_of(photos: Mapping[str, Sequence[str]], table: str | Path | None = None) -> dict[str, list[str]]:
    """Captions by photo, each once: those that are given, and those of a table.

    Args:
        photos: captions by the photo's path; may be empty.
        table: CSV with the columns image, a file name, and caption, one a line.

    Raises:
        DataError: for another table, or where no photo has a caption.
    """
    more: defaultdict[str, list[str]] = defaultdict(list)
    for row in read_rows(table, ("image", "caption")) if table else ():
        more[Path(row["image"]).name].append(row["caption"])
    found = {path: list(dict.fromkeys([*own, *more[Path(path).name]])) for path, own in photos.items()}
    found = {path: texts for path, texts in found.items() if texts}
    if not found:
        raise DataError(f"expected captions of {len(photos)} photos, found none; name a table of their file names")
    return found
