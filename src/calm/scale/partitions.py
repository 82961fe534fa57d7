"""One partition at a time: its photos are answered, and its rows are written as one file, whole or not at all.

A partition whose file is there is done. So a worker that dies costs the work on its partition and no row, a run that is
given again goes on, and a partition that two workers were given has its rows once.
"""

from __future__ import annotations

import contextlib
import functools
import io
import json
import os
import time
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import fsspec
import pyarrow.parquet as pq
from fsspec.implementations.local import LocalFileSystem

from calm.errors import UsageError
from calm.inference.engine import NOT_OF_A_PHOTO, Engine
from calm.inference.output import ParquetWriter, TaskName, columns
from calm.inference.tasks import Task
from calm.model.catalogue import model_dir
from calm.scale.sources import TRIES, Part, Source, is_url, load, read
from calm.types import DEFAULT_BATCH_SIZE

ENDED = 5
"""Times that a partition may end its worker before it is left aside: a photo in it may be what ends them."""
KINDS = 20
"""Kinds of errors that are told, the most frequent first."""
BEGUN, SCRATCH = ".begun-", ".writing-"
"""What the names of files begin with that say how often a partition was begun, and that are being written."""


@dataclass(frozen=True)
class Job:
    """What is asked about all photos of a run, and where its rows go.

    Attributes:
        output: folder, or URL of one, that all workers write into.
        home: the folder that relative paths of photos start from.
    """

    name: TaskName
    task: Task
    output: str
    model: str = "calm-small"
    device: str | None = None
    batch_size: int = DEFAULT_BATCH_SIZE
    develop: bool = False
    home: str = "."


class Folder:
    """A folder of output files, at a path or URL; it need not exist. Raises :class:`UsageError` where it cannot be."""

    def __init__(self, place: str) -> None:
        self.place, self._path = place, os.path.abspath(place)
        self._system = LocalFileSystem()
        if is_url(place):
            with self._usable():  # what other machines write is seen at once
                self._system, self._path = fsspec.core.url_to_fs(place, use_listings_cache=False)

    def names(self) -> set[str]:
        """Of the files in it."""
        with self._usable():
            found = self._system.ls(self._path, detail=False) if self._system.isdir(self._path) else []
        return {str(each).rstrip("/").rpartition("/")[2] for each in found}

    def has(self, name: str) -> bool:
        """Whether a file is there."""
        return self._system.exists(f"{self._path}/{name}")

    def read(self, name: str) -> bytes:
        """A file's bytes."""
        return self._system.cat_file(f"{self._path}/{name}")

    def write(self, name: str, data: bytes) -> None:
        """Write a file. Whoever reads sees all of it or what was there before."""
        with self._usable():
            if not isinstance(self._system, LocalFileSystem):  # an object of a store appears as a whole
                self._system.pipe_file(f"{self._path}/{name}", data)
                return
            os.makedirs(self._path, exist_ok=True)
            scratch = f"{self._path}/{SCRATCH}{uuid.uuid4().hex}"
            try:
                with open(scratch, "wb") as stream:
                    stream.write(data)
                    stream.flush()
                    os.fsync(stream.fileno())
                os.replace(scratch, f"{self._path}/{name}")
            finally:
                with contextlib.suppress(OSError):
                    os.unlink(scratch)

    def remove(self, names: Iterable[str]) -> None:
        """Remove files of it, those that are still there."""
        with self._usable():
            for name in names:
                with contextlib.suppress(FileNotFoundError):
                    self._system.rm_file(f"{self._path}/{name}")

    @contextlib.contextmanager
    def _usable(self) -> Iterator[None]:
        try:
            yield
        except (OSError, ValueError, ImportError) as error:  # ImportError: of a file system's own package
            raise UsageError(f"expected a folder for rows at {self.place}, found: {error}; name another") from error


def file_name(number: int) -> str:
    """Of a partition's rows."""
    return f"part-{number:06}.parquet"


