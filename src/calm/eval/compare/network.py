"""A small network on frozen features: what heads that are learnt by gradient descent have in common."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from calm.eval.compare.row import Found, Place, read
from calm.eval.compare.spec import RowSpec
from calm.tasks.metrics import srcc

HIDDEN, DROPOUT, RATE, DECAY, BATCH, EPOCHS = 512, 0.3, 1e-3, 0.05, 64, 30
"""Usual choices, not searched for; the epoch is chosen on the validation photos."""


def fit(
    place: Place,
    row: RowSpec,
    seed: int,
    outputs: int,
    loss: Callable[[Tensor, Tensor], Tensor],
    wanted: Tensor,
    say: Callable[[Tensor], Tensor],
) -> tuple[Found, Tensor]:
    """Learn by AdamW with a cosine, and keep the epoch with the best SRCC on the validation photos.

    Args:
        outputs: numbers that the network gives a photo.
        loss: of its outputs and what is wanted, the mean over a batch.
        wanted: (n, …) of the training photos.
        say: outputs → scores (n,).

    Returns:
        What was found, and the outputs for the test photos.
    """
    train, validation, test = (torch.from_numpy(part).float() for part in read(place))
    torch.manual_seed(seed)
    network = nn.Sequential(
        nn.Linear(train.shape[1], HIDDEN), nn.GELU(), nn.Dropout(DROPOUT), nn.Linear(HIDDEN, outputs)
    )
    optimizer = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=DECAY)
    steps = EPOCHS * -(-len(train) // BATCH)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    best, kept, epoch_kept, curve = -np.inf, None, 0, []
    for epoch in range(1, EPOCHS + 1):
        network.train()
        total = 0.0
        for chosen in torch.randperm(len(train)).split(BATCH):
            optimizer.zero_grad()
            value = loss(network(train[chosen]), wanted[chosen])
            value.backward()
            optimizer.step()
            schedule.step()
            total += float(value.detach()) * len(chosen)
        network.eval()
        with torch.inference_mode():
            figure = srcc(say(network(validation)).numpy(), place.photos.validation.given)
            curve.append({"step": float(epoch), "loss": total / len(train), "validation_srcc": figure})
            if figure > best:
                best, kept, epoch_kept = figure, network(test), epoch
    assert kept is not None
    return Found(say(kept).numpy(), {"epoch": epoch_kept, "validation_srcc": best}, curve), kept
