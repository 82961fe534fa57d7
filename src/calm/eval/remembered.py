"""What a model said of a photo, kept on disk, so that an evaluation that was interrupted goes on where it stopped.

An answer is found again only by everything that it depends on. A file belongs to one :func:`circumstances`: the model's
weights and configuration, local folders that it takes parts from, its preprocessing and number format, the
device, the versions of calm, torch and transformers, and a hash of the source files that answers come from. Within it a
line belongs to one photo (SHA-256 of its file or pixels, and the size that it was decoded to) and one question (task
and settings). What is read back is what was written, digit by digit.

Layout, below ``calm.model.weights.cache_dir() / "answers"`` or another folder::

    1f3c…/circumstances.json     all of the above, to read
    1f3c…/answers.jsonl          {"key": [task, settings, sha256, height, width], "answer": …}

Runs at the same time may share a folder: lines are appended whole, under a lock. A line cut short by a crash is no
answer and is asked again. The folder may be deleted at any time.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from filelock import FileLock

import calm
from calm.engine import Model
from calm.errors import UsageError
from calm.model.weights import cache_dir
from calm.types import MOST, Aspect, Comment, Score, Suggestion

if TYPE_CHECKING:
    from calm.data.images import Photo

ELSEWHERE = ("cli", "data/datasets", "eval", "models", "personal", "serve", "train")
"""Folders of the package that no answer of a predictor depends on."""


class Answers:
    """Answers by key, in one file.

    Args:
        folder: created when missing; every set of circumstances has its own folder below it.
        known: what all answers in the file depend on; JSON data.

    Raises:
        UsageError: for a folder that cannot be written.
    """

    def __init__(self, folder: str | Path, known: dict[str, Any]) -> None:
        text = json.dumps(known, sort_keys=True, indent=1)
        place = Path(folder) / hashlib.sha256(text.encode()).hexdigest()[:24]
        try:
            place.mkdir(parents=True, exist_ok=True)
            (place / "circumstances.json").write_text(text, encoding="utf-8")
        except OSError as error:
            raise UsageError(
                f"expected a folder for answers that can be written, found: {error}; "
                f"name another with --cache, or keep none with --no-cache"
            ) from error
        self.path = place / "answers.jsonl"
        self._lock = FileLock(place / "lock")
        self._lines: dict[str, str] = {}
        if self.path.exists():
            self._read()

    def __len__(self) -> int:
        return len(self._lines)

    def get(self, key: list[Any]) -> Any:  # noqa: ANN401 - JSON data
        """The answer, as JSON data; None where there is none."""
        line = self._lines.get(json.dumps(key))
        return None if line is None else json.loads(line)["answer"]

    def put(self, keys: Sequence[list[Any]], answers: Sequence[Any]) -> None:
        """Keep answers, JSON data, one a key."""
        rows = [{"key": key, "answer": answer} for key, answer in zip(keys, answers, strict=True)]
        lines = [json.dumps(row, ensure_ascii=False, default=_number) for row in rows]
        data = "".join(f"{line}\n" for line in lines).encode()
        with self._lock, open(self.path, "a+b") as stream:
            if stream.tell():
                stream.seek(-1, os.SEEK_END)
                if stream.read(1) != b"\n":  # the last run was cut off within a line
                    data = b"\n" + data
            stream.write(data)
        self._lines.update(zip(map(json.dumps, keys), lines, strict=True))

    def _read(self) -> None:
        for raw in self.path.read_bytes().split(b"\n"):
            try:
                line = raw.decode()
                row = json.loads(line)
                self._lines[json.dumps(row["key"])] = line if "answer" in row else ""
            except (ValueError, TypeError, KeyError):
                continue
        self._lines = {key: line for key, line in self._lines.items() if line}


class Remembering:
    """A predictor that asks the one it stands for only what is not known yet. All else of that one shows through.

    Args:
        model: the predictor.
        folder: of the answers; None for the user's cache folder.
    """

    def __init__(self, model: Model, folder: str | Path | None = None) -> None:
        self._model = model
        self._answers = Answers(folder or cache_dir() / "answers", circumstances(model))
        self.asked, self.known = 0, 0
        """How many answers came from the model, and how many from the file."""

    @property
    def answers(self) -> int:
        """How many answers are known."""
        return len(self._answers)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the model has
        return getattr(self._model, name)

    @property
    def name(self) -> str:
        """Of the model."""
        return self._model.name

    @property
    def sha256(self) -> str:
        """Of the model."""
        return self._model.sha256

    @property
    def preprocess(self) -> str:
        """Of the model."""
        return self._model.preprocess

    def score(self, photos: list[Photo]) -> list[Score]:
        """As the model's."""
        return self._of("score", {}, photos, self._model.score, asdict, _score)

    def comment(self, photos: list[Photo], aspects: list[str] | None = None) -> list[tuple[Score, Comment]]:
        """As the model's."""

        def ask(some: list[Photo]) -> list[tuple[Score, Comment]]:
            return self._model.comment(some, aspects)

        return self._of("comment", {"aspects": aspects}, photos, ask, _pair_out, _comment)

    def suggest(
        self, photos: list[Photo], least: float | None = None, most: int = MOST
    ) -> list[tuple[Score, list[Suggestion]]]:
        """As the model's."""

        def ask(some: list[Photo]) -> list[tuple[Score, list[Suggestion]]]:
            return self._model.suggest(some, least, most)

        return self._of("suggest", {"least": least, "most": most}, photos, ask, _suggested_out, _suggested)

    def describe(self, photos: list[Photo]) -> list[tuple[Score, np.ndarray]]:
        """As the model's; features are kept as they are, bit by bit."""
        return self._of("describe", {}, photos, self._model.describe, _described_out, _described)

    def edit_probabilities(self, photos: list[Photo]) -> np.ndarray:
        """As the model's: (n, classes + 1)."""
        model: Any = self._model
        rows = self._of("edit_probabilities", {}, photos, lambda some: list(model.edit_probabilities(some)), _out, _in)
        return np.stack(rows)

    def _of(
        self,
        task: str,
        settings: dict[str, Any],
        photos: Sequence[Photo],
        ask: Callable[[list[Photo]], list[Any]],
        out: Callable[[Any], Any],
        back: Callable[[Any], Any],
    ) -> list[Any]:
        """Answers about all photos, in order. Those that the model gives are kept before they are returned."""
        keys = [[task, settings, photo.sha256, *photo.pixels.shape[:2]] for photo in photos]
        found = [self._answers.get(key) for key in keys]
        todo = [i for i, answer in enumerate(found) if answer is None]
        if todo:
            fresh = ask([photos[i] for i in todo])
            if len(fresh) != len(todo):
                raise RuntimeError(f"the model answered {len(fresh)} times for {len(todo)} photos")
            for i, answer in zip(todo, fresh, strict=True):
                found[i] = out(answer)
            self._answers.put([keys[i] for i in todo], [found[i] for i in todo])
        self.asked, self.known = self.asked + len(todo), self.known + len(photos) - len(todo)
        return [back(answer) for answer in found]


