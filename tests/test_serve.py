"""The server around a model that is understood at a glance: rows, limits, keys, refusals, batches, cancellation."""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from doubles import POISON, BrightModel, Held
from serving import Address, images, png, thread, url
from test_cli import calm

from calm.errors import AbandonedError, UsageError
from calm.inference.tasks import ABANDONED, HEARD
from calm.serve.keys import Keys
from calm.serve.limits import Limits, Rate
from calm.serve.service import Service
from calm.types import Comment


def serving(model=None, **limits):
    """A server in a thread."""
    return thread(Service(lambda: model or BrightModel(), Limits(**limits), 4))


def figure(server: Address, name: str) -> float:
    """One of ``/metrics``."""
    lines = server.get("/metrics").content.decode().splitlines()
    return float(next(line for line in lines if line.startswith(f"{name} ")).split()[1])


def wait_for(condition) -> None:
    until = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < until, "that did not happen in a minute"
        time.sleep(0.01)


@contextlib.contextmanager
def send(server: Address, body: object):
    """A request to ``/v1/score`` whose answer is not waited for; at the end its client is gone."""
    data = json.dumps(body).encode()
    head = "POST /v1/score HTTP/1.1", "Host: localhost", "Content-Type: application/json"
    with socket.create_connection(("127.0.0.1", server.port)) as client:
        client.sendall("\r\n".join([*head, f"Content-Length: {len(data)}", "", ""]).encode() + data)
        yield client


# ---------------------------------------------------------------------------------------------------- answers


def test_rows_come_in_order_and_a_failed_image_fails_no_other():
    with serving() as server:
        given = images(0, POISON, 255) + [{"image": url(b"no photo")}, {"image": "data:image/png;base64,%%%"}]
        answer = server.post("/v1/score", {"images": given})
        assert answer.status == 200 and answer.json["model"] == "bright"
        rows = answer.json["data"]
        assert [row["status"] for row in rows] == ["ok", "failed", "ok", "failed", "failed"]
        assert [row["score"] for row in rows] == [1.0, None, 10.0, None, None]
        assert "poisoned batch" in rows[1]["error"] and "expected a photo" in rows[3]["error"]
        assert "expected base64" in rows[4]["error"] and figure(server, "calm_failed_photos_total") == 3


def test_suggestions_take_their_options():
    with serving() as server:
        body = {"images": images(10), "least": 0.7}
        (row,) = server.post("/v1/suggest", body).json["data"]
        assert [each["attribute"] for each in row["suggestions"]] == ["exposure"]


def test_a_uuid_stands_for_its_image_until_newer_ones_push_it_out():
    with serving(remembered=2) as server:

        def score(**image: str):
            return server.post("/v1/score", {"images": [image]})

        for name, value in (("a", 0), ("b", 255)):
            assert score(image=url(png(value)), uuid=name).status == 200
        assert score(uuid="a").json["data"][0]["score"] == 1.0
        score(image=url(png(100)), uuid="c")
        assert score(uuid="b").error["code"] == "unknown_uuid" and score(uuid="a").status == 200
        assert score().error["message"].startswith("expected an image or the uuid of one")


def test_requests_that_wait_together_are_answered_together():
    model = Held()
    with serving(model) as server, ThreadPoolExecutor(9) as threads:
        first = threads.submit(server.post, "/v1/score", {"images": images(10)})
        assert model.begun.wait(60)
        later = [threads.submit(server.post, "/v1/score", {"images": images(v)}) for v in range(20, 28)]
        wait_for(lambda: figure(server, "calm_waiting_photos") == 9)
        time.sleep(0.2)  # the last one is decoded
        model.go.set()
        assert all(each.result().status == 200 for each in [first, *later])
    assert [len(batch) for batch in model.batches] == [1, 4, 4]


def test_an_ending_server_answers_what_it_was_asked():
    model = Held()
    with serving(model) as server, ThreadPoolExecutor(4) as threads:
        asked = [threads.submit(server.post, "/v1/score", {"images": images(value)}) for value in range(10, 14)]
        wait_for(lambda: model.begun.is_set() and figure(server, "calm_waiting_photos") == 4)
        server.end()
        wait_for(lambda: _refuses(server.port))
        model.go.set()
        assert [each.result().status for each in asked] == [200] * 4


def _refuses(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) != 0


# ---------------------------------------------------------------------------------------------------- limits


