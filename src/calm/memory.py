"""Memory that is used again and again is kept, not given back and fetched anew."""

from __future__ import annotations

import ctypes
import sys

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD = -1, -2, -3
LARGEST = 2**31 - 1


def keep_freed_memory() -> bool:
    """Let glibc keep what is freed, for the life of this process.

    By default every large array is mapped from the system and handed back, page by page, at each step of a model: on
    two cores that cost a sixth of the encoder's time. Nothing happens where the C library is another one.

    Returns:
        whether the settings were taken.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    settings = ((M_MMAP_THRESHOLD, LARGEST), (M_TRIM_THRESHOLD, LARGEST), (M_TOP_PAD, 64 * 2**20))
    return all([mallopt(name, value) == 1 for name, value in settings])
