"""``calm train`` for the one network: from a recipe and a folder of data sets to a trained folder.

The order of work: what is known of the photos → words → maps of subjects → features of the frozen encoder → stages.
Features are kept in the cache folder under a name that says what they depend on, and are computed again only where
that changes.
"""

from __future__ import annotations

import functools
import hashlib
import json
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from calm.data.hashes import hash_files
from calm.errors import ConfigError, DataError
from calm.model.network import CalmForConditionalGeneration
from calm.model.storage import build, fill_trained, save
from calm.tasks.exchange import COMMENT_QUESTION, Exchange, Packer
from calm.tasks.observation import measured_words, write_line
from calm.train.blanks import BLANKS
from calm.train.confidence import calibrate
from calm.train.critiques import Critiques
from calm.train.examples import Drawer, Known, Shot, read_photo
from calm.train.feature_shots import read_shots, shot_features, write_shots
from calm.train.knowledge import EDITABLE, build_vocabulary, gather, read_soft
from calm.train.observing import ATTRIBUTE_WORDS
from calm.train.overrides import assign
from calm.train.trainer import Stage, Trainer
from calm.train.validation import Validation, hold_out
from calm.train.vocabulary import Vocabulary

LOG = logging.getLogger(__name__)
TRAINED_ON = "trained_on.txt"
"""First eight hex digits of the SHA-256 of every photo that was learnt from, so that evaluations can refuse them."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class StageSpec(_Strict):
    """One stage; see :class:`calm.train.trainer.Stage`."""

    name: str
    steps: int = Field(ge=0)
    rates: dict[str, float]
    batch: dict[str, int]
    read: bool = True
    text: bool = True
    prose: int = Field(0, ge=0, description="critiques without a photo a step")
    rows: int = 8
    length: int = 384
    weights: dict[str, float] = Field(default_factory=dict)
    warmup: float = 0.04
    seed: int = 1


class DataSpec(_Strict):
    """Where the data lie."""

    root: Path = Field(description="folder that holds the data sets' folders")
    cache: Path = Field(description="folder for features")
    soft: Path | None = Field(None, description="table of the teachers' soft labels")


class OneRecipe(_Strict):
    """A training run of the one network."""

    name: str
    vision: str
    text: str
    config: dict[str, Any] = Field(default_factory=dict, description="fields of CalmConfig")
    data: DataSpec
    photos: dict[str, int] = Field(description="how many photos of each kind are kept: rated, named, edited")
    per_set: dict[str, int] = Field(default_factory=dict, description="at most so many named photos of a set")
    shares: dict[str, int] = Field(default_factory=dict, description="how often a set's named photos are drawn")
    stages: list[StageSpec]
    init: Path | None = Field(None, description="folder of a trained network of this shape to begin with")
    output: Path
    save_every: float = Field(240.0, description="seconds between checkpoints")
    validate_every: int = Field(250, description="steps between validations on photos left out")
    seed: int = Field(0, description="of the initial weights; stages have their own")
    packed: bool = Field(True, description="all exchanges about a photo behind its visual tokens, which stand once")
    compile: bool = Field(True, description="compile the language model's blocks; needs a C++ compiler")


def load_recipe(path: str | Path, overrides: Sequence[str] = ()) -> OneRecipe:
    """Read a recipe with ``key=value`` overrides. Raises :class:`ConfigError`."""
    tree = yaml.safe_load(Path(path).read_text())
    for override in overrides:
        assign(tree, override)
    try:
        return OneRecipe.model_validate(tree)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise ConfigError(f"expected a valid recipe, found at {place}: {first['msg']}; see {path}") from None


def train(path: str | Path, overrides: Sequence[str] = ()) -> Path:
    """Train a recipe from the beginning or from where it was interrupted; returns the trained folder."""
    recipe = load_recipe(path, overrides)
    cv2.setNumThreads(1)  # photos are prepared beside the mathematics, which has the cores
    known = gather(recipe.data.root, "train", read_soft(recipe.data.soft) if recipe.data.soft else None)
    chosen = choose(recipe, known)
    vocabulary = build_vocabulary(known)
    torch.manual_seed(recipe.seed)
    model, tokenizer = build(
        recipe.vision, recipe.text, vocabulary=vocabulary.words, attribute_words=list(ATTRIBUTE_WORDS), **recipe.config
    )
    if recipe.init:
        fill_trained(model, recipe.init)
    prepare(model, recipe.compile)
    shots, held = hold_out(features(recipe, chosen, model, vocabulary), recipe.data.root)
    critiques = Critiques(recipe.data.root, vocabulary)
    drawer = Drawer(vocabulary, critiques=critiques, size=model.config.image_size)
    packer = Packer(tokenizer, model.config.frame_tokens, model.config.detail_tokens, packed=recipe.packed)
    odds: dict[str, np.ndarray] = {kind: balance(shots[kind]) for kind in ("rated", "named") if kind in shots}
    trainer = Trainer(model, packer, drawer, shots, recipe.output, odds=odds)
    validation = Validation(trainer, held)
    check(recipe, shots, critiques)
    if not recipe.init:
        standardise(model, shots)
    for spec in recipe.stages:
        stage = Stage(**spec.model_dump(exclude={"prose"}))
        trainer.prose = Prose(critiques, spec.prose) if spec.prose else None
        packer.length = stage.length
        trainer.run(stage, every=recipe.save_every, look=validation, look_every=recipe.validate_every)
    save(model, recipe.output)
    learnt = {shot.photo.path for kind, pool in shots.items() if kind != "blank" for shot in pool}
    seen = hash_files(sorted(learnt), label=str(recipe.data.root))
    digits = sorted({digest[:8] for digest in seen.values()})
    (recipe.output / TRAINED_ON).write_text("\n".join(digits) + "\n")
    try:
        figures = calibrate(recipe.output, sorted({shot.photo.path for shot in held.get("edited", [])}))
        LOG.info("confidence: %s", figures)
    except DataError as error:
        LOG.warning("confidence of suggestions is not calibrated: %s", error)
    return recipe.output


def check(recipe: OneRecipe, shots: Mapping[str, list[Shot]], critiques: Critiques) -> None:
    """Raise :class:`DataError` where a stage needs what the data sets at hand do not have."""
    for stage in recipe.stages:
        empty = [kind for kind, count in stage.batch.items() if count and not shots.get(kind)]
        if stage.prose and not critiques.paragraphs:
            empty.append("prose")
        if empty:
            raise DataError(
                f"expected photos or texts for {', '.join(empty)} in stage {stage.name}, found none below "
                f"{recipe.data.root}; bring a data set that has them (docs/datasets.md) or take them out of the stage"
            )


def prepare(model: CalmForConditionalGeneration, compiled: bool) -> None:
    """Frozen weights in bfloat16 and, if ``compiled``, the language model's blocks compiled (docs/lab.md, 65)."""
    for part in (model.backbone.model, model.language_model):
        for name, parameter in part.named_parameters():
            if "lora_" not in name:
                parameter.data = parameter.data.bfloat16()
    model.language_model.set_attn_implementation("eager")
    if compiled:
        for block in model.language_model.model.layers:
            block.compile(dynamic=False)


