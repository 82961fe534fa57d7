"""Edited photos, encoded once: the store behind self-supervision with a frozen encoder.

Every lesson is a pure function of (photo, draw): the store can be built again, on any machine, by the same command.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from itertools import islice

import numpy as np
import torch

from calm.data.feature_cache import FeatureCache
from calm.data.hashes import hash_files
from calm.data.images import load_photo
from calm.data.measure import MEASURE_NAMES, measurements, standardise
from calm.data.rated import split_of
from calm.data.record import Record, dataset
from calm.data.sample import Sample
from calm.data.subject import subject_cues
from calm.data.views import make_views, normalise
from calm.edits import Applied, make_lesson
from calm.errors import ConfigError, DataError
from calm.model.configuration import CalmConfig
from calm.model.modeling import CalmForConditionalGeneration
from calm.model.processing import pad_measures
from calm.model.saliency import Saliency, same_encoder
from calm.model.weights import file_sha256
from calm.tasks.base import Context, Report, Task, silent
from calm.tasks.features import FrameFeatures
from calm.words.reading import read_frame

SQUARE = ("exposure", "contrast", "saturation", "white_balance", "tilt", "vignetting", "colour_harmony")
"""Attributes taught by photos that have lost their native pixels (224 × 224 sets): those that need no fine detail and
no map of the subject."""


@dataclass(frozen=True)
class Source:
    """Photos to draw lessons from.

    Attributes:
        name: data set, in a folder of ``folder`` (its name if empty) below the data root.
        draws: lessons a photo.
        first: number of the first draw, so that one photo may stand in several sources.
        attributes: to draw edits from; none for all that the photos can teach.
        limit: photos at most, chosen by hash; 0 for all.
        native: the photos have native pixels, so that sharpness, noise and compression can be learnt from them.
        floor: only photos scored at least that (1–10), where the set has scores: poor photos have faults of their own.
    """

    name: str
    folder: str = ""
    draws: int = 1
    first: int = 0
    attributes: Sequence[str] = ()
    limit: int = 0
    native: bool = True
    floor: float = 0.0

    @property
    def numbers(self) -> range:
        """Numbers of the draws."""
        return range(self.first, self.first + self.draws)

    @property
    def chosen(self) -> Sequence[str] | None:
        """Attributes to draw edits from, None for every one."""
        return self.attributes or (None if self.native else SQUARE)


@dataclass(frozen=True)
class Labels:
    """What was done in a lesson, and what can be measured on its photo.

    Attributes:
        key: ``sha256:draw``.
        applied: the edits.
        crop_mask: as :class:`calm.data.views.Views` has it.
        measurements: of :func:`calm.data.measure.measurements` and :func:`calm.data.subject.subject_cues`.
        reading: of :func:`calm.words.reading.read_frame`, without the subject (the edit may have moved it).
        content: what the photo shows, "" where nobody said.
        native: the photo has native pixels.
    """

    key: str
    sha256: str
    applied: tuple[Applied, ...]
    crop_mask: list[bool]
    measurements: dict[str, float]
    reading: dict[str, float]
    content: str = ""
    native: bool = True

    @property
    def split(self) -> str:
        """The part that its photo belongs to."""
        return split_of(self.sha256)


class LessonStore:
    """Features and labels of lessons under one name: frames as :class:`FrameFeatures` keeps them, crops beside them."""

    def __init__(self, context: Context, name: str) -> None:
        config = context.config
        if config.crops and config.adapted_branches is None and max(config.low_layers) > config.trunk:
            raise ConfigError(
                f"expected the encoder's adapters above low_layers {config.low_layers}, found them from block "
                f"{config.trunk + 1} on; crops are encoded once, so give vision_lora layers_to_transform above them"
            )
        self.context = context
        made_by = (
            f"{config.vision_source} crops {config.crops} of {config.low_layers} pool {config.pool} "
            f"size {config.image_size}"
        )
        folder = context.cache / "features" / f"{name}-crops"
        rows = config.crops * len(config.low_layers)
        self.crops = FeatureCache(folder, (rows, config.features_tokens, config.vision_config.hidden_size), made_by)
        self.frames = FrameFeatures(context, name)
        self.path = folder / "lessons.jsonl"
        self.labels: dict[str, Labels] = {}
        if self.path.exists():
            for line in self.path.read_text().splitlines():
                fields = json.loads(line)
                fields["applied"] = tuple(Applied(**item) for item in fields["applied"])
                self.labels[fields["key"]] = Labels(**fields)

    def open(self, model: CalmForConditionalGeneration) -> None:
        """Open the frames that belong to a model's encoder as it is now."""
        self.frames.open(model)

    def __contains__(self, key: str) -> bool:
        return key in self.labels and key in self.crops and key in self.frames.first

    def keys(self, split: str, sources: Sequence[Source] = ()) -> list[str]:
        """Keys of one split in a fixed order; with ``sources``, of their lessons alone.

        Raises:
            DataError: when there is none.
        """
        wanted = set(lesson_keys(self.context, sources)) if sources else self.labels.keys()
        keys = sorted(k for k, labels in self.labels.items() if k in wanted and labels.split == split and k in self)
        if not keys:
            raise DataError(f"expected encoded lessons in {self.path.parent}, found none; give the task its sources")
        return keys

    def read(self, key: str, cached: str = "finished") -> tuple[Sample, Labels]:
        """Features (``finished`` or ``started``) and labels of one lesson."""
        labels = self.labels[key]
        sample = Sample(
            crops=self.crops.read([key])[0],
            crop_mask=np.array(labels.crop_mask, bool),
            measures=pad_measures(standardise(labels.measurements), self.context.config.measures),
            **self.frames.read(key, cached),
        )
        return sample, labels

    def append(self, labels: Sequence[Labels], frames: np.ndarray, crops: np.ndarray) -> None:
        """Add encoded lessons. ``frames``: as :attr:`FrameFeatures.first` keeps them; ``crops``: flat rows."""
        with open(self.path, "a") as stream:
            for item in labels:
                stream.write(json.dumps(asdict(item)) + "\n")
                self.labels[item.key] = item
        keys = [item.key for item in labels]
        self.crops.append(keys, crops)
        self.frames.first.append(keys, frames)


