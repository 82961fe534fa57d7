"""Calm as one stage of somebody's own Ray Data pipeline, which brings paths or photos and takes rows along."""

from __future__ import annotations

import io
from collections.abc import Iterator

import pyarrow as pa
import pyarrow.parquet as pq

from calm.inference.output import TaskName, columns
from calm.inference.tasks import CommentTask, ScoreTask, SuggestTask, Task
from calm.scale.partitions import open_engine, to_parquet
from calm.scale.sources import Source, source_in
from calm.types import DEFAULT_BATCH_SIZE

TASKS: dict[TaskName, Task] = {"score": ScoreTask(), "comment": CommentTask(), "suggest": SuggestTask()}


class Answering:
    """For ``Dataset.map_batches(Answering, batch_format="pyarrow", …)``: adds the column ``calm``, a struct with the
    fields of an output row. A photo that cannot be read has ``status`` ``failed`` there.

    Args:
        task: ``score``, ``comment`` or ``suggest``.
        column: of photos (bytes, or structs with ``bytes``), or of their paths or URLs.
        device, batch_size: as of the command line; threads: of the network's arithmetic, and for decoding.
    """

    def __init__(
        self,
        task: TaskName = "score",
        column: str = "path",
        model: str = "calm-small",
        device: str | None = None,
        batch_size: int = DEFAULT_BATCH_SIZE,
        threads: int = 1,
    ) -> None:
        self.task, self.column = task, column
        self.engine = open_engine(model, device, batch_size, threads)

    def __call__(self, batch: pa.Table) -> pa.Table:
        """A batch with the column ``calm`` beside its own."""
        rows = self.engine.rows(self._sources(batch), TASKS[self.task])
        written = to_parquet((row.as_dict() for row in rows), columns(self.task))
        return batch.append_column("calm", pq.read_table(io.BytesIO(written)).to_struct_array())

    def _sources(self, batch: pa.Table) -> Iterator[Source]:
        for number, value in enumerate(batch.column(self.column)):
            yield source_in(f"photo {number} of a batch", value.as_py())
