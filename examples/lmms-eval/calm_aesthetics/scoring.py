"""What the task asks about a photo, how a score is read from the answer, and how scores are compared.

Interface: lmms-eval 0.7 (EvolvingLMMs-Lab/lmms-eval, docs/guides/task_guide.md). A row is one photo:
``{"image": path, "score": number on any one scale}``, a path relative to ``CALM_PHOTOS``.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping, Sequence
from typing import Any

QUESTION = (
    "Judge the aesthetic quality of this photo: composition, light, colour, subject. "
    "Give one score from 1 (worst) to 10 (best), with one decimal. Answer with the number alone."
)
LEVELS = {"bad": 1.0, "poor": 3.25, "fair": 5.5, "good": 7.75, "excellent": 10.0}
"""Five words that models trained on rating levels answer with, evenly spread over 1–10."""
MIDDLE = 5.5
"""The score of an answer that holds none: a model gains nothing by not answering."""


def process_docs(dataset: Any) -> Any:  # noqa: ANN401 - a data set of the package datasets
    """Rows as they are. Raises ValueError unless every row has a finite score."""
    for number, score in enumerate(dataset["score"], 1):
        if score is None or not math.isfinite(float(score)):
            raise ValueError(f"expected a score in row {number}, found {score!r}; correct the row")
    return dataset


def doc_to_visual(doc: Mapping[str, Any]) -> list[Any]:
    """The photo, upright and in RGB. ``image`` is a path, or a decoded image of a Parquet file's column."""
    from PIL import Image, ImageOps

    image = doc["image"]
    if isinstance(image, str):
        image = Image.open(os.path.join(os.environ.get("CALM_PHOTOS", ""), image))
    return [ImageOps.exif_transpose(image).convert("RGB")]


def doc_to_text(doc: Mapping[str, Any], lmms_eval_specific_kwargs: Mapping[str, str] | None = None) -> str:
    """The question, between what the model in question wants before and after it."""
    around = lmms_eval_specific_kwargs or {}
    return f"{around.get('pre_prompt', '')}{QUESTION}{around.get('post_prompt', '')}"


def process_results(doc: Mapping[str, Any], results: Sequence[str]) -> dict[str, Any]:
    """One photo's part of each figure: (predicted, given) for the correlations, and whether there was an answer."""
    predicted = read_score(results[0] if results else "")
    pair = (MIDDLE if predicted is None else predicted, float(doc["score"]))
    return {"srcc": pair, "plcc": pair, "answered": float(predicted is not None)}


def read_score(text: str) -> float | None:
    """The first number of 1–10 in an answer ("7", "7.5 out of 10", "8/10"), else its rating word, else None."""
    for found in re.finditer(r"(?<![\d.])\d+(?:\.\d+)?(?![\d.]*\d)", text):
        if 1 <= float(found.group()) <= 10:
            return float(found.group())
    words = [word for word in re.findall(r"[a-z]+", text.lower()) if word in LEVELS]
    return LEVELS[words[0]] if words else None


def srcc(pairs: Sequence[tuple[float, float]]) -> float:
    """Spearman's rank correlation of predicted with given scores, −1–1; nan where either side is constant."""
    predicted, given = zip(*pairs, strict=True)
    return _pearson(_ranks(predicted), _ranks(given))


def plcc(pairs: Sequence[tuple[float, float]]) -> float:
    """Pearson's correlation of predicted with given scores, −1–1, without a fit before; nan for a constant side."""
    predicted, given = zip(*pairs, strict=True)
    return _pearson(predicted, given)


def _pearson(a: Sequence[float], b: Sequence[float]) -> float:
    mean_a, mean_b = sum(a) / len(a), sum(b) / len(b)
    x, y = [each - mean_a for each in a], [each - mean_b for each in b]
    size = math.sqrt(math.fsum(each * each for each in x) * math.fsum(each * each for each in y))
    return math.fsum(p * q for p, q in zip(x, y, strict=True)) / size if size > 1e-12 else math.nan


def _ranks(values: Sequence[float]) -> list[float]:
    """Ranks from 1; ties take the mean of theirs."""
    order = sorted(range(len(values)), key=values.__getitem__)
    ranks, start = [0.0] * len(values), 0
    while start < len(order):
        end = start
        while end < len(order) and values[order[end]] == values[order[start]]:
            end += 1
        for place in order[start:end]:
            ranks[place] = (start + 1 + end) / 2
        start = end
    return ranks
