"""Comparisons: every kind of row on a tiny data set, rows that are kept, and what is written."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml
from layouts import biq, corel, draw_again
from parts import tiny_recipe, write_parts
from test_one_training import SHAPE
from typer.testing import CliRunner

from calm.cli.app import app
from calm.data.record import dataset
from calm.errors import ConfigError, DataError, UsageError
from calm.eval.compare.row import kind
from calm.eval.compare.run import assemble, compare, write
from calm.eval.compare.spec import load_comparison
from calm.train import run as training
from calm.train.vocabulary import Vocabulary

TRAINED, TESTED = 160, 8
RECIPES = Path(__file__).parents[1] / "recipes"


def write_para(root: Path) -> None:
    """A PARA of plain photos: the brighter, the better."""
    session = root / "imgs" / "session1"
    session.mkdir(parents=True)
    (root / "annotation").mkdir()
    emotions = ["amusement", "awe", "contentment", "disgust", "excitement", "fear", "neutral", "sadness"]
    rng = np.random.default_rng(0)
    with open(root / "annotation" / "aggregation_1.csv", "w", newline="") as stream:
        table = csv.writer(stream)
        table.writerow(["", "image_label", *emotions, "aesthetic_score"])
        for i in range(TRAINED + TESTED):
            bright = rng.integers(20, 230)
            pixels = np.clip(bright + rng.normal(0, 5, (60, 60, 3)), 0, 255).astype(np.uint8)
            cv2.imwrite(str(session / f"iaa_pub{i}_.jpg"), pixels)
            table.writerow([i, f"iaa_pub{i}_.jpg", *([1] * 8), 1.5 + bright / 100])
    names = range(TRAINED, TRAINED + TESTED)
    (root / "annotation" / "PARA-GiaaTest.csv").write_text(
        "imageName,sessionId,semantic,aestheticScore_mean\n"
        + "".join(f"iaa_pub{i}_.jpg,session1,plant,3\n" for i in names)
    )


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A comparison, and beside it the recipe of its network; maps of subjects are left out."""
    folder = tmp_path_factory.mktemp("compare")
    root = folder / "data"
    write_para(root / "para")
    biq(root / "biq")
    corel(root / "corel5k")
    draw_again(root, 120, 96)
    vision, text = write_parts(folder / "parts")
    batch = {"rated": 2, "named": 1, "edited": 2}
    stages = [
        {"name": "align", "steps": 9, "read": False, "text": False, "rates": {"alignment": 1e-3}, "batch": batch},
        {"name": "read", "steps": 9, "rates": {"answers": 1e-3, "language": 1e-3}, "batch": batch, "rows": 6},
    ]
    settings = {"photos": {"rated": 1000, "named": 2, "edited": 2}, "stages": stages, "output": str(folder / "nowhere")}
    tree = tiny_recipe(vision, text, SHAPE, {"root": "data", "cache": "features"}, **settings)
    (folder / "tiny.yaml").write_text(yaml.safe_dump(tree))
    tree = {
        "name": "tiny",
        "title": "A tiny comparison",
        "main": "calm",
        "data": {"root": str(root), "cache": str(folder / "cache")},
        "output": str(folder / "run"),
        "recipe": "tiny.yaml",
        "settings": {"stages.align.steps": 20, "stages.read.steps": 1},
        "published": {"Somebody": ".9 / .9"},
        "rows": {
            "ridge": {"kind": "ridge", "title": "ridge"},
            "mlp": {"kind": "mlp", "title": "network", "seeds": 2},
            "emd": {"kind": "emd", "title": "distribution"},
            "plain": {"kind": "stages", "title": "no | edits", "without": ["edited"]},
            "heads": {"kind": "stages", "title": "read at the heads", "read": "heads"},
            "calm": {"kind": "stages", "title": "CALM"},
        },
    }
    path = folder / "compare.yaml"
    path.write_text(yaml.safe_dump(tree, sort_keys=False))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "subjects", lambda photos: {})
        patch.setattr(training, "build_vocabulary", lambda known: Vocabulary(["city", "mountain", "sky"]))
        yield path


@pytest.fixture(scope="module")
def figures(recipe: Path) -> dict:
    return compare(recipe, resamples=50)


def test_every_kind_of_row_learns_and_is_measured_on_the_same_photos(recipe, figures):
    photos = figures["photos"]
    learnt = [each for each in dataset("para").records(recipe.parent / "data/para") if each.split == "train"]
    assert photos["train"] + photos["validation"] == len(learnt) and photos["validation"] and photos["test"] == TESTED
    assert list(figures["rows"]) == ["ridge", "mlp", "emd", "plain", "heads", "calm"] and figures["missing"] == []
    assert not figures["official"]
    assert figures["rows"]["ridge"]["srcc"] > 0.7, "brightness is easily read from the features"
    for name, row in figures["rows"].items():
        said = row["run"]["runs"][0]["predicted"]
        assert len(said) == TESTED and row["n"] == TESTED
        low, high = row["interval"]["rmse"]
        assert low <= row["rmse"] <= high or len(row["run"]["runs"]) > 1
        assert ("gain" in row) == (name != "calm")
    assert len(figures["rows"]["mlp"]["seeds"]["srcc"]) == 2 and len(figures["rows"]["mlp"]["run"]["runs"]) == 2
    assert all(1 <= value <= 10 for name in ("plain", "heads", "calm") for value in said_by(figures, name))


def said_by(figures: dict, name: str) -> list[float]:
    return figures["rows"][name]["run"]["runs"][0]["predicted"]


