"""Do comments fit their photo, and only theirs?

The facts that a comment is held against are measured on the photo itself, not asked of the model. The control is the
same measure with the comments of other photos: a comment that fits any photo says nothing.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from calm.engine import Answer, Model, comment_task
from calm.eval.gather import Paths, ask, decode, draw, find, plain, progress, stamp
from calm.eval.references import References, against_references, need_pycocoevalcap
from calm.eval.saliency import SaliencySource, saliency_map
from calm.words.facts import Facts, Observation, observe_facts
from calm.words.parse import sentences

SLACK = 0.3
"""How far below the beginning of its ramp an observation may lie and still bear a claim out."""


def eval_comments(
    predictor: Model,
    photos: Paths,
    *,
    seed: int = 0,
    n: int = 200,
    saliency: SaliencySource = "packaged",
    keep_texts: bool = False,
    references: References | None = None,
) -> dict[str, Any]:
    """Write comments on ``n`` photos and hold them against what can be measured in these photos.

    Args:
        n: photos, drawn by ``seed``; all where there are fewer.
        saliency: where the main subject is, which some facts rest on.
        keep_texts: return every comment too.
        references: what people wrote about each of ``photos``, to compare the wording with as well.

    Returns:
        ``n``, ``grounding`` (as :func:`calm.eval.grounding.grounding` gives it, with the wrong-photo control; verdicts
        are compared with the model's own scores), ``per_claim`` (the same for each kind of claim),
        ``distinct_first_sentences`` and ``distinct`` (shares of all, 0–1), ``commonest_first_sentence`` and how often
        it came, ``sentences`` (share of comments with two to four), ``both_sides`` (share that name a strength and a
        weakness), ``references`` where they are given (as :func:`calm.eval.references.against_references` gives it),
        ``failed`` and the model.

    Raises:
        DataError: for no photo that can be read.
        UsageError: for fewer than three, which leave no other photo to compare with, or for references without the
            package that compares with them.
    """
    from calm.eval.grounding import by_key, from_observations, grounding

    if references is not None:
        need_pycocoevalcap()  # before an hour of writing, not after it
    paths = draw(find(photos), n, seed)
    failed: list[dict[str, str]] = []
    answers = ask(predictor, paths, comment_task(), "writing", failed)
    texts = [answer.result.comment.text for answer in answers if answer.result and answer.result.comment]
    scores = [answer.result.score.value for answer in answers if answer.result]
    evidence = from_observations(_observed([answer.path for answer in answers], saliency, failed))
    firsts = Counter(next(iter(sentences(text)), "").casefold() for text in texts)
    commonest, times = firsts.most_common(1)[0]
    result = {
        "task": "comments",
        "n": len(texts),
        "seed": seed,
        "grounding": grounding(texts, evidence, scores, seed=seed),
        "per_claim": by_key(texts, evidence),
        "distinct_first_sentences": len(firsts) / len(texts),
        "distinct": len({text.casefold() for text in texts}) / len(texts),
        "commonest_first_sentence": {"text": commonest, "times": times},
        "sentences": sum(2 <= len(sentences(text)) <= 4 for text in texts) / len(texts),
        "both_sides": sum(_both_sides(answer) for answer in answers) / len(texts),
        "failed": failed,
    }
    if references is not None:
        given = [references[answer.path] for answer in answers]
        result["references"] = against_references(texts, given, seed=seed)
    if keep_texts:
        result["comments"] = [{"path": answer.path, "text": text} for answer, text in zip(answers, texts, strict=True)]
    return plain(result | stamp(predictor))


def _both_sides(answer: Answer) -> bool:
    """Whether the comment names a strength and a weakness."""
    if answer.result is None or answer.result.comment is None:
        return False
    return {-1, 1} <= {aspect.polarity for aspect in answer.result.comment.aspects}


def _observed(paths: list[str], saliency: SaliencySource, failed: list[dict[str, str]]) -> list[list[Observation]]:
    """What can be measured in each photo, in order, with slack."""
    from calm.data.measure import measurements

    find_subject = saliency_map(saliency)
    found = []
    for photo in decode(progress(paths, "measuring", len(paths)), failed):
        subject = find_subject(photo.pixels) if find_subject else None
        facts = Facts.of(photo.pixels, subject, measurements=measurements(photo.pixels))
        found.append(observe_facts(facts, SLACK))
    return found
