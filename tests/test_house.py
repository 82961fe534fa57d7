"""Rules of the house that a reader should not have to check by hand."""

from __future__ import annotations

import ast
import subprocess
import sys
import time
from pathlib import Path

import pytest

import calm

SOURCE = Path(calm.__file__).parent
FILES = sorted(SOURCE.rglob("*.py"))
MAX_LINES = 400

FLOORS = [
    {"types", "errors", "calm"},
    {"model", "edits", "data", "tasks", "personal"},
    {
        "train",
        "eval",
        "engine",
        "inference",
        "catalogue",
        "trial",
        "table",
        "output",
        "api",
        "profiles",
        "metric",
    },
    {"cli"},
]
"""Each part may import from its own floor and from those above it in this list."""
HEAVY = ("torch", "transformers", "numpy", "cv2", "PIL", "scipy", "pyarrow", "rich", "yaml", "peft", "onnx")
"""What ``calm --help`` has no use for."""


def part(module: str) -> str:
    """``calm.data.images`` is part ``data``; ``calm`` itself is ``calm``."""
    return (module.split(".") + ["calm"])[1] if module != "calm" else "calm"


def module_of(path: Path) -> str:
    return ".".join(("calm", *path.relative_to(SOURCE).with_suffix("").parts)).removesuffix(".__init__")


def floor(name: str) -> int:
    return next((i for i, names in enumerate(FLOORS) if name in names), -1)


def imported(path: Path) -> set[str]:
    """Modules of this package that a file imports, wherever in it, but for those that only types need."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    unneeded = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for inner in ast.walk(node)
    }
    found: set[str] = set()
    for node in ast.walk(tree):
        if id(node) in unneeded:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute here"
            found.add(node.module or "")
    return {name for name in found if name.split(".")[0] == "calm"}


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_imports_go_one_way(path):
    own = part(module_of(path))
    assert floor(own) >= 0, f"{own} has no floor yet: add it to FLOORS"
    for other in imported(path):
        assert floor(part(other)) <= floor(own), f"{module_of(path)} imports {other}, which stands above it"


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_files_are_short(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MAX_LINES


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_nothing_is_unpickled(path):
    """Weights come as safetensors: a pickle runs whatever code it holds."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = {alias.name for alias in node.names} | {getattr(node, "module", None) or ""}
            assert not names & {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            assert called not in ("torch.save", "torch.load", "pickle.load", "pickle.loads"), f"{path}: {called}"
            if called.endswith(("np.load", "numpy.load")):
                assert not any(word.arg == "allow_pickle" for word in node.keywords), f"{path}: allow_pickle"


def test_there_is_no_drawer_for_everything():
    assert not [path for path in FILES if path.stem in ("utils", "util", "helpers", "misc", "common")]


def test_public_names_are_sorted_and_typed_alike():
    assert list(calm.__all__) == sorted(calm.__all__)
    assert list(calm._HOMES) == list(calm.__all__)
    tree = ast.parse((SOURCE / "__init__.py").read_text(encoding="utf-8"))
    typed = {
        (alias.name, node.module)
        for branch in ast.walk(tree)
        if isinstance(branch, ast.If)
        for node in ast.walk(branch)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert typed == set(calm._HOMES.items())


@pytest.mark.parametrize("arguments", [["--help"], ["score", "--help"], ["eval", "edits", "--help"], ["--version"]])
def test_help_imports_nothing_heavy(arguments):
    code = (
        "import sys\nfrom calm.cli import main\n"
        f"try:\n    main({arguments!r})\nexcept SystemExit as left:\n    assert not left.code, left.code\n"
        f"print('heavy:', *sorted(set({HEAVY!r}) & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == "heavy:\n"


def test_help_takes_little_longer_than_the_library_that_prints_it():
    def seconds(*arguments: str) -> float:
        began = time.perf_counter()
        subprocess.run([sys.executable, *arguments], capture_output=True, check=True)
        return time.perf_counter() - began

    # The best of a few, in turns: the machine may be busy with something else.
    turns = [(seconds("-m", "calm.cli", "--help"), seconds("-c", "import typer")) for _ in range(5)]
    assert min(own for own, _ in turns) <= 4 * min(other for _, other in turns)


def test_importing_the_package_imports_nothing_heavy():
    code = f"import sys, calm; print(*sorted(set({HEAVY!r}) & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_packaged_models_say_what_they_may_be_used_for():
    from calm.catalogue import PACKAGED, card

    for folder in PACKAGED.iterdir() if PACKAGED.is_dir() else ():
        about = card(folder)
        assert {"summary", "licence", "terms", "parts"} <= set(about), f"{folder} has no complete model card"
        assert "PARA" not in str(about) or "research" in str(about["terms"])


def test_what_make_setup_pins_fits_the_package():
    import tomllib

    root = SOURCE.parents[1]
    with (root / "pyproject.toml").open("rb") as stream:
        project = tomllib.load(stream)["project"]
    torch = [each for each in project["dependencies"] if each.startswith("torch")]
    assert torch == ["torch==2.13.0"]
    assert "$(PIP) torch==2.13.0" in (root / "Makefile").read_text()
    assert "torch==2.13.0" in (root / "constraints.txt").read_text().splitlines()
    assert not any("torchvision" in each for each in project["dependencies"])


def test_weights_are_pinned_and_hashed_alike():
    from calm.model.weights import FOCUS, SMOLLM2

    text = (SOURCE.parents[1] / "requirements-weights.txt").read_text()
    pinned = [line for line in text.splitlines() if "==" in line and not line.startswith("#")]
    wanted = [part.requirement for part in (FOCUS, SMOLLM2)]
    assert sorted(line.split()[0] for line in pinned) == sorted(wanted)
    assert text.count("--hash=sha256:") == len(pinned)
