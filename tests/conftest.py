"""Every test runs offline, with its own cache folder."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

os.environ["HF_HUB_OFFLINE"] = "1"


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fresh cache folder, so that no test sees what another one left."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("CALM_CACHE", str(folder))
    return folder
