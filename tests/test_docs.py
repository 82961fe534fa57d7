"""The documentation: it builds without a warning, its links lead somewhere, its commands exist, its examples run."""

from __future__ import annotations

import html
import importlib
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType
from urllib.parse import unquote, urlsplit

import numpy as np
import pytest
import typer
import yaml
from doubles import BrightModel
from layouts import photo, table
from typer.testing import CliRunner

import calm
import calm.data.datasets
import calm.eval.compare.rows
from calm.cli.app import app
from calm.data.record import dataset, datasets
from calm.eval.compare.row import Place, kind
from calm.eval.compare.spec import RowSpec
from calm.inference.output import open_sink
from calm.types import Row

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
FENCE = re.compile(r"^( *)```(\w+)(?: title=\"([^\"]+)\")?\n(.*?)^\1```$", re.DOTALL | re.MULTILINE)
RELATIVE = re.compile(r"\]\((?!https?://|mailto:|#)([^)\s#]+)(?:#[^)\s]*)?\)")


@dataclass(frozen=True)
class Block:
    """A block of code on a page."""

    language: str
    title: str
    text: str


def blocks(path: Path) -> list[Block]:
    found = FENCE.finditer(path.read_text(encoding="utf-8"))
    return [Block(each[2], each[3] or "", re.sub(f"^{each[1]}", "", each[4], flags=re.MULTILINE)) for each in found]


def example(page: str, title: str) -> str:
    [found] = [block.text for block in blocks(DOCS / "extend" / page) if block.title == title]
    return found


# ------------------------------------------------------------------------------------------------ the site


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "WARNING" not in done.stderr
    return folder


