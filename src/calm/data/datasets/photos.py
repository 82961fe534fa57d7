"""Sets of photos in folders, each a row of ``photos.yaml``: what they teach, they teach by being edited or by the names
of what they show.

Sets that are held out of all training are marked so and have the split ``test`` only.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import yaml

from calm.data.record import DataSet, Record, Split, photos_below, to_ten
from calm.data.tables import number, read_sheet

TESTED = 0.15
"""Share of photos that are kept out of training where a set has no split of its own."""


def hashed_split(name: str) -> Split:
    """``test`` for a share :data:`TESTED` of all names, chosen by the SHA-256 of the name, else ``train``."""
    digits = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")
    return "test" if digits < TESTED * 2**64 else "train"


@dataclass(frozen=True, kw_only=True)
class PhotoFolders(DataSet):
    """A set of photos in folders; ``photos.yaml`` says what its fields mean."""

    name: str
    summary: str
    licence: str
    source: str
    folders: Mapping[str, Split | Literal["hashed"]]
    pattern: str = "**/*"
    held_out: bool = False
    group: str = ""
    groups: Mapping[str, str] = field(default_factory=dict)
    names: Mapping[str, list[str]] | None = None

    def check(self, root: str | Path) -> None:
        """Raise a one-line :class:`DataError` unless every folder is there and holds photos."""
        self.need(root, *self.folders)
        for folder in self.folders:
            if not photos_below(Path(root) / folder, self.pattern):
                raise self.lacking(f"photos ({self.pattern})", Path(root) / folder)

    def rows(self, root: Path) -> Iterator[Record]:
        """One record a photo, in order of folder and name."""
        for folder, part in self.folders.items():
            extras = self.attributes_of(root / folder)
            for path in photos_below(root / folder, self.pattern):
                yield Record(
                    str(path),
                    names=self.names_of(path.parent.name),
                    split=hashed_split(path.name) if part == "hashed" else part,
                    group=self.group_of(path),
                    attributes=extras.get(path.stem),
                )

    def names_of(self, folder: str) -> tuple[str, ...]:
        """What the photos in a folder show, the main thing first; nothing for a set that does not say."""
        if self.names is None:
            return ()
        return tuple(self.names.get(folder.lower(), [folder.replace("_", " ").lower()]))

    def group_of(self, path: Path) -> str:
        """What a photo shows in plain words, "" where its folder does not tell."""
        folder = path.parent.name
        return self.groups.get(folder, self.group.format(folder=folder))

    def attributes_of(self, folder: Path) -> dict[str, dict[str, float]]:
        """Rated attributes (1–10) by the stem of the file, of the photos in one folder."""
        return {}


class ImageNetSample(PhotoFolders):
    """Names of files say what is shown."""

    def group_of(self, path: Path) -> str:
        """Class words of a name such as ``n02101006_Gordon_setter.JPEG``."""
        return re.sub(r"^n\d+_", "", path.stem).replace("_", " ")


class Savoias(PhotoFolders):
    """Tables rate how complex photos are."""

    def attributes_of(self, folder: Path) -> dict[str, dict[str, float]]:
        """``complexity``, 0–100 in the table and 1–10 here; row n is the photo named n. Empty without the table."""
        kind = folder.name.lower().replace(" ", "_")
        table = folder.parents[1] / f"Ground truth/xlsx/global_ranking_{kind}.xlsx"
        if not table.exists():
            return {}
        values = [number(next(iter(row.values())), table) for row in read_sheet(table, ())]
        return {str(i): {"complexity": to_ten(value, 0, 100)} for i, value in enumerate(values)}


KINDS = {"imagenet": ImageNetSample, "savoias": Savoias}
ROWS = yaml.safe_load((Path(__file__).parent / "photos.yaml").read_text(encoding="utf-8"))
DATA_SETS = [KINDS.get(name, PhotoFolders)(name=name, **row) for name, row in ROWS.items()]