def circumstances(model: Model) -> dict[str, Any]:
    """All that the answers of a model depend on besides photo and question."""
    found: dict[str, Any] = {
        "model": model.sha256,
        "preprocess": model.preprocess,
        "calm": calm.__version__,
        "source": source_sha256(),
        "torch": version("torch"),
        "transformers": version("transformers"),
    }
    for name in ("device", "dtype"):  # the weights' hash does not cover them
        found[name] = json.loads(json.dumps(getattr(model, name, None), default=str))
    parts = getattr(getattr(getattr(model, "model", None), "config", None), "__dict__", {})
    folders = {value for name, value in parts.items() if name.endswith("_source") and Path(value).is_dir()}
    found["folders"] = {folder: _state(folder) for folder in sorted(folders)}
    return found


def _state(folder: str) -> list[list[Any]]:
    """Name, bytes and time of change of each file in a folder that a model takes a part from."""
    files = [(path.name, path.stat()) for path in sorted(Path(folder).iterdir()) if path.is_file()]
    return [[name, state.st_size, state.st_mtime_ns] for name, state in files]


@functools.cache
def source_sha256() -> str:
    """One SHA-256 over the source files that answers come from: who changes the code is not told old answers."""
    root = Path(calm.__file__).parent
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        name = path.relative_to(root).as_posix()
        if not name.startswith(tuple(f"{folder}/" for folder in ELSEWHERE)):
            digest.update(json.dumps([name, hashlib.sha256(path.read_bytes()).hexdigest()]).encode())
    return digest.hexdigest()


def _number(value: np.generic) -> float | int:
    """A number of numpy's as Python's, exactly."""
    return value.item()


def _score(answer: dict[str, Any]) -> Score:
    return Score(answer["value"], answer["std"], tuple(answer["distribution"]))


def _pair_out(answer: tuple[Score, Comment]) -> list[Any]:
    return [asdict(answer[0]), asdict(answer[1])]


def _comment(answer: list[Any]) -> tuple[Score, Comment]:
    score, said = answer
    return _score(score), Comment(said["text"], tuple(Aspect(**each) for each in said["aspects"]))


def _suggested_out(answer: tuple[Score, list[Suggestion]]) -> list[Any]:
    return [asdict(answer[0]), [asdict(each) for each in answer[1]]]


def _suggested(answer: list[Any]) -> tuple[Score, list[Suggestion]]:
    suggestions = [each | {"crop": tuple(each["crop"]) if each["crop"] else None} for each in answer[1]]
    return _score(answer[0]), [Suggestion(**each) for each in suggestions]


def _described_out(answer: tuple[Score, np.ndarray]) -> list[Any]:
    return [asdict(answer[0]), _out(answer[1])]


def _described(answer: list[Any]) -> tuple[Score, np.ndarray]:
    return _score(answer[0]), _in(answer[1])


def _out(array: np.ndarray) -> dict[str, Any]:
    """An array of numbers as JSON data, exactly."""
    array = np.ascontiguousarray(array)
    return {"dtype": array.dtype.str, "shape": list(array.shape), "base64": base64.b64encode(array.tobytes()).decode()}


def _in(answer: dict[str, Any]) -> np.ndarray:
    data = base64.b64decode(answer["base64"])
    return np.frombuffer(data, np.dtype(answer["dtype"])).reshape(answer["shape"]).copy()
