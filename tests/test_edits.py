"""Every edit there is, by one contract; samples and remedies."""

from __future__ import annotations

import ast
from pathlib import Path

import cv2
import numpy as np
import pytest

import calm.edits
from calm.edits import (
    CLASSES,
    Applied,
    edits,
    render,
    synthetic_edit,
)
from calm.edits.base import ORDERS
from calm.edits.light import apply_curves, scale_light
from calm.edits.noise import add_noise, add_sensor_noise
from calm.edits.sharpness import Sharpness
from calm.edits.tilt import turn
from calm.errors import UsageError
from calm.types import LEVELS, UNITS, Suggestion

SEVERITIES = (0.1, 0.35, 0.6, 0.9)


def scene(height: int = 210, width: int = 300) -> np.ndarray:
    """A colourful photo, uint8: texture all over, no value below 60, a textured disc right of the middle."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:height, :width].astype(np.float32)
    coarse = cv2.resize(rng.random((14, 20, 3), dtype=np.float32), (width, height), interpolation=cv2.INTER_CUBIC)
    fine = cv2.GaussianBlur(rng.standard_normal((height, width, 1), dtype=np.float32), (0, 0), 1.0)[..., None]
    photo = 120 + 70 * (coarse - 0.5) + 60 * fine + np.array([20, 0, -20]) * (y / height)[..., None]
    inside = np.hypot(x - 0.55 * width, y - 0.5 * height) < 0.14 * height
    photo[inside] = np.array([190, 110, 80]) + 40 * fine[inside]
    return np.clip(photo, 60, 235).astype(np.uint8)


def subject(height: int = 210, width: int = 300) -> np.ndarray:
    """Where the disc of :func:`scene` is, (64, 64)."""
    y, x = np.mgrid[0:height:64j, 0:width:64j]
    return (np.hypot(x - 0.55 * width, y - 0.5 * height) < 0.16 * height).astype(np.float32)


PHOTO = scene().astype(np.float32) / 255
MAP = subject()


def damage(attribute: str, direction: str, severity: float, seed: int = 0) -> tuple[np.ndarray, Applied]:
    photo, applied = edits()[attribute].apply(PHOTO, direction, severity, np.random.default_rng(seed), MAP)
    assert applied is not None
    return photo, applied


def distance(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.sqrt(np.mean((one - other) ** 2)))


def suggestion(applied: Applied) -> Suggestion:
    unit = UNITS[applied.attribute]
    return Suggestion(LEVELS[applied.attribute], applied.attribute, applied.direction, applied.amount, unit, 1.0, "")


# ------------------------------------------------------------------------------------------------ contract


def test_there_is_an_edit_for_every_attribute_and_one_file_for_each():
    assert list(edits()) == list(LEVELS)
    assert [(name, way) for name, edit in edits().items() for way in edit.directions] == list(CLASSES)
    for name in LEVELS:
        tree = ast.parse((Path(calm.edits.__file__).parent / f"{name}.py").read_text(encoding="utf-8"))
        assert len([node for node in tree.body if isinstance(node, ast.ClassDef)]) == 1


@pytest.mark.parametrize(("attribute", "direction"), CLASSES)
def test_amounts_are_positive_and_monotone(attribute, direction):
    amounts = [edits()[attribute].amount(direction, severity) for severity in np.linspace(0.02, 1, 30)]
    if UNITS[attribute] is None:
        assert amounts == [None] * 30
        return
    assert min(amounts) > 0
    steps = np.diff(amounts)
    assert (steps < 0).all() if attribute == "compression" else (steps > 0).all()


@pytest.mark.parametrize(("attribute", "direction"), CLASSES)
def test_an_edit_says_what_it_did_and_gives_a_photo(attribute, direction):
    before = PHOTO.copy()
    for severity in SEVERITIES:
        photo, applied = damage(attribute, direction, severity)
        assert (applied.attribute, applied.direction) == (attribute, direction)
        assert 0 < applied.severity <= severity
        assert (applied.amount is None) == (UNITS[attribute] is None)
        assert photo.dtype == np.float32 and photo.shape[2] == 3
        assert photo.min() >= 0 and photo.max() <= 1
    assert np.array_equal(PHOTO, before)


@pytest.mark.parametrize(("attribute", "direction"), CLASSES)
def test_an_edit_is_the_same_for_the_same_draw_and_another_for_another(attribute, direction):
    first, applied = damage(attribute, direction, 0.7, seed=5)
    again, applied_again = damage(attribute, direction, 0.7, seed=5)
    assert np.array_equal(first, again) and applied == applied_again
    others = [damage(attribute, direction, 0.7, seed=seed)[0] for seed in range(6, 10)]
    assert any(first.shape != other.shape or not np.array_equal(first, other) for other in others)


@pytest.mark.parametrize(("attribute", "direction"), CLASSES)
def test_draws_do_not_depend_on_severity(attribute, direction):
    states = []
    for severity in (0.05, 0.95):
        rng = np.random.default_rng(3)
        edits()[attribute].apply(PHOTO, direction, severity, rng, MAP)
        states.append(rng.random())
    assert states[0] == states[1]


@pytest.mark.parametrize(("attribute", "direction"), [each for each in CLASSES if each[0] not in ("tilt", "framing")])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_more_severity_is_more_difference_and_none_is_none(attribute, direction, seed):
    nothing = edits()[attribute].apply(PHOTO, direction, 0.0, np.random.default_rng(seed), MAP)[0]
    rows, columns = nothing.shape[:2]
    # a compressed file may have lost a few rows and columns at its top and left
    assert distance(nothing, PHOTO[-rows:, -columns:]) < (0.02 if attribute == "compression" else 0.004)
    found = []
    for severity in SEVERITIES:
        photo = damage(attribute, direction, severity, seed)[0]
        found.append(distance(photo, PHOTO[-photo.shape[0] :, -photo.shape[1] :]))
    assert found == sorted(found) and found[-1] > 1.5 * found[0]


@pytest.mark.parametrize(("attribute", "direction"), [each for each in CLASSES if each[0] in ("tilt", "framing")])
def test_geometry_grows_with_severity_and_brings_no_borders(attribute, direction):
    amounts = []
    for severity in (0.1, 0.4, 0.7, 1.0):
        for seed in range(3):
            photo, applied = damage(attribute, direction, severity, seed)
            border = np.concatenate([photo[0], photo[-1], photo[:, 0], photo[:, -1]])
            assert border.min() > 0.15, "something dark came in from outside the frame"
        amounts.append(applied.amount)
    assert amounts == sorted(amounts)
    assert amounts[0] < amounts[-1]
    if direction != "tighter":  # where nothing means a subject of the right size
        nothing = edits()[attribute].apply(PHOTO, direction, 0.0, np.random.default_rng(0), MAP)[0]
        assert nothing.shape == PHOTO.shape and distance(nothing, PHOTO) < 1e-6


# ------------------------------------------------------------------------------------------------ remedies


@pytest.mark.parametrize(
    ("attribute", "direction"),
    [each for each in CLASSES if each[0] not in ("compression", "tilt", "framing", "colour_harmony", "clutter")],
)
def test_the_remedy_brings_the_photo_nearer_to_what_it_was(attribute, direction):
    gains = []
    for seed in range(4):
        photo, applied = damage(attribute, direction, 0.6, seed)
        mended = edits()[attribute].render(photo, suggestion(applied), MAP)
        gains.append(distance(mended, PHOTO) / distance(photo, PHOTO))
    assert np.mean(gains) < 0.97


@pytest.mark.parametrize("direction", ["clockwise", "counterclockwise"])
def test_a_tilted_horizon_hangs_to_the_other_side_and_is_levelled(direction):
    photo = np.full((200, 300, 3), 0.8, np.float32)
    photo[100:] = 0.3

    def slope(picture: np.ndarray) -> float:
        """Degrees that the horizon falls toward the right."""
        edge = (picture[..., 0] > 0.55).sum(0)
        return float(np.degrees(np.arctan(np.polyfit(np.arange(edge.size), edge, 1)[0])))

    tilted, applied = edits()["tilt"].apply(photo, direction, 0.6, np.random.default_rng(0))
    # turned counterclockwise, its right side rises: it falls toward the left
    assert slope(tilted) == pytest.approx(-applied.amount if direction == "clockwise" else applied.amount, abs=0.4)
    assert abs(slope(edits()["tilt"].render(tilted, suggestion(applied)))) < 0.4


def test_turning_keeps_the_largest_frame_of_an_aspect():
    photo = np.full((400, 600, 3), 0.5, np.float32)
    turned = turn(photo, 8.0, 1.5)
    assert turned.shape[1] / turned.shape[0] == pytest.approx(1.5, abs=0.01)
    angle = np.radians(8)
    height = min(600 / (1.5 * np.cos(angle) + np.sin(angle)), 400 / (1.5 * np.sin(angle) + np.cos(angle)))
    assert turned.shape[0] == int(height)


@pytest.mark.parametrize("side", ["left", "right", "up", "down"])
def test_framing_pushes_the_subject_against_the_side_that_needs_room(side):
    marked = np.dstack([PHOTO, cv2.resize(MAP, PHOTO.shape[1::-1])])
    frame, _ = edits()["framing"].apply(marked, side, 0.4, np.random.default_rng(0), MAP)
    rows, columns = np.where(frame[..., 3] > 0.5)
    height, width = frame.shape[:2]
    room = {
        "left": columns.min() / width,
        "right": 1 - columns.max() / width,
        "up": rows.min() / height,
        "down": 1 - rows.max() / height,
    }
    assert room[side] < 0.05
    assert min(room, key=lambda each: room[each]) == side


def test_room_cannot_be_invented_but_a_frame_can_be_tightened():
    pixels = scene()
    for side in ("left", "right", "up", "down"):
        assert render(pixels, suggestion(Applied("framing", side, 20.0, 0.5))) is None
    tight = render(pixels, suggestion(Applied("framing", "tighter", 50.0, 0.5)), MAP)
    assert tight.shape == (105, 150, 3)
    left = round((0.55 - 0.25) * 300)
    assert np.abs(tight.astype(int) - pixels[52:157, left : left + 150]).mean() < 25
    for attribute, direction in (("compression", "decrease"), ("clutter", "decrease"), ("colour_harmony", "improve")):
        assert render(pixels, suggestion(Applied(attribute, direction, None, 0.5))) is None


def test_a_remedy_without_an_amount_does_something_moderate():
    pixels = scene()
    for attribute, direction in CLASSES[:10]:
        mended = render(pixels, suggestion(Applied(attribute, direction, None, 0.5)))
        assert mended.dtype == np.uint8 and 0.3 < np.abs(mended.astype(float) - pixels).mean() < 60


def test_light_taken_and_given_back_is_the_same_light():
    dark = apply_curves(PHOTO, scale_light(2**-1.5, 0.7))
    assert distance(apply_curves(dark, scale_light(2**1.5, 0.7)), PHOTO) < 0.004
    assert scale_light(2.0**-2, 0.7)[-1] > 0.6, "a lamp stays a lamp"


@pytest.mark.parametrize("make", [add_noise, add_sensor_noise])
def test_noise_has_the_deviation_it_was_asked_for(make):
    grey = np.full((256, 256, 3), 0.5, np.float32)
    for seed in range(6):
        noisy = make(grey, 10.0, np.random.default_rng(seed))
        assert 255 * float(noisy.std()) == pytest.approx(10.0, rel=0.1)


def test_blur_is_measured_at_a_long_edge_of_1024():
    """The same severity softens a small photo by fewer of its own pixels."""
    point = np.zeros((1024, 1024, 3), np.float32)
    point[508:516, 508:516] = 1.0
    spreads = []
    for photo in (point, cv2.resize(point, (512, 512), interpolation=cv2.INTER_AREA)):
        blurred, applied = Sharpness().apply(photo, "increase", 0.8, np.random.default_rng(2))
        light = blurred[..., 0] ** 2
        x = np.arange(light.shape[1])
        centre = (light.sum(0) * x).sum() / light.sum()
        spreads.append(np.sqrt((light.sum(0) * (x - centre) ** 2).sum() / light.sum()))
        assert applied.amount == pytest.approx(16.0)
    assert spreads[0] == pytest.approx(2 * spreads[1], rel=0.1)


# ------------------------------------------------------------------------------------------------ samples


def test_lessons_follow_the_draw_and_leave_the_photo_alone():
    pixels, before = scene(), scene()
    for seed in range(8):
        one = synthetic_edit(pixels, np.random.default_rng(seed), saliency=MAP)
        other = synthetic_edit(pixels, np.random.default_rng(seed), saliency=MAP)
        assert np.array_equal(one.pixels, other.pixels) and one.applied == other.applied
        assert one.pixels.dtype == np.uint8 and one.pixels.flags.c_contiguous
    assert np.array_equal(pixels, before)


def test_lessons_hold_untouched_single_and_composed_edits_in_order():
    samples = [synthetic_edit(scene(), np.random.default_rng(seed), saliency=MAP) for seed in range(150)]
    counts = np.bincount([len(sample.applied) for sample in samples], minlength=4)
    assert 15 <= counts[0] <= 55 and counts[1] >= 60 and counts[2] >= 8 and counts[3] >= 1
    for sample in samples:
        names = [applied.attribute for applied in sample.applied]
        orders = [ORDERS.index(edits()[name].order) for name in names]
        assert orders == sorted(orders) and len(set(names)) == len(names)
        assert not any(edits()[a].conflicts & set(names) for a in names)
    seen = {(applied.attribute, applied.direction) for sample in samples for applied in sample.applied}
    assert len(seen) >= 20


def test_chance_changes_come_to_every_photo_and_enlarge_none():
    kinds: dict[bool, set[str]] = {True: set(), False: set()}
    shapes: dict[bool, set[tuple[int, int]]] = {True: set(), False: set()}
    for seed in range(120):
        sample = synthetic_edit(scene(), np.random.default_rng(seed), saliency=MAP)
        touched = bool(sample.applied)
        kinds[touched] |= set(sample.nuisances)
        shapes[touched].add(sample.pixels.shape[:2])
        assert sample.pixels.shape[0] <= 210 and sample.pixels.shape[1] <= 300
    assert kinds[True] == kinds[False] == {"mirror", "crop", "scale", "resample", "tone", "sharpen", "grain", "jpeg"}
    assert len(shapes[False]) > 10, "untouched photos come in many sizes"


def test_a_small_photo_stays_large_enough_to_look_at():
    for seed in range(30):
        sample = synthetic_edit(scene(200, 224), np.random.default_rng(seed), count=0, saliency=None)
        assert min(sample.pixels.shape[:2]) >= 159


def test_untouched_lessons_differ_from_the_photo_less_than_visible_edits():
    """Chance changes of tone, grain and file stay below what an edit of severity 0.33 does."""
    pixels = scene()
    kept = []
    for seed in range(60):
        sample = synthetic_edit(pixels, np.random.default_rng(seed), count=0)
        if not {"crop", "mirror", "scale", "resample"} & set(sample.nuisances):
            kept.append(distance(sample.pixels / 255.0, PHOTO))
    assert len(kept) >= 2
    for attribute, direction in (("exposure", "increase"), ("white_balance", "warmer"), ("noise", "decrease")):
        assert max(kept) < damage(attribute, direction, 0.33)[0].std() and max(kept) < distance(
            damage(attribute, direction, 0.33)[0], PHOTO
        )


def test_severities_keep_to_their_bounds():
    for seed in range(40):
        sample = synthetic_edit(
            scene(), np.random.default_rng(seed), count=1, min_severity=0.4, max_severity=0.5, saliency=MAP
        )
        assert all(0.4 <= applied.severity <= 0.5 for applied in sample.applied)


def test_the_subject_moves_with_the_photo():
    """A mirrored or cropped photo is still framed by where its subject has gone."""
    blank = np.full((200, 300, 3), 200, np.uint8)
    blank[80:120, 60:100] = 40
    saliency = np.zeros((100, 150), np.float32)
    saliency[40:60, 30:50] = 1.0
    tried = 0
    for seed in range(100):
        sample = synthetic_edit(
            blank, np.random.default_rng(seed), attributes=["framing"], count=1, min_severity=0.35, max_severity=0.4,
            saliency=saliency,
        )  # fmt: skip
        if sample.applied and sample.applied[0].direction in ("left", "right"):
            dark = np.where((sample.pixels.mean(2) < 120).any(0))[0]
            width = sample.pixels.shape[1]
            room = dark.min() if sample.applied[0].direction == "left" else width - 1 - dark.max()
            assert room < 0.06 * width
            tried += 1
    assert tried >= 10


def test_a_photo_that_does_not_lend_itself_to_an_edit_is_left_untouched():
    grey = np.repeat(scene()[..., :1], 3, axis=2)
    for attribute in ("saturation", "colour_harmony"):
        assert synthetic_edit(grey, np.random.default_rng(0), attributes=[attribute], count=1).applied == ()
    nothing = np.zeros((64, 64), np.float32)
    for attribute in ("framing", "subject_emphasis"):
        sample = synthetic_edit(scene(), np.random.default_rng(0), attributes=[attribute], count=1, saliency=nothing)
        assert sample.applied == ()


def test_an_unknown_attribute_is_refused():
    with pytest.raises(UsageError, match=r"expected attributes of .*, found 'sparkle'; name one of them"):
        synthetic_edit(scene(), np.random.default_rng(0), attributes=["sparkle"])
