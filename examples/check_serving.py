"""Measures ``calm serve`` from a second process on loopback.

python examples/check_serving.py throughput FOLDER   photos a second over HTTP and on the command line
python examples/check_serving.py hostile FOLDER      10,000 requests, a tenth of them hostile
python examples/check_serving.py kill FOLDER         200 clients that leave amid their requests
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import itertools
import json
import os
import random
import re
import struct
import subprocess
import sys
import time
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

CALM = [sys.executable, "-m", "calm.cli"]
CLIENTS = 32
UUIDS = 500
"""Names by which clients ask a server to remember photos."""


@dataclass
class Server:
    """``calm serve`` in a process of its own."""

    process: subprocess.Popen[str]
    port: int

    @property
    def megabytes(self) -> float:
        """Resident memory."""
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return round(int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) / 1024, 1)

    @property
    def seconds(self) -> float:
        """Of processors, so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def serving(*options: str) -> Iterator[Server]:
    """A server that has loaded its model."""
    command = [*CALM, "serve", "--port", "0", "--rate", "1000000", *options]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    try:
        port = next(int(found[1]) for line in process.stderr if (found := re.search(r"listening on .*:(\d+)", line)))
        server = Server(process, port)
        while asyncio.run(Client(port).once(request("GET", "/health"))).status != 200:
            time.sleep(0.2)
        yield server
    finally:
        process.terminate()
        process.wait(60)


# ------------------------------------------------------------------------------------------------ a light client


@dataclass(frozen=True)
class Reply:
    """Status of HTTP and body."""

    status: int
    body: bytes


