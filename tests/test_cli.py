"""The command line's contract: rows, exit status, what goes to standard output and what to standard error."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest
from doubles import POISON, BrightModel
from PIL import Image

from calm.cli import main, running
from calm.errors import WeightsError
from calm.model.catalogue import terms_to_tell


@pytest.fixture(autouse=True)
def machine(own_cache, monkeypatch):
    """A model in place of the packaged one."""
    opened = BrightModel()
    monkeypatch.setattr(running, "load_model", lambda name, device: opened)
    terms_to_tell("calm-small")  # told once already: what is said here is what each command says
    return opened


@pytest.fixture
def photos(tmp_path):
    """A folder with a dark, a bright and a torn photo."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for name, value in (("dark.png", 60), ("light.png", 220)):
        Image.fromarray(np.full((40, 60, 3), value, np.uint8)).save(folder / name)
    (folder / "torn.png").write_bytes((folder / "dark.png").read_bytes()[:40])
    return folder


def calm(*arguments: object) -> int:
    """Runs the command; returns its exit status."""
    with pytest.raises(SystemExit) as left:
        main([str(each) for each in arguments])
    return left.value.code or 0


def rows(capsys) -> list[dict]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_all_is_well(photos, capsys):
    assert calm("score", photos / "dark.png", photos / "light.png", "--format", "jsonl") == 0
    captured = capsys.readouterr()
    dark, light = map(json.loads, captured.out.splitlines())
    assert dark["path"] == str(photos / "dark.png") and (dark["width"], dark["height"]) == (60, 40)
    assert 1 <= dark["score"] < light["score"] <= 10
    assert sum(dark["distribution"]) == pytest.approx(1) and dark["model"] == "bright"
    assert captured.err == ""


def test_photos_that_failed_have_a_row_and_the_status_says_so(photos, capsys):
    assert calm("score", photos, photos / "gone.png", "--format", "jsonl") == 1
    captured = capsys.readouterr()
    found = [json.loads(line) for line in captured.out.splitlines()]
    assert [row["status"] for row in found] == ["ok", "ok", "failed", "failed"]
    assert all(row["error"] and row["score"] is None for row in found[2:])
    assert captured.err == "calm: 2 of 4 photos failed; their rows say why\n"


def test_ranks_best_first_and_failed_last(photos, tmp_path, capsys):
    assert calm("rank", photos, "--format", "jsonl", "-q") == 1
    found = rows(capsys)
    assert [(row["path"].rsplit("/")[-1], row["rank"]) for row in found] == [
        ("light.png", 1),
        ("dark.png", 2),
        ("torn.png", None),
    ]
    assert calm("rank", photos, "--top", 1, "--output", tmp_path / "best.csv", "-q") == 1
    with open(tmp_path / "best.csv", newline="") as stream:
        assert [(row["rank"], row["status"]) for row in csv.DictReader(stream)] == [("1", "ok"), ("", "failed")]
    assert calm("rank", photos, "-q") == 1
    table = capsys.readouterr().out
    assert table.index("light.png") < table.index("dark.png") < table.index("torn.png")


