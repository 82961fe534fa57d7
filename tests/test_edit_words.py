"""The words of every edit: many, clean, drawn, and read back as what they say."""

from __future__ import annotations

import functools
import re

import numpy as np
import pytest

from calm.edits import CLASSES, Applied, advise, describe, edits, to_suggestion
from calm.edits.words import STRENGTHS
from calm.types import LEVELS, UNITS

ASKED = [(*each, "") for each in CLASSES] + [("sharpness", "increase", kind) for kind in ("defocus", "motion")]
AMOUNT = r"(?:[\w.,%°'-]+ ?){1,6}?"


@functools.cache
def patterns() -> list[tuple[re.Pattern[str], tuple[str, str]]]:
    """What matches every sentence of advice, whatever its amount, and the class that it is about."""
    found = []
    for attribute, direction, kind in ASKED:
        for template in edits()[attribute].words_for(direction, kind).advice:
            pattern = re.escape(template.lower())
            for field, table in STRENGTHS.items():
                pattern = pattern.replace(
                    rf"\{{{field}\}}", f"(?:{'|'.join(word for words in table for word in words)})"
                )
            found.append((re.compile(pattern.replace(r"\{amount\}", AMOUNT)), (attribute, direction)))
    return found


def read(sentence: str) -> set[tuple[str, str]]:
    """The classes that a sentence could be advice on."""
    return {about for pattern, about in patterns() if pattern.fullmatch(sentence.lower())}


@pytest.mark.parametrize(("attribute", "direction", "kind"), ASKED)
def test_words_are_many_clean_and_read_back(attribute, direction, kind):
    edit = edits()[attribute]
    phrases = edit.words_for(direction, kind)
    assert min(len(phrases.wrong), len(phrases.advice)) >= 10
    fills = {field: [word for words in table for word in words] for field, table in STRENGTHS.items()}
    amounts = [edit.amount(direction, float(severity)) for severity in np.linspace(0, 1, 21)]
    fills["amount"] = sorted({words for amount in amounts if amount is not None for words in edit.wordings(amount)})
    for template in (*phrases.wrong, *phrases.advice):
        fields = re.findall(r"\{(\w+)\}", template)
        assert set(fields) <= set(fills)
        for i in range(max([1, *(len(fills[field]) for field in fields)])):
            filled = {field: fills[field][i % len(fills[field])] for field in fields}
            sentence = template.format(**filled)
            sentence = sentence[0].upper() + sentence[1:]
            assert re.fullmatch(r"[A-Z0-9+][^{}]*[^ ,;]\.", sentence), sentence
            assert not re.search(r"  |\ba [aeio]\w|\ban [^aeiou\s]|\b(\w+) \1\b", sentence), sentence
            if template in phrases.advice:
                assert read(sentence) == {(attribute, direction)}, sentence


@pytest.mark.parametrize(("attribute", "direction", "kind"), ASKED)
def test_drawn_words_vary_and_follow_the_draw(attribute, direction, kind):
    applied = Applied(attribute, direction, edits()[attribute].amount(direction, 0.5), 0.5, kind)
    for say in (describe, advise):
        said = [say(applied, np.random.default_rng(seed)) for seed in range(60)]
        assert said == [say(applied, np.random.default_rng(seed)) for seed in range(60)]
        assert len(set(said)) >= 8


def test_words_without_an_amount_name_none():
    for seed in range(40):
        said = advise(Applied("exposure", "increase", None, 0.5), np.random.default_rng(seed))
        assert read(said) == {("exposure", "increase")}
        assert not re.search(r"\d|stop", said), said


def test_words_tell_defocus_from_motion():
    told = {
        kind: " ".join(
            describe(Applied("sharpness", "increase", 8.0, 0.4, kind), np.random.default_rng(i)) for i in range(60)
        )
        for kind in ("defocus", "motion")
    }
    assert "focus" in told["defocus"] and "motion" not in told["defocus"]
    assert "motion" in told["motion"] and "focus" not in told["motion"]


def test_stronger_edits_get_stronger_words():
    def said(severity: float) -> str:
        applied = Applied("saturation", "increase", 50.0, severity)
        return " ".join(describe(applied, np.random.default_rng(i)) for i in range(60))

    assert "slightly" in said(0.2) and "strongly" not in said(0.2)
    assert "strongly" in said(0.9) and "slightly" not in said(0.9)


@pytest.mark.parametrize(("attribute", "direction"), CLASSES)
def test_suggestions_agree_with_their_words(attribute, direction):
    made = to_suggestion((attribute, direction), 0.5, 0.8, seed=7)
    assert (made.attribute, made.direction, made.unit, made.level) == (
        attribute,
        direction,
        UNITS[attribute],
        LEVELS[attribute],
    )
    assert read(made.text) == {(attribute, direction)}
    assert made == to_suggestion((attribute, direction), 0.5, 0.8, seed=7)
