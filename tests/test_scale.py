"""Runs on a cluster: every photo has its row once, whatever is killed; photos come from everywhere."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from parts import write_trained
from PIL import Image
from test_docs import DOCS, blocks
from test_one_pretrained import SHAPE

from calm.errors import UsageError
from calm.inference.engine import Engine
from calm.inference.output import columns
from calm.inference.pipeline import Pipeline
from calm.inference.tasks import CommentTask, ScoreTask
from calm.scale.partitions import BEGUN, ENDED, Folder, Job, Worker, file_name
from calm.scale.sources import Part, divide, load, read

READ = ("path", "sha256", "width", "height", "status", "error", "score", "distribution")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_trained(tmp_path_factory.mktemp("model"), SHAPE)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """300 photos of which no two are alike; number 7 is torn and number 8 is none."""
    folder, random = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    for i in range(300):
        small = random.integers(0, 256, (6, 8, 3), dtype=np.uint8)
        Image.fromarray(small).resize((320, 240)).save(folder / f"p{i}.jpg")
    (folder / "p7.jpg").write_bytes((folder / "p7.jpg").read_bytes()[:900])
    (folder / "p8.jpg").write_text("no photo")
    return folder


def names(folder: Path, count: int) -> list[str]:
    return [str(folder / f"p{i}.jpg") for i in range(count)]


def rows(folder: str | Path, *more: str) -> list[dict]:
    files = sorted(Path(folder).glob("part-*.parquet"))
    return [row for each in files for row in pq.read_table(each, columns=[*READ, *more]).to_pylist()]


def answered(job: Job, parts: list[Part]) -> list[dict]:
    worker = Worker(job)
    for part in parts:
        assert worker.answer(part)["new"]
    return rows(job.output)


# ------------------------------------------------------------------------------------------------ sources


def shard(path: Path, photos: list[str], mode: str = "w") -> Path:
    with tarfile.open(path, mode) as archive:
        for i, photo in enumerate(photos):
            archive.add(photo, f"{i:03}.jpg")
            text = tarfile.TarInfo(f"{i:03}.txt")
            text.size = 2
            archive.addfile(text, io.BytesIO(b"hi"))
    return path


def test_the_same_rows_from_files_tables_shards_and_urls(photos, model, tmp_path):
    """Rows are the local engine's; those of tables and shards are, but for the names."""
    some = names(photos, 12)
    data = [Path(each).read_bytes() for each in some]
    pq.write_table(pa.table({"url": some, "n": range(12)}), tmp_path / "names.parquet")
    pq.write_table(pa.table({"id": some, "jpg": data}), tmp_path / "bytes.parquet", row_group_size=4)
    structs = [{"bytes": each, "path": None} for each in data]
    pq.write_table(pa.table({"image": structs}), tmp_path / "hub.parquet", row_group_size=3)
    (tmp_path / "some.txt").write_text("\n".join(some))
    system = fsspec.filesystem("memory")
    for name, each in zip(some, data, strict=True):
        system.pipe_file(f"/bucket/{Path(name).name}", each)
    system.pipe_file("/bucket/readme.md", b"no photo")
    given = {
        "files": some,
        "list": [str(tmp_path / "some.txt")],
        "names": [str(tmp_path / "names.parquet")],
        "bytes": [str(tmp_path / "bytes.parquet")],
        "hub": [str(tmp_path / "hub.parquet")],
        "shard": [str(shard(tmp_path / "a.tar", some))],
        "compressed": [str(shard(tmp_path / "b.tgz", some, "w:gz"))],
        "url": ["memory://bucket"],
        "pattern": ["memory://bucket/p*.jpg"],
    }
    with Engine(Pipeline.load(model), 32) as engine:
        wanted = [row.as_dict() for row in engine.rows(some, ScoreTask())]
    assert [row["status"] for row in wanted].count("failed") == 2
    for kind, sources in given.items():
        parts = divide(sources, 5)
        assert [part.number for part in parts] == list(
            range({"bytes": 2, "hub": 2, "shard": 1, "compressed": 1}.get(kind, 3))
        )
        found = answered(Job("score", ScoreTask(), str(tmp_path / f"out-{kind}"), str(model)), parts)
        for row, other in zip(found, wanted, strict=True):
            assert row["sha256"] == other["sha256"] and row["status"] == other["status"]
            assert row["score"] == pytest.approx(other["score"], abs=1e-4)
            if kind in ("files", "list", "names"):
                assert row["path"] == other["path"] and row["error"] == other["error"]
        assert len({row["path"] for row in found}) == 12
    assert rows(tmp_path / "out-bytes")[5]["path"] == f"{tmp_path}/bytes.parquet::5"
    assert rows(tmp_path / "out-shard")[5]["path"] == f"{tmp_path}/a.tar::005.jpg"


