"""What the studio asks of the server, around a model that is understood at a glance."""

from __future__ import annotations

import base64
import io
import re
from pathlib import Path

import numpy as np
import pytest
from doubles import BrightModel
from PIL import Image
from serving import images, png, thread, url
from test_serve_profiles import model  # noqa: F401 - a fixture

import calm.serve.studio as studio
from calm.edits import render_all
from calm.serve.keys import Keys
from calm.serve.service import Service
from calm.types import Suggestion

BRIGHTER = {"attribute": "exposure", "direction": "increase", "amount": 1.0}


def serving():
    return thread(Service(BrightModel))


def pixels(data_url: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data_url.partition(",")[2]))))


# ---------------------------------------------------------------------------------------------------- the page


def test_the_page_and_all_that_it_names_is_there_without_a_key(tmp_path):
    keys = Keys(tmp_path / "keys.json")
    keys.add("ann")
    with thread(Service(BrightModel), keys) as server:
        page = server.get("/")
        assert page.status == 200 and page.headers["content-type"].startswith("text/html")
        assert "default-src 'self'" in page.headers["content-security-policy"]
        for name in re.findall(r'(?:src|href)="(studio/[^"]+)"', page.content.decode()):
            assert server.get(f"/{name}").status == 200, name
        for module in studio.PAGE.glob("*.js"):
            answer = server.get(f"/studio/{module.name}")
            assert answer.headers["content-type"].startswith("text/javascript")
            for name in re.findall(r'from "\./([^"]+)"', answer.content.decode()):
                assert (studio.PAGE / name).is_file(), f"{module.name} takes from {name}"
        assert server.get("/studio/../app.py").status == server.get("/studio/%2e%2e/app.py").status == 404
        assert server.post("/v1/describe", {"images": images(9)}).status == 401


@pytest.mark.parametrize("path", sorted(studio.PAGE.iterdir()), ids=lambda path: path.name)
def test_the_page_names_no_other_server_and_has_nothing_inline(path: Path):
    text = path.read_text(encoding="utf-8")
    others = set(re.findall(r"https?://[^\s\"'`]+", text)) - {"http://www.w3.org/2000/svg"}
    assert not others and not re.search(r"\son\w+=|<style|style=\"|javascript:|<script(?! type=\"module\" src)", text)
    assert len(text.splitlines()) <= 400 or path.suffix == ".css"


# ---------------------------------------------------------------------------------------------------- remedies


def test_a_suggestion_is_carried_out_and_scored_again():
    with serving() as server:
        given = {"image": url(png(60, (40, 30)))}
        before = server.post("/v1/apply", given).json
        after = server.post("/v1/apply", given | {"suggestions": [BRIGHTER | {"text": "…", "confidence": 0.9}]}).json
        assert before["applied"] == [] and after["applied"] == [True] and "path" not in after
        assert pixels(before["image"]).shape == (30, 40, 3) and abs(pixels(before["image"]).mean() - 60) < 1
        assert pixels(after["image"]).mean() > 75 and after["score"] > before["score"] + 0.5
        assert after["score"] == pytest.approx(1 + 9 * pixels(after["image"]).mean() / 255, abs=0.01)


def test_what_cannot_be_done_afterwards_is_told_and_the_rest_is_done():
    tidier = {"attribute": "clutter", "direction": "decrease"}
    with serving() as server:
        after = server.post("/v1/apply", {"image": url(png(60)), "suggestions": [tidier, BRIGHTER]}).json
        assert after["applied"] == [False, True] and after["score"] > 3.5
        failed = server.post("/v1/apply", {"image": url(b"none"), "suggestions": [BRIGHTER]}).json
        assert failed["status"] == "failed" and failed["image"] is None and failed["applied"] == [False]


@pytest.mark.parametrize(
    ("suggestion", "word"),
    [
        ({"attribute": "exposure", "direction": "left"}, "expected a suggestion among"),
        ({"attribute": "magic", "direction": "increase"}, "expected a suggestion among"),
        ({"attribute": "framing", "direction": "left", "crop": [0.5, 0, 0.5, 1]}, "without an area"),
        ({"attribute": "framing", "direction": "left", "crop": [0, 0, 2, 1]}, "suggestions.0.crop.2"),
    ],
)
def test_a_wrong_suggestion_is_told(suggestion, word):
    with serving() as server:
        refused = server.post("/v1/apply", {"image": url(png(60)), "suggestions": [suggestion]})
        assert refused.status == 400 and word in refused.error["message"]


def test_a_crop_is_of_the_frame_as_it_was_whatever_else_is_done():
    photo = np.zeros((100, 200, 3), np.uint8)
    photo[:, 100:] = 100
    crop = Suggestion("middle", "framing", "tighter", None, "%", 1.0, "", (0.5, 0.0, 1.0, 0.5))
    brighter = Suggestion("low", "exposure", "increase", 1.0, "EV", 1.0, "")
    after, done = render_all(photo, [brighter, crop])
    assert done == [True, True] and after.shape == (50, 100, 3) and after.min() > 110
    tilt = Suggestion("middle", "tilt", "clockwise", 10.0, "degrees", 1.0, "")
    turned, _ = render_all(photo, [tilt, crop])
    assert turned.min() > 90, "a crop of the turned frame would hold some of the dark half"


# ---------------------------------------------------------------------------------------------------- taste


def test_ratings_change_the_ranking_and_name_the_next_photo(model):  # noqa: F811
    values = (20, 60, 100, 140, 180, 220)
    with thread(Service(lambda: model)) as server:
        rows = server.post("/v1/describe", {"images": images(*values)}).json["data"]
        read = [row["read"] for row in rows]
        assert [row["score"] for row in rows] == sorted(row["score"] for row in rows)
        plain = server.post("/v1/taste", {"read": read, "count": 9}).json
        assert sorted(plain["next"]) == list(range(6)) and plain["trust"] is None
        dark = [{"index": i, "rating": 5 - 4 * i / 5} for i in range(5)]
        own = server.post("/v1/taste", {"read": read, "ratings": dark}).json
        assert own["scores"] == sorted(own["scores"], reverse=True) and own["next"] == [5]
        assert own["trust"]["measure"] == "srcc" and own["trust"]["helps"] is True
        assert server.get("/v1/profiles").json["data"] == [], "nothing is kept"


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"read": [[1.0]]}, "numbers of each photo"),
        ({"ratings": [{"index": 1, "rating": 3}]}, "ratings of 1 photos"),
        ({"ratings": [{"index": 0, "rating": 6}]}, "scale of 1–5"),
        ({"scale": [5, 5]}, "scale of 5–5"),
    ],
)
def test_wrong_ratings_are_told(model, change, word):  # noqa: F811
    with thread(Service(lambda: model)) as server:
        (row,) = server.post("/v1/describe", {"images": images(9)}).json["data"]
        refused = server.post("/v1/taste", {"read": [row["read"]]} | change)
        assert refused.status == 400 and word in refused.error["message"]


def test_a_model_without_tastes_or_qformers_describes_and_says_what_it_lacks():
    with serving() as server:
        (row,) = server.post("/v1/describe", {"images": images(9)}).json["data"]
        assert row["read"] is None and row["score"] > 1
        assert "profiles can be learnt with" in server.post("/v1/taste", {"read": [[1.0]]}).error["message"]
        assert "Q-Formers" in server.post("/v1/attention", {"images": images(9)}).error["message"]
