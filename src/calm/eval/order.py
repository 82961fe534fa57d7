"""Does a clearly damaged copy score below its original? For each kind of edit, on photos that were never trained on.

Every photo is damaged by every edit in every direction at one severity, without nuisances, as far as it lends itself to
it. A tie counts against the model.
"""

from collections import defaultdict
from typing import Any

import numpy as np

from calm.edits import edits
from calm.edits.base import VISIBLE
from calm.errors import DataError
from calm.eval.gather import Drawn, Paths, edited
from calm.inference.tasks import Model
from calm.model.saliency import SaliencySource, saliency_map
from calm.tasks.metrics import proportion

SEVERITY = 0.75


def eval_order(
    predictor: Model, photos: Paths, *, seed: int = 0, limit: int | None = None, saliency: SaliencySource = "packaged"
) -> dict[str, Any]:
    """Scores of damaged copies against those of their originals.

    Args:
        photos: a folder or files that the model was never trained on; refused where the predictor knows otherwise.
        limit: use only so many photos, drawn by ``seed``.
        saliency: where the main subject is, which some edits go by.

    Returns:
        ``photos``, ``severity``, ``pairs``, ``below`` (share of all pairs whose copy scores below its original), and
        in ``per_kind`` the same for each edit with its 95 % Wilson interval and ``change``, the mean change of the
        score in points of 1–10. Kinds are named by their remedy: the copies of "exposure increase" are too dark.

    Raises:
        DataError: for no photo that can be read and damaged, or photos that the model was trained on.
    """
    drawn = Drawn.unseen(predictor, photos, limit, seed)
    find_subject = saliency_map(saliency)
    changes: defaultdict[str, list[float]] = defaultdict(list)
    for index, photo in enumerate(drawn.photos("order")):
        subject = find_subject(photo.pixels) if find_subject else None
        kinds, shown = [], [photo]
        for name, edit in edits().items():
            for direction in edit.directions:
                rng = np.random.default_rng([seed, index])
                pixels = photo.pixels.astype(np.float32) / 255
                out, applied = edit.apply(pixels, direction, SEVERITY, rng, subject)
                if applied is not None and applied.severity >= VISIBLE:
                    kinds.append(" ".join(filter(None, (name, direction, applied.kind))))
                    shown.append(edited(photo, (np.clip(out, 0, 1) * 255 + 0.5).astype(np.uint8)))
        whole, *copies = [score.value for score in predictor.score(shown)]
        for kind, value in zip(kinds, copies, strict=True):
            changes[kind].append(value - whole)
    if not changes:
        raise DataError(f"expected at least one photo that can be read and damaged, found none of {len(drawn.paths)}")
    every = [change for each in changes.values() for change in each]
    return drawn.result(
        "order",
        {
            "photos": len(drawn.paths) - len(drawn.failed),
            "severity": SEVERITY,
            "pairs": len(every),
            "below": np.mean(np.array(every) < 0),
            "per_kind": {kind: _line(each) for kind, each in sorted(changes.items())},
        },
    )


def _line(changes: list[float]) -> dict[str, Any]:
    below = proportion(sum(each < 0 for each in changes), len(changes))
    return {"n": len(changes), **below.named("below", "interval"), "change": float(np.mean(changes))}