class Client:
    """One connection that is kept: bytes that were made before go out, and nothing is parsed but the length."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, data: bytes) -> Reply:
        """Send a request, and read what comes."""
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self.port, limit=1 << 24)
        reader, writer = self._streams
        writer.write(data)
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"(?i)content-length: (\d+)", head)
        body = await reader.readexactly(int(length[1])) if length else await reader.read()
        if length is None or b"connection: close" in head.lower():
            self.close()
        return Reply(int(head[9:12]), body)

    async def once(self, data: bytes) -> Reply:
        """One request on a connection of its own."""
        try:
            return await self.ask(data)
        finally:
            self.close()

    def close(self) -> None:
        """Leave, whatever was asked."""
        if self._streams is not None:
            self._streams[1].transport.abort()
        self._streams = None


def request(method: str, path: str, body: bytes = b"", kind: str = "application/json") -> bytes:
    """A request as it goes over the wire."""
    head = f"{method} {path} HTTP/1.1", "Host: localhost", f"Content-Type: {kind}", f"Content-Length: {len(body)}"
    return "\r\n".join([*head, "", ""]).encode() + body


def scoring(photo: bytes, kind: str = "jpeg") -> bytes:
    """A request to score a photo."""
    url = f"data:image/{kind};base64,{base64.b64encode(photo).decode()}"
    return request("POST", "/v1/score", json.dumps({"images": [{"image": url}]}).encode())


# ------------------------------------------------------------------------------------------------ throughput


def throughput(paths: list[Path]) -> dict[str, object]:
    """Photos a second: of ``calm score`` (without its start), of 32 clients, and of one that waits for each answer.

    Milliseconds of processors a photo say the same where other programs take their share of them.
    """
    asked = [scoring(path.read_bytes()) for path in paths]
    with serving() as server:
        line = [_command_line(paths)]
        asyncio.run(_all(server.port, asked[:64], CLIENTS))
        before, own = server.seconds, time.process_time()
        together = asyncio.run(_all(server.port, asked, CLIENTS))
        used, own = server.seconds - before, time.process_time() - own
        alone = asyncio.run(_all(server.port, asked[: len(asked) // 3], 1))
        line.append(_command_line(paths))
    batch, cpu = (sum(each) / len(line) for each in zip(*line, strict=True))
    return {
        "photos": len(paths),
        "a_second": {"command line": [round(each, 2) for each, _ in line], "32 clients": together, "one client": alone},
        "to_command_line": round(together / batch, 3),
        "to_one_client": round(together / alone, 3),
        "cpu_ms_a_photo": {
            "command line": round(1000 * cpu, 1),
            "server": round(1000 * used / len(paths), 1),
            "clients": round(1000 * own / len(paths), 1),
        },
    }


def _command_line(paths: list[Path]) -> tuple[float, float]:
    """Photos a second of ``calm score`` and seconds of processors a photo, beyond its first batch, whose run is taken
    off.
    """
    seconds, used = [], []
    for some in (paths[:32], paths):
        began, before = time.perf_counter(), os.times()
        given = "\n".join(map(str, some))
        command = [*CALM, "score", "-", "--no-store", "-q", "--format", "jsonl"]
        done = subprocess.run(command, input=given, capture_output=True, text=True, check=True)
        assert len(done.stdout.splitlines()) == len(some)
        seconds.append(time.perf_counter() - began)
        after = os.times()
        used.append(after[2] + after[3] - before[2] - before[3])
    return (len(paths) - 32) / (seconds[1] - seconds[0]), (used[1] - used[0]) / (len(paths) - 32)


async def _all(port: int, asked: list[bytes], clients: int) -> float:
    """Requests a second of so many clients, each of which asks anew once it is answered."""
    left = iter(asked)

    async def ask() -> None:
        client = Client(port)
        for data in left:
            reply = await client.ask(data)
            assert reply.status == 200, reply
        client.close()

    began = time.perf_counter()
    await asyncio.gather(*(ask() for _ in range(clients)))
    return round(len(asked) / (time.perf_counter() - began), 2)


# ------------------------------------------------------------------------------------------------ hostile requests

HUNG = 60.0
"""Seconds after which a request that has no answer counts as hung."""
MALFORMED = (
    b"GET / HTTP/9.9\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"POST /v1/score HTTP/1.1\r\nHost: localhost\r\nContent-Length: -5\r\n\r\n",
    b"POST /v1/score HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET /v1/models HTTP/1.1\r\nHost: localhost\r\n" + b"X-A: b\r\n" * 20_000 + b"\r\n",
)
"""What is no request."""


def hostile_bodies(photo: bytes) -> list[tuple[str, bytes]]:
    """Paths and bodies that no friend sends: pictures that are none, are damaged or claim to be huge; addresses and
    files of this machine; JSON of other shapes, too deep, too large; names that lead elsewhere.
    """
    bomb = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    bomb += struct.pack(">I", zlib.crc32(bomb[12:29])) + b"\0\0\0\0IDAT"
    data = [
        photo[: len(photo) // 2],
        photo[::-1],
        b"",
        os.urandom(3000),
        b"GIF89a" + os.urandom(300),
        bomb,
        b"<svg/>" * 99,
    ]
    urls = [f"data:image/jpeg;base64,{base64.b64encode(each).decode()}" for each in data]
    urls += [
        "data:image/png;base64,%%%",
        "data:text/html,<b>",
        "http://127.0.0.1:1/a.png",
        "file:///etc/passwd",
        "/etc/passwd",
    ]
    urls += ["\ud800", "data:image/png;base64," + "A" * 1_000_001]
    texts = [json.dumps({"images": [{"image": each}]}).encode() for each in urls]
    texts += [
        b"[" * 200_000,
        b'{"images": NaN}',
        b"\xff\xfe\0",
        b'{"images": [1e999]}',
        b"null",
        b"{}" * 9,
        os.urandom(500),
    ]
    texts += [json.dumps({"images": [{"uuid": f"u{i}"} for i in range(17)]}).encode(), b'{"images": [], "model": {}}']
    found = [
        (path, text) for path in ("score", "comment", "suggest", "describe", "attention", "study") for text in texts
    ]
    laughs = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">' + "".join(
        f'<!ENTITY {b} "{"&" + a + ";" * 1}{("&" + a + ";") * 9}">' for a, b in zip("abcdefgh", "bcdefghi", strict=True)
    )
    more = {
        "cull": [
            {"photos": [{"uuid": "a"}], "keep": "-1"},
            {"photos": [{"uuid": "a", "name": "../" * 99}]},
            {"photos": [{"uuid": "x"}] * 9999},
        ],
        "sidecars": [
            {"photos": [{"name": "../../etc/passwd", "score": 5}]},
            {"photos": [{"name": "a", "score": 5, "before": f"{laughs}]><x>&i;</x>"}]},
            {"photos": [{"name": "a", "score": 1e308}]},
        ],
        "report": [{"title": "{{7*7}}<script>", "photos": [{"name": "{% raw %}", "score": 5, "comment": "</script>"}]}],
        "taste": [{"read": [[1e308] * 9]}, {"read": [[]], "ratings": [{"index": -1, "rating": 3}]}],
        "apply": [
            {"image": urls[0], "suggestions": [{"attribute": "exposure", "direction": "increase", "amount": 1e308}]}
        ],
        "profiles": [{"name": "../../x", "ratings": [{"image": urls[0], "rating": 1e300}]}],
        "chat/completions": [
            {"messages": []},
            {"messages": [{"role": "user", "content": "a" * 17_000}]},
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": urls[3]}]}], "stream": True},
            {"messages": [{"role": "user", "content": "x"}], "temperature": -1, "max_tokens": 10**30, "n": 99},
        ],
    }
    return found + [(path, json.dumps(body).encode()) for path, bodies in more.items() for body in bodies]


def hostile_requests(photo: bytes, rng: random.Random) -> Iterator[bytes]:
    """Endless hostile requests as they go over the wire."""
    bodies = hostile_bodies(photo)
    places = (
        "/studio/../app.py",
        "/studio/%2e%2e%2fapp.py",
        "/v1/profiles/..%2f..%2fx",
        "/v1/models/%00",
        "//",
        "/v1/" + "a/" * 900,
    )
    while True:
        path, body = rng.choice(bodies)
        whole = request("POST", f"/v1/{path}", body)
        yield rng.choice(
            [whole] * 12
            + [request("GET", rng.choice(places)), request("DELETE", "/v1/score"), request("PUT", "/health", body[:99])]
            + [
                whole.replace(b"Host: localhost", b"Host: evil.example"),
                request("POST", f"/v1/{path}", body, "text/xml"),
            ]
            + [rng.choice(MALFORMED), whole[: len(whole) // 2]]
        )


def sketches(paths: list[Path]) -> list[bytes]:
    """Requests that fill the memory of a server for photos with a uuid."""
    urls = [f"data:image/jpeg;base64,{base64.b64encode(path.read_bytes()).decode()}" for path in paths]
    bodies = [{"images": [{"image": urls[i % len(urls)], "uuid": f"u{i}"}]} for i in range(UUIDS)]
    return [request("POST", "/v1/describe", json.dumps(body).encode()) for body in bodies]


def friendly_requests(paths: list[Path], rng: random.Random) -> Iterator[bytes]:
    """Endless requests as clients send them: scores, and at times suggestions, sketches and questions how it goes."""
    photos = [path.read_bytes() for path in paths]
    images = [{"image": f"data:image/jpeg;base64,{base64.b64encode(each).decode()}"} for each in photos]
    for number in itertools.count():
        image = images[number % len(images)]
        what = rng.random()
        if what < 0.05:
            yield request("GET", rng.choice(["/health", "/readyz", "/metrics", "/v1/models", "/", "/openapi.json"]))
        elif what < 0.1:
            yield request(
                "POST", "/v1/describe", json.dumps({"images": [image | {"uuid": f"u{number % UUIDS}"}]}).encode()
            )
        else:
            path = "suggest" if what < 0.15 else "score"
            yield request("POST", f"/v1/{path}", json.dumps({"images": [image]}).encode())


def hostile(paths: list[Path], count: int, model: str, schemathesis: str | None) -> dict[str, object]:
    """What becomes of a server that is asked ``count`` times, a tenth of them by somebody hostile."""
    rng = random.Random(0)
    bad, good = hostile_requests(paths[0].read_bytes(), rng), friendly_requests(paths, rng)
    asked = (next(bad) if rng.random() < 0.1 else next(good) for _ in range(count))
    statuses: Counter[str] = Counter()
    with serving("--model", model) as server:
        warm = [next(bad if i % 10 == 0 else good) for i in range(count // 10)]
        asyncio.run(_beset(server.port, iter(warm + sketches(paths)), statuses))  # as many as it remembers
        if schemathesis:  # what its questions load once is no growth
            _schemathesis(schemathesis, server.port)
        before, began = server.megabytes, time.monotonic()
        while some := list(itertools.islice(asked, 1000)):
            asyncio.run(_beset(server.port, iter(some), statuses))
            print(f"{sum(statuses.values())} requests, {server.megabytes} MB", file=sys.stderr, flush=True)
        fuzzed = _schemathesis(schemathesis, server.port) if schemathesis else "not asked for"
        took, after = time.monotonic() - began, server.megabytes
        alive = asyncio.run(Client(server.port).once(scoring(paths[0].read_bytes()))).status == 200
        crashed = server.process.poll() is not None or not alive
    return {
        "requests": sum(statuses.values()),
        "statuses": dict(sorted(statuses.items())),
        "5xx": sum(number for status, number in statuses.items() if status.startswith("5")),
        "hung": statuses["hung"],
        "crashed": crashed,
        "schemathesis": fuzzed,
        "megabytes": {"after a tenth, all loaded": before, "at the end": after, "more": round(after - before, 1)},
        "seconds": round(took, 1),
    }


async def _beset(port: int, asked: Iterator[bytes], statuses: Counter[str]) -> None:
    async def ask() -> None:
        client = Client(port)
        for data in asked:
            try:
                whole = data.startswith((b"GET", b"POST", b"PUT", b"DELETE")) and b"\r\n\r\n" in data
                async with asyncio.timeout(HUNG if whole and not _is_half(data) else 1):
                    statuses[str((await client.ask(data)).status)] += 1
            except TimeoutError:
                statuses["hung" if whole and not _is_half(data) else "left by the client"] += 1
                client.close()
            except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
                statuses["closed by the server"] += 1
                client.close()
        client.close()

    await asyncio.gather(*(ask() for _ in range(CLIENTS)))


def _is_half(data: bytes) -> bool:
    """Whether less of the body is sent than the head says."""
    head, _, body = data.partition(b"\r\n\r\n")
    length = re.search(rb"Content-Length: (\d+)", head)
    return length is None or int(length[1]) > len(body)


def _schemathesis(program: str, port: int) -> str:
    """The last lines of a run over the server's own document, where an answer with 5xx is a failure."""
    command = [program, "run", f"http://127.0.0.1:{port}/openapi.json", "--checks", "not_a_server_error"]
    command += ["--phases", "examples,coverage,fuzzing", "--max-examples", "40", "--seed", "1"]
    command += ["--request-timeout", str(HUNG), "--generation-codec", "utf-8"]
    done = subprocess.run(command, capture_output=True, text=True)
    return f"status {done.returncode}: " + " | ".join(line for line in done.stdout.splitlines()[-25:] if line.strip())


