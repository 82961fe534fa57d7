"""A plan for a shoot: who is kept, who is not, and why. By rules alone, without a model."""

from __future__ import annotations

import numpy as np
import pytest

from calm.errors import UsageError
from calm.library.comparison import Standing, above, line_up, why
from calm.library.culling import PRESETS, count_of, fault_of, load_preset, plan
from calm.library.look import Frame, in_order
from calm.library.series import Series
from calm.library.sharpness import Sharpness
from calm.library.sketch import Sketch
from calm.library.study import Study, study_pixels

EVERYDAY = load_preset("everyday")
SHARP, SOFT = Sharpness(0.5, (0.5,) * 4), Sharpness(0.2, (0.2,) * 4)


def frame(name: str, score: float, features: tuple[float, ...] = (1.0,), taken: float | None = None) -> Frame:
    nothing = np.zeros((4, 4), np.uint8)
    drawn = Sketch(nothing, np.zeros((0, 2)), np.zeros((0, 128)), np.zeros(64), np.zeros((2, 48, 48)), taken)
    return Frame(f"shoot/{name}.jpg", score, np.array(features), drawn)


def seen(native: Sharpness | None = SHARP, **others: float) -> Study:
    return Study(native, native, **{"elsewhere": 0.5, "dark": 0.0, "burnt": 0.0, "brightest": 80.0} | others)


class Plan:
    """Decisions by name: photos by themselves are a, b, c … in the order given."""

    def __init__(self, scores: list[float], keep: int, *found: Series, faults: dict[int, str] | None = None, **options):
        features = options.pop("features", [(float(i == j) for j in range(len(scores))) for i in range(len(scores))])
        self.frames = [
            frame(chr(97 + i), score, tuple(row)) for i, (score, row) in enumerate(zip(scores, features, strict=True))
        ]
        studies = {each: seen() for each in range(len(scores))}
        standings = [[] if each.kind != "burst" else line_up(each, self.frames, studies) for each in found]
        preset = options.pop("preset", EVERYDAY)
        self.verdicts = plan(self.frames, list(found), standings, faults or {}, keep, preset, **options)

    def of(self, decision: str) -> str:
        return "".join(chr(97 + i) for i, each in enumerate(self.verdicts) if each.decision == decision)


def burst(*members: int) -> Series:
    return Series(members, "burst", (0.0,) * len(members))


def test_the_best_are_kept_and_what_is_hardly_worse_is_left_open():
    made = Plan([7.0, 6.0, 5.9, 4.0], 2)
    assert (made.of("keep"), made.of("maybe"), made.of("reject")) == ("ab", "c", "d")
    assert made.verdicts[0].reason == "taste: scores 7.00, number 1 of 4"
    assert (
        made.verdicts[3].reason == "taste: scores 4.00, the last kept 6.00 (99% sure)" and made.verdicts[3].rival == 1
    )


def test_a_burst_gives_its_best_before_its_second():
    made = Plan([7.0, 6.9, 6.0, 5.0], 3, burst(0, 1))
    assert made.of("keep") == "acd" and made.of("maybe") == "b"
    assert made.verdicts[1].rival == 0 and made.verdicts[1].series == 1 and made.verdicts[1].kind == "burst"
    assert made.verdicts[1].reason == "series: scores 6.90, a.jpg 7.00 (60% sure)"
    assert Plan([7.0, 6.9, 6.0, 5.0], 4, burst(0, 1)).of("keep") == "abcd"
    assert Plan([7.0, 5.9, 6.0, 5.0], 3, burst(0, 1)).of("reject") == "b"


def test_a_frame_is_no_better_off_than_the_best_of_its_series():
    made = Plan([7.0, 7.0, 4.0, 3.95], 2, burst(2, 3))
    assert made.of("keep") == "ab" and made.of("reject") == "cd"
    assert made.verdicts[3].reason == "series: scores 3.95, c.jpg 4.00 (55% sure); that is rejected itself"
    assert Plan([7.0, 7.0, 6.9, 6.85], 2, burst(2, 3)).of("maybe") == "cd"


def test_technical_faults_count_before_taste_and_make_up_no_number():
    made = Plan([8.0, 5.0, 5.0], 3, faults={0: "missed focus"})
    assert made.of("keep") == "bc" and made.verdicts[0].reason == "technical: missed focus"
    made = Plan([8.0, 5.0, 5.0], 1, burst(0, 1), faults={0: "missed focus"})
    assert made.of("keep") == "b" and made.verdicts[0].rival == 1
    assert Plan([8.0, 5.0], 1, burst(0, 1), faults={0: "x", 1: "x"}).of("reject") == "ab"


@pytest.mark.parametrize("kind", ["bracket", "stack", "panorama"])
@pytest.mark.parametrize("keep", range(6))
def test_sets_are_never_culled_apart_nor_rejected(kind, keep):
    made = Plan([6.0, 2.0, 1.0, 5.0, 5.5], keep, Series((0, 1, 2), kind, (0, 0, 0)), faults={1: "dark", 2: "black"})
    decisions = {each.decision for each in made.verdicts[:3]}
    assert decisions == {"keep" if keep >= 3 else "maybe"} and len(made.of("keep")) == keep
    assert made.verdicts[0].reason.startswith(f"set: {kind} of 3")
    low = Plan([2.0, 2.0, 2.0, 5.0], 1, Series((0, 1, 2), kind, (0, 0, 0)))
    assert low.verdicts[0].reason == f"set: {kind} of 3, left whole: scores 2.00 at best, the last kept 5.00"


