"""The score by a graph that ``calm export --openvino`` wrote, and every other answer by the network itself."""

from __future__ import annotations

import functools
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from calm.errors import UsageError
from calm.inference.pipeline import Pipeline, scores_of
from calm.model.backbone import in_chunks
from calm.model.catalogue import folder_sha256
from calm.model.config import NetworkConfig
from calm.model.visual import look
from calm.model.weights import read_config
from calm.types import Score

if TYPE_CHECKING:
    from calm.data.images import Photo
    from calm.inference.answers import Answers

OPENVINO = "openvino"
"""The name that stands for it where a device is asked for."""
GRAPH = "score.xml"
ROWS = 8
"""Photos that go through the graph at once; its shapes are fixed."""


def open_pipeline(folder: Path, device: str | None = None, dtype: torch.dtype | None = None) -> Pipeline:
    """A model on a device, or by its graph for :data:`OPENVINO`. Raises as :meth:`Pipeline.load`."""
    return Compiled(folder) if device == OPENVINO else Pipeline.load(folder, device, dtype)


def import_openvino():  # noqa: ANN201 - a module
    """OpenVINO, without the reports that its converter sends over the network. Raises :class:`UsageError`."""
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    try:
        import openvino
    except ImportError as error:
        raise UsageError(
            "expected OpenVINO, found none; install it: pip install 'calm-aesthetics[openvino]'"
        ) from error
    return openvino


class ScorePath(nn.Module):
    """All that a score takes: whole frames (B, 3, S, S) → probabilities of 1 … 10, (B, 10)."""

    def __init__(self, answers: Answers) -> None:
        super().__init__()
        self.network, self._answers = answers.model, answers

    def forward(self, frames: Tensor) -> Tensor:
        """See the class."""
        return self._answers.scores(self.network.see(frames, score_only=True))


class Compiled(Pipeline):
    """Answers as the network does; it is loaded when more than scores are asked for.

    Args:
        folder: of a model, with its graph.

    Raises:
        UsageError: without a graph, or without OpenVINO.
    """

    device, dtype = OPENVINO, ""  # type: ignore[assignment]

    def __init__(self, folder: Path) -> None:
        openvino = import_openvino()
        if not (folder / GRAPH).is_file():
            raise UsageError(f"expected {GRAPH} in {folder}, found none; make it: calm export DIR --openvino PHOTOS")
        self.folder, self.name, self.sha256, self.trained_on = folder, folder.name, folder_sha256(folder), frozenset()
        self.config = NetworkConfig.of(read_config(folder))
        threads = {"INFERENCE_NUM_THREADS": torch.get_num_threads()}
        self._graph = openvino.Core().compile_model(folder / GRAPH, "CPU", threads)
        numbers = self._graph.get_property("INFERENCE_PRECISION_HINT")
        self.dtype = f"{numbers.to_string()}, OpenVINO {openvino.__version__}"  # type: ignore[assignment]

    @functools.cached_property
    def answers(self) -> Answers:  # type: ignore[override]
        """Of the network."""
        assert self.folder is not None
        return Pipeline.load(self.folder, "cpu").answers

    def score(self, photos: Sequence[Photo]) -> list[Score]:
        """Scores from the whole frames."""
        frames = look([photo.pixels for photo in photos], self.config, detail=False)["frames"]
        return scores_of(in_chunks(self._run, ROWS, frames)[0])

    def _run(self, frames: Tensor) -> list[Tensor]:
        return [torch.from_numpy(self._graph(frames.numpy())[0])]
