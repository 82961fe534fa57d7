"""Full-size recipes without weights: what they will take, and every stage on tiny parts of the very same classes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from drawn import drawn
from layouts import LAYOUTS
from parts import SHAPE, write_parts
from PIL import Image
from safetensors.torch import load_file
from transformers import AutoModel, AutoModelForCausalLM

from calm.data.datasets.ava_captions import TABLE as AVA_CAPTIONS
from calm.data.rated import rated_of, split_of
from calm.data.record import Record, Turn
from calm.data.sample import Sample, collate
from calm.model import checkpoint
from calm.model.checkpoint import TRAINED, build, part_config, skeleton
from calm.model.configuration import CalmConfig
from calm.model.heads import HEADS
from calm.tasks.base import Context
from calm.tasks.edits import EditsTask
from calm.tasks.instruct import InstructTask, exchange
from calm.train.gauge import Gauge, Kept, text_tokens
from calm.train.loop import learning_parameters
from calm.train.plan import WAYS, memory_of, parts_that_fit, plan, published
from calm.train.reading import Reader
from calm.train.recipe import Recipe, Stage, TaskSpec, load_recipe
from calm.train.run import new_model, train
from calm.train.throughput import FlopCount
from calm.train.validate import Validator
from calm.words.questions import QUESTIONS

RECIPES = Path(__file__).parent.parent / "recipes"
SHELF = RECIPES / "parts"
FULL = {"calm-2b": ("siglip", "qwen2"), "calm-7b": ("clip", "llama")}
"""Full-size recipes and the kinds of tiny parts that stand for theirs; Llama for Qwen in one of them."""


# ------------------------------------------------------------------------------------------------ published sizes


@pytest.mark.parametrize(
    ("source", "size", "rounding"),
    [
        ("Qwen/Qwen2.5-1.5B-Instruct", 1.54e9, 0.01e9),  # model card: 1.54B
        ("Qwen/Qwen2.5-7B-Instruct", 7.61e9, 0.01e9),  # model card: 7.61B
        ("openai/clip-vit-large-patch14-336", 0.304e9, 0.001e9),  # ViT-L/14: 304M
        ("google/siglip2-so400m-patch16-384", 0.4e9, 0.05e9),  # So400m
    ],
)
def test_published_configurations_have_the_published_sizes(source: str, size: float, rounding: float) -> None:
    config = part_config(source, SHELF)
    with torch.device("meta"):
        kind = AutoModelForCausalLM if hasattr(config, "vocab_size") else AutoModel
        model = kind.from_config(config)
    assert abs(sum(p.numel() for p in model.parameters()) - size) < rounding


def test_published_numbers_of_photos() -> None:
    assert published("laion-cc-sbu-558k") == 558_128
    assert published("ava") == 255_530 - 20_000
    assert published("folder") is None


# ------------------------------------------------------------------------------------------------ a tiny recipe


def tiny_overrides(name: str, folder: Path) -> list[str]:
    """What makes a full-size recipe small enough for a test: sizes, sources and batches, nothing else."""
    vision, text = write_parts(folder / f"parts-{name}", *FULL[name])
    config = {key: value for key, value in SHAPE.items() if key not in ("beliefs", "notes", "measures", "statistics")}
    config = {key: value for key, value in config.items() if "statistics" not in key and "technique" not in key}
    settings: dict[str, Any] = {f"model.config.{key}": value for key, value in config.items()}
    settings |= {"model.vision": vision, "model.text": text, "model.image_token": "<image>"}
    settings |= {"model.config.text_lora.r": 2} if name == "calm-7b" else {}
    for stage in load_recipe(RECIPES / f"{name}.yaml").stages:
        settings |= {f"stages.{stage.name}.steps": 2, f"stages.{stage.name}.warmup": 1}
        settings |= {f"stages.{stage.name}.tasks.{i}.batch": 2 for i in range(len(stage.tasks))}
    lessons = load_recipe(RECIPES / f"{name}.yaml").stages[0].tasks[0].options["sources"]
    settings |= {f"stages.U.tasks.0.options.sources.{source['name']}.native": False for source in lessons}
    settings |= {"data.root": str(folder / "data"), "data.cache": str(folder / "cache"), "output": str(folder / name)}
    return [f"{key}={json.dumps(value)}" for key, value in settings.items()]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All data sets of the full-size recipes in their layouts, with photos that can be edited."""
    folder = tmp_path_factory.mktemp("plan")
    root = folder / "data"
    names = ("ava", "aadb", "eva", "icaa17k", "pccd", "spaq", "tad66k", "laion-cc-sbu-558k", "ava-captions")
    for name in names:
        LAYOUTS[name][0](root / name)
    LAYOUTS["sharegpt4v-pt"][0](root / "sharegpt4v")
    write_ava(root / "ava")
    (root / "pexels").mkdir()
    for i in range(30):
        Image.new("RGB", (8, 8)).save(root / "pexels" / f"{i}.png")
    for seed, path in enumerate(sorted(path for path in root.rglob("*.*g") if path.suffix in (".jpg", ".png"))):
        Image.fromarray(drawn(seed, (60, 80))[0]).save(path)
    return folder


