"""What a model sees on many photos, as a file: to learn tastes from, again and again, without looking anew."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from calm.errors import WeightsError
from calm.personal.prior import Shown


@dataclass(frozen=True)
class Seen:
    """Photos as a model sees them.

    Attributes:
        model_sha256: of the model.
        hashes: SHA-256 of each photo's file; no photo twice.
        photos: (n) features and general scores.
    """

    model_sha256: str
    hashes: tuple[str, ...]
    photos: Shown

    @classmethod
    def gather(cls, model_sha256: str, hashes: Sequence[str], photos: Shown) -> Seen:
        """The first of photos that are the same file."""
        place = {sha256: i for i, sha256 in reversed(list(enumerate(hashes)))}
        chosen = sorted(place.values())
        return cls(model_sha256, tuple(hashes[i] for i in chosen), photos[chosen])

    def of(self, hashes: Sequence[str]) -> Shown:
        """These photos. Raises :class:`WeightsError` where one is not there."""
        place = {sha256: i for i, sha256 in enumerate(self.hashes)}
        missing = [sha256 for sha256 in hashes if sha256 not in place]
        if missing:
            raise WeightsError(
                f"expected {len(hashes)} photos among the {len(place)} that were looked at, found {len(missing)} "
                "missing; look at them, too: calm profile look"
            )
        return self.photos[[place[sha256] for sha256 in hashes]]

    def save(self, path: str | Path) -> None:
        """Write as safetensors, features in half precision (they are standardised)."""
        from safetensors.numpy import save_file

        tensors = {"features": self.photos.features.astype(np.float16), "general": self.photos.general.astype("<f4")}
        facts = {"model_sha256": self.model_sha256, "hashes": json.dumps(self.hashes)}
        save_file({name: np.ascontiguousarray(value) for name, value in tensors.items()}, path, metadata=facts)

    @classmethod
    def load(cls, path: str | Path) -> Seen:
        """Read what :meth:`save` wrote. Raises :class:`WeightsError` for a file that is none."""
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(path, "numpy") as file:
                facts = file.metadata() or {}
                photos = Shown(file.get_tensor("features").astype(float), file.get_tensor("general").astype(float))
            return cls(facts["model_sha256"], tuple(json.loads(facts["hashes"])), photos)
        except (OSError, SafetensorError, KeyError, ValueError) as error:
            raise WeightsError(
                f"expected what a model sees on photos at {path}, found: {error}; make it with: calm profile look"
            ) from error
