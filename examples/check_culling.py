"""Measures ``calm cull`` on what make_series.py made.

python examples/check_culling.py series FOLDER     grouped right, sets culled apart, the untouched frame first
python examples/check_culling.py same FOLDER       plans that differ between runs, and after the folder is renamed
python examples/check_culling.py kill FOLDER       files lost, doubled or changed by SIGKILL and --undo
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from pathlib import Path

from make_series import KINDS

from calm.library.series import WHOLE

CALM = str(Path(sys.executable).with_name("calm"))


def calm(*arguments: object) -> list[dict]:
    """Rows of a command."""
    command = [CALM, *map(str, arguments), "--format", "jsonl", "-q"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def series(folder: Path) -> None:
    """Compares plan and ranking with ``truth.json``: a series is right if it has all of its frames and no other."""
    truth = json.loads((folder / "truth.json").read_text())
    plan = {Path(row["path"]).name: row for row in calm("cull", folder, "--keep", "20%")}
    made, found = defaultdict(set), defaultdict(set)
    for name, row in truth.items():
        made[row["series"]].add(name)
        found[plan[name]["series"]].add(name)
    alone = made.pop(None, set())
    count = defaultdict(lambda: defaultdict(int))
    for frames in made.values():
        kind = truth[min(frames)]["made"]
        rows = [plan[name] for name in frames]
        grouped = found[rows[0]["series"]] == frames and rows[0]["series"] is not None
        apart = KINDS[kind][1] in WHOLE and len({row["decision"] for row in rows}) > 1
        named = grouped and rows[0]["series_kind"] == KINDS[kind][1]
        best = Counter(Path(row["rival"]).name for row in rows if row["rival"]).most_common(1)  # the others name it
        good = grouped and bool(best) and truth[best[0][0]]["done"] == "good"
        for column, holds in {"made": True, "grouped": grouped, "kind": named, "apart": apart, "first": good}.items():
            count[kind][column] += holds
    for kind, columns in count.items():
        line = f"grouped right {columns['grouped']}, of the right kind {columns['kind']}"
        line += f", culled apart {columns['apart']}" if KINDS[kind][1] in WHOLE else ""
        line += f", an untouched frame first {columns['first']}" if kind == "quintet" else ""
        print(f"{kind}: {columns['made']} made, {line}")
    wrong = sum(plan[name]["series"] is not None for name in alone)
    print(
        f"all: {sum(c['grouped'] for c in count.values())} of {len(made)} right; {wrong} of {len(alone)} single "
        "photos in a series"
    )


def same(folder: Path, *, stored: bool) -> None:
    """Two plans of a folder and one after renaming; the folder gets its name back.

    The model is asked anew each time, unless answers are ``stored``: photos are decoded, sketched and compared anew.
    """

    def plan(place: Path) -> dict[str, dict]:
        rows = calm("cull", place, "--keep", "20%", *(() if stored else ("--no-store",)))
        return {
            os.path.relpath(row.pop("path"), place): row
            | {"rival": row["rival"] and os.path.relpath(row["rival"], place)}
            for row in rows
        }

    first, again = plan(folder), plan(folder)
    renamed = folder.rename(folder.with_name(f"{folder.name} renamed"))
    try:
        moved = plan(renamed)
    finally:
        renamed.rename(folder)
    for name, other in (("second run", again), ("renamed", moved)):
        print(f"{name}: {sum(other.get(path) != row for path, row in first.items())} of {len(first)} rows differ")


def snapshot(folder: Path) -> dict[str, tuple[str, int, int]]:
    """Content, time and mode of every file."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    states = [path.stat() for path in files]
    return {
        str(path): (hashlib.sha256(path.read_bytes()).hexdigest(), state.st_mtime_ns, state.st_mode)
        for path, state in zip(files, states, strict=True)
    }


def kill(folder: Path, times: int, seed: int) -> None:
    """Kills the command at a random moment after its journal is written, and takes back what it did."""
    rng, before, wrong, reached = random.Random(seed), snapshot(folder), 0, []
    with tempfile.TemporaryDirectory(dir=folder.parent) as place:
        os.environ["CALM_JOURNALS"] = f"{place}/journals"
        picks, lasts = Path(place, "picks"), {}
        for number in range(-3, times):
            action = ("move", "link", "copy")[number % 3]
            command = [CALM, "cull", folder, "--keep", "20%", f"--{action}", picks, "-q"]
            running = subprocess.Popen(command, stdout=subprocess.DEVNULL)
            while not list(Path(place).glob("journals/*.begun.jsonl")):
                time.sleep(0.002)
            begun = time.perf_counter()
            if number < 0:  # the first of each is timed only
                while list(Path(place).glob("journals/*.begun.jsonl")):
                    time.sleep(0.002)
                lasts[action] = time.perf_counter() - begun
            else:
                time.sleep(rng.uniform(0, lasts[action]))
                running.send_signal(signal.SIGKILL)
            running.wait()
            reached += [sum(path.is_symlink() or path.is_file() for path in picks.rglob("*"))] if number >= 0 else []
            subprocess.run([CALM, "cull", "--undo", "-q"], check=number < 0)
            wrong += snapshot(folder) != before or picks.exists()
    print(
        f"{times} times killed, with {reached} of {len(before)} files done; {wrong} times something was not as before"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("series", "same", "kill"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--stored", action="store_true", help="of same: the model's answers come from the store")
    given = parser.parse_args()
    if given.what == "kill":
        kill(given.folder, given.times, given.seed)
    elif given.what == "same":
        same(given.folder, stored=given.stored)
    else:
        series(given.folder)