def write_ava(root: Path, count: int = 40) -> None:
    """AVA's table and photos, more of them than its layout needs."""
    rows = [f"{i} {100 + i} {' '.join(['1'] * (i % 8) + ['9'] + ['1'] * (9 - i % 8))} 1 1 1" for i in range(count)]
    (root / "AVA.txt").write_text("\n".join(rows) + "\n")
    (root / "aesthetics_image_lists" / "generic_test.jpgl").write_text("100\n101\n")
    for i in range(count):
        Image.new("RGB", (8, 8)).save(root / "images" / f"{100 + i}.jpg")


# ------------------------------------------------------------------------------------------------ every stage


@pytest.fixture(scope="module", params=FULL)
def run(request: pytest.FixtureRequest, folder: Path) -> tuple[str, list[dict[str, torch.Tensor]]]:
    """A recipe trained for two steps a stage: its name, and the model's tensors at first and after each stage."""
    name, path = request.param, RECIPES / f"{request.param}.yaml"
    overrides = tiny_overrides(name, folder)
    spec = load_recipe(path, overrides)
    states = [new_model(spec.model, spec.seed, torch.bfloat16)[0].state_dict()]

    def look(_self: Validator, model: torch.nn.Module, _stage: Stage) -> dict[str, float]:
        states.append({key: value.detach().clone() for key, value in model.state_dict().items()})
        return {}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Validator, "__call__", look)  # it sees the model at the end of each stage
        train(path, [*overrides, *(f"stages.{stage.name}.validate_every=2" for stage in spec.stages)])
    return name, states


def test_every_stage_teaches_its_parts_alone(run: tuple[str, list[dict[str, torch.Tensor]]]) -> None:
    """U the three Q-Former branches, G the thematic one, CS both and the language model; nobody the encoder."""
    name, states = run
    u, g, cs = (
        {key for key in after if not torch.equal(after[key].float(), before[key].float())}
        for before, after in zip(states, states[1:], strict=False)
    )
    mine = {branch: {key for key in states[0] if f".{branch}." in key} for branch in ("low", "middle", "high")}
    for keys in mine.values():
        assert {key.split(".")[1] for key in u & keys} == {"readers", "qformers", "projections"}
    assert u <= set().union(*mine.values())
    thematic = {key for key in states[0] if key.startswith("mfam.thematic.")}
    assert g == thematic
    words = {key for key in cs if key.startswith("language_model.")}
    assert thematic | u <= cs and cs - words <= thematic | set().union(*mine.values())
    adapters = {key for key in states[0] if "lora_" in key}
    assert (words == adapters) if name == "calm-7b" else words > {"language_model.model.embed_tokens.weight"}


