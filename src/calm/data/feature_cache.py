"""Encoder features of unedited photos on disk, so that a frozen encoder reads each photo once.

A cache is a folder of three files: ``meta.json`` (what made it), ``rows.txt`` (one key a line, in order) and
``features.f16`` (the rows as raw float16). Rows are appended, features first, so an interrupted run loses at most the
rows that were not yet named, and the next one goes on after them. Several runs may add rows to one folder.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from filelock import FileLock

from calm.errors import DataError


class FeatureCache:
    """Append-only store of arrays of one shape.

    Args:
        folder: created when missing.
        shape: shape of one row, for ``calm-small`` (layers, tokens, width).
        made_by: what the features depend on (encoder hash, preprocessing, layers, pooling). A folder made by something
            else is refused with :class:`DataError`.
    """

    def __init__(self, folder: str | Path, shape: Sequence[int], made_by: str) -> None:
        self.folder = Path(folder)
        self.shape = tuple(shape)
        self.folder.mkdir(parents=True, exist_ok=True)
        meta = {"shape": list(self.shape), "dtype": "float16", "made_by": made_by}
        path = self.folder / "meta.json"
        if path.exists():
            found = json.loads(path.read_text())
            if found != meta:
                raise DataError(
                    f"expected a feature cache made by {meta}, found {found} in {self.folder}; name another folder"
                )
        else:
            path.write_text(json.dumps(meta))
        self._keys: list[str] = []
        self._row: dict[str, int] = {}
        self._map: np.memmap | None = None
        self._lock = FileLock(self.folder / "lock")
        self._read = 0
        self._read_names()

    def __len__(self) -> int:
        return len(self._keys)

    def __contains__(self, key: str) -> bool:
        return key in self._row

    @property
    def row_bytes(self) -> int:
        """Bytes of one row."""
        return 2 * int(np.prod(self.shape))

    def append(self, keys: Sequence[str], features: np.ndarray) -> None:
        """Add rows. ``features``: (len(keys), *shape), any float type, finite after rounding to float16."""
        rows = np.ascontiguousarray(features, dtype=np.float16)
        if rows.shape != (len(keys), *self.shape) or not np.isfinite(rows).all():
            raise DataError(
                f"expected {len(keys)} finite rows of shape {self.shape}, found {rows.shape}; check the encoder"
            )
        with self._lock:
            self._read_names()  # another run may have added rows meanwhile
            fresh = [i for i, key in enumerate(keys) if key not in self._row]
            path = self.folder / "features.f16"
            path.touch()
            with open(path, "r+b") as stream:
                stream.seek(len(self._keys) * self.row_bytes)
                stream.write(rows[fresh].tobytes())
                stream.truncate()
            with open(self.folder / "rows.txt", "a") as stream:
                stream.writelines(f"{keys[i]}\n" for i in fresh)
            self._read_names()

    def _read_names(self) -> None:
        names = self.folder / "rows.txt"
        size = names.stat().st_size if names.exists() else 0
        if size == self._read:
            return
        self._keys = names.read_text().split()
        self._row = {key: i for i, key in enumerate(self._keys)}
        self._read, self._map = size, None

    def read(self, keys: Iterable[str]) -> np.ndarray:
        """Rows in the order of ``keys``: (n, *shape), float16. Raises :class:`DataError` for a key that is absent."""
        if self._map is None:
            self._map = np.memmap(self.folder / "features.f16", np.float16, "r", shape=(len(self._keys), *self.shape))
        try:
            rows = [self._row[key] for key in keys]
        except KeyError as error:
            raise DataError(
                f"expected features of {error.args[0]} in {self.folder}, found none; encode it first"
            ) from None
        return np.asarray(self._map[rows])
