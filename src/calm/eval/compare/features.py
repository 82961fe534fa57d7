"""What heads on the frozen encoder read: standardised features of the three parts."""

from __future__ import annotations

import numpy as np

from calm.eval.compare.rows.base import Place

SMALL = 1e-6


def read(place: Place) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features of training, validation and test photos, (n, d) float32, about the training photos' mean and in units
    of their spread.
    """
    found = [part.features for part in (place.photos.train, place.photos.validation, place.photos.test)]
    centre, spread = found[0].mean(axis=0), found[0].std(axis=0) + SMALL
    train, validation, test = ((each - centre) / spread for each in found)
    return train, validation, test
