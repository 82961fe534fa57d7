"""Does what the Q-Formers look at matter? The check behind what the studio shows, on photos never trained on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from calm.errors import DataError
from calm.eval.gather import Drawn
from calm.inference.attention import changes_by_covering
from calm.inference.pipeline import Pipeline
from calm.tasks.metrics import RESAMPLES, bootstrap, mean_gap

ANSWERS = ("suggestions", "score")


def eval_attention(
    pipeline: Pipeline, photos: str | Path, *, limit: int | None = None, seed: int = 0, resamples: int = RESAMPLES
) -> dict[str, Any]:
    """Each photo is covered where a branch looked, and as much elsewhere (:mod:`calm.inference.attention`).

    Returns:
        ``suggestions`` and ``score``, each of every branch: mean change ``looked`` and ``elsewhere``, their
        ``difference`` with its 95 % interval ``low`` and ``high`` over photos, and ``more``, the share of photos where
        it is above 0. ``holds``: branches whose ``low`` is above 0 for the suggestions, which read the Q-Formers.

    Raises:
        DataError: for no photo that can be read, or photos that were trained on.
    """
    drawn = Drawn.unseen(pipeline, photos, limit, seed)
    found = [changes_by_covering(pipeline.answers, photo.pixels) for photo in drawn.photos("covering")]
    if not found:
        raise DataError(f"expected photos that can be read in {photos}, found {len(drawn.paths)} that cannot")
    changes = {name: np.stack([each[name] for each in found]) for name in found[0]}  # (photos, 2, answers)
    figures: dict[str, Any] = {
        answer: {name: _compared(each[..., i], resamples, seed) for name, each in changes.items()}
        for i, answer in enumerate(ANSWERS)
    }
    holds = [name for name, each in figures["suggestions"].items() if each["low"] > 0]
    return drawn.result("attention", {"photos": len(found), **figures, "holds": holds})


def _compared(changes: np.ndarray, resamples: int, seed: int) -> dict[str, float]:
    """Figures of (photos, 2) changes, looked and elsewhere."""
    looked, elsewhere = changes.T
    apart = bootstrap(mean_gap, looked, elsewhere, resamples=resamples, seed=seed)
    means = {"looked": float(looked.mean()), "elsewhere": float(elsewhere.mean()), "difference": apart.value}
    return means | {"low": apart.low, "high": apart.high, "more": float((looked > elsewhere).mean())}
