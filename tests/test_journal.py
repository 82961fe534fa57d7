"""Files that are linked, copied and moved: nothing is lost, doubled or changed, whatever happens meanwhile."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from calm.errors import JournalError, UsageError
from calm.library.journal import Journal, Step, begin, journals
from calm.library.sidecars import Marks, mark
from calm.library.sidecars import plan as plan_marks

KILLS = 5
COUNT = 12
KILLED = """
import errno, os, random, signal, sys
from pathlib import Path
sys.path[:0] = {paths!r}
from calm.library import journal
from test_journal import plan, snapshot

shoot, picks, action, elsewhere = Path({shoot!r}), Path({picks!r}), {action!r}, {elsewhere}
link = os.link

def other_disk(source, target, **options):
    if not str(source).endswith(".part"):
        raise OSError(errno.EXDEV, "another disk")
    link(source, target, **options)

def traced(work, last=None):
    # Does the work, counting lines of the module, and dies at the line of number last.
    reached = 0
    def trace(frame, event, argument):
        nonlocal reached
        if frame.f_code.co_filename != journal.__file__:
            return None
        reached += event == "line"
        if last is not None and reached > last:
            os.kill(os.getpid(), signal.SIGKILL)
        return trace
    sys.settrace(trace)
    work()
    sys.settrace(None)
    return reached

def killed(work, last):
    child = os.fork()
    if not child:
        traced(work, last)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

if elsewhere:
    os.link = other_disk
