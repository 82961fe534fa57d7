"""A peer of in-context learning: low-rank adapters in the model's own judge of scores, tuned on a person's examples."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import numpy as np

from calm.personal.learners import Learner, Predict
from calm.personal.prior import Shown

if TYPE_CHECKING:
    from torch import Tensor, nn

RANK, RATE, STEPS = 4, 2e-3, 30
"""Of the adapters, and of AdamW on all examples at once: a usual choice, not searched for."""


class Tuned(Learner):
    """LoRA (Hu et al., ICLR 2022) in the linear layers between what the frozen encoder sees and the score.

    What the tuned judge says beyond the untuned one is added to the general score, with an offset of the person's own:
    without examples it is the general score.

    Args:
        judge: photos' features (n, d), standardised, → logits of the scores 1 … 10, (n, 10). It is copied.
    """

    name = "lora"

    def __init__(self, judge: nn.Module) -> None:
        import torch
        from peft import LoraConfig, inject_adapter_in_model

        self._judge = copy.deepcopy(judge).float().eval().requires_grad_(False)
        linear = [name for name, module in self._judge.named_modules() if isinstance(module, torch.nn.Linear)]
        inject_adapter_in_model(LoraConfig(r=RANK, lora_alpha=RANK, target_modules=linear), self._judge)
        self._adapters = {n: p.requires_grad_(True) for n, p in self._judge.named_parameters() if "lora_" in n}
        self._begin = {name: value.detach().clone() for name, value in self._adapters.items()}

    def learn(self, photos: Shown, ratings: np.ndarray) -> Predict:
        import torch

        before = self._begin
        if len(photos):
            with torch.enable_grad():
                before = self._tune(photos, ratings)
        tuned = {name: value.detach().clone() for name, value in before.items()}

        def predict(others: Shown) -> np.ndarray:
            features = torch.from_numpy(others.features).float()
            with torch.no_grad():
                self._set(tuned)
                after = self._score(features)
                self._set(self._begin)
                return others.general + (after - self._score(features)).double().numpy()

        return predict

    def _tune(self, photos: Shown, ratings: np.ndarray) -> dict[str, Tensor]:
        import torch

        features, wanted = torch.from_numpy(photos.features).float(), torch.from_numpy(ratings - photos.general).float()
        self._set(self._begin)
        with torch.no_grad():
            start = self._score(features)
        offset = torch.nn.Parameter(wanted.mean())
        learnt = [*self._adapters.values(), offset]
        optimizer = torch.optim.AdamW(learnt, lr=RATE)
        for _ in range(STEPS):
            optimizer.zero_grad()
            (self._score(features) - start + offset - wanted).square().mean().backward()
            optimizer.step()
        return self._adapters

    def _set(self, values: dict[str, Tensor]) -> None:
        import torch

        with torch.no_grad():
            for name, parameter in self._adapters.items():
                parameter.copy_(values[name])

    def _score(self, features: Tensor) -> Tensor:
        from calm.readout import SCORES

        return self._judge(features).softmax(dim=1) @ SCORES