def test_more_than_may_wait_is_told_to_come_again():
    model = Held()
    with serving(model, queue=2) as server, ThreadPoolExecutor(2) as threads:
        first, second = (threads.submit(server.post, "/v1/score", {"images": images(value)}) for value in (10, 20))
        wait_for(lambda: model.begun.is_set() and figure(server, "calm_waiting_photos") == 2)
        assert server.get("/readyz").json == {"status": "busy"} and server.get("/health").status == 200
        refused = server.post("/v1/score", {"images": images(30)})
        assert refused.status == 429 and refused.headers["retry-after"] == "1"
        assert refused.error["type"] == "rate_limit_error" and "try again later" in refused.error["message"]
        model.go.set()
        assert first.result().status == second.result().status == 200 and server.get("/readyz").status == 200
        assert server.post("/v1/score", {"images": images(30, 31, 32)}).status == 429
        assert server.post("/v1/score", {"images": images(30)}).status == 200


@pytest.mark.parametrize("leave", ["close", "time out"])
def test_a_request_that_ends_early_leaves_no_work(leave):
    model = Held()
    with serving(model, seconds=60.0 if leave == "close" else 3.0) as server, ThreadPoolExecutor(1) as threads:
        first = threads.submit(server.post, "/v1/score", {"images": images(10)})
        assert model.begun.wait(60)
        with send(server, {"images": images(*range(20, 30))}) as client:
            wait_for(lambda: figure(server, "calm_waiting_photos") == 11)
            if leave == "time out":
                assert client.recv(99).startswith(b"HTTP/1.1 504 ")
        wait_for(lambda: figure(server, "calm_waiting_photos") <= 1)
        model.go.set()
        assert first.result().status == (200 if leave == "close" else 504)
    assert model.batches == [["the image"]]


def test_an_answer_that_nobody_waits_for_is_given_up_while_it_is_written():
    class Writing(BrightModel):
        begun = 0

        def score(self, photos):
            self.begun += 1
            while self.begun == 1:
                time.sleep(0.01)
                if ABANDONED.get()():
                    raise AbandonedError
            return super().score(photos)

    with serving(model := Writing()) as server:
        with send(server, {"images": images(10, 20)}):
            wait_for(lambda: model.begun == 1 and figure(server, "calm_waiting_photos") == 2)
        assert server.post("/v1/score", {"images": images(30)}).json["data"][0]["status"] == "ok"
        assert model.begun == 2


