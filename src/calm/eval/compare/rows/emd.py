"""A head in the manner of NIMA: a distribution over ten scores, learnt by the squared earth mover's distance.

Talebi and Milanfar, "NIMA: Neural Image Assessment", IEEE TIP 2018, equation 1 with r = 2.
"""

import torch
from torch import Tensor

from calm.eval.compare.network import fit
from calm.eval.compare.row import Found, Place
from calm.eval.compare.spec import RowSpec


def run(place: Place, row: RowSpec, seed: int) -> Found:
    """The distributions to learn are those of people's means (:func:`calm.train.shots.spread_mean`)."""
    scores = torch.arange(1.0, 11.0)
    wanted = torch.from_numpy(place.photos.train.wanted).float()

    def loss(outputs: Tensor, wanted: Tensor) -> Tensor:
        gap = (outputs.softmax(dim=1) - wanted).cumsum(dim=1)
        return gap.square().mean(dim=1).sqrt().mean()

    found, outputs = fit(place, row, seed, wanted.shape[1], loss, wanted, lambda rows: rows.softmax(dim=1) @ scores)
    found.distributions = outputs.softmax(dim=1).numpy()
    return found