def test_what_was_learnt_is_in_the_trained_folder(run: tuple[str, list[dict[str, torch.Tensor]]], folder: Path) -> None:
    """The model that is loaded has the last stage's weights, to their rounding, tied word embeddings among them."""
    name, states = run
    found = load_file(folder / name / "model" / TRAINED)
    assert checkpoint.HEAD not in found
    model = checkpoint.load(folder / name / "model", torch.float32)
    loaded = model.state_dict()
    for key, value in states[-1].items():
        torch.testing.assert_close(loaded[key], value.float(), atol=1e-6, rtol=0.01)
    assert model.get_input_embeddings().weight is model.get_output_embeddings().weight


# ------------------------------------------------------------------------------------------------ what it takes


def real(vision: str, text: str, **config: Any) -> Any:
    torch.manual_seed(0)
    return build(vision, text, torch.bfloat16, image_token_id=3, **(SHAPE | config))


STAGE = Stage.model_validate(
    {
        "name": "words",
        "steps": 10,
        "learn": {"mfam": 1e-3, "language": 1e-3},
        "read": ["language"],
        "tasks": [{"name": "comment", "batch": 4}],
    }
)
LORA = {"r": 2, "lora_alpha": 2, "target_modules": ["q_proj", "v_proj"]}


@pytest.mark.parametrize("learnt", [{"text_lora": LORA}, {"text_learns": True}], ids=["adapters", "whole"])
def test_operations_and_activations_are_those_of_a_real_step(learnt: dict, tmp_path: Path) -> None:
    """What is worked out on fake tensors is what the training's own reader does with real ones on a CPU.

    Operations to 1%. Activations, measured as memory that the allocator has handed out and not got back when the
    forward pass ends, to a quarter: what autograd keeps is not all that is alive.
    """
    vision, text = write_parts(tmp_path, "clip", "qwen2")
    model = real(vision, text, **learnt)
    _, chat = tokens_of(text, model)
    task = STAGE.tasks[0]
    learning_parameters(model, STAGE)
    with Gauge(model) as gauge:
        cost = gauge.cost(STAGE, task)
    reader = Reader(model, chat, STAGE).train()

    def batch(count: int) -> Any:
        return collate([sample(model, chat, text_tokens(task, notes=True)) for _ in range(count)], HEADS)

    few, many = (held(reader, batch(count)) for count in (4, 12))
    with FlopCount() as counted, torch.autocast("cpu", torch.bfloat16):
        reader(batch(4), ["words"])["words"].sum().backward()
    assert cost.operations == pytest.approx(counted.total / 4, rel=0.01)
    assert cost.kept == pytest.approx((many - few) / 8, rel=0.25)
    assert cost.sparing < cost.kept


def tokens_of(text: str, model: Any) -> tuple[Any, Any]:
    from calm.chat import Chat

    tokenizer = checkpoint.load_tokenizer(text)
    return tokenizer, Chat(tokenizer, 3, model.config.visual_tokens)


def sample(model: Any, chat: Any, tokens: tuple[int, int]) -> Sample:
    """A sample of features, with a question and an answer of so many tokens (every byte is one)."""
    config = model.config
    shape = len(config.layers), config.features_tokens, config.vision_config.hidden_size
    around = len(chat.prompt("")) - config.visual_tokens
    return Sample(
        features=np.random.default_rng(0).normal(size=shape).astype(np.float16),
        measures=np.zeros(config.measures, np.float32),
        question="?" * (tokens[0] - around),
        answer="!" * (tokens[1] - 1),
    )


def held(reader: Any, batch: Any) -> int:
    """Bytes that a forward pass leaves allocated."""
    from torch.profiler import ProfilerActivity, profile

    watching = profile(activities=[ProfilerActivity.CPU], profile_memory=True)
    with watching as seen, torch.autocast("cpu", torch.bfloat16):
        said = reader(batch, ["words"])
    assert said["words"].requires_grad
    return sum(event.self_cpu_memory_usage for event in seen.key_averages())


def test_kept_counts_each_storage_once_and_no_weight() -> None:
    layer = torch.nn.Linear(6, 6)
    x = torch.randn(5, 6, requires_grad=True)
    with Kept(layer) as kept:
        layer(x).sigmoid().sum()
    assert kept.bytes == 2 * 5 * 6 * 4  # the input of the product, the output of the sigmoid