def test_rows_train_what_they_say(figures, recipe):
    trained = {
        path.parent: yaml.safe_load(path.read_text()) for path in (recipe.parent / "run/trained").rglob("*.yaml")
    }
    assert len(trained) == 2, "a score read elsewhere is of the same network"
    for folder, tree in trained.items():
        kinds = {"rated", "named"} | ({"edited"} if "no | edits" not in tree["name"] else set())
        assert set(tree["photos"]) == kinds and all(set(stage["batch"]) == kinds for stage in tree["stages"])
        assert [stage["steps"] for stage in tree["stages"]] == [20, 1] and (folder / "trained_on.txt").is_file()
    assert said_by(figures, "heads") != said_by(figures, "calm")
    run = figures["rows"]["calm"]["run"]["runs"][0]
    assert run["chosen"]["heads_srcc"] == pytest.approx(figures["rows"]["heads"]["srcc"])
    assert run["curve"][-1]["step"] == 20 and run["curve"][-1]["aux_score"] > 0


def test_a_finished_row_is_kept_and_a_changed_one_runs_again(recipe, figures, capsys):
    again = compare(recipe, resamples=50)
    assert again == figures and "ridge" not in capsys.readouterr().err
    compare(recipe, ["rows.ridge.title=other words"], rows=["ridge"], resamples=10)
    assert "ridge" not in capsys.readouterr().err, "words change no figure"
    whole = load_comparison(recipe)
    changed = load_comparison(recipe, ["rows.calm.settings={config.thematic_grid: 3}"])
    assert changed.fingerprint("calm") != whole.fingerprint("calm")
    assert changed.fingerprint("plain") == whole.fingerprint("plain")
    steps = load_comparison(recipe, ["settings={stages.align.steps: 3}"])
    assert steps.fingerprint("calm") != whole.fingerprint("calm")
    assert steps.fingerprint("ridge") == whole.fingerprint("ridge"), "a ridge has no stages"
    moved = load_comparison(recipe, ["data.root=elsewhere", "output=elsewhere"])
    assert moved.fingerprint("calm") == whole.fingerprint("calm"), "where files lie changes no figure"


def test_seeds_differ_in_every_stage(recipe):
    spec = load_comparison(recipe)
    assert [stage["seed"] for stage in spec.tree(spec.rows["calm"], 2)["stages"]] == [201, 201]


def test_results_carry_finished_rows_to_another_folder(recipe, figures, tmp_path):
    path = tmp_path / "results.json"
    write(figures, path)
    assert "given" not in json.loads(path.read_text()), "people's scores are not ours to pass on"
    found = compare(recipe, [f"output={tmp_path / 'elsewhere'}"], results=path, run=False, resamples=50)
    assert found["rows"] == figures["rows"] and found["missing"] == []
    path.write_text(path.read_text().replace(figures["hashes"][0], "0" * 8))
    with pytest.raises(DataError, match="found none with the hash 00000000"):
        compare(recipe, results=path, run=False)
    nothing = compare(recipe, [f"output={tmp_path / 'elsewhere'}"], run=False)
    assert nothing["rows"] == {} and nothing["missing"] == list(figures["rows"])


def test_rows_on_different_photos_are_not_put_together(recipe, figures):
    spec = load_comparison(recipe)
    finished = {name: row["run"] | {"given": figures["given"]} for name, row in figures["rows"].items()}
    finished["calm"] = finished["calm"] | {"test": "others"}
    with pytest.raises(DataError, match="expected every row on the same test photos, found 2 sets"):
        assemble(spec, finished, 10)


def test_the_command_writes_figures_tables_and_a_page(recipe, figures, tmp_path):
    output = tmp_path / "out" / "compare.json"
    said = CliRunner().invoke(app, ["eval", "compare", str(recipe), "--no-run", "--output", str(output), "--pictures"])
    assert said.exit_code == 0, said.stderr
    assert json.loads(output.read_text())["rows"].keys() == figures["rows"].keys()
    text = output.with_suffix(".md").read_text()
    assert "| calm | CALM |" in text and "no / edits" in text and "as published" in text
    page = output.with_suffix(".html").read_text()
    assert page.count("data:image/png") >= 5 and "data:image/jpeg" in page and "http" not in page
    assert "data:image/jpeg" not in said.stdout and not list(output.parent.glob("*.part"))


def test_what_cannot_be_compared_is_refused(recipe, tmp_path):
    with pytest.raises(ConfigError, match="expected a row named 'best'"):
        load_comparison(recipe, ["main=best"])
    with pytest.raises(ConfigError, match="found at rows.ridge.seeds"):
        load_comparison(recipe, ["rows.ridge.seeds=0"])
    with pytest.raises(ConfigError, match="found no file"):
        load_comparison(tmp_path / "none.yaml")
    with pytest.raises(UsageError, match="found 'worst'"):
        compare(recipe, rows=["worst"])
    with pytest.raises(UsageError, match="did you mean one of .*'ridge'"):
        kind("rigde")


def test_the_shipped_comparison_is_valid():
    spec = load_comparison(RECIPES / "compare-para.yaml")
    assert all(kind(row.kind) for row in spec.rows.values())
    assert len([name for name in spec.rows if name.startswith("calm-no-")]) == 7
    whole = spec.network().model_dump()
    for row in spec.rows.values():
        row.settings = {key: value for key, value in row.settings.items() if key != "packed"}
        changed = spec.network(row).model_dump()
        assert (changed == whole) == (row.settings == {} and row.without == []), row.title
    assert spec.fingerprint("calm") != spec.fingerprint("calm-unpacked")
