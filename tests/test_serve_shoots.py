"""Shoots over HTTP: plans as the command line makes them, sidecars and reports as files."""

from __future__ import annotations

import asyncio
import io
import json
import threading
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
from doubles import BrightModel
from PIL import Image
from serving import Address, png, thread, url
from test_cli import calm

from calm.data.images import load_photo
from calm.library.look import Frame
from calm.library.series import Series
from calm.library.sketch import sketch
from calm.library.xmp import Packet
from calm.serve.keys import Keys
from calm.serve.limits import Limits
from calm.serve.service import Service
from calm.serve.shoot_schema import CullRequest
from calm.serve.shoots import Shoots

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.fixture(scope="module")
def shoot(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A burst of three, one of them soft, and two photos by themselves, one of them black."""
    root = tmp_path_factory.mktemp("shoot")
    whole = Image.open(EXAMPLES / "coffee.jpg").convert("RGB")
    for i in range(3):
        cut = whole.crop((4 * i, 3 * i, whole.width - 20 + 4 * i, whole.height - 20 + 3 * i))
        cut = cut.resize((cut.width // 8, cut.height // 8)).resize(cut.size) if i == 1 else cut
        cut.save(root / f"burst{i}.jpg", quality=92, exif=_taken(f"2026:07:01 10:00:0{i}"))
    Image.open(EXAMPLES / "rocket.jpg").save(root / "rocket.jpg", exif=_taken("2026:07:01 11:00:00"))
    dark = np.random.default_rng(0).integers(0, 4, (300, 400, 3), np.uint8)
    Image.fromarray(dark).save(root / "dark.jpg", exif=_taken("2026:07:01 12:00:00"))
    return sorted(root.iterdir())


def _taken(when: str) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0110] = "Camera One"
    exif.get_ifd(0x8769)[0x9003] = when
    return exif


def _sent(paths: list[Path]) -> list[dict[str, str]]:
    return [{"image": url(path.read_bytes()), "uuid": path.name} for path in paths]


def described(server: Address, paths: list[Path], **headers: str) -> list[dict]:
    return server.post("/v1/describe", {"images": _sent(paths)}, **headers).json["data"]


def cull(server: Address, paths: list[Path], **more: object) -> dict:
    answer = server.post("/v1/cull", {"photos": [{"uuid": path.name, "name": path.name} for path in paths], **more})
    assert answer.status == 200, answer.error
    return answer.json


# ---------------------------------------------------------------------------------------------------- the plan


def test_a_plan_is_that_of_the_command_line(shoot, monkeypatch, capsys):
    monkeypatch.setattr("calm.cli.running.open_model", lambda *given, **more: BrightModel())
    assert calm("cull", *shoot, "--keep", "2", "--format", "jsonl", "-q") == 0
    rows = {Path(row["path"]).name: row for row in map(json.loads, capsys.readouterr().out.splitlines())}
    with thread(Service(BrightModel)) as server:
        found = described(server, shoot)
        assert found[0]["taken"] == "2026-07-01T10:00:00" and found[0]["camera"] == "Camera One"
        plan = cull(server, shoot, keep="2")
        assert plan["closer"], "frames of a burst are looked at closely"
        for i in plan["closer"]:
            assert server.post("/v1/study", {"images": _sent(shoot[i : i + 1])}).json["data"][0]["status"] == "ok"
        plan = cull(server, shoot, keep="2")
        assert plan["closer"] == plan["unknown"] == []
    for path, row in zip(shoot, plan["data"], strict=True):
        wanted = rows[path.name]
        rival = None if row["rival"] is None else str(shoot[row["rival"]])
        for name in ("decision", "reason", "series", "series_kind"):
            assert row[name] == wanted[name], path.name
        assert rival == wanted["rival"]
    burst = [row for row in plan["data"] if row["series_kind"] == "burst"]
    assert len(burst) == 3 and [row["decision"] for row in burst].count("keep") >= 1
    dark = next(row for row in plan["data"] if row["uuid"] == "dark.jpg")
    assert dark["decision"] == "reject" and dark["reason"].startswith("technical")


def test_a_shoot_is_compared_in_several_requests(shoot, monkeypatch):
    with thread(Service(BrightModel)) as server:
        described(server, shoot)
        whole = cull(server, shoot, keep="2")
        monkeypatch.setattr("calm.serve.shoots.BUDGET", 0.0)
        described(server, shoot)
        shares = []
        while (part := cull(server, shoot, keep="2"))["compared"] < 1:
            assert part["data"] == part["closer"] == []
            shares.append(part["compared"])
    assert len(shares) > 3 and shares == sorted(shares) and part == whole


def test_scores_of_a_taste_decide_in_place_of_the_general_ones(shoot):
    alone = [path for path in shoot if "burst" not in path.name]
    with thread(Service(BrightModel)) as server:
        described(server, alone)
        kept = []
        for scores in ((9.0, 2.0), (2.0, 9.0)):
            photos = [{"uuid": path.name, "score": score} for path, score in zip(alone, scores, strict=True)]
            plan = server.post("/v1/cull", {"photos": photos, "keep": "1"}).json["data"]
            kept.append([row["decision"] == "keep" for row in plan])
        assert kept == [[True, False], [False, True]]


def test_photos_that_are_not_remembered_are_named_and_belong_to_their_key(shoot, tmp_path):
    keys = Keys(tmp_path / "keys.json")
    anna, bert = ({"Authorization": f"Bearer {keys.add(name)}"} for name in ("anna", "bert"))
    with thread(Service(BrightModel, Limits(shots=2)), keys) as server:
        described(server, shoot[:3], **anna)
        photos = {"photos": [{"uuid": path.name} for path in shoot[:3]]}
        told = {"data": [], "compared": 0.0, "unknown": [0], "closer": []}
        assert server.post("/v1/cull", photos, **anna).json == told
        assert server.post("/v1/cull", photos, **bert).json["unknown"] == [0, 1, 2]
        refused = server.post("/v1/study", {"images": _sent(shoot[2:3])}, **bert)
        assert refused.status == 400 and refused.error["code"] == "unknown_uuid"


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"keep": "many"}, "a number or a percentage"),
        ({"preset": "/etc/passwd"}, "preset"),
        ({"photos": []}, "photos"),
        ({"photos": [{"uuid": "a"}, {"uuid": "a"}]}, "each photo once"),
        ({"photos": [{"uuid": "a", "score": 11}]}, "photos.0.score"),
        ({"photos": [{"uuid": "a", "name": "../.."}]}, "the name of a file"),
    ],
)
def test_a_wrong_plan_is_refused(change, word):
    with thread(Service(BrightModel)) as server:
        refused = server.post("/v1/cull", {"photos": [{"uuid": "a"}]} | change)
        assert refused.status == 400 and word in refused.error["message"]


def test_a_plan_that_nobody_waits_for_is_given_up(shoot, monkeypatch):
    begun, ended = threading.Event(), threading.Event()

    def slow(frames: list[Frame], progress, known) -> list[Series]:
        try:
            for _ in progress([(0, 1)] * 10_000):
                begun.set()
                time.sleep(0.01)
        finally:
            ended.set()
        return []

    monkeypatch.setattr("calm.serve.shoots.series_of", slow)
    shoots = Shoots(10)
    photo = load_photo(shoot[0])
    shoots.keep(None, "a", Frame("a", 5.0, np.ones(2), sketch(photo)))

    async def leave() -> None:
        asked = asyncio.ensure_future(shoots.cull(None, CullRequest(photos=[{"uuid": "a"}])))
        while not begun.is_set():
            await asyncio.sleep(0.01)
        asked.cancel()

    asyncio.run(leave())
    assert ended.wait(30)
    shoots.close()


# ---------------------------------------------------------------------------------------------------- files


def archive(server: Address, *photos: dict) -> dict[str, bytes]:
    answer = server.post("/v1/sidecars", {"photos": list(photos)})
    assert answer.status == 200 and answer.headers["content-type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(answer.content)) as found:
        return {name: found.read(name) for name in found.namelist()}


def test_sidecars_are_those_of_the_command_line_and_keep_what_a_person_set():
    theirs = Packet()
    theirs.set_text("xmp:Rating", "2")
    theirs.set_items("dc:subject", ["Anna"])
    rejected = {"score": 6.4, "model": "bright", "decision": "reject"}
    with thread(Service(BrightModel)) as server:
        files = archive(
            server,
            {"name": "day/a.jpg"} | rejected,
            {"name": "day/b.jpg", "sidecar": "day/b.xmp", "before": bytes(theirs).decode()} | rejected,
            {"name": "c.jpg", "rating": 4} | rejected,
            {"name": "d.jpg", "score": 9},
            {"name": "e.jpg", "score": 9, "before": "no XMP"},
        )
    packets = {name: Packet(content) for name, content in files.items() if name.endswith(".xmp")}
    ratings = {name: packet.text("xmp:Rating") for name, packet in packets.items()}
    assert ratings == {"day/a.jpg.xmp": "-1", "day/b.xmp": "2", "c.jpg.xmp": "4", "d.jpg.xmp": "5"}
    assert packets["day/a.jpg.xmp"].text("xmp:Label") == "Red" and packets["day/b.xmp"].items("dc:subject") == ["Anna"]
    assert packets["day/a.jpg.xmp"].text("calm:Model") == "bright"
    assert "expected XMP in e.jpg.xmp" in files["not written.txt"].decode()


@pytest.mark.parametrize("name", ["../../a.jpg", "/etc/a.jpg", "..\\a.jpg", "a/../../b.jpg"])
def test_no_name_leads_out_of_the_archive(name):
    with thread(Service(BrightModel)) as server:
        (found,) = archive(server, {"name": name, "score": 5})
    assert not found.startswith("/") and ".." not in found and "\\" not in found


def test_a_report_has_the_rows_and_places_for_pictures():
    seen = {"score": 6.5, "score_std": 1.2, "distribution": [0.1] * 10, "model": "bright", "picture": [300, 200]}
    evil = {"comment": "<script>alert(1)</script>", "taken": "2026-07-01T10:00:00", "series": 1, "series_kind": "burst"}
    kept = {"name": "day/a.jpg", "decision": "keep", "reason": "series: best of 2", "rival": "day/b.jpg"}
    aspect = {"aspect": "light", "level": "low", "polarity": 1, "text": "soft light"}
    with thread(Service(BrightModel)) as server:
        photos = [kept | seen | evil | {"aspects": [aspect]}, {"name": "b.jpg", "status": "failed", "error": "damaged"}]
        answer = server.post("/v1/report", {"title": "A <shoot>", "photos": photos})
    text = answer.content.decode()
    assert answer.status == 200 and text.startswith("<!doctype html>")
    assert 'data-src="picture:0"' in text and "picture:1" not in text
    for shown in ("A &lt;shoot&gt;", "series: best of 2", "&lt;script&gt;alert(1)", "soft light", "damaged"):
        assert shown in text
    assert "<script>alert(1)" not in text


@pytest.mark.parametrize(
    "photo",
    [
        {"distribution": [0.0] * 10},
        {"distribution": [0.5]},
        {"taken": "yesterday"},
        {"score": 0},
        {"aspects": [{"aspect": "light", "level": "low", "polarity": 3, "text": ""}]},
        {"picture": [0, 10]},
    ],
)
def test_a_report_of_what_cannot_be_is_refused(photo):
    with thread(Service(BrightModel)) as server:
        refused = server.post("/v1/report", {"photos": [{"name": "a.jpg"} | photo]})
    assert refused.status == 400 and "photos.0." in refused.error["message"]


def test_a_rating_in_a_photo_is_told():
    packet = Packet()
    packet.set_text("xmp:Rating", "3")
    stream = io.BytesIO()
    Image.open(io.BytesIO(png(90, (64, 48)))).save(stream, "JPEG", xmp=bytes(packet))
    with thread(Service(BrightModel)) as server:
        (row,) = server.post("/v1/describe", {"images": [{"image": url(stream.getvalue())}]}).json["data"]
    assert row["rating"] == 3 and row["camera"] is None
