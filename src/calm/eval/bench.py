"""How fast are scores, part by part, beside what the arithmetic of this machine allows?

The parts take turns over the same photos, so that a slow moment of the machine does not fall on one alone, and what is
compared is ratios of one run.
"""

from __future__ import annotations

import functools
import importlib
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from calm.data.batches import batches, decode, draw
from calm.data.images import Photo, load_photo
from calm.data.progress import progress
from calm.errors import DataError, UsageError
from calm.eval.gather import Paths, find, plain, renamed, stamp
from calm.inference.engine import Engine
from calm.inference.pipeline import Pipeline
from calm.inference.tasks import ScoreTask, Task
from calm.model.backbone import in_chunks
from calm.model.fixed import FixedRows
from calm.model.visual import VisualTokens
from calm.types import DEFAULT_BATCH_SIZE

TURNS = 4
"""Turns in which each part is timed."""
SIDE = 2048
"""Rows and columns of the matrices by which the rate of multiplication is measured."""
NETWORK = "encoder", "alignment", "prefix"
"""Parts of the network, in the order in which a photo goes through them."""

Way = Callable[[Sequence[Photo]], object]


def bench(
    pipeline: Pipeline,
    photos: Paths,
    *,
    seed: int = 0,
    limit: int | None = 500,
    batch_size: int = DEFAULT_BATCH_SIZE,
    generated: int = 16,
    personal: Task | None = None,
    peers: Mapping[str, Callable[[str], object]] | None = None,
) -> dict[str, Any]:
    """Photos a second of each part of a score, of the whole from files, and of a plain ``generate()`` loop.

    The parts of the network are given photos that are decoded already, which favours them: ratios are lower bounds.
    New hashes keep stores from answering.

    Args:
        generated: photos of the ``generate()`` loop, which is slow.
        personal: personal scores (:func:`calm.personal.tasks.PersonalTask`), to be timed as well.
        peers: other scorers by name, each asked about one path after another.

    Returns:
        ``ratios``: ``score_over_generate`` and ``score_over_encoder`` (photos a second of the whole over theirs),
        ``share_of_matmul_rate`` (0–1, of the network's parts), ``score_over_NAME`` for each peer. ``parts``: photos a
        second of each; of the network's also ``gflop`` a photo, ``gflops`` a second, and ``flop_a_byte`` of weights,
        which are read once a pass. ``decoded_bytes`` a second, by as many threads as the whole has;
        ``matmul_gflops`` of two square matrices in the network's number format; ``memory_gb``, gigabytes copied a
        second; ``peak_mb`` of the process.
    """
    failed: list[dict[str, str]] = []
    paths = draw(find(photos), limit, seed)
    known = list(islice(decode(paths, []), max(batch_size, generated)))
    if not known:
        raise DataError(f"expected a photo that can be read, found {len(paths)} that cannot; check the path")
    ways = _ways(pipeline, batch_size, personal, peers or {})
    work = {name: _flops(ways[name], known[:batch_size]) for name in NETWORK}  # which warms them up
    ways["whole"](known[:batch_size])
    pipeline.generate_loop(known[:1])
    paths, times, count = _turns(ways, paths, failed)
    start = time.perf_counter()
    pipeline.generate_loop(known[:generated])
    looped = len(known[:generated]) / (time.perf_counter() - start)
    seconds = {name: sum(each) for name, each in times.items()}
    rate = count * _matmul_flops() / seconds.pop("matmul")
    parts = {name: {"photos_a_second": len(paths) / took} for name, took in seconds.items()}
    once, weights = pipeline.answers.rows or batch_size, _weights(pipeline)
    for name, flops in work.items():
        parts[name] |= {
            "gflop": flops / 1e9,
            "gflops": flops * len(paths) / seconds[name] / 1e9,
            "flop_a_byte": flops * once / weights[name],
        }
    network = sum(work.values()) * len(paths) / sum(seconds[name] for name in NETWORK)
    whole = len(paths) / seconds["whole"]
    ratios = {
        "score_over_generate": whole / looped,
        "score_over_encoder": seconds["encoder"] / seconds["whole"],
        "share_of_matmul_rate": network / rate,
    }
    others = [*(["personal"] if personal else []), *(peers or {})]
    return plain(
        {
            "task": "bench",
            "n": len(paths),
            "batch_size": batch_size,
            "threads": torch.get_num_threads(),
            "ratios": ratios | {f"score_over_{name}": seconds[name] / seconds["whole"] for name in others},
            "encoder_by_turn": [e / w for e, w in zip(times["encoder"], times["whole"], strict=True)],
            "parts": parts | {"generate_loop": {"photos_a_second": looped, "n": len(known[:generated])}},
            "decoded_bytes": sum(Path(path).stat().st_size for path in paths) / seconds["decode"],
            "matmul_gflops": rate / 1e9,
            "memory_gb": _memory_rate(pipeline.model.device) / 1e9,
            "peak_mb": _peak() / 1e6,
            "failed": failed,
        }
        | stamp(pipeline)
    )


