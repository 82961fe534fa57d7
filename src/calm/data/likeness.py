"""Photos that look alike: two 64-bit perceptual hashes, and a search that does not compare everything with everything.

The difference hash says of a photo scaled to 9 × 8 grey pixels where brightness rises to the right (N. Krawetz,
hackerfactor.com, 2013); the cosine hash says which of the 8 × 8 lowest frequencies of its 32 × 32 copy exceed their
median (C. Zauner, 2010). Two photos are alike when the first differ in at most :data:`DIFFERENCE` bits and the second
in at most :data:`COSINE`: scaled and recompressed copies do, crops and mirror images do not.
"""

from collections.abc import Iterator

import cv2
import numpy as np

DIFFERENCE = 3
"""Bits of 64 in which the difference hashes of two photos that are alike may differ."""
COSINE = 8
"""Bits of 64 in which their cosine hashes may differ."""
BANDS = DIFFERENCE + 1
"""Hashes that differ in fewer bits than there are bands agree in one of the bands whole."""
CHUNK = 4_000_000
"""Pairs that are compared at once."""

_POWERS = np.uint64(1) << np.arange(64, dtype=np.uint64)


def perceptual_hashes(pixels: np.ndarray) -> tuple[int, int]:
    """Difference hash and cosine hash of a photo, (H, W, 3) uint8 sRGB; 64 bits each."""
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    small = cv2.resize(grey, (9, 8), interpolation=cv2.INTER_AREA).astype(np.int16)
    low = cv2.dct(cv2.resize(grey, (32, 32), interpolation=cv2.INTER_AREA).astype(np.float32))[:8, :8]
    return _bits(small[:, 1:] > small[:, :-1]), _bits(low > np.median(low.ravel()[1:]))


def alike(one: np.ndarray, other: np.ndarray) -> list[tuple[int, int]]:
    """Pairs of photos that look alike, of two sets: places in ``one`` and in ``other``, in order.

    Args:
        one, other: (N, 2) and (M, 2) uint64, from :func:`perceptual_hashes`.

    Candidates are those that agree in one of :data:`BANDS` parts of the difference hash; time grows with their number.
    """
    found: set[tuple[int, int]] = set()
    width = 64 // BANDS
    for band in range(BANDS):
        shift = np.uint64(width * band)
        mask = np.uint64((1 << width) - 1)
        keys, wanted = (one[:, 0] >> shift) & mask, (other[:, 0] >> shift) & mask
        order = np.argsort(keys, kind="stable")
        first, last = (np.searchsorted(keys[order], wanted, side) for side in ("left", "right"))
        for queries, places in _candidates(first, last):
            left = order[places]
            near = np.bitwise_count(one[left, 0] ^ other[queries, 0]) <= DIFFERENCE
            left, right = left[near], queries[near]
            near = np.bitwise_count(one[left, 1] ^ other[right, 1]) <= COSINE
            found.update(zip(left[near].tolist(), right[near].tolist(), strict=True))
    return sorted(found)


def _candidates(first: np.ndarray, last: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Query and place of each pair in the ranges ``first[q] … last[q] − 1``, about :data:`CHUNK` pairs at a time."""
    ends = np.cumsum(last - first)
    begin = 0
    while begin < len(ends):
        before = ends[begin - 1] if begin else 0
        end = max(begin + 1, int(np.searchsorted(ends, before + CHUNK, "right")))
        counts = (last - first)[begin:end]
        queries = np.repeat(np.arange(begin, end), counts)
        starts = np.repeat(first[begin:end] - (np.cumsum(counts) - counts), counts)
        yield queries, starts + np.arange(len(queries))
        begin = end


def _bits(flags: np.ndarray) -> int:
    return int((flags.ravel().astype(np.uint64) * _POWERS).sum(dtype=np.uint64))
