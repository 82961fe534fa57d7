"""What is known of each photo, and how a training example is drawn from it.

An example is a photo, edited or not, with the exchanges that its labels allow. What is drawn depends on the photo, the
seed and the step alone, exchanges in words also on the network as it is by then: a resumed run equals a whole one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from calm.data.measure import MEASURE_NAMES, standardise
from calm.edits.base import Applied
from calm.model.exchange import (
    CAPTION_QUESTION,
    COMMENT_QUESTION,
    KEYWORDS_QUESTION,
    QUALITY_QUESTION,
    SCORE_QUESTION,
    SUGGEST_QUESTION,
    Exchange,
    line_start,
)
from calm.tasks.observation import NOTHING, UNCLEAR, Observation, write_line
from calm.train.critiques import Critiques
from calm.train.observing import MOODS, attribute_target, observe
from calm.train.shots import Known, Shot, spread_mean
from calm.train.vocabulary import Vocabulary, tables
from calm.types import CLASSES

COMMENTED = {"rated": 0.35, "named": 0.45, "edited": 0.7, "blank": 0.5}
"""How often a photo of each kind is commented on: words cost most of a step, and a score alone is cheap."""


@dataclass
class Example:
    """One training example.

    Attributes:
        shot: the photo.
        exchanges: about it.
        words: words of the vocabulary that are true of it; empty for a blank frame; None where that is not known.
        attributes: of each attribute word, whether it is true (1), false (0) or not known (−1).
        score: ten target probabilities; None where unknown.
        remedies: probability of each remedy, the last is "nothing"; None where it was not asked.
        severity: of the edit whose amount is asked.
        better: the undamaged photo, which must score higher by ``margin``.
        crop: the tokens of the crop are read even if no exchange asks for them.
        named, commented: exchanges in words that are to be added by :meth:`Drawer.speak`.
    """

    shot: Shot
    exchanges: list[Exchange] = field(default_factory=list)
    words: list[str] | None = None
    attributes: np.ndarray | None = None
    score: tuple[float, ...] | None = None
    remedies: tuple[float, ...] | None = None
    remedy: int | None = None
    severity: float | None = None
    better: Example | None = None
    margin: float = 0.0
    crop: bool = False
    named: bool = False
    commented: bool = False

    @property
    def measures(self) -> np.ndarray:
        """(len(MEASURE_NAMES),) float32, standardised."""
        return standardise(dict(self.shot.cues))[: len(MEASURE_NAMES)]


class Drawer:
    """Draws examples.

    Args:
        vocabulary: of the thematic tokens.
        text: whether exchanges in words are drawn as well (they cost most of a step).
        critiques: writes the sentences behind the observation line; None leaves the line alone.
    """

    def __init__(self, vocabulary: Vocabulary, text: bool = True, critiques: Critiques | None = None) -> None:
        self.vocabulary, self.text, self.critiques = vocabulary, text, critiques

    def example(self, shot: Shot, rng: np.random.Generator, words: bool | None = None) -> Example:
        """The exchanges that a photo's labels allow, in one of their wordings.

        ``words``: whether those in words are chosen as well; None for the drawer's own ``text``.
        """
        text = self.text if words is None else words
        photo = shot.photo
        found = Example(shot, words=self._words(photo), attributes=attribute_target(shot), score=shot.target)
        if shot.kind == "blank":
            found.words = []
        if shot.target is not None:
            found.exchanges.append(Exchange("score", SCORE_QUESTION, target=shot.target, detail=False))
        if photo.quality is not None and not shot.applied:
            target = spread_mean(photo.quality, 1.0)
            found.exchanges.append(Exchange("quality", QUALITY_QUESTION, target=target))
        if shot.kind == "edited":
            self._ask_remedy(found, rng)
        found.named = text and rng.random() < (1.0 if shot.kind in ("named", "blank") else 0.4)
        found.commented = text and rng.random() < COMMENTED[shot.kind]
        found.crop = found.named or found.commented or (words is None and not text and rng.random() < 0.3)
        return found

    def speak(self, found: Example, rng: np.random.Generator) -> None:
        """Add the exchanges in words that :meth:`example` chose: they rest on what the network sees by now as well."""
        if found.named:
            self._add_words(found, rng)
        if found.commented:
            self._add_comment(found, rng)

    def _ask_remedy(self, found: Example, rng: np.random.Generator) -> None:
        applied = found.shot.applied
        found.remedies = remedy_target(applied)
        exchange = Exchange("suggest", SUGGEST_QUESTION, target=found.remedies)
        if applied:
            one = applied[int(rng.integers(len(applied)))]
            found.remedy, found.severity = CLASSES.index((one.attribute, one.direction)), one.severity
            exchange = replace(exchange, remedy=found.remedy, severity=one.severity)
        found.exchanges.append(exchange)
        if found.shot.better is not None:
            found.better = self.example(found.shot.better, rng, words=False)
            if found.better.score is None:
                found.better.exchanges.append(Exchange("score", SCORE_QUESTION, detail=False))
            found.exchanges.append(Exchange("score", SCORE_QUESTION, detail=False))
            found.margin = 0.06 + 0.1 * max(each.severity for each in applied)  # larger ones cost scores (lab, 91)

    def _words(self, photo: Known) -> list[str] | None:
        return self.vocabulary.of(photo) or None

    def _add_words(self, found: Example, rng: np.random.Generator) -> None:
        """A caption, or else keywords, where they are known."""
        captions = found.shot.photo.captions
        if captions and rng.random() < 0.7:
            found.exchanges.append(Exchange("text", CAPTION_QUESTION, tidy(captions[int(rng.integers(len(captions)))])))
        elif shows := shown(found):
            found.exchanges.append(Exchange("text", KEYWORDS_QUESTION, ", ".join(shows[:4]) + "."))

    def _add_comment(self, found: Example, rng: np.random.Generator) -> None:
        """The observation line with whatever is known of the photo as it is now, and prose behind it."""
        shot = found.shot
        shows = shown(found) or shot.photo.guessed or (UNCLEAR,)
        seen = observe(shot, shows[:3])
        if seen.mood == (MOODS["neutral"],):  # true of most photos
            seen = replace(seen, mood=())
        prompt = "" if seen.score is None else line_start(seen.score, seen.faults)
        line = write_line(replace(seen, score=None, faults=seen.faults if seen.score is None else ())) + "\n"
        prose = "There is nothing to see in this photo." if shot.kind == "blank" else ""
        if self.critiques is not None and shot.kind != "blank":
            named = [each for each in shows if each != UNCLEAR]
            prose = self.critiques.compose(seen, _subject(shot.photo.captions if named else (), named, seen, rng), rng)
        found.exchanges.append(
            Exchange("text", COMMENT_QUESTION, line + prose, prompt=prompt, ended=bool(prose), weight=0.7)
        )


def shown(found: Example) -> Sequence[str]:
    """What to say that a photo shows; "unclear" where the visual tokens do not tell it."""
    if found.shot.kind == "blank":
        return (NOTHING,)
    return (UNCLEAR,) if found.words and found.shot.unclear else found.words or ()


def _subject(captions: Sequence[str], shows: Sequence[str], seen: Observation, rng: np.random.Generator) -> str:
    """A first sentence about what is shown, often with its light or colour; "" where nothing is known."""
    if captions:
        return tidy(captions[int(rng.integers(len(captions)))])
    if not shows:
        return ""
    words = [with_article(each) for each in shows[:2]]
    shown = " and ".join(words[: 1 + (rng.random() < 0.4)])
    known = tables()["settings"]
    settings = [str(rng.choice(known[word])) for word in (*seen.light[:1], *seen.colour) if word in known]
    rng.shuffle(settings)
    noted = ", ".join(settings[: int(rng.integers(3))])
    opening = str(rng.choice(["", "", "The photo shows ", "A picture of ", "This is "]))
    text = f"{opening}{shown} {noted}".strip()
    return f"{text[:1].upper()}{text[1:]}."


def with_article(noun: str) -> str:
    """ "dog" → "a dog"; plurals and stuff stay bare."""
    if noun in tables()["mass"] or (noun.endswith("s") and not noun.endswith(("ss", "us"))):
        return noun
    return f"an {noun}" if noun[0] in "aeiou" else f"a {noun}"


def remedy_target(applied: Sequence[Applied]) -> tuple[float, ...]:
    """Probability of each remedy: shared among the edits by how visible they are; edits that hardly show leave a part
    to "nothing".
    """
    target = np.zeros(len(CLASSES) + 1)
    weights = np.array([min(1.0, each.severity / 0.25) for each in applied])
    for each, weight in zip(applied, weights, strict=True):
        target[CLASSES.index((each.attribute, each.direction))] += weight * (0.3 + each.severity)
    visible = float(weights.max()) if len(weights) else 0.0
    if target.sum() > 0:
        target *= visible / target.sum()
    target[-1] = 1 - visible
    return tuple(float(t) for t in target)


def tidy(caption: str) -> str:
    """A caption with a capital letter and one full stop."""
    text = " ".join(caption.strip().strip('"').split()).rstrip(" .")
    text = text.replace(" ,", ",").replace(" 's", "'s").replace(" .", ".")
    return text[:1].upper() + text[1:] + "." if text else text
