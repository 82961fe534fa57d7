"""What is known of a photo as an observation, and which attribute words are true of it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from torch import Tensor

from calm.edits.words import FAULTS, degree
from calm.tasks.observation import MEASURED, MOODS, Observation, measured_words
from calm.train.shots import Shot
from calm.train.vocabulary import Vocabulary

ATTRIBUTE_WORDS = tuple(
    dict.fromkeys([*(w for words in MEASURED.values() for w in words), *MOODS.values(), *FAULTS.values()])
)
"""Words that the lower branches are aligned with."""

GOOD = 5.6
"""Score from which a photo has strengths."""
UNSEEN = 0.15
"""A label whose word is less likely than this, while another word is surest, cannot be seen in the visual tokens."""
GUESSED = 0.4
"""Probability from which a word of the aligned lexicon counts as what an unlabelled photo shows."""


def guess_names(shot: Shot, sure: Tensor, vocabulary: Vocabulary) -> None:
    """Note whether the aligned tokens can tell what a photo's labels name, or what an unlabelled photo shows.

    Args:
        sure: (words,), probability of each word of the vocabulary.
    """
    best, places = (each.tolist() for each in sure.topk(min(3, len(sure))))
    true = vocabulary.of(shot.photo)
    if true:
        seen = max(float(sure[vocabulary.index[word]]) for word in true)
        shot.unclear = vocabulary.words[places[0]] not in true and seen < UNSEEN
    else:
        words = tuple(vocabulary.words[place] for p, place in zip(best, places, strict=True) if p >= GUESSED)
        shot.photo = replace(shot.photo, guessed=words)


def observe(shot: Shot, shows: Sequence[str]) -> Observation:
    """What is known of a photo as an observation."""
    photo, words = shot.photo, measured_words(shot.cues)
    target = shot.read_score if shot.target is None else mean_of(shot.target)
    faults = [
        (FAULTS[each.attribute, each.direction], degree(each.severity))
        for each in sorted(shot.applied, key=lambda each: -each.severity)
        if each.severity >= 0.15
    ]
    mood: tuple[str, ...] = ()
    if photo.emotions:
        total = sum(photo.emotions.values())
        named = {name: count for name, count in photo.emotions.items() if name in MOODS}
        top = max(named, key=lambda name: named[name] * (0.6 if name == "neutral" else 1.0))
        mood = (MOODS[top],) if named[top] >= 0.3 * total else ()
    strengths: list[str] = []
    if target is not None and target >= GOOD and not faults and shot.kind != "blank":
        strengths = _strengths(shot.cues, words, mood, target)
    return Observation(
        tuple(shows), words["light"], words["colour"], words["detail"], mood, strengths[:3], faults, target
    )


def _strengths(
    cues: Mapping[str, float], words: Mapping[str, Sequence[str]], mood: Sequence[str], score: float
) -> list[str]:
    """What speaks for a photo that people like, the rarer first."""
    light, colour = set(words["light"]), set(words["colour"])
    found = {
        "depth": "crisp" in words["detail"] and cues["sharp_best"] - cues["sharp_median"] > 2.5,
        "simplicity": cues["flat_blocks"] > 0.15,
        "mood": bool(mood) and mood[0] not in ("plain", "unpleasant", "uneasy"),
        "colours": bool(colour & {"vivid", "warm"}),
        "composition": score >= 6.6,
        "light": bool(light & {"even", "soft tones"}),
        "sharpness": "crisp" in words["detail"],
    }
    return [name for name, true in found.items() if true]


def mean_of(distribution: Sequence[float] | None) -> float | None:
    """Mean of ten probabilities of 1 … 10."""
    return None if distribution is None else float(np.arange(1, 11) @ np.asarray(distribution))


def attribute_target(shot: Shot) -> np.ndarray:
    """(len(ATTRIBUTE_WORDS),) float32: 1 true, 0 false, −1 not known. Light, colour and sharpness are measured, moods
    are known from raters' emotions, faults of photos that were edited here.
    """
    target = np.full(len(ATTRIBUTE_WORDS), -1.0, np.float32)
    seen = observe(shot, ())
    known: dict[str, set[str]] = {name: set(getattr(seen, name)) for name in MEASURED}
    groups: dict[str, Sequence[str]] = dict(MEASURED)
    if shot.photo.emotions:
        known["mood"], groups["mood"] = set(seen.mood), tuple(MOODS.values())
    if shot.kind == "edited":
        known["faults"], groups["faults"] = {fault for fault, _ in seen.faults}, tuple(FAULTS.values())
    for name, words in groups.items():
        for word in words:
            target[ATTRIBUTE_WORDS.index(word)] = float(word in known[name])
    return target