class Prose:
    """Critiques without a photo: an observation line is given, the person's own words are learnt."""

    def __init__(self, critiques: Critiques, count: int) -> None:
        self.critiques, self.count = critiques, count

    def __call__(self, rng: np.random.Generator) -> list[list[Exchange]]:
        found = []
        for _ in range(self.count):
            seen, text = self.critiques.pair(rng)
            line = write_line(seen) + "\n"
            found.append([Exchange("text", COMMENT_QUESTION, text, prompt=line, blind=True, weight=0.5)])
        return found


def choose(recipe: OneRecipe, known: Sequence[Known]) -> dict[str, list[Known]]:
    """Photos of each kind, those with the smallest hashes of their paths below the root first."""

    def order(photo: Known) -> str:
        relative = Path(photo.path).relative_to(recipe.data.root)
        return hashlib.sha256(str(relative).encode()).hexdigest()

    ordered = sorted(known, key=order)
    counts: dict[str, int] = {}
    named = []
    for photo in ordered:
        if not (photo.names or photo.captions):
            continue
        counts[photo.source] = counts.get(photo.source, 0) + 1
        if counts[photo.source] <= recipe.per_set.get(photo.source, len(known)):
            named.append(photo)
    pools = {
        "rated": [photo for photo in ordered if photo.score is not None or photo.soft is not None],
        "named": named,
        "edited": [photo for photo in ordered if photo.source in EDITABLE and photo.native],
    }
    pools["blank"] = [Known(f"blank:{number}", "blank") for number in range(BLANKS)]
    return {kind: pool[: recipe.photos[kind]] for kind, pool in pools.items() if recipe.photos.get(kind)}


def features(
    recipe: OneRecipe, chosen: Mapping[str, list[Known]], model: CalmForConditionalGeneration, vocabulary: Vocabulary
) -> dict[str, list[Shot]]:
    """Shots with the frozen encoder's features, from the cache where they are there."""
    model.eval()
    found = {}
    for kind, photos in chosen.items():
        facts = [
            recipe.vision,
            model.config.trunk,
            model.config.trunk_layers,
            model.config.detail_layers,
            [photo.path for photo in photos],
        ]
        digest = hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:12]
        folder = recipe.data.cache / f"{kind}-{digest}"
        if not (folder / "shots.jsonl").is_file():
            maps = subjects(photos) if kind == "edited" else {}
            drawer = Drawer(vocabulary, maps, size=model.config.image_size)
            write_shots(
                folder,
                kind,
                photos,
                drawer,
                model,
                tell=functools.partial(LOG.info, "%s: %d", kind),
            )
        shots = read_shots(folder, {photo.path: photo for photo in photos})
        if kind == "named":
            shots = [shot for shot in shots for _ in range(recipe.shares.get(shot.photo.source, 1))]
        found[kind] = shots
    return found


def subjects(photos: Sequence[Known], batch: int = 32) -> dict[str, np.ndarray]:
    """Maps of the main subjects by path, (48, 48) uint8; some edits go by them."""
    from calm.model.saliency import Saliency

    find = Saliency()
    found = {}
    for start in range(0, len(photos), batch):
        part = photos[start : start + batch]
        for photo, each in zip(part, find.of([read_photo(photo.path) for photo in part]), strict=True):
            found[photo.path] = cv2.resize(
                np.round(each * 255).astype(np.uint8), (48, 48), interpolation=cv2.INTER_AREA
            )
    return found


@torch.no_grad()
def standardise(model: CalmForConditionalGeneration, shots: Mapping[str, list[Shot]], most: int = 1500) -> None:
    """Standardise the alignment module's summaries by shots of all kinds."""
    pool = [shot for each in shots.values() for shot in each]
    chosen = np.random.default_rng(0).choice(len(pool), min(most, len(pool)), replace=False)
    parts = [shot_features(model, [pool[i] for i in chosen[start : start + 64]]) for start in range(0, len(chosen), 64)]
    model.alignment.standardise(torch.cat(parts).float())


def balance(shots: Sequence[Shot]) -> np.ndarray:
    """How often each photo is drawn, so that rare light and colour are learnt as well as common ones."""
    classes = [tuple(sorted(measured_words(shot.cues).items())) for shot in shots]
    counts = Counter(classes)
    return np.array([counts[each] ** -0.5 for each in classes])
