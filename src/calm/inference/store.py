"""The store: one SQLite file of what models answered about photos, so that nothing is asked twice.

An answer is found again only by everything that it depends on: the photo (SHA-256 of its file, or of its pixels), the
question (:func:`question_of`) and the model's :func:`circumstances`. What is read back is what was written, digit by
digit. Every batch is on disk before its answers are given out, and processes may share the file. It may be deleted.
"""

from __future__ import annotations

import base64
import functools
import glob
import hashlib
import json
import logging
import os
import platform
import sqlite3
import threading
import weakref
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from calm.data.hashes import cache_dir, file_sha256, source_sha256, stamp
from calm.errors import StoreError
from calm.inference.tasks import question_of
from calm.model.catalogue import PACKAGED
from calm.types import MOST, Aspect, Comment, Score, Suggestion

if TYPE_CHECKING:
    import numpy as np

    from calm.data.images import Photo
    from calm.inference.tasks import Model

logger = logging.getLogger(__name__)

ELSEWHERE = ("cli", "data/datasets", "eval", "library", "models", "personal", "scale", "serve", "train")
"""Folders of the package that no answer of a model depends on."""
DEVELOPED = " developed"
"""Stands behind the SHA-256 of a RAW file whose data was developed."""
LAYOUT = 2
"""Raised whenever the tables change."""
TABLES = f"""
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS model (id TEXT PRIMARY KEY, name TEXT, circumstances TEXT);
CREATE TABLE IF NOT EXISTS request (request TEXT PRIMARY KEY, model TEXT);
CREATE TABLE IF NOT EXISTS file (stamp BLOB PRIMARY KEY, sha256 TEXT) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS answer (photo TEXT, model TEXT, question TEXT, width INTEGER, height INTEGER, note TEXT,
  answer TEXT, PRIMARY KEY (photo, model, question));
PRAGMA user_version = {LAYOUT};
COMMIT;
"""
WAIT = 60.0
"""Seconds that a process waits while another one writes."""
KINDS: dict[str, Any] = {kind.__name__: kind for kind in (Score, Aspect, Comment, Suggestion)}


