"""Pictures of evaluations and of profiles: drawn from the figures, whole files that open as what they are called."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from test_cli import calm
from test_cli_profile import DARK, model, profiles, rated  # noqa: F401 - fixtures

from calm.eval.plots import plot_piaa
from calm.personal.traits import DISLIKED, LIKED, Leaning, draw_leanings

LEARNERS = ("generic", "tastes")


def piaa(gain: float) -> dict:
    def row(value: float) -> dict:
        return {"srcc": value, "stderr": 0.02, "gain": 0.0, "gain_stderr": 0.0}

    shots = {str(k): {"generic": row(0.3), "tastes": row(0.3 + gain * k)} for k in (0, 10, 100)}
    by_person = {name: np.linspace(0.1, 0.5 + 0.1 * i, 20).tolist() for i, name in enumerate(LEARNERS)}
    return {"shots": shots, "by_person": by_person, "ceiling": 0.6, "people": 20, "draws": 3}


def test_a_learning_curve_is_drawn_from_the_figures(tmp_path):
    written = plot_piaa(piaa(0.002), tmp_path / "new")
    assert [path.name for path in written] == ["curve.png", "people.png"]
    before = [Image.open(path).convert("RGB") for path in written]
    assert all(min(picture.size) > 400 and np.asarray(picture).std() > 5 for picture in before)
    plot_piaa(piaa(0.001), tmp_path / "new")
    after = [Image.open(path).convert("RGB") for path in written]
    changed = [np.any(np.asarray(a) != np.asarray(b)) for a, b in zip(before, after, strict=True)]
    assert changed == [True, False], "the curve has moved, the people have not"


def test_one_number_of_examples_is_enough(tmp_path):
    figures = piaa(0.002)
    figures["shots"] = {"10": figures["shots"]["10"]}
    assert all(path.stat().st_size for path in plot_piaa(figures, tmp_path))


def rgb(colour: str) -> np.ndarray:
    return np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)])


def test_bars_say_what_is_liked_and_what_is_not(tmp_path):
    """The bar of what is liked goes to the right, the other one to the left, and the larger one is longer."""
    draw_leanings("ann", [Leaning("rich colour", 0.4), Leaning("snow", -0.2)], tmp_path / "ann.png")
    pixels = np.asarray(Image.open(tmp_path / "ann.png").convert("RGB")).astype(int)
    spans = {}
    for name, colour in (("liked", LIKED), ("disliked", DISLIKED)):
        columns = np.nonzero((np.abs(pixels - rgb(colour)).sum(axis=2) < 12).any(axis=0))[0]
        spans[name] = columns.min(), columns.max()
    (liked_left, liked_right), (disliked_left, disliked_right) = spans["liked"], spans["disliked"]
    assert disliked_right <= liked_left + 2
    assert (liked_right - liked_left) == pytest.approx(2 * (disliked_right - disliked_left), rel=0.05)


def test_a_profile_without_traits_is_not_drawn(model, tmp_path, capsys):  # noqa: F811
    folder = tmp_path / "mine"
    table = rated(folder, DARK)
    assert calm("profile", "learn", "ann", table, "--images", folder, "--model", model, "-q") == 0
    show = ("profile", "show", "ann", "--model", model, "--picture")
    assert calm(*show, tmp_path / "ann.png") == 2
    assert "found none to draw" in capsys.readouterr().err and not (tmp_path / "ann.png").exists()
    assert calm(*show, tmp_path / "ann.bmp") == 2
    assert "expected a name that ends in .png" in capsys.readouterr().err
    assert calm(*show, table) == 2
    assert "expected a new file" in capsys.readouterr().err and Path(table).read_text().startswith("file,rating")
