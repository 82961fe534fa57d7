"""Two models on the same photos: tests whose outcome is known."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import scipy.stats

from calm.errors import DataError
from calm.eval.paired import eval_paired, mcnemar, paired_bootstrap, prediction, read_predictions, write_predictions
from calm.tasks.metrics import plcc, rmse, srcc


def write(path: Path, predicted: list, given: list, task: str = "scores", names: list[str] | None = None) -> Path:
    names = names or [f"{i:064x}" for i in range(len(given))]
    rows = [prediction(task, f"{n}.jpg", n, p, g) for n, p, g in zip(names, predicted, given, strict=True)]
    write_predictions(path, rows)
    return path


@pytest.fixture
def scores(tmp_path: Path):
    rng = np.random.default_rng(0)
    given = rng.uniform(1, 10, 150)
    close, far = given + rng.normal(0, 1, 150), given + rng.normal(0, 3, 150)
    return given.tolist(), close.tolist(), far.tolist()


def test_the_better_model_is_found_better(scores, tmp_path: Path) -> None:
    given, close, far = scores
    a, b = write(tmp_path / "a.jsonl", far, given), write(tmp_path / "b.jsonl", close, given)
    found = eval_paired(a, b, resamples=300)
    json.dumps(found, allow_nan=False)
    assert (found["n"], found["only_first"], found["only_second"]) == (150, 0, 0)
    for name, metric in (("srcc", srcc), ("plcc", plcc), ("rmse", rmse)):
        one = found[name]
        assert (one["first"], one["second"]) == (metric(far, given), metric(close, given))
        assert one["difference"] == pytest.approx(one["second"] - one["first"])
        assert one["interval"][0] <= one["difference"] <= one["interval"][1]
        assert one["p"] == pytest.approx(2 / 301)
    assert found["srcc"]["interval"][0] > 0 > found["rmse"]["interval"][1]
    back = eval_paired(b, a, resamples=300)
    assert back["srcc"]["difference"] == pytest.approx(-found["srcc"]["difference"])


def test_a_model_is_no_better_than_itself(scores, tmp_path: Path) -> None:
    given, close, _ = scores
    a = write(tmp_path / "a.jsonl", close, given)
    found = eval_paired(a, a, resamples=50)
    assert found["srcc"] | {"first": 0, "second": 0} == {
        "first": 0,
        "second": 0,
        "difference": 0.0,
        "interval": [0.0, 0.0],
        "p": 1.0,
    }
    assert (found["accuracy"]["difference"], found["accuracy"]["p"]) == (0.0, 1.0)


def test_without_a_difference_p_is_small_as_seldom_as_it_says() -> None:
    """Of 100 pairs of equally good models about 10 have p < .1; chance allows 3 … 19."""
    rng, small = np.random.default_rng(1), 0
    for i in range(100):
        given = rng.normal(size=60)
        a, b = given + rng.normal(size=60), given + rng.normal(size=60)
        small += paired_bootstrap(plcc, a, b, given, resamples=200, seed=i)["p"] < 0.1
    assert 3 <= small <= 19


def test_mcnemar_counts_what_one_alone_has_right() -> None:
    first = [True] * 10 + [False] * 2 + [True] * 5
    second = [False] * 10 + [True] * 2 + [True] * 5
    found = mcnemar(first, second)
    assert (found["first_alone"], found["second_alone"]) == (10, 2)
    assert (found["first"], found["second"]) == (pytest.approx(15 / 17), pytest.approx(7 / 17))
    assert found["p"] == pytest.approx(scipy.stats.binomtest(2, 12).pvalue)  # 2·P(X ≤ 2) of 12 fair coins
    assert found["p"] == pytest.approx(2 * (1 + 12 + 66) / 4096)


def test_classes_are_compared_by_draw(tmp_path: Path) -> None:
    rows = [("visible", "tilt clockwise", "tilt clockwise"), ("untouched", "nothing", "alarm")]
    for name, right in (("a", (True, False)), ("b", (True, True))):
        lines = [
            prediction("edits", "x", "s", given if ok else said, given, draw)
            for ok, (draw, given, said) in zip(right, rows, strict=True)
        ]
        write_predictions(tmp_path / name, lines)
    found = eval_paired(tmp_path / "a", tmp_path / "b")
    assert found["accuracy"]["difference"] == pytest.approx(0.5) and "srcc" not in found
    assert found["per_draw"]["visible"]["difference"] == 0.0
    assert (found["per_draw"]["untouched"]["first"], found["per_draw"]["untouched"]["second"]) == (0.0, 1.0)


def test_photos_are_matched_by_their_bytes_and_the_rest_is_counted(tmp_path: Path) -> None:
    a = write(tmp_path / "a", [1, 2, 3, 4], [1, 2, 3, 4], names=["p", "q", "q", "only"])
    b = write(tmp_path / "b", [9, 8, 7], [2, 3, 1], names=["q", "q", "p"])
    found = eval_paired(a, b, resamples=5)
    assert (found["n"], found["only_first"], found["only_second"]) == (3, 1, 0)
    assert found["rmse"]["first"] == 0.0


def test_other_labels_other_photos_and_other_tasks_are_refused(tmp_path: Path) -> None:
    a = write(tmp_path / "a", [1.0, 2.0], [1.0, 2.0])
    with pytest.raises(DataError, match="same labels in .* found 2.0 and 3.0"):
        eval_paired(a, write(tmp_path / "b", [1.0, 2.0], [1.0, 3.0]))
    with pytest.raises(DataError, match="none in common"):
        eval_paired(a, write(tmp_path / "b", [1.0, 2.0], [1.0, 2.0], names=["x", "y"]))
    with pytest.raises(DataError, match="none in common"):
        eval_paired(a, write(tmp_path / "b", [1.0, 2.0], [1.0, 2.0], task="edits"))


def test_files_of_another_form_are_refused_and_results_with_predictions_are_read(tmp_path: Path) -> None:
    for text in ("", "no json", '{"n": 3}', '{"predicted": 1}', "[]"):
        (tmp_path / "x").write_text(text)
        with pytest.raises(DataError, match="--predictions FILE.jsonl"):
            read_predictions(tmp_path / "x")
    line = prediction("scores", "a.jpg", "s", 1.5, 2.0)
    (tmp_path / "x").write_text(json.dumps({"n": 1, "predictions": [line]}, indent=1))
    (tmp_path / "y").write_text(json.dumps(line))
    assert read_predictions(tmp_path / "x") == read_predictions(tmp_path / "y")
