"""Answers in words as OpenAI's clients read them: whole, or streamed while they are written."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from calm.inference.engine import Answer
from calm.inference.tasks import Heard
from calm.serve import schema
from calm.serve.chat import Question
from calm.serve.errors import ApiError, as_api_error


@dataclass(frozen=True)
class Spoken:
    """The words of one answer.

    Attributes:
        begin: what every part of the answer begins with: its id, when it was made, by which model.
        most: tokens of the answer, at most.
        read: tokens of the question.
        pieces: takes a text apart into tokens.
    """

    begin: dict[str, Any]
    question: Question
    most: int
    read: int
    pieces: Callable[[str], list[str]]

    def parts(self, answers: Sequence[Answer]) -> tuple[list[str], Literal["stop", "length"]]:
        """The answer token by token, and why it ends. Raises :class:`ApiError` for an image that failed."""
        for i, answer in enumerate(answers, 1):
            if answer.result is None:
                raise ApiError(400, f"image {i}: {answer.error}", "invalid_image", "messages")
        pieces = self.pieces(self.question.answer(answers))
        return pieces[: self.most], "length" if len(pieces) >= self.most else "stop"

    def begun(self, text: str) -> list[str]:
        """Tokens that the answer begins with, of which ``text`` is written about the first image."""
        return self.pieces(self.question.begun(text))[: self.most]

    def usage(self, count: int) -> schema.Usage:
        """What an answer of so many tokens took."""
        return schema.Usage(prompt_tokens=self.read, completion_tokens=count, total_tokens=self.read + count)

    def whole(self, answers: Sequence[Answer]) -> dict[str, Any]:
        """The answer that is not streamed."""
        parts, reason = self.parts(answers)
        choice = schema.Choice(message=schema.Said(content="".join(parts)), finish_reason=reason)
        return schema.Chat(**self.begin, choices=[choice], usage=self.usage(len(parts))).model_dump()


class Stream(StreamingResponse):
    """Sends words as they are written; of several images, those about the first, and the rest when all are.

    Args:
        usage: whether it is sent at the end.
        ask: begins the answer, and tells what is being written.
    """

    def __init__(self, spoken: Spoken, usage: bool, ask: Callable[[Heard], Awaitable[list[Answer]]]) -> None:
        super().__init__(self._lines(), media_type="text/event-stream")
        self.spoken, self.usage = spoken, usage
        self._texts: asyncio.Queue[str | None] = asyncio.Queue()
        loop = asyncio.get_running_loop()

        def heard(place: int, text: str) -> None:
            if place == 0:
                loop.call_soon_threadsafe(self._texts.put_nowait, text)

        self._work = asyncio.ensure_future(ask(heard))
        self._work.add_done_callback(lambda done: self._texts.put_nowait(None))
        self._first: str | None = None

    async def begin(self) -> None:
        """Wait for the first word. Raises what kept the answer from being begun."""
        try:
            self._first = await self._texts.get()
            if self._first is None:
                self.spoken.parts(await self._work)
        except BaseException:
            self._work.cancel()
            raise

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI. Whoever leaves leaves no work."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._work.cancel()

    async def _lines(self) -> AsyncIterator[str]:
        yield self._line(_choice({"role": "assistant", "content": ""}))
        text, count = self._first, 0
        while text is not None:
            begun = self.spoken.begun(text)
            for part in begun[count:]:
                yield self._line(_choice({"content": part}))
            count = max(count, len(begun))
            text = await self._texts.get()
        try:
            parts, reason = self.spoken.parts(await self._work)
        except Exception as error:
            yield f"data: {bytes(as_api_error(error).response().body).decode()}\n\n"
            return
        for part in parts[count:]:
            yield self._line(_choice({"content": part}))
        yield self._line(_choice({}, reason))
        if self.usage:
            yield self._line([], self.spoken.usage(len(parts)))
        yield "data: [DONE]\n\n"

    def _line(self, choices: list[dict[str, Any]], usage: schema.Usage | None = None) -> str:
        chunk = schema.Chunk(**self.spoken.begin, choices=choices, usage=usage)
        return f"data: {chunk.model_dump_json()}\n\n"


def _choice(delta: dict[str, str], finish_reason: str | None = None) -> list[dict[str, Any]]:
    return [{"index": 0, "delta": delta, "finish_reason": finish_reason}]
