"""API keys: each has a name and can be revoked; the file holds their hashes and not the keys."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import tempfile
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from calm.errors import ConfigError, UsageError
from calm.personal.profile import check_name


@dataclass(frozen=True)
class Key:
    """A key as it is kept.

    Attributes:
        sha256: of the key: it has 256 random bits, so that no slow hash is needed.
        created: day, ISO 8601.
    """

    name: str
    sha256: str
    created: str


def keys_path() -> Path:
    """The file of keys: ``$CALM_KEYS``, else ``$XDG_CONFIG_HOME/calm/keys.json``, else below ``~/.config``."""
    if "CALM_KEYS" in os.environ:
        return Path(os.environ["CALM_KEYS"])
    return Path(os.environ.get("XDG_CONFIG_HOME", Path.home() / ".config")) / "calm" / "keys.json"


class Keys:
    """The keys in one file, which is read anew when it changes: a revoked key is refused at once.

    Args:
        path: None for :func:`keys_path`.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or keys_path()
        self._read_at: tuple[int, int, int] | None = None
        self._keys: list[Key] = []

    def all(self) -> list[Key]:
        """Every key, oldest first. Raises :class:`ConfigError` for a file that is damaged."""
        try:
            state = self.path.stat()
        except FileNotFoundError:
            self._read_at, self._keys = None, []
            return []
        read_at = state.st_ino, state.st_mtime_ns, state.st_size
        if read_at != self._read_at:
            try:
                found = json.loads(self.path.read_text(encoding="utf-8"))
                self._keys = [Key(**each) for each in found]
            except (OSError, ValueError, TypeError) as error:
                raise ConfigError(f"expected keys in {self.path}, found: {error}; restore or remove it") from error
            self._read_at = read_at
        return self._keys

    def add(self, name: str) -> str:
        """Make a key. It is returned and kept nowhere. Raises :class:`UsageError` for a name that is taken."""
        check_name(name)
        keys = self.all()
        if any(each.name == name for each in keys):
            raise UsageError(f"expected a new name, found a key {name!r}; revoke it first, or choose another name")
        secret = f"calm-{secrets.token_urlsafe(32)}"
        self._write([*keys, Key(name, _sha256(secret), datetime.now(UTC).date().isoformat())])
        return secret

    def revoke(self, name: str) -> None:
        """Forget a key. Raises :class:`UsageError` where there is none of that name."""
        keys = self.all()
        left = [each for each in keys if each.name != name]
        if len(left) == len(keys):
            known = ", ".join(each.name for each in keys) or "none yet"
            raise UsageError(f"expected a key among {known}, found {name!r}; see: calm serve keys list")
        self._write(left)

    def find(self, secret: str) -> Key | None:
        """The key that a client gave; None for one that is not known."""
        given = _sha256(secret)
        return next((each for each in self.all() if secrets.compare_digest(each.sha256, given)), None)

    def _write(self, keys: list[Key]) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        handle, scratch = tempfile.mkstemp(dir=self.path.parent, prefix=".keys.")  # only this user may read it
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            json.dump([asdict(each) for each in keys], stream, indent=1)
        os.replace(scratch, self.path)


def _sha256(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()
