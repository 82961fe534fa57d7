"""Photos as tasks read them."""

from __future__ import annotations

import numpy as np

from calm.data.images import load_photo
from calm.data.views import squash


def read_whole(path: str, size: int = 224) -> np.ndarray:
    """The whole frame of a photo as the encoder sees it: (size, size, 3) uint8."""
    return squash(load_photo(path).pixels, size)
