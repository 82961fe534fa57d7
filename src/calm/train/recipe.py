"""Recipes: a model and its training stages as data."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from calm.errors import ConfigError
from calm.train.overrides import assign

Part = Literal[
    "mfam", "statistics", "technique", "heads", "content", "beliefs", "vision", "language", "pyramid", "examples"
]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ModelSpec(_Strict):
    """The parts and the shape of the model."""

    vision: str = Field(description="source of the encoder: packaged:NAME, a folder or a hub id")
    text: str = Field(description="source of the language model")
    pyramid: str = Field("", description="source of a convolutional network that judges beside the encoder, if any")
    image_token: str = Field(description="token of the tokenizer that stands for one visual token in a prompt")
    config: dict[str, Any] = Field(default_factory=dict, description="fields of CalmConfig")


class TaskSpec(_Strict):
    """One task in a stage's mixture."""

    name: str = Field(description="a task of calm.tasks")
    batch: int = Field(gt=0, description="samples a step")
    weight: float = 1.0
    options: dict[str, Any] = Field(default_factory=dict, description="arguments of the task")


class Stage(_Strict):
    """What is learnt, from what, for how long."""

    name: str
    steps: int = Field(ge=0)
    learn: dict[Part, float] = Field(description="learning rate of each part that learns; the rest is frozen")
    read: list[Literal["heads", "language", "pyramid", "examples"]] = Field(description="which losses are minimised")
    tasks: list[TaskSpec]
    warmup: int = 100
    last_rate: float = Field(0.02, ge=0, le=1, description="share of the learning rate that is left at the last step")
    average: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="decay of a running mean of what is learnt, which takes its place at the end; 0 for none",
    )
    weight_decay: float = 0.02
    clip: float = 1.0
    losses: dict[str, float] = Field(default_factory=dict, description="weight of each loss, 1 where not named")
    validate_every: int = 0
    standardise: bool = Field(
        False,
        description="first measure, on this stage's photos, what the branches of statistics are standardised by",
    )
    branches: list[str] | None = Field(
        None, description="branches of the alignment module that take part, all if not given; the others say nothing"
    )
    patch_dropout: float = Field(
        0.0, ge=0, lt=1, description="share of the patches that the encoder's adapted blocks do not see in training"
    )


class DataSpec(_Strict):
    """Where the data sets lie."""

    root: Path = Field(description="folder that holds the data sets' folders")
    cache: Path | None = Field(None, description="folder for features; the user's cache folder if not given")


class Recipe(_Strict):
    """A whole training run."""

    name: str
    seed: int = 0
    model: ModelSpec
    data: DataSpec
    stages: list[Stage]
    output: Path = Field(description="folder for checkpoints, metrics and the trained model")
    save_every: float = Field(180.0, description="seconds between checkpoints")
    compact: list[str] = Field(
        default_factory=list, description="prefixes of matrices that the trained model keeps in eight bits on disk"
    )
    calibrate: bool = Field(
        True, description="set on photos kept out of training how sure a suggestion is, and which reader to trust"
    )
    threads: int = Field(0, description="threads of the mathematics library; 0 leaves its default")
    accumulate: int = Field(
        1,
        gt=0,
        description="parts that a process reads its share of a batch in; more need less memory and more time, and give "
        "the same gradient",
    )
    precision: Literal["auto", "no", "bf16", "fp16"] = Field(
        "auto", description="number format of what is multiplied; auto: bf16 where the machine is faster with it"
    )
    checkpoint_activations: bool = Field(
        False,
        description="compute activations of encoder and language model again in the backward pass, to save memory",
    )
    trackers: list[str] = Field(
        default_factory=list, description="trackers of Accelerate that get each step's figures, such as tensorboard"
    )


def load_recipe(path: str | Path, overrides: list[str] | None = None) -> Recipe:
    """Read a recipe and apply ``key=value`` overrides (dotted keys, values as YAML, list items by number or name).

    Raises:
        ConfigError: for a missing file, an unknown key or a value that does not fit.
    """
    path = Path(path)
    if not path.is_file():
        raise ConfigError(f"expected a recipe file, found none at {path}; the shipped ones are in recipes/")
    tree = yaml.safe_load(path.read_text())
    for override in overrides or []:
        assign(tree, override)
    try:
        return Recipe.model_validate(tree)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise ConfigError(f"expected a valid recipe, found at {place}: {first['msg']}; see {path}") from None
