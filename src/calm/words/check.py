"""Does a comment say what it was to say, and nothing else?"""

from __future__ import annotations

import numpy as np

from calm.words.compose import BOTH, STRENGTHS, WEAKNESSES, Said
from calm.words.facts import OPPOSITES
from calm.words.parse import DARK, find_claims, parse_comment, sentences, verdict_band
from calm.words.phrases import noun
from calm.words.verdicts import band_of

DENIAL, LEFT_OUT, OWN = 3, 2, 1
"""Weight of a claim that denies a note, of a side that is left out, and of anything else that no note speaks of."""
FEWEST, MOST = 2, 4
"""Sentences of a comment."""
START = 2
"""Sentences that may stay when a comment is written again: both sides and a verdict must find room after them."""
CUES = {
    polarity: [form.removesuffix(" {noun}.") for form in forms if form.endswith(" {noun}.")]
    for polarity, forms in ((1, STRENGTHS), (-1, WEAKNESSES))
}
"""How a sentence about a strength (1) or a weakness (-1) may begin."""
CUES_TO_BOTH = [form.removesuffix(".") for form in BOTH if form.endswith("{against_noun}.")]
"""How a sentence about a strength and a weakness may stand, but for its end."""
_MEANT_DARK = {"low_key", "underexposed"}


def slips(text: str, said: Said, score: float | None = None, fewest: int = FEWEST) -> int:
    """How far a comment strays from its notes: 0 for not at all.

    Counted are a strength or a weakness that is noted and left out, claims of the comment's own, claims that deny what
    is noted, a verdict more than one band off the score, and fewer or more sentences than wanted.

    Args:
        text: the comment.
        said: what it was to say.
        score: 1–10, that its verdict should agree with; None where nobody scored the photo.
        fewest: sentences at least.
    """
    found, denied = _unnoted(text, said)
    sides = {aspect.polarity for aspect in parse_comment(text).aspects}
    left_out = {one.polarity for one in said.observations} - sides
    band = verdict_band(text)
    astray = score is not None and band is not None and abs(band - band_of(score)) > 1
    length = len(sentences(text))
    return (
        sum(DENIAL if key in denied else OWN for key in found)
        + LEFT_OUT * len(left_out)
        + LEFT_OUT * astray
        + OWN * (not fewest <= length <= MOST)
    )


def faithful_start(text: str, said: Said) -> str:
    """The first sentences of a comment, :data:`START` at most, as far as they claim nothing but what is noted.

    The last sentence of a comment is never among them: something has to be written anew.
    """
    kept: list[str] = []
    for sentence in sentences(text)[:-1][:START]:
        if _unnoted(" ".join([*kept, sentence]), said)[0]:
            break
        kept.append(sentence)
    return " ".join(kept)


def begin_again(text: str, said: Said, rng: np.random.Generator, named: bool = False) -> str:
    """How another attempt begins: the faithful start of the last one, and a cue to a side that it leaves out.

    Args:
        named: the cue goes as far as to name what is noted on every side left out, so that only the rest is left to
            write; and a first sentence may then claim something of its own, as long as it denies nothing.
    """
    start = faithful_start(text, said)
    if named and not start:
        first = (sentences(text) or [""])[0]
        found, denied = _unnoted(first, said)
        start = "" if found & denied else first
    told = {aspect.polarity for aspect in parse_comment(start).aspects} if start else set()
    left_out = {one.polarity: one for one in reversed(said.observations) if one.polarity not in told}
    if not start or not left_out:
        return start
    if not named:
        return f"{start} {rng.choice(CUES[next(reversed(left_out))])}"
    nouns = {side: noun(one.key, side, one.strength, rng) for side, one in left_out.items()}
    if len(nouns) > 1:
        return f"{start} {str(rng.choice(CUES_TO_BOTH)).format(noun=nouns[1], against_noun=nouns[-1])}"
    return f"{start} {rng.choice(CUES[next(iter(nouns))])} {next(iter(nouns.values()))}"


def _unnoted(text: str, said: Said) -> tuple[set[str], set[str]]:
    """Keys that a text claims and no note speaks of, and all keys that would deny a note."""
    noted = {one.key for one in said.observations} | set(said.opened)
    denied = {other for key in noted for other in OPPOSITES.get(key, ())}
    found = {claim.key for claim in find_claims(text)} - noted
    if noted & _MEANT_DARK:
        found.discard(DARK)
    return found, denied
