"""Training, judged by what it leaves behind: stages, frozen parts, checkpoints, exact resume, a model that scores."""

from __future__ import annotations

import csv
import hashlib
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import yaml
from parts import SHAPE, write_parts
from safetensors.torch import load_file
from transformers import Dinov2Config, Dinov2Model

from calm.data.looks import LOOKS, look
from calm.errors import CheckpointError, ConfigError
from calm.model.checkpoint import TRAINED, build
from calm.model.configuration import CalmConfig
from calm.model.encoder import check_targets
from calm.readout import soft_score
from calm.tasks.base import Context
from calm.tasks.lessons import SQUARE, Source, lesson_keys
from calm.train.losses import head_losses, score_loss
from calm.train.recipe import load_recipe
from calm.train.run import new_model, train

PHOTOS = 12


def draw_photo(seed: int, width: int = 300, height: int = 260) -> np.ndarray:
    """Shapes and texture, bright or dark by the seed: enough for edits to show."""
    rng = np.random.default_rng(seed)
    photo = np.full((height, width, 3), rng.integers(40, 200, 3), np.uint8)
    for _ in range(12):
        centre = tuple(int(v) for v in rng.integers(0, [width, height]))
        cv2.circle(photo, centre, int(rng.integers(8, 60)), tuple(int(v) for v in rng.integers(0, 255, 3)), -1)
    return np.clip(photo + rng.normal(0, 6, photo.shape), 0, 255).astype(np.uint8)


def write_data(root: Path) -> None:
    """A PARA and a folder of native photos in their published layouts."""
    session = root / "para" / "imgs" / "session1"
    session.mkdir(parents=True)
    annotation = root / "para" / "annotation"
    annotation.mkdir()
    emotions = ["amusement", "awe", "contentment", "disgust", "excitement", "fear", "neutral", "sadness"]
    with open(annotation / "aggregation_1.csv", "w", newline="") as stream:
        table = csv.writer(stream)
        table.writerow(["", "image_label", *emotions, "aesthetic_score"])
        for i in range(PHOTOS + 2):
            name = f"iaa_pub{i}_.jpg"
            cv2.imwrite(str(session / name), cv2.resize(draw_photo(i), (224, 224)))
            table.writerow([i, name, *([1] * 8), 2.0 + 0.2 * (i % 10)])
    (annotation / "PARA-GiaaTest.csv").write_text(
        "imageName,sessionId,semantic,aestheticScore_mean\n"
        + "".join(f"iaa_pub{i}_.jpg,session1,plant,3.0\n" for i in range(PHOTOS, PHOTOS + 2))
    )
    folder = root / "unlabelled"
    folder.mkdir(parents=True)
    for i in range(4 * PHOTOS):
        cv2.imwrite(str(folder / f"{i}.jpg"), draw_photo(100 + i))


