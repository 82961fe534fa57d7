"""What heads on frozen networks read: standardised features of the three parts."""

from __future__ import annotations

import numpy as np

from calm.eval.compare.photos import Part
from calm.eval.compare.rows.base import Place
from calm.eval.compare.spec import Row
from calm.eval.gather import batches, progress

SMALL = 1e-6


def read(place: Place, row: Row) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features of training, validation and test photos, (n, d) float32, about the training photos' mean and in units
    of their spread.
    """
    parts = place.photos.train, place.photos.validation, place.photos.test
    found = [nima(part)[0] if row.features == "nima" else part.pooled for part in parts]
    centre, spread = found[0].mean(axis=0), found[0].std(axis=0) + SMALL
    train, validation, test = ((each - centre) / spread for each in found)
    return train, validation, test


def nima(part: Part) -> tuple[np.ndarray, np.ndarray]:
    """What idealo's NIMA says of photos: pooled features (n, 1024), and its own distributions (n, 10)."""
    import torch
    from transformers import AutoConfig

    from calm.data.views import normalise
    from calm.model.checkpoint import source_dir
    from calm.model.configuration import CalmConfig
    from calm.model.pyramid import Pyramid
    from calm.tasks.photos import read_whole

    key = "_nima"
    if not hasattr(part, key):
        source = source_dir("packaged:nima")
        config = CalmConfig(pyramid_config=AutoConfig.from_pretrained(source))
        pyramid = Pyramid(config)
        pyramid.begin(source)
        pyramid.eval()
        features, said = [], []
        for paths in progress(list(batches(part.paths, 32)), "NIMA"):
            frames = normalise(np.stack([read_whole(path) for path in paths]), config.image_mean, config.image_std)
            with torch.inference_mode():
                features.append(pyramid.pooled(frames))
                said.append(pyramid.out["score"](features[-1]).softmax(dim=1))
        setattr(part, key, (torch.cat(features).numpy(), torch.cat(said).numpy()))
    return getattr(part, key)
