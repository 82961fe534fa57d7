"""Where the encoder's features of a data set's whole frames lie, and how they are made.

While the encoder stands still, a photo is encoded once: its ``finished`` features. Where its later blocks have
adapters, it is encoded in two halves: what the blocks below the adapters say is ``started`` once and for all, and
``finished`` belongs to the adapters of the moment, so its folder is named after them. Where some branches read the
encoder with its adapters and others without, a photo is finished both ways.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from calm.data.feature_cache import FeatureCache
from calm.data.looks import look
from calm.data.rated import read_whole
from calm.data.views import normalise
from calm.errors import DataError
from calm.model.encoder import VisionEncoder
from calm.model.modeling import CalmForConditionalGeneration
from calm.tasks.base import Context, Report, silent

BATCH = 16
Photos = Sequence[tuple[str, str]]
"""(key, path) of photos; the key is the SHA-256 of the file."""


class FrameFeatures:
    """Features of whole frames under one name, by key, as they are or in another of the looks at them."""

    def __init__(self, context: Context, name: str, look: str = "frame") -> None:
        self.context = context
        self.name = name if look == "frame" else f"{name}-{look}"
        self.look = look
        self._started: FeatureCache | None = None
        self._finished: FeatureCache | None = None
        self._adapted: FeatureCache | None = None
        self._reads_plain = self._reads_adapted = True

    def fill(
        self,
        model: CalmForConditionalGeneration,
        photos: Photos,
        finish: bool = True,
        report: Report = silent,
        branches: Sequence[str] | None = None,
    ) -> None:
        """Encode the photos that are not encoded yet.

        Args:
            finish: with all blocks; else those that stand still.
            branches: of the alignment module, that will read them; None for all.
        """
        self.open(model)
        self._encode(self.first, model, photos, report)
        if finish:
            self.finish(model, [key for key, _ in photos], report, branches)

    def open(self, model: CalmForConditionalGeneration) -> None:
        """Open the folders that belong to a model's encoder as it is now."""
        config = self.context.config
        shape = (len(config.layers), config.features_tokens, config.vision_config.hidden_size)
        made_by = f"{config.vision_source} layers {config.layers} pool {config.pool} size {config.image_size}"
        folder = self.context.cache / "features"
        digest = model.adapters_digest()
        if 0 < config.trunk < config.vision_config.num_hidden_layers:
            with torch.inference_mode():
                blank = model.start(torch.zeros(1, 3, config.image_size, config.image_size))
            shallow = [layer for layer in config.layers if layer <= config.trunk]
            half = f"{config.vision_source} trunk {config.trunk} layers {shallow} pool {config.pool}"
            half += f" size {config.image_size}"
            self._started = FeatureCache(folder / f"{self.name}-trunk", blank.shape[1:], half)
        plain = FeatureCache(folder / self.name, shape, made_by)
        tuned = plain
        if digest:
            tuned = FeatureCache(folder / f"{self.name}-{digest}", shape, f"{made_by} adapters {digest}")
        forked = config.adapted_branches is not None
        self._finished, self._adapted = (plain, tuned) if forked else (tuned, None)

    @property
    def first(self) -> FeatureCache:
        """The folder that a photo's first encoding goes to."""
        return self._started if self._started is not None else self.finished

    @property
    def finished(self) -> FeatureCache:
        """The folder of finished features."""
        if self._finished is None:
            raise DataError(f"expected the features of {self.name} to be open, found them closed; call prepare first")
        return self._finished

    def read(self, key: str, cached: str = "finished") -> dict[str, Any]:
        """Fields of a sample: ``started``; or ``features`` and, where the encoder forks, ``adapted``, those that
        :meth:`finish` was told of.
        """
        if cached == "started":
            return {"started": self.started.read([key])[0]}
        found = {}
        if self._reads_plain:
            found["features"] = self.finished.read([key])[0]
        if self._adapted is not None and self._reads_adapted:
            found["adapted"] = self._adapted.read([key])[0]
        return found

    @property
    def started(self) -> FeatureCache:
        """The folder of what the blocks below the adapters say."""
        if self._started is None:
            raise DataError(
                f"expected an encoder with adapters behind the started features of {self.name}, found none; "
                "give vision_lora in the recipe, or read finished features"
            )
        return self._started

    def finish(
        self,
        model: CalmForConditionalGeneration,
        keys: Sequence[str],
        report: Report = silent,
        branches: Sequence[str] | None = None,
    ) -> None:
        """Finish what is started and not finished yet, with the adapters or without, as ``branches`` read it."""
        config = self.context.config
        if self._adapted is not None:
            asked = set(config.branch_names if branches is None else branches)
            self._reads_plain = any(not config.reads_adapted(branch) for branch in asked)
            self._reads_adapted = any(config.reads_adapted(branch) for branch in asked)
        if self._started is None:
            return
        ways = [(self.finished, self._adapted is None)] if self._reads_plain else []
        if self._adapted is not None and self._reads_adapted:
            ways.append((self._adapted, True))
        for cache, adapted in ways:
            todo = list(dict.fromkeys(key for key in keys if key not in cache))
            vision = model.merged_vision() if todo else None
            for start in range(0, len(todo), BATCH):
                part = todo[start : start + BATCH]
                with torch.inference_mode():
                    started = torch.from_numpy(self._started.read(part))
                    features = model.finish(started, vision=vision, adapted=adapted)
                cache.append(part, features.float().numpy())
                report(start + len(part), len(todo))

    def _encode(self, cache: FeatureCache, model: CalmForConditionalGeneration, photos: Photos, report: Report) -> None:
        todo = list({key: path for key, path in photos if key not in cache}.items())
        if not todo:
            return
        vision = model.merged_vision()
        done = 0
        for keys, frames in self._frames(todo):
            cache.append(keys, self.encode(model, frames, vision)[0])
            done += len(keys)
            report(done, len(todo))

    @torch.inference_mode()
    def encode(
        self, model: CalmForConditionalGeneration, frames: Tensor, vision: VisionEncoder
    ) -> tuple[np.ndarray, Tensor | None]:
        """Frames (B, 3, S, S) → rows of :attr:`first`, and every token after the last block where all blocks were run.

        ``vision``: the model's encoder, adapters folded in.
        """
        if self._started is not None:
            return model.start(frames, vision).float().numpy(), None
        features, last = vision.read(frames, model.config.layers, adapted=self._adapted is None)
        return features.float().numpy(), last

    def _frames(self, photos: Photos) -> Iterator[tuple[list[str], Tensor]]:
        config = self.context.config
        for start in range(0, len(photos), BATCH):
            part = photos[start : start + BATCH]
            frames = np.stack([read_whole(path, config.image_size) for _, path in part])
            seen = look(normalise(frames, config.image_mean, config.image_std), self.look)
            yield [key for key, _ in part], seen.contiguous()
