"""``calm profile`` and ``calm score --profile``, from tables of ratings to rows."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from doubles import BrightModel
from PIL import Image
from test_cli import calm

from calm import Calm, PhotoError, Store, UsageError
from calm.cli import running
from calm.library import study


@pytest.fixture(autouse=True)
def profiles(tmp_path, monkeypatch) -> Path:
    """A model in place of the packaged one, and a folder of profiles of this test's own."""
    monkeypatch.setattr(running, "load_model", lambda name, device: BrightModel())
    monkeypatch.setenv("CALM_PROFILES", str(tmp_path / "profiles"))
    return tmp_path / "profiles"


@pytest.fixture
def model(tmp_path) -> Path:
    """A model's folder with what is known of people's tastes: some like it bright, some dark, learnt from a table."""
    photos, folder = tmp_path / "rated", tmp_path / "model"
    photos.mkdir()
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    rng = np.random.default_rng(0)
    lines = ["person,photo,rating"]
    for value in range(20, 240, 12):
        Image.fromarray(np.full((10, 10, 3), value, np.uint8)).save(photos / f"{value}.png")
        for person in range(10):
            liked = value / 255 if person % 2 else 1 - value / 255
            lines.append(f"{person},{value}.png,{1 + 4 * liked + rng.normal(0, 0.2):.2f}")
    (tmp_path / "many.csv").write_text("\n".join(lines))
    prior = folder / "tastes.safetensors"
    assert calm("profile", "prior", tmp_path / "many.csv", "--images", photos, "--output", prior, "-q") == 0
    return folder


def rated(folder: Path, ratings: dict[int, float]) -> Path:
    """A table of one person's ratings, and its photos."""
    folder.mkdir(exist_ok=True)
    for value in ratings:
        Image.fromarray(np.full((12, 12, 3), value, np.uint8)).save(folder / f"{value}.png")
    table = folder / "ratings.csv"
    table.write_text("file,rating\n" + "".join(f"{value}.png,{rating}\n" for value, rating in ratings.items()))
    return table


DARK = {30: 5, 60: 4, 90: 4, 130: 3, 170: 2, 200: 2, 230: 1}
"""Stars of a person who likes it dark."""


def scores(capsys, *arguments: object) -> list[dict]:
    capsys.readouterr()
    assert calm("score", *arguments, "--format", "jsonl", "-q") == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_from_ratings_to_personal_scores(model, tmp_path, capsys):
    folder = tmp_path / "mine"
    table = rated(folder, DARK)
    assert calm("profile", "learn", "ann", table, "--images", folder, "--model", model, "-q") == 0
    said = capsys.readouterr().out
    assert said.startswith("ann  7 photos rated on 1–5, bright") and "better than the general score does" in said
    photos = [folder / "30.png", folder / "200.png"]
    plain = scores(capsys, *photos, "--model", model)
    own = scores(capsys, *photos, "--model", model, "--profile", "ann")
    assert plain[0]["score"] < plain[1]["score"] and own[0]["score"] > own[1]["score"]
    assert calm("rank", *photos, "--model", model, "--profile", "ann", "--format", "jsonl", "-q") == 0
    best = [json.loads(line)["path"] for line in capsys.readouterr().out.splitlines()]
    assert best == [str(path) for path in photos], "the dark one first, as this person would have it"
    assert [row["profile"] for row in plain + own] == [None, None, "ann", "ann"]
    assert all(sum(row["distribution"]) == pytest.approx(1) and row["score_std"] > 0 for row in own)


