"""``calm train`` for the one network: from a recipe and a folder of data sets to a trained folder.

The order of work: what is known of the photos → words → maps of subjects → features of the frozen encoder → stages.
Features are kept in the cache folder under a name that says what they depend on, and are computed again only where
that changes.
"""

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
from pydantic import Field

from calm.data.hashes import hash_files
from calm.errors import DataError
from calm.model.exchange import Packer
from calm.model.network import Network
from calm.model.pretrained import build
from calm.model.saliency import Saliency
from calm.model.weights import fill_trained, save
from calm.tasks.observation import measured_words
from calm.train.blanks import BLANKS
from calm.train.confidence import calibrate
from calm.train.critiques import Critiques
from calm.train.examples import Drawer
from calm.train.feature_shots import ROWS, dependencies, read_shots, shot_features, write_shots
from calm.train.knowledge import build_vocabulary, editable, gather, read_names, read_soft
from calm.train.observing import ATTRIBUTE_WORDS
from calm.train.overrides import StrictModel, read_settings, validated
from calm.train.shooting import Shooter, read_photo
from calm.train.shots import Known, Shot
from calm.train.trainer import Stage, Trainer
from calm.train.validation import Validation, hold_out

LOG = logging.getLogger(__name__)
TRAINED_ON = "trained_on.txt"
"""First eight hex digits of the SHA-256 of every photo that was learnt from, so that evaluations can refuse them."""


class DataSpec(StrictModel):
    """Where the data lie."""

    root: Path = Field(description="folder that holds the data sets' folders")
    cache: Path = Field(description="folder for features")
    soft: Path | None = Field(None, description="table of the teachers' soft labels")
    names: Path | None = Field(None, description="table of what a detector and a classifier see in unlabelled photos")


class Recipe(StrictModel):
    """A training run of the one network."""

    name: str
    vision: str
    text: str
    config: dict[str, Any] = Field(default_factory=dict, description="fields of CalmConfig")
    data: DataSpec
    photos: dict[str, int] = Field(description="how many photos of each kind are kept: rated, named, edited")
    per_set: dict[str, int] = Field(default_factory=dict, description="at most so many named photos of a set")
    shares: dict[str, int] = Field(default_factory=dict, description="how often a set's named photos are drawn")
    stages: list[Stage]
    init: Path | None = Field(None, description="folder of a trained network of this shape to begin with")
    output: Path
    save_every: float = Field(240.0, description="seconds between checkpoints")
    validate_every: int = Field(250, description="steps between validations on photos left out")
    seed: int = Field(0, description="of the initial weights; stages have their own")
    packed: bool = Field(True, description="all exchanges about a photo behind its visual tokens, which stand once")
    compile: bool = Field(True, description="compile the language model's blocks; needs a C++ compiler")


def load_recipe(path: str | Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe with ``key=value`` overrides. Raises :class:`ConfigError`."""
    return validated(Recipe, read_settings(path, overrides), f"a valid recipe at {path}")


def train(path: str | Path, overrides: Sequence[str] = ()) -> Path:
    """Train a recipe from the beginning or from where it was interrupted; returns the trained folder."""
    recipe = load_recipe(path, overrides)
    cv2.setNumThreads(1)  # photos are prepared beside the mathematics, which has the cores
    soft = read_soft(recipe.data.soft) if recipe.data.soft else None
    names = read_names(recipe.data.names) if recipe.data.names else None
    known = gather(recipe.data.root, "train", soft, names)
    chosen = choose(recipe, known)
    vocabulary = build_vocabulary(known)
    torch.manual_seed(recipe.seed)
    model, tokenizer = build(
        recipe.vision, recipe.text, vocabulary=vocabulary.words, attribute_words=list(ATTRIBUTE_WORDS), **recipe.config
    )
    if recipe.init:
        fill_trained(model, recipe.init)
    prepare(model, recipe.compile)
    shots, held = hold_out(features(recipe, chosen, model), recipe.data.root)
    critiques = Critiques(recipe.data.root, vocabulary)
    drawer = Drawer(vocabulary, critiques=critiques)
    packer = Packer(tokenizer, model.config.frame_tokens, model.config.detail_tokens, packed=recipe.packed)
    odds: dict[str, np.ndarray] = {kind: balance(shots[kind]) for kind in ("rated", "named") if kind in shots}
    trainer = Trainer(model, packer, drawer, shots, recipe.output, odds=odds)
    validation = Validation(trainer, held)
    check(recipe, shots, critiques)
    if not recipe.init:
        standardise(model, shots)
    for stage in recipe.stages:
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


def check(recipe: Recipe, shots: Mapping[str, list[Shot]], critiques: Critiques) -> None:
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


def prepare(model: Network, compiled: bool) -> None:
    """Frozen weights in bfloat16 and, if ``compiled``, the language model's blocks compiled (docs/lab.md, 65)."""
    for part in (model.backbone.model, model.language_model):
        for name, parameter in part.named_parameters():
            if "lora_" not in name:
                parameter.data = parameter.data.bfloat16()
    model.language_model.set_attn_implementation("eager")
    if compiled:
        for block in model.language_model.model.layers:
            block.compile(dynamic=False)


def choose(recipe: Recipe, known: Sequence[Known]) -> dict[str, list[Known]]:
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
        "edited": [photo for photo in ordered if editable(photo)],
    }
    pools["blank"] = [Known(f"blank:{number}", "blank") for number in range(BLANKS)]
    return {kind: pool[: recipe.photos[kind]] for kind, pool in pools.items() if recipe.photos.get(kind)}


def features(recipe: Recipe, chosen: Mapping[str, list[Known]], model: Network) -> dict[str, list[Shot]]:
    """Shots with the frozen encoder's features, from the cache where they are there."""
    model.eval()
    found = {}
    for kind, photos in chosen.items():
        facts = dependencies(kind, photos, model, str(recipe.data.root))
        digest = hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:12]
        folder = recipe.data.cache / f"{kind}-{digest}"
        if not (folder / ROWS).is_file():
            shooter = Shooter(subjects(photos) if kind == "edited" else None, model.config.image_size)
            write_shots(folder, kind, photos, shooter, model, tell=functools.partial(LOG.info, "%s: %d", kind))
        shots = read_shots(folder, {photo.path: photo for photo in photos})
        if kind == "named":
            shots = [shot for shot in shots for _ in range(recipe.shares.get(shot.photo.source, 1))]
        found[kind] = shots
    return found


def subjects(photos: Sequence[Known], batch: int = 32) -> dict[str, np.ndarray]:
    """Maps of the main subjects by path, (48, 48) uint8; some edits go by them."""
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
def standardise(model: Network, shots: Mapping[str, list[Shot]], most: int = 1500) -> None:
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
