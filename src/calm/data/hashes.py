"""SHA-256 of many files, remembered between runs.

A file's hash is kept under its path, size and time of change (nanoseconds), so that a changed file is read again.
"""

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from calm.errors import DataError

SOURCE = Path(__file__).parents[1]
"""This package's source."""
THREADS = 4


def file_sha256(path: str | Path) -> str:
    """SHA-256 of a file's bytes as 64 hex digits."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def source_sha256(counts: Callable[[str], bool]) -> str:
    """One SHA-256 over code and tables of this package: those files whose path within it (``edits/tilt.py``) counts."""
    digest = hashlib.sha256()
    for path in sorted([*SOURCE.rglob("*.py"), *SOURCE.rglob("*.yaml")]):
        name = path.relative_to(SOURCE).as_posix()
        if counts(name):
            digest.update(json.dumps([name, file_sha256(path)]).encode())
    return digest.hexdigest()


def cache_dir() -> Path:
    """Folder of what can be made again: ``$CALM_CACHE``, else ``$XDG_CACHE_HOME/calm``, else ``~/.cache/calm``."""
    if "CALM_CACHE" in os.environ:
        return Path(os.environ["CALM_CACHE"])
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "calm"


def hash_files(paths: Sequence[str | Path], *, label: str) -> dict[str, str]:
    """SHA-256 of each file by the path as given. Raises :class:`DataError` for a file that cannot be read.

    Args:
        paths: files; a path given twice is read once.
        label: what the files belong to (a data set's root): names the file under ``cache_dir()/hashes`` that remembers.
    """
    store = cache_dir() / "hashes" / f"{hashlib.sha256(label.encode()).hexdigest()[:16]}.json"
    known = _read(store)
    names = list(dict.fromkeys(str(path) for path in paths))
    try:
        stamps = {name: stamp(name) for name in names}
        fresh = [name for name in names if stamps[name] not in known]
        with ThreadPoolExecutor(THREADS) as pool:
            for name, digest in zip(fresh, pool.map(file_sha256, fresh), strict=True):
                known[stamps[name]] = digest
    except OSError as error:
        raise DataError(f"expected a readable file, found: {error}; restore it or take it from the list") from error
    if fresh:
        _write(store, known)
    return {name: known[stamps[name]] for name in names}


def stamp(name: str) -> str:
    """Path, size and time of change of a file. Raises :class:`OSError` for one that is not there."""
    state = os.stat(name)
    return f"{os.path.abspath(name)}|{state.st_size}|{state.st_mtime_ns}"


def _read(store: Path) -> dict[str, str]:
    try:
        return json.loads(store.read_text())
    except (OSError, ValueError):  # absent or cut short: everything is hashed again
        return {}


def _write(store: Path, known: dict[str, str]) -> None:
    """Replace the store in one step. A cache that cannot be written costs time only."""
    with contextlib.suppress(OSError):
        store.parent.mkdir(parents=True, exist_ok=True)
        handle, scratch = tempfile.mkstemp(dir=store.parent)
        with os.fdopen(handle, "w") as stream:
            json.dump(known, stream)
        os.replace(scratch, store)
