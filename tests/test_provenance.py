"""What stands in rows and profiles says by which model they were made: all of it, and no more than that."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from parts import write_trained
from safetensors.numpy import load_file, save_file
from test_one_pretrained import SHAPE

from calm.data.images import as_photo
from calm.inference.pipeline import Pipeline
from calm.model.catalogue import UNDESCRIBED, describer_sha256, folder_sha256
from calm.model.pretrained import CalmForConditionalGeneration

PHOTOS = [as_photo(np.random.default_rng(i).integers(0, 256, (90, 120, 3)).astype(np.uint8), "a") for i in range(2)]


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny network, ``trained``, and the parts that it stands on."""
    root = tmp_path_factory.mktemp("one")
    write_trained(root, SHAPE)
    save_file({"mean": np.zeros(3, np.float32)}, root / "trained" / "tastes.safetensors")
    return root


@pytest.fixture
def root(original: Path, tmp_path: Path) -> Path:
    """The same once more, to be changed."""
    shutil.copytree(original, tmp_path / "copy")
    settings = json.loads((original / "trained/config.json").read_text())
    for name in ("vision_source", "text_source"):
        settings[name] = str(tmp_path / "copy" / Path(settings[name]).relative_to(original))
    (tmp_path / "copy/trained/config.json").write_text(json.dumps(settings))
    return tmp_path / "copy"


def configure(**settings: object) -> Callable[[Path], None]:
    def change(root: Path) -> None:
        path = root / "trained/config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | settings))

    return change


def train(*names: str) -> Callable[[Path], None]:
    """Other values for the weights whose names begin so."""

    def change(root: Path) -> None:
        model = CalmForConditionalGeneration.from_pretrained(root / "trained")
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                if name.startswith(names):
                    parameter += torch.randn_like(parameter)
        model.save_pretrained(root / "trained")

    return change


def other_base(root: Path) -> None:
    settings = json.loads((root / "trained/config.json").read_text())
    path = next(Path(settings["vision_source"]).glob("*.safetensors"))
    save_file({name: value + np.float32(0.01) for name, value in load_file(path).items()}, path)


def other_tastes(root: Path) -> None:
    save_file({"mean": np.ones(3, np.float32)}, root / "trained/tastes.safetensors")


def moved_base(root: Path) -> None:
    settings = json.loads((root / "trained/config.json").read_text())
    shutil.move(settings["vision_source"], root / "elsewhere")
    configure(vision_source=str(root / "elsewhere"))(root)


CHANGES: dict[str, tuple[Callable[[Path], None], bool]] = {
    "calibration": (configure(remedy_temperature=1.7, remedy_nothing=-0.3, remedy_least=0.4), False),
    "remedies and quality": (train(*UNDESCRIBED), False),
    "where the encoder lies": (moved_base, False),
    "encoder": (other_base, True),
    "alignment": (train("alignment.overview"), True),
    "score": (train("answers."), True),
    "share of the head": (configure(score_head_share=0.5), True),
    "tastes": (other_tastes, True),
}


@pytest.mark.parametrize("name", CHANGES)
def test_every_change_of_a_model_shows_and_profiles_stay_where_photos_are_seen_alike(name: str, root: Path) -> None:
    """Guards against a calibration or another encoder under an old hash, and against profiles thrown away for
    nothing.
    """
    change, told = CHANGES[name]
    hashes = folder_sha256(root / "trained"), describer_sha256(root / "trained")
    described = seen(root)
    change(root)
    assert folder_sha256(root / "trained") != hashes[0]
    assert (describer_sha256(root / "trained") != hashes[1]) == told
    if name != "tastes":
        assert (seen(root) != described) == told, "the hash tells what is so"


def seen(root: Path) -> list[bytes]:
    pipeline = Pipeline.load(root / "trained", "cpu", torch.float32)
    return [np.append(features, score.distribution).tobytes() for score, features in pipeline.describe(PHOTOS)]
