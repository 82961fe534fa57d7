"""Shots whose encoder features are kept on disk: what the frozen encoder says of them is computed once.

One folder a kind: ``frames.npy`` (n, layers, tokens, width) and ``crops.npy`` (m, detail layers, tokens, width), both
float16, and ``shots.jsonl`` with what was done to each.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from calm.data.views import normalise
from calm.edits.base import Applied
from calm.model.network import CalmForConditionalGeneration
from calm.train.examples import Drawer, Known, Shot


def write_shots(
    folder: Path,
    kind: str,
    photos: Sequence[Known],
    drawer: Drawer,
    model: CalmForConditionalGeneration,
    seed: int = 5,
    batch: int = 32,
    tell: Callable[[int], None] = lambda done: None,
) -> None:
    """Shoot every photo once and keep its features. An interrupted run is begun anew."""
    folder.mkdir(parents=True, exist_ok=True)
    config = model.config
    frames: list[np.ndarray] = []
    crops: list[np.ndarray] = []
    rows: list[dict[str, Any]] = []

    def shoot(index: int) -> Shot | None:
        try:
            return drawer.shoot(kind, photos[index], np.random.default_rng([seed, index]))
        except OSError:
            return None

    def keep(shots: list[Shot]) -> None:
        views = [shot.frame for shot in shots]
        close = [shot for shot in shots if kind == "edited" or shot.photo.native]
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
            whole = _features(model, views, config.layers, batch)
            detail = _features(model, [s.crop for s in close], config.detail_layers, batch) if close else None
        places = {id(shot): i for i, shot in enumerate(close)}
        for shot, found in zip(shots, whole, strict=True):
            row = _row(shot)
            frames.append(found)
            if id(shot) in places and detail is not None:
                row["crop"] = len(crops)
                crops.append(detail[places[id(shot)]])
            rows.append(row)

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
    np.save(folder / "frames.npy", np.stack(frames))
    np.save(folder / "crops.npy", np.stack(crops) if crops else np.zeros((0, 1, 1, 1), np.float16))
    (folder / "shots.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def read_shots(folder: Path, known: dict[str, Known]) -> list[Shot]:
    """Shots of :func:`write_shots`, without photos that are not in ``known``; features are read as they are needed."""
    frames = np.load(folder / "frames.npy", mmap_mode="r")
    crops = np.load(folder / "crops.npy", mmap_mode="r")
    rows = [json.loads(line) for line in (folder / "shots.jsonl").read_text().splitlines()]
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
                tuple(row["target"]) if row["target"] else None,
                features=frames[index],
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
        "target": shot.target,
    }


def _features(
    model: CalmForConditionalGeneration, views: Sequence[np.ndarray], layers: Sequence[int], batch: int
) -> np.ndarray:
    """Always ``batch`` views at once, the last ones filled up: one shape for compiled blocks."""
    found = []
    for start in range(0, len(views), batch):
        part = list(views[start : start + batch])
        filled = part + [part[0]] * (batch - len(part))
        frames = normalise(np.stack(filled), model.config.image_mean, model.config.image_std)
        found.append(model.backbone(frames, layers)[: len(part)].to(torch.float16).numpy())
    return np.concatenate(found)


def _batches(shoot: Callable[[int], Shot | None], count: int, batch: int) -> Iterator[list[Shot]]:
    with ThreadPoolExecutor(2) as pool:
        starts = range(0, count, batch)
        ahead = [pool.map(shoot, range(start, min(start + batch, count))) for start in starts[:2]]
        for number, _ in enumerate(starts):
            if number + 2 < len(starts):
                start = starts[number + 2]
                ahead.append(pool.map(shoot, range(start, min(start + batch, count))))
            yield [shot for shot in ahead[number] if shot is not None]
