"""A convolutional pyramid beside the encoder: the same function folded, NIMA's own weights, its say in the score."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import yaml
from parts import SHAPE, write_parts, write_pyramid
from safetensors.torch import load_file
from scipy import stats
from test_judge import photo, photos
from test_train import recipe, write_data
from transformers import MobileNetV1Model, ResNetConfig, ResNetModel

from calm.data.rated import read_whole
from calm.data.views import normalise
from calm.errors import ConfigError, WeightsError
from calm.model.checkpoint import TRAINED, build, load, load_tokenizer, save_trained, trained_state
from calm.model.pyramid import PYRAMID, SAYS
from calm.model.semantics import MEAN, SPREAD, Semantics
from calm.model.weights import NIMA, folder_sha256, packaged_dir
from calm.predictor import Predictor
from calm.readout import SCORES
from calm.tasks.base import Context
from calm.tasks.score import ScoreTask
from calm.train.recipe import load_recipe
from calm.train.run import new_model, train
from calm.train.validate import Validator


@pytest.fixture(scope="module")
def parts(tmp_path_factory) -> tuple[str, str, str]:
    folder = tmp_path_factory.mktemp("parts")
    return *write_parts(folder), write_pyramid(folder / "pyramid")


def model_of(parts: tuple[str, str, str], **settings):
    torch.manual_seed(0)
    return build(*parts[:2], torch.float32, pyramid=parts[2], **SHAPE | settings).eval()


def write_model(folder: Path, parts: tuple[str, str, str], share: float, compact: tuple[str, ...] = ()) -> Path:
    model = model_of(parts, pyramid_share=share)
    save_trained(model, folder, load_tokenizer(parts[1]), compact=compact)
    (folder / "calibration.json").write_text('{"score_heads": 1.0}')
    return folder


def test_folded_norms_change_nothing(parts):
    """Frames come in as the encoder wants them and reach the network on its own scale, -1 to 1."""
    model, plain = model_of(parts), MobileNetV1Model.from_pretrained(parts[2]).eval()
    pixels = torch.rand(3, 3, 56, 56)
    mean, std = (torch.tensor(each).view(3, 1, 1) for each in (model.config.image_mean, model.config.image_std))
    with torch.inference_mode():
        told = model.pyramid.pooled((pixels - mean) / std)
        torch.testing.assert_close(told, plain(pixels * 2 - 1).pooler_output, atol=1e-4, rtol=1e-4)
        assert told.std(dim=0).max() > 1e-3
    assert not any(isinstance(each, torch.nn.BatchNorm2d) for each in model.pyramid.modules())


def test_a_network_whose_norms_cannot_be_folded_is_refused(parts, tmp_path):
    ResNetModel(ResNetConfig(embedding_size=4, hidden_sizes=[4], depths=[1])).save_pretrained(tmp_path)
    model = model_of((*parts[:2], str(tmp_path)))
    assert model.pyramid is not None  # its layers are built alike
    from transformers import EfficientNetConfig, EfficientNetModel

    small = EfficientNetConfig(width_coefficient=0.1, depth_coefficient=0.1, hidden_dim=8)
    EfficientNetModel(small).save_pretrained(tmp_path / "other")
    with pytest.raises(ConfigError, match="side by side"):
        model_of((*parts[:2], str(tmp_path / "other")))


def test_nima_is_what_its_file_says(tmp_path, monkeypatch):
    """The converted network against the layers of the file one by one, padded as TensorFlow does."""
    import h5py

    monkeypatch.setenv("CALM_CACHE", str(tmp_path))
    folder = packaged_dir("nima")
    model, head = MobileNetV1Model.from_pretrained(folder).eval(), load_file(folder / "head.safetensors")
    frames = torch.rand(2, 3, 224, 224, generator=torch.Generator().manual_seed(0)) * 2 - 1

    def padded(x: torch.Tensor, stride: int) -> torch.Tensor:
        size = max((-(-x.shape[2] // stride) - 1) * stride + 3 - x.shape[2], 0)
        return F.pad(x, (size // 2, size - size // 2, size // 2, size - size // 2))

    with h5py.File(NIMA.locate()) as file, torch.inference_mode():

        def read(layer: str, name: str) -> torch.Tensor:
            return torch.from_numpy(file[f"{layer}/{layer}/{name}:0"][()])

        def normed(x: torch.Tensor, name: str) -> torch.Tensor:
            mean, variance = read(name, "moving_mean"), read(name, "moving_variance")
            return F.batch_norm(x, mean, variance, read(name, "gamma"), read(name, "beta"), eps=1e-3).clamp(0, 6)

        x = normed(F.conv2d(padded(frames, 2), read("conv1", "kernel").permute(3, 2, 0, 1), stride=2), "conv1_bn")
        for block in range(1, 14):
            stride = 2 if block in (2, 4, 6, 12) else 1
            each = read(f"conv_dw_{block}", "depthwise_kernel").permute(2, 3, 0, 1)
            x = normed(F.conv2d(padded(x, stride), each, stride=stride, groups=len(each)), f"conv_dw_{block}_bn")
            point = read(f"conv_pw_{block}", "kernel").permute(3, 2, 0, 1)
            x = normed(F.conv2d(x, point), f"conv_pw_{block}_bn")
        wanted = (x.mean(dim=(2, 3)) @ read("dense_1", "kernel") + read("dense_1", "bias")).softmax(dim=1)
        said = F.linear(model(frames).pooler_output, head["weight"], head["bias"]).softmax(dim=1)
    torch.testing.assert_close(said, wanted, atol=1e-5, rtol=1e-4)
    assert (said @ SCORES).std() > 1e-4


def test_a_packaged_head_is_where_the_score_begins(parts, tmp_path):
    from safetensors.torch import save_file

    folder = Path(write_pyramid(tmp_path))
    wanted = torch.randn(10, model_of(parts).pyramid.out["score"].in_features)
    save_file({"weight": wanted, "bias": torch.zeros(10)}, folder / "head.safetensors")
    assert torch.equal(model_of((*parts[:2], str(folder))).pyramid.out["score"].weight, wanted)


def test_the_pyramid_has_its_share_of_the_score(parts, tmp_path):
    seen = photos()
    folders = [write_model(tmp_path / f"{share}", parts, share) for share in (0.0, 0.25, 1.0)]
    predictors = [Predictor.load(folder, dtype=torch.float32) for folder in folders]
    none, some, all_ = (np.array([each.distribution for each in p.score(seen)]) for p in predictors)
    assert np.abs(none - all_).max() > 1e-3
    np.testing.assert_allclose(some, 0.75 * none + 0.25 * all_, atol=1e-6)
    with torch.inference_mode():
        own = predictors[2].model.pyramid(predictors[2].whole_views(seen)[:, 0])["score"].softmax(dim=1)
    np.testing.assert_allclose(all_, own, atol=1e-5)
    assert [score for score, _ in predictors[1].suggest(seen)] == predictors[1].score(seen)


def test_the_pyramid_may_see_a_photo_and_its_mirror_image(parts, tmp_path):
    model = model_of(parts, pyramid_share=1.0, pyramid_looks=["frame", "mirrored"])
    save_trained(model, tmp_path, load_tokenizer(parts[1]))
    (tmp_path / "calibration.json").write_text('{"score_heads": 1.0}')
    predictor, seen = Predictor.load(tmp_path, dtype=torch.float32), photos()
    mirrored = [photo(np.ascontiguousarray(each.pixels[:, ::-1]), i) for i, each in enumerate(seen)]
    one, other = ([score.value for score in predictor.score(each)] for each in (seen, mirrored))
    assert one == pytest.approx(other, abs=1e-4)
    predictor.model.pyramid.looks = ["frame"]
    assert [score.value for score in predictor.score(seen)] != pytest.approx(one, abs=1e-4)
    with pytest.raises(ConfigError, match="expected pyramid_looks among"):
        model_of(parts, pyramid_looks=["sideways"])


def test_a_score_does_not_depend_on_company(parts, tmp_path):
    predictor = Predictor.load(write_model(tmp_path, parts, 1.0), dtype=torch.float32)
    predictor.model.pyramid.hasten(torch.float32, 4)
    seen = photos(6)
    together = [score.value for score in predictor.score(seen)]
    assert together == pytest.approx([predictor.score([each])[0].value for each in seen], abs=1e-5)


def test_eight_bits_keep_what_it_says(parts, tmp_path, monkeypatch):
    monkeypatch.setattr("calm.model.compact.SHORT", 8)  # the rows of a tiny network are short
    whole = load(write_model(tmp_path / "whole", parts, 1.0), torch.float32).eval()
    packed = load(write_model(tmp_path / "packed", parts, 1.0, ("pyramid.model.",)), torch.float32).eval()
    frames = torch.rand(2, 3, 56, 56)
    with torch.inference_mode():
        for name in SAYS:
            assert torch.allclose(whole.pyramid(frames)[name], packed.pyramid(frames)[name], atol=0.05), name
    sizes = [(tmp_path / name / TRAINED).stat().st_size for name in ("whole", "packed")]
    assert sizes[1] < sizes[0]


def stage(**more) -> dict:
    score = {"name": "score", "batch": 4, "options": {"looks": ["frame", "mirrored"]}}
    return {"name": "pyramid", "steps": 2, "learn": {"pyramid": 1e-3}, "read": ["pyramid"], "tasks": [score]} | more


@pytest.fixture(scope="module")
def tree(parts, tmp_path_factory) -> dict:
    """A recipe of this stage alone."""
    folder = tmp_path_factory.mktemp("train")
    write_data(folder / "data")
    tree = yaml.safe_load(recipe(folder).read_text())
    tree["model"]["pyramid"] = parts[2]
    tree["model"]["config"]["pyramid_frozen"] = 3
    return tree | {"stages": [stage()]}


def run(tree: dict, folder: Path) -> Path:
    (folder / "recipe.yaml").write_text(yaml.safe_dump(tree | {"output": str(folder / "run")}))
    return train(folder / "recipe.yaml")


def test_only_the_later_convolutions_learn(tree, parts, tmp_path):
    before = tree | {"stages": [stage(steps=0)]}
    for name in ("before", "after"):
        (tmp_path / name).mkdir()
    old, new = (load_file(run(each, tmp_path / n) / TRAINED) for n, each in (("before", before), ("after", tree)))
    changed = {name for name in new if not torch.equal(old[name], new[name])}
    assert changed and all(name.startswith("pyramid.") for name in changed)
    still = {f"pyramid.model.{n}" for n in ("conv_stem", "layer.0", "layer.1")}
    assert not {name for name in changed if name.rsplit(".convolution", 1)[0] in still}
    assert "pyramid.model.layer.2.convolution.weight" in changed
    rows = (tmp_path / "after" / "run" / "metrics.jsonl").read_text().splitlines()
    assert {"score/score", "score/correlation"} <= set(json.loads(rows[-1]))


def test_validation_measures_the_pyramid(tree, tmp_path):
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(tree))
    spec = load_recipe(tmp_path / "recipe.yaml")
    model, chat = new_model(spec.model, spec.seed)
    context = Context(spec.data.root, spec.data.cache, model.config, tmp_path)
    validator, task = Validator(context, chat), ScoreTask(context)
    model.eval()
    figures = validator._measure(model, "score", validator._draw(task), spec.stages[0])
    frames = np.stack([read_whole(photo.record.path, model.config.image_size) for photo in task.photos])
    with torch.inference_mode():
        said = model.pyramid(normalise(frames, model.config.image_mean, model.config.image_std))["score"].softmax(dim=1)
    wanted = stats.pearsonr(said @ SCORES, [photo.score for photo in task.photos]).statistic
    assert figures["validation/pyramid-plcc"] == pytest.approx(wanted, abs=0.05)  # it may measure in bfloat16
    assert set(figures) == {"validation/pyramid-plcc", "validation/pyramid-srcc"}


def test_a_pyramid_reads_pixels(tree, tmp_path):
    cached = stage(tasks=[{"name": "score", "batch": 4, "options": {"cached": "finished"}}])
    with pytest.raises(ConfigError, match="without cached"):
        run(tree | {"stages": [cached]}, tmp_path)


def test_a_trained_folder_brings_its_own_weights(parts, tmp_path):
    """The packaged network that it began with is not asked for again."""
    folder = write_model(tmp_path / "model", parts, 0.5)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"pyramid_source": "packaged:gone"}))
    state = trained_state(load(folder, torch.float32))
    assert all(torch.equal(state[name], value) for name, value in load_file(folder / TRAINED).items())


def test_a_pyramid_of_another_run_joins_a_model(tree, parts, tmp_path):
    """A run of pyramids alone leaves a file; in another model's folder it takes its share from all others."""
    alone = tree | {"model": tree["model"] | {"config": tree["model"]["config"] | {"pyramid_share": 0.5}}}
    (tmp_path / "run").mkdir()
    trained = run(alone, tmp_path / "run")
    left = trained.parent / PYRAMID
    seen, folder = photos(), write_model(tmp_path / "model", parts, 0.25)

    def score() -> np.ndarray:
        predictor = Predictor.load(folder, dtype=torch.float32)
        return np.array([each.distribution for each in predictor.score(seen)])

    before, before_sha = score(), folder_sha256(folder)
    (folder / PYRAMID).write_bytes(left.read_bytes())
    (trained / "calibration.json").write_text('{"score_heads": 1.0}')
    own = Predictor.load(trained, dtype=torch.float32)
    with torch.inference_mode():
        said = own.model.pyramid(own.whole_views(seen)[:, 0])["score"].softmax(dim=1).double().numpy()
    # Of the score the first pyramid keeps its quarter, the new one takes half, the encoder's judge has what is left.
    (folder / "config.json").write_text(
        json.dumps(json.loads((folder / "config.json").read_text()) | {"pyramid_share": 0.0})
    )
    after = score()
    (folder / PYRAMID).unlink()
    alone_without = score()
    np.testing.assert_allclose(after, 0.5 * alone_without + 0.5 * said, atol=5e-3)
    assert np.abs(after - before).max() > 1e-3
    (folder / PYRAMID).write_bytes(left.read_bytes())
    folder_sha256.cache_clear()
    assert folder_sha256(folder) != before_sha, "what was remembered of the model's answers holds no longer"
    (folder / "pyramid-2.safetensors").write_bytes(left.read_bytes())
    (folder / "pyramid-3.safetensors").write_bytes(left.read_bytes())
    with pytest.raises(ConfigError, match=r"shares of the score are 1 at most together, found 1\.5"):
        Predictor.load(folder)


