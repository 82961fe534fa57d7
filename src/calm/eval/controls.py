"""Controls that could refute the claim that the language model sees.

- ``swap``: the same questions with another photo's visual tokens: scores must not follow the photo any more,
  suggestions must fall to chance, comments must not be identified.
- ``blank``: black, grey, white, noise, one pixel: nothing may be named, the score must be low.
- ``identification``: of ten photos, which one is a comment about, by log p(comment | photo); chance .10.
- ``planted errors``: a comment with one claim turned round must be less likely, given the photo.

Nothing here reads the generator's own parser: identification and planted errors are likelihoods of the language model
under other visual tokens and other words.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.stats import spearmanr

from calm.edits.lesson import make_lesson
from calm.inference.answers import Answers
from calm.model.network import VisualTokens
from calm.tasks.exchange import COMMENT_QUESTION
from calm.types import CLASSES

CANDIDATES = 10
OPPOSITES = {
    "dark": "bright",
    "bright": "dark",
    "muted": "vivid",
    "vivid": "muted",
    "warm": "cool",
    "cool": "warm",
    "soft": "crisp",
    "crisp": "soft",
    "black and white": "vivid",
    "too dark": "too bright",
    "too bright": "too dark",
    "blurred": "noisy",
    "noisy": "blurred",
    "low contrast": "harsh contrast",
    "harsh contrast": "low contrast",
    "oversaturated": "dull colours",
    "dull colours": "oversaturated",
    "too warm": "too cool",
    "too cool": "too warm",
}
"""Claims and what contradicts them."""


@dataclass(frozen=True)
class Blank:
    """The answers about one blank frame."""

    kind: str
    score: float
    named: str


def blank_frames(size: int = 256, seed: int = 0) -> dict[str, np.ndarray]:
    """Frames on which there is nothing to see, (H, W, 3) uint8 by name."""
    rng = np.random.default_rng(seed)
    return {
        "black": np.zeros((size, size, 3), np.uint8),
        "grey": np.full((size, size, 3), 128, np.uint8),
        "white": np.full((size, size, 3), 255, np.uint8),
        "noise": rng.integers(0, 256, (size, size, 3), dtype=np.uint8),
        "one pixel": np.full((1, 1, 3), 90, np.uint8),
    }


def swapped(seen: VisualTokens, by: int = 1) -> VisualTokens:
    """Every photo gets the visual tokens of the one ``by`` places on."""
    return seen.of(torch.arange(len(seen.frame)).roll(-by))


def controls(answers: Answers, photos: Sequence[np.ndarray], seed: int = 0, batch: int = 16) -> dict[str, Any]:
    """All controls on photos (H, W, 3) uint8, at least ten of them; see the module."""
    return {
        "photos": len(photos),
        "swap": {**_scores(answers, photos, batch), **_suggestions(answers, photos, batch, seed)},
        "blank": [vars(each) for each in blanks(answers)],
        **comments(answers, photos, seed),
    }


def blanks(answers: Answers) -> list[Blank]:
    """Score and names of each blank frame."""
    found = []
    for kind, frame in blank_frames().items():
        seen = answers.see([frame])
        levels = torch.arange(1.0, 11.0)
        score = float(answers.scores(seen)[0] @ levels)
        shows = answers.comments(seen, length=40)[0].observation.shows
        found.append(Blank(kind, round(score, 2), ", ".join(shows)))
    return found


def _scores(answers: Answers, photos: Sequence[np.ndarray], batch: int) -> dict[str, float]:
    own, others = [], []
    levels = torch.arange(1.0, 11.0)
    for start in range(0, len(photos) - 1, batch):
        seen = answers.see(photos[start : start + batch], detail=False)
        own += (answers.scores(seen) @ levels).tolist()
        others += (answers.scores(swapped(seen)) @ levels).tolist()
    return {"scores_srcc": float(spearmanr(own, others).statistic)}


def _suggestions(answers: Answers, photos: Sequence[np.ndarray], batch: int, seed: int) -> dict[str, float]:
    """Clearly visible edits: the right remedy first, with own and with another photo's tokens."""
    right, wrong, count = 0, 0, 0
    for start in range(0, len(photos), batch):
        part, labels = [], []
        for index, pixels in enumerate(photos[start : start + batch], start):
            made = make_lesson(pixels, np.random.default_rng([seed, index]), count=1, min_severity=0.4)
            if made.applied:
                part.append(made.pixels)
                labels.append(CLASSES.index((made.applied[0].attribute, made.applied[0].direction)))
        if len(part) < 2:
            continue
        seen = answers.see(part)
        for tokens, own in ((seen, True), (swapped(seen), False)):
            best = answers.remedies(tokens)[:, : len(CLASSES)].argmax(dim=1)
            hits = int((best == torch.tensor(labels)).sum())
            right, wrong = right + hits * own, wrong + hits * (not own)
        count += len(part)
    return {
        "suggestions_top1": right / max(1, count),
        "suggestions_top1_swapped": wrong / max(1, count),
        "suggestions_photos": count,
    }


def comments(answers: Answers, photos: Sequence[np.ndarray], seed: int = 0) -> dict[str, Any]:
    """Identification among ten photos and planted errors, both with their controls."""
    rng = np.random.default_rng(seed)
    hits, lowered, planted = [], [], 0
    for start in range(0, len(photos) - CANDIDATES + 1, CANDIDATES):
        seen = answers.see(photos[start : start + CANDIDATES])
        spoken = answers.comments(seen)
        texts, begun = [each.written for each in spoken], [each.begun for each in spoken]
        table = answers.likelihood(seen, COMMENT_QUESTION, texts, begun)
        hits += (table.argmax(dim=0) == torch.arange(len(texts))).tolist()
        for index, text in enumerate(texts):
            turned = plant(text, answers, rng)
            if turned is None:
                continue
            planted += 1
            own = seen.of(slice(index, index + 1))
            true, false = answers.likelihood(own, COMMENT_QUESTION, [text, turned], [begun[index]] * 2)[0].tolist()
            lowered.append(false < true)
    return {
        "identification": _share(hits),
        "planted_errors": {**_share(lowered), "comments": planted},
    }


def plant(text: str, answers: Answers, rng: np.random.Generator) -> str | None:
    """A comment with one claim turned round: an opposite, or another thing in place of the first one shown."""
    claims = [claim for claim in OPPOSITES if re.search(rf"(?<![a-z]){re.escape(claim)}(?![a-z])", text)]
    shown = re.search(r"Shows: ([^,.]+)", text)
    if shown and (not claims or rng.random() < 0.5):
        others = [word for word in answers.model.config.vocabulary if word not in text]
        return text.replace(shown.group(1), str(rng.choice(others))) if others else None
    if not claims:
        return None
    claim = str(rng.choice(claims))
    return re.sub(rf"(?<![a-z]){re.escape(claim)}(?![a-z])", OPPOSITES[claim], text, count=1)


def _share(hits: Sequence[bool]) -> dict[str, Any]:
    return {"share": float(np.mean(hits)) if hits else None, "n": len(hits)}
