"""The one training loop. A stage is data; the loop only repeats: draw, look, ask, compare, step."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from calm.chat import IGNORED, Chat
from calm.data.sample import Batch, collate
from calm.data.views import normalise
from calm.errors import ConfigError
from calm.model.checkpoint import freeze_base
from calm.model.examples import ExampleReader
from calm.model.heads import HEADS
from calm.model.modeling import PARTS, CalmForConditionalGeneration, join
from calm.model.precision import mixed_precision
from calm.model.splice import splice
from calm.readout import SCORES
from calm.tasks.base import Task
from calm.train import state
from calm.train.average import RunningMean
from calm.train.losses import correlation_loss, example_losses, head_losses
from calm.train.recipe import Stage


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
                {"params": members, "lr": rate, "peak": rate, "weight_decay": stage.weight_decay if decays else 0.0}
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


class Feeder:
    """Batches of every task of a stage, made ahead by threads; each is a pure function of (seed, stage, step)."""

    def __init__(
        self, tasks: list[Task], stage: Stage, seed: int, number: int, workers: int = 2, ahead: int = 3
    ) -> None:
        self.tasks, self.stage, self.seed, self.number = tasks, stage, seed, number
        self.workers, self.ahead = workers, ahead

    def indices(self, which: int, step: int) -> list[tuple[int, int]]:
        """(index, epoch) of the samples of task ``which`` at ``step``: epochs of seeded permutations."""
        task, batch = self.tasks[which], self.stage.tasks[which].batch
        places = range(step * batch, (step + 1) * batch)
        return [(int(self._order(which, p // len(task))[p % len(task)]), p // len(task)) for p in places]

    def _order(self, which: int, epoch: int) -> np.ndarray:
        key = (which, epoch)
        if getattr(self, "_cached", {}).get("key") != key:
            rng = np.random.default_rng([self.seed, self.number, which, epoch])
            self._orders = getattr(self, "_orders", {})
            if key not in self._orders:
                self._orders[key] = rng.permutation(len(self.tasks[which]))
        return self._orders[key]

    def batch(self, which: int, step: int) -> Batch:
        """The batch of one task at one step."""
        task = self.tasks[which]
        samples = [
            task.sample(index, np.random.default_rng([self.seed, self.number, which, epoch, index]))
            for index, epoch in self.indices(which, step)
        ]
        return collate(samples, HEADS)

    def __call__(self, first: int) -> Iterator[list[Batch]]:
        """Batches of the steps from ``first`` on, one for each task."""
        with ThreadPoolExecutor(self.workers) as pool:
            waiting: list[list[Future[Batch]]] = []
            step = first
            for _ in range(first, self.stage.steps):
                while len(waiting) < self.ahead and step < self.stage.steps:
                    waiting.append([pool.submit(self.batch, which, step) for which in range(len(self.tasks))])
                    step += 1
                yield [future.result() for future in waiting.pop(0)]


def batch_losses(
    model: CalmForConditionalGeneration,
    batch: Batch,
    chat: Chat,
    read: list[str],
    keep_encoder: bool,
    patch_dropout: float = 0.0,
    branches: list[str] | None = None,
) -> dict[str, Tensor]:
    """Losses of one batch by name. ``keep_encoder``: the encoder needs no gradient."""
    losses: dict[str, Tensor] = {}
    if "pyramid" in read:
        losses |= head_losses(pyramid_outputs(model, batch), batch.targets)
    if "examples" in read:
        losses |= rated_losses(model, batch, chat)
    if not {"heads", "language"} & set(read):
        return losses
    tokens = encode_batch(model, batch, keep_encoder, patch_dropout, branches)
    if "heads" in read and batch.targets:
        losses |= head_losses(model.heads(tokens, batch.measures), batch.targets)
    if "language" in read and any(question for question, _ in batch.exchanges):
        losses |= language_losses(model, join(tokens), batch, chat)
    return losses


def pyramid_outputs(model: CalmForConditionalGeneration, batch: Batch) -> dict[str, Tensor]:
    """What the pyramid says of a batch of photos as pixels; see :meth:`calm.model.pyramid.Pyramid.forward`."""
    if model.pyramid is None or batch.views is None:
        missing = "features" if model.pyramid else "a model without one"
        raise ConfigError(
            f"expected a model with a pyramid and photos as pixels where the pyramid is read, found {missing}; give "
            "pyramid in the recipe's model, and the task without cached"
        )
    return model.pyramid(normalise(batch.views[:, :1], model.config.image_mean, model.config.image_std)[:, 0])


def rated_losses(model: CalmForConditionalGeneration, batch: Batch, chat: Chat) -> dict[str, Tensor]:
    """Losses of sequences of rated photos (:mod:`calm.model.examples`)."""
    if model.examples is None or batch.examples is None or batch.ratings is None:
        found = "a model that reads none" if model.examples is None else "a task without"
        raise ConfigError(f"expected rated photos where examples are read, found {found}; give examples in the config")
    reader = ExampleReader(model.language_model, model.examples, chat)
    return example_losses(reader.logits(batch.examples, batch.ratings), batch.ratings)


def encode_batch(
    model: CalmForConditionalGeneration,
    batch: Batch,
    keep_encoder: bool,
    patch_dropout: float = 0.0,
    branches: list[str] | None = None,
) -> dict[str, Tensor]:
    """Branch tokens of a batch, from cached features where there are any.

    Args:
        keep_encoder: the encoder needs no gradient.
        patch_dropout: share of the pooled squares of patches, drawn anew for each batch, that the blocks with adapters
            do not see.
        branches: of the alignment module, all if None.
    """
    with torch.no_grad() if keep_encoder else torch.enable_grad():
        seen = batch_features(model, batch, patch_dropout, branches)
    return model.align(**seen, measures=batch.measures, branches=branches)


def batch_features(
    model: CalmForConditionalGeneration, batch: Batch, patch_dropout: float = 0.0, branches: list[str] | None = None
) -> dict[str, Tensor | None]:
    """Encoder features of a batch: ``whole``, ``adapted`` where the encoder forks, and ``crops`` and ``crop_mask``."""
    config = model.config
    seen: dict[str, Tensor | None]
    if batch.views is not None:
        views = normalise(batch.views, config.image_mean, config.image_std)
        seen = model.encode(views, batch.crop_mask, branches=branches)
    elif batch.started is not None:
        count = config.features_tokens - 1
        kept = round(count * (1 - patch_dropout))
        tuned = model.finish(batch.started, torch.randperm(count)[:kept] if patch_dropout else None)
        seen = {"whole": tuned}
        if config.adapted_branches is not None:
            seen = {"whole": None, "adapted": tuned}
            if set(config.branch_names if branches is None else branches) - set(config.adapted_branches):
                seen["whole"] = model.finish(batch.started, adapted=False)
    else:
        seen = {"whole": batch.features, "adapted": batch.adapted}
    if batch.crops is not None:
        seen["crops"] = batch.crops.unflatten(1, (-1, len(config.low_layers)))
    if "crops" in seen:
        seen["crop_mask"] = batch.crop_mask
    return seen


def language_losses(model: CalmForConditionalGeneration, visual: Tensor, batch: Batch, chat: Chat) -> dict[str, Tensor]:
    """Cross-entropy of the answers; where a score distribution is given, it is the target of the first answer token.

    The score distribution is learnt over the ten first tokens (``1`` stands for 1 and for 10) and by its mean: losses
    ``spoken`` and ``spoken-correlation``.
    """
    ids, mask, labels, starts = chat.exchange(batch.exchanges)
    soft = [i for i, target in enumerate(batch.distributions) if target is not None]
    losses = {}
    if soft:
        labels[soft, starts[soft] + 1] = IGNORED
    learnt = (labels[:, 1:] != IGNORED).nonzero()
    embeddings = model.get_input_embeddings()(ids)
    embeddings = splice(embeddings, ids, visual, model.config.image_token_id)
    hidden = model.language_model.model(inputs_embeds=embeddings, attention_mask=mask).last_hidden_state
    head = model.get_output_embeddings()
    logits = head(hidden[learnt[:, 0], learnt[:, 1]]).float()
    losses["words"] = torch.nn.functional.cross_entropy(logits, labels[learnt[:, 0], learnt[:, 1] + 1])
    if soft:
        digits = torch.tensor([chat.token(str(score)) for score in range(1, 10)])
        target = torch.from_numpy(np.stack([d for d in batch.distributions if d is not None])).float()
        folded = torch.cat([target[:, :1] + target[:, 9:], target[:, 1:9]], dim=1)
        first = head(hidden[soft, starts[soft]]).float()
        spoken = first.log_softmax(dim=1)[:, digits]
        mean = spoken.softmax(dim=1) @ SCORES[:9]
        losses["spoken"] = -(folded * spoken).sum(dim=1).mean() + (mean - target @ SCORES).square().mean()
        if len(soft) > 2:
            losses["spoken-correlation"] = correlation_loss(mean, target @ SCORES)
    return losses


class Trainer:
    """Runs the stages of a recipe, with checkpoints, metrics and exact resume.

    Args:
        model: built, with its adapters.
        chat: the prompts.
        output: folder of ``checkpoint/`` and ``metrics.jsonl``.
        tasks: makes the tasks of a stage.
        fingerprint: identifies the recipe; a checkpoint of another one is refused.
    """

    def __init__(
        self,
        model: CalmForConditionalGeneration,
        chat: Chat,
        output: Path,
        tasks: Callable[[Stage], list[Task]],
        fingerprint: str,
        seed: int = 0,
        save_every: float = 180.0,
        validate: Callable[[CalmForConditionalGeneration, Stage], dict[str, float]] | None = None,
        report: Callable[[dict], None] | None = None,
    ) -> None:
        self.model, self.chat, self.output, self.tasks = model, chat, output, tasks
        self.fingerprint, self.seed, self.save_every = fingerprint, seed, save_every
        self.validate, self.report = validate, report

    def run(self, stages: list[Stage]) -> None:
        """Train every stage that is not done yet."""
        self.output.mkdir(parents=True, exist_ok=True)
        progress = state.find(self.output, self.fingerprint)
        if progress is not None:
            state.restore_model(self.output, self.model)
        first = progress or state.Progress(recipe=self.fingerprint)
        for number in range(first.stage, len(stages)):
            step = first.step if number == first.stage else 0
            self._stage(stages[number], number, step)

    def _stage(self, stage: Stage, number: int, first: int) -> None:
        optimizer = torch.optim.AdamW(learning_parameters(self.model, stage), betas=(0.9, 0.98))
        learnt = {name: value for name, value in self.model.named_parameters() if value.requires_grad}
        mean = RunningMean(learnt, stage.average) if stage.average else None
        if first:
            state.restore_optimizer(self.output, self.model, optimizer)
            state.restore_mean(self.output, mean)
        feeder = Feeder(self.tasks(stage), stage, self.seed, number)
        if stage.standardise and not first:
            self._standardise(stage, feeder)
        saved = time.monotonic()
        for step, batches in enumerate(feeder(first), start=first):
            began = time.monotonic()
            torch.manual_seed(hash((self.seed, number, step)) & 0x7FFFFFFF)
            for group in optimizer.param_groups:
                group["lr"] = group["peak"] * rate_factor(step, stage)
            row: dict[str, float | str] = {**self._step(stage, batches, optimizer)}
            done = step + 1
            if mean:
                mean.update()
            if stage.validate_every and self.validate and (done % stage.validate_every == 0 or done == stage.steps):
                with mean.in_place() if mean else nullcontext():
                    row |= self.validate(self.model, stage)
            self._log(row | {"stage": stage.name, "step": done, "seconds": round(time.monotonic() - began, 3)})
            if time.monotonic() - saved > self.save_every and done < stage.steps:
                state.save(self.output, state.Progress(number, done, self.fingerprint), self.model, optimizer, mean)
                saved = time.monotonic()
        if mean:
            mean.settle()
        optimizer.state.clear()
        state.save(self.output, state.Progress(number + 1, 0, self.fingerprint), self.model, optimizer)

    @torch.inference_mode()
    def _standardise(self, stage: Stage, feeder: Feeder, batches: int = 12) -> None:
        """Set centre and spread of what the learning branches of statistics read, from every task's first batches."""
        mfam = self.model.mfam
        names = [name for name in ("statistics", "technique") if hasattr(mfam, name)]
        names = [name for name in names if "mfam" in stage.learn or name in stage.learn]
        read: dict[str, list[tuple[Tensor, Tensor]]] = {name: [] for name in names}
        for which in range(len(feeder.tasks)):
            for step in range(batches):
                seen = batch_features(self.model, feeder.batch(which, step), branches=names)
                for name in names:
                    features = mfam.source(name, seen["whole"], seen.get("adapted")).float()
                    read[name].append(mfam.raw_statistics(features, seen.get("crops"), seen.get("crop_mask")))
        for name in names:
            getattr(mfam, name).standardise(*(torch.cat(each) for each in zip(*read[name], strict=True)))

    def _step(self, stage: Stage, batches: list[Batch], optimizer: torch.optim.Optimizer) -> dict[str, float]:
        self.model.train()
        there = dict(self.model.named_modules())
        for prefix in PARTS.values():
            module = there.get(prefix.rstrip("."))
            if module is not None:  # no dropout in what stands still
                module.train(any(prefix.startswith(PARTS[learning]) for learning in stage.learn))
        optimizer.zero_grad(set_to_none=True)
        row: dict[str, float] = {}
        for spec, batch in zip(stage.tasks, batches, strict=True):
            with mixed_precision():
                losses = batch_losses(
                    self.model,
                    batch,
                    self.chat,
                    list(stage.read),
                    "vision" not in stage.learn,
                    stage.patch_dropout,
                    stage.branches,
                )
            total = sum(stage.losses.get(name, 1.0) * value for name, value in losses.items())
            (spec.weight * total).backward()
            row |= {f"{spec.name}/{name}": round(value.item(), 5) for name, value in losses.items()}
        learning = [p for group in optimizer.param_groups for p in group["params"]]
        row["gradient_norm"] = round(float(torch.nn.utils.clip_grad_norm_(learning, stage.clip)), 4)
        row["rate"] = optimizer.param_groups[0]["lr"]
        if not math.isfinite(row["gradient_norm"]):
            raise ConfigError("expected a finite gradient, found none; lower the learning rate of this stage")
        optimizer.step()
        return row

    def _log(self, row: dict[str, float | str]) -> None:
        with open(self.output / "metrics.jsonl", "a") as stream:
            stream.write(json.dumps(row) + "\n")
        if self.report:
            self.report(row)
