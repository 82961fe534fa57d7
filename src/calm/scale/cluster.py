"""Runs on Ray: partitions go to workers that each hold one model; photos never pass through Ray.

Only the descriptions of partitions and what is told of them travel, a few bytes each; workers read photos from where
they stand and write rows to where they belong, and take a partition when they have answered the one before.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from calm import __version__
from calm.errors import UsageError
from calm.inference.tasks import Task
from calm.model.catalogue import folder_sha256, model_dir
from calm.personal.tasks import PersonalTask
from calm.scale.partitions import BEGUN, KINDS, SCRATCH, Folder, Job, Worker
from calm.scale.sources import Part

try:
    import ray
    import ray.data
except ImportError as missing:
    raise UsageError(
        f"expected Ray, found none ({missing}); install it: pip install 'calm-aesthetics[ray]'"
    ) from missing

RUN, STATISTICS = "_run.json", "_statistics.json"
BLOCKS = 10_000
"""Tasks of Ray in a run, at most: beyond that each has several partitions."""
STORE = 200_000_000
"""Bytes of Ray's object store in a cluster of one machine: hardly anything goes through it."""


@dataclass
class Progress:
    """What a run has done, as it is told by its workers."""

    photos: int = 0
    failed: int = 0
    new: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    scores: Counter[str] = field(default_factory=Counter)
    lost: list[str] = field(default_factory=list)

    def add(self, outcome: dict[str, Any]) -> None:
        """Add what was told of one partition. Raises :class:`UsageError` for a fault that others would have, too."""
        if "fault" in outcome:
            raise UsageError(outcome["fault"])
        if "lost" in outcome:
            self.lost.append(outcome["lost"])
            return
        self.photos += outcome["photos"]
        self.failed += outcome["failed"]
        self.new += outcome["photos"] * outcome["new"]
        self.errors.update(outcome["errors"])
        self.scores.update(outcome["scores"])


def run(
    job: Job,
    parts: Sequence[Part],
    *,
    address: str | None = None,
    workers: int | None = None,
    overwrite: bool = False,
    advance: Callable[[int], None] = lambda photos: None,
) -> dict[str, Any]:
    """Answer all partitions that are not answered yet.

    Args:
        address: of a Ray cluster; None for one on this machine, which ends with the run.
        workers: how many at once, each with a model; None for one for each GPU or, where there is none, for each CPU.
        overwrite: begin anew where another run stands in the folder.
        advance: is called with the photos answered so far.

    Returns:
        What is written to :data:`STATISTICS` as well.

    Raises:
        UsageError: where no cluster is reached, or the folder holds something else than this run.
    """
    folder, began = Folder(job.output), time.monotonic()
    about = _about(job, parts)
    _begin(folder, about, overwrite=overwrite)
    progress = Progress()
    with _cluster(address):
        count, cpus, gpus = _shares(workers, job.device)
        for outcome in _answers(job, parts, count, cpus, gpus):
            progress.add(outcome)
            advance(progress.photos)
    seconds = time.monotonic() - began
    statistics = about | {
        "photos": progress.photos,
        "ok": progress.photos - progress.failed,
        "failed": progress.failed,
        "errors": dict(progress.errors.most_common(KINDS)),
        "scores": dict(sorted(progress.scores.items(), key=lambda each: float(each[0]))),
        "lost": sorted(progress.lost),
        "workers": count,
        "answered_now": progress.new,
        "seconds": round(seconds, 1),
    }
    folder.remove(name for name in folder.names() if name.startswith((BEGUN, SCRATCH)))
    folder.write(STATISTICS, _json(statistics))
    return statistics


