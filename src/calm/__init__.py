"""CALM: scores photos, comments on them and says how to improve them.

>>> from calm import Calm
>>> calm = Calm.from_pretrained("calm-small")
>>> calm.score("dune.jpg").value

Names are imported when they are first used, so that ``import calm`` itself is quick.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from calm.api import Calm
    from calm.errors import (
        CalmError,
        CheckpointError,
        ConfigError,
        DataError,
        JournalError,
        PhotoError,
        StoreError,
        UsageError,
        WeightsError,
    )
    from calm.inference.processing import CalmProcessor
    from calm.model.pretrained import CalmConfig, CalmForConditionalGeneration
    from calm.personal.profile import Profile
    from calm.personal.store import Store
    from calm.types import Aspect, Comment, Score, Suggestion

__version__ = "0.1.0"

_HOMES = {
    "Aspect": "calm.types",
    "Calm": "calm.api",
    "CalmConfig": "calm.model.pretrained",
    "CalmError": "calm.errors",
    "CalmForConditionalGeneration": "calm.model.pretrained",
    "CalmProcessor": "calm.inference.processing",
    "CheckpointError": "calm.errors",
    "Comment": "calm.types",
    "ConfigError": "calm.errors",
    "DataError": "calm.errors",
    "JournalError": "calm.errors",
    "PhotoError": "calm.errors",
    "Profile": "calm.personal.profile",
    "Score": "calm.types",
    "Store": "calm.personal.store",
    "StoreError": "calm.errors",
    "Suggestion": "calm.types",
    "UsageError": "calm.errors",
    "WeightsError": "calm.errors",
}
"""Where each public name lives."""

__all__ = [
    "Aspect",
    "Calm",
    "CalmConfig",
    "CalmError",
    "CalmForConditionalGeneration",
    "CalmProcessor",
    "CheckpointError",
    "Comment",
    "ConfigError",
    "DataError",
    "JournalError",
    "PhotoError",
    "Profile",
    "Score",
    "Store",
    "StoreError",
    "Suggestion",
    "UsageError",
    "WeightsError",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'calm' has no attribute {name!r}; its public names are {', '.join(__all__)}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