def test_memory_follows_its_formulas(tmp_path: Path) -> None:
    vision, text = write_parts(tmp_path, "siglip", "qwen2")
    model = skeleton(vision, text, image_token_id=3, **SHAPE, text_lora=LORA)
    learning_parameters(model, STAGE)
    learnt = sum(p.numel() for p in model.parameters() if p.requires_grad)
    frozen = sum(p.numel() for name, p in model.named_parameters() if name.startswith(("vision.", "language_model.")))
    frozen -= sum(p.numel() for name, p in model.named_parameters() if "lora_" in name)
    still = sum(p.numel() for name, p in model.named_parameters() if name.startswith(("heads.", "beliefs.")))
    assert learnt + frozen + still == sum(p.numel() for p in model.parameters())
    one, two = memory_of(model, 1), memory_of(model, 2)
    assert list(one) == list(WAYS) and one["DDP"] == two["DDP"]
    assert one["DDP"].state == 18 * learnt + 2 * frozen + 4 * still
    assert two["ZeRO-2"].state == 2 * learnt + 2 * frozen + 4 * still + 14 * learnt / 2
    block = sum(p.numel() for p in model.language_model.model.layers[0].parameters())
    assert two["ZeRO-3"].state == (16 * learnt + 2 * frozen + 4 * still) / 2 + 4 * block
    assert memory_of(model, 1, averaged=True)["DDP"].optimizer == 12 * learnt


def test_a_plan_of_a_tiny_recipe(folder: Path) -> None:
    """Steps, samples, tokens, parts that learn, and what computing activations again costs and saves."""
    spec = load_recipe(RECIPES / "calm-7b.yaml", tiny_overrides("calm-7b", folder))
    found = plan(spec, SHELF, gpus=2, memory=2**30)
    u, g, cs = found.stages
    assert [lot.visual for stage in (u, g, cs) for lot in stage.lots[:1]] == [6, 5, 11]
    assert all(lot.samples == 4 and lot.text > 0 for stage in found.stages for lot in stage.lots)
    assert u.lots[0].unknown == ("folder",) and u.lots[0].photos > 300_000
    learn = {part.name: part.learns for part in found.parts}
    assert learn["vision"] == {"U": 0, "G": 0, "CS": 0}
    assert learn["mfam"]["U"] + learn["mfam"]["G"] == learn["mfam"]["CS"] > 0
    assert learn["language_model adapters"] == {"U": 0, "G": 0, "CS": cs.learns - learn["mfam"]["CS"]}
    assert all(stage.parts == dict.fromkeys(WAYS, 1) and stage.sparing < stage.kept for stage in found.stages)
    once = sum(lot.samples * lot.cost.operations for lot in cs.lots)
    assert spec.checkpoint_activations and cs.operations > once
    assert cs.operations == pytest.approx(once + sum(lot.samples * lot.cost.block for lot in cs.lots))
    assert cs.sparing == max(lot.cost.sparing for lot in cs.lots)  # of two samples each GPU has one


def test_a_batch_that_does_not_fit_is_read_in_parts() -> None:
    assert parts_that_fit([32, 8], [10.0, 20.0], 320.0) == 1
    assert parts_that_fit([32, 8], [10.0, 20.0], 319.0) == 2
    assert parts_that_fit([32, 8], [10.0, 20.0], 20.0) == 16
    assert parts_that_fit([32, 8], [10.0, 20.0], 19.0) is None