def test_a_shoot_is_culled_by_one_persons_taste(model, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(study, "find_subjects", lambda: lambda pixels: None)
    folder, shoot = tmp_path / "mine", tmp_path / "shoot"
    assert calm("profile", "learn", "ann", rated(folder, DARK), "--images", folder, "--model", model, "-q") == 0
    rated(shoot, {40: 1, 120: 1, 220: 1})

    def kept(*options: object) -> list[tuple]:
        capsys.readouterr()
        assert calm("cull", shoot, "--keep", "1", "--model", model, "--format", "jsonl", "-q", *options) == 0
        rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        return [(Path(row["path"]).name, row["profile"]) for row in rows if row["decision"] == "keep"]

    assert kept() == [("220.png", None)] and kept("--profile", "ann") == [("40.png", "ann")]


def test_profiles_are_listed_updated_moved_and_removed(model, tmp_path, capsys):
    assert calm("profile", "list") == 0
    assert "no profiles in" in capsys.readouterr().out
    folder = tmp_path / "mine"
    table = rated(folder, DARK)
    learn = ("profile", "learn", "ann", table, "--images", folder, "--model", model, "-q")
    assert calm(*learn) == 0
    assert calm(*learn) == 2
    assert "found a profile 'ann'" in capsys.readouterr().err
    more = rated(tmp_path / "more", {40: 5, 220: 1, 100: 4})
    assert calm("profile", "update", "ann", more, "--images", tmp_path / "more", "--model", model, "-q") == 0
    assert "ann  10 photos" in capsys.readouterr().out
    assert calm("profile", "export", "ann", tmp_path / "ann.zip") == 0
    assert calm("profile", "remove", "ann") == 0
    assert calm("profile", "show", "ann", "--model", model) == 2
    assert "expected a profile among none yet, found 'ann'" in capsys.readouterr().err
    assert calm("profile", "import", tmp_path / "ann.zip", "--name", "anna") == 0
    capsys.readouterr()
    assert calm("profile", "list") == 0
    assert capsys.readouterr().out.startswith("anna  10 photos")
    assert calm("profile", "show", "anna", "--model", model) == 0
    assert "SRCC" in capsys.readouterr().out


def test_likes_and_pairs_are_learnt_from_as_stars_are(model, tmp_path, capsys):
    folder = tmp_path / "mine"
    rated(folder, DARK)
    likes, pairs = folder / "likes.csv", folder / "pairs.csv"
    likes.write_text("file,like\n" + "".join(f"{value}.png,{int(value < 140)}\n" for value in DARK))
    values = sorted(DARK)
    rows = [f"{a}.png,{b}.png\n" for i, a in enumerate(values) for b in values[i + 1 :]]
    pairs.write_text("Better,Worse\n" + "".join(rows))
    photos = [folder / "30.png", folder / "200.png"]
    for name, table, said in (("likes", likes, "7 photos rated on 0–1"), ("pairs", pairs, "21 pairs")):
        assert calm("profile", "learn", name, table, "--images", folder, "--model", model, "-q") == 0
        assert said in capsys.readouterr().out
        own = scores(capsys, *photos, "--model", model, "--profile", name)
        assert own[0]["score"] > own[1]["score"], name
    assert calm("profile", "update", "pairs", likes, "--images", folder, "--model", model, "-q") == 0
    assert "pairs  7 photos rated on 0–1, 21 pairs" in capsys.readouterr().out


def test_the_same_in_python(model, tmp_path):
    bright = BrightModel()
    bright.folder = model
    machine, folder = Calm(bright), tmp_path / "mine"
    rated(folder, DARK)
    profile = machine.learn_profile("ann", {folder / f"{value}.png": stars for value, stars in DARK.items()})
    photos = [folder / "30.png", folder / "200.png"]
    own = [score.value for score in machine.score(photos, profile=profile)]
    assert own[0] > own[1] and profile.scale == (1, 5)
    Store().save(profile)
    assert [score.value for score in machine.score(photos, profile="ann")] == pytest.approx(own, abs=1e-3)
    pairs = machine.learn_profile("bob", pairs=[(folder / "30.png", folder / "200.png")])
    assert len(pairs.pairs) == 1
    (folder / "torn.png").write_bytes(b"no photo")
    with pytest.raises(PhotoError, match="torn"):
        machine.learn_profile("cat", {folder / "torn.png": 3, folder / "30.png": 2})
    with pytest.raises(UsageError, match="expected a profile among ann"):
        machine.score(photos, profile="bob")
    with pytest.raises(UsageError, match="expected a model loaded from a folder"):
        Calm(BrightModel()).score(photos, profile=profile)


def test_a_pair_of_one_photo_is_refused(model, tmp_path, capsys):
    folder = tmp_path / "mine"
    rated(folder, DARK)
    table = folder / "pairs.csv"
    for rows, said in (("30.png,30.png\n", "two photos in row 1"), ("", "rows of two photos")):
        table.write_text("better,worse\n" + rows)
        assert calm("profile", "learn", "ann", table, "--images", folder, "--model", model, "-q") == 2
        assert said in capsys.readouterr().err


def test_what_cannot_be_used_is_left_out_and_told(model, tmp_path, capsys):
    folder = tmp_path / "mine"
    table = rated(folder, DARK)
    (folder / "30.png").write_bytes(b"no photo")
    (folder / "60.png").unlink()
    assert calm("profile", "learn", "ann", table, "--images", folder, "--model", model) == 0
    captured = capsys.readouterr()
    assert "ann  5 photos" in captured.out
    assert captured.err.count("calm: left out") == 2 and "60.png: not found below" in captured.err
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        [*(f"{value}.png" for value in DARK if value != 60), "ratings.csv"]
    )