def photos(context: Context, source: Source) -> list[Record]:
    """The records of a source, by hash of their path so that ``limit`` takes a random but fixed choice."""
    folder = context.root / (source.folder or source.name)
    records = dataset(source.name).records(folder)
    chosen = [r for r in records if r.split in (None, "train") and (r.score is None or r.score >= source.floor)]
    chosen.sort(key=lambda record: hashlib.sha256(record.path.split(str(context.root))[-1].encode()).hexdigest())
    return chosen[: source.limit or None]


class LessonsTask(Task):
    """A task over the lessons of a store.

    Args:
        store: name of a store of encoded lessons.
        sources: photos of its lessons, fields of :class:`Source`; none takes every lesson there is.
        split: ``train`` or ``validation``, by photo.
        limit: lessons at most, the first by key; 0 for all.
    """

    def __init__(
        self,
        context: Context,
        store: str = "lessons",
        sources: list[dict] | None = None,
        split: str = "train",
        limit: int = 0,
    ) -> None:
        super().__init__(context)
        self._named = store
        self.sources = [Source(**source) for source in sources or []]
        self.split, self.limit = split, limit
        self.keys: list[str] = []

    @cached_property
    def store(self) -> LessonStore:
        """The encoded lessons."""
        return LessonStore(self.context, self._named)

    def choose(self, model: CalmForConditionalGeneration, finish: bool, report: Report) -> None:
        """Open the store for a model, choose the keys, and ``finish`` their features."""
        self.store.open(model)
        self.keys = self.store.keys(self.split, self.sources)[: self.limit or None]
        if finish:
            self.store.frames.finish(model, self.keys, report, self.branches)

    def hashes(self) -> set[str]:
        return {key.split(":")[0] for key in self.keys}

    def __len__(self) -> int:
        return len(self.keys)


def lesson_keys(context: Context, sources: Sequence[Source]) -> list[str]:
    """Keys of all lessons of the sources, encoded or not."""
    found = [(record, source) for source in sources for record in photos(context, source)]
    hashes = hash_files([record.path for record, _ in found], label=str(context.root))
    return [f"{hashes[record.path]}:{draw}" for record, source in found for draw in source.numbers]


def build_lessons(
    context: Context,
    store: LessonStore,
    sources: Sequence[Source],
    model: CalmForConditionalGeneration,
    batch: int = 16,
    report: Report = silent,
) -> None:
    """Make and encode every lesson that ``store`` does not hold yet; goes on where an earlier call ended.

    A photo whose lessons are all there is not opened.
    """
    config = context.config
    queue = [(record, source) for source in sources for record in photos(context, source)]
    order = np.random.default_rng(0).permutation(len(queue))
    todo = [queue[i] for i in order]
    vision = model.merged_vision()
    told = config.measures > len(MEASURE_NAMES)
    subjects = Saliency() if told or any(source.native for _, source in todo) else None
    total = sum(source.draws for _, source in todo)

    def prepare(item: tuple[Record, Source]) -> list[tuple[Labels, np.ndarray]]:
        record, source = item
        sha = record.sha256 or file_sha256(record.path)
        if all(f"{sha}:{draw}" in store for draw in source.numbers):
            return []
        pixels = load_photo(record.path).pixels
        found = None
        if source.native and subjects:
            found = subjects.of([pixels])[0]
        made = []
        for draw in source.numbers:
            rng = np.random.default_rng([draw, int(sha[:12], 16)])
            made.append(draw_lesson(config, record, source, f"{sha}:{draw}", pixels, found, rng))
        return [item for item in made if item[0].key not in store]

    done, seen = 0, set()
    for group in _ahead(prepare, todo, batch):
        fresh = [item for made in group for item in made if item[0].key not in seen]
        seen |= {item[0].key for item in fresh}
        for start in range(0, len(fresh), batch):
            part = fresh[start : start + batch]
            views = normalise(np.stack([views for _, views in part]), config.image_mean, config.image_std)
            mask = torch.tensor([labels.crop_mask for labels, _ in part])
            with torch.inference_mode():
                crops = model.encode_crops(views[:, 1:], mask, vision)
            frames, last = store.frames.encode(model, views[:, 0], vision)
            items = [labels for labels, _ in part]
            if told and subjects:
                shared = last is not None and same_encoder(config)
                maps = subjects.decode(last).numpy() if shared else subjects.of([pixels[0] for _, pixels in part])
                found = zip(part, maps, strict=True)
                items = [with_subject(labels, seen, pixels[0]) for (labels, pixels), seen in found]
            store.append(items, frames, crops.flatten(1, 2).float().numpy())
            done += len(part)
        report(done, total)