def recipe(folder: Path, output: str = "run", steps: int = 4) -> Path:
    """Warm-up, adaptation, then words, on tiny random parts."""
    vision, text = write_parts(folder / "parts")
    lora = {"r": 2, "lora_alpha": 2, "target_modules": ["q_proj", "v_proj"]}
    deep = {"layers_to_transform": [2, 3], "layers_pattern": "layer"}
    edits = {
        "name": "edits",
        "batch": 4,
        "options": {"sources": [{"name": "folder", "folder": "unlabelled", "draws": 1, "native": False}]},
    }
    score = {"name": "score", "batch": 4, "options": {"cached": "finished"}}
    tree = {
        "name": "tiny",
        "seed": 3,
        "model": {
            "vision": vision,
            "text": text,
            "image_token": "<image>",
            "config": SHAPE | {"vision_lora": lora | deep, "text_lora": lora},
        },
        "data": {"root": str(folder / "data"), "cache": str(folder / "cache")},
        "output": str(folder / output),
        "save_every": 0.0,
        "stages": [
            {
                "name": "warm",
                "steps": steps,
                "learn": {"mfam": 1e-3, "heads": 1e-3},
                "read": ["heads"],
                "branches": ["low", "thematic", "statistics", "technique"],
                "standardise": True,
                "tasks": [score, edits],
            },
            {
                "name": "adapt",
                "steps": 2,
                "learn": {"vision": 1e-3},
                "read": ["heads"],
                "patch_dropout": 0.5,
                "tasks": [
                    {"name": "score", "batch": 3, "options": {"looks": list(LOOKS)}},
                    {"name": "score", "batch": 3, "options": {"cached": "started", "looks": ["frame", "mirrored"]}},
                    edits | {"options": edits["options"] | {"cached": "started"}},
                ],
            },
            {
                "name": "words",
                "steps": steps,
                "learn": {"statistics": 1e-3, "language": 1e-3},
                "average": 0.5,
                "read": ["heads", "language"],
                "tasks": [score, edits],
            },
        ],
    }
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(tree))
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Data, recipe and one finished run."""
    folder = tmp_path_factory.mktemp("train")
    write_data(folder / "data")
    train(recipe(folder))
    return folder


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_every_stage_left_its_metrics(folder: Path) -> None:
    rows = [json.loads(line) for line in (folder / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [row["stage"] for row in rows] == ["warm"] * 4 + ["adapt"] * 2 + ["words"] * 4
    assert all(np.isfinite([v for v in row.values() if isinstance(v, float)]).all() for row in rows)
    assert {"score/score", "edits/edits", "edits/amounts"} <= set(rows[0])
    assert {"score/words", "edits/words"} <= set(rows[-1])


def test_only_what_learns_changed(folder: Path) -> None:
    """A stage moves its own parts; the base of encoder and language model is not even saved."""
    before = load_file(folder / "run" / "checkpoint" / "trained.safetensors")
    spec = load_recipe(folder / "recipe.yaml").model
    torch.manual_seed(3)
    model = build(spec.vision, spec.text, image_token_id=3, **spec.config)
    fresh = {name: value for name, value in model.state_dict().items() if name in before}
    moved = {name for name in before if not torch.equal(before[name], fresh[name].float())}
    assert any(name.startswith("vision.") for name in moved) and any(name.startswith("language") for name in moved)
    assert all("lora_" in name for name in before if name.startswith(("vision.", "language_model.")))


def test_statistics_are_standardised_once_and_kept_exactly(folder: Path) -> None:
    """What the branch of statistics reads is centred on the photos of its stage; the constants are not rounded."""
    saved = load_file(folder / "run" / "model" / TRAINED)
    centre, spread = saved["mfam.statistics.centre"], saved["mfam.statistics.spread"]
    assert centre.dtype == spread.dtype == torch.float32 and saved["heads.hidden.judged.weight"].dtype == torch.bfloat16
    assert centre.any() and (spread > 0).all() and not (spread == 1).all()
    assert torch.equal(
        centre, load_file(folder / "run" / "checkpoint" / "trained.safetensors")["mfam.statistics.centre"]
    )


def test_resumed_equals_uninterrupted(folder: Path) -> None:
    """Interrupted twice, inside a stage and between stages, the run ends with the same bytes."""
    path = recipe(folder, output="resumed")
    from calm.train.loop import Trainer

    stops = iter([3, 7])
    limit = [next(stops)]
    original = Trainer._log

    def stopping(self: Trainer, row: dict) -> None:
        original(self, row)
        limit[0] -= 1
        if limit[0] == 0:
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Trainer, "_log", stopping)
        for _ in range(2):
            with pytest.raises(KeyboardInterrupt):
                train(path)
            limit[0] = next(stops, 0)
    train(path)
    assert digest(folder / "resumed" / "model" / TRAINED) == digest(folder / "run" / "model" / TRAINED)


def test_where_the_encoder_forks_scores_do_not_disturb_edits(folder: Path, tmp_path: Path) -> None:
    """Adapters that one branch alone reads are taught; the tokens of every other branch stay what they were."""
    tree = yaml.safe_load(recipe(folder).read_text())
    tree["model"]["config"]["adapted_branches"] = ["statistics"]
    tree["stages"][1]["learn"] = {"vision": 1e-2, "statistics": 1e-3}
    tree["stages"][1]["branches"] = ["statistics"]
    tree["stages"][1]["tasks"].pop()
    tree["stages"][2]["learn"] = {"language": 1e-3}
    paths = {}
    for stages in (1, 3):
        tree["output"] = str(tmp_path / str(stages))
        path = tmp_path / f"{stages}.yaml"
        path.write_text(yaml.safe_dump(tree | {"stages": tree["stages"][:stages]}))
        paths[stages] = train(path)
    before, after = (load_file(paths[stages] / TRAINED) for stages in (1, 3))
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert {name.split(".")[0] for name in moved} == {"vision", "mfam", "language_model"}
    assert all(name.startswith("mfam.statistics.layers") for name in moved if name.startswith("mfam"))
    features = folder / "cache" / "features"
    assert {"para", "para-trunk"} < {path.name for path in features.iterdir()}
    from calm.predictor import Predictor

    view = torch.randn(1, 1, 3, 56, 56)
    old, new = (Predictor.load(paths[stages]).model for stages in (1, 3))
    with torch.no_grad():
        old_tokens, new_tokens = (model.align(**model.encode(view)) for model in (old, new))
    assert torch.equal(old_tokens["low"], new_tokens["low"])
    assert not torch.equal(old_tokens["statistics"], new_tokens["statistics"])


def test_other_looks_come_from_caches_of_their_own(folder: Path) -> None:
    """Samples of a photo are features of it, of its mirror image or of a step closer; validation sees it as it is."""
    from calm.data.rated import read_whole
    from calm.data.views import normalise
    from calm.tasks.base import Context
    from calm.tasks.score import ScoreTask

    spec = load_recipe(folder / "recipe.yaml")
    model, _ = new_model(spec.model, spec.seed)
    context = Context(folder / "data", folder / "cache", model.config, folder / "run")
    task = ScoreTask(context, cached="started", looks=LOOKS)
    task.prepare(model)
    frame = read_whole(task.photos[0].record.path, model.config.image_size)
    seen = normalise(frame[None], model.config.image_mean, model.config.image_std)
    with torch.inference_mode():
        ways = model.start(torch.cat([look(seen, name) for name in LOOKS])).half().numpy()
    drawn = [task.sample(0, np.random.default_rng(i)).started for i in range(30)]
    kinds = [min((np.abs(each - one).max(), i) for i, one in enumerate(ways)) for each in drawn]
    assert {kind for _, kind in kinds} == {0, 1, 2} and max(distance for distance, _ in kinds) < 0.02
    assert len(ScoreTask(context, cached="started", looks=LOOKS, split="validation").frames) == 1


def test_photos_may_be_read_without_a_part_of_their_rim(folder: Path) -> None:
    """In training alone, elsewhere each time; never beside cached features."""
    from calm.tasks.base import Context
    from calm.tasks.score import ScoreTask

    model, _ = new_model(load_recipe(folder / "recipe.yaml").model, 0)
    context = Context(folder / "data", folder / "cache", model.config, folder / "run")

    def read(**options: object) -> list[np.ndarray]:
        task = ScoreTask(context, **options)
        return [task.sample(0, np.random.default_rng(i)).views for i in range(3)]

    whole, cut = read(), read(cut=0.5)
    assert cut[0].shape == whole[0].shape and np.array_equal(whole[0], whole[1])
    assert not np.array_equal(cut[0], cut[1]) and not np.array_equal(cut[0], whole[0])
    assert np.array_equal(*read(cut=0.5, split="validation")[:2])
    for wrong in ({"cut": 1.0}, {"cut": 0.1, "cached": "started"}):
        with pytest.raises(ConfigError, match="expected cut from 0 to below 1"):
            ScoreTask(context, **wrong)


def test_a_checkpoint_of_another_recipe_is_refused(folder: Path) -> None:
    path = recipe(folder, steps=9)
    with pytest.raises(CheckpointError, match="name another output folder"):
        train(path)
    recipe(folder)


def test_a_part_without_adapters_cannot_learn(folder: Path, tmp_path: Path) -> None:
    tree = yaml.safe_load(recipe(folder).read_text())
    tree["model"]["config"]["vision_lora"] = None
    tree["output"] = str(tmp_path / "out")
    tree["stages"] = [tree["stages"][1]]
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(tree))
    with pytest.raises(ConfigError, match="give vision_lora in the recipe"):
        train(path)


def test_a_part_and_what_it_contains_do_not_learn_together(folder: Path, tmp_path: Path) -> None:
    tree = yaml.safe_load(recipe(folder).read_text())
    tree["output"] = str(tmp_path / "out")
    tree["stages"] = [tree["stages"][0]]
    tree["stages"][0]["learn"] = {"mfam": 1e-3, "technique": 1e-3}
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(tree))
    with pytest.raises(ConfigError, match="found mfam and technique; leave one of them out"):
        train(path)


def test_draws_of_one_photo_in_two_sources_are_two_lessons(folder: Path) -> None:
    context = Context(folder / "data", folder / "cache", CalmConfig())
    sources = [
        Source("folder", "unlabelled", draws=2),
        Source("folder", "unlabelled", first=100, attributes=("tilt",)),
    ]
    keys = lesson_keys(context, sources)
    photos = len(keys) // 3
    assert photos and len(set(keys)) == len(keys)
    assert sorted({key.split(":")[1] for key in keys}) == ["0", "1", "100"]
    assert sources[0].chosen is None and list(sources[1].chosen or ()) == ["tilt"]
    assert Source("folder", native=False).chosen == SQUARE


def test_overrides_and_unknown_keys(folder: Path) -> None:
    path = folder / "recipe.yaml"
    spec = load_recipe(path, ["stages.adapt.steps=7", "data.root=/elsewhere"])
    assert spec.stages[1].steps == 7 and str(spec.data.root) == "/elsewhere"
    with pytest.raises(ConfigError, match="stages.0.colour"):
        load_recipe(path, ["stages.warm.colour=red"])
    with pytest.raises(ConfigError, match="expected key=value"):
        load_recipe(path, ["nonsense"])


def test_soft_score_keeps_its_mean() -> None:
    for mean in (3.0, 5.37, 8.2):
        target = soft_score(mean)
        assert abs(float(target @ torch.arange(1.0, 11.0)) - mean) < 0.02
        assert abs(float(target.sum()) - 1) < 1e-6


def test_score_loss_is_least_at_its_target() -> None:
    target = soft_score(6.2)[None]
    at = score_loss(target.log(), target)
    assert at < score_loss(soft_score(5.2)[None].log(), target)
    assert at < score_loss(torch.zeros(1, 10), target)


def test_absent_targets_teach_nothing() -> None:
    outputs = {"score": torch.zeros(2, 10, requires_grad=True), "quality": torch.zeros(2, 1, requires_grad=True)}
    nothing = torch.full((2, 10), torch.nan)
    half = torch.tensor([[5.0], [torch.nan]])
    losses = head_losses(outputs, {"score": nothing, "quality": half})
    assert set(losses) == {"quality"}
    losses["quality"].backward()
    assert outputs["quality"].grad[1].item() == 0 and outputs["quality"].grad[0].item() != 0


@pytest.mark.parametrize("task", ["score", "comment", "suggest"])
def test_the_trained_folder_answers_through_the_command_line(
    folder: Path, task: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """End to end: what was trained on tiny random parts scores, comments and suggests."""
    from calm.cli import main

    photo = next((folder / "data" / "unlabelled").iterdir())
    model = folder / "run" / "model"
    with pytest.raises(SystemExit) as end:
        main([task, str(photo), "--model", str(model), "--format", "jsonl"])
    row = json.loads(capsys.readouterr().out)
    assert not end.value.code and row["status"] == "ok"
    assert 1 <= row["score"] <= 10 and abs(sum(row["distribution"]) - 1) < 1e-6
    assert abs(sum(i * p for i, p in enumerate(row["distribution"], 1)) - row["score"]) < 1e-6
    assert {"score": True, "comment": "comment" in row, "suggest": isinstance(row.get("suggestions"), list)}[task]


def test_the_trained_folder_knows_its_photos(folder: Path) -> None:
    """Training photos are named by hash; test photos are not among them."""
    known = set((folder / "run" / "model" / "trained_on.txt").read_text().split())
    session = folder / "data" / "para" / "imgs" / "session1"
    hashes = {path.name: digest(path)[:8] for path in session.iterdir()}
    assert {hashes[f"iaa_pub{i}_.jpg"] for i in range(PHOTOS, PHOTOS + 2)}.isdisjoint(known)
    assert len(known & set(hashes.values())) >= PHOTOS - 2


@pytest.mark.parametrize(
    "path", sorted((Path(__file__).parent.parent / "recipes").glob("calm-*.yaml")), ids=lambda path: path.stem
)
def test_shipped_recipes_are_valid(path: Path) -> None:
    """Every recipe reads, and names parts that can learn and layers that are there."""
    spec = load_recipe(path)
    if spec.model.config.get("vision_lora"):
        encoder = Dinov2Model(Dinov2Config(hidden_size=12, num_attention_heads=2, num_hidden_layers=1, mlp_ratio=1))
        check_targets(encoder, spec.model.config["vision_lora"]["target_modules"])
    parts = {part for stage in spec.stages for part in stage.learn}
    heart = {"judge": "statistics", "people": "examples", "lite": "pyramid"}
    assert heart.get(path.stem.rsplit("-", 1)[-1], "mfam") in parts
    assert all(stage.tasks for stage in spec.stages)
    for part, adapters in (("vision", "vision_lora"), ("language", "text_lora")):
        learns = spec.model.config.get(adapters) or (part == "language" and spec.model.config.get("text_learns"))
        assert part not in parts or learns
