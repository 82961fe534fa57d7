"""The wheel that ``make build`` makes, in an environment that does not know this repository."""

from __future__ import annotations

import json
import os
import shutil
import site
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NEEDED = ("pyproject.toml", "README.md", "LICENSE")


def run(*command: object, folder: Path) -> str:
    """Standard output of a command that succeeds, without this repository on Python's path."""
    known = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run([*map(str, command)], cwd=folder, env=known, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy, so that this repository is left as it is."""
    folder = tmp_path_factory.mktemp("wheel")
    shutil.copytree(ROOT / "src", folder / "src", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    for name in NEEDED:
        shutil.copy(ROOT / name, folder)
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "-q", "--no-deps")
    run(*pip, "--no-build-isolation", "-w", "dist", ".", folder=folder)
    [built] = (folder / "dist").iterdir()
    return built


@pytest.fixture(scope="module")
def fresh(wheel: Path) -> Path:
    """Scripts of an environment with the wheel, and with what it depends on as this one has it."""
    folder = wheel.parents[1] / "environment"
    venv.create(folder, symlinks=True)
    scripts = folder / "bin"
    [packages] = folder.glob("lib/python*/site-packages")
    # a path in a .pth file is searched, but .pth files in it are not read: no editable install gets in
    (packages / "others.pth").write_text("\n".join(site.getsitepackages()) + "\n")
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", scripts / "python")
    run(*pip, "install", "-q", "--no-deps", "--no-index", "--ignore-installed", wheel, folder=folder)
    return scripts


def test_the_wheel_is_small_and_holds_all_that_the_package_reads(wheel: Path) -> None:
    assert wheel.stat().st_size < 100e6
    held = set(zipfile.ZipFile(wheel).namelist())
    here = (path.relative_to(ROOT / "src").as_posix() for path in (ROOT / "src/calm").rglob("*") if path.is_file())
    missing = {name for name in here if "__pycache__" not in name} - held
    assert not missing, missing


def test_it_scores_photos_in_a_fresh_environment(fresh: Path, tmp_path: Path) -> None:
    where = run(fresh / "python", "-c", "import calm; print(calm.__file__)", folder=tmp_path)
    assert Path(where.strip()).is_relative_to(fresh.parent)
    shutil.copy(ROOT / "examples/coffee.jpg", tmp_path)
    [row] = run(fresh / "calm", "score", "coffee.jpg", "--format", "jsonl", "-q", folder=tmp_path).splitlines()
    golden = json.loads((ROOT / "tests/golden_scores.json").read_text())
    assert json.loads(row)["score"] == pytest.approx(golden["coffee.jpg"], abs=0.05)
