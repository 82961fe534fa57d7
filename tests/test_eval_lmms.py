"""The task file for lmms-eval: its functions, and that its configuration names functions that exist."""

from __future__ import annotations

import importlib.util
import math
from pathlib import Path

import numpy as np
import pytest
import scipy.stats
import yaml
from PIL import Image

FOLDER = Path(__file__).parents[1] / "examples/lmms-eval/calm_aesthetics"


def load():
    spec = importlib.util.spec_from_file_location("scoring", FOLDER / "scoring.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


scoring = load()


class Loader(yaml.SafeLoader):
    """Reads ``!function module.name`` as the function, as lmms-eval does."""


def _function(loader: Loader, node: yaml.ScalarNode):
    module, name = node.value.split(".")
    assert module == "scoring"
    return getattr(scoring, name)


Loader.add_constructor("!function", _function)
TASK = yaml.load((FOLDER / "calm_aesthetics.yaml").read_text(), Loader)


@pytest.mark.parametrize(
    ("answer", "score"),
    [
        ("7", 7),
        (" 6.5.", 6.5),
        ("I would give it 8/10.", 8),
        ("Taken in 2019; 4 of 10", 4),
        ("0.5", None),
        ("11", None),
        ("The quality of this photo is excellent", 10),
        ("fair, not good", 5.5),
        ("10", 10),
        ("", None),
        ("no idea", None),
    ],
)
def test_scores_are_read_from_answers(answer: str, score: float | None) -> None:
    assert scoring.read_score(answer) == score


def test_correlations_equal_scipy_with_ties() -> None:
    rng = np.random.default_rng(0)
    given = rng.integers(1, 6, 60).astype(float)
    predicted = np.round(given + rng.normal(size=60), 1)
    pairs = list(zip(predicted.tolist(), given.tolist(), strict=True))
    assert scoring.srcc(pairs) == pytest.approx(scipy.stats.spearmanr(predicted, given).statistic)
    assert scoring.plcc(pairs) == pytest.approx(scipy.stats.pearsonr(predicted, given).statistic)
    assert math.isnan(scoring.srcc([(5.0, 1.0), (5.0, 2.0)])) and math.isnan(scoring.plcc([(5.0, 1.0), (5.0, 2.0)]))


def test_a_row_goes_through_the_task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image = Image.new("RGB", (30, 20))
    exif = image.getexif()
    exif[0x0112] = 6  # lies on its side
    image.save(tmp_path / "a.jpg", exif=exif)
    monkeypatch.setenv("CALM_PHOTOS", str(tmp_path))
    doc = {"image": "a.jpg", "score": 3.5}
    assert [each.size for each in TASK["doc_to_visual"](doc)] == [(20, 30)]
    assert TASK["doc_to_visual"]({"image": image.convert("L")})[0].mode == "RGB"
    text = TASK["doc_to_text"](doc, {"pre_prompt": "<", "post_prompt": ">"})
    assert text == f"<{scoring.QUESTION}>" and TASK["doc_to_text"](doc) == scoring.QUESTION
    assert TASK["process_results"](doc, ["7"]) == {"srcc": (7.0, 3.5), "plcc": (7.0, 3.5), "answered": 1.0}
    assert TASK["process_results"](doc, ["?"]) == {"srcc": (5.5, 3.5), "plcc": (5.5, 3.5), "answered": 0.0}


def test_every_figure_of_the_task_is_given_and_aggregated() -> None:
    given = TASK["process_results"]({"score": 1}, ["1"])
    assert {each["metric"] for each in TASK["metric_list"]} == set(given)
    by_name = {each["metric"]: each for each in TASK["metric_list"]}
    assert by_name["srcc"]["aggregation"] is scoring.srcc and by_name["plcc"]["aggregation"] is scoring.plcc
    assert all(each["higher_is_better"] for each in TASK["metric_list"])
    assert (TASK["output_type"], TASK["test_split"], TASK["doc_to_target"]) == ("generate_until", "test", "score")


def test_rows_without_a_score_are_refused() -> None:
    assert TASK["process_docs"]({"score": [1, 2.5]}) == {"score": [1, 2.5]}
    for bad in (None, math.nan):
        with pytest.raises(ValueError, match="score in row 2"):
            TASK["process_docs"]({"score": [1, bad]})
