"""How sure is sure: the confidence of the one network's suggestions, fitted on photos that training left out.

Each photo is shown twice, with one visible edit and with chance changes alone, so that half of the set is damaged. Two
numbers are fitted by maximum likelihood: a temperature of all logits (Guo et al., 2017, arXiv 1706.04599) and what is
added to "nothing", since training shows damage more often than one photo in two. The confidence of a remedy is then its
probability: of remedies with confidence .7, seven in ten are right.

The default threshold follows: the lowest confidence at which at most ``FALSE_ALARMS`` of the untouched photos get any
suggestion. All three are fields of the network's configuration.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.optimize import minimize
from scipy.special import log_softmax

from calm.data.hashes import hash_files
from calm.edits import edits, make_lesson
from calm.errors import DataError
from calm.eval.editing import VISIBLE
from calm.eval.gather import batches, decode, draw, progress
from calm.eval.metrics import expected_calibration_error, threshold_for_false_alarms
from calm.eval.saliency import SaliencyMap, SaliencySource, saliency_map
from calm.inference.pipeline import Pipeline
from calm.types import CLASSES

FALSE_ALARMS = 0.08
"""Share of untouched photos that may get a suggestion at the default threshold."""
FEWEST = 10
"""Photos that a fit needs."""
BINS = 10
NOTHING = len(CLASSES)


def calibrate(
    folder: str | Path,
    photos: Sequence[str],
    *,
    most: int = 400,
    seed: int = 0,
    saliency: SaliencySource = "packaged",
    batch_size: int = 16,
) -> dict[str, Any]:
    """Fit the confidence of a trained network and write it into the configuration of its folder.

    Args:
        folder: of the trained network; ``trained_on.txt`` in it says which photos are left aside here.
        photos: files with native pixels.
        most: use so many photos, drawn by ``seed``.
        saliency: where the main subject is, which some edits go by.

    Returns:
        See :func:`report`; ``photos``: how many were used.

    Raises:
        DataError: for fewer than ``FEWEST`` photos that training left out and that can be read.
    """
    pipeline = Pipeline.load(folder)
    config, answers = pipeline.answers.model.config, pipeline.answers
    paths = draw(_left_out(photos, pipeline.trained_on), most, seed)
    pixels = (photo.pixels for photo in decode(progress(paths, "calibrating", len(paths)), []))
    logits, labels = [], []
    for part in batches_of(lessons(pixels, saliency_map(saliency), seed), batch_size):
        logits.append(answers.remedy_logits(answers.see([shown for shown, _ in part])).double().numpy())
        labels += [label for _, label in part]
    if len(labels) < 2 * FEWEST:
        raise DataError(
            f"expected {FEWEST} photos at least that training left out, found {len(labels) // 2} of {len(photos)} that "
            "can be read and edited; give more, or train on fewer"
        )
    found = report(np.concatenate(logits), np.array(labels))
    config.remedy_temperature, config.remedy_nothing = found["temperature"], found["nothing"]
    config.remedy_least = found["least"]
    config.save_pretrained(folder)
    return {"photos": len(labels) // 2, **found}
