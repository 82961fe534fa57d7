"""One process and many: the same losses, weights and checkpoints; parts of a batch and the whole: the same gradient."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml
from launched import interrupted_after
from safetensors.torch import load_file
from test_train import recipe, write_data
from torch import Tensor, nn
from transformers.modeling_layers import GradientCheckpointingLayer

from calm.errors import ConfigError
from calm.tasks.base import Context, task_class
from calm.train.engine import Engine
from calm.train.feeder import Feeder
from calm.train.gradient import learn
from calm.train.loop import learning_parameters, set_modes
from calm.train.reading import Reader
from calm.train.recipe import load_recipe
from calm.train.run import fingerprint, new_model, train
from calm.train.throughput import FlopCount, peak

ACCELERATE = Path(__file__).parent.parent / "recipes" / "accelerate"
LAUNCHED = Path(__file__).parent / "launched.py"
TOLERANCE = 2e-4
"""Relative difference of losses between one process and two: sums are taken in another order."""


def launch(configuration: str, *arguments: str) -> None:
    """Two processes by one of the shipped configurations, on CPUs."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    words = ["--config_file", str(ACCELERATE / f"{configuration}.yaml"), "--num_processes", "2"]
    words += ["--main_process_port", str(port)]
    done = subprocess.run(
        [sys.executable, "-m", "accelerate.commands.launch", *words, str(LAUNCHED), *arguments],
        capture_output=True,
        text=True,
        timeout=400,
        env={**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", "DS_ACCELERATOR": "cpu"},
    )
    told = [line for line in done.stderr.splitlines() if line.startswith("[rank")]
    assert done.returncode == 0, "\n".join(told or [done.stderr])


def rows(output: Path) -> list[dict]:
    return [json.loads(line) for line in (output / "metrics.jsonl").read_text().splitlines()]


def losses(output: Path) -> dict[tuple[str, int], dict[str, float]]:
    """Losses and gradient norm of each step; of a step done twice, the later ones."""
    return {
        (row["stage"], row["step"]): {
            name: value for name, value in row.items() if name.startswith(("score/", "edits/", "loss", "gradient"))
        }
        for row in rows(output)
    }


def write_recipe(folder: Path, name: str, average: bool = True) -> Path:
    """The tiny recipe, without dropout, with batches that do not go through two and weights that move at once."""
    tree = yaml.safe_load(recipe(folder, output=name).read_text())
    tree["model"]["config"]["qformer_dropout"] = 0.0
    tree["stages"][1]["patch_dropout"] = 0.0
    tree["precision"] = "no"  # bfloat16 rounds each part of a batch otherwise than the whole
    for stage in tree["stages"]:
        stage["warmup"] = 1
        stage["average"] = stage.get("average", 0.0) * average
        for task, batch in zip(stage["tasks"], (5, 3), strict=False):
            task["batch"] = batch
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(tree))
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Data, and one whole run by one process."""
    folder = tmp_path_factory.mktemp("distributed")
    write_data(folder / "data")
    with interrupted_after(0):
        train(write_recipe(folder, "one"))
    return folder


@pytest.fixture(scope="module")
def shared(folder: Path) -> Path:
    """The same by two processes (DDP, and FSDP), and begun by one or two and ended by two or one."""
    paths = {name: write_recipe(folder, name) for name in ("two", "two-one", "one-two", "shards-one", "one-shards")}
    with interrupted_after(8):
        train(paths["one-two"])
    shutil.copytree(folder / "one-two", folder / "one-shards")
    launch("ddp-cpu", str(paths["two"]), "0", str(paths["two-one"]), "8", str(paths["one-two"]), "0")
    launch("fsdp", str(paths["shards-one"]), "8", str(paths["one-shards"]), "0")
    for name in ("two-one", "shards-one"):
        with interrupted_after(0):
            train(paths[name])
    return folder


def assert_same(alone: Path, other: Path) -> None:
    wanted, found = losses(alone), losses(other)
    assert wanted.keys() == found.keys() and len(wanted) == 10
    for step, each in wanted.items():
        assert found[step] == pytest.approx(each, rel=TOLERANCE, abs=1.5e-4), step  # the norm has four decimals
    before, after = (load_file(path / "checkpoint" / "trained.safetensors") for path in (alone, other))
    assert before.keys() == after.keys()
    # A key's bias moves all logits of a query alike: its gradient is rounding, and it drifts.
    away = {
        name: float((before[name] - after[name]).norm() / before[name].norm().clamp(min=1e-6))
        for name in before
        if "key.bias" not in name
    }
    assert max(away.values()) < 1e-3, max(away, key=away.__getitem__)


@pytest.mark.parametrize("name", ["two", "two-one", "one-two", "shards-one", "one-shards"])
def test_any_number_of_processes_gives_the_same_run(shared: Path, name: str) -> None:
    """Losses and weights, also when resumed within a stage by another number of processes than had begun it."""
    assert_same(shared / "one", shared / name)
    assert len(rows(shared / name)) <= 11  # one process logs


@pytest.mark.skipif(importlib.util.find_spec("deepspeed") is None, reason="the package deepspeed is not installed")
@pytest.mark.parametrize("configuration", ["deepspeed-zero2", "deepspeed-zero3"])
def test_deepspeed_gives_the_same_run(folder: Path, configuration: str) -> None:
    if not (folder / "plain").exists():
        with interrupted_after(0):
            train(write_recipe(folder, "plain", average=False))
    launch(configuration, str(write_recipe(folder, configuration, average=False)), "0")
    assert_same(folder / "plain", folder / configuration)


def test_configurations_of_accelerate_are_what_they_say() -> None:
    """Accelerate's own parser takes each of them."""
    from accelerate.commands.launch import _validate_launch_command, launch_command_parser

    read = {}
    for path in sorted(ACCELERATE.glob("*.yaml")):
        words = ["--config_file", str(path), "-m", "calm.cli", "train", "recipe.yaml", "data.root=DIR"]
        read[path.stem] = _validate_launch_command(launch_command_parser().parse_args(words))[0]
        assert read[path.stem].training_script_args == ["train", "recipe.yaml", "data.root=DIR"]
    assert read.keys() == {"ddp-cpu", "ddp", "fsdp", "deepspeed-zero2", "deepspeed-zero3"}
    assert read["ddp"].multi_gpu and read["ddp-cpu"].num_processes == 2
    assert read["fsdp"].use_fsdp and int(read["fsdp"].fsdp_version) == 2
    for stage in (2, 3):
        assert read[f"deepspeed-zero{stage}"].use_deepspeed and read[f"deepspeed-zero{stage}"].zero_stage == stage


