"""Settings of the C library: taken where it is glibc, harmless elsewhere."""

from __future__ import annotations

import subprocess
import sys


def test_freed_memory_is_kept_and_nothing_breaks() -> None:
    """In a process of its own: the settings last as long as the process."""
    program = (
        "import numpy as np; from calm.memory import keep_freed_memory; taken = keep_freed_memory();"
        "big = [np.ones(4_000_000) for _ in range(3)]; del big; print(taken, float(np.ones(4_000_000).sum()))"
    )
    out = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert out[0] in ("True", "False") and out[1] == "4000000.0"
