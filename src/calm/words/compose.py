"""Comments of two to four sentences, from what is known of a photo."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from calm.errors import UsageError
from calm.words.facts import ASPECTS, OPPOSITES, Facts, Observation, observe_facts
from calm.words.openings import opening
from calm.words.phrases import banks, clause, noun
from calm.words.questions import QUESTIONS
from calm.words.verdicts import adjective, verdict

__all__ = ["QUESTIONS", "Said", "compose", "compose_aspect", "compose_comment", "compose_description"]

LEANING = 6.0
"""Score from which an observation that depends on the photo is taken for a strength, below for a weakness."""
RESORTS = {
    "detail_kept": 0.25,
    "calm_frame": 0.5,
    "little_room": 0.5,
    "good_quality": 0.6,
    "poor_quality": 0.7,
    "mood:neutral": 0.5,
    "light_left": 0.5,
    "light_right": 0.5,
    "light_top": 0.6,
    "light_bottom": 0.6,
    "dark_on_bright": 0.6,
}
"""Weight of observations that are true but tell little, below 1."""
KNOWN_WEIGHT = 12.0
"""Weight of faults that an edit is known to have caused."""
OPEN_WEIGHT = 0.45
"""Weight of observations that depend on the photo."""
GREAT, POOR = 7.0, 4.6
NEARLY = 0.3
"""How far below the beginning of its ramp an observation may lie and still be named, where a side would be empty."""

STRENGTHS = (
    "{Clause}.",
    "What works is {noun}.",
    "Its strength is {noun}.",
    "It gains from {noun}.",
    "The best thing here is {noun}.",
    "A pleasing point is {noun}.",
    "{Clause}, which helps.",
    "It is lifted by {noun}.",
    "Most credit goes to {noun}.",
    "{Clause}, and that is a strength.",
)
KIND = (
    "Still, {clause}.",
    "At least {clause}.",
    "To its credit, {clause}.",
    "One good thing is {noun}.",
    "In its favour: {noun}.",
    "A saving grace is {noun}.",
)
"""For poor photos: one true kind word."""
WEAKNESSES = (
    "{Clause}.",
    "The weak point is {noun}.",
    "It is held back by {noun}.",
    "It suffers from {noun}.",
    "What hurts it is {noun}.",
    "But {clause}.",
    "However, {clause}.",
    "A drawback is {noun}.",
    "The main flaw is {noun}.",
    "{Clause}, which weakens it.",
)
RESERVATIONS = (
    "If anything, {clause}.",
    "A small reservation: {clause}.",
    "The only thing against it is {noun}.",
    "One may object that {clause}.",
    "A minor point is {noun}.",
    "Its one small flaw is {noun}.",
)
"""For great photos."""
BOTH = (
    "{Clause}, but {against}.",
    "{Clause}; however, {against}.",
    "Though {against}, {clause}.",
    "It gains from {noun}, but suffers from {against_noun}.",
    "{Clause}, while {against}.",
    "What works is {noun}; what does not is {against_noun}.",
    "{Clause}, yet {against}.",
)
BOTH_GREAT = (
    "{Clause}, even if {against}.",
    "{Clause}, though {against}.",
    "{Clause}; if anything, {against}.",
    "{Clause}, and {against_noun} can be forgiven.",
)
VERDICT_FOR = (
    "It is {a} photo, thanks to {noun}.",
    "{Clause}, which makes it {a} photo.",
    "With {noun}, it is {a} picture.",
    "It is {a} picture, helped by {noun}.",
)
VERDICT_AGAINST = (
    "It is {a} photo, held back by {against_noun}.",
    "Because of {against_noun}, it is {a} picture.",
    "{Against}, so it remains {a} photo.",
    "With {against_noun}, it stays {a} picture.",
)
VERDICT_BOTH = (
    "It is {a} photo, with {noun} for it and {against_noun} against it.",
    "{Clause}, but {against}: {a} photo.",
    "It is {a} picture: {clause}, but {against}.",
    "Weighing {noun} against {against_noun}, it is {a} photo.",
)


AWKWARD: frozenset[frozenset[str]] = frozenset(
    frozenset(pair.split())
    for pair in (
        "low_key underexposed",
        "low_key blocked_shadows",
        "soft_light flat_light",
        "high_key overexposed",
        "high_key blown_highlights",
        "rich_colour garish_colour",
        "warm_colour yellow_cast",
        "cool_colour blue_cast",
        "warm_colour magenta_cast",
        "muted_colour pale_colour",
        "muted_colour black_and_white",
        "split_attention separated_subject",
        "split_attention centred",
        "split_attention on_third",
        "split_attention room_around",
        "plain_background no_clear_subject",
        "large_subject cut_off",
        "large_subject little_room",
        "large_subject room_around",
        "small_subject room_around",
        "good_quality soft",
        "good_quality noisy",
        "good_quality blocky",
        "light_top light_left",
        "subject_bright low_key",
        "clear_subject subject_dark",
        "clear_subject dark_on_bright",
        "clear_subject small_subject",
        "clear_subject loud_background",
        "one_palette muted_colour",
        "on_third near_edge",
        "room_around near_edge",
        "on_third cut_off",
        "sharp loud_background",
        "sharp poor_quality",
        "calm_frame no_clear_subject",
        "symmetric near_edge",
        "tilted symmetric",
        "tilted centred",
        "dark_corners low_key",
        "clutter separated_subject",
    )
)
"""Pairs that may both be true but sound odd as strength and weakness of one photo."""


@dataclass(frozen=True)
class Said:
    """A comment and the observations that it names, with the polarity they were given, in order of naming."""

    text: str
    observations: tuple[Observation, ...]
    opened: tuple[str, ...] = ()
    """Keys that the first sentence mentions."""


def compose_comment(facts: Facts, rng: np.random.Generator) -> str:
    """A comment of two to four sentences; :func:`compose` also tells which observations it names."""
    return compose(facts, rng).text


def compose(facts: Facts, rng: np.random.Generator) -> Said:
    """A comment: what the photo shows, at least one strength and one weakness, and a verdict where a score is known."""
    score = facts.score
    first, opened = opening(facts, rng) if facts.reading else ("", ())
    observations = observe_facts(facts)
    nearly = observe_facts(facts, slack=NEARLY)
    good: list[Observation] = []
    bad: list[Observation] = []
    if (score is not None and score < LEANING) or any(one.caused for one in observations):
        # What matters most is chosen first, so that the other side does not limit it.
        bad = _choose(observations, -1, score, opened, rng, 2) or _choose(nearly, -1, score, opened, rng, 1)
    good = _choose(observations, 1, score, opened, rng, 2, bad) or _choose(nearly, 1, score, opened, rng, 1, bad)
    if not bad:
        bad = _choose(observations, -1, score, opened, rng, 2, good) or _choose(nearly, -1, score, opened, rng, 1, good)
    sentences, said = _layout(score, good, bad, rng)
    return Said(" ".join([part for part in (first, *sentences) if part]), said, opened)


def compose_description(facts: Facts, rng: np.random.Generator) -> str:
    """One sentence on what a photo shows, without judging it."""
    return opening(facts, rng)[0]


def compose_aspect(facts: Facts, aspect: str, rng: np.random.Generator) -> Said:
    """A sentence or two about one of :data:`calm.words.facts.ASPECTS`; raises :class:`UsageError` for another."""
    if aspect not in ASPECTS:
        raise UsageError(f"expected an aspect of {', '.join(ASPECTS)}, found {aspect!r}; name one of these")
    about = [one for one in observe_facts(facts) if one.aspect in ASPECTS[aspect]]
    told = [one for one in about if one.key in _SAYABLE]
    if not told:
        return Said(str(rng.choice(NOTHING)).format(aspect=aspect), ())
    leading = _give_polarity(told[0], facts.score)
    others = [_give_polarity(one, facts.score) for one in told[1:4] if one.key not in OPPOSITES[leading.key]]
    others = [one for one in others if one.strength > 0.15]
    text = _cap(clause(leading.key, leading.polarity, leading.strength, rng))
    named: tuple[Observation, ...] = (leading,)
    if others:
        other = others[int(rng.integers(len(others)))]
        joint = ", and " if other.polarity == leading.polarity else ", but "
        text += joint + clause(other.key, other.polarity, other.strength, rng)
        named = (leading, other)
    return Said(text + ".", named)


NOTHING = (
    "Nothing stands out about the {aspect}.",
    "The {aspect} is neither a strength nor a weakness.",
    "There is little to say about the {aspect}.",
)


def _sayable() -> frozenset[str]:
    return frozenset(key for key, _ in banks())


_SAYABLE = _sayable()


def _give_polarity(one: Observation, score: float | None) -> Observation:
    """An observation that depends on the photo gets a side, by the score and by what can be said."""
    if one.polarity:
        return one
    wanted = 1 if score is None or score >= LEANING else -1
    return replace(one, polarity=wanted if (one.key, wanted) in banks() else -wanted)  # type: ignore[arg-type]


def _choose(
    observations: Sequence[Observation],
    polarity: int,
    score: float | None,
    opened: Sequence[str],
    rng: np.random.Generator,
    count: int,
    against: Sequence[Observation] = (),
) -> list[Observation]:
    """Up to ``count`` observations of one polarity and of different aspects, none of them at odds with ``against``."""
    weighted: list[tuple[float, Observation]] = []
    for one in observations:
        if (one.key, polarity) not in banks() or one.polarity == -polarity or _at_odds(one, against):
            continue
        odd = polarity > 0 and any(frozenset((one.key, key)) in AWKWARD for key in opened)
        if not one.caused and (odd or OPPOSITES[one.key].intersection(opened)):
            continue
        weight = (
            (0.2 + max(one.strength, 0.0))
            * _resort(one.key, score)
            * (0.4 if one.key in opened and not one.caused else 1.0)
        )
        weight *= KNOWN_WEIGHT if one.caused else 1.0
        if one.polarity == 0:
            leaning = 1 if score is None or score >= LEANING else -1
            weight *= OPEN_WEIGHT * (1.0 if leaning == polarity or score is None else 0.3)
        weighted.append((weight**2, replace(one, polarity=polarity)))  # type: ignore[arg-type]
    chosen: list[Observation] = []
    while weighted and len(chosen) < count:
        weights = np.array([weight for weight, _ in weighted])
        one = weighted[int(rng.choice(len(weighted), p=weights / weights.sum()))][1]
        chosen.append(one)
        weighted = [pair for pair in weighted if pair[1].aspect != one.aspect and not _at_odds(pair[1], chosen)]
    return chosen


def _resort(key: str, score: float | None) -> float:
    """Weight of a key by what it tells: technical quality decides where a photo fails, else it comes last."""
    if key == "poor_quality" and score is not None and score < 4.0:
        return 1.5
    return RESORTS.get(key, 1.0)


def _at_odds(one: Observation, others: Sequence[Observation]) -> bool:
    """Whether it is the same thing as one of the others, denies it, or would sound odd beside it."""
    return any(
        one.key == other.key or one.key in OPPOSITES[other.key] or frozenset((one.key, other.key)) in AWKWARD
        for other in others
    )


def _layout(
    score: float | None, good: list[Observation], bad: list[Observation], rng: np.random.Generator
) -> tuple[list[str], tuple[Observation, ...]]:
    """Sentences after the opening, and what they name."""
    if not good or not bad:
        sentences = [_write(STRENGTHS, good[:1], [], score, rng)] if good else []
        sentences += [_write(WEAKNESSES, [], bad[:1], score, rng)] if bad else []
        return [*sentences, *([verdict(score, rng)] if score is not None else [])], (*good[:1], *bad[:1])
    praise = KIND if score is not None and score < POOR and rng.random() < 0.7 else STRENGTHS
    blame = RESERVATIONS if score is not None and score >= GREAT else WEAKNESSES
    g, b = good[:1], bad[:1]

    def write(forms: Sequence[str], with_good: bool, with_bad: bool) -> str:
        return _write(forms, g if with_good else [], b if with_bad else [], score, rng)

    if score is None:
        layouts: list[Callable[[], list[str]]] = [
            lambda: [write(BOTH, True, True)],
            lambda: [write(STRENGTHS, True, False), write(WEAKNESSES, False, True)],
        ]
        return layouts[int(rng.integers(2))](), (*g, *b)
    kind_first = score >= 5.5 or rng.random() < 0.3
    plain = [write(praise, True, False), write(blame, False, True)]
    if not kind_first:
        alone = [form for form in WEAKNESSES if not form.startswith(("But", "However"))]
        plain = [write(alone, False, True), write(KIND, True, False)]
    layouts = [
        lambda: [*plain, verdict(score, rng)],
        lambda: [*plain, verdict(score, rng)],
        lambda: [write(BOTH if score < GREAT else BOTH_GREAT, True, True), verdict(score, rng)],
        lambda: [verdict(score, rng), *plain],
        lambda: [write(VERDICT_FOR, True, False), write(blame, False, True)],
        lambda: [write(VERDICT_AGAINST, False, True), write(KIND, True, False)],
        lambda: [write(VERDICT_BOTH, True, True)],
        lambda: [*plain, _more(score, good, bad, rng)],
    ]
    weights = np.array([3, 2, 3, 1.5, 2 if score >= 5.5 else 0, 2 if score < 6.3 else 0, 1, 2.5])
    if len(good if score >= LEANING else bad) < 2:
        weights[-1] = 0
    which = int(rng.choice(len(layouts), p=weights / weights.sum()))
    named = (*g, *b)
    if which == len(layouts) - 1:
        named = (*named, (good if score >= LEANING else bad)[1])
    return layouts[which](), named


def _more(score: float, good: list[Observation], bad: list[Observation], rng: np.random.Generator) -> str:
    """A verdict that names one thing more, on the side to which the score leans."""
    if score >= LEANING:
        return _write(VERDICT_FOR, good[1:2], [], score, rng)
    return _write(VERDICT_AGAINST, [], bad[1:2], score, rng)


def _write(
    forms: Sequence[str],
    good: Sequence[Observation],
    bad: Sequence[Observation],
    score: float | None,
    rng: np.random.Generator,
) -> str:
    """One sentence of a form: {clause} and {noun} stand for the first thing, {against} … for the second."""
    form = str(rng.choice(forms))
    values: dict[str, str] = {"a": adjective(score, rng)} if score is not None else {}
    for clause_name, noun_name, things in (("clause", "noun", good or bad), ("against", "against_noun", bad)):
        for one in things[:1]:
            values[clause_name] = clause(one.key, one.polarity, one.strength, rng)
            values[noun_name] = noun(one.key, one.polarity, one.strength, rng)
    values |= {name.capitalize(): _cap(text) for name, text in values.items()}
    return _cap(form.format(**values))


def _cap(text: str) -> str:
    return text[:1].upper() + text[1:]
