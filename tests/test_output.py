"""Sinks: every format holds the same rows, and a file is complete or absent."""

from __future__ import annotations

import csv
import json
import os

import pytest
from doubles import BrightModel, photo

from calm.errors import PhotoError, UsageError
from calm.inference.engine import Engine
from calm.inference.output import COLUMNS, columns, open_sink
from calm.inference.table import plain
from calm.inference.tasks import CommentTask, ScoreTask, SuggestTask

TASKS = {"score": ScoreTask(), "comment": CommentTask(), "suggest": SuggestTask()}


def rows(task: str) -> list[dict[str, object]]:
    def load(path):
        if path == "torn":
            raise PhotoError("expected a whole file, found, half of one; copy it again")
        return photo(int(path))

    return [row.as_dict() for row in Engine(BrightModel(), load=load).rows(["20", "torn", "250"], TASKS[task])]


def read(path):
    """The rows of an output file, each value as it was before it was written."""
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    if path.suffix == ".parquet":
        import pyarrow.parquet

        return pyarrow.parquet.read_table(path).to_pylist()
    with path.open(newline="", encoding="utf-8") as stream:
        return [{name: _parse(name, text) for name, text in row.items()} for row in csv.DictReader(stream)]


def _parse(name, text):
    if text == "":
        return None
    if name in ("width", "height"):
        return int(text)
    if name in ("score", "score_std"):
        return float(text)
    return json.loads(text) if name in ("distribution", "aspects", "suggestions") else text


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("ending", ["jsonl", "csv", "parquet"])
def test_what_is_written_is_what_is_read(tmp_path, task, ending):
    path, wanted = tmp_path / f"rows.{ending}", rows(task)
    with open_sink(task, output=path) as sink:
        for row in wanted:
            sink.write(row)
    found = read(path)
    assert found == [{name: row.get(name) for name in columns(task)} for row in wanted]
    assert tuple(found[0]) == columns(task)
    assert [row["status"] for row in found] == ["ok", "failed", "ok"]
    assert os.listdir(tmp_path) == [path.name]


def test_the_columns_are_the_contracts():
    assert (
        *(
            "path",
            "sha256",
            "width",
            "height",
            "status",
            "error",
            "note",
            "score",
            "scale",
            "score_std",
            "distribution",
        ),
        *("model", "model_sha256", "preprocess", "profile"),
    ) == COLUMNS
    assert columns("comment")[len(COLUMNS) :] == ("comment", "aspects")
    assert columns("suggest")[len(COLUMNS) :] == ("suggestions",)


@pytest.mark.parametrize("ending", ["jsonl", "csv", "parquet"])
def test_an_empty_run_gives_an_empty_file(tmp_path, ending):
    with open_sink("score", output=tmp_path / f"rows.{ending}"):
        pass
    assert read(tmp_path / f"rows.{ending}") == []


@pytest.mark.parametrize("ending", ["jsonl", "csv", "parquet"])
def test_an_interrupted_run_leaves_nothing(tmp_path, ending):
    with pytest.raises(KeyboardInterrupt), open_sink("score", output=tmp_path / f"rows.{ending}") as sink:
        sink.write(rows("score")[0])
        raise KeyboardInterrupt
    assert os.listdir(tmp_path) == []


def test_the_file_does_not_exist_before_it_is_complete(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text("before")
    with open_sink("score", output=path, overwrite=True) as sink:
        sink.write(rows("score")[0])
        assert path.read_text() == "before"
    assert len(read(path)) == 1


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda folder: {"output": folder / "rows.xlsx"}, "ending in .jsonl, .csv, .parquet, found .*rows.xlsx"),
        (lambda folder: {"output": folder / "rows.csv"}, "rows.csv exists; name another or add --overwrite"),
        (lambda folder: {"output": folder / "no" / "rows.csv"}, "folder to exist, found no"),
        (lambda folder: {"output": folder / "new.csv", "format": "jsonl"}, "found both"),
        (lambda folder: {"output": folder / "dir.csv"}, "found the folder"),
    ],
)
def test_wrong_outputs_are_refused(tmp_path, make, words):
    (tmp_path / "rows.csv").write_text("before")
    (tmp_path / "dir.csv").mkdir()
    with pytest.raises(UsageError, match=words):
        open_sink("score", **make(tmp_path))
    assert (tmp_path / "rows.csv").read_text() == "before"


@pytest.mark.parametrize("ending", ["jsonl", "csv", "parquet"])
def test_names_that_are_not_utf_8_do_not_end_the_run(tmp_path, ending):
    row = rows("score")[0] | {"path": os.fsdecode(b"caf\xe9.jpg")}
    with open_sink("score", output=tmp_path / f"rows.{ending}") as sink:
        sink.write(row)
    (found,) = read(tmp_path / f"rows.{ending}")
    assert found["path"] == (os.fsdecode(b"caf\xe9.jpg") if ending == "jsonl" else "caf\\udce9.jpg")


def test_a_new_file_has_the_usual_permissions(tmp_path):
    with open_sink("score", output=tmp_path / "rows.csv"):
        pass
    (tmp_path / "other").touch()
    assert (tmp_path / "rows.csv").stat().st_mode == (tmp_path / "other").stat().st_mode


@pytest.mark.parametrize("format", ["jsonl", "csv"])
def test_standard_output_gets_the_same_text_as_a_file(tmp_path, capsys, format):
    wanted = rows("suggest")
    for output in (None, tmp_path / f"rows.{format}"):
        with open_sink("suggest", None if output else format, output) as sink:
            for row in wanted:
                sink.write(row)
    with (tmp_path / f"rows.{format}").open(newline="", encoding="utf-8") as stream:
        assert capsys.readouterr().out == stream.read()


def test_a_plain_table_is_aligned_and_says_everything(capsys):
    with open_sink("suggest") as sink:
        for row in rows("suggest"):
            sink.write(row)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["photo", "score", "±"]
    assert lines[1].startswith("20") and " 1.71" in lines[1]
    assert lines[2] == "    exposure increase 1 EV (90%): increase exposure"
    assert lines[3] == "    clutter decrease (60%): decrease clutter"
    assert "failed" in lines[4] and "copy it again" in lines[4]
    assert lines[5].index("9.82") == lines[1].index("1.71")
    assert lines[6] == "    nothing to mend"


def test_a_table_in_a_terminal_takes_names_literally(monkeypatch, capsys):
    import sys

    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    with open_sink("comment") as sink:
        for row in rows("comment"):
            sink.write(row | {"path": "[red]odd[/].png"})
    shown = capsys.readouterr().out
    assert shown.count("[red]odd[/].png") == 3
    assert "The light is poor." in shown and "copy it again" in shown


def test_long_comments_are_wrapped():
    (row, *_) = rows("comment")
    lines = plain([row | {"comment": "word " * 60}])
    assert max(map(len, lines)) <= 100