def test_what_is_missing_or_breaks_off_is_a_row(photos, model, tmp_path):
    some = names(photos, 4)
    whole = shard(tmp_path / "a.tar", some).read_bytes()
    (tmp_path / "torn.tar").write_bytes(whole[: whole.index(b"003.jpg") + 2000])
    pq.write_table(pa.table({"jpg": [Path(some[0]).read_bytes(), None]}), tmp_path / "gaps.parquet")
    parts = divide([str(tmp_path / each) for each in ("torn.tar", "gone.tar", "gaps.parquet")], 9)
    found = answered(Job("score", ScoreTask(), str(tmp_path / "out"), str(model)), parts)
    errors = {row["path"].removeprefix(f"{tmp_path}/"): row["error"] for row in found if row["error"]}
    assert set(errors) == {"torn.tar", "gone.tar", "gaps.parquet::1"} and len(found) == 7
    assert "found 3 photos in it" in errors["torn.tar"] and "No such file" in errors["gone.tar"]
    assert "empty cell" in errors["gaps.parquet::1"]


def test_reads_over_the_network_are_tried_again(photos, monkeypatch, tmp_path):
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    fsspec.filesystem("memory").pipe_file("/shaky/p0.jpg", (photos / "p0.jpg").read_bytes())
    tried, opened = [], fsspec.open

    def shaky(*given: str):
        tried.append(given)
        if len(tried) % 3:
            raise OSError("connection reset")
        return opened(*given)

    monkeypatch.setattr(fsspec, "open", shaky)
    assert load("memory://shaky/p0.jpg").width == 320 and len(tried) == 3
    [part] = [Part(0, "shard", (str(f"memory://{shard(tmp_path / 'a.tar', names(photos, 2))}"),))]
    with pytest.raises(OSError, match="reset"):  # which a worker answers by beginning anew
        list(read(part))


def test_columns_that_cannot_be_told_are_asked_for(photos, tmp_path):
    pq.write_table(pa.table({"where": names(photos, 3)}), tmp_path / "a.parquet")
    with pytest.raises(UsageError, match="found where; name one with --column"):
        divide([str(tmp_path / "a.parquet")], 2)
    assert [part.stop for part in divide([str(tmp_path / "a.parquet")], 2, "where")] == [2, 3]
    (tmp_path / "b.parquet").write_text("no table")
    with pytest.raises(UsageError, match="expected to read .*b.parquet"):
        divide([str(tmp_path / "b.parquet")], 2)


def test_a_partition_that_ends_its_worker_again_and_again_is_left_aside(photos, model, tmp_path):
    job = Job("score", ScoreTask(), str(tmp_path / "out"), str(model))
    [part] = divide(names(photos, 2), 9)
    Folder(job.output).write(f"{BEGUN}000000", str(ENDED).encode())
    assert "ended its worker" in Worker(job).answer(part)["lost"]
    assert not list((tmp_path / "out").glob("part-*"))


def test_comments_and_faults_that_are_no_photos(photos, model, tmp_path):
    [part] = divide(names(photos, 2), 9)
    answered(Job("comment", CommentTask(("light",)), str(tmp_path / "a"), str(model)), [part])
    assert [row["comment"][:6] for row in rows(tmp_path / "a", "comment", "aspects")] == ["Light:"] * 2
    told = Worker(Job("comment", CommentTask(("soul",)), str(tmp_path / "b"), str(model))).answer(part)
    assert "expected an aspect of" in told["fault"] and not rows(tmp_path / "b")


def test_no_more_is_read_than_is_answered_soon(photos, model, tmp_path, monkeypatch):
    """Photos of a shard wait in the shard: at most three batches of them are in memory."""
    from calm.scale import partitions

    held, most = 0, 0

    def counted(part: Part) -> Iterator:
        nonlocal held, most
        for each in read(part):
            held += 1
            most = max(most, held)
            yield each

    def fewer(self: Pipeline, given: list) -> list:
        nonlocal held
        held -= len(given)
        return usual(self, given)

    usual = Pipeline.score
    monkeypatch.setattr(Pipeline, "score", fewer)
    monkeypatch.setattr(partitions, "read", counted)
    parts = divide([str(shard(tmp_path / "a.tar", [str(photos / f"p{i}.jpg") for i in range(100, 160)]))], 100)
    answered(Job("score", ScoreTask(), str(tmp_path / "out"), str(model), batch_size=4), parts)
    assert most <= 12


def test_output_at_a_url(photos, model, tmp_path):
    job = Job("score", ScoreTask(), "memory://rows/here", str(model))
    worker, [part] = Worker(job), divide(names(photos, 3), 9)
    assert worker.answer(part) | {"new": False} == worker.answer(part) and worker.folder.names() == {file_name(0)}
    assert pq.read_table(io.BytesIO(worker.folder.read(file_name(0)))).num_rows == 3


# ------------------------------------------------------------------------------------------------ cluster


@pytest.fixture(scope="module")
def ray():
    """Two worker processes on this machine."""
    found = pytest.importorskip("ray", reason="Ray is not installed: pip install 'calm-aesthetics[ray]'")
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    found.init("local", num_cpus=2, object_store_memory=200_000_000, include_dashboard=False, log_to_driver=False)
    yield found
    found.shutdown()


