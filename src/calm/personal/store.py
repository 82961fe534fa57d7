"""Where profiles lie on this machine, and how they travel: as a zip file of two small files."""

import os
import shutil
import tempfile
import zipfile
from pathlib import Path

from calm.errors import UsageError, WeightsError
from calm.personal.profile import FACTS, TENSORS, Profile

MOST = 1_000_000
"""Bytes of a file in an export, at most: profiles are far smaller."""


def profiles_dir() -> Path:
    """Folder of profiles: ``$CALM_PROFILES``, else ``$XDG_DATA_HOME/calm/profiles``, else below ``~/.local/share``."""
    if "CALM_PROFILES" in os.environ:
        return Path(os.environ["CALM_PROFILES"])
    return Path(os.environ.get("XDG_DATA_HOME", Path.home() / ".local" / "share")) / "calm" / "profiles"


class Store:
    """The profiles in one folder.

    Args:
        folder: None for :func:`profiles_dir`.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or profiles_dir()

    def names(self) -> list[str]:
        """All profiles, in order of name."""
        return sorted(path.parent.name for path in self.folder.glob(f"*/{FACTS}") if path.parent.name[0] != ".")

    def load(self, name: str) -> Profile:
        """The profile of that name. Raises :class:`UsageError` where there is none."""
        if name not in self.names():
            known = ", ".join(self.names()) or "none yet"
            raise UsageError(f"expected a profile among {known}, found {name!r}; see: calm profile list")
        return Profile.load(self.folder / name)

    def save(self, profile: Profile) -> Path:
        """Keep a profile; one of the same name is replaced."""
        return profile.save(self.folder)

    def remove(self, name: str) -> None:
        """Delete a profile. Raises :class:`UsageError` where there is none."""
        self.load(name)
        shutil.rmtree(self.folder / name)

    def export(self, name: str, target: Path) -> None:
        """Write a profile as a zip file. Raises :class:`UsageError` where there is a file already."""
        self.load(name)
        if target.exists():
            raise UsageError(f"expected a new file, found one at {target}; name another, or remove it")
        scratch = target.with_name(f".{target.name}.new")
        with zipfile.ZipFile(scratch, "w", zipfile.ZIP_DEFLATED) as archive:
            for part in (FACTS, TENSORS):
                archive.write(self.folder / name / part, part)
        scratch.rename(target)

    def bring(self, source: Path, name: str | None = None) -> Profile:
        """Take in what :meth:`export` wrote, under its own name or another.

        Raises:
            UsageError: where a profile of that name exists.
            WeightsError: for a file that holds no profile.
        """
        with tempfile.TemporaryDirectory() as scratch:
            try:
                with zipfile.ZipFile(source) as archive:
                    for part in (FACTS, TENSORS):
                        if archive.getinfo(part).file_size > MOST:
                            raise WeightsError(
                                f"expected a profile in {source}, found {part} of more than {MOST} bytes"
                            )
                        (Path(scratch) / part).write_bytes(archive.read(part))
            except (OSError, KeyError, zipfile.BadZipFile) as error:
                raise WeightsError(f"expected an exported profile at {source}, found: {error}") from error
            found = Profile.load(Path(scratch))
        found = found.renamed(name or found.name)
        if found.name in self.names():
            raise UsageError(
                f"expected a new name, found a profile {found.name!r}; import it with --name, or remove that"
            )
        self.save(found)
        return found
