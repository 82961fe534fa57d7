"""Where the frozen encoder's features of a data set lie, and how they are made."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from calm.data.feature_cache import FeatureCache
from calm.data.views import normalise
from calm.model.encoder import VisionEncoder
from calm.tasks.base import Context, Report, silent
from calm.tasks.photos import read_whole


def open_cache(context: Context, name: str, flipped: bool) -> FeatureCache:
    """The cache of one data set's whole-frame features, plain or mirrored."""
    config = context.config
    shape = (len(config.layers), config.features_tokens, config.vision_config.hidden_size)
    made_by = f"{config.vision_source} layers {config.layers} pool {config.pool} size {config.image_size}"
    return FeatureCache(
        context.cache / "features" / (name + ("-flip" if flipped else "")),
        shape,
        made_by + (" flip" if flipped else ""),
    )


def fill_cache(
    cache: FeatureCache,
    encoder: VisionEncoder,
    context: Context,
    photos: Sequence[tuple[str, str]],
    flipped: bool,
    batch: int = 32,
    report: Report = silent,
) -> None:
    """Encode the photos (sha256, path) that ``cache`` does not hold yet."""
    todo = list({sha: path for sha, path in photos if sha not in cache}.items())
    config = context.config
    for start in range(0, len(todo), batch):
        part = todo[start : start + batch]
        views = np.stack([read_whole(path, config.image_size) for _, path in part])
        pixels = normalise(views, config.image_mean, config.image_std)
        with torch.inference_mode():
            features = encoder(pixels.flip(3) if flipped else pixels, config.layers)
        cache.append([sha for sha, _ in part], features.float().numpy())
        report(start + len(part), len(todo))
