"""Controls that could refute the claim that the language model sees.

- ``swap``: the same questions with another photo's visual tokens: scores must not follow the photo any more,
  suggestions must fall to chance, comments must not be identified.
- ``blank``: black, grey, white, noise, one pixel: nothing may be named, the score must be low.
- ``identification``: of ten photos, which one is a comment about, by log p(comment | photo); chance .10.
- ``planted errors``: a comment with one claim turned round must be less likely, given the photo.

Nothing here reads the generator's own parser: identification and planted errors are likelihoods of the language model
under other visual tokens and other words.
"""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from scipy.stats import spearmanr

from calm.data.batches import batches, draw
from calm.edits.synthetic import synthetic_edit
from calm.errors import DataError
from calm.eval.gather import Drawn, Paths, find
from calm.inference.answers import Answers
from calm.inference.pipeline import Pipeline
from calm.model.exchange import COMMENT_QUESTION
from calm.model.visual import VisualTokens
from calm.types import CLASSES

CANDIDATES, BATCH = 10, 16
PAIRS = (
    ("dark", "bright"),
    ("muted", "vivid"),
    ("warm", "cool"),
    ("soft", "crisp"),
    ("too dark", "too bright"),
    ("blurred", "noisy"),
    ("low contrast", "harsh contrast"),
    ("oversaturated", "dull colours"),
    ("too warm", "too cool"),
)
"""Claims that contradict each other."""
OPPOSITES = dict(PAIRS) | {other: one for one, other in PAIRS} | {"black and white": "vivid"}


def blank_frames() -> dict[str, np.ndarray]:
    """Frames on which there is nothing to see, (H, W, 3) uint8 by name."""
    plain = {
        name: np.full((256, 256, 3), tone, np.uint8) for name, tone in (("black", 0), ("grey", 128), ("white", 255))
    }
    noise = np.random.default_rng(0).integers(0, 256, (256, 256, 3), dtype=np.uint8)
    return plain | {"noise": noise, "one pixel": np.full((1, 1, 3), 90, np.uint8)}


def swapped(visual: VisualTokens) -> VisualTokens:
    """Every photo gets the visual tokens of the next one."""
    return visual.of(torch.arange(len(visual.frame)).roll(-1))


def eval_controls(pipeline: Pipeline, photos: Paths, *, limit: int | None = None, seed: int = 0) -> dict[str, Any]:
    """:func:`controls` on photos of a folder or list, ``limit`` of them drawn by ``seed``; ``failed`` and the model.

    Raises :class:`DataError` for fewer than ten that can be read.
    """
    drawn = Drawn(pipeline, draw(find(photos), limit, seed))
    frames = [photo.pixels for photo in drawn.photos("controls")]
    if len(frames) < CANDIDATES:
        raise DataError(f"expected {CANDIDATES} photos at least in {photos}, found {len(frames)}; give more")
    return drawn.result("controls", controls(pipeline.answers, frames, seed))


def controls(answers: Answers, photos: Sequence[np.ndarray], seed: int = 0) -> dict[str, Any]:
    """All controls on photos (H, W, 3) uint8, at least ten of them; see the module."""
    return {
        "photos": len(photos),
        "swap": {**_scores(answers, photos), **_suggestions(answers, photos, seed)},
        "blank": blanks(answers),
        **comments(answers, photos, seed),
    }


def blanks(answers: Answers) -> list[dict[str, Any]]:
    """``kind``, ``score`` and what is ``named`` of each blank frame."""
    found = []
    for kind, frame in blank_frames().items():
        visual = answers.see([frame])
        shows = answers.comments(visual, length=40)[0].observation.shows
        found.append({"kind": kind, "score": round(answers.means(visual)[0], 2), "named": ", ".join(shows)})
    return found


def _scores(answers: Answers, photos: Sequence[np.ndarray]) -> dict[str, float]:
    own, others = [], []
    for part in batches(photos, BATCH):
        visual = answers.see(part, detail=False)
        own += answers.means(visual)
        others += answers.means(swapped(visual))
    return {"scores_srcc": float(spearmanr(own, others).statistic)}


def _suggestions(answers: Answers, photos: Sequence[np.ndarray], seed: int) -> dict[str, float]:
    """Clearly visible edits: the right remedy first, with own and with another photo's tokens."""
    right, wrong, count = 0, 0, 0
    for start in range(0, len(photos), BATCH):
        part, labels = [], []
        for index, pixels in enumerate(photos[start : start + BATCH], start):
            made = synthetic_edit(pixels, np.random.default_rng([seed, index]), count=1, min_severity=0.4)
            if made.applied:
                part.append(made.pixels)
                labels.append(CLASSES.index((made.applied[0].attribute, made.applied[0].direction)))
        if len(part) < 2:
            continue
        visual = answers.see(part)
        for tokens, own in ((visual, True), (swapped(visual), False)):
            best = answers.remedies(tokens)[:, : len(CLASSES)].argmax(dim=1)
            hits = int((best == torch.tensor(labels)).sum())
            right, wrong = right + hits * own, wrong + hits * (not own)
        count += len(part)
    shares = {"suggestions_top1": right / max(1, count), "suggestions_top1_swapped": wrong / max(1, count)}
    return shares | {"suggestions_photos": count}


def comments(answers: Answers, photos: Sequence[np.ndarray], seed: int = 0) -> dict[str, Any]:
    """Identification among ten photos and planted errors, both with their controls."""
    rng = np.random.default_rng(seed)
    hits, lowered, planted = [], [], 0
    for start in range(0, len(photos) - CANDIDATES + 1, CANDIDATES):
        visual = answers.see(photos[start : start + CANDIDATES])
        spoken = answers.comments(visual)
        texts, begun = [each.written for each in spoken], [each.begun for each in spoken]
        table = answers.likelihood(visual, COMMENT_QUESTION, texts, begun)
        hits += (table.argmax(dim=0) == torch.arange(len(texts))).tolist()
        for index, text in enumerate(texts):
            turned = plant(text, answers, rng)
            if turned is None:
                continue
            planted += 1
            own = visual.of(slice(index, index + 1))
            true, false = answers.likelihood(own, COMMENT_QUESTION, [text, turned], [begun[index]] * 2)[0].tolist()
            lowered.append(false < true)
    return {"identification": _share(hits), "planted_errors": {**_share(lowered), "comments": planted}}


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
