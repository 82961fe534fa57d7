"""The feature cache: what goes in comes out, an interruption loses nothing that was named, strangers are refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from calm.data.feature_cache import FeatureCache
from calm.errors import DataError


def rows(*values: float) -> np.ndarray:
    return np.stack([np.full((2, 3), value) for value in values])


def test_rows_come_back_in_the_order_asked_for(tmp_path: Path) -> None:
    cache = FeatureCache(tmp_path, (2, 3), "encoder a")
    cache.append(["one", "two"], rows(1, 2))
    cache.append(["three"], rows(3))
    again = FeatureCache(tmp_path, (2, 3), "encoder a")
    assert len(again) == 3 and "two" in again and "four" not in again
    assert again.read(["three", "one"])[:, 0, 0].tolist() == [3, 1]
    assert again.read(["two"]).dtype == np.float16


def test_a_row_that_was_written_but_not_named_is_written_again(tmp_path: Path) -> None:
    """Guards against rows that shift after an interruption between features and names."""
    cache = FeatureCache(tmp_path, (2, 3), "encoder a")
    cache.append(["one"], rows(1))
    with open(tmp_path / "features.f16", "ab") as stream:
        stream.write(b"\0" * 7)
    again = FeatureCache(tmp_path, (2, 3), "encoder a")
    again.append(["two"], rows(2))
    assert again.read(["one", "two"])[:, 1, 2].tolist() == [1, 2]


def test_features_of_another_encoder_are_refused(tmp_path: Path) -> None:
    FeatureCache(tmp_path, (2, 3), "encoder a")
    with pytest.raises(DataError, match="name another folder"):
        FeatureCache(tmp_path, (2, 3), "encoder b")


def test_what_is_absent_or_not_finite_is_said(tmp_path: Path) -> None:
    cache = FeatureCache(tmp_path, (2, 3), "encoder a")
    with pytest.raises(DataError, match="finite"):
        cache.append(["one"], rows(np.inf))
    cache.append(["one"], rows(1))
    with pytest.raises(DataError, match="expected features of two"):
        cache.read(["one", "two"])


def test_two_that_add_rows_by_turns_lose_nothing(tmp_path: Path) -> None:
    """Rows and names belong together whoever added them, and what both made is kept once."""
    first, second = (FeatureCache(tmp_path / "cache", (2, 3), "encoder") for _ in range(2))
    first.append(["a"], rows(1))
    second.append(["b"], rows(2))
    first.append(["b", "c"], rows(9, 3))
    second.append(["d"], rows(4))
    for cache in (second, FeatureCache(tmp_path / "cache", (2, 3), "encoder")):
        assert cache.read(["d", "c", "b", "a"])[:, 0, 0].tolist() == [4, 3, 2, 1]
    assert len(second) == 4 and "d" not in first
