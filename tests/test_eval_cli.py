"""``calm eval`` from the command line: data sets, predictions, answers kept, pairs, references."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from layouts import para
from lightmeter import Lightmeter, grey, make_album

from calm.cli import main, running
from calm.eval import invariance
from calm.model.catalogue import terms_to_tell


@pytest.fixture(autouse=True)
def opened(own_cache, monkeypatch: pytest.MonkeyPatch) -> list[Lightmeter]:
    """Models that were opened, in place of the packaged one; each is a new one."""
    found: list[Lightmeter] = []

    def load(name: str, device: str | None) -> Lightmeter:
        found.append(Lightmeter())
        return found[-1]

    monkeypatch.setattr(running, "load_model", load)
    terms_to_tell("calm-small")
    return found


def calm(*arguments: object) -> int:
    with pytest.raises(SystemExit) as left:
        main(["eval", *(str(each) for each in arguments)])
    return left.value.code or 0


def test_a_second_run_opens_no_model(tmp_path: Path, opened, capsys) -> None:
    album = make_album(tmp_path)
    command = ["scores", "--images", album, "--labels", album.parent / "labels.csv", "--resamples", 5]
    command += ["--format", "json"]
    assert calm(*command) == calm(*command) == 0
    first, second = capsys.readouterr().out.replace("}\n{", "}\n|{").split("|")
    assert json.loads(first) == json.loads(second)
    assert [sum(each.batches) for each in opened] == [11]
    assert calm(*command, "--no-store") == 0
    assert [sum(each.batches) for each in opened] == [11, 11]


def test_invariance_is_never_answered_from_the_store(
    tmp_path: Path, opened, own_cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []

    def evaluate(predictor: object, photos: Path, **settings: object) -> dict[str, int]:
        asked.append(predictor)
        return {"n": 0}

    monkeypatch.setattr(invariance, "eval_invariance", evaluate)
    assert calm("invariance", "--photos", tmp_path, "--format", "json") == 0
    assert asked == opened and not (own_cache / "answers.sqlite").exists()


def test_two_models_are_compared_by_their_predictions(tmp_path: Path, capsys) -> None:
    root = para(tmp_path / "para")
    for name in "ab":
        command = ["scores", "--dataset", "para", "--root", root, "--split", "test", "--resamples", 5]
        command += ["--format", "json"]
        assert calm(*command, "--predictions", tmp_path / f"{name}.jsonl") == 0
    figures = json.loads(capsys.readouterr().out.split("}\n{")[0] + "}")
    assert figures["n"] == 2 and "predictions" not in figures
    assert calm("paired", tmp_path / "a.jsonl", tmp_path / "b.jsonl", "--format", "json", "--resamples", 9) == 0
    assert json.loads(capsys.readouterr().out)["accuracy"]["p"] == 1.0


def test_edits_write_predictions_too(tmp_path: Path, capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    from calm.eval import editing

    monkeypatch.setattr(editing, "saliency_map", lambda source: None)
    for i in range(3):
        grey(tmp_path / f"photos/{i}.png", 127, i, (96, 128))
    assert calm("edits", "--photos", tmp_path / "photos", "--predictions", tmp_path / "p.jsonl") == 0
    lines = [json.loads(line) for line in (tmp_path / "p.jsonl").read_text().splitlines()]
    assert {line["draw"] for line in lines} >= {"visible", "realistic", "untouched", "nuisances"}
    assert {line["given"] for line in lines if line["draw"] == "untouched"} == {"nothing"}
    assert all(line["task"] == "edits" and len(line["sha256"]) == 64 for line in lines)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["scores"], "expected --images with --labels, or --dataset with --root"),
        (["scores", "--dataset", "para"], "expected --images with --labels, or --dataset with --root"),
        (["comments"], "expected --photos, --references, or --dataset with --root"),
        (["comments", "--photos", ".", "--dataset", "para", "--root", "."], "give one of these"),
    ],
)
def test_wrong_usage_is_told_before_a_model_is_opened(arguments: list[str], words: str, opened, capsys) -> None:
    assert calm(*arguments) == 2
    assert words in capsys.readouterr().err and not opened


def test_references_without_the_package_are_told_before_a_model_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, opened, capsys
) -> None:
    from calm.eval import references

    monkeypatch.setattr(references.importlib.util, "find_spec", lambda name: None)
    (tmp_path / "r.jsonl").write_text('{"path": "a.png", "references": ["x"]}')
    assert calm("comments", "--references", tmp_path / "r.jsonl") == 2
    assert "pip install 'calm-aesthetics[eval]'" in capsys.readouterr().err and not opened