# ---------------------------------------------------------------------------------------------- one step, in parts


class Heard(nn.Module):
    """A reader, and everything that it said."""

    def __init__(self, reader: Reader) -> None:
        super().__init__()
        self.reader, self.said = reader, []

    def forward(self, *asked: object) -> dict[str, Tensor]:
        said = self.reader(*asked)
        self.said.append({name: value.detach().clone() for name, value in said.items()})
        return said


def gradients(
    folder: Path, engine: Engine, stage: str, dropout: bool, precision: torch.dtype = torch.float32
) -> tuple[dict[str, float], dict[str, Tensor], list[dict[str, Tensor]]]:
    """Losses and gradients of one step of a stage, and what the model said in each pass."""
    spec = load_recipe(folder / "one.yaml")
    number = [each.name for each in spec.stages].index(stage)
    model, chat = new_model(spec.model, spec.seed, precision)
    context = Context(folder / "data", folder / "cache", model.config, folder / "step")
    torch.manual_seed(5)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            nn.init.normal_(parameter, std=0.02)  # adapters that say something
    tasks = [task_class(task.name)(context, **task.options) for task in spec.stages[number].tasks]
    for task in tasks:
        task.prepare(model)
    groups = learning_parameters(model, spec.stages[number])
    heard = Heard(Reader(model, chat, spec.stages[number]))
    reader, _ = engine.prepare(heard.reader, torch.optim.AdamW(groups), spec.stages[number])
    heard.reader = reader
    set_modes(model, spec.stages[number])
    if not dropout:
        for module in model.modules():
            module.training = isinstance(module, GradientCheckpointingLayer) and module.training
    torch.manual_seed(9)
    found: dict[str, float] = {}
    for which, task in enumerate(spec.stages[number].tasks):
        parts = Feeder(tasks, spec.stages[number], 3, number, engine).parts(which, 0)
        told = learn(engine, heard, parts, spec.stages[number].read, lambda all: sum(all.values()), last=True)
        found |= {f"{which}{task.name}/{name}": float(value) for name, value in told.items()}
    return found, {n: p.grad for n, p in model.named_parameters() if p.grad is not None}, heard.said


@pytest.mark.parametrize("stage", ["adapt", "words"])
def test_a_batch_in_parts_has_the_gradient_of_the_whole(folder: Path, stage: str) -> None:
    """Correlations too, which are not means over samples."""
    whole, wanted, _ = gradients(folder, Engine("no"), stage, dropout=False)
    parts, found, said = gradients(folder, Engine("no", accumulate=3), stage, dropout=False)
    assert any("correlation" in name for name in whole) and len(said) > 6
    assert parts == pytest.approx(whole, rel=1e-5, abs=1e-5)
    assert found.keys() == wanted.keys()
    for name, gradient in wanted.items():
        torch.testing.assert_close(found[name], gradient, rtol=1e-4, atol=1e-5)


