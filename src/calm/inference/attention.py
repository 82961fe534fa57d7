"""Where the network looked: each Q-Former's attention over the photo, and whether what it looked at matters.

The check covers the photo: where a branch looked, and, as much and in the same shape, elsewhere. What a branch looked
at matters if covering it changes what the network suggests more than covering elsewhere (Zeiler and Fergus,
"Visualizing and Understanding Convolutional Networks", ECCV 2014, section 4.2, compared with a control).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import torch

from calm.data.images import Photo
from calm.inference.answers import Answers
from calm.inference.tasks import Result, Task
from calm.model.backbone import in_chunks

CHECKED: tuple[str, ...] = ("low", "high")
"""Branches whose attention is shown: those of which ``calm eval attention`` says that the check holds with the packaged
weights (docs/lab.md, 86)."""
COVERED = 0.25
"""Share of the photo that is covered."""
BLUR = 12
"""What is covered is blurred by a Gaussian whose standard deviation is the photo's long edge by this."""
MOVES = 4
"""Other places that the same shape is moved to, those that overlap least with where it was."""


@dataclass(frozen=True)
class AttentionTask(Task):
    """Score, and where each branch of :data:`CHECKED` looked: (branches, side, side) as features; of
    :class:`Pipeline` alone.
    """

    def ask(self, model: Any, photos: list[Photo]) -> list[Result]:  # noqa: ANN401 - a pipeline, more than a Model
        """See :class:`Task`."""
        maps = attention(model.answers, [photo.pixels for photo in photos])
        shown = [np.array([maps[name][i] for name in CHECKED]) for i in range(len(photos))]
        return [Result(score, features=each) for score, each in zip(model.score(photos), shown, strict=True)]


@torch.inference_mode()
def attention(answers: Answers, photos: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
    """Where each branch looks on photos (H, W, 3) uint8: (photos, side, side) each, sums of 1."""
    model = answers.model
    names = list(model.config.branches)

    def read(frames: torch.Tensor) -> list[torch.Tensor]:
        features = model.backbone(frames, model.config.layers).to(model.alignment.detail_kind.dtype)
        return list(model.alignment.attention(features).values())

    found = in_chunks(read, answers.rows, answers.views(photos)["frames"])
    return {name: each.float().cpu().numpy() for name, each in zip(names, found, strict=True)}


def changes_by_covering(answers: Answers, photo: np.ndarray) -> dict[str, np.ndarray]:
    """How much the answers change when a photo (H, W, 3) uint8 is covered.

    Returns:
        Of each branch (2, 2): covered where it looked most, and elsewhere (the mean over :data:`MOVES`); the change of
        the suggestions (total variation of the probabilities of remedies, 0–1), and of the score (points, without
        sign).
    """
    masks = {name: _masks(maps[0]) for name, maps in attention(answers, [photo]).items()}
    seen = answers.see([photo, *(cover(photo, mask) for each in masks.values() for mask in each)])
    remedies, scores = answers.remedies(seen).double().numpy(), np.array(answers.means(seen))
    changes = np.stack([np.abs(remedies - remedies[0]).sum(axis=1) / 2, np.abs(scores - scores[0])], axis=1)[1:]
    by_branch = dict(zip(masks, changes.reshape(len(masks), MOVES + 1, 2), strict=True))
    return {name: np.stack([each[0], each[1:].mean(axis=0)]) for name, each in by_branch.items()}


def cover(photo: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """A photo (H, W, 3) uint8 blurred where ``mask`` (side, side) is True, softly at the borders of cells."""
    height, width = photo.shape[:2]
    blurred = cv2.GaussianBlur(photo, (0, 0), max(height, width) / BLUR)
    weight = cv2.resize(mask.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)[..., None]
    return (photo * (1 - weight) + blurred * weight + 0.5).astype(np.uint8)


def _masks(looked: np.ndarray) -> list[np.ndarray]:
    """Masks (side, side): the cells that were looked at most, and their shape moved to :data:`MOVES` other places."""
    side = len(looked)
    most = np.zeros(side * side, bool)
    most[np.argsort(-looked.ravel(), kind="stable")[: round(COVERED * side * side)]] = True
    mask = most.reshape(side, side)
    moved = [np.roll(mask, (down, right), (0, 1)) for down in range(side) for right in range(side)]
    return [mask, *sorted(moved, key=lambda each: int((each & mask).sum()))[:MOVES]]