def draw_lesson(
    config: CalmConfig,
    record: Record,
    source: Source,
    key: str,
    pixels: np.ndarray,
    saliency: np.ndarray | None,
    rng: np.random.Generator,
) -> tuple[Labels, np.ndarray]:
    """One lesson on a photo (H, W, 3) uint8: its labels, and its views (1 + config.crops, S, S, 3) uint8.

    Args:
        key: ``sha256:draw`` of the photo.
        saliency: of the photo, where it has native pixels; see :func:`calm.edits.make_lesson`.
    """
    lesson = make_lesson(pixels, rng, attributes=source.chosen, saliency=saliency)
    views = make_views(lesson.pixels, config.image_size)
    labels = Labels(
        key,
        key.split(":")[0],
        lesson.applied,
        views.crop_mask[: config.crops].tolist(),
        _rounded(measurements(lesson.pixels)),
        _rounded(read_frame(lesson.pixels)),
        (record.captions or (record.group,))[0],
        source.native,
    )
    return labels, np.concatenate([views.whole[None], views.crops[: config.crops]])


class FreshLessons:
    """Lessons that are drawn when they are read, and never kept: for sets too large to keep encoded.

    Args:
        split: ``train`` or ``validation``, by photo, as in a store.

    Raises:
        DataError: when there is no photo.
    """

    def __init__(self, context: Context, sources: Sequence[Source], split: str) -> None:
        self.config = context.config
        found = [(record, source) for source in sources for record in photos(context, source)]
        hashes = hash_files([record.path for record, _ in found], label=str(context.root))
        lessons = [(f"{hashes[r.path]}:{draw}", r, source) for r, source in found for draw in source.numbers]
        self.lessons = [item for item in lessons if split_of(item[0]) == split]
        if not self.lessons:
            raise DataError(f"expected photos to draw lessons from below {context.root}, found none; give sources")
        self.told = self.config.measures > len(MEASURE_NAMES)
        needed = self.told or any(source.native for source in sources)
        self.subjects = Saliency() if needed else None

    def read(self, index: int, rng: np.random.Generator) -> tuple[Sample, Labels]:
        """Views, measurements and labels of a new lesson on photo ``index``."""
        key, record, source = self.lessons[index]
        pixels = load_photo(record.path).pixels
        found = self.subjects.of([pixels])[0] if source.native and self.subjects else None
        labels, views = draw_lesson(self.config, record, source, key, pixels, found, rng)
        if self.told and self.subjects:
            labels = with_subject(labels, self.subjects.of([views[0]])[0], views[0])
        measures = pad_measures(standardise(labels.measurements), self.config.measures)
        return Sample(views=views, crop_mask=np.array(labels.crop_mask, bool), measures=measures), labels


def with_subject(labels: Labels, saliency: np.ndarray, frame: np.ndarray) -> Labels:
    """Labels with the cues of the subject of the edited frame (S, S, 3) among their measurements."""
    return replace(labels, measurements=labels.measurements | _rounded(subject_cues(saliency, frame)))


def _rounded(cues: dict[str, float]) -> dict[str, float]:
    return {name: float(f"{value:.5g}") for name, value in cues.items()}


def _ahead(prepare: Callable, items: list, size: int) -> Iterator[list]:
    """Groups of prepared items, the next group being made by threads while this one is used."""
    rest = iter(items)
    with ThreadPoolExecutor(2) as pool:
        waiting = [pool.submit(prepare, item) for item in islice(rest, 2 * size)]
        while waiting:
            group = [future.result() for future in waiting[:size]]
            waiting = waiting[size:] + [pool.submit(prepare, item) for item in islice(rest, size)]
            yield group
