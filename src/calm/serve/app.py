"""The server: routes behind the guard, a model that loads while it listens, and an end that answers what was asked."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import signal
import socket
from collections.abc import AsyncIterator, Callable

import uvicorn
from fastapi import FastAPI

from calm import __version__
from calm.errors import UsageError
from calm.serve import errors, studio
from calm.serve.guard import Guard
from calm.serve.keys import Keys
from calm.serve.routes import api, status
from calm.serve.service import Service

logger = logging.getLogger(__name__)


def create_app(service: Service, keys: Keys | None = None, failed: Callable[[], None] = lambda: None) -> FastAPI:
    """The application.

    Args:
        keys: who may ask; None for everybody on this machine.
        failed: called where the model cannot be loaded.
    """

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        def opened(done: asyncio.Future[None]) -> None:
            if not done.cancelled() and done.exception() is not None:
                failed()

        loading = asyncio.ensure_future(asyncio.to_thread(service.open))
        loading.add_done_callback(opened)
        try:
            yield
        finally:
            await loading
            await asyncio.to_thread(service.close)

    app = FastAPI(
        title="calm-aesthetics",
        version=__version__,
        description="Scores photos, comments on them and says how to improve them.",
        lifespan=lifespan,
        docs_url=None,  # they load scripts of other servers
        redoc_url=None,
    )
    app.state.service = service
    app.include_router(api)
    app.include_router(status)
    studio.install(app)
    errors.install(app)
    app.add_middleware(Guard, limits=service.limits, metrics=service.metrics, keys=keys)
    return app


def serve(service: Service, host: str, port: int, keys: Keys | None, listening: Callable[[str], None]) -> None:
    """Serve until SIGTERM or SIGINT; requests that are being handled are answered before it returns.

    Args:
        host: a name or address of this machine.
        port: 0 for any that is free.
        listening: told the address once clients may connect.

    Raises:
        UsageError: for an address that cannot be listened at.
        CalmError: as ``service`` where its model cannot be loaded.
    """
    broken = False

    def stop() -> None:
        nonlocal broken
        broken = server.should_exit = True

    config = uvicorn.Config(
        create_app(service, keys, stop),
        log_config=None,
        log_level="warning",
        access_log=False,  # the guard's log has neither query nor address
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=int(service.limits.seconds),
        lifespan="on",
    )
    server = uvicorn.Server(config)
    with _listen(host, port) as listener:
        name = f"[{host}]" if ":" in host else host
        listening(f"http://{name}:{listener.getsockname()[1]}")
        # Once the server has ended, it sends the signal again to whoever was there before.
        before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
        try:
            server.run(sockets=[listener])
        finally:
            signal.signal(signal.SIGTERM, before)
    if broken:
        service.open()  # raises once more what kept the model from being loaded


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches that address."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _listen(host: str, port: int) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        raise UsageError(
            f"expected to listen at {host}, port {port}, found: {error.strerror or error}; choose another --port or "
            "--host"
        ) from error
