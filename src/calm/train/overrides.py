"""Recipes as YAML trees, and ``key=value`` on the command line: a change of one place in them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from calm.errors import ConfigError


class StrictModel(BaseModel):
    """Settings, of which an unknown one is an error."""

    model_config = ConfigDict(extra="forbid")


Settings = TypeVar("Settings", bound=StrictModel)


def read_settings(path: str | Path, overrides: Sequence[str] | None = None) -> dict[str, Any]:
    """The tree of a YAML file with ``key=value`` overrides. Raises :class:`ConfigError`."""
    tree = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    for override in overrides or ():
        assign(tree, override)
    return tree


def validated(kind: type[Settings], tree: Any, what: str) -> Settings:  # noqa: ANN401 - a YAML tree
    """A tree as settings. Raises :class:`ConfigError`, which says that ``what`` was expected, and where it is not."""
    try:
        return kind.model_validate(tree)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise ConfigError(f"expected {what}, found at {place}: {first['msg']}; correct it") from None


def assign(tree: Any, override: str) -> None:  # noqa: ANN401 - a YAML tree
    """Apply one ``key=value`` to a tree in place. Raises :class:`ConfigError`."""
    key, sign, value = override.partition("=")
    if not sign:
        raise ConfigError(f"expected key=value, found {override!r}; for example data.root=~/photos")
    *parents, last = key.split(".")
    for each in parents:
        tree = _child(tree, each, key)
    tree[int(last) if isinstance(tree, list) else last] = yaml.safe_load(value)


def _child(tree: Any, key: str, whole: str) -> Any:  # noqa: ANN401 - a YAML tree
    if isinstance(tree, list):
        named = [item for item in tree if isinstance(item, dict) and item.get("name") == key]
        if named:
            return named[0]
        if key.isdigit() and int(key) < len(tree):
            return tree[int(key)]
        raise ConfigError(f"expected {key!r} of {whole} to name an item, found {[i.get('name') for i in tree]}")
    return tree.setdefault(key, {})
