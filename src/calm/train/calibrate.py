"""How sure is sure: the confidence of suggestions, set on lessons that were kept out of training."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import torch
from scipy import stats
from torch import Tensor

from calm.chat import Chat
from calm.data.sample import collate
from calm.model.heads import HEADS
from calm.model.modeling import CalmForConditionalGeneration, join
from calm.model.precision import mixed_precision
from calm.readout import SCORES, mend_probabilities, score_distribution
from calm.tasks.base import Task
from calm.train.reading import encode_batch
from calm.words.things import NAMES

FALSE_ALARMS = 0.02
"""Share of untouched validation photos that may get a suggestion of confidence ≥ 0.5; other sets have more of them."""
RIGHT, FEWEST = 0.8, 8
"""A thing is named where that share of the photos kept out for which it would be named show it, of at least so many."""
SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Shares of the heads, beside the language model's own reading, that are tried."""
NEGLIGIBLE = 0.005
"""Difference of SRCC + PLCC that is not worth reading a prompt for: half of its standard error on 1,000 photos."""


def read_lessons(model: CalmForConditionalGeneration, chat: Chat, task: Task) -> tuple[Tensor, Tensor, Tensor]:
    """Log-probabilities by the language model and by the heads, and the targets: each (n, classes + 1)."""
    spoken, heads, targets = read_answers(model, chat, task, "edits", mend_probabilities)
    return spoken, heads.log_softmax(1), targets


def read_photos(model: CalmForConditionalGeneration, chat: Chat, task: Task) -> tuple[Tensor, Tensor, Tensor]:
    """Score distributions of rated photos by the language model and by the heads, and people's: each (n, 10)."""
    spoken, heads, targets = read_answers(model, chat, task, "score", score_distribution)
    return spoken, heads.softmax(1), targets


@torch.inference_mode()
def read_answers(
    model: CalmForConditionalGeneration,
    chat: Chat,
    task: Task,
    head: str,
    speak: Callable[[CalmForConditionalGeneration, Chat, Tensor], Tensor],
    batch: int = 32,
    watch: Callable[[Sequence[int]], Iterable[int]] = iter,
) -> tuple[Tensor, Tensor, Tensor]:
    """What the language model says (by ``speak``), the logits of one head, and its targets, for every sample, in the
    number format that is fast on the machine, as while training.

    ``watch``: what the first samples of the batches pass through, to show progress.
    """
    model.eval()
    spoken, heads, targets = [], [], []
    for start in watch(range(0, len(task), batch)):
        chosen = range(start, min(start + batch, len(task)))
        part = collate([task.sample(i, np.random.default_rng([4321, i])) for i in chosen], HEADS)
        with mixed_precision():
            tokens = encode_batch(model, part, keep_encoder=True)
            heads.append(model.heads(tokens, part.measures)[head].float())
            spoken.append(speak(model, chat, join(tokens)).float())
        targets.append(part.targets[head])
    return torch.cat(spoken), torch.cat(heads), torch.cat(targets)


def calibrate_scores(spoken: Tensor, heads: Tensor, targets: Tensor) -> dict[str, float]:
    """Share of the heads in the score: the one with the highest SRCC + PLCC on photos that were kept out of training.

    Of shares that differ by less than ``NEGLIGIBLE`` the largest wins: with the heads alone, no prompt is read. Fewer
    than three photos choose nothing: the language model reads.

    Args:
        spoken, heads, targets: distributions, (n, 10).
    """
    if len(targets) < 3:
        return {"score_heads": 0.0, "validation_photos": len(targets)}
    wanted = (targets @ SCORES).numpy()

    def agreement(share: float) -> float:
        predicted = (((1 - share) * spoken + share * heads) @ SCORES).numpy()
        return float(stats.spearmanr(predicted, wanted).statistic + stats.pearsonr(predicted, wanted).statistic)

    found = {share: agreement(share) for share in SHARES}
    share = max(each for each, value in found.items() if value >= max(found.values()) - NEGLIGIBLE)
    return {
        "score_heads": share,
        "validation_agreement_language": round(found[0.0], 4),
        "validation_agreement_heads": round(found[1.0], 4),
        "validation_agreement": round(found[share], 4),
        "validation_photos": len(targets),
    }


