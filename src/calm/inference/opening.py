"""One way to open a model by name or folder, whichever kind of network it holds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from calm.engine import Model


def open_network(name: str, device: str | None = None) -> Model:
    """The model of a packaged name or a folder. Raises :class:`UsageError` where there is neither."""
    from calm.inference.pipeline import Pipeline
    from calm.model.weights import PACKAGED
    from calm.predictor import Predictor

    for folder in (PACKAGED / name, Path(name)):
        if Pipeline.fits(folder):
            return Pipeline.load(folder, device)
    return Predictor.load(name, device)
