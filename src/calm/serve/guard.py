"""What stands before every route: who asks, how much and how long; headers, metrics and the log of what was answered.

A body is read whole, within its limits, before a route sees it. A request whose client is gone, or whose time is up, is
cancelled, and with it the photos that wait on its behalf.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from calm.serve.errors import ApiError, as_api_error, busy
from calm.serve.keys import Keys
from calm.serve.limits import Limits, Rate
from calm.serve.metrics import Metrics

logger = logging.getLogger(__name__)

OPEN = re.compile(r"/(health|readyz|openapi\.json|studio/.*)?")
"""Paths that need no key: how the server is, and the page, which asks for the key itself."""
LOOPBACK = ("localhost", "127.0.0.1", "::1")
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'self'; img-src 'self' blob: data:; object-src 'none'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
DRAINED = 4
"""Bodies that are too large are read and dropped up to so many times the limit, so that clients see the answer."""


@dataclass(frozen=True)
class Caller:
    """Who asks.

    Attributes:
        name: of the key; for the log.
        id: first digits of the key's SHA-256, which no other key has; None where no keys are needed.
    """

    name: str
    id: str | None = None


class Guard:
    """An ASGI application in front of another.

    Args:
        app: gets the :class:`Caller` as ``request.state.caller``.
        keys: who may ask; None for everybody who asks this machine by a name of its own.
    """

    def __init__(self, app: ASGIApp, limits: Limits, metrics: Metrics, keys: Keys | None = None) -> None:
        self.app, self.limits, self.metrics, self.keys = app, limits, metrics, keys
        self._rate = Rate(limits.rate)
        self._requests = self._bytes = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        answer, began = _Answer(send), time.perf_counter()
        scope.setdefault("state", {})
        try:
            await self._handle(scope, receive, answer)
        except Exception as error:
            refusal = as_api_error(error)
            if refusal.status == 500:
                logger.exception("a request failed")
            await answer.refuse(refusal, scope, receive)
        finally:
            route = getattr(scope.get("route"), "path", "none")
            seconds = time.perf_counter() - began
            self.metrics.answered(route, answer.status, seconds)
            caller = scope["state"].get("caller")
            who = caller.name if caller else "-"
            logger.info("%s %s %d %.0f ms %s", scope["method"], route, answer.status, seconds * 1000, who)

    async def _handle(self, scope: Scope, receive: Receive, answer: _Answer) -> None:
        headers = Headers(scope=scope)
        if self.keys is None:
            _check_names(headers)
        if not OPEN.fullmatch(scope["path"]):
            scope["state"]["caller"] = self._caller(scope, headers)
        with self._room(scope["method"] == "POST") as held:
            deadline = asyncio.get_running_loop().time() + self.limits.seconds
            try:
                async with asyncio.timeout_at(deadline):
                    body = await self._body(headers, receive, held)
            except TimeoutError as error:
                raise ApiError(408, f"expected the request within {self.limits.seconds:g} s", "timeout") from error
            await self._run(scope, receive, answer, body, deadline)

    def _caller(self, scope: Scope, headers: Headers) -> Caller:
        if self.keys is None:
            caller = Caller("local")
        else:
            scheme, _, secret = headers.get("authorization", "").partition(" ")
            key = self.keys.find(secret.strip()) if scheme.lower() == "bearer" else None
            if key is None:
                message = "expected an API key (Authorization: Bearer KEY), found none or one that is not known"
                raise ApiError(401, message, "invalid_api_key", headers={"WWW-Authenticate": "Bearer"})
            caller = Caller(key.name, key.sha256[:32])
        wait = self._rate.wait(caller.id or str((scope.get("client") or ("",))[0]))
        if wait:
            raise busy(f"expected at most {self.limits.rate} requests a minute, found more", wait, code="rate_limit")
        return caller

    @contextlib.contextmanager
    def _room(self, counted: bool) -> Iterator[list[int]]:
        """Counts a request, and the bytes that it adds to the list.

        Args:
            counted: whether there must be room for it; looking at figures needs none.
        """
        if counted and self._requests >= self.limits.queue:
            raise busy(f"expected fewer than {self.limits.queue} requests at a time, found as many; try again later")
        held: list[int] = []
        self._requests += counted
        try:
            yield held
        finally:
            self._requests -= counted
            self._bytes -= sum(held)

    async def _body(self, headers: Headers, receive: Receive, held: list[int]) -> bytes:
        stated = headers.get("content-length", "0")
        size, parts, more = int(stated) if stated.isdigit() else 0, list[bytes](), True
        refusal = self._too_large(size)
        read = 0
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ApiError(400, "expected the whole request, found its client gone", "disconnected")
            part, more = message.get("body", b""), message.get("more_body", False)
            read += len(part)
            refusal = refusal or self._too_large(read)
            if refusal:
                parts.clear()
                if read > DRAINED * self.limits.body:
                    break
                continue
            if self._bytes + len(part) > self.limits.bodies:
                refusal = busy("expected less data of other requests in work, found the memory for it used up")
            held.append(len(part))
            self._bytes += len(part)
            parts.append(part)
        if refusal:
            raise refusal
        return b"".join(parts)

    def _too_large(self, size: int) -> ApiError | None:
        if size <= self.limits.body:
            return None
        return ApiError(413, f"expected a body of at most {self.limits.body} bytes, found more", "body_too_large")

    async def _run(self, scope: Scope, receive: Receive, answer: _Answer, body: bytes, deadline: float) -> None:
        gone = asyncio.ensure_future(receive())
        given = False

        async def replay() -> Message:
            nonlocal given
            if given:
                return await asyncio.shield(gone)
            given = True
            return {"type": "http.request", "body": body, "more_body": False}

        work = asyncio.ensure_future(self.app(scope, replay, answer.send))
        try:
            left = deadline - asyncio.get_running_loop().time()
            await asyncio.wait({work, gone}, timeout=left, return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                await work
            elif not gone.done():
                message = f"expected an answer within {self.limits.seconds:g} s, found none yet; ask about fewer images"
                raise ApiError(504, message, "timeout")
        finally:
            for task in (work, gone):
                task.cancel()
            await asyncio.gather(work, gone, return_exceptions=True)


class _Answer:
    """The way back: adds headers, and knows what was sent."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.status = 499
        """Of HTTP; 499 where the client left before there was one."""

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
        await self._send(message)

    async def refuse(self, error: ApiError, scope: Scope, receive: Receive) -> None:
        """Answer with an error; where an answer has begun already, it only ends."""
        if self.status == 499:
            await error.response()(scope, receive, self.send)


def _check_names(headers: Headers) -> None:
    """Where no keys are needed, no page of another site may ask in its reader's name: neither as that site, nor by a
    name that was pointed at this machine.
    """
    host = headers.get("host", "")
    name = host.rpartition(":")[0] if ":" in host.rpartition("]")[2] else host
    if name.strip("[]").lower() not in LOOPBACK:
        raise ApiError(403, f"expected a host of {', '.join(LOOPBACK)}, found another; require keys", "host")
    origin = headers.get("origin")
    if origin is not None and origin.partition("://")[2] != host:
        raise ApiError(403, "expected no request of another site's page, found one", "origin")
