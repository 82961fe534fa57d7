"""Ridge regression on frozen features; its penalty is chosen on the validation photos."""

import numpy as np

from calm.eval.compare.row import Found, Place, read
from calm.eval.compare.spec import RowSpec
from calm.tasks.metrics import rmse

PENALTIES = tuple(10.0**power for power in np.arange(-4, 3.01, 0.5))
"""As multiples of the number of photos, on standardised features."""


def run(place: Place, row: RowSpec, seed: int) -> Found:
    """Solved in closed form by the singular values of the features; ``seed`` changes nothing."""
    train, validation, test = read(place)
    level, wanted, checked = place.photos.train.given.mean(), place.photos.train.given, place.photos.validation.given
    values, vectors = np.linalg.eigh((train.T @ train).astype(np.float64))
    turned = vectors.T @ (train.T @ (wanted - level))
    best: tuple[float, float, np.ndarray] | None = None
    for penalty in PENALTIES:
        weights = vectors @ (turned / (np.maximum(values, 0) + penalty * len(train)))
        error = rmse(level + validation @ weights, checked)
        if best is None or error < best[0]:
            best = error, penalty, weights
    assert best is not None
    return Found(level + test @ best[2], {"penalty": best[1], "validation_rmse": best[0]})
