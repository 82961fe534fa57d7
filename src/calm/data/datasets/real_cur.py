"""REAL-CUR: 14 people's own albums, each rated 1–5 by its owner (Ren et al., ICCV 2017).

Its publisher describes no layout. A third-party loader that reads the published archive finds one folder an album, and
in it one folder a rating::

    ALBUM/1/PHOTO.jpg … ALBUM/5/PHOTO.jpg

The person is the album. All photos are for testing how well a taste is learnt, so no record has a split; each has
exactly one rating.
"""

from collections.abc import Iterator
from pathlib import Path

from calm.data.record import Record, UserRating, photos_below, to_ten
from calm.data.tables import TableSet


class RealCur(TableSet):
    name = "real-cur"
    folders = (".", "REAL-CUR")

    def check(self, root: str | Path) -> None:
        """Raise a one-line :class:`DataError` unless there are albums with folders named after ratings."""
        if not self._base(Path(root)):
            raise self.lacking("photos in folders such as ALBUM/3", root)

    def rows(self, root: Path) -> Iterator[Record]:
        """Records in order of album, rating and name; the album is the group."""
        base = self._base(root)
        for path in photos_below(base, "*/[1-5]*/*") if base else ():
            try:
                score = to_ten(float(path.parent.name))
            except ValueError:
                continue
            yield Record(path.relative_to(base or root).as_posix(), score, group=path.parts[-3])

    def ratings(self, root: str | Path) -> list[UserRating]:
        """The one rating of each photo, by the owner of its album."""
        return [
            UserRating(record.group, record.path, record.score)
            for record in self.records(root)
            if record.score is not None
        ]

    def _base(self, root: Path) -> Path | None:
        places = [root / folder for folder in self.folders]
        return next((place for place in places if photos_below(place, "*/[1-5]*/*")), None)