class Speaking(BrightModel):
    """Says a few words, and the others once it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.go = threading.Event()

    def comment(self, photos, aspects=None):
        assert (heard := HEARD.get()) is not None
        heard(0, "One two th")
        while not self.go.wait(0.01):
            if ABANDONED.get()():
                raise AbandonedError
        return [(score, Comment("One two three.", ())) for score in self.score(photos)]


class Spelt(Service):
    """Takes texts apart at spaces."""

    visual_tokens = 4

    def pieces(self, text):
        return re.findall(r" ?[^ ]+", text)


@contextlib.contextmanager
def streaming(server: Address, *values: int):
    """Lines of a streamed answer about images."""
    parts = [{"type": "image_url", "image_url": each["image"]} for each in images(*values)]
    body = json.dumps({"messages": [{"role": "user", "content": parts}], "stream": True})
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    with contextlib.closing(connection):
        connection.request("POST", "/v1/chat/completions", body, {"Content-Type": "application/json"})
        yield connection.getresponse()


def said(line: bytes) -> str:
    return json.loads(line.removeprefix(b"data: "))["choices"][0]["delta"].get("content", "")


def test_words_are_streamed_while_the_others_are_written():
    model = Speaking()
    with thread(Spelt(lambda: model)) as server, streaming(server, 9) as answer:
        begun = [said(line) for line in (answer.readline() for _ in range(6)) if line.strip()]
        assert begun == ["", "One", " two"], "the last word may be half of one"
        model.go.set()
        rest = [line for line in answer.read().splitlines() if line]
        assert said(rest[0]) == " three." and rest[-1] == b"data: [DONE]"


def test_who_leaves_a_stream_leaves_no_work():
    model = Speaking()
    with thread(Spelt(lambda: model)) as server:
        with streaming(server, 9) as answer:
            assert answer.status == 200 and figure(server, "calm_waiting_photos") == 1
        wait_for(lambda: figure(server, "calm_waiting_photos") == 0)
        assert server.post("/v1/score", {"images": images(30)}).status == 200, "the model is free again"


def test_a_stream_whose_image_is_none_is_refused_before_it_begins():
    with thread(Spelt(Speaking)) as server, streaming(server) as answer:
        assert answer.status == 400
    with thread(Spelt(Speaking)) as server:
        part = {"type": "image_url", "image_url": url(b"no photo")}
        body = {"messages": [{"role": "user", "content": [part]}], "stream": True}
        refused = server.post("/v1/chat/completions", body)
        assert refused.status == 400 and refused.error["code"] == "invalid_image"


def test_bodies_images_and_pixels_are_limited():
    with serving(body=20_000, images=2, pixels=100) as server:
        for size in (20_001, 70_000):
            refused = server.post("/v1/score", b"x" * size)
            assert refused.status == 413 and refused.error["code"] == "body_too_large"
        refused = server.post("/v1/score", {"images": images(1, 2, 3)})
        assert refused.status == 400 and "at most 2 images, found 3" in refused.error["message"]
        large = {"image": url(png(9, (11, 10)))}
        (row,) = server.post("/v1/score", {"images": [large]}).json["data"]
        assert row["status"] == "failed" and "at most 100 pixels" in row["error"]


def test_a_body_that_does_not_come_is_not_waited_for():
    with serving(seconds=0.5) as server, socket.create_connection(("127.0.0.1", server.port)) as client:
        client.sendall(b"POST /v1/score HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nhalf")
        assert client.recv(99).startswith(b"HTTP/1.1 408 ")


def test_a_rate_is_a_minutes_worth_and_fills_again():
    now = [0.0]
    rate = Rate(60, lambda: now[0])
    assert [rate.wait("a") for _ in range(61)] == [0.0] * 60 + [1.0]
    assert rate.wait("b") == 0.0
    now[0] = 0.5
    assert rate.wait("a") == pytest.approx(0.5)
    now[0] = 2.5
    assert [rate.wait("a") for _ in range(3)] == [0.0, 0.0, 0.5]


def test_a_server_counts_the_rate():
    with serving(rate=3) as server:
        found = [server.get("/v1/models") for _ in range(4)]
        assert [each.status for each in found] == [200, 200, 200, 429]
        assert found[3].headers["retry-after"] == "20" and found[3].error["code"] == "rate_limit"
        assert server.get("/health").status == 200


# ---------------------------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("body", "word"),
    [
        (b"{", "JSON"),
        (b"[]", "dict"),
        (b"\xff\xfe", "JSON"),
        (b"[" * 100_000, "expected a body as /openapi.json has it"),
        (b'{"images": [{"uuid": "\\ud800"}]}', "images.0.uuid"),
        (b'{"images": [{"uuid": "a"}], "profile": "\\udfff"}', "profile"),
        (b'{"images": NaN}', "images"),
        ({}, "images"),
        ({"images": []}, "images"),
        ({"images": [{"image": 5}]}, "images.0.image"),
        ({"images": [{"image": "/etc/passwd"}]}, "no other URL or path is read"),
        ({"images": [{"image": "http://127.0.0.1/a.png"}]}, "no other URL or path is read"),
        ({"images": [{"image": "data:text/plain,hello"}]}, "data URL"),
        ({"images": [{"uuid": ""}]}, "images.0.uuid"),
    ],
)
def test_a_wrong_body_is_told_what_was_expected(body, word):
    with serving() as server:
        refused = server.post("/v1/score", body)
        assert refused.status == 400 and word in refused.error["message"], refused.error
        assert set(refused.error) == {"message", "type", "param", "code"}
        assert refused.error["type"] == "invalid_request_error"


def test_a_wrong_aspect_or_model_or_path_is_told():
    class Particular(BrightModel):
        def comment(self, photos, aspects=None):
            raise UsageError(f"expected an aspect of light, found {aspects[0]!r}")

    with serving(Particular()) as server:
        refused = server.post("/v1/comment", {"images": images(9), "aspects": ["smell"]})
        assert refused.status == 400 and "expected an aspect of light" in refused.error["message"]
        refused = server.post("/v1/score", {"images": images(9), "model": "other"})
        assert refused.status == 404 and refused.error["code"] == "model_not_found"
        assert server.get("/v1/nothing").error["type"] == "not_found_error"
        assert server.get("/v1/score").status == 405 and server.get("/v1/models/other").status == 404


def test_a_fault_of_the_model_is_told_without_its_words_and_the_next_request_is_answered():
    class Broken(BrightModel):
        broken = True

        def score(self, photos):
            if self.broken:
                raise OSError("secret: no such kernel")
            return super().score(photos)

    with serving(model := Broken()) as server:
        refused = server.post("/v1/score", {"images": images(9)})
        assert refused.status == 500 and refused.error["type"] == "server_error"
        assert b"secret" not in refused.content and refused.headers["x-content-type-options"] == "nosniff"
        model.broken = False
        assert server.post("/v1/score", {"images": images(9)}).status == 200


def test_while_it_loads_it_says_so():
    go = threading.Event()

    def load():
        assert go.wait(60)
        return BrightModel()

    with thread(Service(load), wait=False) as server:
        for path in ("/health", "/readyz"):
            assert (server.get(path).status, server.get(path).json) == (503, {"status": "loading"})
        refused = server.post("/v1/score", {"images": images(9)})
        assert refused.status == 503 and refused.error["code"] == "loading" and "retry-after" in refused.headers
        go.set()
        server.until_loaded()
        assert server.get("/readyz").json == {"status": "ok"}


def test_pages_of_other_sites_are_kept_out():
    with serving() as server:
        for headers in ({"Host": "evil.example"}, {"Origin": "https://evil.example"}, {"Origin": "null"}):
            refused = server.get("/v1/models", **headers)
            assert refused.status == 403 and "access-control-allow-origin" not in refused.headers
        own = f"http://127.0.0.1:{server.port}"
        answer = server.get("/v1/models", Origin=own)
        assert answer.status == 200
        assert "script-src" not in answer.headers["content-security-policy"]
        assert "unsafe-inline" not in answer.headers["content-security-policy"]
        assert answer.headers["x-frame-options"] == "DENY" and "server" not in answer.headers


# ---------------------------------------------------------------------------------------------------- keys


def test_a_key_is_needed_known_and_revocable(tmp_path):
    keys = Keys(tmp_path / "keys.json")
    secret = keys.add("anna")
    with thread(Service(BrightModel), keys) as server:
        body = {"images": images(9)}
        for given in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": secret}, {"Authorization": "Bearer "}):
            refused = server.post("/v1/score", body, **given)
            assert refused.status == 401 and refused.error["code"] == "invalid_api_key"
        mine = {"Authorization": f"Bearer {secret}"}
        assert server.post("/v1/score", body, **mine).status == 200
        assert server.get("/metrics").status == 401 and server.get("/metrics", **mine).status == 200
        assert server.get("/health").status == 200 and server.get("/openapi.json").status == 200
        assert server.post("/v1/score", body, Host="calm.example", **mine).status == 200
        keys.revoke("anna")
        assert server.post("/v1/score", body, **mine).status == 401


def test_a_uuid_belongs_to_its_key(tmp_path):
    keys = Keys(tmp_path / "keys.json")
    anna, bert = ({"Authorization": f"Bearer {keys.add(name)}"} for name in ("anna", "bert"))
    with thread(Service(BrightModel), keys) as server:
        assert server.post("/v1/score", {"images": [{"image": url(png(9)), "uuid": "u"}]}, **anna).status == 200
        assert server.post("/v1/score", {"images": [{"uuid": "u"}]}, **anna).status == 200
        assert server.post("/v1/score", {"images": [{"uuid": "u"}]}, **bert).error["code"] == "unknown_uuid"


def test_keys_are_made_listed_and_revoked_by_command(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("CALM_KEYS", str(tmp_path / "deep" / "keys.json"))
    assert calm("serve", "--host", "0.0.0.0") == 2
    assert "calm serve keys add" in capsys.readouterr().err
    assert calm("serve", "keys", "add", "anna") == 0
    secret = capsys.readouterr().out.strip()
    kept = tmp_path / "deep" / "keys.json"
    assert secret not in kept.read_text() and kept.stat().st_mode & 0o077 == 0
    assert Keys().find(secret).name == "anna" and Keys().find("") is None
    assert calm("serve", "keys", "add", "anna") == 2
    assert "found a key 'anna'" in capsys.readouterr().err
    assert calm("serve", "keys", "list") == 0 and capsys.readouterr().out.startswith("anna  20")
    assert calm("serve", "keys", "revoke", "anna") == 0 and Keys().find(secret) is None
    assert calm("serve", "keys", "revoke", "anna") == 2
    kept.write_text("{}}")
    assert calm("serve", "keys", "list") == 2 and "restore or remove it" in capsys.readouterr().err


def test_what_cannot_be_served_is_told(tmp_path: Path, capsys):
    assert calm("serve", "--model", tmp_path / "none") == 2
    assert "expected a model folder" in capsys.readouterr().err
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert calm("serve", "--port", taken.getsockname()[1]) == 2
    assert "choose another --port" in capsys.readouterr().err


def test_the_log_has_neither_photos_nor_keys(tmp_path, caplog):
    keys = Keys(tmp_path / "keys.json")
    secret = keys.add("anna")
    with caplog.at_level("DEBUG", "calm"), thread(Service(BrightModel), keys) as server:
        image = url(png(77))
        server.post("/v1/score?token=letmein", {"images": [{"image": image}]}, Authorization=f"Bearer {secret}")
        server.post("/v1/score", {"images": [{"image": image[:-9]}]}, Authorization=f"Bearer {secret}x")
    assert "POST /v1/score 200" in caplog.text and "anna" in caplog.text
    for private in (secret, image[-60:-20], "letmein"):
        assert private not in caplog.text


def test_the_document_has_every_route_with_its_errors():
    with serving() as server:
        document = server.get("/openapi.json").json
    assert {"/v1/score", "/v1/chat/completions", "/health"} <= set(document["paths"])
    for path, ways in document["paths"].items():
        for way in ways.values():
            assert way["summary"] and (not path.startswith("/v1") or {"4XX", "5XX"} <= set(way["responses"])), path
    assert "422" not in json.dumps(document) and "data:image/png;base64" in json.dumps(document)