def calibrate(spoken: Tensor, heads: Tensor, targets: Tensor) -> dict[str, float]:
    """Share of the heads, temperature and bias of "nothing to mend".

    The share with the least cross-entropy (each at its best temperature) wins; then the bias is raised until at most
    ``FALSE_ALARMS`` of the untouched photos get a suggestion of confidence ≥ 0.5.

    Args:
        spoken, heads: log-probabilities, (n, classes + 1). targets: distributions of the same shape.
    """
    best: tuple[float, float, float] | None = None
    for share in SHARES:
        mixed = (1 - share) * spoken + share * heads
        for temperature in np.geomspace(0.5, 3.0, 19):
            loss = -(targets * (mixed / temperature).log_softmax(1)).sum(1).mean().item()
            if best is None or loss < best[0]:
                best = (loss, share, float(temperature))
    assert best is not None
    loss, share, temperature = best
    logits = ((1 - share) * spoken + share * heads) / temperature
    untouched = targets[:, -1] > 0.5
    touched = ~untouched
    for bias in np.arange(0.0, 4.01, 0.1):
        shifted = logits.clone()
        shifted[:, -1] += bias
        sure = shifted.softmax(1)[:, :-1].max(1).values >= 0.5
        if not untouched.any() or sure[untouched].float().mean() <= FALSE_ALARMS:
            break
    right = targets.gather(1, logits[:, :-1].argmax(1, keepdim=True))[:, 0] > 0
    return {
        "heads": share,
        "temperature": round(temperature, 3),
        "bias": round(float(bias), 2),
        "validation_cross_entropy": round(loss, 4),
        "validation_top1": round(right[touched].float().mean().item(), 4),
        "validation_top1_language": round(_top1(spoken, targets, touched), 4),
        "validation_top1_heads": round(_top1(heads, targets, touched), 4),
        "validation_false_alarms": round(sure[untouched].float().mean().item(), 4),
        "validation_lessons": int(len(targets)),
    }


def calibrate_content(probabilities: Tensor, targets: Tensor) -> dict[str, float]:
    """For each thing the least probability from which it is rightly named in ``RIGHT`` of the photos kept out.

    A thing that is too seldom named to tell, or never right often enough, gets 1: it is not named at all.

    Args:
        probabilities: (n, things). targets: the same, 1 or 0, nan where nobody said.
    """
    found = {}
    for name, told, wanted in zip(NAMES, probabilities.T, targets.T, strict=True):
        known = wanted.isfinite()
        found[name] = 1.0
        for least in np.arange(0.95, 0.49, -0.05):
            named = known & (told >= least)
            if named.sum() >= FEWEST and wanted[named].mean() >= RIGHT:
                found[name] = round(float(least), 2)
    return found


@torch.inference_mode()
def read_content(model: CalmForConditionalGeneration, tasks: Sequence[Task], batch: int = 64) -> tuple[Tensor, Tensor]:
    """Probabilities of things on the frames of all samples of the tasks, and what was told of them: (n, things)."""
    model.eval()
    found, targets = [], []
    for task in tasks:
        samples = [task.sample(i, np.random.default_rng([4321, i])) for i in range(len(task))]
        for start in range(0, len(samples), batch):
            part = collate(samples[start : start + batch], HEADS)
            with mixed_precision():
                tokens = encode_batch(model, part, keep_encoder=True, branches=model.config.opinion_branches)
                found.append(model.heads(tokens)["content"].float().sigmoid())
            targets.append(part.targets["content"])
    return torch.cat(found), torch.cat(targets)


def _top1(logits: Tensor, targets: Tensor, rows: Tensor) -> float:
    right = targets.gather(1, logits[:, :-1].argmax(1, keepdim=True))[:, 0] > 0
    return right[rows].float().mean().item()
