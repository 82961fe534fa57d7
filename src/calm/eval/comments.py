"""The form of comments: how long and how varied they are, and how like what people wrote.

None of it says whether a comment is true of its photo; ``calm eval controls`` asks that of the network, by
identification among ten photos and by planted errors.
"""

import re
from collections import Counter
from typing import Any

import numpy as np

from calm.data.batches import draw
from calm.eval.gather import Paths, ask, find, plain, stamp
from calm.eval.references import References, against_references, need_pycocoevalcap
from calm.inference.tasks import CommentTask, Model


def eval_comments(
    predictor: Model,
    photos: Paths,
    *,
    seed: int = 0,
    n: int = 200,
    keep_texts: bool = False,
    references: References | None = None,
) -> dict[str, Any]:
    """Write comments on ``n`` photos and measure their form.

    Args:
        n: photos, drawn by ``seed``; all where there are fewer.
        keep_texts: return every comment too.
        references: what people wrote about each of ``photos``, to compare the wording with as well.

    Returns:
        ``n``, ``words`` and ``sentences`` (mean of each comment), ``two_to_four_sentences`` (share of comments),
        ``repeating`` (share of comments that say a sentence twice), ``shared_sentences`` (share of all sentences that
        another comment has word for word), ``distinct_first_sentences`` and ``distinct`` (in parts of all comments),
        ``commonest_first_sentence`` and how often it came, ``both_sides`` (share whose aspects hold a strength and a
        weakness), ``shares_code_with_generator`` (figures that rest on the model's own reading of its comments),
        ``references`` where they are given (as :func:`calm.eval.references.against_references` gives it), ``failed``
        and the model. All shares are 0–1.

    Raises:
        DataError: for no photo that can be read.
        UsageError: for references without the package that compares with them, or of fewer than two photos.
    """
    if references is not None:
        need_pycocoevalcap()  # before an hour of writing, not after it
    failed: list[dict[str, str]] = []
    answers = ask(predictor, draw(find(photos), n, seed), CommentTask(), "writing", failed)
    comments = [answer.result.comment for answer in answers if answer.result and answer.result.comment]
    texts = [comment.text for comment in comments]
    cut = [sentences(text) for text in texts]
    used_in = Counter(sentence for each in cut for sentence in set(each))
    every = [sentence for each in cut for sentence in each]
    firsts = Counter(next(iter(each), "") for each in cut)
    commonest, times = firsts.most_common(1)[0]
    result: dict[str, Any] = {
        "task": "comments",
        "n": len(texts),
        "seed": seed,
        "words": np.mean([len(text.split()) for text in texts]),
        "sentences": np.mean([len(each) for each in cut]),
        "two_to_four_sentences": np.mean([2 <= len(each) <= 4 for each in cut]),
        "repeating": np.mean([len(set(each)) < len(each) for each in cut]),
        "shared_sentences": np.mean([used_in[sentence] > 1 for sentence in every]) if every else None,
        "distinct_first_sentences": len(firsts) / len(texts),
        "distinct": len({text.casefold() for text in texts}) / len(texts),
        "commonest_first_sentence": {"text": commonest, "times": times},
        "both_sides": np.mean([{-1, 1} <= {aspect.polarity for aspect in each.aspects} for each in comments]),
        "shares_code_with_generator": ["both_sides"],
        "failed": failed,
    }
    if references is not None:
        given = [references[answer.path] for answer in answers]
        result["references"] = against_references(texts, given, seed=seed)
    if keep_texts:
        result["comments"] = [{"path": answer.path, "text": text} for answer, text in zip(answers, texts, strict=True)]
    return plain(result | stamp(predictor))


def sentences(text: str) -> list[str]:
    """The sentences of a text in lower case, without the space around them."""
    return [each.strip() for each in re.split(r"(?<=[.!?])\s+", text.casefold()) if each.strip()]