before, rng, reached = snapshot(shoot), random.Random(0), set()
made = journal.begin(plan(shoot, picks, action))
acting, undoing = traced(made.carry_out), traced(made.take_back)
for _ in range({kills}):
    made = journal.begin(plan(shoot, picks, action))
    assert killed(made.carry_out, rng.randrange(acting * 9 // 10)) == -signal.SIGKILL
    reached.add((len(snapshot(picks)), str(snapshot(shoot))))
    (made,) = journal.journals()
    assert made.state == journal.BEGUN
    killed(made.take_back, rng.randrange(undoing // 2))
    for found in journal.journals():
        assert found.take_back() == []
    assert snapshot(shoot) == before, set(snapshot(shoot)) ^ set(before)
    assert not picks.exists() and not list(journal.journals())
assert len(reached) > {kills} // 2, "the actions should have come to different points"
"""


def snapshot(folder: Path) -> dict[str, tuple[str, int, int]]:
    """Every file below a folder: SHA-256, time of change, permissions."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if not path.is_dir():
            state = path.stat()
            time = 0 if path.suffix == ".xmp" else state.st_mtime_ns  # a sidecar is written anew
            found[str(path)] = (hashlib.sha256(path.read_bytes()).hexdigest(), time, state.st_mode)
    return found


def plan(shoot: Path, picks: Path, action: str) -> list[Step]:
    if action == "mark":
        return [
            Step.mark(plan_marks(name, Marks(6.0, "m", 3))) for name in snapshot(shoot) if not name.endswith(".xmp")
        ]
    return [
        Step(action, name, str(picks / "keep" / os.path.relpath(name, shoot)), sha256)  # type: ignore[arg-type]
        for name, (sha256, *_) in snapshot(shoot).items()
    ]


@pytest.fixture(autouse=True)
def own_journals(tmp_path, monkeypatch):
    monkeypatch.setenv("CALM_JOURNALS", str(tmp_path / "journals"))


@pytest.fixture
def shoot(tmp_path):
    folder = tmp_path / "shoot"
    for number in range(COUNT):
        path = folder / f"day {number % 3}" / f"IMG_{number:04}.JPG"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(hashlib.sha256(bytes([number])).digest() * (2000 + 3000 * number))
        os.utime(path, ns=(10**18 + number, 10**18 + number))
    return folder


def one(shoot: Path, picks: Path, action: str) -> tuple[Journal, Step]:
    (step,) = plan(shoot, picks, action)[:1]
    return begin([step]), step


@pytest.mark.parametrize("action", ["link", "copy", "move"])
def test_actions_do_what_they_say_and_are_taken_back(shoot, tmp_path, action):
    before, picks = snapshot(shoot), tmp_path / "picks"
    made = begin(plan(shoot, picks, action))
    assert snapshot(shoot) == before and not picks.exists()
    made.carry_out()
    arrived = snapshot(picks / "keep")
    assert [each[:2] for each in arrived.values()] == [each[:2] for each in before.values()]
    assert all(Path(name).is_symlink() == (action == "link") for name in arrived)
    assert snapshot(shoot) == ({} if action == "move" else before)
    assert [each.path for each in journals(shoot)] == [each.path for each in journals(picks)] == [made.path]
    assert not list(journals(tmp_path / "other"))
    assert made.take_back() == []
    assert snapshot(shoot) == before and not picks.exists() and not list(journals())


@pytest.mark.parametrize(("action", "elsewhere"), [("link", 0), ("copy", 0), ("move", 0), ("move", 1), ("mark", 0)])
def test_killed_at_any_moment_nothing_is_lost_doubled_or_changed(shoot, tmp_path, action, elsewhere):
    """Twenty actions in all end by SIGKILL at a random line each, and so does the first attempt to take them back."""
    for path in sorted(shoot.rglob("*.JPG"))[::3] if action == "mark" else ():
        mark(str(path), Marks(5.0, "m", 2))  # every third photo has a sidecar before
    paths = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "src")]
    given = {"shoot": str(shoot), "picks": str(tmp_path / "picks"), "action": action, "elsewhere": elsewhere}
    code = KILLED.format(paths=paths, kills=KILLS, **given)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_nothing_is_overwritten(shoot, tmp_path):
    picks, steps = tmp_path / "picks", plan(shoot, tmp_path / "picks", "move")
    before = snapshot(shoot)
    Path(steps[3].target).parent.mkdir(parents=True)
    Path(steps[3].target).write_text("mine")
    with pytest.raises(UsageError, match="expected a free place"):
        begin(steps)
    Path(steps[3].target).unlink()
    made = begin(steps)
    Path(steps[3].target).write_text("mine")  # it comes between plan and action
    with pytest.raises(JournalError, match=f"3 of {COUNT} files were done before it"):
        made.carry_out()
    assert made.take_back() == [f"{steps[3].target}: differs from {steps[3].source} by now; both left as they are"]
    assert snapshot(shoot) == before and Path(steps[3].target).read_text() == "mine"
    assert not list(journals(picks))


def test_what_a_person_did_since_is_left(shoot, tmp_path):
    copied, step = one(shoot, tmp_path / "picks", "copy")
    copied.carry_out()
    Path(step.target).write_text("retouched")
    assert "both left as they are" in copied.take_back()[0] and Path(step.target).read_text() == "retouched"

    moved, step = one(shoot, tmp_path / "moved", "move")
    moved.carry_out()
    Path(step.target).write_text("retouched")
    assert moved.take_back() == [] and Path(step.source).read_text() == "retouched"

    linked, step = one(shoot, tmp_path / "linked", "link")
    linked.carry_out()
    Path(step.target).unlink()
    Path(step.target).write_text("another")
    assert "not the link" in linked.take_back()[0] and Path(step.target).read_text() == "another"

    copied, step = one(shoot, tmp_path / "last", "copy")
    copied.carry_out()
    Path(step.source).unlink()
    assert "its original" in copied.take_back()[0] and Path(step.target).exists()


def test_a_photo_that_changed_since_the_plan_is_not_copied(shoot, tmp_path):
    made, step = one(shoot, tmp_path / "picks", "copy")
    Path(step.source).write_text("changed")
    with pytest.raises(JournalError, match="changed since the plan"):
        made.carry_out()
    assert made.take_back() == [] and not Path(step.target).parent.exists()
    assert Path(step.source).read_text() == "changed"


def test_links_are_not_moved(shoot, tmp_path):
    link = shoot / "link.jpg"
    link.symlink_to(shoot / "day 0" / "IMG_0000.JPG")
    with pytest.raises(UsageError, match="found the link"):
        begin(plan(shoot, tmp_path / "picks", "move"))
    assert not list(journals())


def test_two_at_once_do_not_meet(shoot, tmp_path):
    import filelock

    made, _ = one(shoot, tmp_path / "picks", "move")
    with filelock.FileLock(tmp_path / "journals" / "lock"), pytest.raises(UsageError, match="no other calm cull"):
        made.carry_out()
    assert not (tmp_path / "picks").exists()
