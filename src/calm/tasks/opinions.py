"""What the model's own heads think of photos that a task is to speak of, where nobody else said: score and content."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from calm.data.sample import Sample, collate
from calm.model.modeling import CalmForConditionalGeneration
from calm.readout import SCORES
from calm.tasks.base import Report, silent
from calm.words.things import phrase

BATCH = 64


class Opinions:
    """Opinions by key, in one JSON file of a training run, formed once so that a resumed run says the same."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.known: dict[str, dict] = json.loads(path.read_text()) if path.exists() else {}

    def fill(
        self,
        model: CalmForConditionalGeneration,
        keys: Sequence[str],
        read: Callable[[str], dict[str, Any]],
        report: Report = silent,
    ) -> None:
        """Form an opinion of every key that has none. ``read``: key → features, as a sample has them."""
        todo = [key for key in dict.fromkeys(keys) if key not in self.known]
        model.eval()
        for start in range(0, len(todo), BATCH):
            part = todo[start : start + BATCH]
            with torch.inference_mode():
                seen = collate([Sample(**read(key)) for key in part], {})
                branches = model.config.opinion_branches
                outputs = model.heads(model.align(seen.features, adapted=seen.adapted, branches=branches))
            means = (outputs["score"].float().softmax(1) @ SCORES).tolist()
            things = outputs["content"].float().sigmoid().tolist()
            for key, mean, row in zip(part, means, things, strict=True):
                self.known[key] = {"score": round(mean, 3), "content": phrase(row)}
            report(start + len(part), len(todo))
        if todo:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.write_text(json.dumps(self.known))

    def score(self, key: str) -> float:
        """Score of a photo, 1–10."""
        return self.known[key]["score"]

    def content(self, key: str) -> str | None:
        """What a photo surely shows, as a noun phrase."""
        return self.known[key]["content"]
