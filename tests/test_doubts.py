"""A comment does not name a fault that the suggestions, which saw the whole photo, know nothing of."""

from __future__ import annotations

import numpy as np
import pytest

from calm.edits import Applied
from calm.types import CLASSES
from calm.words.facts import EDIT_KEYS, KINDS, Facts, doubted, observe_facts


def dark() -> np.ndarray:
    """A photo that measures as underexposed."""
    return np.clip(np.random.default_rng(0).normal(28, 9, (150, 200, 3)), 0, 255).astype(np.uint8)


def keys(facts: Facts) -> set[str]:
    return {one.key for one in observe_facts(facts)}


def test_a_doubted_fault_is_not_observed_and_others_are():
    sure = Facts.of(dark(), score=4.0)
    unsure = Facts.of(dark(), score=4.0, doubted={"underexposed"})
    assert "underexposed" in keys(sure)
    assert keys(unsure) == keys(sure) - {"underexposed"}


def test_what_an_edit_caused_is_said_whatever_is_doubted():
    facts = Facts.of(dark(), applied=[Applied("exposure", "increase", 2.0, 0.8)], doubted={"underexposed"})
    assert "underexposed" in keys(facts)


@pytest.mark.parametrize("least", [0.05, 0.3])
def test_a_fault_is_doubted_when_none_of_its_remedies_is_likely(least: float):
    unlikely = dict.fromkeys(CLASSES, least / 2)
    every = doubted(unlikely, least)
    assert every == {key for key in EDIT_KEYS.values() if KINDS[key].polarity < 0}
    # two remedies answer the one fault "tilted": either of them is enough
    assert doubted(unlikely | {("tilt", "clockwise"): least}, least) == every - {"tilted"}


def test_no_observation_that_is_not_a_fault_is_doubted():
    assert not {key for key in doubted({}, 1.0) if KINDS[key].polarity >= 0}
