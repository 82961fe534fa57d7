"""A head in the manner of NIMA: a distribution over ten scores, learnt by the squared earth mover's distance.

Talebi and Milanfar, "NIMA: Neural Image Assessment", IEEE TIP 2018, equation 1 with r = 2.
"""

from __future__ import annotations

import torch
from torch import Tensor

from calm.eval.compare.network import fit
from calm.eval.compare.rows.base import Found, Place
from calm.eval.compare.spec import Row


def run(place: Place, row: Row, seed: int) -> Found:
    """The distributions to learn are those of people's means (:func:`calm.train.examples.spread_mean`)."""
    scores = torch.arange(1.0, 11.0)
    wanted = torch.from_numpy(place.photos.train.wanted).float()

    def loss(said: Tensor, wanted: Tensor) -> Tensor:
        gap = (said.softmax(dim=1) - wanted).cumsum(dim=1)
        return gap.square().mean(dim=1).sqrt().mean()

    found, said = fit(place, row, seed, wanted.shape[1], loss, wanted, lambda said: said.softmax(dim=1) @ scores)
    found.distributions = said.softmax(dim=1).numpy()
    return found