def descendants() -> Iterator[int]:
    """Processes that this one started, and that those started."""
    parents = {}
    for each in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(each.parent.name)] = int(each.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    for pid in parents:
        above = pid
        while above in parents and above != os.getpid():
            above = parents[above]
        if above == os.getpid():
            yield pid


def workers() -> list[int]:
    """Processes that answer partitions."""
    found = []
    for pid in descendants():
        try:
            name = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            continue
        if b"ray::" in name and b"Worker" in name:
            found.append(pid)
    return found


def kill_amid(output: Path, times: int, killed: list[int]) -> None:
    """Kill workers, each time when some partitions are done and others have begun."""
    for turn in range(times):
        done = 0
        while done < 2 + 3 * turn or not list(output.glob(f"{BEGUN}*")):
            time.sleep(0.002)
            done = len(list(output.glob("part-*.parquet")))
        there = workers()
        os.kill(there[turn % len(there)], signal.SIGKILL)
        killed.append(there[turn % len(there)])


def whole(output: Path, wanted: list[str]) -> None:
    """Every photo has its row, once."""
    assert sorted(row["path"] for row in rows(output)) == sorted(wanted)
    assert not [each for each in output.iterdir() if each.name.startswith(".")]


@pytest.mark.filterwarnings("default")
def test_a_killed_worker_loses_and_doubles_nothing(ray, photos, model, tmp_path):
    from calm.scale import cluster

    output, killed = tmp_path / "out", []
    wanted = names(photos, 300)
    parts = divide(wanted, 12)
    job = Job("score", ScoreTask(), str(output), str(model), batch_size=4)
    killer = threading.Thread(target=kill_amid, args=(output, 2, killed), daemon=True)
    killer.start()
    told = cluster.run(job, parts, workers=2)
    killer.join(1)
    assert len(killed) == 2 and told["workers"] == 2
    whole(output, wanted)
    assert (told["photos"], told["ok"], told["failed"], told["lost"]) == (300, 298, 2, [])
    assert told == json.loads((output / cluster.STATISTICS).read_text())
    assert sum(told["scores"].values()) == 298 and len(told["errors"]) == 2
    with pytest.raises(UsageError, match="found another .*input_sha256.*--overwrite"):
        cluster.run(job, parts[1:])
    with pytest.raises(UsageError, match="new or empty folder"):
        cluster.run(Job("score", ScoreTask(), str(photos), str(model)), parts)


@pytest.mark.filterwarnings("default")
def test_a_run_that_was_killed_goes_on(ray, photos, model, tmp_path):
    """The command itself on the cluster's address, killed; no file is half-written and finished ones stay."""
    output, wanted = tmp_path / "out", names(photos, 300)
    command = [sys.executable, "-m", "calm.cli", "score", str(photos), "--engine", "ray", "--output", str(output)]
    command += ["--ray-address", ray.get_runtime_context().gcs_address, "--model", str(model), "--partition", "12"]
    first = subprocess.Popen([*command, "-q"], stderr=subprocess.PIPE)
    while len(list(output.glob("part-*.parquet"))) < 3:
        assert first.poll() is None, first.communicate()
        time.sleep(0.01)
    first.kill()
    first.wait()
    done = {each.name: each.stat().st_mtime_ns for each in output.glob("part-*.parquet")}
    assert 3 <= len(done) < 25 and not (output / "_statistics.json").exists()
    again = subprocess.run(command, capture_output=True, text=True, check=False)
    assert again.returncode == 1 and "2 of 300 photos failed" in again.stderr, again.stderr
    whole(output, wanted)
    assert done.items() <= {each.name: each.stat().st_mtime_ns for each in output.glob("part-*.parquet")}.items()


@pytest.mark.filterwarnings("default")
def test_the_pipeline_of_the_page(ray, photos, model, tmp_path):
    some = names(photos, 9)
    pq.write_table(pa.table({"path": some, "id": range(9)}), tmp_path / "photos.parquet")
    [block] = [block for block in blocks(DOCS / "cluster.md") if block.language == "python"]
    text = block.text.replace('"calm-small"', repr(str(model))).replace(">= 7", ">= 0")
    for name in ("photos.parquet", "good"):  # workers start in another folder
        text = text.replace(f'("{name}")', f"({str(tmp_path / name)!r})")
    exec(compile(text, "docs/cluster.md", "exec"), {})
    kept = pq.read_table(tmp_path / "good").to_pylist()
    assert {row["path"] for row in kept} == set(some) - {some[7], some[8]}
    assert set(kept[0]) == {"path", "id", "calm"} and set(kept[0]["calm"]) == set(columns("score"))


def test_options_that_do_not_go_together(photos, capsys):
    from test_cli import calm

    for options, words in (
        (["--workers", 2], "expected --engine ray beside options of it"),
        (["--engine", "ray"], "expected --output DIR_OR_URL"),
        (["--engine", "ray", "--output", "x", "--exif"], "expected no --exif with --engine ray"),
    ):
        assert calm("score", photos, *options) == 2
        assert words in capsys.readouterr().err