# ------------------------------------------------------------------------------------------------ clients that leave


def kill(paths: list[Path], model: str, count: int = 200) -> dict[str, object]:
    """What is left five seconds after so many clients left amid their requests."""
    rng = random.Random(0)
    images = [f"data:image/jpeg;base64,{base64.b64encode(path.read_bytes()).decode()}" for path in paths[:16]]
    parts = [{"type": "image_url", "image_url": images[0]}, {"type": "text", "text": "Comment on this photo."}]
    chat = {"messages": [{"role": "user", "content": parts}]}
    bodies = [
        ("/v1/score", {"images": [{"image": each} for each in images]}),
        ("/v1/comment", {"images": [{"image": each} for each in images[:4]]}),
        ("/v1/suggest", {"images": [{"image": each} for each in images[:8]]}),
        ("/v1/chat/completions", chat),
        ("/v1/chat/completions", chat | {"stream": True}),
    ]
    whole = [request("POST", path, json.dumps(body).encode()) for path, body in bodies]

    async def leave(port: int) -> str:
        data = rng.choice(whole)
        data = data[: rng.randrange(len(data))] if rng.random() < 0.2 else data
        client = Client(port)
        try:
            await asyncio.wait_for(client.ask(data), rng.uniform(0, 1))
            return "answered before"
        except TimeoutError:
            return "left"
        finally:
            client.close()

    async def all_leave(port: int) -> Counter[str]:
        found: Counter[str] = Counter()
        for _ in range(count // 8):
            found += Counter(await asyncio.gather(*(leave(port) for _ in range(8))))
        return found

    with serving("--model", model) as server:
        left = asyncio.run(all_leave(server.port))
        time.sleep(5)
        figures = asyncio.run(Client(server.port).once(request("GET", "/metrics"))).body.decode()
        before = server.seconds
        time.sleep(2)
        busy = server.seconds - before
        answered = asyncio.run(Client(server.port).once(scoring(paths[0].read_bytes()))).status
    waiting = next(line.split()[1] for line in figures.splitlines() if line.startswith("calm_waiting_photos "))
    return {
        "clients": dict(left),
        "photos without an answer after 5 s": float(waiting),
        "processor seconds in the 2 s after": round(busy, 2),
        "the next request": answered,
    }


if __name__ == "__main__":
    reader = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    reader.add_argument("what", choices=["throughput", "hostile", "kill"])
    reader.add_argument("folder", type=Path, help="of photos")
    reader.add_argument("--model", default="calm-small")
    reader.add_argument("--count", type=int, help="photos, requests or clients  [default: 320, 10,000 or 200]")
    reader.add_argument("--schemathesis", metavar="PROGRAM", help="run it over the OpenAPI document, too")
    given = reader.parse_args()
    photos = sorted(path for path in given.folder.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg"))
    if not photos:
        reader.error(f"expected JPEG files below {given.folder}, found none")
    random.Random(0).shuffle(photos)
    match given.what:
        case "throughput":
            found = throughput(photos[: given.count or 320])
        case "hostile":
            found = hostile(photos[:100], given.count or 10_000, given.model, given.schemathesis)
        case _:
            found = kill(photos, given.model, given.count or 200)
    print(json.dumps(found, indent=1))
