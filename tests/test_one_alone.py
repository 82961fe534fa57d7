"""The one network stands by itself: what it replaces can be deleted without it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from test_house import FILES, module_of

DELETED = {
    "": "chat memory observer predictor readout speaking words",
    "data": "looks subject",
    "inference": "opening",
    "model": "checkpoint compact configuration describing encoder examples heads judge jury lite meanings mfam "
    "modeling nima processing pyramid semantics",
    "personal": "seen tuned",
}
"""Modules of the seventh release, by package."""
OLD = {".".join(filter(None, ("calm", package, name))) for package, names in DELETED.items() for name in names.split()}
LEANING = {
    "calm",
    "calm.api",
    "calm.cli.running",
    "calm.data.measure",
    "calm.eval.compare.rows.finished",
    "calm.eval.compare.run",
    "calm.eval.piaa",
    "calm.model.saliency",
    "calm.model.weights",
    "calm.personal.in_context",
    "calm.personal.traits",
    "calm.profiles",
}
"""Modules that stay and do not stand by themselves yet."""


def named(path: Path) -> set[str]:
    """Whatever a file imports, for its types as well."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def is_old(module: str) -> bool:
    return any(module == old or module.startswith(f"{old}.") for old in OLD)


def test_every_module_named_is_there() -> None:
    """Guards against a list that a renamed module has slipped out of."""
    there = {module_of(path) for path in FILES}
    assert there >= OLD | LEANING


@pytest.mark.parametrize("path", [path for path in FILES if not is_old(module_of(path))], ids=module_of)
def test_what_stays_imports_nothing_old(path: Path) -> None:
    found = sorted(filter(is_old, named(path)))
    leaning = module_of(path) in LEANING
    assert bool(found) == leaning, f"imports {found}" if found else "stands by itself: take it off the list"