def test_the_command_prints_the_plan_and_trains_nothing(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from calm.cli import main

    path = tmp_path / "calm-2b.yaml"
    path.write_text((RECIPES / "calm-2b.yaml").read_text())
    overrides = [*tiny_overrides("calm-2b", folder), f"output={tmp_path / 'out'}"]
    with pytest.raises(SystemExit) as end:
        main(["train", str(path), *overrides, "--plan", "--gpus", "2", "--flops", "0.001", "--memory", "1"])
    said = capsys.readouterr().out
    assert not end.value.code and not (tmp_path / "out").exists()
    for words in ("calm-2b on 2 GPUs of 1 GiB", "learn: mfam", "stage U: 2 steps of 2 samples", "ZeRO-3", "558,128"):
        assert words in said


# ------------------------------------------------------------------------------------------------ tasks


def test_fresh_lessons_are_other_ones_each_time(folder: Path) -> None:
    spec = load_recipe(RECIPES / "calm-2b.yaml", tiny_overrides("calm-2b", folder))
    model, _ = new_model(spec.model, spec.seed)
    options = spec.stages[0].tasks[0].options | {"sources": [{"name": "ava"}, {"name": "spaq", "native": False}]}
    task = EditsTask(Context(folder / "data", folder / "cache", model.config), **options)
    task.prepare(model)
    first, same, other = (task.sample(0, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert first.views is not None and first.views.shape == (3, 56, 56, 3)
    assert np.array_equal(first.views, same.views) and not np.array_equal(first.views, other.views)
    assert all(split_of(key) == "train" for key in task.keys) and len(task.hashes()) == len(task)


def test_test_photos_of_another_set_are_left_out(tmp_path: Path) -> None:
    """AVA-Captions has photos of AVA's test, under the same names; 629797 is one."""
    LAYOUTS["ava"][0](tmp_path / "ava")
    images = [{"filename": f"{n}.jpg", "split": "train", "sentences": [{"raw": "Nice"}]} for n in (629797, 953619)]
    (tmp_path / "ava-captions").mkdir()
    (tmp_path / "ava-captions" / AVA_CAPTIONS).write_text(json.dumps({"images": images}))
    (tmp_path / "ava-captions" / "images").symlink_to(tmp_path / "ava" / "images")
    context = Context(tmp_path, tmp_path, CalmConfig(image_size=56))
    everything, apart = (InstructTask(context, "ava-captions", apart=each) for each in ("", "ava"))
    assert [Path(record.path).stem for record in everything.records] == ["629797", "953619"]
    assert [Path(record.path).stem for record in apart.records] == ["953619"] and len(apart.hashes()) == 1
    sample = apart.sample(0, np.random.default_rng(0))
    assert sample.question in QUESTIONS["comment"] and sample.answer == "Nice"
    assert sample.views is not None and sample.views.shape == (1, 56, 56, 3)


def test_of_a_conversation_one_exchange_is_learnt() -> None:
    turns = (Turn("system", "Be kind."), Turn("user", "What?"), Turn("assistant", "A cat."), Turn("user", "Why?"))
    record = Record("a.jpg", comments=("Nice",), turns=(*turns, Turn("assistant", " No idea. ")))
    drawn_ones = {exchange(record, np.random.default_rng(seed)) for seed in range(20)}
    assert drawn_ones == {("What?", "A cat."), ("Why?", "No idea.")}
    question, answer = exchange(Record("a.jpg", captions=("a cat",)), np.random.default_rng(0))
    assert question in QUESTIONS["describe"] and answer == "a cat"


def test_a_set_without_validation_keeps_one_photo_in_twenty(folder: Path) -> None:
    """AVA has train and test alone; the part that is kept does not overlap."""
    root = folder / "data" / "ava"
    train_ones, kept, tested = (rated_of("ava", root, split) for split in ("train", "validation", "test"))
    names = [{photo.sha256 for photo in part} for part in (train_ones, kept)]
    assert names[0] and names[1] and not names[0] & names[1]
    assert all(photo.record.split == "train" for photo in train_ones + kept)
    assert all(split_of(photo.sha256) == "validation" for photo in kept)
    assert all(photo.record.split == "test" for photo in tested)


def test_tiny_overrides_change_sizes_alone() -> None:
    """The stages that are tested are the recipes': what learns, what is read, which branches."""
    for name in FULL:
        spec: Recipe = load_recipe(RECIPES / f"{name}.yaml")
        tree = yaml.safe_load((RECIPES / f"{name}.yaml").read_text())
        assert [stage.name for stage in spec.stages] == ["U", "G", "CS"]
        assert [stage.branches for stage in spec.stages] == [["low", "middle", "high"], ["thematic"], None]
        assert isinstance(TaskSpec.model_validate(tree["stages"][0]["tasks"][0]), TaskSpec)
