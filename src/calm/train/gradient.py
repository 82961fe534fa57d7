"""The gradient of losses of a whole batch, whatever parts it is read in, one after the other or side by side.

Side by side: each process reads its rows; what is said of all rows is gathered, and every process computes the same
losses of the whole batch, through which a gradient flows to its own rows. The sum over processes is the gradient.

One after the other (``accumulate``): the batch is read twice. First without a gradient, to know the losses and how they
change with what is said of each row; then part by part with one, which goes on from there (gradient cache: Gao et al.,
RepL4NLP 2021, arXiv 2101.06983). The memory is that of one part, the price a second forward pass. Unlike a mean over
parts this is exact for every loss: a correlation, or a mean over the rows that have a target.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from calm.data.sample import Batch
from calm.train.engine import Engine
from calm.train.reading import compare, known, targets

Losses = dict[str, Tensor]
Said = dict[str, Tensor]


def learn(
    engine: Engine,
    reader: nn.Module,
    parts: Sequence[Batch],
    read: Sequence[str],
    total: Callable[[Losses], Tensor],
    last: bool,
) -> Losses:
    """Add the gradient of a batch's losses to that of the step.

    Args:
        reader: a :class:`calm.train.reading.Reader`, wrapped by the engine.
        parts: this process's share of the batch.
        total: what is minimised, a scalar, from the losses.
        last: of the step's batches.

    Returns:
        Losses of the whole batch, scalars without a gradient.
    """
    told = [targets(part, read) for part in parts]
    wanted_said = engine.gather({name: torch.cat([each[name] for each in told]) for name in told[0]})
    wanted = known(wanted_said)

    def minimised(said: Said) -> tuple[Losses, Tensor]:
        with engine.autocast():
            losses = compare(engine.gather(said), wanted_said)
            return {name: loss.detach() for name, loss in losses.items()}, total(losses)

    if len(parts) == 1:
        with engine.gathering(reader, last):
            losses, minimum = minimised(reader(parts[0], wanted))
            engine.backward(minimum)
        return losses

    seeds = torch.randint(2**31, (len(parts),)).tolist()  # both passes draw the same chances
    first: list[Said] = []
    for part, seed in zip(parts, seeds, strict=True):
        torch.manual_seed(seed)
        with torch.no_grad():
            first.append(reader(part, wanted))
    whole = {name: torch.cat([said[name] for said in first]).requires_grad_() for name in first[0]}
    losses, minimum = minimised(whole)
    slopes = dict(zip(whole, torch.autograd.grad(minimum, list(whole.values())), strict=True))
    split = {name: slope.split([len(said[name]) for said in first]) for name, slope in slopes.items()}
    for number, (part, seed) in enumerate(zip(parts, seeds, strict=True)):
        torch.manual_seed(seed)
        with engine.gathering(reader, last and number == len(parts) - 1):
            said = reader(part, wanted)
            engine.backward(torch.stack([(said[name] * split[name][number]).sum() for name in said]).sum())
    return losses