def _ways(
    pipeline: Pipeline, size: int, personal: Task | None, peers: Mapping[str, Callable[[str], object]]
) -> dict[str, Way]:
    answers, rows = pipeline.answers, pipeline.answers.rows
    model, dtype = pipeline.model, pipeline.dtype if isinstance(pipeline.dtype, torch.dtype) else torch.float32
    matrix = torch.randn(SIDE, SIDE, device=model.device).to(dtype)

    def decoding(photos: Sequence[Photo]) -> None:
        with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as threads:
            list(threads.map(lambda photo: load_photo(photo.path), photos))

    def each_batch(part: Callable[[list[Photo]], object]) -> Way:
        return lambda photos: [part(batch) for batch in batches(photos, size)]

    layers, width = len(model.config.layers), model.config.vision_config.hidden_size
    # of nothing in particular: what the parts behind the encoder take does not depend on it
    features = torch.randn(size, layers, model.config.features, width, device=model.device)

    @torch.inference_mode()
    def aligned(count: int) -> VisualTokens:
        parts = in_chunks(lambda part: model.align(part, score_only=True).parts, rows, features[:count])
        return VisualTokens(*parts)

    tokens = functools.cache(aligned)
    ways: dict[str, Way] = {
        "decode": decoding,
        "encoder": each_batch(pipeline.encoder_only),
        "alignment": each_batch(lambda batch: aligned(len(batch))),
        "prefix": each_batch(lambda batch: answers.scores(tokens(len(batch)))),
        "whole": functools.partial(_from_files, pipeline, ScoreTask(), size),
        "matmul": lambda photos: matrix @ matrix,
    }
    if personal:
        ways["personal"] = functools.partial(_from_files, pipeline, personal, size)
    return ways | {name: functools.partial(_one_by_one, peer) for name, peer in peers.items()}


def _one_by_one(peer: Callable[[str], object], photos: Sequence[Photo]) -> None:
    for photo in photos:
        peer(photo.path)


def _from_files(pipeline: Pipeline, task: Task, size: int, photos: Sequence[Photo]) -> None:
    """Score files through the engine, as the command does."""
    with Engine(pipeline, size, load=lambda path: renamed(load_photo(path), "bench")) as engine:
        for answer in engine.answers([photo.path for photo in photos], task):
            if answer.result is None:
                raise DataError(f"expected a score of {answer.path} as before, found: {answer.error}; does it change?")


def _turns(
    ways: Mapping[str, Way], paths: Sequence[str], failed: list[dict[str, str]]
) -> tuple[list[str], dict[str, list[float]], int]:
    """Paths of the photos timed, seconds of each way in each turn, and how often matrices were multiplied; every other
    turn goes through the ways backwards.
    """
    timed, times, count = list[str](), dict[str, list[float]]({name: [] for name in ways}), 0
    for turn, part in enumerate(progress(list(batches(paths, -(-len(paths) // TURNS))), "timing")):
        photos = [renamed(photo, "bench") for photo in decode(part, failed)]
        if not photos:
            continue
        timed += [photo.path for photo in photos]
        for name in list(ways)[:: -1 if turn % 2 else 1]:
            repeats = 4 if name == "matmul" else 1
            count += repeats if name == "matmul" else 0
            start = time.perf_counter()
            for _ in range(repeats):
                ways[name](photos)
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            times[name].append(time.perf_counter() - start)
    return timed, times, count


def _flops(way: Way, photos: Sequence[Photo]) -> float:
    """Floating-point operations a photo, a multiplication and an addition counted as two."""

    def packed(rows: Sequence[int], weight: Sequence[int], *_: object, **__: object) -> int:
        return 2 * rows[0] * weight[0] * weight[1]

    known = {torch.ops.mkldnn._linear_pointwise: packed} if hasattr(torch.ops.mkldnn, "_linear_pointwise") else {}
    with FlopCounterMode(display=False, custom_mapping=known) as counter:
        way(photos)
    return counter.get_total_flops() / len(photos)


def _weights(pipeline: Pipeline) -> dict[str, int]:
    """Bytes of the weights of each part of the network."""
    model = pipeline.model
    modules = (model.backbone, model.alignment, model.language_model.model.layers)
    found = {}
    for name, part in zip(NETWORK, modules, strict=True):
        packed = sum(each.nbytes for each in part.modules() if isinstance(each, FixedRows))
        found[name] = packed + sum(each.nbytes for each in part.parameters())
    return found


def _memory_rate(device: torch.device) -> float:
    """Bytes a second that are copied from one place to another."""
    source, best = torch.ones(64_000_000, device=device), 0.0
    target = torch.empty_like(source)
    for _ in range(3):
        start = time.perf_counter()
        target.copy_(source)
        if device.type == "cuda":
            torch.cuda.synchronize()
        best = max(best, 2 * source.nbytes / (time.perf_counter() - start))
    return best


def _matmul_flops() -> float:
    return 2.0 * SIDE**3


def _peak() -> int:
    """Bytes of memory that the process has held at most."""
    import resource

    held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return held if sys.platform == "darwin" else 1024 * held


def open_peer(given: str) -> tuple[str, Callable[[str], object]]:
    """A scorer by ``MODULE:FUNCTION``, which is given a path. Raises :class:`UsageError` where there is none."""
    module, _, function = given.partition(":")
    try:
        return module, getattr(importlib.import_module(module), function or "score")
    except (ImportError, AttributeError) as error:
        raise UsageError(f"expected a function that scores a path at {given}, found: {error}; see --help") from error
