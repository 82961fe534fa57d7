"""The photos of a comparison, and what the frozen encoder gives of them: the same for every row."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import torch

from calm.data.batches import batches
from calm.data.hashes import hash_files
from calm.data.images import load_photo
from calm.data.progress import progress
from calm.data.record import Record, dataset
from calm.errors import DataError
from calm.eval.compare.spec import Comparison
from calm.model.alignment import summarise
from calm.model.pretrained import build
from calm.model.visual import look
from calm.train.knowledge import FOLDERS, gather, read_soft
from calm.train.observing import ATTRIBUTE_WORDS
from calm.train.run import Recipe, choose
from calm.train.shots import Known, Shot, spread_mean
from calm.train.validation import hold_out

BATCH = 32


@dataclass
class Encoder:
    """The encoder of a recipe as it is before training."""

    recipe: Recipe

    def features(self, paths: Sequence[str]) -> np.ndarray:
        """(n, 3 · layers · width) float32: class token, mean and spread of the patches of every layer that the network
        reads, from whole frames. Kept in the recipe's cache folder.
        """
        facts = [self.recipe.vision, self.recipe.config, list(paths)]
        digest = hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:12]
        path = self.recipe.data.cache / f"whole-{digest}.npy"
        if not path.is_file():
            path.parent.mkdir(parents=True, exist_ok=True)
            scratch = path.with_suffix(".part.npy")
            np.save(scratch, self._encode(paths))
            scratch.replace(path)
        return np.load(path).astype(np.float32)

    def _encode(self, paths: Sequence[str]) -> np.ndarray:
        words = {"attribute_words": list(ATTRIBUTE_WORDS)}
        model, _ = build(self.recipe.vision, self.recipe.text, **words | self.recipe.config)
        backbone, found = model.eval().backbone, []
        with torch.inference_mode():
            for part in progress(list(batches(paths, BATCH)), "encoding"):
                frames = look([load_photo(each).pixels for each in part], model.config, detail=False)["frames"]
                found.append(summarise(backbone(frames, model.config.layers)).half().numpy())
        return np.concatenate(found)


@dataclass
class PhotoSet:
    """The photos of one split.

    Attributes:
        paths: of their files.
        given: (n,) mean scores by people, 1–10.
        encoder: of :attr:`features`.
        records: what is known of each, with its SHA-256; of test photos only.
    """

    paths: list[str]
    given: np.ndarray
    encoder: Encoder
    records: list[Record] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.paths)

    @property
    def hashes(self) -> list[str]:
        """First eight hex digits of each file's SHA-256."""
        return [str(record.sha256)[:8] for record in self.records]

    @property
    def digest(self) -> str:
        """Twelve hex digits that name these photos in their order."""
        return hashlib.sha256("".join(self.hashes).encode()).hexdigest()[:12]

    @property
    def wanted(self) -> np.ndarray:
        """(n, 10) the scores as the soft distributions that networks learn."""
        return np.array([spread_mean(score) for score in self.given])

    @cached_property
    def features(self) -> np.ndarray:
        """See :meth:`Encoder.features`; encoded when a row first asks for them."""
        return self.encoder.features(self.paths)


@dataclass
class Photos:
    """Training, validation and test photos of a comparison."""

    train: PhotoSet
    validation: PhotoSet
    test: PhotoSet

    @classmethod
    def gather(cls, spec: Comparison) -> Photos:
        """Find the photos: those that people rated among what a network of the comparison learns from and leaves out,
        and the test. Raises :class:`DataError` where there are none.
        """
        recipe = spec.network()
        encoder = Encoder(recipe)
        known = gather(recipe.data.root, "train", read_soft(recipe.data.soft) if recipe.data.soft else None)
        rated = [each for each in choose(recipe, known).get("rated", []) if each.source == spec.source]
        shots = [Shot(photo, None, None, {}, "rated") for photo in rated if photo.score is not None]
        learnt, held = hold_out({"rated": shots}, recipe.data.root)

        def part(name: str, photos: Sequence[Known] | Sequence[Record]) -> PhotoSet:
            if not photos:
                raise DataError(
                    f"expected rated photos of {spec.source} for {name}, found none below {recipe.data.root}; "
                    "see docs/datasets.md, or raise `photos.rated`"
                )
            return PhotoSet([each.path for each in photos], np.array([each.score for each in photos], float), encoder)

        train = part("train", [shot.photo for shot in learnt["rated"]])
        validation = part("validation", [shot.photo for shot in held["rated"]])
        test = tested(spec)[: spec.tested or None]
        return cls(train, validation, replace(part("test", test), records=test))


def tested(spec: Comparison) -> list[Record]:
    """Rated test photos with their SHA-256; drawn by it where not all are tested."""
    root = spec.data.root / FOLDERS.get(spec.source, spec.source)
    records = [record for record in dataset(spec.source).records(root, "test") if record.score is not None]
    hashes = hash_files([record.path for record in records], label=str(root))
    found = [replace(record, sha256=hashes[record.path]) for record in records]
    return sorted(found, key=lambda record: str(record.sha256)) if spec.tested else found