class Ledger:
    """The file and its tables. Every method may be called from any thread, and raises :class:`StoreError` where the
    file cannot be read or written.

    Args:
        path: None for :func:`usual_path`.
    """

    def __init__(self, path: str | Path | None = None) -> None:
        self.path = Path(path or usual_path())
        self._lock = threading.Lock()
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(self.path, timeout=WAIT, isolation_level=None, check_same_thread=False)
        except (OSError, sqlite3.Error) as error:
            raise self._failed(error) from error
        weakref.finalize(self, self._db.close)
        ((layout,),) = self._run("PRAGMA user_version")
        if layout == 1:  # its answers are of another version and cannot be used
            self._do(lambda db: db.executescript("DROP TABLE answer; PRAGMA user_version = 0"))
            layout = 0
        if layout not in (0, LAYOUT):
            raise self._failed(f"layout {layout} of another version of calm, where this one has {LAYOUT}")
        self._run("PRAGMA journal_mode = WAL")
        self._run("PRAGMA synchronous = NORMAL")
        if not layout:
            self._do(lambda db: db.executescript(TABLES))

    def get(self, model: str, question: str, photo: str) -> tuple[int, int, str | None, Any] | None:
        """Width, height and note of a photo, and the answer; None where there is none."""
        rows = self._run(
            "SELECT width, height, note, answer FROM answer WHERE photo = ? AND model = ? AND question = ?",
            *(photo, model, question),
        )
        if not rows:
            return None
        *known, answer = rows[0]
        try:
            return *known, _decode(answer)
        except (ValueError, TypeError, KeyError) as error:
            raise self._failed(error) from error

    def put(self, model: str, question: str, photos: Sequence[Photo], answers: Sequence[str]) -> None:
        """Keep encoded answers, one a photo: all of them or, where the process ends within, none."""
        rows = [
            (_key(photo), model, question, photo.width, photo.height, photo.note, answer)
            for photo, answer in zip(photos, answers, strict=True)
        ]

        def write(db: sqlite3.Connection) -> None:
            with db:
                db.execute("BEGIN IMMEDIATE")
                db.executemany("INSERT OR REPLACE INTO answer VALUES (?, ?, ?, ?, ?, ?, ?)", rows)

        self._do(write)

    def sha256(self, path: str) -> str | None:
        """SHA-256 of a file, read only where path, size or time of change are new; None where it cannot be read."""
        if not os.path.isfile(path):
            return None
        try:
            known = os.fsencode(stamp(path))
            rows = self._run("SELECT sha256 FROM file WHERE stamp = ?", known)
            found = rows[0][0] if rows else file_sha256(path)
        except OSError:
            return None
        if not rows:
            self._run("INSERT OR REPLACE INTO file VALUES (?, ?)", known, found)
        return found

    def opened(self, request: str | None) -> tuple[str, str, dict[str, Any]] | None:
        """Id, name and circumstances of the model that a request opened before; None where it may be another now."""
        rows = self._run(
            "SELECT id, name, circumstances FROM request JOIN model ON model = id WHERE request = ?", request
        )
        for model, name, text in rows:
            known = json.loads(text)
            if all(_state(folder) == state for folder, state in known["folders"].items()):
                return model, name, known
        return None

    def open(self, request: str | None, name: str, known: dict[str, Any]) -> str:
        """Id of the model of those circumstances, which ``request`` will open again unless it is None."""
        text = json.dumps(known, sort_keys=True)
        model = hashlib.sha256(text.encode()).hexdigest()[:24]
        self._run("INSERT OR REPLACE INTO model VALUES (?, ?, ?)", model, name, text)
        if request is not None:
            self._run("INSERT OR REPLACE INTO request VALUES (?, ?)", request, model)
        return model

    def counts(self) -> list[tuple[str, str, str, int]]:
        """Model's name, its SHA-256, question and number of answers."""
        rows = self._run(
            "SELECT name, circumstances, question, count(*) FROM answer JOIN model ON model = id GROUP BY id, question "
            "ORDER BY name, id, question"
        )
        return [(name, json.loads(text)["model"], question, count) for name, text, question, count in rows]

    def clear(self) -> None:
        """Forget everything."""
        for table in ("answer", "file", "request", "model"):
            self._run(f"DELETE FROM {table}")
        self._pack()

    def vacuum(self) -> None:
        """Forget what cannot be used again (answers of other versions, hashes of files that changed or are gone), and
        give the space back to the disk.
        """
        now = versions().items()
        for model, text in self._run("SELECT id, circumstances FROM model"):
            if not now <= json.loads(text).items():
                self._run("DELETE FROM model WHERE id = ?", model)
        for table, column in (("answer", "model"), ("request", "model")):
            self._run(f"DELETE FROM {table} WHERE {column} NOT IN (SELECT id FROM model)")
        for (known,) in self._run("SELECT stamp FROM file"):
            if not _holds(known):
                self._run("DELETE FROM file WHERE stamp = ?", known)
        self._pack()

    def _pack(self) -> None:
        self._run("VACUUM")
        self._run("PRAGMA wal_checkpoint(TRUNCATE)")

    def _run(self, sql: str, *values: object) -> list[tuple]:
        return self._do(lambda db: db.execute(sql, values).fetchall())

    def _do(self, work: Callable[[sqlite3.Connection], Any]) -> Any:  # noqa: ANN401 - what the work gives
        try:
            with self._lock:
                return work(self._db)
        except sqlite3.Error as error:
            raise self._failed(error) from error

    def _failed(self, found: object) -> StoreError:
        return StoreError(
            f"expected a store of answers that can be read and written at {self.path}, found: {found}; free space or "
            "permissions if that is it, begin a new one with: calm store clear, or do without by --no-store"
        )


