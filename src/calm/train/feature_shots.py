"""Shots whose encoder features are kept on disk: what never changes of them is computed once.

One folder a kind: ``frames.npy`` (n, trunk layers, tokens, width) and ``crops.npy`` (m, detail layers, tokens, width)
with pooled features, ``trunk.npy`` (n, 1 + grid², width) with all tokens behind the last block without adapters, all in
float16, and ``shots.jsonl`` with what was done to each. :func:`dependencies` says what all of it depends on.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from calm.data.hashes import hash_files, source_sha256
from calm.data.views import normalise
from calm.edits.base import Applied, edits
from calm.errors import ConfigError
from calm.model.catalogue import part_hashes
from calm.model.network import Network
from calm.train.shooting import Shooter
from calm.train.shots import Known, Shot, whole_target

ROWS = "shots.jsonl"
"""Is written last: a folder without it is not complete."""
MADE_BY = (
    "data/measure.py",
    "data/views.py",
    "edits/",
    "model/backbone.py",
    "model/saliency.py",
    "train/blanks.py",
    "train/feature_shots.py",
    "train/shooting.py",
)
"""Source that what is kept depends on."""
CHUNK = 32
"""Shots that go through the blocks with adapters at once."""


def dependencies(kind: str, photos: Sequence[Known], model: Network, label: str) -> dict[str, Any]:
    """All that the kept features of these photos depend on, ready for JSON: where it is the same, so are they.

    Args:
        kind: of example, as :class:`calm.train.shooting.Shooter` knows them.
        model: whose encoder they come from.
        label: of the photos' hashes, see :func:`calm.data.hashes.hash_files`.
    """
    config = model.config
    hashes = {} if kind == "blank" else hash_files([photo.path for photo in photos], label=label)
    return {
        "kind": kind,
        "photos": [(photo.path, hashes.get(photo.path), photo.native) for photo in photos],
        "edits": list(edits()) if kind == "edited" else [],
        "source": source_sha256(lambda name: name.startswith(MADE_BY)),
        "subjects": part_hashes("dinov2-s") if kind == "edited" else [],
        "encoder": part_hashes(config.vision_source),
        "blocks": [config.trunk, config.trunk_layers, config.detail_layers, config.late_layers],
        "preprocessing": [config.image_size, config.image_mean, config.image_std, config.pool],
        "numbers": [str(model.backbone.model.dtype), "bfloat16", "float16"],
    }


def write_shots(
    folder: Path,
    kind: str,
    photos: Sequence[Known],
    shooter: Shooter,
    model: Network,
    seed: int = 5,
    batch: int = 32,
    tell: Callable[[int], None] = lambda done: None,
) -> None:
    """Shoot every photo once and keep its features. An interrupted run is begun anew."""
    folder.mkdir(parents=True, exist_ok=True)
    config = model.config
    if any(layer > config.trunk for layer in config.detail_layers):
        raise ConfigError(
            f"expected adapters of the encoder behind blocks {config.detail_layers}, which read the crop, found them "
            f"from block {config.trunk + 1} on; leave those blocks out of vision_lora's layers_to_transform"
        )
    files = {name: _Growing(folder / f"{name}.npy") for name in ("frames", "trunk", "crops")}
    rows: list[dict[str, Any]] = []

    def shoot(index: int) -> Shot | None:
        try:
            return shooter(kind, photos[index], np.random.default_rng([seed, index]))
        except OSError:
            return None

    def keep(shots: list[Shot]) -> None:
        close = [shot for shot in shots if config.detail_layers and (kind == "edited" or shot.photo.native)]
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
            for views in _filled([shot.frame for shot in shots], batch, model):
                pooled, tokens = model.backbone.trunk(views.pixels, config.trunk_layers, config.trunk)
                files["frames"].add(pooled[: views.count])
                if config.late_layers:
                    files["trunk"].add(tokens[: views.count])
            first = files["crops"].count
            for views in _filled([shot.crop for shot in close], batch, model):
                files["crops"].add(model.backbone(views.pixels, config.detail_layers)[: views.count])
        places = {id(shot): first + i for i, shot in enumerate(close)}
        rows.extend(_row(shot) | ({"crop": places[id(shot)]} if id(shot) in places else {}) for shot in shots)

    for shots in _batches(shoot, len(photos), batch):
        flat = []
        for shot in shots:
            flat.append(shot)
            if shot.better is not None:
                flat.append(shot.better)
        first = len(rows)
        keep(flat)
        for offset, shot in enumerate(flat):
            if shot.better is not None:
                rows[first + offset]["better"] = first + offset + 1
                rows[first + offset + 1]["pair"] = True
        tell(len(rows))
    for file in files.values():
        file.close()
    (folder / "rows").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "rows").replace(folder / ROWS)


class _Growing:
    """A float16 array on disk that grows along its first axis; nothing is written before the first row."""

    HEAD = 128

    def __init__(self, path: Path) -> None:
        self.path, self.count, self.shape = path, 0, (1,)
        self.stream = path.open("wb")
        self.stream.write(bytes(self.HEAD))

    def add(self, rows: Tensor) -> None:
        self.shape, self.count = tuple(rows.shape[1:]), self.count + len(rows)
        self.stream.write(rows.to(torch.float16).contiguous().numpy().tobytes())

    def close(self) -> None:
        facts = {"descr": "<f2", "fortran_order": False, "shape": (self.count, *self.shape)}
        text = f"{facts}".encode().ljust(self.HEAD - 11) + b"\n"
        self.stream.seek(0)
        self.stream.write(b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text)
        self.stream.close()


@dataclass(frozen=True)
class _Views:
    pixels: Tensor
    count: int


def _filled(views: Sequence[np.ndarray], batch: int, model: Network) -> Iterator[_Views]:
    """Always ``batch`` views at once, the last ones filled up: one shape for compiled blocks."""
    for start in range(0, len(views), batch):
        part = list(views[start : start + batch])
        filled = np.stack(part + [part[0]] * (batch - len(part)))
        yield _Views(normalise(filled, model.config.image_mean, model.config.image_std), len(part))


def shot_features(model: Network, shots: Sequence[Shot]) -> Tensor:
    """Encoder features of shots that have kept ones: (B, len(config.layers), tokens, width).

    Blocks with adapters run here.
    """
    config = model.config
    kept = torch.from_numpy(np.stack([shot.features for shot in shots]))
    if not config.late_layers:
        return kept
    found = []
    for start in range(0, len(shots), CHUNK):  # always as many at once: the same numbers in any batch
        part = [shot.tokens for shot in shots[start : start + CHUNK]]
        tokens = torch.from_numpy(np.stack([*part, *[part[0]] * (CHUNK - len(part))]))
        late = model.backbone.late(tokens.to(model.backbone.model.dtype), config.late_layers, config.trunk)
        found.append(late[: len(part)])
    return torch.cat([kept.to(found[0].dtype), torch.cat(found)], dim=1)


def read_shots(folder: Path, known: dict[str, Known]) -> list[Shot]:
    """Shots of :func:`write_shots`, without photos that are not in ``known``; features are read as they are needed."""
    frames, crops, trunk = (np.load(folder / f"{name}.npy", mmap_mode="r") for name in ("frames", "crops", "trunk"))
    rows = [json.loads(line) for line in (folder / ROWS).read_text().splitlines()]
    shots: list[Shot | None] = []
    for index, row in enumerate(rows):
        photo = known.get(row["path"])
        if photo is None:
            shots.append(None)
            continue
        shots.append(
            Shot(
                photo,
                None,
                None,
                row["cues"],
                row["kind"],
                tuple(Applied(**each) for each in row["applied"]),
                None if row["applied"] else whole_target(photo),  # labels may be newer than features
                features=frames[index],
                tokens=trunk[index] if len(trunk) else None,
                detail=crops[row["crop"]] if "crop" in row else None,
            )
        )
    for row, shot in zip(rows, shots, strict=True):
        if shot is not None and "better" in row:
            shot.better = shots[row["better"]]
    return [shot for row, shot in zip(rows, shots, strict=True) if shot is not None and "pair" not in row]


def _row(shot: Shot) -> dict[str, Any]:
    return {
        "path": shot.photo.path,
        "kind": shot.kind,
        "cues": {name: round(float(value), 4) for name, value in shot.cues.items()},
        "applied": [asdict(each) for each in shot.applied],
    }


def _batches(shoot: Callable[[int], Shot | None], count: int, batch: int) -> Iterator[list[Shot]]:
    with ThreadPoolExecutor(2) as pool:
        starts = range(0, count, batch)
        ahead = [pool.map(shoot, range(start, min(start + batch, count))) for start in starts[:2]]
        for number, _ in enumerate(starts):
            if number + 2 < len(starts):
                start = starts[number + 2]
                ahead.append(pool.map(shoot, range(start, min(start + batch, count))))
            yield [shot for shot in ahead[number] if shot is not None]
