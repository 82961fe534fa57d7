"""Files are linked, copied, moved or written by a journal that is on the disk before the first of them is touched.

What was done of a journal is read from the files themselves. So it does not matter where an action ended, and taking
it back twice is the same as taking it back once. No file is ever overwritten, and none is removed but a link or copy
that this module made, or the old name of a file that stands whole under its new one. Sidecars alone are written anew,
and both their old and their new content stand in the journal.
"""

from __future__ import annotations

import base64
import contextlib
import errno
import glob
import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from calm.data.hashes import file_sha256
from calm.errors import JournalError, UsageError
from calm.library.sidecars import WRITING, Change, Rating, content

Action = Literal["link", "copy", "move", "mark"]
BEGUN, DONE, UNDONE = "begun", "done", "undone"
"""What stands before a journal's ending: how far it came."""
NO_HARD_LINK = (errno.EXDEV, errno.EPERM, errno.ENOTSUP, errno.EMLINK, errno.ENOSYS)
"""Errors of :func:`os.link` that say: copy instead. Another disk, or a file system such as exFAT."""


@dataclass(frozen=True)
class Step:
    """One file and where it goes; both paths are absolute.

    Attributes:
        sha256: of the source when it was planned; none of a sidecar that is written ("mark").
        before, after: content of a sidecar, base64; None for no file.
    """

    action: Action
    source: str
    target: str
    sha256: str = ""
    before: str | None = None
    after: str | None = None

    @classmethod
    def mark(cls, change: Change) -> Step:
        """That a sidecar is written."""
        before, after = (
            None if each is None else base64.b64encode(each).decode() for each in (change.before, change.after)
        )
        return cls("mark", os.path.abspath(change.path), os.path.abspath(change.path), "", before, after)

    @property
    def change(self) -> Change:
        """What is written into a sidecar."""
        before, after = (None if each is None else base64.b64decode(each) for each in (self.before, self.after))
        return Change(self.target, before, after, Rating())