def test_both_passes_over_a_part_draw_the_same_chances(folder: Path) -> None:
    """What is said with a gradient is what the losses were of, dropout included."""
    _, _, said = gradients(folder, Engine(accumulate=3), "words", dropout=True)
    first, second = said[:3], said[3:6]
    assert not torch.equal(first[0]["heads.score"][:1], first[1]["heads.score"][:1])
    for one, two in zip(first, second, strict=True):
        assert all(torch.equal(one[name], two[name]) for name in one)


@pytest.mark.parametrize("stage", ["adapt", "words"])
def test_activations_computed_again_change_nothing(folder: Path, stage: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same losses and gradients, dropout included, for more passes through the blocks."""
    passes = [0]
    linear = nn.functional.linear

    def counted(*args: Tensor) -> Tensor:
        passes[0] += 1
        return linear(*args)

    monkeypatch.setattr(nn.functional, "linear", counted)
    kept, wanted, _ = gradients(folder, Engine(), stage, dropout=True)
    once, passes[0] = passes[0], 0
    again, found, _ = gradients(folder, Engine(checkpoint_activations=True), stage, dropout=True)
    assert passes[0] > 1.2 * once
    assert again == kept and found.keys() == wanted.keys()
    assert all(torch.equal(found[name], gradient) for name, gradient in wanted.items())


def test_half_precision_is_close(folder: Path) -> None:
    """bf16 is what is multiplied in, and losses stay about what they were."""
    exact, wanted, _ = gradients(folder, Engine("no"), "words", dropout=False)
    rough, found, _ = gradients(folder, Engine("bf16"), "words", dropout=False, precision=torch.bfloat16)
    assert rough == pytest.approx(exact, rel=0.1, abs=0.06) and rough != exact
    assert all(gradient.dtype == torch.float32 for gradient in found.values()) and found.keys() == wanted.keys()


# ------------------------------------------------------------------------------------------------ around the steps


def test_what_cannot_be_done_is_said() -> None:
    with pytest.raises(ConfigError, match="expected a GPU for precision fp16"):
        Engine("fp16")
    with pytest.raises(ConfigError, match=r"none called 'nowhere'; install it \(tensorboard: pip install"):
        Engine(trackers=["nowhere"])
    alone = Engine(accumulate=2)
    assert alone.share([1, 2, 3]) == [[1, 3], [2]]
    alone.world = 4
    with pytest.raises(ConfigError, match="expected a batch of at least 4, one sample for each process, found 3"):
        alone.share([1, 2, 3])


def test_how_it_is_computed_does_not_name_the_run(folder: Path) -> None:
    """A run goes on with other settings of the engine; what the shipped recipe is called is what it was before them."""
    settings = ["accumulate=4", "precision=bf16", "checkpoint_activations=true", "trackers=[tensorboard]"]
    path = folder / "one.yaml"
    assert fingerprint(load_recipe(path, settings)) == fingerprint(load_recipe(path))
    assert fingerprint(load_recipe(ACCELERATE.parent / "calm-small-people.yaml")) == "41a5a4dab855027c"


def test_each_step_says_how_fast_it_was(folder: Path) -> None:
    for row in rows(folder / "one"):
        assert row["samples_per_second"] > 0 and row["tflops_per_second"] > 0 and 0 < row["peak_share"] < 1.5
    last = rows(folder / "one")[-1]
    assert last["rate/statistics"] == last["rate/language"] == last["rate"]
    told = sum(value for name, value in last.items() if name.startswith(("score/", "edits/")))
    assert last["loss"] == pytest.approx(told, abs=1e-4)


def test_tensorboard_gets_every_step(folder: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    tree = yaml.safe_load((folder / "one.yaml").read_text())
    tree |= {"output": str(folder / "tracked"), "stages": tree["stages"][:1], "trackers": ["tensorboard"]}
    path = folder / "tracked.yaml"
    path.write_text(yaml.safe_dump(tree))
    train(path)
    read = EventAccumulator(str(folder / "tracked" / "tiny")).Reload()
    wanted = {row["step"]: row["loss"] for row in rows(folder / "tracked")}
    assert {each.step: each.value for each in read.Scalars("loss")} == pytest.approx(wanted, rel=1e-5)
    assert {"rate/mfam", "gradient_norm", "samples_per_second", "tflops_per_second"} <= set(read.Tags()["scalars"])


def test_operations_are_counted_by_their_shapes() -> None:
    """A linear layer costs two operations a weight and row forward, and as much again for each gradient."""
    layer, rows_in = nn.Linear(32, 16, bias=False), torch.randn(8, 32)
    with FlopCount() as count:
        layer(rows_in).sum().backward()
    assert count.total == 2 * (2 * 8 * 32 * 16)
    query = torch.randn(1, 2, 5, 4)
    with FlopCount() as count:
        nn.functional.scaled_dot_product_attention(query, query, query)
    assert count.total == 2 * (2 * 2 * 5 * 5 * 4)


def test_the_peak_is_more_than_nothing() -> None:
    assert 1e8 < peak(torch.device("cpu"), torch.float32, 0.05) < 1e15
