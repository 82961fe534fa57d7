"""The evaluations, driven by small predictors whose right answers are known beforehand."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import scipy.stats
from layouts import TESTED, TRAINED, para
from lightmeter import Lightmeter, grey, make_album, read

from calm.data.batches import draw
from calm.data.hashes import file_sha256
from calm.data.progress import progress
from calm.data.record import to_ten
from calm.errors import DataError, UsageError
from calm.eval import editing, report, suites
from calm.eval.gather import edited, plain, refuse_trained, renamed
from calm.types import CLASSES, Score

N = len(CLASSES)


@pytest.fixture
def album(tmp_path: Path) -> Path:
    return make_album(tmp_path)


# ------------------------------------------------------------------------------------------------ scores


def test_scores_agree_with_scipy_and_say_what_failed_and_how_labels_were_mapped(album: Path) -> None:
    found = suites.eval_scores(Lightmeter(), album, album.parent / "labels.csv", resamples=50)
    json.dumps(found, allow_nan=False)
    assert found["n"] == 11
    assert [Path(each["path"]).name for each in found["failed"]] == ["absent.png", "05.png"]
    assert "not found below" in found["failed"][0]["error"]
    assert found["scale"]["mapping"] == "labels mapped from 0–100 to 1–10 by 1 + (s − 0)·9/100, before rmse and mae"
    assert found["scale"]["guessed"] is True
    rows = [line.split(",") for line in (album.parent / "labels.csv").read_text().split()[1:]]
    given = {name: float(score) for name, score in rows if name not in ("05.png", "absent.png")}
    meter = Lightmeter()
    values = {name: meter.value(read(album / name)) for name in given}
    pairs = np.array([[values[name], given[name]] for name in given])
    assert found["srcc"] == pytest.approx(scipy.stats.spearmanr(*pairs.T).statistic)
    assert found["plcc"] == pytest.approx(scipy.stats.pearsonr(*pairs.T).statistic)
    assert found["krcc"] == pytest.approx(scipy.stats.kendalltau(*pairs.T).statistic)
    mapped = [to_ten(score, 0, 100) for score in pairs[:, 1]]
    assert found["rmse"] == pytest.approx(math.sqrt(np.mean((pairs[:, 0] - mapped) ** 2)))
    low, high = found["interval"]["plcc"]
    assert low <= found["plcc"] <= high
    assert found["model"] == "lightmeter"


@pytest.mark.parametrize(
    ("labels", "scale", "low", "high"),
    [
        ("a,0.2\nb,0.9", None, 0, 1),
        ("a,1.5\nb,5", None, 1, 5),
        ("a,1.5\nb,8", None, 1, 10),
        ("a,0\nb,8", None, 0, 10),
        ("a,-3\nb,3", None, -3, 3),
        ("a,2\nb,3", (1, 7), 1, 7),
    ],
)
def test_scale_of_labels(
    labels: str, scale: tuple[float, float] | None, low: float, high: float, tmp_path: Path
) -> None:
    for name in "ab":
        grey(tmp_path / f"photos/{name}.png", 100 + ord(name))
    (tmp_path / "l.csv").write_text(labels)
    found = suites.eval_scores(Lightmeter(), tmp_path / "photos", tmp_path / "l.csv", scale=scale, resamples=2)["scale"]
    assert (found["low"], found["high"], found["guessed"]) == (low, high, scale is None)


def test_labels_outside_the_scale_given_are_refused(album: Path) -> None:
    with pytest.raises(DataError, match="on a scale of 1–5, found 0–"):
        suites.eval_scores(Lightmeter(), album, album.parent / "labels.csv", scale=(1, 5))


def test_labels_of_other_photos_and_of_one_photo_twice_are_refused(album: Path) -> None:
    (album.parent / "other.csv").write_text("x.jpg,3\ny.jpg,4\n")
    with pytest.raises(DataError, match="found none of 2, such as 'x.jpg'"):
        suites.eval_scores(Lightmeter(), album, album.parent / "other.csv")
    (album.parent / "twice.csv").write_text("00.png,3\n00,4\n")
    with pytest.raises(DataError, match="two names of one file"):
        suites.eval_scores(Lightmeter(), album, album.parent / "twice.csv")


def test_constant_labels_give_no_correlation_and_a_warning(album: Path) -> None:
    (album.parent / "same.csv").write_text("00.png,3\n01.png,3\n02.png,3\n")
    found = suites.eval_scores(Lightmeter(), album, album.parent / "same.csv", resamples=5)
    assert (found["srcc"], found["plcc"], found["krcc"]) == (None, None, None)
    assert found["warnings"] == ["correlations are undefined: all 3 labels are 5.500"]


def test_when_every_photo_fails_the_first_reason_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"no photo")
    (tmp_path / "l.csv").write_text("a.png,3\n")
    with pytest.raises(DataError, match="found 1 that all failed; .*a.png: "):
        suites.eval_scores(Lightmeter(), tmp_path, tmp_path / "l.csv")


def test_accuracy_is_taken_at_the_threshold_of_the_scale(album: Path) -> None:
    labels = album.parent / "labels.csv"
    found = suites.eval_scores(Lightmeter(), album, labels, resamples=5)
    assert found["threshold"]["above"] == 5.5  # the middle of 0–100, mapped
    (album.parent / "ava.csv").write_text("00.png,4.9\n01.png,5.2\n11.png,6\n")
    ava = suites.eval_scores(Lightmeter(), album, album.parent / "ava.csv", scale=(1, 10), resamples=5)
    assert ava["threshold"] == {"above": 5.0, "share_of_labels": pytest.approx(2 / 3)}
    assert (ava["accuracy"], ava["balanced_accuracy"]) == (pytest.approx(2 / 3), pytest.approx(3 / 4))
    assert suites.eval_scores(Lightmeter(), album, labels, threshold=9.9, resamples=5)["balanced_accuracy"] is None


def test_folders_are_categories_and_a_limit_is_drawn_by_the_seed(tmp_path: Path) -> None:
    rows = []
    for i in range(8):
        name = f"{'sea' if i % 2 else 'trip/town'}/{i}.png"
        grey(tmp_path / "photos" / name, 40 + 20 * i, i)
        rows.append(f"{name},{i + 1}")
    (tmp_path / "l.csv").write_text("\n".join(rows))
    found = suites.eval_scores(Lightmeter(), tmp_path / "photos", tmp_path / "l.csv", resamples=5)
    assert {name: each["n"] for name, each in found["per_category"].items()} == {"sea": 4, "trip/town": 4}
    few = [
        suites.eval_scores(
            Lightmeter(), tmp_path / "photos", tmp_path / "l.csv", limit=3, seed=s, resamples=5, keep=True
        )
        for s in (0, 0, 1)
    ]
    assert few[0] == few[1] and few[0]["n"] == 3 and few[0]["predictions"] != few[2]["predictions"]


def test_predictions_name_photo_hash_and_both_scores(album: Path) -> None:
    found = suites.eval_scores(Lightmeter(), album, album.parent / "labels.csv", resamples=5, keep=True)
    lines = found["predictions"]
    assert len(lines) == found["n"] == 11
    first = lines[0]
    assert first["sha256"] == file_sha256(first["path"]) and first["task"] == "scores" and first["draw"] == ""
    assert first["predicted"] == pytest.approx(Lightmeter().value(read(Path(first["path"]))))
    pairs = np.array([[line["predicted"], line["given"]] for line in lines])
    assert scipy.stats.pearsonr(*pairs.T).statistic == pytest.approx(found["plcc"])
    assert "predictions" not in suites.eval_scores(Lightmeter(), album, album.parent / "labels.csv", resamples=5)


# ------------------------------------------------------------------------------------------------ data sets


def test_any_data_set_is_scored_with_categories_and_histograms(tmp_path: Path) -> None:
    found = suites.eval_dataset(Lightmeter(), "para", para(tmp_path), split="test", resamples=10)
    json.dumps(found, allow_nan=False)
    alike = suites.eval_para(Lightmeter(), tmp_path, resamples=10)
    assert found["n"] == found["photos"] == 2
    assert [found[name] for name in ("srcc", "rmse", "emd", "accuracy")] == [
        alike[name] for name in ("srcc", "rmse", "emd", "accuracy")
    ]
    assert found["per_category"] == alike["per_scene"]
    assert (found["dataset"], found["split"], found["threshold"]["above"]) == ("para", "test", 5.5)


def test_photos_of_the_training_are_refused_in_a_test_and_counted_elsewhere(tmp_path: Path) -> None:
    root = para(tmp_path)
    predictor = Lightmeter()
    predictor.trained_on = [file_sha256(root / "imgs/session2" / TESTED[0])[:16]]
    for split in ("test", None):
        with pytest.raises(DataError, match="found 1 of .* in its training"):
            suites.eval_dataset(predictor, "para", root, split=split)
    assert suites.eval_dataset(predictor, "para", root, split="train", resamples=2)["seen_in_training"] == 0
    predictor.trained_on = [file_sha256(path)[:16] for path in root.glob("imgs/*/*.jpg")]
    found = suites.eval_dataset(predictor, "para", root, split="train", resamples=2)
    assert found["seen_in_training"] == found["n"]
    assert suites.eval_dataset(Lightmeter(), "para", root, split="train", resamples=2)["seen_in_training"] is None


def test_unknown_sets_and_sets_without_scores_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="did you mean para"):
        suites.eval_dataset(Lightmeter(), "parra", tmp_path)
    grey(tmp_path / "a.png", 100)
    with pytest.raises(DataError, match="photos with scores in folder at .* found none"):
        suites.eval_dataset(Lightmeter(), "folder", tmp_path)


# ------------------------------------------------------------------------------------------------ PARA


def test_para_scores_the_test_photos_and_states_the_protocol(tmp_path: Path) -> None:
    predictor = Lightmeter()
    found = suites.eval_para(predictor, para(tmp_path), resamples=10)
    json.dumps(found, allow_nan=False)
    assert found["n"] == sum(predictor.batches) == len(TESTED)
    assert found["official"] is False
    assert found["protocol"]["leaked_groups"] == 1
    assert found["protocol"]["train"] + found["protocol"]["validation"] == len(TRAINED) - 1
    assert set(found["per_scene"]) == {"night scene", "plant"}
    assert found["per_scene"]["plant"]["n"] == 1
    assert 0 < found["emd"] < 1


def test_para_refuses_a_model_that_was_trained_on_its_test(tmp_path: Path) -> None:
    predictor = Lightmeter()
    root = para(tmp_path)
    predictor.trained_on = [file_sha256(root / "imgs/session2" / TESTED[0])]
    with pytest.raises(DataError, match="found 1 of 2 in its training, such as .*iaa_pub90_"):
        suites.eval_para(predictor, root)
    predictor.trained_on = [file_sha256(root / "imgs/session1" / TRAINED[0])[:16]]
    assert suites.eval_para(predictor, root, resamples=2)["protocol"]["training_hashes_compared"] == 1


# ------------------------------------------------------------------------------------------------ gathering


def test_plain_leaves_nothing_that_json_cannot_hold() -> None:
    score = Score(np.float32(2.5), math.nan, (1.0,))
    found = plain({"a": np.arange(2), "b": [score, np.bool_(True)], 3: math.inf})
    assert json.loads(json.dumps(found, allow_nan=False)) == {
        "a": [0, 1],
        "b": [{"value": 2.5, "std": None, "distribution": [1.0]}, True],
        "3": None,
    }


def test_draw_is_by_seed_and_without_repetition() -> None:
    paths = [str(i) for i in range(50)]
    assert draw(paths, 10, 1) == draw(paths, 10, 1) != draw(paths, 10, 2)
    assert sorted(draw(paths, None, 1)) == sorted(paths)


def test_edited_and_renamed_photos_have_hashes_of_their_own(tmp_path: Path) -> None:
    photo = read(grey(tmp_path / "a.png", 100))
    photo = replace(photo, sha256="f" * 64)
    other = edited(photo, photo.pixels[:30])
    assert (other.height, other.width) == (30, 80)
    hashes = {photo.sha256, other.sha256, renamed(photo, "x").sha256, renamed(photo, "y").sha256}
    assert len(hashes) == 4 and {len(each) for each in hashes} == {64}


def test_without_a_list_of_training_photos_nothing_is_compared(tmp_path: Path) -> None:
    assert refuse_trained(Lightmeter(), [str(grey(tmp_path / "a.png", 100))]) == 0


# ------------------------------------------------------------------------------------------------ text


def test_report_prints_figures_as_lines_and_what_is_told_by_name_as_a_table() -> None:
    figures = {
        "task": "edits",
        "visible": {"n": 2, "top1": 0.5, "amount_error": None},
        "per_attribute": {"exposure": {"n": 12, "top1": 1.0}, "tilt": {"n": 3, "top1": None}},
        "confusions": [{"edit": "tilt clockwise", "n": 3}, {"edit": "noise decrease", "n": 10}],
        "failed": [{"path": "a.jpg", "error": "broken"}],
        "warnings": [],
        "interval": {"srcc": [0.1, 0.25]},
    }
    assert report.render(figures).split("\n") == [
        "task                  edits",
        "visible.n             2",
        "visible.top1          0.5000",
        "visible.amount_error  –",
        "warnings              none",
        "interval.srcc         [0.1000, 0.2500]",
        "",
        "per_attribute",
        "             n    top1",
        "  exposure  12  1.0000",
        "  tilt       3       –",
        "",
        "confusions",
        "  edit             n",
        "  tilt clockwise   3",
        "  noise decrease  10",
        "",
        "failed",
        "  path   error",
        "  a.jpg  broken",
    ]
    assert report.render({}) == ""


@pytest.mark.parametrize("evaluate", ["scores", "edits"])
def test_report_prints_every_evaluation(evaluate: str, album: Path) -> None:
    if evaluate == "scores":
        text = report.render(suites.eval_scores(Lightmeter(), album, album.parent / "labels.csv", resamples=5))
        assert "srcc" in text and "labels mapped from 0–100" in text
    else:
        text = report.render(editing.eval_edits(Lightmeter(), album, saliency=None))
        assert "untouched.false_alarms" in text and "\nper_attribute\n" in text
    assert "{" not in text


def test_long_work_says_where_it_stands(monkeypatch, capsys):
    monkeypatch.setattr("calm.data.progress.PACE", -1.0)
    assert list(progress([1, 2, 3], "asking")) == [1, 2, 3]
    assert capsys.readouterr().err.splitlines() == ["asking: 0/3", "asking: 1/3", "asking: 2/3"]
    monkeypatch.setattr("calm.data.progress.PACE", 60.0)
    assert list(progress(iter("ab"), "asking")) == ["a", "b"] and capsys.readouterr().err == ""