def usual_path() -> Path:
    """Where the answers of this machine are: ``answers.sqlite`` in :func:`calm.data.hashes.cache_dir`."""
    return cache_dir() / "answers.sqlite"


def clear(path: Path) -> None:
    """Forget every answer in a file. One that is damaged is deleted; one in use is emptied.

    Raises:
        StoreError: for a file that cannot be written.
    """
    try:
        Ledger(path).clear()
    except StoreError as error:
        if isinstance(error.__cause__, OSError | sqlite3.OperationalError):
            raise
        for ending in ("", "-wal", "-shm"):
            path.with_name(path.name + ending).unlink(missing_ok=True)


class Stored:
    """A model whose answers are kept: only what is new is asked, and only then is it loaded. All else of it shows
    through.

    Args:
        load: opens the model.
        ledger: where answers are kept.
        request: decides which model ``load`` opens, see :func:`request_of`; None to open it at once.
    """

    def __init__(self, load: Callable[[], Model], ledger: Ledger, request: str | None = None) -> None:
        self._load, self._ledger, self._opening = load, ledger, threading.RLock()
        self._model: Model | None = None
        found = ledger.opened(request)
        if found is None:
            name, known = self.unstored.name, circumstances(self.unstored)
            found = ledger.open(request, name, known), name, known
        self._id, self.name, known = found
        self.sha256, self.preprocess, self.describer = known["model"], known["preprocess"], known["describer"]

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the model has
        return getattr(self.unstored, name)

    def recall(self, path: str, question: str, *, developed: bool = False) -> Photo | None:
        """The photo at a path, not decoded, where that question about it (about its development) has an answer; None
        for any other.
        """
        from calm.data.images import Undecoded

        if not question:
            return None
        sha256 = self._ledger.sha256(path)
        key = f"{sha256}{DEVELOPED if developed else ''}"
        found = self._ledger.get(self._id, question, key) if sha256 else None
        return Undecoded(path, sha256, *found[:3], developed) if sha256 and found else None

    def score(self, photos: list[Photo]) -> list[Score]:
        """As the model's."""
        return self._of("score", photos)

    def comment(self, photos: list[Photo], aspects: Sequence[str] | None = None) -> list[tuple[Score, Comment]]:
        """As the model's."""
        return self._of("comment", photos, aspects=aspects)

    def suggest(
        self, photos: list[Photo], least: float | None = None, most: int = MOST
    ) -> list[tuple[Score, list[Suggestion]]]:
        """As the model's."""
        return self._of("suggest", photos, least=least, most=most)

    def describe(self, photos: list[Photo]) -> list[tuple[Score, np.ndarray]]:
        """As the model's; features are kept as they are, bit by bit."""
        return self._of("describe", photos)

    def edit_probabilities(self, photos: list[Photo]) -> np.ndarray:
        """As the model's: (n, classes + 1)."""
        import numpy as np

        return np.stack(self._of("edit_probabilities", photos))

    def _of(self, method: str, photos: Sequence[Photo], **options: Any) -> list[Any]:
        """Answers about all photos, in order. Those that the model gives are kept before they are returned."""
        question = question_of(method, **options)
        rows = [self._ledger.get(self._id, question, _key(photo)) for photo in photos]
        fresh = [photo for photo, row in zip(photos, rows, strict=True) if row is None]
        answers: list[str] = []
        if fresh:
            answers = [_encode(each) for each in getattr(self.unstored, method)(fresh, **options)]
            if len(answers) != len(fresh):
                raise RuntimeError(f"the model answered {len(answers)} times for {len(fresh)} photos")
            self._ledger.put(self._id, question, fresh, answers)
        logger.debug("%s: %d answers of the model, %d of the store", method, len(fresh), len(photos) - len(fresh))
        new = iter(answers)
        return [_decode(next(new)) if row is None else row[-1] for row in rows]

    @property
    def unstored(self) -> Model:
        """The model itself, which keeps nothing."""
        with self._opening:
            if self._model is None:
                self._model = self._load()
            return self._model


