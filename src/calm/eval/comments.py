"""Do comments fit their photo, and only theirs?

The facts that a comment is held against are measured on the photo itself, not asked of the model. The control is the
same measure with the comments of other photos: a comment that fits any photo says nothing.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

from calm.engine import Answer, Model, comment_task
from calm.eval.gather import Paths, ask, decode, draw, find, plain, progress, stamp
from calm.eval.saliency import SaliencySource, saliency_map
from calm.words.facts import Facts


def eval_comments(
    predictor: Model,
    photos: Paths,
    *,
    seed: int = 0,
    n: int = 200,
    saliency: SaliencySource = "packaged",
    keep_texts: bool = False,
) -> dict[str, Any]:
    """Write comments on ``n`` photos and hold them against what can be measured in these photos.

    Args:
        n: photos, drawn by ``seed``; all where there are fewer.
        saliency: where the main subject is, which some facts rest on.
        keep_texts: return every comment too.

    Returns:
        ``n``, ``grounding`` (as :func:`calm.eval.grounding.grounding` gives it, with the wrong-photo control),
        ``distinct_first_sentences`` and ``distinct`` (shares of all, 0–1), ``commonest_first_sentence`` and how often
        it came, ``sentences`` (share of comments with two to four), ``both_sides`` (share that name a strength and a
        weakness), ``failed`` and the model.

    Raises:
        DataError: for no photo that can be read.
    """
    from calm.eval.grounding import grounding

    paths = draw(find(photos), n, seed)
    failed: list[dict[str, str]] = []
    answers = ask(predictor, paths, comment_task(), "writing", failed)
    texts = [answer.result.comment.text for answer in answers if answer.result and answer.result.comment]
    facts = _facts([answer.path for answer in answers], saliency, failed)
    firsts = Counter(first_sentence(text).casefold() for text in texts)
    commonest, times = firsts.most_common(1)[0]
    result = {
        "task": "comments",
        "n": len(texts),
        "seed": seed,
        "grounding": grounding(texts, facts, seed),
        "distinct_first_sentences": len(firsts) / len(texts),
        "distinct": len({text.casefold() for text in texts}) / len(texts),
        "commonest_first_sentence": {"text": commonest, "times": times},
        "sentences": sum(2 <= len(split_sentences(text)) <= 4 for text in texts) / len(texts),
        "both_sides": sum(_both_sides(answer) for answer in answers) / len(texts),
        "failed": failed,
    }
    if keep_texts:
        result["comments"] = [{"path": answer.path, "text": text} for answer, text in zip(answers, texts, strict=True)]
    return plain(result | stamp(predictor))


def split_sentences(text: str) -> list[str]:
    """Sentences of a text: what ends in a full stop, exclamation or question mark before a space (not "6.5")."""
    return [part.strip() for part in re.split(r"(?<=[.!?])\s+", text.strip()) if part.strip()]


def first_sentence(text: str) -> str:
    """The first sentence, "" of an empty text."""
    return next(iter(split_sentences(text)), "")


def _both_sides(answer: Answer) -> bool:
    """Whether the comment names a strength and a weakness."""
    if answer.result is None or answer.result.comment is None:
        return False
    return {-1, 1} <= {aspect.polarity for aspect in answer.result.comment.aspects}


def _facts(paths: list[str], saliency: SaliencySource, failed: list[dict[str, str]]) -> list[Facts]:
    """What can be measured in each photo, in order."""
    from calm.data.measure import measurements

    find_subject = saliency_map(saliency)
    found = []
    for photo in decode(progress(paths, "measuring", len(paths)), failed):
        subject = find_subject(photo.pixels) if find_subject else None
        found.append(Facts.of(photo.pixels, subject, measurements=measurements(photo.pixels)))
    return found
