"""REAL-CUR: 14 people's own albums, each rated 1–5 by its owner (Ren et al., ICCV 2017).

Its publisher describes no layout. A third-party loader that reads the published archive finds one folder an album, and
in it one folder a rating::

    ALBUM/1/PHOTO.jpg … ALBUM/5/PHOTO.jpg

The person is the album. All photos are for testing how well a taste is learnt, so no record has a split; each has
exactly one rating.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from calm.data.record import Rating, Record, photos_below, to_ten
from calm.data.tables import TableSet
from calm.errors import DataError


class RealCur(TableSet):
    """Reader of REAL-CUR; see the module for its layout."""

    name = "real-cur"
    summary = "14 personal albums, each rated by its owner"
    licence = "research only; the photos are under Creative Commons licences"
    source = "alanspike/personalizedImageAesthetics @ 5edca81 (its README links the files)"
    published_scale = (1.0, 5.0)
    folders = (".", "REAL-CUR")

    def check(self, root: str | Path) -> None:
        """Raise a one-line :class:`DataError` unless there are albums with folders named after ratings."""
        if not self._base(Path(root)):
            raise DataError(
                f"{self.name}: expected photos in folders such as ALBUM/3 in {root}, found none; "
                f"get the data set from {self.source} ({self.licence})"
            )

    def rows(self, root: Path) -> Iterator[Record]:
        """Records in order of album, rating and name; the album is the group."""
        base = self._base(root)
        for path in photos_below(base, "*/[1-5]*/*") if base else ():
            try:
                score = to_ten(float(path.parent.name))
            except ValueError:
                continue
            yield Record(path.relative_to(base or root).as_posix(), score, group=path.parts[-3])

    def ratings(self, root: str | Path) -> list[Rating]:
        """The one rating of each photo, by the owner of its album."""
        return [
            Rating(record.group, record.path, record.score) for record in self.records(root) if record.score is not None
        ]

    def _base(self, root: Path) -> Path | None:
        places = [root / folder for folder in self.folders]
        return next((place for place in places if photos_below(place, "*/[1-5]*/*")), None)
