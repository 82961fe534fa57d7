"""Is the subject named? Words that the language model writes against nouns that people accept."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from calm.data.batches import batches, draw
from calm.data.tables import read_rows
from calm.errors import DataError
from calm.eval.gather import Drawn
from calm.inference.answers import Answers
from calm.inference.pipeline import Pipeline
from calm.model.exchange import KEYWORDS_QUESTION

NOT_NAMED = ("nothing", "unclear")
"""Answers that name no thing."""
BATCH = 16


def eval_names(
    pipeline: Pipeline, labels: str | Path, photos: str | Path, *, limit: int | None = None, seed: int = 0
) -> dict[str, Any]:
    """:func:`names` on labelled photos, ``limit`` of them drawn by ``seed``; ``failed`` and the model.

    Args:
        labels: CSV with the columns path and nouns, which are divided by ``|``.
        photos: folder that the paths are relative to.

    Raises:
        DataError: for another table, or no photo that can be read.
    """
    accepted = {
        str(Path(photos) / row["path"]): frozenset(noun.strip().lower() for noun in row["nouns"].split("|"))
        for row in read_rows(labels, ("path", "nouns"))
    }
    drawn = Drawn(pipeline, draw(list(accepted), limit, seed))
    found = list(drawn.photos("names"))
    if not found:
        raise DataError(
            f"expected the photos of {labels} below {photos}, found none that can be read; give their folder"
        )
    named = names(pipeline.answers, [photo.pixels for photo in found], [accepted[photo.path] for photo in found])
    return drawn.result("names", named)


def names(answers: Answers, photos: Sequence[np.ndarray], accepted: Sequence[frozenset[str]]) -> dict[str, Any]:
    """Is the subject named? The first thing that the language model names, against nouns that people accept.

    Args:
        accepted: nouns that are true of each photo, the plurals too.

    Returns:
        ``right``: share of photos whose first named thing is accepted; ``right_of_three``; ``wrong``: share of photos
        with a named thing among the first three that is not; the same against other photos' nouns (``*_swapped``).
    """
    found: list[list[str]] = []
    for part in batches(photos, BATCH):
        for text in answers.text(answers.see(part), KEYWORDS_QUESTION, length=20):
            words = [word.strip(" .").lower() for word in text.split("\n")[0].split(",")]
            found.append([word for word in words if word and word not in NOT_NAMED])
    shift = len(photos) // 2 + 1
    others = [accepted[(i + shift) % len(accepted)] for i in range(len(accepted))]

    def share(nouns: Sequence[frozenset[str]], first: int) -> float:
        return float(np.mean([any(w in n for w in words[:first]) for words, n in zip(found, nouns, strict=True)]))

    return {
        "photos": len(photos),
        "right": share(accepted, 1),
        "right_of_three": share(accepted, 3),
        "wrong": float(np.mean([any(w not in n for w in words[:1]) for words, n in zip(found, accepted, strict=True)])),
        "right_swapped": share(others, 1),
        "named": [words[:3] for words in found],
    }