def request_of(name: str, device: str | None) -> str | None:
    """All that decides which model a name or folder opens, as far as it can be told without loading it; None where
    there is no such folder.
    """
    folder = next((each for each in (PACKAGED / name, Path(name)) if each.is_dir()), None)
    if folder is None:
        return None
    devices = [platform.node(), os.environ.get("CUDA_VISIBLE_DEVICES"), sorted(glob.glob("/dev/nvidia[0-9]*"))]
    return json.dumps([str(folder.resolve()), _state(folder), device, devices, versions()])


def circumstances(model: Model) -> dict[str, Any]:
    """All that the answers of a model depend on besides photo and question: weights and configuration, local
    folders that it takes parts from, preprocessing, number format, device, and :func:`versions`.
    """
    found: dict[str, Any] = {"model": model.sha256, "preprocess": model.preprocess, **versions()}
    for name in ("describer", "device", "dtype"):
        found[name] = json.loads(json.dumps(getattr(model, name, None), default=str))
    parts = getattr(getattr(getattr(model, "model", None), "config", None), "__dict__", {})
    sources = sorted({value for name, value in parts.items() if name.endswith("_source")})
    found["folders"] = {folder: _state(folder) for folder in sources if _state(folder)}
    return found


def versions() -> dict[str, str]:
    """Of calm's own source and of the libraries that answers come from."""
    return {"source": code_sha256()} | {name: version(name) for name in ("torch", "transformers", "pillow", "rawpy")}


@functools.cache
def code_sha256() -> str:
    """Of the code and tables that answers come from: who changes the code is not told old answers."""
    return source_sha256(lambda name: not name.startswith(tuple(f"{folder}/" for folder in ELSEWHERE)))


def _state(folder: str | Path) -> list[list[Any]]:
    """Name, bytes and time of change of each file in a folder; empty for what is none."""
    files = [(path.name, path.stat()) for path in sorted(Path(folder).glob("*")) if path.is_file()]
    return [[name, state.st_size, state.st_mtime_ns] for name, state in files]


def _holds(known: bytes) -> bool:
    """Whether a file is as its stamp says."""
    name = os.fsdecode(known)
    try:
        return stamp(name.rsplit("|", 2)[0]) == name
    except OSError:
        return False


def _key(photo: Photo) -> str:
    """The photo's SHA-256, and what sets it apart where it was not decoded as usual: its size, a development."""
    from calm.data.images import REFERENCE, Undecoded

    key = photo.sha256 + (DEVELOPED if photo.developed else "")
    if isinstance(photo, Undecoded):
        return key
    height, width = photo.pixels.shape[:2]
    usual = max(height, width) == min(max(photo.height, photo.width), REFERENCE)
    return key if usual else f"{key} {width}×{height}"


def _encode(answer: object) -> str:
    """An answer as JSON, exactly."""
    return json.dumps(answer, ensure_ascii=False, default=_tagged)


def _tagged(value: Any) -> Any:  # noqa: ANN401 - a dataclass of KINDS, or numpy's
    if type(value).__name__ in KINDS:
        return {type(value).__name__: vars(value)}
    if value.shape:
        return {"array": [value.dtype.str, value.shape, base64.b64encode(value.tobytes()).decode()]}
    return value.item()


def _decode(text: str) -> Any:  # noqa: ANN401 - what a model's method gives of one photo
    answer = json.loads(text, object_hook=_untagged)
    return tuple(answer) if isinstance(answer, list) else answer


def _untagged(value: dict[str, Any]) -> Any:  # noqa: ANN401 - what was tagged, or the fields of one of KINDS
    ((tag, content), *more) = value.items()
    if more or tag not in ("array", *KINDS):
        return value
    if tag != "array":
        return KINDS[tag](**{name: tuple(each) if isinstance(each, list) else each for name, each in content.items()})
    import numpy as np

    return np.frombuffer(base64.b64decode(content[2]), np.dtype(content[0])).reshape(content[1]).copy()
