"""Remedies that are tried, best first: each is kept only if the model's score does not fall and the fault is gone.

Each is tried in several versions: less and more of the amount suggested, less and more cut away by a crop. Of amounts
the first that passes is kept, since the score says little about small changes; of crops the best.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from calm.data.images import Photo, as_photo
from calm.data.views import squash
from calm.edits import render
from calm.edits.subject import guess_saliency
from calm.errors import PhotoError
from calm.inference.engine import Engine
from calm.inference.framing import Crop, holds
from calm.inference.tasks import Result, SuggestTask
from calm.types import Suggestion, Trial

SHARES = (1.0, 1.4, 0.6)
"""Parts of the suggested amount that are tried, one after the other; of a crop, of what it cuts away on each side."""
BEYOND = {
    "sharpness": "blur cannot be undone: detail that is not in the photo would be made up",
    "compression": "what compression took away cannot be brought back: go back to the original file",
    "framing": "no crop looks better than the whole frame",
}
"""Why remedies are not carried out, by attribute."""
BY_HAND = "this cannot be done by a program: it needs your eye"


def mend(photo: Photo, result: Result, engine: Engine, task: SuggestTask) -> tuple[np.ndarray, list[Trial]]:
    """Try the suggestions about a photo one after the other, each on what the ones before it have made.

    Args:
        photo: as the model saw it.
        result: its score and suggestions.
        engine: asks the model about what was tried.
        task: how it was asked.

    Returns:
        The photo with everything that was kept, (H, W, 3) uint8, and what became of each suggestion.
    """
    pixels, score, trials = photo.pixels, result.score.value, []
    for suggestion in result.suggestions or ():
        trial, made = _try(pixels, score, suggestion, engine, task)
        trials.append(trial)
        if made is not None and trial.score_after is not None:
            pixels, score = made, trial.score_after
    return pixels, trials


def remedies(suggestions: Sequence[Suggestion], trials: Sequence[Trial]) -> Iterator[Suggestion]:
    """The suggestions that were kept, with the amounts that were."""
    for suggestion, trial in zip(suggestions, trials, strict=True):
        if trial.kept:
            yield replace(suggestion, amount=trial.amount, crop=trial.crop)


def can_be_rendered(suggestion: Suggestion) -> bool:
    """Whether a remedy may be carried out: what it gives is in the photo, and it needs nobody's eye."""
    return suggestion.crop is not None or suggestion.attribute not in BEYOND


def _try(
    pixels: np.ndarray, score: float, suggestion: Suggestion, engine: Engine, task: SuggestTask
) -> tuple[Trial, np.ndarray | None]:
    """One suggestion in several versions: the one that is kept, or else the one with the best score, without pixels."""
    kind = suggestion.attribute, suggestion.direction
    found: list[tuple[Trial, np.ndarray]] = []
    for version, made in _versions(pixels, suggestion):
        (answer,) = engine.answers([as_photo(made, "a remedy that is tried")], task)
        if answer.result is None:
            raise PhotoError(f"expected to score a remedy, found: {answer.error}; leave this photo out")
        after = answer.result.score.value
        gone = suggestion.attribute not in {left.attribute for left in answer.result.suggestions or ()}
        if gone and after >= score:
            why = f"the score goes from {score:.2f} to {after:.2f}, and the fault is gone"
        else:
            why = f"the score would fall from {score:.2f} to {after:.2f}" if after < score else "the fault would remain"
        kept = gone and after >= score
        found.append((Trial(*kind, version.amount, kept, why, score, after, version.crop), made))
        if kept and suggestion.crop is None:
            break
    if not found:
        return Trial(*kind, suggestion.amount, False, BEYOND.get(suggestion.attribute, BY_HAND), score, None), None
    trial, made = max(found, key=lambda each: (each[0].kept, each[0].score_after))
    return trial, made if trial.kept else None


def _versions(pixels: np.ndarray, suggestion: Suggestion) -> Iterator[tuple[Suggestion, np.ndarray]]:
    """The remedy in each of its versions, as far as it can be rendered."""
    if not can_be_rendered(suggestion):
        return
    for share in SHARES if suggestion.amount is not None or suggestion.crop is not None else (1.0,):
        version = _scaled(suggestion, share)
        if version.crop is not None and share > 1 and not _holds_subject(pixels, version.crop):
            continue
        made = render(pixels, version)
        if made is not None:
            yield version, made


def _scaled(suggestion: Suggestion, share: float) -> Suggestion:
    """A suggestion with a share of its amount, or one whose crop cuts a share of what it does on each side."""
    if suggestion.crop is None:
        return replace(suggestion, amount=suggestion.amount and float(f"{share * suggestion.amount:.2g}"))
    left, top, right, bottom = suggestion.crop
    crop = share * left, share * top, 1 - share * (1 - right), 1 - share * (1 - bottom)
    return replace(suggestion, crop=crop)


def _holds_subject(pixels: np.ndarray, crop: Crop) -> bool:
    left, top, right, bottom = crop
    return left < right and top < bottom and holds(crop, guess_saliency(squash(pixels).astype(np.float32) / 255))
