"""Figures on photos that training left out: of the auxiliary heads, the lexicon and the language model."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from calm.model.exchange import SCORE_QUESTION, SUGGEST_QUESTION, Exchange, embed
from calm.model.network import score_mean
from calm.model.visual import VisualTokens
from calm.tasks.metrics import plcc, srcc
from calm.train.examples import Example
from calm.train.shooting import CLEAR
from calm.train.shots import Shot
from calm.train.trainer import Stage, Trainer

ONE_IN = 40
"""One photo of so many is left out."""
MOST = 300
"""Photos of each kind that are looked at."""
BATCH = 48


def hold_out(shots: Mapping[str, Sequence[Shot]], root: Path) -> tuple[dict[str, list[Shot]], dict[str, list[Shot]]]:
    """Shots to learn from, and shots of photos left out: those whose hashed path falls on one in :data:`ONE_IN`."""
    learnt: dict[str, list[Shot]] = {}
    held: dict[str, list[Shot]] = {}
    for kind, pool in shots.items():
        places = {shot.photo.path: _place(shot.photo.path, root) for shot in pool}
        learnt[kind] = [shot for shot in pool if kind == "blank" or places[shot.photo.path]]
        unique = {shot.photo.path: shot for shot in pool if kind != "blank" and not places[shot.photo.path]}
        held[kind] = list(unique.values())
    return learnt, held


def _place(path: str, root: Path) -> int:
    relative = Path(path).relative_to(root) if Path(path).is_relative_to(root) else Path(path)
    return int(hashlib.sha256(f"validation {relative}".encode()).hexdigest(), 16) % ONE_IN


class Validation:
    """Measures a trainer's model as it is; see the module.

    Args:
        trainer: whose model and packer are used.
        held: shots of photos that it does not learn from, by kind.
    """

    def __init__(self, trainer: Trainer, held: Mapping[str, Sequence[Shot]]) -> None:
        self.trainer, self.held = trainer, held

    @torch.no_grad()
    def __call__(self, stage: Stage) -> dict[str, Any]:
        """Figures by name; ``read_*`` are the language model's, the others the auxiliary heads' and the lexicon's."""
        found: dict[str, Any] = {}
        rated = [shot for shot in self.held.get("rated", []) if shot.photo.score is not None][:MOST]
        if len(rated) > 2:
            people = [float(shot.photo.score or 0) for shot in rated]
            for name, means in self._scores(rated, stage).items():
                found[name] = {"srcc": round(srcc(means, people), 4), "plcc": round(plcc(means, people), 4)}
        named = [shot for shot in self.held.get("named", []) if self._true(shot)][:MOST]
        if named:
            found["named"] = self._named(named)
        clear = [
            shot for shot in self.held.get("edited", []) if max([0.0, *(e.severity for e in shot.applied)]) >= CLEAR
        ]
        if clear:
            found |= self._remedies(clear, stage)
        return found

    def _true(self, shot: Shot) -> list[str]:
        return self.trainer.drawer.vocabulary.named(shot.photo.names, shot.photo.captions)

    def _see(self, shots: Sequence[Shot], crop: bool) -> VisualTokens:
        """Always :data:`BATCH` shots at once, the last ones filled up: one shape for compiled blocks."""
        filled = [*shots, *[shots[0]] * (BATCH - len(shots))]
        with torch.autocast("cpu", torch.bfloat16):
            seen = self.trainer.see([Example(shot, crop=crop) for shot in filled])
        return seen.of(slice(0, len(shots)))

    def _batches(self, shots: Sequence[Shot], crop: bool) -> list[VisualTokens]:
        return [self._see(shots[start : start + BATCH], crop) for start in range(0, len(shots), BATCH)]

    def _scores(self, shots: Sequence[Shot], stage: Stage) -> dict[str, list[float]]:
        seen = self._batches(shots, crop=False)
        found = {"score": [m for each in seen for m in _mean(each)]}
        if stage.read:
            asked = Exchange("score", SCORE_QUESTION, target=(0.0,), detail=False)
            states = [self._states(each, asked, stage) for each in seen]
            found["read_score"] = score_mean(self.trainer.model.score_logits(torch.cat(states))).tolist()
        return found

    def _named(self, shots: Sequence[Shot]) -> float:
        words = self.trainer.drawer.vocabulary.words
        tops: list[int] = []
        for each in self._batches(shots, crop=False):
            assert each.words is not None
            tops += each.words.argmax(dim=1).tolist()
        return round(float(np.mean([words[top] in self._true(s) for top, s in zip(tops, shots, strict=True)])), 4)

    def _remedies(self, shots: Sequence[Shot], stage: Stage) -> dict[str, float]:
        model, seen = self.trainer.model, self._batches(shots, crop=True)
        logits = {"remedy": torch.cat([each.remedy for each in seen if each.remedy is not None])}
        if stage.read:
            asked = Exchange("suggest", SUGGEST_QUESTION, target=(0.0,))
            logits["read_remedy"] = model.remedy_logits(torch.cat([self._states(each, asked, stage) for each in seen]))
        rng = np.random.default_rng(0)
        targets = [self.trainer.drawer.example(shot, rng).remedies or () for shot in shots]
        count = model.config.remedies - 1
        return {
            name: round(
                float(np.mean([t[int(row[:count].argmax())] > 0.01 for row, t in zip(each, targets, strict=True)])), 4
            )
            for name, each in logits.items()
        }

    def _states(self, seen: VisualTokens, asked: Exchange, stage: Stage) -> Tensor:
        """Hidden states where the answers about a batch of photos are read: (B, width)."""
        model, packed = self.trainer.model, self.trainer.packer.pack([[asked]] * len(seen.frame))
        found: list[Tensor] = []
        with torch.autocast("cpu", torch.bfloat16):
            for part, count in packed.chunks(stage.rows):
                found.append(model.hidden(embed(model, part, seen), part.mask, part.positions)[:count])
        rows, columns = (torch.tensor(axis) for axis in zip(*packed.reads[asked.kind], strict=True))
        order = torch.tensor([photo for photo, _ in packed.exchanges[asked.kind]])
        return torch.cat(found)[rows, columns][order.argsort()].float()


def _mean(seen: VisualTokens) -> list[float]:
    assert seen.score is not None
    return score_mean(seen.score).tolist()
