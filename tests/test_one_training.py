"""``calm train`` of the one network on tiny parts and drawn data sets: every stage, resume, what is left behind."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
import torch
import yaml
from layouts import biq, corel, draw_again, para
from parts import tiny_recipe, write_parts

from calm.data import hashes
from calm.errors import ConfigError, DataError
from calm.inference.pipeline import Pipeline
from calm.train import run as training
from calm.train.examples import Drawer, Example
from calm.train.knowledge import build_vocabulary, gather, read_names, read_soft
from calm.train.shooting import Shooter
from calm.train.shots import Known
from calm.train.trainer import Trainer
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
    monkeypatch.setattr(training, "subjects", lambda photos: {})
    root = tmp_path / "data"
    corel(root / "corel5k")
    para(root / "para")
    biq(root / "biq")
    draw_again(root, 300, 240)
    words = root / "corel5k/labels"
    (words / "words").write_text("city\nmountain\nsky\n")
    monkeypatch.setattr(training, "build_vocabulary", lambda known: Vocabulary(["city", "mountain", "sky"]))
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
        {"name": "score", "steps": 2, "read": False, "text": False, "rates": {"score": 1e-3}},
        {"name": "read", "steps": 2, "rates": {"alignment": 1e-4, "answers": 1e-3, "language": 1e-3}, "prose": 1},
    ]
    batch = {"rated": 2, "named": 1, "edited": 2, "blank": 1}
    tree = tiny_recipe(
        *(vision, text, SHAPE, {"root": str(root), "cache": str(tmp_path / "cache")}),
        photos={"rated": 4, "named": 2, "edited": 2, "blank": 2},
        stages=[each | {"batch": batch, "rows": 6} for each in stages],
        output=str(tmp_path / "trained"),
    )
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(tree))
    return path


def test_every_stage_learns_and_the_folder_answers(recipe: Path) -> None:
    folder = training.train(recipe)
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


def test_the_score_learns_from_the_summaries_that_it_is_read_from(
    recipe: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the stage that leaves all else out; guards against kept summaries of another photo or another encoder."""
    found, scores = [], Trainer._scores

    def both(self: Trainer, examples: list[Example]) -> torch.Tensor:
        self.model.eval()
        found.append((scores(self, examples).detach(), self.see(examples).score))
        self.model.train()
        return scores(self, examples)

    monkeypatch.setattr(Trainer, "_scores", both)
    training.train(recipe)
    assert len(found) == 2
    for alone, whole in found:
        torch.testing.assert_close(alone.float(), whole.float(), atol=0.02, rtol=0.02)
        assert alone.std(dim=0).max() > 0.05, "photos differ by more than the tolerance"


def test_a_second_run_has_nothing_to_do_and_a_third_begins_from_the_first(recipe: Path) -> None:
    """Guards against features that are computed again, and against a beginning that is not taken."""
    folder = training.train(recipe)
    stored = (folder / "manifest.json").read_text()
    cache = sorted(path.stat().st_mtime_ns for path in (recipe.parent / "cache").rglob("*.npy"))
    assert (training.train(recipe) / "manifest.json").read_text() == stored
    assert sorted(path.stat().st_mtime_ns for path in (recipe.parent / "cache").rglob("*.npy")) == cache
    other = recipe.parent / "other"
    training.train(
        recipe,
        [f"output={other}", f"init={folder}", "stages.align.steps=0", "stages.score.steps=0", "stages.read.steps=0"],
    )
    assert (other / "manifest.json").read_text() == stored


def test_a_changed_edit_never_meets_an_old_example(recipe: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    training.train(recipe)
    source, cache = recipe.parent / "source", recipe.parent / "cache"
    shutil.copytree(hashes.SOURCE, source, ignore=shutil.ignore_patterns("models", "__pycache__"))
    monkeypatch.setattr(hashes, "SOURCE", source)
    before = set(cache.iterdir())
    training.train(recipe)
    (source / "train/examples.py").write_text("exchanges are drawn anew in every run")
    training.train(recipe)
    assert set(cache.iterdir()) == before, "nothing that features depend on has changed"
    exposure = source / "edits/exposure.py"
    exposure.write_text(exposure.read_text().replace('"increase": 2.3', '"increase": 2.4'))
    training.train(recipe)
    assert {path.name.split("-")[0] for path in set(cache.iterdir()) - before} >= {"edited"}


def test_features_that_were_cut_short_are_computed_again(recipe: Path) -> None:
    """Guards against a list of shots that ends in the middle."""
    training.train(recipe)
    for path in (recipe.parent / "cache").glob("*/shots.jsonl"):
        path.rename(path.with_name("rows"))
    training.train(recipe)
    assert len(list((recipe.parent / "cache").glob("*/shots.jsonl"))) == 4


def test_a_stage_without_photos_is_said_before_training(recipe: Path) -> None:
    with pytest.raises(DataError, match="photos or texts for blank in stage align"):
        training.train(recipe, ["photos.blank=0"])


def test_soft_labels_belong_to_the_bytes_of_a_photo(recipe: Path, tmp_path: Path) -> None:
    root = recipe.parent / "data"
    path = sorted((root / "biq/Images").iterdir())[0]
    table = {"sha256": [hashlib.sha256(path.read_bytes()).hexdigest()], "probabilities": [[0] * 9 + [255]]}
    pyarrow.parquet.write_table(pyarrow.table(table), tmp_path / "soft.parquet")
    known = gather(root, "train", read_soft(tmp_path / "soft.parquet"))
    assert [photo.path for photo in known if photo.soft] == [str(path)]
    assert next(photo.soft for photo in known if photo.soft)[-1] == 1.0


def test_what_was_detected_counts_where_no_label_says_what_is_shown(recipe: Path, tmp_path: Path) -> None:
    root = recipe.parent / "data"
    photos = gather(root)
    rows = {hashlib.sha256(Path(each.path).read_bytes()).hexdigest(): ["teddy bears"] for each in photos}
    table = {"sha256": list(rows), "names": list(rows.values())}
    pyarrow.parquet.write_table(pyarrow.table(table), tmp_path / "names.parquet")
    known = gather(root, names=read_names(tmp_path / "names.parquet"))
    vocabulary = build_vocabulary(known)
    assert known and all(vocabulary.of(each) == ["teddy bear"] for each in known)
    assert vocabulary.of(replace(known[0], captions=("A teddy bear and a dog.",), detected=("dog",))) == ["teddy bear"]


def test_a_blank_frame_names_nothing_and_scores_low() -> None:
    drawer, shoot = Drawer(Vocabulary(["sky"])), Shooter(size=56)
    for seed in range(20):
        rng = np.random.default_rng(seed)
        found = drawer.example(shoot("blank", Known("blank:0", "blank"), rng), rng)
        drawer.speak(found, rng)
        assert found.words == [] and float(np.arange(1, 11) @ np.array(found.score)) < 1.5
        assert all("nothing" in each.answer.lower() for each in found.exchanges if each.kind == "text")


def test_a_recipe_that_does_not_fit_is_one_line(recipe: Path) -> None:
    with pytest.raises(ConfigError, match="found at stages.0.steps"):
        training.load_recipe(recipe, ["stages.align.steps=many"])
