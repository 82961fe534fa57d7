"""Evaluations of edits, comments and invariance, driven by a predictor whose right answers are known."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from lightmeter import Lightmeter, N, grey, make_album

from calm.data.hashes import file_sha256
from calm.data.images import Photo
from calm.errors import ConfigError, DataError
from calm.eval import comments, editing, invariance
from calm.eval.editing import COMMON, Probe, _Deck, summarise
from calm.types import CLASSES, Comment


@pytest.fixture
def album(tmp_path: Path) -> Path:
    return make_album(tmp_path)


# ------------------------------------------------------------------------------------------------ edits


def trial(draw_: str, label: int, severity: float = 0.5) -> Probe:
    return Probe(draw_, None, label, severity)


def row(*shares: tuple[int, float]) -> np.ndarray:
    probabilities = np.full(N + 1, 1e-6)
    for place, share in shares:
        probabilities[place] = share
    return probabilities


def test_figures_of_edits_by_hand() -> None:
    nothing, probes = N, list[Probe]()
    names = [f"{attribute} {direction}" for attribute, direction in CLASSES]
    for made, probabilities, alarm, error in (
        (trial("visible", 0), row((0, 0.7), (1, 0.2)), True, 0.5),  # right
        (trial("visible", 1, 0.9), row((1, 0.25), (nothing, 0.7)), False, 0.1),  # right, but nothing is likelier
        (trial("visible", 2, 0.9), row((3, 0.6), (4, 0.2), (2, 0.1)), True, math.nan),  # third
        (trial("visible", 3, 0.4), row((2, 0.6), (4, 0.2), (5, 0.1)), True, math.nan),  # not among three
        (trial("realistic", 4, 0.1), row((4, 0.9)), True, 0.0),
        *((trial("untouched", nothing, 0), row((nothing, 0.5), (0, 0.03 * k)), k >= 8, math.nan) for k in range(10)),
        (trial("nuisances", nothing, 0), row((0, 0.9)), True, math.nan),
    ):
        probes.append(replace(made, probabilities=probabilities, alarm=alarm, amount_error=error))
    found = summarise(probes, names)

    visible = found["visible"]
    assert (visible["n"], visible["top1"], visible["top3"], visible["top1_with_nothing"]) == (4, 0.5, 0.75, 0.25)
    assert (visible["amount_error"], visible["amount_found"]) == (pytest.approx(0.3), 2)
    assert found["untouched"]["threshold"] == pytest.approx(0.24)  # of 0, .03 … .27 one in ten lies above
    assert visible["recall_at_threshold"] == 0.5
    assert (found["strong"]["n"], found["strong"]["top1"]) == (2, 0.5)
    assert (found["realistic"]["n"], found["realistic"]["top1"], found["high"]) == (1, 1.0, None)
    assert found["untouched"]["false_alarms"] == pytest.approx(0.2)
    assert found["untouched"]["false_alarms_with_nuisances"] == 1.0
    assert found["per_attribute"]["exposure"]["n"] == 2 and found["per_attribute"]["exposure"]["top1"] == 1.0
    assert found["per_class"][names[2]]["top3"] == 1.0
    assert {(each["edit"], each["said"]) for each in found["confusions"]} == {
        (names[2], names[3]),
        (names[3], names[2]),
    }


def test_edits_of_exposure_are_found_by_a_lightmeter_and_others_are_not(tmp_path: Path) -> None:
    for i in range(20):
        grey(tmp_path / f"{i:02}.png", 127, i, (96, 128))
    found = editing.eval_edits(Lightmeter(), tmp_path, seed=3, saliency=None)
    json.dumps(found, allow_nan=False)
    assert found["photos"] == found["untouched"]["n"] == 20
    assert found["untouched"]["false_alarms"] == 0
    assert found["per_attribute"]["exposure"]["top1"] == 1.0
    assert found["per_attribute"]["exposure"]["amount_found"] == found["per_attribute"]["exposure"]["n"]
    assert found["per_attribute"]["noise"]["top1"] == 0.0
    assert found["visible"]["top1"] < 0.5
    assert found == editing.eval_edits(Lightmeter(), tmp_path, seed=3, saliency=None)
    assert found["visible"] != editing.eval_edits(Lightmeter(), tmp_path, seed=4, saliency=None)["visible"]


def test_false_alarms_count_confident_suggestions_on_untouched_photos(tmp_path: Path) -> None:
    for i in range(4):
        grey(tmp_path / f"{i}.png", 60 if i else 127, i)
    assert editing.eval_edits(Lightmeter(), tmp_path, saliency=None)["untouched"]["false_alarms"] == 0.75
    shy = Lightmeter()
    shy.confidence = 0.49
    assert editing.eval_edits(shy, tmp_path, saliency=None)["untouched"]["false_alarms"] == 0.0


def test_edits_refuse_photos_of_the_training_and_answers_of_another_shape(tmp_path: Path) -> None:
    path = grey(tmp_path / "a.png", 127)
    predictor = Lightmeter()
    predictor.trained_on = {file_sha256(path)}
    with pytest.raises(DataError, match="never trained on, found 1 of 1.*name a held-out set"):
        editing.eval_edits(predictor, tmp_path, saliency=None)

    class Short(Lightmeter):
        def edit_probabilities(self, photos: list[Photo]) -> np.ndarray:
            return super().edit_probabilities(photos)[:, :-1]

    with pytest.raises(ConfigError, match="last column is nothing to mend"):
        editing.eval_edits(Short(), tmp_path, saliency=None)


def test_edits_name_broken_photos_and_refuse_an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="expected at least one photo"):
        editing.eval_edits(Lightmeter(), tmp_path, saliency=None)
    with pytest.raises(DataError, match="no folder at"):
        editing.eval_edits(Lightmeter(), tmp_path / "absent", saliency=None)
    (tmp_path / "a.png").write_bytes(b"broken")
    with pytest.raises(DataError, match="found 1 that failed"):
        editing.eval_edits(Lightmeter(), tmp_path, saliency=None)
    grey(tmp_path / "b.png", 127)
    found = editing.eval_edits(Lightmeter(), tmp_path, saliency=None)
    assert (found["photos"], len(found["failed"])) == (1, 1)


def test_a_deck_deals_equally_and_what_is_owed_does_not_crowd_out_the_rest() -> None:
    deck = _Deck(COMMON, np.random.default_rng(0))
    dealt = [name for _ in range(100) for name in deck.deal(2)]
    assert {dealt.count(name) for name in COMMON} == {200 // len(COMMON)}
    impossible, made = "tilt", []
    for _ in range(300):
        for name in deck.deal(1):
            if name == impossible:
                deck.owe(name)
            else:
                made.append(name)
    counts = [made.count(name) for name in COMMON if name != impossible]
    assert min(counts) > 20 and max(counts) - min(counts) <= 1


# ------------------------------------------------------------------------------------------------ comments


def test_form_of_comments(tmp_path: Path) -> None:
    for i in range(8):
        grey(tmp_path / f"{i}.png", 25 if i % 2 else 235, i, (96, 128))
    (tmp_path / "9.png").write_bytes(b"broken")
    found = comments.eval_comments(Lightmeter(), tmp_path, n=9, keep_texts=True)
    json.dumps(found, allow_nan=False)
    assert (found["n"], len(found["failed"]), len(found["comments"])) == (8, 1, 8)
    assert (found["words"], found["sentences"], found["two_to_four_sentences"]) == (10, 2, 1)
    assert found["distinct_first_sentences"] == 2 / 8
    assert found["commonest_first_sentence"]["times"] == 4
    assert found["distinct"] > 2 / 8
    assert found["shared_sentences"] >= 0.5 and found["repeating"] == 0
    assert found["both_sides"] == 1 and "both_sides" in found["shares_code_with_generator"]


def test_what_is_said_twice_is_counted(tmp_path: Path) -> None:
    said = {235: "Good light. Good light.", 127: "Good light. And the sea!", 25: "A long, dark sentence without end"}

    class Parrot(Lightmeter):
        def comment(self, photos, aspects=None):
            texts = [said[min(said, key=lambda mean: abs(mean - photo.pixels.mean()))] for photo in photos]
            return [(score, Comment(text, ())) for score, text in zip(self.score(photos), texts, strict=True)]

    for mean in said:
        grey(tmp_path / f"{mean}.png", mean)
    found = comments.eval_comments(Parrot(), tmp_path)
    assert found["repeating"] == pytest.approx(1 / 3) and found["shared_sentences"] == pytest.approx(3 / 5)
    assert found["two_to_four_sentences"] == pytest.approx(2 / 3) and found["both_sides"] == 0


# ------------------------------------------------------------------------------------------------ invariance


def test_invariance_of_a_score_that_depends_on_nothing_but_the_photo(album: Path) -> None:
    predictor = Lightmeter()
    found = invariance.eval_invariance(predictor, album, batch=8, resized=3)
    json.dumps(found, allow_nan=False)
    assert found["batch"] == {"n": 8, "largest": 0.0, "mean": 0.0}
    assert found["repeat"] == {"n": 8, "largest": 0.0}
    assert predictor.batches == [1] * 8 + [8, 8] + [2] * 3 + [10] * 11
    assert found["stored_size"]["n"] == 3 and found["copies"]["n"] == 11, "one of the album is broken"
    assert found["stored_size"]["largest"] < 0.05 and 0 < found["copies"]["largest"] < 0.05
    assert list(found["copies"]["by"]) == [
        *("as it is", "×0.25", "×0.5", "×0.7", "×1.4", "×2"),
        *(f"JPEG {quality}" for quality in (60, 75, 85, 95)),
    ]
    assert found["copies"]["by"]["as it is"] == 0


def test_copies_that_score_otherwise_are_seen(album: Path) -> None:
    class Sizing(Lightmeter):
        def value(self, photo: Photo) -> float:
            return 4.0 + (photo.width == 160) + 0.5 * (photo.width == 40)

    found = invariance.eval_invariance(Sizing(), album, batch=4, resized=0, copied=5)["copies"]
    assert (found["median"], found["by"]["×2"], found["by"]["×0.5"]) == (1.0, 1.0, 0.5)


def test_invariance_sees_what_a_cache_would_hide(album: Path) -> None:
    """A model that drifts from call to call, behind a cache by hash: the same hash twice would look stable."""

    class Drifting(Lightmeter):
        def __init__(self) -> None:
            super().__init__()
            self.known: dict[str, float] = {}

        def value(self, photo: Photo) -> float:
            return self.known.setdefault(photo.sha256, min(9.9, super().value(photo) + 0.01 * len(self.known)))

    found = invariance.eval_invariance(Drifting(), album, batch=4, resized=1, copied=0)
    assert found["repeat"]["largest"] == pytest.approx(0.04)
    assert found["batch"]["largest"] == pytest.approx(0.04)
