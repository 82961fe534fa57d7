"""``key=value`` on the command line: a change of one place in a recipe."""

from __future__ import annotations

from typing import Any

import yaml

from calm.errors import ConfigError


def assign(tree: Any, override: str) -> None:  # noqa: ANN401 - a YAML tree
    """Apply one ``key=value`` to a tree in place. Raises :class:`ConfigError`."""
    key, sign, value = override.partition("=")
    if not sign:
        raise ConfigError(f"expected key=value, found {override!r}; for example data.root=~/photos")
    _assign(tree, key.split("."), yaml.safe_load(value), key)


def _assign(tree: Any, keys: list[str], value: Any, whole: str) -> None:  # noqa: ANN401 - a YAML tree
    *parents, last = keys
    for key in parents:
        tree = _child(tree, key, whole)
    if isinstance(tree, list):
        tree[int(last)] = value
    else:
        tree[last] = value


def _child(tree: Any, key: str, whole: str) -> Any:  # noqa: ANN401 - a YAML tree
    if isinstance(tree, list):
        named = [item for item in tree if isinstance(item, dict) and item.get("name") == key]
        if named:
            return named[0]
        if key.isdigit() and int(key) < len(tree):
            return tree[int(key)]
        raise ConfigError(f"expected {key!r} of {whole} to name an item, found {[i.get('name') for i in tree]}")
    return tree.setdefault(key, {})
