"""What is known of each photo, and how a training example is drawn from it.

An example is a photo, edited or not, with the exchanges that its labels allow. What is drawn depends on the photo, the
seed and the step alone, exchanges in words also on the network as it is by then: a resumed run equals a whole one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import cv2
import numpy as np

from calm.data.measure import MEASURE_NAMES, measurements, standardise
from calm.data.views import SIZE, make_views
from calm.edits.base import Applied, edits
from calm.edits.lesson import make_lesson
from calm.tasks.exchange import (
    CAPTION_QUESTION,
    COMMENT_QUESTION,
    KEYWORDS_QUESTION,
    QUALITY_QUESTION,
    SCORE_QUESTION,
    SUGGEST_QUESTION,
    Exchange,
)
from calm.tasks.observation import (
    NOTHING,
    UNCLEAR,
    score_prefix,
    write_line,
)
from calm.train.blanks import draw_blank
from calm.train.critiques import Critiques
from calm.train.observing import MOODS, attribute_target, observe
from calm.train.vocabulary import Vocabulary, tables
from calm.types import CLASSES

LONG_EDGE = 480
"""Photos are shrunk to this long edge before they are edited: larger ones take two cores too long."""
EDITED = 0.75
"""Share of edited photos among the examples of editing; the others teach "nothing"."""
CLEAR = 0.33
"""Severity from which an edit is clearly visible."""
NEED_SUBJECT = frozenset({"framing", "subject_emphasis", "clutter"})
"""Edits that go by a map of the main subject."""
COMMENTED = {"rated": 0.35, "named": 0.45, "edited": 0.7, "blank": 0.5}
"""How often a photo of each kind is commented on: words cost most of a step, and a score alone is cheap."""


@dataclass(frozen=True)
class Known:
    """A photo with everything that is known of it.

    Attributes:
        path: of the file.
        source: name of its data set.
        names, captions: of what it shows.
        score: mean of people's ratings of beauty, 1–10.
        soft: ten probabilities of the teachers, on the whole photo.
        quality: mean of people's ratings of technical quality, 1–10.
        emotions: how many people named each.
        guessed: what the aligned model itself is sure to see, where no label says it.
        native: whether it has its native pixels, so that sharpness, noise and compression can be learnt from it.
    """

    path: str
    source: str
    names: tuple[str, ...] = ()
    captions: tuple[str, ...] = ()
    score: float | None = None
    soft: tuple[float, ...] | None = None
    quality: float | None = None
    emotions: Mapping[str, int] | None = None
    guessed: tuple[str, ...] = ()
    native: bool = True


@dataclass
class Shot:
    """A photo as it enters the encoder, and what was done to it.

    Attributes:
        photo: what is known of the photo.
        frame, crop: (S, S, 3) uint8; the crop is the frame again where the photo is too small. None where their encoder
            features are at hand instead.
        features, detail: (layers, tokens, width) of frame and crop, of blocks that never change; tokens: (1 + grid²,
            width), those behind the last of these blocks. See :mod:`calm.train.feature_shots`.
        cues: pixel statistics in natural units.
        applied: edits that were made.
        kind: ``rated``, ``named``, ``edited`` or ``blank``.
        target: ten probabilities of the score of the photo as it is here; None where unknown.
        better: the undamaged photo, which must score higher.
        read_score: what the aligned model reads itself, where nobody rated the photo as it is here.
        unclear: the aligned model cannot tell what its labels name: the language model learns to say so.
    """

    photo: Known
    frame: Any
    crop: Any
    cues: Mapping[str, float]
    kind: str
    applied: tuple[Applied, ...] = ()
    target: tuple[float, ...] | None = None
    better: Shot | None = None
    features: Any = None
    detail: Any = None
    tokens: Any = None
    read_score: float | None = None
    unclear: bool = False


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


def read_photo(path: str, long_edge: int = LONG_EDGE) -> np.ndarray:
    """(H, W, 3) uint8, shrunk to ``long_edge`` where it is larger."""
    pixels = cv2.imread(path, cv2.IMREAD_COLOR)
    if pixels is None:
        raise OSError(f"expected a readable photo at {path}")
    pixels = pixels[..., ::-1]
    scale = long_edge / max(pixels.shape[:2])
    if scale < 1:
        size = round(pixels.shape[1] * scale), round(pixels.shape[0] * scale)
        pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(pixels)


def spread_mean(mean: float, spread: float = 1.25) -> tuple[float, ...]:
    """Ten probabilities of 1 … 10 around a mean rating: a normal density, tilted so that its mean is exact."""
    levels = np.arange(1.0, 11.0)
    centre = min(max(mean, 1.05), 9.95)
    logits = -((levels - centre) ** 2) / (2 * spread**2)
    tilt = 0.0
    for _ in range(20):
        weights = np.exp(logits + tilt * levels)
        weights /= weights.sum()
        found = float(weights @ levels)
        tilt += (centre - found) / max(float(weights @ (levels - found) ** 2), 0.05)
    return tuple(float(w) for w in weights)


def whole_target(photo: Known) -> tuple[float, ...] | None:
    """People's mean and the teachers' distribution together, where there are both; ten probabilities."""
    if photo.score is None:
        return photo.soft
    human = np.array(spread_mean(photo.score))
    if photo.soft is None:
        return tuple(human)
    return tuple(0.6 * human + 0.4 * np.array(photo.soft))


class Drawer:
    """Draws examples.

    Args:
        vocabulary: of the thematic tokens.
        saliency: map of the main subject by path, (h, w) uint8; edits of framing, emphasis and clutter need it.
        text: whether exchanges in words are drawn as well (they cost most of a step).
        critiques: writes the sentences behind the observation line; None leaves the line alone.
        size: side of a view, pixels.
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        saliency: Mapping[str, np.ndarray] | None = None,
        text: bool = True,
        critiques: Critiques | None = None,
        size: int = SIZE,
    ) -> None:
        self.vocabulary, self.saliency = vocabulary, saliency or {}
        self.text, self.critiques, self.size = text, critiques, size

    # ------------------------------------------------------------------------------------------------ photos

    def shoot(self, kind: str, photo: Known, rng: np.random.Generator) -> Shot:
        """A photo as an example of ``kind`` shows it; edited ones may bring the original along."""
        if kind == "blank":
            return self._shot(photo, draw_blank(rng), kind, target=spread_mean(1.3, 0.6))
        pixels = read_photo(photo.path)
        if kind == "edited":
            return self._edit(photo, pixels, rng)
        pixels = pixels[:, ::-1] if rng.random() < 0.5 else pixels
        if kind == "named":
            keep = rng.uniform(0.85, 1.0)
            h, w = int(pixels.shape[0] * keep), int(pixels.shape[1] * keep)
            top, left = rng.integers(pixels.shape[0] - h + 1), rng.integers(pixels.shape[1] - w + 1)
            pixels = pixels[top : top + h, left : left + w]
        return self._shot(photo, np.ascontiguousarray(pixels), kind, target=whole_target(photo))

    def _edit(self, photo: Known, pixels: np.ndarray, rng: np.random.Generator) -> Shot:
        """One to three known edits, or none."""
        saliency = self._saliency(photo)
        attributes = [
            name
            for name, edit in edits().items()
            if (photo.native or not edit.native) and (saliency is not None or name not in NEED_SUBJECT)
        ]
        count = 0 if rng.random() > EDITED else int(rng.choice([1, 2, 3], p=[0.75, 0.18, 0.07]))
        lesson = make_lesson(pixels, rng, attributes=attributes, count=count, saliency=saliency)
        better = None
        if max((each.severity for each in lesson.applied), default=0.0) >= CLEAR and rng.random() < 0.5:
            better = self._shot(photo, pixels, "rated", target=whole_target(photo))
        return self._shot(photo, lesson.pixels, "edited", applied=lesson.applied, better=better)

    def _shot(self, photo: Known, pixels: np.ndarray, kind: str, **more: Any) -> Shot:
        views = make_views(pixels, self.size)
        return Shot(photo, views.whole, views.crops[0], measurements(pixels), kind, **more)

    # ------------------------------------------------------------------------------------------------ exchanges

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
            found.margin = 0.3 + 1.2 * max(each.severity for each in applied)

    def _saliency(self, photo: Known) -> np.ndarray | None:
        found = self.saliency.get(photo.path)
        return None if found is None else found.astype(np.float32) / 255

    def _words(self, photo: Known) -> list[str] | None:
        return self.vocabulary.named(photo.names, photo.captions) or None

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
        prompt = "" if seen.score is None else score_prefix(seen.score)
        line = write_line(replace(seen, score=None)) + "\n"
        prose = "There is nothing to see in this photo." if shot.kind == "blank" else ""
        if self.critiques is not None and shot.kind != "blank":
            named = [each for each in shows if each != UNCLEAR]
            prose = self.critiques.compose(seen, _subject(shot.photo.captions if named else (), named, rng), rng)
        found.exchanges.append(
            Exchange("text", COMMENT_QUESTION, line + prose, prompt=prompt, ended=bool(prose), weight=0.7)
        )


def shown(found: Example) -> Sequence[str]:
    """What to say that a photo shows; "unclear" where the visual tokens do not tell it."""
    if found.shot.kind == "blank":
        return (NOTHING,)
    return (UNCLEAR,) if found.words and found.shot.unclear else found.words or ()


def _subject(captions: Sequence[str], shows: Sequence[str], rng: np.random.Generator) -> str:
    """A first sentence about what is shown; "" where nothing is known."""
    if captions:
        return tidy(captions[int(rng.integers(len(captions)))])
    if not shows:
        return ""
    first = with_article(shows[0])
    opening = str(rng.choice(["The photo shows", "This is a photo of", "We see", "Here is"]))
    more = f" with {with_article(shows[1])}" if len(shows) > 2 and rng.random() < 0.6 else ""
    return f"{opening} {first}{more}."


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
