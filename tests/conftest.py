"""Every test runs offline, with its own cache folder."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

os.environ["HF_HUB_OFFLINE"] = "1"


def new_cache(factory: pytest.TempPathFactory) -> Path:
    """A fresh cache folder; only converted weights, which nothing changes, are those of the whole run."""
    folder, weights = factory.mktemp("cache"), factory.getbasetemp() / "weights"
    weights.mkdir(exist_ok=True)
    (folder / "weights").symlink_to(weights)
    return folder


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fresh cache folder, so that no test sees what another one left."""
    folder = new_cache(tmp_path_factory)
    monkeypatch.setenv("CALM_CACHE", str(folder))
    return folder
