"""Comparisons: every kind of row on a tiny data set, rows that are kept, and what is written."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import yaml
from parts import SHAPE, write_parts
from typer.testing import CliRunner

from calm.cli.app import app
from calm.errors import ConfigError, DataError, UsageError
from calm.eval.compare.rows.base import kind
from calm.eval.compare.run import assemble, compare, write
from calm.eval.compare.spec import load_comparison
from calm.model.checkpoint import load_tokenizer
from calm.readout import LEVELS, level, level_scores, read_numbers, written_scores
from calm.train.run import new_model

TRAINED, TESTED = 40, 8
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
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("compare")
    write_para(folder / "data" / "para")
    vision, text = write_parts(folder / "parts")
    lora = {"r": 2, "lora_alpha": 2, "target_modules": ["q_proj", "v_proj"]}
    shape = {
        key: value for key, value in SHAPE.items() if key not in ("measures", "statistics", "technique", "beliefs")
    }
    lessons = {"sources": [{"name": "para", "native": False}]}
    tasks = [{"name": "score", "batch": 4}, {"name": "edits", "batch": 2, "options": lessons}]
    tree = {
        "name": "tiny",
        "title": "A tiny comparison",
        "main": "calm",
        "source": "para",
        "photos": 0,
        "data": {"root": str(folder / "data"), "cache": str(folder / "cache")},
        "output": str(folder / "run"),
        "model": {
            "vision": vision,
            "text": text,
            "image_token": "<image>",
            "config": shape | {"crops": 1, "notes": False, "text_lora": lora},
        },
        "stages": [
            {"name": "align", "steps": 3, "learn": {"mfam": 1e-3, "heads": 1e-3}, "read": ["heads"], "tasks": tasks},
            {"name": "speak", "steps": 2, "learn": {"language": 1e-3}, "read": ["language"], "tasks": tasks},
        ],
        "published": {"Somebody": ".9 / .9"},
        "rows": {
            "ridge": {"kind": "ridge", "title": "ridge"},
            "mlp": {"kind": "mlp", "title": "network", "seeds": 2},
            "emd": {"kind": "emd", "title": "distribution"},
            "levels": {"kind": "stages", "title": "levels", "answer": "level", "config": {"thematic": False}},
            "text": {"kind": "stages", "title": "text | plain", "answer": "text", "without": ["edits"]},
            "calm": {"kind": "stages", "title": "CALM"},
        },
    }
    path = folder / "compare.yaml"
    path.write_text(yaml.safe_dump(tree, sort_keys=False))
    return path


@pytest.fixture(scope="module")
def figures(recipe: Path) -> dict:
    return compare(recipe, resamples=50)


def test_every_kind_of_row_learns_and_is_measured_on_the_same_photos(figures):
    assert figures["photos"] == {"train": 36, "validation": 4, "test": TESTED} and not figures["official"]
    assert list(figures["rows"]) == ["ridge", "mlp", "emd", "levels", "text", "calm"] and figures["missing"] == []
    assert figures["rows"]["ridge"]["srcc"] > 0.7, "brightness is easily read from the features"
    for name, row in figures["rows"].items():
        said = row["run"]["runs"][0]["predicted"]
        assert len(said) == TESTED and row["n"] == TESTED
        low, high = row["interval"]["rmse"]
        assert low <= row["rmse"] <= high or len(row["run"]["runs"]) > 1
        assert ("gain" in row) == (name != "calm")
    assert len(figures["rows"]["mlp"]["seeds"]["srcc"]) == 2 and len(figures["rows"]["mlp"]["run"]["runs"]) == 2
    assert all(1 <= value <= 10 for name in ("levels", "text", "calm") for value in said_by(figures, name))
    assert figures["rows"]["calm"]["run"]["runs"][0]["curve"][-1]["step"] == 5


def said_by(figures: dict, name: str) -> list[float]:
    return figures["rows"][name]["run"]["runs"][0]["predicted"]


def test_a_finished_row_is_kept_and_a_changed_one_runs_again(recipe, figures, capsys):
    again = compare(recipe, resamples=50)
    assert again == figures and "ridge" not in capsys.readouterr().err
    compare(recipe, ["rows.ridge.title=other words"], rows=["ridge"], resamples=10)
    assert "ridge" not in capsys.readouterr().err, "words change no figure"
    changed = load_comparison(recipe, ["rows.calm.config.low_queries=0"])
    assert changed.fingerprint("calm") != load_comparison(recipe).fingerprint("calm")
    assert changed.fingerprint("text") == load_comparison(recipe).fingerprint("text")
    steps = load_comparison(recipe, ["stages.speak.steps=9"])
    assert steps.fingerprint("calm") != load_comparison(recipe).fingerprint("calm")
    assert steps.fingerprint("ridge") == load_comparison(recipe).fingerprint("ridge"), "a ridge has no stages"


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
    assert "| calm | CALM |" in text and "text / plain" in text and "as published" in text
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
    wanted = {"nima", "ridge", "mlp", "emd", "projector", "levels", "text", "calm"}
    assert wanted <= set(spec.rows) and all(kind(row.kind) for row in spec.rows.values())
    assert len([name for name in spec.rows if name.startswith("calm-no-")]) == 5


def test_levels_are_fifths_of_the_scale():
    assert [level(score) for score in (1, 2.79, 2.81, 5.5, 9.9, 10)] == [
        "bad",
        "bad",
        "poor",
        "fair",
        "excellent",
        "excellent",
    ]
    assert len(LEVELS) == 5


def test_scores_from_levels_and_from_written_text(recipe):
    spec = load_comparison(recipe)
    model, chat = new_model(spec.model, 0)
    model.eval()
    torch.manual_seed(0)
    visual = torch.randn(3, model.config.visual_tokens, model.config.text_config.hidden_size)
    with torch.inference_mode():
        assert all(1.9 <= value <= 9.1 for value in level_scores(model, chat, visual).tolist())
        assert all(1 <= value <= 10 for value in written_scores(model, chat, visual).tolist())
    said = read_numbers(["7.25 or so", " 3", "good", "99", "0.5"])
    assert said == [7.25, 3.0, 5.5, 10.0, 1.0]


def test_the_tokenizer_tells_levels_apart_by_their_first_token(recipe):
    tokenizer = load_tokenizer(load_comparison(recipe).model.text)
    first = [tokenizer(word, add_special_tokens=False).input_ids[0] for word in LEVELS]
    assert len(set(first)) == len(LEVELS)