def test_wrong_usage_keeps_nothing(model, profiles, tmp_path, capsys):
    folder = tmp_path / "mine"
    table = rated(folder, DARK)
    learn = ("profile", "learn", "ann", table, "--images", folder, "--model", model, "-q")
    assert calm(*learn, "--scale", "0", "3") == 2
    assert "expected ratings on a scale of 0–3, found 5" in capsys.readouterr().err
    (model / "tastes.safetensors").unlink()
    assert calm(*learn) == 2
    assert "make it with: calm profile prior" in capsys.readouterr().err
    assert not profiles.exists() or not list(profiles.iterdir())


def test_a_profile_of_another_model_is_refused(model, profiles, tmp_path, capsys):
    folder = tmp_path / "mine"
    table = rated(folder, DARK)
    assert calm("profile", "learn", "ann", table, "--images", folder, "--model", model, "-q") == 0
    facts = json.loads((profiles / "ann" / "profile.json").read_text())
    (profiles / "ann" / "profile.json").write_text(json.dumps(facts | {"model_sha256": "c" * 64}))
    assert calm("score", folder, "--model", model, "--profile", "ann", "-q") == 0, "it sees photos as before"
    (profiles / "ann" / "profile.json").write_text(json.dumps(facts | {"describer": "c" * 64}))
    capsys.readouterr()
    assert calm("score", folder, "--model", model, "--profile", "ann", "-q") == 2
    assert "expected a profile of bright bbbbbbbbbbbb, found ann of bright bbbbbbbbbbbb" in capsys.readouterr().err
    assert calm("score", folder, "--model", model, "--profile", "bob", "-q") == 2
    assert "expected a profile among ann, found 'bob'" in capsys.readouterr().err


def test_a_profile_is_learnt_anew_from_the_ratings_that_it_keeps(model, profiles, tmp_path, capsys):
    folder, pairs = tmp_path / "mine", tmp_path / "pairs.csv"
    table = rated(folder, DARK)
    pairs.write_text("better,worse\n30.png,230.png\n60.png,200.png\n90.png,170.png\n")
    assert calm("profile", "learn", "ann", table, "--images", folder, "--model", model, "-q") == 0
    assert calm("profile", "update", "ann", pairs, "--images", folder, "--model", model, "-q") == 0
    whole = json.loads((profiles / "ann" / "profile.json").read_text())
    own = scores(capsys, folder, "--model", model, "--profile", "ann")
    (profiles / "ann" / "profile.json").write_text(json.dumps(whole | {"describer": "c" * 64}))
    assert calm("score", folder, "--model", model, "--profile", "ann", "-q") == 2
    assert "calm profile update ann --images DIR" in capsys.readouterr().err
    assert calm("profile", "update", "ann", table, "--images", folder, "--model", model, "-q") == 2
    assert "learn it anew" in capsys.readouterr().err
    (folder / "60.png").rename(folder / "renamed.png")
    assert calm("profile", "update", "ann", "--images", folder, "--model", model, "-q") == 0
    assert json.loads((profiles / "ann" / "profile.json").read_text()) == whole
    again = scores(capsys, folder, "--model", model, "--profile", "ann")
    assert sorted(row["score"] for row in again) == pytest.approx(sorted(row["score"] for row in own))
    (folder / "90.png").unlink()
    assert calm("profile", "update", "ann", "--images", folder, "--model", model) == 0
    assert "no photo of this SHA-256 below" in capsys.readouterr().err


def test_photos_to_rate_next_are_those_that_differ_most(model, tmp_path, capsys):
    folder = tmp_path / "mine"
    table = rated(folder, DARK)
    capsys.readouterr()
    assert calm("profile", "next", folder, "--count", "2", "--model", model, "-q") == 0
    assert {Path(path).name for path in capsys.readouterr().out.split()} == {"30.png", "230.png"}, "both ends"
    assert calm("profile", "learn", "ann", table, "--images", folder, "--model", model, "-q") == 0
    Image.fromarray(np.full((9, 9, 3), 120, np.uint8)).save(folder / "new.png")
    (folder / "torn.png").write_bytes(b"no photo")
    capsys.readouterr()
    assert calm("profile", "next", folder, "--profile", "ann", "--model", model) == 0
    captured = capsys.readouterr()
    assert captured.out == f"{folder / 'new.png'}\n", "the others are rated already"
    assert "left out" in captured.err and "torn.png" in captured.err
