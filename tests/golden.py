"""What the packaged model answers about the example photos, kept so that a change of it is seen.

``python tests/golden.py`` writes ``golden_scores.json`` and the outputs in the tutorial anew: after new weights, and
after a change of how answers are shown. Both are made in float32, whose words are the same on every machine.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import numpy as np
import torch
from PIL import Image

from calm import Calm
from calm.cli import main, running
from calm.data.images import load_photo
from calm.edits.base import edits
from calm.inference.pipeline import Pipeline
from calm.model.catalogue import PACKAGED

ROOT = Path(__file__).parents[1]
FILE = Path(__file__).parent / "golden_scores.json"
EXAMPLES = sorted((ROOT / "examples").glob("*.jpg"))
TUTORIAL = ROOT / "docs/tutorials/photographers.md"
CONSOLE = re.compile(r"^```console\n\$ calm ([^\n]+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def scores_of(calm: Calm) -> dict[str, float]:
    """Score of each example photo by its name, three decimals."""
    return {path.name: round(score.value, 3) for path, score in zip(EXAMPLES, calm.score(EXAMPLES), strict=True)}


def tutorial_outputs(folder: Path) -> Iterator[tuple[str, str, str]]:
    """Each command of the tutorial: what follows ``calm``, the output that is shown, and the one it has now.

    Args:
        folder: empty; the photos of the tutorial are laid into it.
    """
    (folder / "examples").mkdir()
    for path in EXAMPLES:
        shutil.copy(path, folder / "examples")
    astronaut = load_photo(str(folder / "examples/astronaut.jpg")).pixels.astype(np.float32) / 255
    dark, _ = edits()["exposure"].apply(astronaut, "increase", 0.8, np.random.default_rng(0))  # .8 · 2.3 stops
    Image.fromarray((dark * 255 + 0.5).astype(np.uint8)).save(folder / "dark.jpg", quality=95)
    pipeline = Pipeline.load(PACKAGED / "calm-small", "cpu", torch.float32)
    loaded = mock.patch.object(running, "load_model", lambda name, device: pipeline)
    with loaded, mock.patch.dict(os.environ, COLUMNS="100"), contextlib.chdir(folder):
        for command, shown in CONSOLE.findall(TUTORIAL.read_text(encoding="utf-8")):
            with contextlib.redirect_stdout(io.StringIO()) as found, contextlib.suppress(SystemExit):
                main([*command.split(), "-q"])
            yield command, shown, found.getvalue()


if __name__ == "__main__":
    FILE.write_text(json.dumps(scores_of(Calm.from_pretrained("calm-small")), indent=1) + "\n", encoding="utf-8")
    text = TUTORIAL.read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as name, mock.patch.dict(os.environ, CALM_CACHE=name):
        (Path(name) / "photos").mkdir()
        for command, shown, found in tutorial_outputs(Path(name) / "photos"):
            text = text.replace(f"$ calm {command}\n{shown}```", f"$ calm {command}\n{found}```")
    TUTORIAL.write_text(text, encoding="utf-8")