class Worker:
    """Answers partitions, one after another; the model is loaded at the first that is not done.

    Args:
        threads: of the network's arithmetic, and for decoding.
    """

    def __init__(self, job: Job, threads: int = 1) -> None:
        self.job, self.threads, self.folder = job, threads, Folder(job.output)
        if os.path.isdir(job.home):
            os.chdir(job.home)

    def __call__(self, item: Mapping[str, str]) -> dict[str, str]:
        """A partition's JSON under ``part`` → what is to be told of it, see :meth:`answer`, under ``outcome``."""
        return {"outcome": json.dumps(self.answer(Part.from_json(item["part"])))}

    def answer(self, part: Part) -> dict[str, Any]:
        """Write the file of a partition, unless it is there. Returns what :func:`summary` tells of it, with ``new``:
        whether it was made now; or, in place of all that, a ``fault`` that every partition would have, or why the
        partition is ``lost``.
        """
        name, mark = file_name(part.number), f"{BEGUN}{part.number:06}"
        if self.folder.has(name):
            return summary(self.folder.read(name)) | {"new": False}
        begun = int(self.folder.read(mark)) if self.folder.has(mark) else 0
        if begun >= ENDED:
            return {"lost": f"{name}: it ended its worker {begun} times"}
        self.folder.write(mark, str(begun + 1).encode())
        try:
            data = to_parquet(self._rows(part), columns(self.job.name))
            self.folder.write(name, data)
        except NOT_OF_A_PHOTO as error:
            return {"fault": str(error)}
        self.folder.remove([mark])
        return summary(data) | {"new": True}

    def _rows(self, part: Part) -> list[dict[str, Any]]:
        for left in reversed(range(TRIES)):
            try:
                return [row.as_dict() for row in self.engine.rows(read(part), self.job.task)]
            except OSError as error:  # no photo's: the table or shard cannot be reached
                if not left:
                    failed = Source(part.names[0], error=f"expected a {part.kind}, found {TRIES} times: {error}")
                    return [row.as_dict() for row in self.engine.rows([failed], self.job.task)]
                time.sleep(TRIES - left)
        raise AssertionError("the last try returns")

    @functools.cached_property
    def engine(self) -> Engine:
        """With the model."""
        job = self.job
        return open_engine(job.model, job.device, job.batch_size, self.threads, develop=job.develop)


def open_engine(model: str, device: str | None, batch_size: int, threads: int, *, develop: bool = False) -> Engine:
    """A model and what photos of :func:`calm.scale.sources.read` are sent through; ``threads`` of this process."""
    import torch

    from calm.inference.compiled import open_pipeline

    torch.set_num_threads(threads)
    loaded = open_pipeline(model_dir(model), device)
    return Engine(loaded, batch_size, threads, functools.partial(load, develop=develop))


def to_parquet(rows: Iterable[Mapping[str, Any]], names: tuple[str, ...]) -> bytes:
    """Rows with the columns ``names`` as a Parquet file."""
    stream = io.BytesIO()
    writer = ParquetWriter(stream, names)
    for row in rows:
        writer.write({**row, "path": str(row["path"])})
    writer.finish()
    return stream.getvalue()


def summary(data: bytes) -> dict[str, Any]:
    """What statistics are made of, from a file of rows: counts of photos, of those that ``failed``, of kinds of
    ``errors``, and of ``scores`` by the tenth that they lie above.
    """
    table = pq.read_table(io.BytesIO(data), columns=["path", "status", "error", "score"])
    failed = [row for row in table.to_pylist() if row["status"] == "failed"]
    errors = Counter(row["error"].replace(row["path"], "…") for row in failed)
    scores = Counter(f"{int(score * 10) / 10:.1f}" for score in table["score"].to_pylist() if score is not None)
    return {"photos": len(table), "failed": len(failed), "errors": dict(errors.most_common(KINDS)), "scores": scores}