def test_a_file_that_holds_no_pyramid_is_refused(parts, tmp_path):
    folder = write_model(tmp_path, parts, 0.25)
    (folder / PYRAMID).write_bytes((folder / TRAINED).read_bytes())
    with pytest.raises(WeightsError, match="expected a pyramid in .*pyramid.safetensors, found"):
        Predictor.load(folder)


def test_a_lite_network_can_be_a_pyramid_whose_kernels_of_single_channels_stay(parts):
    folder = str(packaged_dir("lite0"))
    pyramid = model_of((*parts[:2], folder), pyramid_kernels=False, pyramid_frozen=6).pyramid
    learning = {name for name, each in pyramid.named_parameters() if each.requires_grad}
    assert "model.blocks.5.expand.weight" in learning and "model.blocks.5.depthwise.bias" in learning
    assert not {name for name in learning if name.endswith("depthwise.weight")}
    assert not {name for name in learning if name.startswith(("model.stem", "model.blocks.0.", "model.blocks.1."))}
    semantics, frame = Semantics.load(folder), torch.rand(2, 3, 64, 96)
    mean, std = (torch.tensor(each).view(3, 1, 1) for each in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    with torch.inference_mode():
        wanted, _ = semantics((frame * 255 - MEAN) / SPREAD)
        told = pyramid.pooled((frame - mean) / std)
    torch.testing.assert_close(told, wanted, atol=0.05, rtol=0.05)