def test_few_of_one_scene_are_kept_where_diversity_is_asked_for():
    beach, wood = (1.0, 0.0), (0.0, 1.0)
    given = {"features": [beach, beach, beach, beach, wood], "diverse": True}
    made = Plan([8.0, 7.9, 7.8, 4.0, 5.0], 3, **given)
    assert made.of("keep") == "abe" and made.of("maybe") == "c" and made.of("reject") == "d"
    assert made.verdicts[2].reason == "scene: like a.jpg, which is kept" and made.verdicts[2].rival == 0
    assert Plan([8.0, 7.9, 7.8, 4.0, 5.0], 3, features=given["features"]).of("keep") == "abc"


def test_keep_is_a_number_or_a_percentage():
    assert count_of("200", 1000) == 200 and count_of("20%", 1000) == 200 and count_of("2.5%", 1000) == 25
    for wrong in ("many", "-3", "2.5", "120%", ""):
        with pytest.raises(UsageError, match="--keep 200 or --keep 20%"):
            count_of(wrong, 10)


def test_faults_are_told_apart():
    assert fault_of(seen(), EVERYDAY) is None
    soft = Sharpness(0.05, (0.05,) * 4)
    assert fault_of(seen(soft, elsewhere=0.2), EVERYDAY) == "out of focus: nothing in it is sharp"
    assert fault_of(seen(soft, elsewhere=0.6), EVERYDAY).startswith("missed focus")
    assert fault_of(seen(Sharpness(0.1, (0.3, 0.05, 0.1, 0.1))), EVERYDAY).startswith("shaken")
    assert fault_of(seen(dark=0.9), EVERYDAY).startswith("exposure is lost: the subject is black")
    assert fault_of(seen(dark=0.9, brightest=200.0), EVERYDAY) is None, "a silhouette"
    assert fault_of(seen(burnt=0.9), EVERYDAY).startswith("exposure is lost: the subject is burnt out")
    assert fault_of(seen(None), EVERYDAY) is None
    assert fault_of(seen(soft), load_preset("action")) is None


def test_reasons_within_a_series_name_what_differs_most():
    good = Standing(0, 6.0, SHARP, 0.0)
    moved = Standing(1, 6.0, Sharpness(0.3, (0.5, 0.1, 0.3, 0.3)), 0.0)
    assert why(good, Standing(1, 5.9, SOFT, 0.0), "a.jpg") == "the subject is softer than in a.jpg"
    assert why(good, moved, "a.jpg").startswith("shaken")
    assert why(good, Standing(1, 5.9, SHARP, -1.5), "a.jpg") == "1.5 EV darker than the series"
    assert why(good, Standing(1, 5.5, SHARP, 0.0), "a.jpg") == "scores 5.50, a.jpg 6.00 (88% sure)"
    assert "hardly different" in why(good, Standing(1, 6.0, Sharpness(0.49, (0.49,) * 4), 0.0), "a.jpg")
    assert above(good, Standing(1, 5.9, SOFT, 0.0), "b.jpg") == "its subject is sharper than in b.jpg"
    assert above(good, Standing(1, 5.9, SHARP, -1.5), "b.jpg") == "better exposed than b.jpg by 1.5 EV"


def test_the_sharpest_subject_comes_before_a_slightly_higher_score():
    frames = [frame("a", 6.0), frame("b", 6.2), frame("c", 6.1)]
    lined = line_up(Series((0, 1, 2), "burst", (0.0, 0.0, -2.0)), frames, {0: seen(), 1: seen(SOFT), 2: seen()})
    assert [each.frame for each in lined] == [0, 1, 2] or [each.frame for each in lined] == [0, 2, 1]


def test_frames_stand_in_the_order_they_were_taken_in():
    given = [frame("b10", 5), frame("b2", 5), frame("z", 5, taken=2.0), frame("y", 5, taken=10.0)]
    assert [each.name for each in in_order(given)] == ["z.jpg", "y.jpg", "b2.jpg", "b10.jpg"]


def test_presets_are_files(tmp_path):
    assert {path.stem for path in PRESETS.glob("*.yaml")} == {"everyday", "strict", "action"}
    for path in PRESETS.glob("*.yaml"):
        assert load_preset(path.stem) == load_preset(str(path))
    own = tmp_path / "mine.yaml"
    own.write_text((PRESETS / "everyday.yaml").read_text().replace("scene: 2", "scene: 7"))
    assert load_preset(str(own)).scene == 7
    for text, words in (("keep: 3", "expected the keys"), ("[", "expected YAML"), ("", "expected the keys")):
        own.write_text(text)
        with pytest.raises(UsageError, match=words):
            load_preset(str(own))
    with pytest.raises(UsageError, match="expected a preset of action, everyday, strict"):
        load_preset("nightly")


@pytest.mark.parametrize("value", [0.0, 1e-9, np.nan])
def test_a_photo_in_which_nothing_stands_out_is_studied_in_its_middle(value):
    pixels = np.random.default_rng(0).integers(0, 255, (60, 90, 3), np.uint8)
    found = study_pixels(pixels, lambda seen: np.full((8, 8), value, np.float32))
    assert found == study_pixels(pixels, lambda seen: None) and found.native is not None
