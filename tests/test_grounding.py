"""Comments must be about their own photo: the metric has to see when they are not."""

from __future__ import annotations

import numpy as np
import pytest

from calm.errors import UsageError
from calm.eval.grounding import Evidence, by_key, evidence, from_observations, grounding
from calm.words.facts import KINDS, Observation


def seen(key: str, strength: float = 0.5) -> Observation:
    kind = KINDS[key]
    return Observation(kind.aspect, kind.level, kind.polarity, key, strength)


TEXTS = (
    "The light is soft. The horizon is not level. It is a good photo.",
    "The frame is too dark. The colours are rich. It is a weak photo.",
    "The frame is too bright. The subject is clear at once. It is a fair photo.",
    "There is no clear subject. The light is flat. It is a poor photo.",
)
HOLDS = (
    ("soft_light", "tilted"),
    ("underexposed", "rich_colour"),
    ("overexposed", "clear_subject"),
    ("no_clear_subject", "flat_light"),
)
SCORES = (6.5, 3.5, 6.0, 2.0)


def photos(copies: int = 6) -> tuple[list[str], list[Evidence], list[float]]:
    evidences = from_observations([[seen(key) for key in each] for each in HOLDS])
    return list(TEXTS) * copies, evidences * copies, list(SCORES) * copies


def test_evidence_supports_what_holds_and_denies_its_opposites():
    found = evidence([seen("underexposed"), seen("centred", -0.1)])
    assert {"underexposed", "centred"} <= found.supported
    assert "overexposed" in found.contradicted and "on_third" not in found.contradicted
    assert not found.supported & found.contradicted


def test_true_comments_are_supported_and_those_of_other_photos_are_not():
    report = grounding(*photos(), seed=1)
    assert report["supported"] == 1.0 and report["contradicted"] == 0.0
    assert report["supported_wrong"] < 0.3 and report["contradicted_wrong"] > 0.1
    assert report["supported_low"] > 0.5 and report["supported_p"] < 0.01
    assert report["contradicted_high"] < 0 and report["contradicted_p"] < 0.01
    assert report["supported_difference"] == pytest.approx(report["supported"] - report["supported_wrong"])
    assert report["claims"] == 2.0 and report["sentences"] == 3.0


def test_comments_shifted_to_the_next_photo_are_found_out():
    texts, evidences, scores = photos()
    report = grounding(texts[1:] + texts[:1], evidences, scores, seed=1)
    assert report["supported"] == 0.0 and report["contradicted"] > 0.2
    assert report["supported_low"] < 0 and report["supported_p"] > 0.9


def test_one_comment_for_all_is_no_better_than_that_of_another_photo():
    texts, evidences, scores = photos()
    report = grounding([TEXTS[0]] * len(texts), evidences, scores)
    assert report["supported_low"] <= 0 <= report["supported_high"] and report["supported_p"] == 1.0
    assert report["distinct_first"] == report["distinct"] == pytest.approx(1 / len(texts))
    assert report["verdict_srcc"] is None


def test_verdicts_are_compared_with_scores():
    texts, evidences, scores = photos()
    assert grounding(texts, evidences, scores)["verdict_srcc"] == pytest.approx(1.0)
    assert grounding(texts, evidences, [-score for score in scores])["verdict_srcc"] == pytest.approx(-1.0)
    assert grounding(texts, evidences)["verdict_srcc"] is None
    assert grounding([text.split(" It is")[0] for text in texts], evidences, scores)["verdicts"] == 0.0


def test_the_same_seed_gives_the_same_figures():
    assert grounding(*photos(), seed=3) == grounding(*photos(), seed=3)


def test_comments_that_claim_nothing_have_no_share():
    report = grounding(["A dog."] * 4, from_observations([[seen(key) for key in each] for each in HOLDS]))
    assert report["supported"] is None and report["claims"] == 0.0


def test_the_wrong_photo_control_is_the_mean_over_derangements():
    texts, evidences, _ = photos(1)
    report = grounding(texts, evidences)
    from calm.words.parse import claims

    shares = np.array([[len(claims(text) & one.supported) / len(claims(text)) for one in evidences] for text in texts])
    wrong = shares[~np.eye(4, dtype=bool)].mean()
    assert report["supported_wrong"] == pytest.approx(wrong, abs=1e-6)


def test_what_nobody_was_asked_is_not_judged():
    texts, evidences, _ = photos(1)
    moody = [f"{text} The mood is peaceful." for text in texts]
    report = grounding(moody, evidences)
    assert report["claims"] == 3.0 and report["judged"] == 2.0 and report["supported"] == 1.0
    asked = from_observations([[seen(key) for key in each] + [seen("mood:neutral")] for each in HOLDS])
    report = grounding(moody, asked)
    assert report["judged"] == 3.0 and report["contradicted"] == pytest.approx(1 / 3)


def test_the_same_measurement_bears_out_what_was_meant():
    found = evidence([seen("underexposed"), seen("soft")])
    assert {"low_key", "motion_blur"} <= found.supported
    assert "underexposed" not in evidence([seen("low_key")]).supported


def test_figures_by_key():
    table = by_key(*photos(2)[:2])
    assert table["soft_light"] == {"count": 2, "supported": 1.0, "contradicted": 0.0}


def test_wrong_use():
    texts, evidences, scores = photos(1)
    with pytest.raises(UsageError, match="one text, evidence and score for each photo"):
        grounding(texts, evidences[:-1])
    with pytest.raises(UsageError, match="three photos or more, found 2"):
        grounding(texts[:2], evidences[:2], scores[:2])
