"""One loop for every stage of the one network: a stage is data (what learns, from what, for how long)."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import field
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass
from torch import Tensor, nn

from calm.model.alignment import summarise
from calm.model.exchange import COMMENT_QUESTION, IGNORED, Exchange, Packer, embed
from calm.model.network import Network, score_mean
from calm.model.visual import VisualTokens
from calm.tasks.observation import write_line
from calm.train.checkpoints import RunState
from calm.train.examples import Drawer, Example
from calm.train.feature_shots import shot_features
from calm.train.meter import Meter
from calm.train.objectives import order_loss, schedule, score_loss, severity_target
from calm.train.observing import guess_names
from calm.train.shots import Shot


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class Stage:
    """One stage, as recipes write it.

    Attributes:
        name: of its checkpoints.
        steps: optimiser steps.
        rates: peak learning rate of each part that learns (see ``trained_parameters``).
        batch: examples of each kind a step (``rated``, ``named``, ``edited``, ``blank``).
        read: whether the language model reads; without it the alignment module learns through its auxiliary heads
            and lexical alignment alone.
        text: whether exchanges in words are learnt as well.
        prose: critiques without a photo a step.
        rows, length: packed rows a step and tokens a row.
        weights: of the losses.
        warmup: share of the steps over which rates rise; they fall to a twentieth along a cosine.
        seed: of every draw.
        average: decay of the running mean of the weights, which the stage ends with.
    """

    name: str
    steps: Annotated[int, Field(ge=0)]
    rates: Mapping[str, float]
    batch: Mapping[str, int]
    read: bool = True
    text: bool = True
    prose: Annotated[int, Field(ge=0)] = 0
    rows: int = 8
    length: int = 384
    weights: Mapping[str, float] = field(default_factory=dict)
    warmup: float = 0.04
    seed: int = 1
    average: float = 0.998


KINDS = ("rated", "named", "edited", "blank")
SPOKEN, PROSE = len(KINDS), len(KINDS) + 1
"""Numbers that keep the random draws of a step apart: of examples by kind, of words, of prose."""
Look = Callable[[Stage], dict[str, Any]]
"""Figures on photos kept out, for the model as it is."""


def reads_crop(example: Example) -> bool:
    """Whether the tokens of the crop are needed: for remedies and words, on some photos for attribute words alone."""
    return example.crop or example.remedies is not None or any(each.detail for each in example.exchanges)


class Trainer:
    """Runs stages.

    Args:
        model: with adapters; what a stage does not name stands still.
        packer: of its tokenizer.
        drawer: draws examples.
        shots: by kind of example.
        folder: of checkpoints and the log.
        odds: by kind, how often each of its photos is drawn; photos of other kinds alike.
    """

    def __init__(
        self,
        model: Network,
        packer: Packer,
        drawer: Drawer,
        shots: Mapping[str, Sequence[Shot]],
        folder: Path,
        odds: Mapping[str, np.ndarray] | None = None,
    ) -> None:
        self.model, self.packer, self.drawer, self.shots, self.folder = model, packer, drawer, shots, folder
        self.odds = odds or {}
        self._summed: dict[str, np.ndarray] = {}
        self._summaries: dict[int, Tensor] = {}
        self.step = 0
        self.word_index = drawer.vocabulary.index
        folder.mkdir(parents=True, exist_ok=True)

    # ------------------------------------------------------------------------------------------------ drawing

    def draw(self, stage: Stage, step: int) -> list[Example]:
        """The examples of a step: a function of stage and step alone."""
        found: list[Example] = []
        for kind, count in stage.batch.items():
            pool = self.shots[kind]
            for slot in range(count):
                rng = np.random.default_rng([stage.seed, step, slot, KINDS.index(kind)])
                found.append(self.drawer.example(pool[self._index(kind, rng)], rng))
        return found

    def _index(self, kind: str, rng: np.random.Generator) -> int:
        odds = self.odds.get(kind)
        if odds is None:
            return int(rng.integers(len(self.shots[kind])))
        summed = self._summed.setdefault(kind, np.cumsum(odds) / np.sum(odds))
        return min(int(np.searchsorted(summed, rng.random(), side="right")), len(summed) - 1)

    def batches(self, stage: Stage, start: int) -> Iterator[tuple[int, list[Example]]]:
        """Steps from ``start`` on."""
        self.drawer.text = stage.read and stage.text
        for step in range(start, stage.steps):
            yield step, self.draw(stage, step)

    # ------------------------------------------------------------------------------------------------ losses

    def see(self, examples: Sequence[Example]) -> VisualTokens:
        """Visual tokens of examples, from features at hand."""
        wanted = torch.tensor([reads_crop(each) for each in examples])
        measures = torch.from_numpy(np.stack([each.measures for each in examples]))
        features = self._features([each.shot for each in examples])
        layers = self.model.config.trunk_layers
        same = [layers.index(layer) for layer in self.model.config.detail_layers]
        have = [  # the crop of a photo without native pixels is its frame
            each.shot.features[same] if each.shot.detail is None else each.shot.detail[: len(same)] for each in examples
        ]
        return self.model.align(features, torch.from_numpy(np.stack(have)), measures, wanted)

    def _features(self, shots: Sequence[Shot]) -> Tensor:
        """Encoder features; where the encoder's adapters learn, they learn from rated photos: the gradient of a photo
        costs as much as three others.
        """
        if not self.model.vision_learns:
            with torch.no_grad():
                return shot_features(self.model, shots)
        order = sorted(range(len(shots)), key=lambda i: shots[i].kind != "rated")
        count = sum(shot.kind == "rated" for shot in shots)
        parts = [shot_features(self.model, [shots[i] for i in order[:count]])] if count else []
        if count < len(shots):
            with torch.no_grad():
                parts.append(shot_features(self.model, [shots[i] for i in order[count:]]))
        return torch.cat(parts)[torch.tensor(order).argsort()]

    def losses(self, examples: list[Example], stage: Stage) -> dict[str, Tensor]:
        """Every loss of one step by name."""
        pairs = [(i, each.better) for i, each in enumerate(examples) if each.better is not None]
        everything = [*examples, *(better for _, better in pairs)]
        if set(stage.rates) == {"score"} and self.model.config.summary_tokens:
            return self._score_losses(self._scores(everything), everything, pairs, len(examples))
        seen = self.see(everything)
        found = self._lexical(seen, everything)
        found |= self._auxiliary(seen, everything, pairs, len(examples))
        if stage.read:
            found |= self._read(seen, everything, pairs, len(examples), stage)
        return found

    def _scores(self, examples: Sequence[Example]) -> Tensor:
        """What the score's head says, (B, 10), where nothing before it learns: summaries are computed once a stage."""
        shots = {id(each.shot): each.shot for each in examples if id(each.shot) not in self._summaries}
        if shots:
            with torch.no_grad():
                values = summarise(shot_features(self.model, list(shots.values()))).to(torch.bfloat16)
            self._summaries |= dict(zip(shots, values, strict=True))
        values = torch.stack([self._summaries[id(each.shot)] for each in examples])
        tokens = self.model.alignment.summary(values.to(self.model.alignment.overview.weight.dtype))
        return self.model.heads.read_score(tokens)

    def _lexical(self, seen: VisualTokens, examples: Sequence[Example]) -> dict[str, Tensor]:
        """Lexical alignment of every branch."""
        return self._named(seen, examples) | self._attributes(seen, examples)

    def _named(self, seen: VisualTokens, examples: Sequence[Example]) -> dict[str, Tensor]:
        known = [i for i, each in enumerate(examples) if each.words is not None]
        if seen.words is None or not known:
            return {}
        logits = seen.words[known]
        target, weight = torch.zeros_like(logits), torch.full_like(logits, 1.0)
        for row, i in enumerate(known):
            words = examples[i].words or []
            target[row, [self.word_index[word] for word in words]] = 1.0
            if 0 < len(words) < 3:  # a class name says nothing of what else is there
                weight[row] = 0.3
        weight = torch.where(target > 0, 1.0, weight)
        loss = F.binary_cross_entropy_with_logits(logits, target, weight, reduction="sum")
        return {"words": loss / len(known)}

    def _attributes(self, seen: VisualTokens, examples: Sequence[Example]) -> dict[str, Tensor]:
        known = {i: each.attributes for i, each in enumerate(examples) if reads_crop(each)}
        targets = {i: target for i, target in known.items() if target is not None}
        if seen.attributes is None or not targets:
            return {}
        read, target = list(targets), torch.from_numpy(np.stack(list(targets.values())))
        loss = F.binary_cross_entropy_with_logits(
            seen.attributes[read], target.clamp(min=0), (target >= 0).float(), reduction="sum"
        )
        return {"attributes": loss / len(read)}

    def _auxiliary(
        self, seen: VisualTokens, examples: Sequence[Example], pairs: list[tuple[int, Any]], count: int
    ) -> dict[str, Tensor]:
        assert seen.score is not None
        found = self._score_losses(seen.score, examples, pairs, count)
        edited = [i for i, each in enumerate(examples) if each.remedies]
        if edited and seen.remedy is not None and seen.amount is not None:
            target = torch.tensor([examples[i].remedies for i in edited], dtype=torch.float32)
            found["aux_remedy"] = F.cross_entropy(seen.remedy[edited].float(), target)
            faulty = [i for i in edited if examples[i].severity is not None]
            if faulty:
                levels = severity_target([float(examples[i].severity or 0) for i in faulty])
                found["aux_amount"] = F.cross_entropy(seen.amount[faulty].float(), levels)
        return found

    def _score_losses(
        self, score: Tensor, examples: Sequence[Example], pairs: list[tuple[int, Any]], count: int
    ) -> dict[str, Tensor]:
        found = {}
        rated = [i for i, each in enumerate(examples) if each.score]
        if rated:
            found["aux_score"] = score_loss(score[rated], torch.tensor([examples[i].score for i in rated]))
        if pairs:
            found["aux_order"] = order_loss(score_mean(score), pairs, examples, count)
        return found

    def _read(
        self, seen: VisualTokens, examples: Sequence[Example], pairs: list[tuple[int, Any]], count: int, stage: Stage
    ) -> dict[str, Tensor]:
        self._speak(seen, examples, stage)
        packed = self.packer.pack([each.exchanges for each in examples] + self._prose(stage), stage.rows)
        states = self.model.hidden(embed(self.model, packed, seen), packed.mask, packed.positions)
        found: dict[str, Tensor] = {}
        labelled = packed.labels != IGNORED
        if labelled.any():
            logits = self.model.word_logits(states[labelled])
            each = F.cross_entropy(logits, packed.labels[labelled], reduction="none")
            weight = packed.weights[labelled]
            found["text"] = (each * weight).sum() / weight.sum()
        for kind in ("score", "quality", "suggest", "amount"):
            places = packed.reads.get(kind, [])
            if not places:
                continue
            rows, columns = (torch.tensor(axis) for axis in zip(*places, strict=True))
            at, asked = states[rows, columns], packed.exchanges[kind]
            if kind == "score":
                found |= self._score(self.model.score_logits(at), asked, pairs, examples, count)
            elif kind == "quality":
                found["quality"] = score_loss(
                    self.model.quality_logits(at), torch.tensor([each.target for _, each in asked])
                )
            elif kind == "suggest":
                target = torch.tensor([each.target for _, each in asked], dtype=torch.float32)
                found["remedy"] = F.cross_entropy(self.model.remedy_logits(at), target)
            else:
                target = severity_target([float(each.severity or 0) for _, each in asked])
                found["amount"] = F.cross_entropy(self.model.amount_logits(at), target)
        return found

    def _prose(self, stage: Stage) -> list[list[Exchange]]:
        """Critiques without a photo: an observation line is given, the person's own words are learnt."""
        rng, critiques = np.random.default_rng([stage.seed, self.step, 0, PROSE]), self.drawer.critiques
        pairs = [critiques.pair(rng) for _ in range(stage.prose)] if critiques is not None else []
        return [
            [Exchange("text", COMMENT_QUESTION, text, prompt=write_line(seen) + "\n", blind=True, weight=0.5)]
            for seen, text in pairs
        ]

    @torch.no_grad()
    def _speak(self, seen: VisualTokens, examples: Sequence[Example], stage: Stage) -> None:
        """Exchanges in words, with what the aligned tokens say where labels do not."""
        assert seen.score is not None
        means = score_mean(seen.score).tolist()
        for i, (example, mean) in enumerate(zip(examples, means, strict=True)):
            example.shot.read_score = mean
            if seen.words is not None:
                guess_names(example.shot, seen.words[i].sigmoid(), self.drawer.vocabulary)
            self.drawer.speak(example, np.random.default_rng([stage.seed, self.step, i, SPOKEN]))

    def _score(
        self, logits: Tensor, asked: list, pairs: list[tuple[int, Any]], examples: Sequence[Example], count: int
    ) -> dict[str, Tensor]:
        found = {}
        with_target = [row for row, (_, each) in enumerate(asked) if each.target]
        if with_target:
            target = torch.tensor([asked[row][1].target for row in with_target])
            found["score"] = score_loss(logits[with_target], target)
        means = score_mean(logits)
        row_of = {photo: row for row, (photo, _) in enumerate(asked)}
        terms = [
            F.relu(examples[i].margin - (means[row_of[count + k]] - means[row_of[i]]))
            for k, (i, _) in enumerate(pairs)
            if i in row_of and count + k in row_of
        ]
        if terms:
            found["order"] = torch.stack(terms).mean()
        return found

    # ------------------------------------------------------------------------------------------------ the loop

    def run(self, stage: Stage, every: float = 240.0, look: Look | None = None, look_every: int = 250) -> None:
        """Run a stage from its last checkpoint, or from where the model is; it ends with the averaged weights.

        Args:
            every: seconds between checkpoints.
            look: figures on photos kept out, every ``look_every`` steps.
        """
        trained = self.model.trained_parameters(stage.rates)
        optimiser = self._optimiser(stage)
        self._summaries.clear()
        average = {name: value.detach().clone() for name, value in trained.items()}
        state, file = RunState(trained, average, optimiser), self.folder / f"{stage.name}.safetensors"
        start = state.resume(file)
        saved = time.time()
        self.model.train()
        with (self.folder / "log.jsonl").open("a", encoding="utf-8") as log:
            meter = Meter(stage.name, log)
            for step, examples in self.batches(stage, start):
                self.step = step
                torch.manual_seed(stage.seed * 1_000_003 + step)  # dropout of a resumed run is that of a whole one
                meter.count(len(examples), step, self._step(stage, step, examples, optimiser))
                decay = min(stage.average, (1 + step) / (10 + step))
                with torch.no_grad():
                    for name, value in trained.items():
                        average[name].lerp_(value, 1 - decay)
                if time.time() - saved > every:
                    state.save(file, step + 1)
                    saved = time.time()
                if look is not None and (step + 1) % look_every == 0:
                    meter.tell({"look": step + 1, **self._looked(look, trained, average, stage)})
        state.save(file, stage.steps)
        with torch.no_grad():
            for name, value in trained.items():
                value.copy_(average[name])
        self._summaries.clear()
        self.model.backbone.use_adapters()

    def _optimiser(self, stage: Stage) -> torch.optim.Optimizer:
        """What the stage names learns, each part at its rate; the rest stands still."""
        for parameter in self.model.parameters():
            parameter.requires_grad_(False)
        groups: list[dict[str, Any]] = [
            {"params": list(self.model.trained_parameters([part]).values()), "lr": rate, "peak": rate}
            for part, rate in stage.rates.items()
        ]
        for group in groups:
            for parameter in group["params"]:
                parameter.requires_grad_(True)
        if self.model.vision_learns:
            self.model.backbone.use_adapters()
        else:
            self.model.backbone.use_merged_blocks(self.model.config.trunk)
        return torch.optim.AdamW(groups, betas=(0.9, 0.98), weight_decay=0.02)

    def _step(
        self, stage: Stage, step: int, examples: list[Example], optimiser: torch.optim.Optimizer
    ) -> dict[str, float]:
        """One optimiser step; its losses and the norm of the gradient by name."""
        for group in optimiser.param_groups:
            group["lr"] = group["peak"] * schedule(step, stage.steps, stage.warmup)
        with torch.autocast("cpu", torch.bfloat16):
            losses = self.losses(examples, stage)
            total = torch.stack([stage.weights.get(name, 1.0) * value for name, value in losses.items()]).sum()
        total.backward()
        learning = [parameter for group in optimiser.param_groups for parameter in group["params"]]
        norm = float(nn.utils.clip_grad_norm_(learning, 1.0))
        if math.isfinite(norm):
            optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        return {name: float(value.detach()) for name, value in losses.items()} | {"norm": norm}

    def _looked(self, look: Look, trained: dict, average: dict, stage: Stage) -> dict[str, Any]:
        """Figures on photos kept out, with the averaged weights."""
        kept = {name: value.detach().clone() for name, value in trained.items()}
        with torch.no_grad():
            for name, value in trained.items():
                value.copy_(average[name])
        self.model.eval()
        found = look(stage)
        self.model.train()
        with torch.no_grad():
            for name, value in trained.items():
                value.copy_(kept[name])
        return found
