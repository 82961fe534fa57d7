"""Conversations about photos: which photos and what is asked, and the answer in words.

The network was taught a few questions. What a person asks is read as one of these by its words; all else goes to the
language model as it stands.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from calm.data.images import Photo
from calm.inference.engine import Answer
from calm.inference.tasks import HEARD, CommentTask, Result, ScoreTask, SuggestTask, Task
from calm.model.exchange import CAPTION_QUESTION, COMMENT_QUESTION
from calm.serve.errors import ApiError
from calm.serve.images import Sent
from calm.serve.schema import Message
from calm.types import Comment

NOTHING = "There is nothing that I would change."
ASPECTS = {
    "light": r"light(ing)?",
    "colour": r"colou?rs?",
    "sharpness": r"sharp(ness)?|focus|blurr?(y|ed)?",
    "subject": r"subject",
    "mood": r"mood|atmosphere|feeling",
    "noise": r"nois[ey]|grain(y)?",
    "exposure": r"exposure|exposed",
    "contrast": r"contrast",
    "framing": r"framing|framed|composition|composed",
    "tilt": r"tilt(ed)?|horizon",
    "clutter": r"clutter(ed)?|background",
}
"""Words that ask about one aspect."""
KINDS = (
    ("best", r"which|best|compar|rank|prefer"),
    ("suggest", r"improv|better|chang|fix|edit|suggest|mend|crop|should|advi[cs]e|wrong|missing"),
    ("score", r"scor|rate|rating|grade|points"),
    ("comment", r"comment|criti|review|opinion|think|why|explain|good|strength|weakness|aesthetic"),
    ("caption", r"what|show|caption|descri|see"),
)
"""Beginnings of words that ask for something, the first kind that fits counts; ``best`` is of several photos."""


@dataclass(frozen=True)
class WriteTask(Task):
    """An answer of the language model in its own words; of :class:`Pipeline` alone.

    Args:
        asked: the question.
        length: tokens, at most.
        temperature: 0 for the likeliest words; else they are drawn by ``seed``.
    """

    asked: str
    length: int
    temperature: float
    seed: int

    def ask(self, model: Any, photos: list[Photo]) -> list[Result]:  # noqa: ANN401 - a pipeline, more than a Model
        """See :class:`Task`."""
        scores = model.score(photos)
        seen = model.answers.see([photo.pixels for photo in photos])
        drawn: dict[str, Any] = {}
        if self.temperature:
            drawn = {"seeds": [self.seed] * len(photos), "temperature": self.temperature}
        if self.asked == COMMENT_QUESTION:
            spoken = model.answers.comments(seen, scores=[score.value for score in scores], **drawn)
            texts = [each.prose for each in spoken]
        else:
            texts = model.answers.text(seen, self.asked, self.length, heard=HEARD.get(), **drawn)
        return [Result(score, Comment(text, ())) for score, text in zip(scores, texts, strict=True)]


@dataclass(frozen=True)
class Question:
    """What a conversation comes to.

    Attributes:
        images: that its last question is about.
        kind: of :data:`KINDS`, ``aspects``, or ``free``.
        text: the question as it stands.
        aspects: that are asked about.
    """

    images: tuple[Sent, ...]
    kind: str
    text: str
    aspects: tuple[str, ...] = ()

    def task(self, length: int, temperature: float | None, seed: int) -> Task:
        """What the engine is asked about each image.

        Args:
            length: of the answer, tokens.
            temperature: None to be answered as on the command line.
        """
        if self.kind == "comment" and temperature is None:
            return CommentTask()
        seed, temperature = seed if temperature else 0, temperature or 0.0
        match self.kind:
            case "score" | "best":
                return ScoreTask()
            case "suggest":
                return SuggestTask()
            case "aspects":
                return CommentTask(self.aspects)
            case "comment":
                return WriteTask(COMMENT_QUESTION, length, temperature, seed)
            case "caption":
                return WriteTask(CAPTION_QUESTION, length, temperature, seed)
        return WriteTask(self.text, length, temperature, seed)

    def begun(self, text: str) -> str:
        """How the answer begins that has these words so far of the first image; its last word may be half of one."""
        words, space, _ = text.rpartition(" ")
        return words if len(self.images) == 1 or not space else f"Photo 1: {words}"

    def answer(self, answers: Sequence[Answer]) -> str:
        """The answer in words; of several images, a line each."""
        results = [each.result for each in answers if each.result is not None]
        if self.kind == "best":
            order = sorted(range(len(results)), key=lambda i: -results[i].score.value)
            return "\n".join(f"Photo {i + 1}: {results[i].score.value:.1f}" for i in order)
        texts = [_words(self.kind, each) for each in results]
        return texts[0] if len(texts) == 1 else "\n".join(f"Photo {i}: {text}" for i, text in enumerate(texts, 1))


def question(messages: Sequence[Message]) -> Question:
    """What the last message asks, about its own images or else those that were sent last before it.

    Raises:
        ApiError: for a conversation without an image, or whose last message is no question.
    """
    if messages[-1].role != "user":
        raise ApiError(400, "expected the last message to be the user's, found another", "invalid_value", "messages")
    turns = [(message, _images(message, i)) for i, message in enumerate(messages) if message.role == "user"]
    images = next((found for _, found in reversed(turns) if found), None)
    if images is None:
        raise ApiError(400, "expected an image in the conversation, found none; send one", "no_image", "messages")
    asked = next((text for text in (_text(message) for message, _ in reversed(turns)) if text), COMMENT_QUESTION)
    kind, aspects = _kind(asked, len(images))
    return Question(images, kind, asked, aspects)


def text_of(messages: Sequence[Message]) -> str:
    """All words of a conversation."""
    return "\n".join(_text(message) for message in messages)


def _kind(text: str, images: int) -> tuple[str, tuple[str, ...]]:
    words = text.lower()
    kinds = [kind for kind, pattern in KINDS if re.search(rf"\b({pattern})", words)]
    if images < 2 and "best" in kinds:
        kinds.remove("best")
    aspects = tuple(name for name, pattern in ASPECTS.items() if re.search(rf"\b({pattern})\b", words))
    if aspects and not {"best", "suggest", "score"} & set(kinds):
        return "aspects", aspects
    return (kinds or ["free"])[0], ()


def _words(kind: str, result: Result) -> str:
    if kind == "score":
        return f"{result.score.value:.1f}"
    if kind == "suggest":
        return " ".join(each.text for each in result.suggestions or ()) or NOTHING
    return result.comment.text if result.comment else ""


def _text(message: Message) -> str:
    if isinstance(message.content, str):
        return message.content.strip()
    return "\n".join(part.text for part in message.content or () if part.text).strip()


def _images(message: Message, place: int) -> tuple[Sent, ...]:
    found = []
    for i, part in enumerate(message.content if isinstance(message.content, list) else ()):
        if part.type == "image_url":
            url = part.image_url if isinstance(part.image_url, str | None) else part.image_url.url
            found.append(Sent(url, part.uuid, f"messages.{place}.content.{i}"))
    return tuple(found)
