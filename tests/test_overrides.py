"""``key=value`` settings of recipes and comparisons."""

from __future__ import annotations

import pytest

from calm.errors import ConfigError
from calm.train.overrides import assign


def test_a_setting_changes_one_place() -> None:
    tree = {"data": {"root": "a"}, "stages": [{"name": "align", "steps": 1}, {"name": "read", "steps": 2}]}
    for setting in (
        "data.root=/elsewhere",
        "stages.read.steps=7",
        "stages.0.steps=3",
        "config.words=0",
        "data.soft=null",
    ):
        assign(tree, setting)
    assert tree["stages"] == [{"name": "align", "steps": 3}, {"name": "read", "steps": 7}]
    assert tree["data"] == {"root": "/elsewhere", "soft": None} and tree["config"] == {"words": 0}


def test_what_names_nothing_is_refused() -> None:
    with pytest.raises(ConfigError, match="expected key=value, found 'nonsense'"):
        assign({}, "nonsense")
    with pytest.raises(ConfigError, match="expected 'warm' of stages.warm.steps to name an item, found"):
        assign({"stages": [{"name": "align"}]}, "stages.warm.steps=1")