class Read(HTMLParser):
    """Links and anchors of a page, and what it loads."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.anchors: set[str] = set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.anchors |= {given[name] for name in ("id", "name") if name in given}
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        if tag in ("img", "script", "iframe", "source") and "src" in given:
            self.loaded.append(given["src"])
        if tag == "link" and given.get("rel") in ("stylesheet", "icon", "preconnect", "preload"):
            self.loaded.append(given["href"])


@pytest.fixture(scope="module")
def read(site: Path) -> dict[Path, Read]:
    return {path: Read(path) for path in sorted(site.rglob("*.html")) if path.name != "404.html"}


def test_there_is_a_page_for_every_file(read, site):
    wanted = {site / path.relative_to(DOCS).with_suffix(".html") for path in PAGES} | {site / "model-card.html"}
    assert set(read) == wanted


def test_every_internal_link_and_anchor_leads_somewhere(read):
    checked = 0
    for page, found in read.items():
        for link in found.links + found.loaded:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                assert parts.scheme == "https" and "." in parts.netloc, f"{page.name}: {link}"
                continue
            target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
            target = target / "index.html" if target.is_dir() else target
            assert target.is_file(), f"{page.name}: {link} leads nowhere"
            if parts.fragment and target.suffix == ".html":
                assert unquote(parts.fragment) in read[target].anchors, f"{page.name}: {link} has no such anchor"
            checked += 1
    assert checked > 500


def test_nothing_is_loaded_from_another_server(read, site):
    for page, found in read.items():
        assert found.loaded and not [each for each in found.loaded if urlsplit(each).netloc], page.name
    for sheet in site.rglob("*.css"):
        assert not re.search(r"url\(['\"]?(?:https?:)?//|@import", sheet.read_text(encoding="utf-8")), sheet


def test_the_reference_has_every_public_name_and_no_unread_role(read, site):
    anchors = {anchor for found in read.values() for anchor in found.anchors}
    assert {f"{home}.{name}" for name, home in calm._HOMES.items()} <= anchors
    for page in read:
        unread = re.search(r":(?:class|func|data|attr|mod):|\bmeth:|autoref[ &>]", page.read_text(encoding="utf-8"))
        assert not unread, f"{page.name}: {unread}"


def test_links_of_the_sources_resolve_where_they_are_written():
    for path in [*PAGES, ROOT / "README.md", ROOT / "examples" / "README.md"]:
        for link in RELATIVE.findall(path.read_text(encoding="utf-8")):
            assert (path.parent / link).exists(), f"{path.relative_to(ROOT)}: {link} leads nowhere"


# ------------------------------------------------------------------------------------------------ commands


def walk(command, names: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], object]]:
    yield names, command
    for name, child in getattr(command, "commands", {}).items():
        yield from walk(child, (*names, name))


COMMANDS = dict(walk(typer.main.get_command(app)))


def test_every_command_has_its_help_on_the_page(read, site):
    text = (site / "reference" / "commands.html").read_text(encoding="utf-8")
    shown = html.unescape(re.sub(r"<[^>]+>", "", text))
    anchors = read[site / "reference" / "commands.html"].anchors
    assert len(COMMANDS) > 20
    for names in COMMANDS:
        assert "-".join(("calm", *names)) in anchors
        asked = CliRunner().invoke(app, [*names, "--help"], prog_name="calm", terminal_width=78)
        assert asked.exit_code == 0 and asked.stdout.strip() in shown, names


def asked_for(path: Path) -> Iterator[list[str]]:
    """Every use of ``calm`` in the shell blocks of a page, as words."""
    for block in blocks(path):
        lines = block.text.splitlines() if block.language in ("bash", "console") else []
        for line in lines:
            if block.language == "console" and not line.startswith("$ "):
                continue  # what it answers
            lexer = shlex.shlex(line.removeprefix("$ "), posix=True, punctuation_chars=True)
            lexer.whitespace_split = True
            words: list[str] = []
            for word in [*lexer, ";"]:
                if word.strip("|;&<>()"):
                    words.append(word)
                    continue
                if words[:1] == ["calm"]:
                    yield words[1:]
                words = []


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(DOCS)))
def test_commands_on_the_pages_exist_with_their_options(path):
    for words in asked_for(path):
        names: tuple[str, ...] = ()
        while len(words) > len(names) and (*names, words[len(names)]) in COMMANDS:
            names = (*names, words[len(names)])
        command = COMMANDS[names]
        assert not hasattr(command, "commands") or command.invoke_without_command, (
            f"calm {' '.join(words)} names no command"
        )
        known = {option for parameter in command.params for option in parameter.opts + parameter.secondary_opts}
        used = {word.split("=")[0] for word in words if word.startswith("-") and word != "-"}
        assert used <= known | {"--help"}, f"calm {' '.join(words)}"


def test_the_tutorials_use_commands():
    assert all(len(list(asked_for(path))) >= 4 for path in (DOCS / "tutorials").glob("*.md"))


# ------------------------------------------------------------------------------------------------ examples


@pytest.fixture
def plug(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """Puts an example where its title says, as if it stood in that folder of the package."""
    added: list[str] = []

    def put(package: ModuleType, page: str, name: str) -> None:
        folder = tmp_path / package.__name__
        folder.mkdir()
        place = "/".join(["src", *package.__name__.split("."), f"{name}.py"])
        (folder / f"{name}.py").write_text(example(page, place), encoding="utf-8")
        monkeypatch.setattr(package, "__path__", [*package.__path__, str(folder)])
        importlib.invalidate_caches()
        added.append(f"{package.__name__}.{name}")

    datasets.cache_clear()
    yield put
    datasets.cache_clear()
    for name in added:
        module = sys.modules.pop(name, None)
        package, _, last = name.rpartition(".")
        if module is not None:
            delattr(sys.modules[package], last)


def test_the_example_of_an_edit_joins_lessons_words_and_remedies(tmp_path):
    package = tmp_path / "calm"
    shutil.copytree(ROOT / "src" / "calm", package, ignore=shutil.ignore_patterns("models", "__pycache__"))
    (package / "edits" / "fringes.py").write_text(example("edit.md", "src/calm/edits/fringes.py"), encoding="utf-8")
    types = (package / "types.py").read_text(encoding="utf-8")
    changes = [block.text for block in blocks(DOCS / "extend" / "edit.md") if block.language == "diff"]
    for change in changes:
        before = "".join(line[1:] for line in change.splitlines(keepends=True) if line[0] == " ")
        assert types.count(before) == 1
        types = types.replace(before, "".join(line[1:] for line in change.splitlines(keepends=True)))
    (package / "types.py").write_text(types, encoding="utf-8")
    script = tmp_path / "try_fringes.py"
    script.write_text(example("edit.md", "try_fringes.py"), encoding="utf-8")

    def run(*command: str) -> str:
        environment = os.environ | {"PYTHONPATH": str(tmp_path)}
        command = (sys.executable, *command)
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    said = run(str(script)).splitlines()
    assert "attribute='fringes'" in said[0] and re.search("fringes|aberration", said[1])
    contract = run("-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/test_edits.py", "-k", "fringes")
    assert re.search(r"[5-9] passed", contract), "every edit keeps the same contract"


def test_the_example_of_a_data_set_is_read_and_checked(plug, tmp_path):
    plug(calm.data.datasets, "dataset.md", "gallery")
    root = tmp_path / "gallery"
    parts = ("train", "train", "test")
    rows = [
        {"file": f"{i}.png", "mean": 1 + 3 * i, "part": part, "comment": "Fine." * i} for i, part in enumerate(parts)
    ]
    for i, row in enumerate(rows):
        photo(root / "photos" / str(row["file"]), i)
    table(root / "votes.csv", rows)
    records = dataset("gallery").records(root)
    assert [record.score for record in records] == [1.0, 5.5, 10.0]
    assert [record.comments for record in records] == [(), ("Fine.",), ("Fine.Fine.",)]
    assert len(dataset("gallery").records(root, "test")) == 1
    said = CliRunner().invoke(app, ["data", "check", "gallery", "--root", str(root)])
    assert said.exit_code == 0, said.output
    (root / "votes.csv").unlink()
    said = CliRunner().invoke(app, ["data", "check", "gallery", "--root", str(root)])
    assert said.exit_code != 0


@dataclass
class Part:
    """Photos of one split whose features tell their scores."""

    given: np.ndarray

    @property
    def features(self) -> np.ndarray:
        return np.stack([self.given, 10 - self.given], axis=1).astype(np.float32)


@dataclass
class Photos:
    """Three splits of them."""

    train: Part
    validation: Part
    test: Part


def test_the_example_of_a_row_predicts_the_test_photos(plug):
    plug(calm.eval.compare.rows, "row.md", "neighbours")
    [(name, fields)] = yaml.safe_load(example("row.md", "a row")).items()
    row = RowSpec.model_validate(fields)
    given = np.random.default_rng(0).uniform(1, 10, 90)
    place = Place(None, Photos(Part(given[:60]), Part(given[60:75]), Part(given[75:])))  # type: ignore[arg-type]
    found = kind(row.kind)(place, row, 0)
    assert name == row.kind and found.chosen["neighbours"] in (1, 3, 10, 30)
    assert found.predicted.shape == (15,) and np.corrcoef(found.predicted, given[75:])[0, 1] > 0.7


def test_the_python_on_the_first_page_runs(monkeypatch):
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(calm.Calm, "from_pretrained", lambda name: calm.Calm(BrightModel()))
    [block] = [block for block in blocks(DOCS / "index.md") if block.language == "python"]
    exec(compile(block.text, "docs/index.md", "exec"), {})


def test_the_parquet_example_reads_what_a_run_writes(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    with open_sink("score", output=Path("scores.parquet")) as sink:
        for name, score in (("a.jpg", 6.9), ("b.jpg", 7.1)):
            sink.write(Row(name, score=score).as_dict())
    [block] = [block for block in blocks(DOCS / "tutorials" / "filtering.md") if block.language == "python"]
    read: dict = {}
    exec(compile(block.text, "docs/tutorials/filtering.md", "exec"), read)
    assert read["good"].to_pylist() == [{"path": "b.jpg", "score": 7.1}]
