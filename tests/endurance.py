"""What runs of ``calm score`` cost and survive, on photos of one's own: the figures of docs/lab/products.md, 85 and 90.

    python tests/endurance.py again FOLDER --count 2000   # a second run against the first, and memory on the way
    python tests/endurance.py kill FOLDER --count 160     # kill -9 at ten random moments, then again until done
    python tests/endurance.py calls FOLDER --count 40     # 200 calls from eight threads against single calls
    python tests/endurance.py hostile FOLDER --count 20   # these photos among cut files, bombs, pipes and the like

Each prints one line of JSON. Stores are in folders of their own and go afterwards.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

CALM = [sys.executable, "-m", "calm.cli", "score", "-", "-q"]


def start(paths: list[str], cache: str, *options: str) -> subprocess.Popen[str]:
    """``calm score`` with its answers in ``cache``, beside which converted weights are those of the user."""
    listed = Path(cache) / "paths"
    listed.write_text("\n".join(paths))
    with listed.open() as stream:
        environment = os.environ | {"CALM_CACHE": cache}
        return subprocess.Popen([*CALM, *options], stdin=stream, stdout=subprocess.PIPE, text=True, env=environment)


def new_cache(folder: str, name: str) -> str:
    from calm.data.hashes import cache_dir

    made = Path(folder) / name
    made.mkdir()
    (cache_dir() / "weights").mkdir(parents=True, exist_ok=True)
    (made / "weights").symlink_to(cache_dir() / "weights")
    return str(made)


def resident(process: subprocess.Popen[str]) -> float:
    """Resident memory of a process in MB."""
    lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    return round(int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) / 1024, 1)


def again(paths: list[str], folder: str) -> dict[str, Any]:
    """Seconds and rows of two runs; resident memory after every 500 rows of the first."""
    cache, runs, memory = new_cache(folder, "cache"), [], {}
    for _ in range(2):
        begun, before = time.monotonic(), os.times()
        process, rows = start(paths, cache, "--format", "jsonl"), []
        assert process.stdout is not None
        for line in process.stdout:
            rows.append(line)
            if not runs and len(rows) % 500 == 0:
                memory[len(rows)] = resident(process)
        process.wait()
        after = os.times()
        busy = after.children_user + after.children_system - before.children_user - before.children_system
        runs.append((time.monotonic() - begun, busy, rows))
    (first, first_busy, rows), (second, second_busy, same) = runs
    return {
        "photos": len(rows),
        "seconds": [round(first, 1), round(second, 2), round(second / first, 4)],
        "cpu_seconds": [round(first_busy, 1), round(second_busy, 2), round(second_busy / first_busy, 4)],
        "rows_equal": rows == same,
        "resident_mb": memory,
    }


def kill(paths: list[str], folder: str) -> dict[str, Any]:
    """Rows lost, doubled and different after ten kills, against a run that nobody disturbed.

    Each run goes on where the one before was killed; one that ends before its time has its rows compared, and the next
    begins with an empty store.
    """
    rng, output, ended, killed = random.Random(0), Path(folder) / "rows.jsonl", 0, 0
    begun = time.monotonic()
    whole = start(paths, new_cache(folder, "whole"), "--format", "jsonl", "--batch-size", "4").communicate()[0]
    usual, cache, found = time.monotonic() - begun, new_cache(folder, "0"), Counter[str]()
    while killed < 10 or not output.exists():
        process = start(paths, cache, "--output", str(output), "--batch-size", "4")
        try:
            process.wait(rng.uniform(0, usual / 2) if killed < 10 else None)
        except subprocess.TimeoutExpired:
            process.kill()
        killed += process.wait() == -signal.SIGKILL
        if not output.exists():
            continue
        found += compare(whole.splitlines(), output.read_text().splitlines())
        ended += 1
        if killed < 10:
            output.unlink()
            cache = new_cache(folder, str(ended))
    return {"photos": len(paths), "killed": killed, "ended": ended, **{name: found[name] for name in FAULTS}}


FAULTS = "lost", "doubled", "different"


def compare(wanted: list[str], found: list[str]) -> Counter[str]:
    paths = [{json.loads(row)["path"] for row in rows} for rows in (wanted, found)]
    different = sum(a != b for a, b in zip(wanted, found, strict=False))
    return Counter(lost=len(paths[0] - paths[1]), doubled=len(found) - len(paths[1]), different=different)


def calls(paths: list[str], folder: str) -> dict[str, Any]:
    """Five questions a photo from eight threads, in batches of whatever waits together, against each asked alone."""
    from calm.inference.engine import Engine
    from calm.inference.pipeline import Pipeline
    from calm.inference.tasks import CommentTask, ScoreTask, SuggestTask
    from calm.model.catalogue import model_dir

    model = Pipeline.load(model_dir("calm-small"))
    tasks = [ScoreTask()] * 29 + [SuggestTask()] * 10 + [CommentTask()]
    asked = [(path, tasks[(i + turn) % len(tasks)]) for turn in range(5) for i, path in enumerate(paths)]
    with Engine(model, 1) as single:
        known = {each: single.submit(*each).result() for each in dict.fromkeys(asked)}
    with Engine(model) as engine, ThreadPoolExecutor(8) as threads:
        together = list(threads.map(lambda each: engine.submit(*each).result(), asked))
    alone = [known[each] for each in asked]
    scores = [(a.result.score.value, b.result.score.value) for a, b in zip(alone, together, strict=True)]
    return {
        "calls": len(asked),
        "questions": len(known),
        "different": sum(a != b for a, b in zip(alone, together, strict=True)),
        "largest_difference_of_scores": max(abs(a - b) for a, b in scores),
        "model": [model.name, str(model.dtype)],
    }


def hostile(paths: list[str], folder: str) -> dict[str, Any]:
    """The folder of tests/test_odd_pictures.py, files of every kind cut at every tenth byte, and good photos."""
    from test_odd_pictures import ENDINGS, whole_file
    from test_odd_pictures import hostile as make

    from calm.data.find import find_photos

    place = make(Path(folder) / "photos")
    for ending in ENDINGS:
        whole = whole_file(ending)
        for length in range(0, len(whole), 10):
            (place / f"cut {length}.{ending}").write_bytes(whole[:length])
    for path in paths:
        (place / f"whole {Path(path).name}").symlink_to(path)
    found, told = list(find_photos([str(place)])), {}
    for task in ("score", "suggest"):
        command = [sys.executable, "-m", "calm.cli", task, str(place), "--no-store", "-q", "--format", "jsonl"]
        try:
            done = subprocess.run(command, capture_output=True, timeout=500)
        except subprocess.TimeoutExpired:
            told[task] = {"hangs": 1}
            continue
        rows = [json.loads(line) for line in done.stdout.splitlines()]
        told[task] = {
            "hangs": 0,
            "crashes": int(done.returncode != 1 or b"Traceback" in done.stderr),
            "silent_losses": len(set(found) - {row["path"] for row in rows}) + len(rows) - len(found),
            "unexplained": sum(row["status"] == "failed" and not row["error"] for row in rows),
            "ok": sum(row["status"] == "ok" for row in rows),
        }
    return {"files": len(found), **told}


if __name__ == "__main__":
    reader = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    reader.add_argument("what", choices=["again", "kill", "calls", "hostile"])
    reader.add_argument("folder", type=Path, help="of photos")
    reader.add_argument("--count", type=int, default=200, help="photos, by name")
    reader.add_argument("--first", type=int, default=0, help="which of them to begin with")
    given = reader.parse_args()
    chosen = sorted(str(path) for path in given.folder.rglob("*") if path.suffix.lower() in (".jpg", ".png"))
    with tempfile.TemporaryDirectory() as scratch:
        print(json.dumps(globals()[given.what](chosen[given.first :][: given.count], scratch)))
