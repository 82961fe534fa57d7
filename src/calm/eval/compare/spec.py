"""What a comparison compares, as data."""

import hashlib
import json
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import Field

from calm.errors import ConfigError
from calm.train.overrides import StrictModel, assign, read_settings, validated
from calm.train.run import DataSpec, Recipe

NO_RESULT = ("name", "output", "save_every", "validate_every", "compile", "data")
"""Fields of a recipe that change no figure; of ``data``, the soft labels do."""
FROZEN = ("vision", "config", "photos")
"""Fields of a recipe that decide what rows on frozen features learn from."""


SEEDS = 100
"""How far apart the seeds of two runs of a stage are."""


class RowSpec(StrictModel):
    """One model of a comparison.

    ``kind`` is a module of :mod:`calm.eval.compare.rows`. ``settings``, ``without`` and ``read`` are for the kind
    ``stages``, which trains a network.
    """

    kind: str
    title: str = Field(description="what it is, in words")
    seeds: int = Field(1, gt=0, description="runs that differ in their seed alone")
    settings: dict[str, Any] = Field(
        default_factory=dict, description="what the row changes in the recipe, by dotted key as `calm train` takes it"
    )
    without: list[Literal["rated", "named", "edited", "blank"]] = Field(
        default_factory=list, description="kinds of photos that are taken out of every stage"
    )
    read: Literal["language", "heads"] = Field(
        "language", description="where scores are read: at the language model or at the auxiliary heads"
    )
    of: str = Field("", description="the row that this one is compared with; the comparison's main row if not given")
    folder: str = Field("", description="a finished model, by name or folder")
    budget: str = Field("", description="what it learnt from, where that is not the comparison's budget")


class Edits(StrictModel):
    """Photos that are edited for the benchmark of suggestions."""

    folder: str = Field(description="below the data root")
    limit: int = 0
    per_photo: int = 3


class Comparison(StrictModel):
    """A whole comparison."""

    name: str
    title: str
    main: str = Field(description="the row that others are compared with")
    seed: int = 0
    source: str = Field("para", description="the rated data set that rows are tested on")
    tested: int = Field(0, description="test photos, drawn by their hash; 0 for all, which alone is official")
    data: DataSpec = Field(description="where the data lie, over the recipe's own")
    output: Path = Field(description="folder of what is trained, and of finished rows")
    recipe: Path = Field(description="of the network that rows train; a relative path begins at the comparison's file")
    settings: dict[str, Any] = Field(
        default_factory=dict, description="what all rows change in the recipe, by dotted key: the budget"
    )
    edits: Edits | None = None
    published: dict[str, str] = Field(default_factory=dict, description="published figures, SRCC / PLCC, by name")
    rows: dict[str, RowSpec]

    def tree(self, row: RowSpec | None = None, seed: int = 0) -> dict[str, Any]:
        """The recipe of a row with a seed, as a tree; None for what all rows share."""
        if not self.recipe.is_file():
            raise ConfigError(f"expected the recipe of the comparison's network, found no file at {self.recipe}")
        tree = yaml.safe_load(self.recipe.read_text())
        tree["data"] |= self.data.model_dump(mode="json", exclude_unset=True)
        for key, value in (self.settings | (row.settings if row else {})).items():
            assign(tree, f"{key}={json.dumps(value)}")
        tree["seed"] = seed
        left_out = row.without if row else []
        tree["photos"] = {key: count for key, count in tree["photos"].items() if key not in left_out}
        for stage in tree["stages"]:
            stage["batch"] = {key: count for key, count in stage["batch"].items() if key not in left_out}
            stage["seed"] = stage.get("seed", 1) + SEEDS * seed
        return tree

    def network(self, row: RowSpec | None = None, seed: int = 0) -> Recipe:
        """:meth:`tree` as a recipe. Raises :class:`ConfigError` where a setting does not fit."""
        where = f"row {row.title!r}" if row else "what all rows share"
        return validated(Recipe, self.tree(row, seed), f"settings that the recipe {self.recipe} has in {where}")

    def fingerprint(self, name: str) -> str:
        """Identifies what determines a row's figures: the row, its recipe, and what it is tested on."""
        row = self.rows[name]
        facts = self.model_dump(mode="json", include={"seed", "source", "tested", "edits"}, exclude_defaults=True)
        facts["row"] = row.model_dump(
            mode="json", exclude={"title", "of", "budget", "settings", "without"}, exclude_defaults=True
        )
        if row.kind == "stages":
            facts["recipe"] = training_digest(self.tree(row))
        else:
            facts.pop("edits", None)
            facts["recipe"] = {key: value for key, value in self.tree().items() if key in FROZEN}
        return _digest(facts)


def training_digest(tree: dict[str, Any]) -> str:
    """Sixteen hex digits that name what a recipe trains, wherever its files lie."""
    return _digest(
        {key: each for key, each in tree.items() if key not in NO_RESULT} | {"soft": tree["data"].get("soft")}
    )


def _digest(facts: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]


def load_comparison(path: str | Path, overrides: list[str] | None = None) -> Comparison:
    """Read a comparison and apply ``key=value`` overrides (:mod:`calm.train.overrides`).

    Raises:
        ConfigError: for a missing file, an unknown key, or a row that is compared with one that is not there.
    """
    path = Path(path)
    if not path.is_file():
        raise ConfigError(f"expected a comparison, found no file at {path}; the shipped one is in recipes/")
    found = validated(Comparison, read_settings(path, overrides), f"a valid comparison at {path}")
    for name in (found.main, *(row.of for row in found.rows.values() if row.of)):
        if name not in found.rows:
            raise ConfigError(f"expected a row named {name!r} to compare with, found {', '.join(found.rows)}")
    found.recipe = path.parent / found.recipe
    return found
