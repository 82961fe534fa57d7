"""The one training loop. A stage is data; the loop only repeats: draw, look, ask, compare, step."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import torch
from torch import Tensor, nn
from transformers.modeling_layers import GradientCheckpointingLayer

from calm.chat import Chat
from calm.data.sample import Batch
from calm.errors import ConfigError
from calm.model.checkpoint import freeze_base
from calm.model.modeling import PARTS, CalmForConditionalGeneration
from calm.tasks.base import Task
from calm.train import state
from calm.train.average import RunningMean
from calm.train.engine import Engine
from calm.train.feeder import Feeder
from calm.train.gradient import learn
from calm.train.reading import Reader, batch_features
from calm.train.recipe import Stage
from calm.train.throughput import FlopCount, peak


def learning_parameters(model: CalmForConditionalGeneration, stage: Stage) -> list[dict]:
    """Optimiser groups of the parts that a stage teaches; everything else is frozen in place."""
    freeze_base(model)
    for part in stage.learn:
        inside = [other for other in stage.learn if other != part and PARTS[other].startswith(PARTS[part])]
        if inside:
            raise ConfigError(
                f"expected parts that do not contain each other in learn, found {part} and {inside[0]}; "
                "leave one of them out"
            )
    groups, chosen = [], set()
    for part, rate in stage.learn.items():
        prefix = PARTS[part]
        mine = [(n, p) for n, p in model.named_parameters() if n.startswith(prefix) and p.requires_grad]
        if not mine:
            raise ConfigError(
                f"expected something in {part!r} to learn, found it frozen; give {part}_lora in the recipe"
            )
        chosen |= {n for n, _ in mine}
        for decays in (True, False):
            members = [p for _, p in mine if (p.ndim > 1) == decays]
            groups.append(
                {
                    "params": members,
                    "part": part,
                    "lr": rate,
                    "peak": rate,
                    "weight_decay": stage.weight_decay if decays else 0.0,
                }
            )
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name in chosen)
    return [group for group in groups if group["params"]]


def rate_factor(step: int, stage: Stage) -> float:
    """Linear warm-up, then half a cosine to the last rate."""
    if step < stage.warmup:
        return (step + 1) / stage.warmup
    done = (step - stage.warmup) / max(1, stage.steps - stage.warmup)
    return stage.last_rate + (1 - stage.last_rate) * 0.5 * (1 + math.cos(math.pi * min(1.0, done)))


def set_modes(model: CalmForConditionalGeneration, stage: Stage) -> None:
    """Training mode, without dropout in what stands still."""
    model.train()
    there = dict(model.named_modules())
    for prefix in PARTS.values():
        module = there.get(prefix.rstrip("."))
        if module is not None:
            module.train(any(prefix.startswith(PARTS[learning]) for learning in stage.learn))
    for module in there.values():
        if isinstance(module, GradientCheckpointingLayer) and module.gradient_checkpointing:
            module.training = True  # of the block alone: gradients pass through what stands still as well


class Trainer:
    """Runs the stages of a recipe, with checkpoints, metrics and exact resume.

    Args:
        model: built, with its adapters.
        rebuild: the same, built anew.
        chat: the prompts.
        output: folder of ``checkpoint/`` and ``metrics.jsonl``.
        tasks: makes the tasks of a stage, with what they read prepared by the model as it is then.
        fingerprint: identifies the recipe; a checkpoint of another one is refused.
        engine: the processes that share the work.
    """

    def __init__(
        self,
        model: CalmForConditionalGeneration,
        rebuild: Callable[[], CalmForConditionalGeneration],
        chat: Chat,
        output: Path,
        tasks: Callable[[Stage, CalmForConditionalGeneration], list[Task]],
        fingerprint: str,
        engine: Engine,
        seed: int = 0,
        save_every: float = 180.0,
        validate: Callable[[CalmForConditionalGeneration, Stage], dict[str, float]] | None = None,
        report: Callable[[dict], None] | None = None,
    ) -> None:
        self.model, self.rebuild, self.chat, self.output, self.tasks = model, rebuild, chat, output, tasks
        self.fingerprint, self.engine, self.seed, self.save_every = fingerprint, engine, seed, save_every
        self.validate, self.report = validate, report
        self.peak, self.before = 0.0, 0

    def run(self, stages: list[Stage]) -> CalmForConditionalGeneration:
        """Train every stage that is not done yet; the trained model, on the CPU."""
        self.output.mkdir(parents=True, exist_ok=True)
        self.peak = self.engine.sum(peak(self.engine.accelerator.device, self.engine.dtype))
        model = self.model
        progress = state.find(self.output, self.fingerprint)
        if progress is not None:
            state.restore_model(self.output, model)
        first = progress or state.Progress(recipe=self.fingerprint)
        for number in range(first.stage, len(stages)):
            self.before = sum(stage.steps for stage in stages[:number])
            self._stage(model, stages[number], number, first.step if number == first.stage else 0)
            self.engine.release()
            if self.engine.sharded:  # what is sharded stays so: go on with another one
                model = self.rebuild()
                state.restore_model(self.output, model)
            model.cpu()
        return model

    def _stage(self, model: CalmForConditionalGeneration, stage: Stage, number: int, first: int) -> None:
        engine = self.engine
        groups = learning_parameters(model, stage)
        with engine.main_first():
            feeder = Feeder(self.tasks(stage, model), stage, self.seed, number, engine)
        if stage.standardise and not first:
            self._standardise(model, stage, feeder)
        optimizer: torch.optim.Optimizer
        reader, optimizer = engine.prepare(
            Reader(model, self.chat, stage), torch.optim.AdamW(groups, betas=(0.9, 0.98)), stage
        )
        learnt = {name: value for name, value in model.named_parameters() if value.requires_grad}
        mean = RunningMean(learnt, stage.average) if stage.average else None
        if first:
            state.restore_optimizer(self.output, engine, model, optimizer)
            state.restore_mean(self.output, mean)
        flops, saved = 0.0, time.monotonic()
        for step, batches in enumerate(feeder(first), start=first):
            began = time.monotonic()
            chances = (self.seed, number, step, engine.rank) if engine.rank else (self.seed, number, step)
            torch.manual_seed(hash(chances) & 0x7FFFFFFF)
            for group in optimizer.param_groups:
                group["lr"] = group["peak"] * rate_factor(step, stage)
            set_modes(model, stage)
            with FlopCount() if step == first else nullcontext() as count:
                row: dict[str, float | str] = {**self._step(reader, stage, batches, optimizer)}
            flops = engine.sum(count.total) if count else flops
            row |= self._pace(stage, flops, time.monotonic() - began)
            done = step + 1
            if mean:
                mean.update()
            if stage.validate_every and (done % stage.validate_every == 0 or done == stage.steps):
                with mean.in_place() if mean else nullcontext():
                    row |= self._validated(model, stage)
            row |= {"stage": stage.name, "step": done, "seconds": round(time.monotonic() - began, 3)}
            if engine.main:
                self._log(row)
            if self._due(saved) and done < stage.steps:
                self._save(state.Progress(number, done, self.fingerprint), model, optimizer, mean)
                saved = time.monotonic()
        if mean:
            mean.settle()
        self._save(state.Progress(number + 1, 0, self.fingerprint), model)

    def _validated(self, model: CalmForConditionalGeneration, stage: Stage) -> dict[str, float]:
        """Figures on validation photos, by the main process: of the model, or of a whole copy of it on the CPU."""
        trained = {} if self.engine.at_hand else self.engine.trained(model)
        row: dict[str, float] = {}
        if self.validate and self.engine.main:
            if trained:
                model = self.rebuild()
                model.load_state_dict({name: value.cpu() for name, value in trained.items()}, strict=False)
            row = self.validate(model, stage)
        self.engine.wait()
        return row

    def _due(self, saved: float) -> bool:
        """Whether it is time for a checkpoint, by the main process's clock; DeepSpeed's wait for the stage's end."""
        return self.engine.agree(time.monotonic() - saved > self.save_every) and not self.engine.zero

    def _save(
        self,
        progress: state.Progress,
        model: CalmForConditionalGeneration,
        optimizer: torch.optim.Optimizer | None = None,
        mean: RunningMean | None = None,
    ) -> None:
        taken = state.snapshot(self.engine, model, optimizer, mean)
        if self.engine.main:
            state.save(self.output, progress, taken)
        self.engine.wait()

    @torch.inference_mode()
    def _standardise(
        self, model: CalmForConditionalGeneration, stage: Stage, feeder: Feeder, batches: int = 12
    ) -> None:
        """Set centre and spread of what the learning branches of statistics read, from every task's first batches."""
        mfam = model.mfam
        names = [name for name in ("statistics", "technique") if hasattr(mfam, name)]
        names = [name for name in names if "mfam" in stage.learn or name in stage.learn]
        read: dict[str, list[tuple[Tensor, Tensor]]] = {name: [] for name in names}
        for which in range(len(feeder.tasks)):
            for step in range(batches):
                seen = batch_features(model, feeder.whole(which, step), branches=names)
                for name in names:
                    features = mfam.source(name, seen["whole"], seen.get("adapted")).float()
                    read[name].append(mfam.raw_statistics(features, seen.get("crops"), seen.get("crop_mask")))
        for name in names:
            getattr(mfam, name).standardise(*(torch.cat(each) for each in zip(*read[name], strict=True)))

    def _step(
        self, reader: nn.Module, stage: Stage, batches: list[list[Batch]], optimizer: torch.optim.Optimizer
    ) -> dict[str, float]:
        self.engine.forget_gradients(optimizer)
        row: dict[str, float] = {}
        loss = 0.0
        for number, (spec, parts) in enumerate(zip(stage.tasks, batches, strict=True), start=1):

            def total(losses: dict[str, Tensor], weight: float = spec.weight) -> Tensor:
                return weight * sum(stage.losses.get(name, 1.0) * value for name, value in losses.items())

            losses = learn(self.engine, reader, parts, stage.read, total, last=number == len(batches))
            row |= {f"{spec.name}/{name}": round(value.item(), 5) for name, value in losses.items()}
            loss += float(total(losses))
        learning = [p for group in optimizer.param_groups for p in group["params"]]
        row["gradient_norm"] = round(self.engine.clip(learning, stage.clip), 4)
        # fp16 leaves out a step that overflows, and scales the next one's losses less.
        if not math.isfinite(row["gradient_norm"]) and self.engine.dtype != torch.float16:
            raise ConfigError("expected a finite gradient, found none; lower the learning rate of this stage")
        optimizer.step()
        rates = {f"rate/{group['part']}": group["lr"] for group in optimizer.param_groups}
        return row | {"loss": round(loss, 5), "rate": optimizer.param_groups[0]["lr"]} | rates

    def _pace(self, stage: Stage, flops: float, seconds: float) -> dict[str, float]:
        """Samples and floating-point operations a second; those of the stage's first step here, in every step."""
        return {
            "samples_per_second": round(sum(task.batch for task in stage.tasks) / seconds, 2),
            "tflops_per_second": float(f"{flops / seconds / 1e12:.4g}"),
            "peak_share": float(f"{flops / seconds / self.peak:.4g}"),
        }

    def _log(self, row: dict[str, float | str]) -> None:
        told = {
            name: None if isinstance(value, float) and not math.isfinite(value) else value
            for name, value in row.items()
        }
        with open(self.output / "metrics.jsonl", "a") as stream:
            stream.write(json.dumps(told) + "\n")
        self.engine.log(row, self.before + int(row["step"]))
        if self.report:
            self.report(row)
