"""How sure is sure: the confidence of suggestions, fitted on photos that training left out.

Each photo is shown twice, with one visible edit and with chance changes alone, so that half of the set is damaged. Two
numbers are fitted by maximum likelihood: a temperature of all logits (Guo et al., 2017, arXiv 1706.04599) and what is
added to "nothing", since training shows damage more often than one photo in two. The confidence of a remedy is then its
probability: of remedies with confidence .7, seven in ten are right.

The default threshold follows: the lowest confidence at which at most ``FALSE_ALARMS`` of the untouched photos get any
suggestion. All three are fields of the network's configuration.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax

from calm.data.batches import batches, decode, draw
from calm.data.hashes import hash_files
from calm.data.images import Photo
from calm.data.progress import progress
from calm.edits import edits, synthetic_edit
from calm.edits.base import VISIBLE
from calm.errors import DataError
from calm.inference.pipeline import Pipeline
from calm.model.pretrained import CalmConfig
from calm.model.saliency import SaliencyMap, SaliencySource, saliency_map
from calm.tasks.metrics import expected_calibration_error, threshold_for_false_alarms
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
        folder: of the trained network; photos whose hash stands in its ``trained_on.txt`` are left aside.
        photos: files with native pixels.
        most: use so many photos, drawn by ``seed``.
        saliency: where the main subject is, which some edits go by.
        batch_size: photos a forward pass, edited and untouched ones together.

    Returns:
        The figures of :func:`report`, and ``photos``: how many were used.

    Raises:
        DataError: for fewer than ``FEWEST`` photos that training left out and that can be read.
    """
    pipeline, find = Pipeline.load(folder), saliency_map(saliency)
    digits = max(map(len, pipeline.trained_on), default=0)
    hashes = hash_files(photos, label=str(folder))
    paths = draw([path for path in photos if hashes[path][:digits] not in pipeline.trained_on], most, seed)
    logits, labels = [], list[int]()
    for part in batches(list(progress(paths, "calibrating")), max(1, batch_size // 2)):
        shown = [each for photo in decode(part, []) for each in pair(photo, find, seed)]
        if shown:
            seen = pipeline.answers.see([pixels for pixels, _ in shown])
            logits.append(pipeline.answers.remedy_logits(seen).double().numpy())
            labels += [label for _, label in shown]
    if len(labels) < 2 * FEWEST:
        raise DataError(
            f"expected {FEWEST} photos at least that training left out and that can be edited, found "
            f"{len(labels) // 2} among {len(photos)}; give more"
        )
    figures = report(np.concatenate(logits), np.array(labels))
    config = CalmConfig.from_pretrained(folder)
    config.remedy_temperature, config.remedy_nothing = figures["temperature"], figures["nothing"]
    config.remedy_least = figures["least"]
    config.save_pretrained(folder)
    return {"photos": len(labels) // 2, **figures}


def pair(photo: Photo, find: SaliencyMap | None, seed: int) -> list[tuple[np.ndarray, int]]:
    """A photo with chance changes alone, and with one visible edit of the first attribute, in random order, that it
    lends itself to: (H, W, 3) uint8 and the right remedy's class, ``NOTHING`` for none. Empty if no edit fits.
    """
    rng = np.random.default_rng([seed, int(photo.sha256[:8], 16)])
    subject = find(photo.pixels) if find else None
    for name in rng.permutation(list(edits())):
        made = synthetic_edit(
            photo.pixels, rng, attributes=[str(name)], count=1, min_severity=VISIBLE, saliency=subject
        )
        for done in made.applied:
            if done.severity >= VISIBLE:
                untouched = synthetic_edit(photo.pixels, rng, count=0, saliency=subject)
                label = CLASSES.index((done.attribute, done.direction))
                return [(untouched.pixels, NOTHING), (made.pixels, label)]
    return []


def fit(logits: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    """Temperature (0.1–10) and what is added to "nothing" (−10 … 10) of least log loss.

    Args:
        logits: (n, classes + 1), the last is "nothing".
        labels: (n,), the right class of each.
    """

    def loss(numbers: np.ndarray) -> float:
        return log_loss(logits, labels, 1 / numbers[0], numbers[1])

    found = minimize(loss, (1.0, 0.0), method="L-BFGS-B", bounds=((0.1, 10.0), (-10.0, 10.0)))  # convex in both
    return float(1 / found.x[0]), float(found.x[1])


def log_loss(logits: np.ndarray, labels: np.ndarray, temperature: float, nothing: float) -> float:
    """Mean −log of the probability of the right class, natural logarithm; arguments as of :func:`fit`."""
    return float(-log_softmax(_shifted(logits, temperature, nothing), axis=1)[np.arange(len(labels)), labels].mean())


def report(logits: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
    """The fit and how good it is; arguments as of :func:`fit`, the two versions of a photo beside each other.

    Returns:
        ``temperature nothing least`` (the default threshold); ``log_loss`` and ``log_loss_before`` the fit; ``top1``:
        share of the edits whose remedy is the likeliest one, and ``found`` of those the share (of all edits) at the
        threshold; ``false_alarms``: share of the untouched with any suggestion at the threshold; ``calibration_error``
        of the best remedy's confidence over ten bins, each half of the photos by the fit on the other half, and
        ``bins`` with ``least n confidence right`` of each.
    """
    temperature, nothing = fit(logits, labels)
    sure = _confidences(logits, temperature, nothing)
    right, untouched = logits[:, :NOTHING].argmax(axis=1) == labels, labels == NOTHING
    passed = threshold_for_false_alarms(sure[untouched], FALSE_ALARMS)
    least = (math.floor(passed * 1e4) + 1) / 1e4  # suggestions are made from the threshold on, alarms counted above it
    crossed, half = np.empty(len(labels)), np.arange(len(labels)) // 2 % 2 == 0
    for chosen in (half, ~half):
        crossed[chosen] = _confidences(logits[chosen], *fit(logits[~chosen], labels[~chosen]))
    return {
        "temperature": temperature,
        "nothing": nothing,
        "least": least,
        "log_loss": log_loss(logits, labels, temperature, nothing),
        "log_loss_before": log_loss(logits, labels, 1.0, 0.0),
        "top1": float(right[~untouched].mean()),
        "found": float((right & (sure >= least))[~untouched].mean()),
        "false_alarms": float((sure[untouched] >= least).mean()),
        "calibration_error": expected_calibration_error(crossed, right, BINS),
        "bins": _bins(crossed, right),
    }


def _shifted(logits: np.ndarray, temperature: float, nothing: float) -> np.ndarray:
    shifted = logits / temperature
    shifted[:, -1] += nothing
    return shifted


def _confidences(logits: np.ndarray, temperature: float, nothing: float) -> np.ndarray:
    """(n,), of the likeliest remedy of each, 0–1."""
    return softmax(_shifted(logits, temperature, nothing), axis=1)[:, :NOTHING].max(axis=1)


def _bins(sure: np.ndarray, right: np.ndarray) -> list[dict[str, float]]:
    place = np.clip(np.ceil(sure * BINS).astype(int) - 1, 0, BINS - 1)  # open below, closed above
    return [
        {
            "least": i / BINS,
            "n": int((place == i).sum()),
            "confidence": float(sure[place == i].mean()),
            "right": float(right[place == i].mean()),
        }
        for i in range(BINS)
        if (place == i).any()
    ]
