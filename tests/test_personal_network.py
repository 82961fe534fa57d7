"""Personal scores of the one network, from many people's ratings to one person's scores, on a tiny network."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from test_cli import calm
from test_one_network import photos
from test_one_pretrained import folder  # noqa: F401 - a fixture

from calm.cli import running
from calm.data.images import Photo
from calm.inference.pipeline import Pipeline


@pytest.fixture
def network(folder, tmp_path, monkeypatch) -> Path:  # noqa: F811 - the fixture
    monkeypatch.setattr(running, "load_model", lambda name, device: Pipeline.load(name))
    monkeypatch.setenv("CALM_PROFILES", str(tmp_path / "profiles"))
    return shutil.copytree(folder, tmp_path / "network")


def test_from_many_people_to_what_moves_one_persons_scores(network, tmp_path, capsys):
    """Half of the people like it bright and half dark; the prior knows the traits of its photos."""
    rated, rng = tmp_path / "rated", np.random.default_rng(0)
    rated.mkdir()
    stars = {}
    for i, value in enumerate(np.linspace(30, 220, 16)):
        pixels = value + rng.integers(-20, 20, (60, 80, 3))
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(rated / f"{i}.png")
        stars[f"{i}.png"] = 1 + 4 * (value - 30) / 190
    rows = [
        f"{person},{name},{(r if person % 2 else 6 - r) + rng.normal(0, 0.3):.2f}"
        for person in range(8)
        for name, r in stars.items()
    ]
    (tmp_path / "many.csv").write_text("\n".join(["person,photo,rating", *rows]))
    (tmp_path / "mine.csv").write_text("".join(f"{name},{rating}\n" for name, rating in list(stars.items())[::2]))
    given = ("--images", rated, "--model", network, "-q")
    assert calm("profile", "prior", tmp_path / "many.csv", *given, "--output", network / "tastes.safetensors") == 0
    assert calm("profile", "learn", "ann", tmp_path / "mine.csv", *given) == 0
    capsys.readouterr()
    assert calm("profile", "show", "ann", "--model", network) == 0
    assert re.search(r"likes +bright light +\+", capsys.readouterr().out)
    unseen = (rated / "1.png", rated / "13.png", "--model", network, "--profile", "ann", "--format", "jsonl", "-q")
    assert calm("score", *unseen) == 0
    dark, light = (json.loads(line)["score"] for line in capsys.readouterr().out.splitlines())
    assert light > dark + 0.5


def test_what_describes_a_photo_does_not_depend_on_the_others(network):
    model = Pipeline.load(network)
    shot = [Photo(f"{i}.png", pixels, f"{i:064x}", 110, 90) for i, pixels in enumerate(photos(3))]
    told = np.stack([features for _, features in model.describe(shot)])
    alone = np.stack([model.describe([each])[0][1] for each in shot])
    assert told.dtype == np.float32 and np.abs(told - alone).max() < 1e-5
    assert np.square(told).sum(axis=1) == pytest.approx(4, rel=1e-3), "four parts of length 1"
    assert np.linalg.norm(told[0] - told[1]) > 0.05, "each photo is something else"
