"""Servers for tests: ``calm serve`` as a process of its own, and the application in a thread."""

from __future__ import annotations

import base64
import contextlib
import functools
import http.client
import io
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import uvicorn
from PIL import Image

from calm.serve.app import create_app
from calm.serve.keys import Keys
from calm.serve.service import Service


def png(value: int, size: tuple[int, int] = (8, 6)) -> bytes:
    """An even grey photo."""
    stream = io.BytesIO()
    Image.fromarray(np.full((size[1], size[0], 3), value, np.uint8)).save(stream, "PNG")
    return stream.getvalue()


def url(data: bytes) -> str:
    """A data URL."""
    return "data:image/png;base64," + base64.b64encode(data).decode()


def images(*values: int) -> list[dict[str, str]]:
    """Even grey photos as a request has them."""
    return [{"image": url(png(value))} for value in values]


@dataclass
class Reply:
    """What a server answered."""

    status: int
    headers: dict[str, str]
    content: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.content)

    @property
    def error(self) -> dict[str, Any]:
        return self.json["error"]


@dataclass
class Address:
    """A server to be asked."""

    port: int
    headers: dict[str, str] = field(default_factory=dict)
    end: Callable[[], None] | None = None
    """Does what SIGTERM does."""

    def ask(self, method: str, path: str, body: object = None, **headers: str) -> Reply:
        """One request. A body that is not bytes goes as JSON; ``_`` in a header's name is ``-``."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=600)
        given = {"Content-Type": "application/json"} | self.headers
        given |= {name.replace("_", "-"): value for name, value in headers.items()}
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        with contextlib.closing(connection):
            connection.request(method, path, data, given)
            answer = connection.getresponse()
            return Reply(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())

    def post(self, path: str, body: object = None, **headers: str) -> Reply:
        return self.ask("POST", path, body, **headers)

    def get(self, path: str, **headers: str) -> Reply:
        return self.ask("GET", path, **headers)

    def until_loaded(self) -> None:
        until = time.monotonic() + 600
        while time.monotonic() < until:
            with contextlib.suppress(OSError):
                if self.get("/health").status == 200:
                    return
            time.sleep(0.05)
        raise AssertionError("the server did not load its model")


@contextlib.contextmanager
def thread(service: Service, keys: Keys | None = None, wait: bool = True) -> Iterator[Address]:
    """The application of a service in a thread."""
    config = uvicorn.Config(create_app(service, keys), port=0, log_config=None, lifespan="on", server_header=False)
    server = uvicorn.Server(config)
    running = threading.Thread(target=server.run)
    running.start()
    while not server.started:
        time.sleep(0.005)
    port = server.servers[0].sockets[0].getsockname()[1]
    address = Address(port, end=functools.partial(server.handle_exit, signal.SIGTERM, None))
    try:
        if wait:
            address.until_loaded()
        yield address
    finally:
        server.should_exit = True
        running.join()


@dataclass
class Process:
    """``calm serve`` as a process."""

    process: subprocess.Popen[str]
    address: Address

    def end(self) -> int:
        """Its exit status after SIGTERM."""
        self.process.terminate()
        return self.process.wait(60)


@contextlib.contextmanager
def process(*arguments: str | Path, **environment: str) -> Iterator[Process]:
    """``calm serve`` with these arguments, listening."""
    command = [sys.executable, "-m", "calm.cli", "serve", "--port", "0", *map(str, arguments)]
    running = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=os.environ | environment)
    try:
        lines: list[str] = []
        while not (found := re.search(r"listening on http://.*:(\d+)", lines[-1] if lines else "")):
            line = running.stderr.readline()
            assert line, "".join(lines)
            lines.append(line)
        yield Process(running, Address(int(found[1])))
    finally:
        running.kill()
        running.wait()
        running.stderr.close()