def test_a_photo_that_the_model_fails_on_has_a_row(photos, capsys):
    Image.fromarray(np.full((9, 9, 3), POISON, np.uint8)).save(photos / "poison.png")
    assert calm("score", photos / "poison.png", photos / "dark.png", "--format", "jsonl", "-q") == 1
    captured = capsys.readouterr()
    poison, dark = map(json.loads, captured.out.splitlines())
    assert "the model failed on this photo" in poison["error"] and dark["status"] == "ok"
    assert captured.err == ""


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["score"], "Missing argument 'PATH"),
        (["scare", "x.png"], "No such command 'scare'"),
        (["score", "x.png", "--format", "xml"], "'xml' is not one of"),
        (["score", "x.png", "--batch-size", "0"], "Invalid value for '--batch-size'"),
        (["score", "x.png", "--colour"], "No such option"),
        (["score", "x.png", "-v", "-q"], "expected -v or -q, found both"),
        (["score", "x.png", "--output", "x.xlsx"], "expected an output file ending in .jsonl, .csv, .parquet"),
        (["score", "x.png", "--output", "x.csv", "--format", "csv"], "found both"),
        (["eval", "scores", "--images", ".", "--labels", "nowhere.csv"], "does not exist"),
        (["train", "nowhere.yaml"], "does not exist"),
        (["models", "list", "nowhere"], "expected a model folder"),
    ],
)
def test_wrong_usage_is_status_2_without_a_traceback(arguments, words, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert calm(*arguments) == 2
    captured = capsys.readouterr()
    assert words in captured.err and "Traceback" not in captured.err
    assert captured.out == ""


def test_an_empty_folder_is_wrong_usage_but_empty_input_is_not(tmp_path, capsys, monkeypatch):
    (tmp_path / "empty").mkdir()
    assert calm("score", tmp_path / "empty") == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("calm: expected") and captured.err.count("\n") == 1
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    assert calm("score", "-", "--format", "jsonl") == 0
    assert capsys.readouterr() == ("", "")


def test_a_part_that_is_missing_is_one_line_and_status_2(photos, capsys, monkeypatch):
    def missing(name, device):
        raise WeightsError(f"expected a model, found none\nat {name}; install it")

    monkeypatch.setattr(running, "load_model", missing)
    assert calm("score", photos, "--model", "nowhere", "--output", photos / "rows.csv") == 2
    assert capsys.readouterr().err == "calm: expected a model, found none at nowhere; install it\n"
    assert sorted(os.listdir(photos)) == ["dark.png", "light.png", "torn.png"]


def test_a_fault_of_ours_is_told_from_failed_photos(photos, capsys, monkeypatch):
    def broken(name, device):
        raise KeyError("oops")

    monkeypatch.setattr(running, "load_model", broken)
    assert calm("score", photos) == 70
    captured = capsys.readouterr()
    assert "KeyError: 'oops'" in captured.err and "a fault in calm itself" in captured.err


def test_a_model_that_fails_on_every_photo_ends_the_run(photos, machine, capsys, monkeypatch):
    def broken(asked):
        raise RuntimeError("no such kernel")

    monkeypatch.setattr(machine, "score", broken)
    assert calm("score", photos, "--output", photos / "rows.csv") == 70
    told = capsys.readouterr().err
    assert "Traceback" in told and "RuntimeError: no such kernel" in told and "a plain grey photo fails as well" in told
    assert not (photos / "rows.csv").exists()


def test_paths_come_from_standard_input(photos, capsys, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{photos / 'light.png'}\n{photos / 'dark.png'}\n"))
    assert calm("score", "-", "--format", "csv") == 0
    found = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [os.path.basename(row["path"]) for row in found] == ["light.png", "dark.png"]
    assert len(json.loads(found[0]["distribution"])) == 10


def test_names_from_find_may_hold_line_ends(photos, capsys, monkeypatch):
    os.rename(photos / "light.png", photos / "two\nlines.png")
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{photos}/two\nlines.png\0{photos}/dark.png\0"))
    assert calm("score", "-0", "-", "--format", "jsonl") == 0
    assert [os.path.basename(row["path"]) for row in rows(capsys)] == ["two\nlines.png", "dark.png"]


def test_thumbnails_are_passed_over_with_a_count(photos, capsys):
    (photos / "@eaDir").mkdir()
    (photos / "dark.png").rename(photos / "@eaDir" / "dark.png")
    (photos / "torn.png").unlink()
    assert calm("score", photos, "--format", "jsonl") == 0
    captured = capsys.readouterr()
    assert len(captured.out.splitlines()) == 1
    assert "passed over 1 photos" in captured.err and "--all takes them" in captured.err
    assert calm("score", photos, "--all", "--format", "jsonl", "-q") == 0
    assert len(rows(capsys)) == 2


def test_equal_scores_are_in_natural_order(tmp_path, capsys):
    for number in (1, 10, 2, 3):
        Image.new("L", (60, 40), 90).save(tmp_path / f"{number}.png", pnginfo=None)
    assert calm("rank", tmp_path / "10.png", tmp_path / "1.png", tmp_path / "3.png", tmp_path / "2.png") == 0
    shown = capsys.readouterr().out
    assert [line.split("/")[-1].split()[0] for line in shown.splitlines() if ".png" in line] == [
        "1.png",
        "2.png",
        "3.png",
        "10.png",
    ]
    assert shown.count("note: almost blank") == 4


def test_a_file_in_place_of_standard_output(photos, tmp_path, capsys):
    target = tmp_path / "rows.jsonl"
    assert calm("score", photos, "--output", target) == 1
    assert capsys.readouterr().out == ""
    assert len(target.read_text().splitlines()) == 3
    assert calm("score", photos, "--output", target) == 2
    assert "add --overwrite" in capsys.readouterr().err
    assert calm("score", photos / "dark.png", "--output", target, "--overwrite") == 0
    assert len(target.read_text().splitlines()) == 1


def test_the_batch_size_is_the_engines(photos, machine):
    calm("score", photos / "dark.png", photos / "light.png", "--batch-size", "1")
    assert [len(batch) for batch in machine.batches] == [1, 1]


def test_comments_name_the_aspects_asked_for(photos, machine, capsys):
    assert calm("comment", photos / "dark.png", "--aspect", "light", "--aspect", "colour", "--format", "jsonl") == 0
    (row,) = rows(capsys)
    assert row["comment"].startswith("The light is poor. “Noir”")
    assert row["aspects"] == [{"aspect": "light", "level": "low", "polarity": -1, "text": "The light is poor"}]
    assert machine.aspects == [("light", "colour")]


def test_suggestions_best_first_and_none_where_nothing_is_to_mend(photos, capsys):
    assert calm("suggest", photos, "--format", "jsonl") == 1
    dark, light, torn = rows(capsys)
    assert [each["attribute"] for each in dark["suggestions"]] == ["exposure", "clutter"]
    assert list(dark["suggestions"][0]) == [
        "level",
        "attribute",
        "direction",
        "amount",
        "unit",
        "confidence",
        "text",
        "crop",
    ]
    assert light["suggestions"] == [] and torn["suggestions"] is None
    for option in (("--least", "0.7"), ("--most", "1")):
        assert calm("suggest", photos, "--format", "jsonl", *option) == 1
        dark, _, _ = map(json.loads, capsys.readouterr().out.splitlines())
        assert [each["attribute"] for each in dark["suggestions"]] == ["exposure"]
    assert "applied" not in dark


def test_after_ctrl_c_the_same_command_goes_on(photos, tmp_path, machine, capsys, monkeypatch):
    calls = []

    def stop(seen):
        calls.append(seen)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return [machine._score(each) for each in seen]

    monkeypatch.setattr(machine, "score", stop)
    arguments = (
        "score",
        photos / "dark.png",
        photos / "light.png",
        "--batch-size",
        "1",
        "--output",
        tmp_path / "rows.csv",
    )
    assert calm(*arguments) == 130
    assert capsys.readouterr().err == "calm: interrupted after 1 photos; the same command goes on from there\n"
    assert not (tmp_path / "rows.csv").exists()
    assert calm(*arguments) == 0
    assert [os.path.basename(each[0].path) for each in calls] == ["dark.png", "light.png", "light.png"]
    assert len((tmp_path / "rows.csv").read_text().splitlines()) == 3


def test_terms_are_told_once(photos, tmp_path, capsys):
    folder = tmp_path / "strict"
    folder.mkdir()
    (folder / "model_card.json").write_text(json.dumps({"terms": "for research only"}))
    assert calm("score", photos / "dark.png", "--model", folder, "-q") == 0
    assert capsys.readouterr().err == ""
    for said in ("calm: strict: for research only (said once)\n", ""):
        assert calm("score", photos / "dark.png", "--model", folder) == 0
        assert capsys.readouterr().err == said


def test_figures_as_json_and_as_text(capsys):
    from calm.cli.evaluate import report

    figures = {"n": 3, "srcc": 0.5, "per_attribute": {"tilt": {"top1": None}, "noise": {"top1": 0.25}}}
    report(figures, "json")
    assert json.loads(capsys.readouterr().out) == figures
    report(figures, "table")
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines == [
        ["n", "3"],
        ["srcc", "0.5000"],
        [],
        ["per_attribute"],
        ["top1"],
        ["tilt", "–"],
        ["noise", "0.2500"],
    ]


def test_scores_of_people_are_compared(photos, capsys):
    Image.fromarray(np.full((40, 60, 3), 150, np.uint8)).save(photos / "middle.png")
    (photos / "torn.png").unlink()
    (photos / "labels.csv").write_text("file,score\ndark.png,2\nmiddle.png,5\nlight.png,9\n")
    assert calm("eval", "scores", "--images", photos, "--labels", photos / "labels.csv", "--format", "json") == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["n"] == 3 and figures["srcc"] == pytest.approx(1)
    assert {"plcc", "krcc", "rmse"} <= set(figures)


def test_training_gets_recipe_and_overrides_and_says_where_the_model_is(tmp_path, monkeypatch, capsys):
    from calm.train import run as training

    recipe = tmp_path / "recipe.yaml"
    recipe.touch()
    asked = []
    monkeypatch.setattr(training, "train", lambda *arguments: asked.append(arguments) or tmp_path / "out")
    assert calm("train", recipe, "data.root=/photos", "init=mine") == 0
    assert calm("train", recipe) == 0
    assert asked == [(recipe, ["data.root=/photos", "init=mine"]), (recipe, [])]
    assert capsys.readouterr().out == f"{tmp_path / 'out'}\n" * 2


def test_models_are_listed_with_their_terms(tmp_path, capsys):
    folder = tmp_path / "models" / "mine"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"12345")
    (folder / "model_card.json").write_text(json.dumps({"licence": "CC-BY-4.0", "terms": "name the author"}))
    assert calm("models", "list", folder.parent, "--format", "jsonl") == 0
    mine = rows(capsys)[-1]
    assert (mine["name"], mine["origin"], mine["licence"], mine["terms"]) == (
        *("mine", "local"),
        *("CC-BY-4.0", "name the author"),
    )
    assert len(mine["sha256"]) == 64 and mine["bytes"] == sum(path.stat().st_size for path in folder.iterdir())
    assert calm("models", "list", folder) == 0
    assert "name the author" in capsys.readouterr().out
    assert calm("models") == 0
    assert "name the author" not in capsys.readouterr().out


def test_a_reader_that_leaves_early_is_no_fault(photos):
    code = "import sys; sys.path[:0] = sys.argv[1:2]\n"
    code += "from doubles import BrightModel; from calm.cli import main, running\n"
    code += "running.load_model = lambda name, device: BrightModel()\n"
    code += "main(['score', sys.argv[2], '--format', 'jsonl', '--batch-size', '1'])"
    here = os.path.dirname(__file__)
    command = [sys.executable, "-c", code, here, str(photos)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        process.stdout.close()
        said = process.stderr.read()
    assert "Traceback" not in said and process.returncode in (1, -signal.SIGPIPE)


def test_every_command_has_help(capsys):
    commands = [[], ["score"], ["rank"], ["comment"], ["suggest"], ["train"], ["models"], ["eval"], ["profile"]]
    commands += [["bench"]]
    verbs = ("learn", "update", "list", "show", "next", "remove", "export", "import", "prior")
    commands += [["profile", each] for each in verbs]
    commands += [["eval", each] for each in ("scores", "para", "piaa", "edits", "comments", "invariance")]
    for command in commands:
        assert calm(*command, "--help") == 0
        assert capsys.readouterr().out.startswith("Usage: " + " ".join(["calm", *command]))


def test_the_common_options_are_the_same_everywhere(capsys):
    helps = []
    for command in ("score", "comment", "suggest"):
        calm(command, "--help")
        text = capsys.readouterr().out
        helps.append(text[text.index("--format") :])
    assert helps[0] == helps[1] == helps[2]
