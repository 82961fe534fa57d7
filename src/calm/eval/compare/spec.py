"""What a comparison compares, as data."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from calm.errors import ConfigError
from calm.train.overrides import assign
from calm.train.recipe import DataSpec, ModelSpec, Stage


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Row(_Strict):
    """One model of a comparison.

    ``kind`` is a module of :mod:`calm.eval.compare.rows`; the other fields are for what is trained by stages.
    """

    kind: str
    title: str = Field(description="what it is, in words")
    seeds: int = Field(1, gt=0, description="runs that differ in their seed alone")
    features: Literal["encoder", "nima"] = Field("encoder", description="what a head reads")
    config: dict[str, Any] = Field(default_factory=dict, description="fields of CalmConfig, over those of the model")
    without: list[str] = Field(default_factory=list, description="tasks that are left out of every stage")
    answer: Literal["score", "text", "level"] = Field("score", description="how scores are put in words and read")
    of: str = Field("", description="the row that this one is compared with; the comparison's main row if not given")
    folder: str = Field("", description="a finished model, by name or folder")
    budget: str = Field("", description="what it learnt from, where that is not the comparison's budget")


class Edits(_Strict):
    """Photos that are edited for the benchmark of suggestions."""

    folder: str = Field(description="below the data root")
    limit: int = 0
    per_photo: int = 3


class Comparison(_Strict):
    """A whole comparison."""

    name: str
    title: str
    main: str = Field(description="the row that others are compared with")
    seed: int = 0
    source: str = Field(description="a rated data set, in a folder of the same name below the data root")
    photos: int = Field(description="training photos, drawn by their hash; 0 for all")
    tested: int = Field(0, description="test photos, drawn by their hash; 0 for all, which alone is official")
    data: DataSpec
    output: Path = Field(description="folder of what is trained, and of finished rows")
    model: ModelSpec
    stages: list[Stage] = Field(description="how trained rows learn")
    edits: Edits | None = None
    published: dict[str, str] = Field(default_factory=dict, description="published figures, SRCC / PLCC, by name")
    rows: dict[str, Row]

    def fingerprint(self, name: str) -> str:
        """Identifies what determines a row's figures: the row and everything that it shares with others."""
        shared = {"seed", "source", "photos", "tested", "model", "stages", "edits"}
        row = self.rows[name].model_dump(mode="json", exclude={"title", "of", "budget"}, exclude_defaults=True)
        facts = {"row": row, **self.model_dump(mode="json", include=shared, exclude_defaults=True)}
        if self.rows[name].kind != "stages":
            facts.pop("stages", None)
            facts.pop("edits", None)
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]


def load_comparison(path: str | Path, overrides: list[str] | None = None) -> Comparison:
    """Read a comparison and apply ``key=value`` overrides, as :func:`calm.train.recipe.load_recipe` does.

    Raises:
        ConfigError: for a missing file, an unknown key, or a row that is compared with one that is not there.
    """
    path = Path(path)
    if not path.is_file():
        raise ConfigError(f"expected a comparison, found no file at {path}; the shipped one is in recipes/")
    tree = yaml.safe_load(path.read_text())
    for override in overrides or []:
        assign(tree, override)
    try:
        found = Comparison.model_validate(tree)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise ConfigError(f"expected a valid comparison, found at {place}: {first['msg']}; see {path}") from None
    for name in (found.main, *(row.of for row in found.rows.values() if row.of)):
        if name not in found.rows:
            raise ConfigError(f"expected a row named {name!r} to compare with, found {', '.join(found.rows)}")
    return found
