"""``calm cull``: rows, files that are linked, copied and moved, and all of it taken back; ``calm rank`` in groups."""

from __future__ import annotations

import importlib.util
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from doubles import BrightModel
from PIL import Image
from test_journal import snapshot

from calm.cli import main, running
from calm.data.images import load_photo
from calm.library import study
from calm.library.sidecars import read_rating
from calm.library.xmp import EMPTY
from calm.model.catalogue import terms_to_tell

EXAMPLES = Path(__file__).parents[1] / "examples"
spec = importlib.util.spec_from_file_location("make_series", EXAMPLES / "make_series.py")
make_series = importlib.util.module_from_spec(spec)
spec.loader.exec_module(make_series)


@pytest.fixture(autouse=True)
def machine(own_cache, tmp_path, monkeypatch):
    """A model in place of the packaged one, the middle for a subject, and journals of its own."""
    monkeypatch.setattr(running, "load_model", lambda name, device: BrightModel())
    monkeypatch.setattr(study, "find_subjects", lambda: lambda pixels: None)
    monkeypatch.setenv("CALM_JOURNALS", str(tmp_path / "journals"))
    terms_to_tell("calm-small")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A burst with one soft frame, a bracket, a photo by itself with its sidecar, and a torn one."""
    folder, rng = tmp_path_factory.mktemp("made"), np.random.default_rng(0)
    coffee, cat, rocket = (
        load_photo(EXAMPLES / f"{name}.jpg", reference=450).pixels / np.float32(255)
        for name in ("coffee", "chelsea", "rocket")
    )
    sharp = make_series.view(coffee)
    for number, frame in enumerate((sharp, make_series.cv2.GaussianBlur(sharp, (0, 0), 1), sharp)):
        make_series.save(frame, folder / f"burst{number}.jpg", rng)
    for number, (_, frame) in enumerate(make_series.KINDS["bracket"][0](cat, rng)):
        make_series.save(frame, folder / f"hdr{number}.jpg", rng)
    (folder / "day 2").mkdir()
    make_series.save(rocket, folder / "day 2" / "alone.jpg", rng)
    (folder / "day 2" / "alone.jpg.xmp").write_text(EMPTY)
    (folder / "torn.jpg").write_bytes(b"\xff\xd8\xff")
    return folder


@pytest.fixture
def shoot(made, tmp_path):
    return Path(shutil.copytree(made, tmp_path / "shoot"))


def calm(*arguments: object) -> int:
    with pytest.raises(SystemExit) as left:
        main([str(each) for each in arguments])
    return left.value.code or 0


def plan_of(capsys, folder: Path) -> dict[str, dict]:
    found = map(json.loads, capsys.readouterr().out.splitlines())
    return {str(Path(row["path"]).relative_to(folder)): row for row in found}


def test_every_photo_has_its_decision_reason_and_rival(shoot, capsys):
    assert calm("cull", shoot, "--keep", "4", "--format", "jsonl") == 1
    captured = capsys.readouterr()
    rows = {Path(row["path"]).name: row for row in map(json.loads, captured.out.splitlines())}
    assert {name: row["series_kind"] for name, row in rows.items() if row["series"]} == {
        **{f"burst{i}.jpg": "burst" for i in range(3)},
        **{f"hdr{i}.jpg": "bracket" for i in range(3)},
    }
    assert rows["torn.jpg"]["decision"] is None and rows["torn.jpg"]["error"]
    assert len([row for row in rows.values() if row["decision"] == "keep"]) <= 4
    assert len({rows[f"hdr{i}.jpg"]["decision"] for i in range(3)}) == 1
    soft = rows["burst1.jpg"]
    assert soft["decision"] == "reject" and soft["rival"] == str(shoot / Path(soft["rival"]).name)
    assert soft["reason"] in [f"series: the subject is softer than in burst{i}.jpg" for i in (0, 2)]
    assert "2 series" in captured.err and "1 failed" in captured.err
    assert list(soft)[-5:] == ["series", "series_kind", "decision", "reason", "rival"]


def test_the_table_is_for_reading(shoot, capsys):
    assert calm("cull", shoot, "--keep", "50%", "-q") == 1
    head, *lines = capsys.readouterr().out.splitlines()
    assert head.split() == ["photo", "score", "±", "decision", "series", "reason"]
    assert any("bracket 2" in line or "bracket 1" in line for line in lines) and "failed" in lines[-1]
    decisions = [line.split()[3] for line in lines[:-1] if "day 2" not in line]
    assert decisions == sorted(decisions)


def test_two_runs_and_another_name_of_the_folder_give_the_same_plan(shoot, capsys):
    def run(folder: Path) -> dict:
        assert calm("cull", folder, "--keep", "3", "--format", "jsonl", "-q", "--no-store") == 1
        rows = plan_of(capsys, folder)
        for row in rows.values():
            row["rival"] = row["rival"] and str(Path(row["rival"]).relative_to(folder))
            del row["path"], row["error"]
        return rows

    before = run(shoot)
    assert run(shoot) == before
    renamed = shoot.rename(shoot.with_name("another name"))
    assert run(renamed) == before


@pytest.mark.parametrize("action", ["link", "copy", "move"])
def test_files_go_where_they_belong_and_come_back(shoot, tmp_path, capsys, action):
    before, picks = snapshot(shoot), tmp_path / "picks"
    assert calm("cull", shoot, "--keep", "4", f"--{action}", picks, "--format", "jsonl") == 1
    captured = capsys.readouterr()
    for row in map(json.loads, captured.out.splitlines()):
        if row["decision"]:
            there = picks / row["decision"] / Path(row["path"]).relative_to(shoot)
            assert there.exists() and there.is_symlink() == (action == "link")
            assert Path(row["path"]).exists() == (action != "move")
    assert len(list(picks.rglob("alone.jpg.xmp"))) == 1
    assert f"8 files {dict(link='linked', copy='copied', move='moved')[action]}; take it back" in captured.err
    assert calm("cull", "--undo") == 0
    assert "8 of 8 files are as they were before" in capsys.readouterr().err
    assert snapshot(shoot) == before and not picks.exists()
    assert calm("cull", "--undo") == 2
    assert "found nothing" in capsys.readouterr().err


def test_decisions_go_into_sidecars_and_out_of_them_again(shoot, capsys):
    before = snapshot(shoot)
    assert calm("cull", shoot, "--keep", "4", "--write-xmp", "--format", "jsonl") == 1
    captured = capsys.readouterr()
    assert "7 files written; take it back by: calm cull --undo" in captured.err
    for row in map(json.loads, captured.out.splitlines()):
        if row["decision"]:
            given = read_rating(row["path"])
            assert (given.value, given.person) == (row["rating"], False)
            assert (row["rating"] == -1) == (row["decision"] == "reject") and row["sidecars"] == [f"{row['path']}.xmp"]
            colour = {"keep": "Green", "maybe": "Yellow", "reject": "Red"}[row["decision"]]
            assert colour in Path(row["sidecars"][0]).read_text()
    edited = shoot / "burst0.jpg.xmp"
    edited.write_text(edited.read_text() + " ")  # by another program
    assert calm("cull", "--undo") == 1
    assert f"{edited}: changed since; left as it is" in capsys.readouterr().err
    edited.unlink()
    assert snapshot(shoot) == before | {name: snapshot(shoot)[name] for name in before if name.endswith(".xmp")}
    assert (shoot / "day 2" / "alone.jpg.xmp").read_text() == EMPTY


def test_a_damaged_sidecar_fails_its_photo_alone(shoot, capsys):
    (shoot / "burst0.jpg.xmp").write_text("no XMP")
    assert calm("cull", shoot, "--write-xmp", "--format", "jsonl", "-q") == 1
    failed = [row for row in map(json.loads, capsys.readouterr().out.splitlines()) if row["status"] == "failed"]
    assert sorted(Path(row["path"]).name for row in failed) == ["burst0.jpg", "torn.jpg"]
    assert (shoot / "burst0.jpg.xmp").read_text() == "no XMP" and (shoot / "burst1.jpg.xmp").exists()


def test_one_decision_alone_can_be_moved(shoot, tmp_path, capsys):
    assert calm("cull", shoot, "--keep", "4", "--move", tmp_path / "out", "--only", "reject", "-q") == 1
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["reject"]
    assert calm("cull", tmp_path / "elsewhere", "--undo") == 2
    assert calm("cull", shoot, "--undo", "-q") == 0
    assert not (tmp_path / "out").exists()


def test_an_interrupted_action_is_told_of(shoot, tmp_path, capsys, monkeypatch):
    from calm.library import journal

    def cut(*given: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(journal, "_move", cut)
        assert calm("cull", shoot, "--move", tmp_path / "out", "-q") in (1, 130)
    capsys.readouterr()
    assert calm("cull", shoot, "--format", "jsonl") == 1
    assert "was interrupted; take it back by: calm cull --undo" in capsys.readouterr().err
    assert calm("cull", "--undo", "-q") == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "expected photos, found no PATH"),
        (["SHOOT", "--keep", "most"], "--keep 200 or --keep 20%"),
        (["SHOOT", "--preset", "nightly"], "expected a preset of"),
        (["SHOOT", "--link", "a", "--move", "b"], "found link and move"),
        (["SHOOT", "--only", "keep"], "beside --only"),
        (["SHOOT", "--write-xmp", "--move", "b"], "run one after the other"),
        (["--undo", "SHOOT", "SHOOT"], "one folder beside --undo, found 2"),
        (["SHOOT", "--overwrite-rating"], "expected --write-xmp beside"),
        (["SHOOT", "--move", "SHOOT/picks"], "a folder apart from the photos"),
        (["SHOOT", "--move", "SHOOT/.."], "a folder apart from the photos"),
        (["SHOOT", "--copy", "SHOOT/torn.jpg"], "found the file"),
    ],
)
def test_wrong_usage_is_told_before_any_photo_is_read(shoot, capsys, arguments, words):
    before = snapshot(shoot)
    assert calm("cull", *(each.replace("SHOOT", str(shoot)) for each in arguments)) == 2
    captured = capsys.readouterr()
    assert words in captured.err and not captured.out and snapshot(shoot) == before


def test_a_place_that_is_taken_stops_before_anything_is_done(shoot, tmp_path, capsys):
    picks = tmp_path / "picks"
    assert calm("cull", shoot, "--copy", picks, "-q") == 1
    before = snapshot(picks)
    assert calm("cull", shoot, "--copy", picks, "-q") == 2
    assert "expected a free place" in capsys.readouterr().err and snapshot(picks) == before


def test_an_empty_keep_rejects_by_taste(shoot, capsys):
    Image.new("RGB", (300, 200), "white").save(shoot / "white.png")
    assert calm("cull", shoot, "--keep", "0", "--format", "jsonl", "-q") == 1
    rows = plan_of(capsys, shoot)
    assert not [row for row in rows.values() if row["decision"] == "keep"]
    assert rows["white.png"]["reason"] == "technical: exposure is lost: the subject is burnt out"


def test_ranks_within_folders_and_says_what_sets_a_photo_above_the_next(shoot, capsys):
    assert calm("rank", shoot, "--by", "folder", "--format", "jsonl", "-q") == 1
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(row["group"] and Path(row["group"]).name, row["rank"]) for row in rows] == [
        *(("shoot", rank) for rank in range(1, 7)),
        ("day 2", 1),
        (None, None),
    ]
    assert rows[6]["reason"] is None, "there is no next one"
    scores = [row["score"] for row in rows[:6]]
    assert scores == sorted(scores, reverse=True)
    above_dark = next(row for row, after in zip(rows, rows[1:6], strict=False) if after["path"].endswith("hdr0.jpg"))
    assert above_dark["reason"].endswith("; hdr0.jpg: too dark (90%)")
    assert all(f"scores {row['score']:.2f}" in row["reason"] for row in rows[:5])


def test_ranks_within_series_by_comparison(shoot, capsys):
    assert calm("rank", shoot, "--by", "series", "--top", "3", "--format", "jsonl", "-q") == 1
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    burst = [row for row in rows if row["group"] and row["group"].startswith("burst")]
    assert [row["rank"] for row in burst] == [1, 2, 3] and burst[2]["path"].endswith("burst1.jpg")
    assert burst[1]["reason"] == "its subject is sharper than in burst1.jpg"


def test_a_diverse_ranking_and_its_table(shoot, capsys):
    assert calm("rank", shoot, "--diverse", "--top", "2", "-q") == 1
    head, *lines = capsys.readouterr().out.splitlines()
    assert head.split() == ["photo", "score", "±", "rank", "group", "reason"] and len(lines) == 3
    assert [line.split()[3] for line in lines[:2]] == ["1", "2"] and "failed" in lines[2]
    assert calm("rank", shoot, "--diverse", "--write-xmp", "-q") == 2
