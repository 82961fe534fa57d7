"""Tables of ratings, and the evaluation of personal scores on photos of a known taste."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from doubles import BrightModel

from calm.data.ratings import read_ratings
from calm.errors import DataError, UsageError
from calm.eval.piaa import eval_piaa


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two blocks of 30 grey photos, and 12 people a block: half of them like it bright, half of them dark, in stars."""
    folder = tmp_path_factory.mktemp("piaa")
    rng = np.random.default_rng(0)
    lines = ["rating,user,file"]
    for block in range(2):
        values = [8 * j + block for j in range(1, 31)]
        for value in values:
            cv2.imwrite(str(folder / f"{value}.png"), np.full((6, 8, 3), value, np.uint8))
        for person in range(12):
            for value in values:
                liked = value / 255 if person % 2 else 1 - value / 255
                lines.append(f"{np.clip(5 * liked + rng.normal(0, 0.3), 0, 5):.1f},{block}-{person},{value}.png")
    (folder / "ratings.csv").write_text("\n".join(lines))
    return folder


def test_personal_scores_find_out_who_likes_it_dark(folder):
    found = eval_piaa(BrightModel(), folder, folder / "ratings.csv", shots=(0, 5), people=24, draws=3)
    assert found["people"] == 24 and found["folds"] == 2 and found["photos"] == 60 and found["failed"] == []
    cold, warm = found["shots"]["0"], found["shots"]["5"]
    assert abs(cold["generic"]["srcc"]) < 0.1, "what half of the people like, the others do not"
    assert warm["ridge"]["srcc"] > 0.9 and warm["tastes"]["srcc"] > 0.9
    assert warm["tastes"]["gain"] == pytest.approx(warm["tastes"]["srcc"] - warm["generic"]["srcc"])
    assert found["model"] == "bright"


def test_only_the_learners_that_are_asked_for_are_measured(folder):
    found = eval_piaa(BrightModel(), folder, folder / "ratings.csv", people=4, draws=1, only=["tastes"])
    assert list(found["shots"]["10"]) == ["generic", "tastes"]
    with pytest.raises(UsageError, match="found eigentaste"):
        eval_piaa(BrightModel(), folder, folder / "ratings.csv", people=4, draws=1, only=["eigentaste"])


def test_photos_that_are_gone_are_told_and_left_out(folder, tmp_path):
    table = tmp_path / "r.csv"
    table.write_text((folder / "ratings.csv").read_text() + "\n3,0-1,lost.jpg")
    ratings, missing = read_ratings(table, folder)
    assert missing == ["lost.jpg"] and len(ratings) == 720
    assert min(one.score for one in ratings) >= 1 and max(one.score for one in ratings) <= 10
    found = eval_piaa(BrightModel(), folder, table, people=4, draws=1)
    assert found["failed"] == [{"path": "lost.jpg", "error": f"not found below {folder}"}]


@pytest.mark.parametrize("header", ["person,photo,rating\n", "who,what,how\n", ""])
def test_columns_are_known_by_name_or_by_order(folder, tmp_path, header):
    table = tmp_path / "r.csv"
    table.write_text(header + "ann,8.png,1\nann,16.png,3\nbob,8.png,5\n")
    ratings, _ = read_ratings(table, folder)
    assert [(one.person, Path(one.path).name, one.score) for one in ratings] == [
        ("ann", "8.png", 1.0),
        ("ann", "16.png", 5.5),
        ("bob", "8.png", 10.0),
    ]
    assert [one.score for one in read_ratings(table, folder, (0, 10))[0]] == pytest.approx([1.9, 3.7, 5.5])


def test_parquet_is_read_as_csv_is(folder, tmp_path):
    table = pyarrow.table({"rating": [1.0, 5.0], "image": ["8.png", "16.png"], "rater": ["ann", "ann"]})
    pyarrow.parquet.write_table(table, tmp_path / "r.parquet")
    ratings, _ = read_ratings(tmp_path / "r.parquet", folder)
    assert [(one.person, Path(one.path).name, one.score) for one in ratings] == [
        ("ann", "8.png", 1.0),
        ("ann", "16.png", 10.0),
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "found no rows"),
        ("person,photo,rating\n", "found none; fill the table"),
        ("ann,8.png\n", "found 2 in line 1"),
        ("ann,8.png,1\nann,16.png,good\n", "expected a rating in row 2"),
        ("ann,8.png,3\nann,16.png,3\n", "expected ratings that differ"),
        ("ann,a.jpg,3\nann,b.jpg,4\n", "found none of 2, such as 'a.jpg'"),
    ],
)
def test_tables_that_cannot_be_used_are_refused(folder, tmp_path, text, said):
    (tmp_path / "r.csv").write_text(text)
    with pytest.raises(DataError, match=said):
        read_ratings(tmp_path / "r.csv", folder)


def test_a_scale_that_does_not_hold_the_ratings_is_refused(folder):
    with pytest.raises(DataError, match="name the table's own scale"):
        read_ratings(folder / "ratings.csv", folder, (1, 4))
    with pytest.raises(DataError, match="expected a CSV or Parquet table"):
        read_ratings(folder / "nowhere.csv", folder)
