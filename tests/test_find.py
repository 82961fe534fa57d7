"""Which photos stand behind the arguments of a command."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest

from calm.data.find import Search, find_photos, natural
from calm.errors import UsageError


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def test_folders_files_and_patterns(tmp_path: Path) -> None:
    touch(tmp_path, "b.jpg", "a.PNG", "notes.txt", ".hidden.jpg", "sub/c.heic", ".git/d.jpg")
    found = list(find_photos([str(tmp_path)]))
    assert [os.path.relpath(path, tmp_path) for path in found] == ["a.PNG", "b.jpg", os.path.join("sub", "c.heic")]
    explicit = [str(tmp_path / "notes.txt"), str(tmp_path / "missing.jpg"), str(tmp_path / "b.jpg")]
    assert list(find_photos([*explicit, str(tmp_path / "*.jpg")])) == explicit
    with pytest.raises(UsageError, match="check the pattern"):
        list(find_photos([str(tmp_path / "*.nef")]))
    (tmp_path / "bare").mkdir()
    with pytest.raises(UsageError, match="found no file ending in"):
        list(find_photos([str(tmp_path / "bare")]))


def test_numbers_in_names_are_in_natural_order(tmp_path: Path) -> None:
    names = ["2/a9.jpg", "2/a10.jpg", "10/1.jpg", "10/2.jpg", "10/10.jpg", "10/x٣.jpg", "IMG.jpg"]
    touch(tmp_path, *names)
    here = [str(tmp_path / name) for name in names]
    assert list(find_photos([str(tmp_path)])) == [here[-1], *here[:-1]]
    assert list(find_photos([str(tmp_path / "2" / "*")])) == here[:2]
    assert sorted(["b", "a10", "a9", "10", "9", ""], key=natural) == ["", "9", "10", "a9", "a10", "b"]


SMALL_COPIES = [
    "@eaDir/IMG_1.JPG/SYNOFILE_THUMB_XL.jpg",
    "trip/@eaDir/SYNOFILE_THUMB_M.jpg",
    ".thumbnails/large/1.png",
    ".@__thumb/default1.jpg",
    ".Trash-1000/files/old.jpg",
    ".Trashes/501/old.jpg",
    "#recycle/gone.jpg",
    "$RECYCLE.BIN/S-1-5/gone.jpg",
    "__MACOSX/._a.jpg",
    "._a.jpg",
    "Catalog Previews.lrdata/0/1.jpg",
    "thumbs/1.webp",
    "lost+found/1.jpg",
]


def test_thumbnails_and_bins_are_passed_over_and_counted(tmp_path: Path) -> None:
    """Guards against small copies by a photo server taken for photos."""
    touch(tmp_path, "a.jpg", "Thumbs.db", "trip/thumbsup.jpg", *SMALL_COPIES)
    touch(tmp_path.with_name("only"), "@eaDir/1.jpg", ".x/2.jpg")
    search = Search()
    found = list(find_photos([str(tmp_path)], search=search))
    assert [os.path.relpath(path, tmp_path) for path in found] == ["a.jpg", "trip/thumbsup.jpg"]
    assert sorted(os.path.relpath(path, tmp_path) for path in search.passed_over) == sorted(SMALL_COPIES)
    assert len(list(find_photos([str(tmp_path)], search=Search(everything=True)))) == 2 + len(SMALL_COPIES)
    assert len(list(find_photos([str(tmp_path / "thumbs")]))) == 1, "what is asked for by name is no small copy"
    with pytest.raises(UsageError, match="but 2 in hidden and system folders: add --all"):
        list(find_photos([str(tmp_path.with_name("only"))]))


def test_lists_on_standard_input(tmp_path: Path) -> None:
    assert list(find_photos(["-"], ["x.jpg\n", "\n", "y.jpg\r\n", "x.jpg\n"])) == ["x.jpg", "y.jpg"]
    odd = b"two\nlines.jpg\0caf\xe9.jpg\0\0last.jpg"
    wanted = ["two\nlines.jpg", os.fsdecode(b"caf\xe9.jpg"), "last.jpg"]
    assert list(find_photos(["-"], io.BytesIO(odd), Search(null=True))) == wanted