class Journal:
    """One action on many files.

    Args:
        path: of the journal, as :func:`begin` or :func:`latest` give it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        head, *lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        self.folders: list[str] = head["folders"]
        """Folders that the action makes, outer ones first."""
        self.steps = [Step(**line) for line in lines]

    @property
    def state(self) -> str:
        """:data:`BEGUN`, :data:`DONE` or :data:`UNDONE`."""
        return self.path.suffixes[-2][1:]

    def concerns(self, folder: Path) -> bool:
        """Whether a file of the action was or came to be in a folder or below it."""
        root = Path(os.path.abspath(folder))
        return any(root in Path(name).parents for step in self.steps for name in (step.source, step.target))

    def carry_out(self) -> None:
        """Takes every step.

        Raises:
            JournalError: where a step fails; those before it stay done.
        """
        with _alone():
            for number, step in enumerate(self.steps):
                try:
                    self._take(step, number)
                except OSError as error:
                    raise JournalError(
                        f"expected to {step.action} {step.source} (to {step.target}), found: {error}; {number} of "
                        f"{len(self.steps)} files were done before it, take them back by: calm cull --undo"
                    ) from error
            self._rename(DONE)

    def take_back(self) -> list[str]:
        """Undoes every step that was taken, the last one first. Returns what had to be left, a line each."""
        left, again = [], False
        with _alone():
            for number, step in reversed(list(enumerate(self.steps))):
                try:
                    for name in (step.source, step.target):
                        Path(self._part(name, number)).unlink(missing_ok=True)
                    reason = self._undo(step, number)
                except OSError as error:
                    reason, again = f"{error}; run the same command again when that is mended", True
                if reason:
                    left.append(f"{step.target}: {reason}")
            for folder in reversed(self.folders):
                with contextlib.suppress(OSError):  # something else is in it by now, or it never came to be
                    os.rmdir(folder)
            if not again:
                self._rename(UNDONE)
        return left

    def _take(self, step: Step, number: int) -> None:
        part = self._part(step.target, number)
        os.makedirs(os.path.dirname(step.target), exist_ok=True)
        if step.action == "link":
            os.symlink(step.source, step.target)
        elif step.action == "copy":
            _copy(step.source, step.target, part, step.sha256)
        elif step.action == "move":
            _move(step.source, step.target, part, step.sha256)
        elif not step.change.write():
            raise OSError(errno.ESTALE, "another program has changed it since the plan was made", step.target)

    def _undo(self, step: Step, number: int) -> str | None:
        """Undoes one step as far as it was taken; why not, where that could lose something."""
        if step.action == "mark":
            for left in Path(step.target).parent.glob(f".{glob.escape(Path(step.target).name)}.*{WRITING}"):
                left.unlink()  # half-written when it was killed
            change = step.change.undone()
            return None if change.after == content(step.target) or change.write() else "changed since; left as it is"
        if not os.path.lexists(step.target):
            return None if os.path.lexists(step.source) else "gone from both places"
        if step.action == "link":
            if not os.path.islink(step.target) or os.readlink(step.target) != step.source:
                return "not the link that was made; left as it is"
            os.unlink(step.target)
            return None
        if not os.path.lexists(step.source):
            if step.action == "copy":
                return f"its original {step.source} is gone; left as it is"
            os.makedirs(os.path.dirname(step.source), exist_ok=True)
            _move(step.target, step.source, self._part(step.source, number))
            return None
        same = os.path.samefile(step.source, step.target) or file_sha256(step.target) == file_sha256(step.source)
        if not same:
            return f"differs from {step.source} by now; both left as they are"
        os.unlink(step.target)
        return None

    def _part(self, target: str, number: int) -> str:
        """The name of a file while it is being written, beside its place."""
        return os.path.join(os.path.dirname(target), f".calm-{self.path.name.split('.')[0]}-{number}.part")

    def _rename(self, state: str) -> None:
        name = f"{self.path.name.split('.')[0]}.{state}.jsonl"
        self.path = self.path.rename(self.path.with_name(name))


def begin(steps: Sequence[Step]) -> Journal:
    """Writes the journal of an action, to be carried out next.

    Raises:
        UsageError: where a target exists or is meant twice, or a link is to be moved. Nothing has been done then.
        JournalError: where the journal cannot be written.
    """
    taken: set[str] = set()
    for step in steps:
        if step.action != "mark" and (os.path.lexists(step.target) or step.target in taken):
            raise UsageError(
                f"expected a free place at {step.target}, found a file; name another folder, or take back what was "
                "done before by: calm cull --undo"
            )
        if step.action == "move" and os.path.islink(step.source):
            raise UsageError(f"expected files to move, found the link {step.source}; use --link or --copy")
        taken.add(step.target)
    head = {"time": datetime.now(UTC).isoformat(), "folders": _new_folders(steps)}
    folder = journals_dir()
    name = f"{datetime.now(UTC):%Y%m%dT%H%M%S%f}-{uuid.uuid4().hex[:8]}"
    scratch, path = folder / f"{name}.part", folder / f"{name}.{BEGUN}.jsonl"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with scratch.open("w", encoding="utf-8") as stream:
            for line in (head, *map(asdict, steps)):
                stream.write(json.dumps(line) + "\n")
            stream.flush()
            os.fsync(stream.fileno())
        scratch.rename(path)
        _sync(folder)
    except OSError as error:
        raise JournalError(
            f"expected to keep a journal in {folder}, found: {error}; free space, or name another folder by "
            "CALM_JOURNALS"
        ) from error
    return Journal(path)


def journals(folder: Path | None = None) -> Iterator[Journal]:
    """Journals that have not been taken back, the newest first; with ``folder`` those that concern it."""
    for path in sorted(journals_dir().glob("*.jsonl"), reverse=True):
        if path.suffixes[-2:-1] in ([f".{BEGUN}"], [f".{DONE}"]):
            found = Journal(path)
            if folder is None or found.concerns(folder):
                yield found


def journals_dir() -> Path:
    """Folder of journals: ``$CALM_JOURNALS``, else ``$XDG_STATE_HOME/calm/journals``, else below ``~/.local/state``."""
    if "CALM_JOURNALS" in os.environ:
        return Path(os.environ["CALM_JOURNALS"])
    return Path(os.environ.get("XDG_STATE_HOME", Path.home() / ".local" / "state")) / "calm" / "journals"


def _new_folders(steps: Sequence[Step]) -> list[str]:
    """Folders that targets need and that do not exist, outer ones first."""
    found: set[Path] = set()
    for parent in {Path(step.target).parent for step in steps}:
        for folder in (parent, *parent.parents):
            if folder in found or folder.is_dir():
                break
            found.add(folder)
    return [str(folder) for folder in sorted(found)]


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """No other process carries out or takes back anything meanwhile. Raises :class:`UsageError` where one does."""
    import filelock

    try:
        with filelock.FileLock(journals_dir() / "lock", timeout=0):
            yield
    except filelock.Timeout as error:
        raise UsageError("expected no other calm cull at work on files, found one; wait for it") from error


def _copy(source: str, target: str, part: str, sha256: str | None = None) -> None:
    """A whole copy, on the disk before it has its name, with the source's times and permissions.

    Raises:
        OSError: among others where the target exists, or the source is not what it was (``sha256``).
    """
    digest = hashlib.sha256()
    with open(source, "rb") as incoming, open(part, "xb") as outgoing:
        while block := incoming.read(1 << 20):
            digest.update(block)
            outgoing.write(block)
        outgoing.flush()
        os.fsync(outgoing.fileno())
    if sha256 is not None and digest.hexdigest() != sha256:
        os.unlink(part)
        raise OSError(errno.ESTALE, "it has changed since the plan was made", source)
    shutil.copystat(source, part)
    _publish(part, target)
    _sync(os.path.dirname(target))


def _move(source: str, target: str, part: str, sha256: str | None = None) -> None:
    """The same file under another name; on another disk a copy, after which the source goes."""
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError as error:
        if error.errno not in NO_HARD_LINK:
            raise
        _copy(source, target, part, sha256)
    os.unlink(source)


def _publish(part: str, target: str) -> None:
    """Gives a finished file its name, unless that is taken (:class:`FileExistsError`)."""
    try:
        os.link(part, target)
        os.unlink(part)
    except OSError as error:
        if error.errno not in NO_HARD_LINK:
            raise
        if os.path.lexists(target):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), target) from error
        os.rename(part, target)


def _sync(folder: str | Path) -> None:
    """Names in a folder are on the disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