def _about(job: Job, parts: Sequence[Part]) -> dict[str, Any]:
    """What has to be the same for a run to go on."""
    from calm.inference.pipeline import Pipeline

    digest = sha256("\n".join(part.to_json() for part in parts).encode())
    return {
        "calm": __version__,
        "task": job.name,
        "question": job.task.question or repr(job.task),
        "profile": _profile(job.task),
        "develop": job.develop,
        "model": model_dir(job.model).name,
        "model_sha256": folder_sha256(model_dir(job.model)),
        "preprocess": Pipeline.preprocess,
        "partitions": len(parts),
        "input_sha256": digest.hexdigest(),
    }


def _profile(task: Task) -> str | None:
    """Name of the profile that scores are given by, and digits that change with what it has learnt from."""
    if not isinstance(task, PersonalTask):
        return None
    learnt = task.profile.photos, task.profile.ratings.tolist(), task.profile.pairs
    return f"{task.profile.name} {sha256(json.dumps(learnt).encode()).hexdigest()[:12]}"


def _begin(folder: Folder, about: dict[str, Any], *, overwrite: bool) -> None:
    """Have a folder hold this run and no other. Raises :class:`UsageError`."""
    there = folder.names()
    if RUN in there and not overwrite:
        known = json.loads(folder.read(RUN))
        differ = [
            f"{name}: {known.get(name)} there, {about[name]} now" for name in about if known.get(name) != about[name]
        ]
        if differ:
            raise UsageError(
                f"expected the run that began in {folder.place}, found another ({'; '.join(differ)}); "
                "name another --output, or add --overwrite to begin anew"
            )
    elif there and not (overwrite and RUN in there):
        raise UsageError(f"expected a new or empty folder for rows at {folder.place}, found files; name another")
    elif there:
        folder.remove(name for name in there if name.startswith(("part-", "_")))
    folder.remove(name for name in there if name.startswith(BEGUN))
    folder.write(RUN, _json(about))


@contextlib.contextmanager
def _cluster(address: str | None) -> Iterator[None]:
    """Ray, as it is started or reached; left as it was."""
    if ray.is_initialized():
        yield
        return
    quiet = not logging.getLogger("calm").isEnabledFor(logging.INFO)
    level = logging.ERROR if quiet else logging.INFO
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # else it reports over the network
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal" if quiet else "warning")
    logging.getLogger("ray.data").setLevel(level)
    started: dict[str, Any] = {} if address else {"include_dashboard": False, "object_store_memory": STORE}
    try:
        ray.init(address or "local", log_to_driver=not quiet, logging_level=level, **started)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise UsageError(f"expected a Ray cluster at {address or 'this machine'}, found: {error}") from error
    try:
        yield
    finally:
        ray.shutdown()


def _shares(workers: int | None, device: str | None) -> tuple[int, int, float]:
    """Number of workers, and the CPUs and GPUs of each."""
    machines = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    cpus = [int(each["CPU"]) for each in machines if each.get("CPU", 0) >= 1]
    gpus = 0 if device == "cpu" else int(sum(each.get("GPU", 0) for each in machines))
    if not cpus:
        raise UsageError("expected CPUs in the Ray cluster, found none; start its machines with --num-cpus")
    count = workers or gpus or sum(cpus)
    return count, max(1, min(min(cpus), sum(cpus) // count)), min(1.0, gpus / count)


def _answers(job: Job, parts: Sequence[Part], count: int, cpus: int, gpus: float) -> Iterator[dict[str, Any]]:
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars, context.print_on_execution_start = False, False
    items = [{"part": part.to_json()} for part in parts]
    pool = ray.data.ActorPoolStrategy(min_size=1, max_size=count, initial_size=count)
    rows = ray.data.from_items(items, override_num_blocks=min(len(items), BLOCKS)).map(
        Worker, fn_constructor_args=(job, cpus), compute=pool, num_cpus=cpus, num_gpus=gpus or None
    )
    for row in rows.iter_rows():
        yield json.loads(row["outcome"])


def _json(value: dict[str, Any]) -> bytes:
    return (json.dumps(value, indent=1, ensure_ascii=False) + "\n").encode("utf-8", "backslashreplace")
