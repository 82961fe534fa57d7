"""Is the subject named? Words that the language model writes against nouns that people accept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from calm.inference.answers import Answers
from calm.tasks.exchange import KEYWORDS_QUESTION

NOT_NAMED = ("nothing", "unclear")
"""Answers that name no thing."""


def names(
    answers: Answers,
    photos: Sequence[np.ndarray],
    accepted: Sequence[frozenset[str]],
    batch: int = 16,
) -> dict[str, Any]:
    """Is the subject named? The first thing that the language model names, against nouns that people accept.

    Args:
        accepted: nouns that are true of each photo, the plurals too.

    Returns:
        ``right``: share of photos whose first named thing is accepted; ``right_of_three``; ``wrong``: share of photos
        with a named thing among the first three that is not; the same against other photos' nouns (``*_swapped``).
    """
    found: list[list[str]] = []
    for start in range(0, len(photos), batch):
        seen = answers.see(photos[start : start + batch])
        for text in answers.text(seen, KEYWORDS_QUESTION, length=20):
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
