"""``calm train`` of the one network on tiny parts and drawn data sets: every stage, resume, what is left behind."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import cv2
import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
import yaml
from layouts import biq, corel, para
from parts import write_parts

from calm.errors import ConfigError, DataError
from calm.inference.pipeline import Pipeline
from calm.train import one
from calm.train.examples import Drawer, Known
from calm.train.knowledge import gather, read_soft
from calm.train.vocabulary import Vocabulary

SHAPE = {
    "image_size": 56,
    "branches": {name: {"queries": 2, "layers": [i, i + 1]} for i, name in enumerate(("low", "middle", "high"), 1)},
    "thematic_grid": 2,
    "words": 2,
    "qformer_layers": 1,
    "qformer_heads": 2,
    "qformer_hidden": 32,
    "vision_lora": {
        "r": 2,
        "lora_alpha": 2,
        "target_modules": ["q_proj"],
        "layers_to_transform": [3],
        "layers_pattern": "layer",
    },
    "attribute_tokens": 1,
    "text_lora": {"r": 2, "lora_alpha": 2, "target_modules": ["q_proj", "v_proj"]},
}


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A recipe of two stages and the data it needs; maps of subjects are left out."""
    monkeypatch.setattr(one, "subjects", lambda photos: {})
    root = tmp_path / "data"
    corel(root / "corel5k")
    para(root / "para")
    biq(root / "biq")
    rng = np.random.default_rng(0)
    for path in [*root.rglob("*.jpeg"), *(root / "biq/Images").iterdir()]:
        cv2.imwrite(str(path), cv2.resize(rng.integers(0, 255, (8, 10, 3), dtype=np.uint8), (300, 240)))
    words = root / "corel5k/labels"
    (words / "words").write_text("city\nmountain\nsky\n")
    monkeypatch.setattr(one, "build_vocabulary", lambda known: one.Vocabulary(["city", "mountain", "sky"]))
    (root / "dpc").mkdir()
    comments = {"1.jpg": ["The light is soft and beautiful. The colors of it are lovely and rich."]}
    (root / "dpc/impression_and_subject.json").write_text(json.dumps(comments))
    vision, text = write_parts(tmp_path / "parts")
    stages = [
        {
            "name": "align",
            "steps": 2,
            "read": False,
            "text": False,
            "rates": {"alignment": 1e-3, "lexicon": 1e-3, "vision": 1e-3},
        },
        {"name": "read", "steps": 2, "rates": {"alignment": 1e-4, "answers": 1e-3, "language": 1e-3}, "prose": 1},
    ]
    tree = {
        "name": "tiny",
        "vision": vision,
        "text": text,
        "config": SHAPE,
        "compile": False,
        "data": {"root": str(root), "cache": str(tmp_path / "cache")},
        "photos": {"rated": 4, "named": 2, "edited": 2, "blank": 2},
        "stages": [each | {"batch": {"rated": 2, "named": 1, "edited": 2, "blank": 1}, "rows": 6} for each in stages],
        "output": str(tmp_path / "trained"),
    }
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(tree))
    return path


def test_every_stage_learns_and_the_folder_answers(recipe: Path) -> None:
    folder = one.train(recipe)
    rows = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    assert all(np.isfinite(value) for row in rows for value in row.values() if isinstance(value, float))
    assert len((folder / "trained_on.txt").read_text().split()) >= 4
    pipeline = Pipeline.load(folder)
    assert pipeline.trained_on
    from calm.data.images import load_photo

    photo = load_photo(next((recipe.parent / "data/biq/Images").iterdir()))
    ((score, suggestions),) = pipeline.suggest([photo], least=0.0)
    assert 1 <= score.value <= 10 and sum(score.distribution) == pytest.approx(1)
    assert len(suggestions) == 3 and suggestions[0].confidence >= suggestions[-1].confidence
    ((again, comment),) = pipeline.comment([photo])
    assert again == score, "comment and suggest report the score of score"
    assert isinstance(comment.text, str)


def test_a_second_run_has_nothing_to_do_and_a_third_begins_from_the_first(recipe: Path) -> None:
    """Guards against features that are computed again, and against a beginning that is not taken."""
    folder = one.train(recipe)
    stored = (folder / "manifest.json").read_text()
    cache = sorted(path.stat().st_mtime_ns for path in (recipe.parent / "cache").rglob("*.npy"))
    assert (one.train(recipe) / "manifest.json").read_text() == stored
    assert sorted(path.stat().st_mtime_ns for path in (recipe.parent / "cache").rglob("*.npy")) == cache
    other = recipe.parent / "other"
    one.train(recipe, [f"output={other}", f"init={folder}", "stages.align.steps=0", "stages.read.steps=0"])
    assert (other / "manifest.json").read_text() == stored


def test_a_stage_without_photos_is_said_before_training(recipe: Path) -> None:
    with pytest.raises(DataError, match="photos or texts for blank in stage align"):
        one.train(recipe, ["photos.blank=0"])


def test_soft_labels_belong_to_the_bytes_of_a_photo(recipe: Path, tmp_path: Path) -> None:
    root = recipe.parent / "data"
    path = sorted((root / "biq/Images").iterdir())[0]
    table = {"sha256": [hashlib.sha256(path.read_bytes()).hexdigest()], "probabilities": [[0] * 9 + [255]]}
    pyarrow.parquet.write_table(pyarrow.table(table), tmp_path / "soft.parquet")
    known = gather(root, "train", read_soft(tmp_path / "soft.parquet"))
    assert [photo.path for photo in known if photo.soft] == [str(path)]
    assert next(photo.soft for photo in known if photo.soft)[-1] == 1.0


def test_a_blank_frame_names_nothing_and_scores_low() -> None:
    drawer = Drawer(Vocabulary(["sky"]), size=56)
    for seed in range(20):
        rng = np.random.default_rng(seed)
        found = drawer.example(drawer.shoot("blank", Known("blank:0", "blank"), rng), rng)
        drawer.speak(found, rng)
        assert found.words == [] and float(np.arange(1, 11) @ np.array(found.score)) < 1.5
        assert all("nothing" in each.answer.lower() for each in found.exchanges if each.kind == "text")


def test_a_recipe_that_does_not_fit_is_one_line(recipe: Path) -> None:
    with pytest.raises(ConfigError, match="found at stages.0.steps"):
        one.load_recipe(recipe, ["stages.align.steps=many"])
