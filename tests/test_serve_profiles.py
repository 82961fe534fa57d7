"""Profiles over HTTP: learnt from images, kept by key, and nobody else's."""

from __future__ import annotations

import numpy as np
import pytest
from doubles import BrightModel
from serving import images, png, thread, url

from calm.personal.prior import PRIOR, Prior, Shown
from calm.personal.store import Store
from calm.serve.keys import Keys
from calm.serve.service import Service


@pytest.fixture(autouse=True)
def profiles(tmp_path, monkeypatch):
    monkeypatch.setenv("CALM_PROFILES", str(tmp_path / "profiles"))


@pytest.fixture
def model(tmp_path) -> BrightModel:
    """A model with what is known of people's tastes: some like it bright, some dark."""
    rng, scores = np.random.default_rng(0), np.linspace(1, 10, 20)
    slopes = [-0.8] * 5 + [0.8] * 5
    people = [(np.arange(20), 5.5 + slope * (scores - 5.5) + rng.normal(0, 0.3, 20)) for slope in slopes]
    shown = Shown(np.stack([scores - 5.5, np.ones(20)], axis=1), scores)
    Prior.learn(shown, people).save(tmp_path / PRIOR)
    found = BrightModel()
    found.folder = tmp_path
    return found


DARK = [
    {"image": url(png(value)), "rating": rating} for value, rating in ((30, 5), (60, 4), (90, 4), (170, 2), (230, 1))
]


def test_a_profile_is_learnt_added_to_and_forgotten(model):
    with thread(Service(lambda: model)) as server:
        facts = server.post("/v1/profiles", {"name": "ann", "ratings": DARK, "scale": [1, 5]})
        assert facts.status == 200 and facts.json["examples"] == 5 and facts.json["scale"] == [1, 5]
        assert Store().names() == ["ann"], "this machine's profiles are those of calm profile"
        given = {"images": images(30, 200)}
        plain, own = (
            [row["score"] for row in server.post("/v1/score", given | more).json["data"]]
            for more in ({}, {"profile": "ann"})
        )
        assert plain[0] < plain[1] and own[0] > own[1]
        pair = {"better": images(10)[0], "worse": images(240)[0]}
        assert server.post("/v1/profiles", {"name": "ann", "pairs": [pair]}).status == 409
        more = server.post("/v1/profiles", {"name": "ann", "pairs": [pair], "update": True})
        assert (more.json["examples"], more.json["preferences"]) == (5, 1)
        assert server.get("/v1/profiles").json["data"] == [server.get("/v1/profiles/ann").json]
        assert server.ask("DELETE", "/v1/profiles/ann").status == 204
        assert server.get("/v1/profiles").json["data"] == []
        assert server.post("/v1/score", given | {"profile": "ann"}).error["code"] == "no_profile"


def test_profiles_belong_to_their_key(model, tmp_path):
    keys = Keys(tmp_path / "keys.json")
    ann, bert = ({"Authorization": f"Bearer {keys.add(name)}"} for name in ("ann", "bert"))
    with thread(Service(lambda: model), keys) as server:
        body = {"name": "mine", "ratings": DARK}
        assert server.post("/v1/profiles", body, **ann).status == 200
        for method, path, given in (
            ("GET", "/v1/profiles/mine", None),
            ("DELETE", "/v1/profiles/mine", None),
            ("POST", "/v1/score", {"images": images(9), "profile": "mine"}),
            ("POST", "/v1/profiles", body | {"update": True}),
        ):
            assert server.ask(method, path, given, **bert).status == 404, (method, path)
        assert server.get("/v1/profiles", **bert).json["data"] == [] and Store().names() == []
        keys.revoke("ann")
        again = {"Authorization": f"Bearer {keys.add('ann')}"}
        assert server.get("/v1/profiles", **again).json["data"] == [], "another key of that name is another's"


@pytest.mark.parametrize(
    ("body", "word"),
    [
        ({"name": "../up", "ratings": DARK}, "letters, digits"),
        ({"name": ".keys", "ratings": DARK}, "letters, digits"),
        ({"name": "ann"}, "expected ratings"),
        ({"name": "ann", "ratings": DARK, "scale": [1, 3]}, "on a scale of 1–3"),
        ({"name": "ann", "ratings": [*DARK, {"image": url(b"none"), "rating": 3}]}, "image 6: expected a photo"),
        ({"name": "ann", "ratings": DARK, "update": True}, "profile of yours"),
    ],
)
def test_what_cannot_be_learnt_is_told_and_nothing_kept(model, body, word):
    with thread(Service(lambda: model)) as server:
        refused = server.post("/v1/profiles", body)
        assert refused.status in (400, 404) and word in refused.error["message"]
        assert server.get("/v1/profiles").json["data"] == []


def test_a_model_without_tastes_says_so():
    with thread(Service(BrightModel)) as server:
        refused = server.post("/v1/profiles", {"name": "ann", "ratings": DARK})
        assert refused.status == 400 and "that profiles can be learnt with" in refused.error["message"]
