"""What is observed in a photo, from its pixels, its saliency and what people said."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np
import pytest
from drawn import Edit, blob, drawn, flat, keys

from calm.data.images import load_photo
from calm.types import CLASSES
from calm.words.facts import EDIT_KEYS, KINDS, OPPOSITES, Facts, observe, observe_facts
from calm.words.reading import read_frame


def test_light_is_read_from_pixels():
    dark, bright, middle = (keys(observe(flat(value, 40))) for value in (45, 225, 125))
    assert "underexposed" in dark and "overexposed" not in dark
    assert "overexposed" in bright and "underexposed" not in bright
    assert "flat_light" in middle and not {"underexposed", "overexposed"} & middle
    assert "balanced_light" in keys(observe(flat(125, 100)))
    assert "light_right" in keys(observe(flat(125, 100))), "the ramp is brighter on the right"


def test_a_dark_frame_that_people_like_was_meant():
    photo = flat(45, 40)
    assert "underexposed" in keys(observe(photo, score=4.0))
    liked = keys(observe(photo, score=8.0))
    assert "low_key" in liked and "underexposed" not in liked
    spoilt = keys(observe(photo, score=8.0, applied=[Edit("exposure", "increase", 2.0, 0.8)]))
    assert "underexposed" in spoilt


def test_colour_is_read_from_pixels():
    grey = flat(125, 100)
    assert "black_and_white" in keys(observe(grey))
    blue = (grey * np.array([0.75, 0.9, 1.0])).astype(np.uint8)
    yellow = (grey * np.array([1.0, 0.9, 0.6])).astype(np.uint8)
    assert "blue_cast" in keys(observe(blue)) and "yellow_cast" not in keys(observe(blue))
    assert "yellow_cast" in keys(observe(yellow)) and "blue_cast" not in keys(observe(yellow))
    red = np.zeros((100, 100, 3), np.uint8) + np.array([200, 20, 20], np.uint8)
    assert {"rich_colour", "colour:red"} <= keys(observe(red))


@pytest.mark.parametrize(
    ("x", "y", "place", "key"),
    [
        (0.5, 0.5, "centre", "centred"),
        (0.25, 0.5, "left", "place:left"),
        (0.75, 0.5, "right", "place:right"),
        (0.5, 0.25, "upper", "place:top"),
        (0.75, 0.75, "lower right", "place:bottom"),
        (0.34, 0.5, "left", "on_third"),
    ],
)
def test_the_subject_is_placed_by_its_saliency(x, y, place, key):
    facts = Facts.of(flat(125, 60), blob(x, y))
    assert facts.place == place and facts.count == "one"
    assert facts.size == pytest.approx(np.pi * 0.12**2, rel=0.15)
    assert key in keys(observe_facts(facts))


def test_a_mirrored_photo_has_its_subject_on_the_other_side():
    photo, saliency = drawn(3)
    left, right = read_frame(photo, saliency), read_frame(photo[:, ::-1].copy(), saliency[:, ::-1].copy())
    assert left["subject_x"] == pytest.approx(1 - right["subject_x"], abs=0.02)
    assert left["left_right"] == pytest.approx(-right["left_right"], abs=0.01)


def test_several_subjects_and_none():
    two = np.maximum(blob(0.2, 0.5, 0.1), blob(0.8, 0.5, 0.1))
    assert Facts.of(flat(125, 60), two).count == "several"
    faint = Facts.of(flat(125, 60), blob(0.5, 0.5) * 0.4)
    assert faint.count == "none" and "no_clear_subject" in keys(observe_facts(faint))
    assert not {"centred", "room_around", "plain_background"} & keys(observe_facts(faint))


def test_a_map_of_bytes_reads_as_one_of_fractions():
    photo, saliency = drawn(5)
    exact = np.round(saliency * 255) / 255
    fraction, byte = read_frame(photo, exact), read_frame(photo, (exact * 255).round().astype(np.uint8))
    assert fraction == pytest.approx(byte, abs=1e-3)


def test_squashed_photos_say_nothing_of_native_pixels():
    from calm.data.measure import measurements

    rng = np.random.default_rng(0)
    photo = np.clip(flat(125, 60) + rng.normal(0, 15, (150, 200, 1)), 0, 255).astype(np.uint8)
    native = observe(photo, measurements=measurements(photo))
    assert "noisy" in keys(native) and next(one for one in native if one.key == "noisy").needs_native
    squashed = observe(photo, measurements=measurements(photo), native=False)
    assert not any(one.needs_native for one in squashed)


def test_blur_is_measured_on_native_pixels():
    from calm.data.measure import measurements

    rng = np.random.default_rng(0)
    photo = cv2.resize(rng.integers(0, 255, (75, 100, 3), np.uint8), (800, 600), interpolation=cv2.INTER_NEAREST)
    blurred = cv2.GaussianBlur(photo, (0, 0), 3)
    assert "soft" in keys(observe(blurred, measurements=measurements(blurred)))
    assert "soft" not in keys(observe(photo, measurements=measurements(photo)))


def test_what_people_said_becomes_mood_and_quality():
    photo = flat(125, 60)
    seen = keys(observe(photo, emotions={"awe": 6, "neutral": 10}, quality=8.5))
    assert {"mood:awe", "good_quality"} <= seen and "mood:neutral" not in seen
    seen = keys(observe(photo, emotions={"neutral": 24, "amusement": 1}, quality=3.0))
    assert {"mood:neutral", "poor_quality"} <= seen


def test_every_remedy_names_a_fault_and_its_opposite_is_not_praised(many):
    assert set(EDIT_KEYS) == set(CLASSES)
    for attribute, direction in CLASSES:
        key = EDIT_KEYS[attribute, direction]
        for facts in many[:10]:
            edited = replace(facts, applied=(Edit(attribute, direction, None, 0.7),))
            found = {one.key: one for one in observe_facts(edited)}
            assert found[key].polarity == -1 and found[key].strength == pytest.approx(1.0)
            assert not any(found[other].polarity > 0 for other in OPPOSITES[key] if other in found), (key, found)


def test_motion_is_told_from_defocus():
    edit = Edit("sharpness", "increase", 3.0, 0.6, kind="motion")
    assert "motion_blur" in keys(observe(flat(125, 60), applied=[edit]))
    assert "soft" in keys(observe(flat(125, 60), applied=[replace(edit, kind="defocus")]))


def test_observations_are_known_bounded_and_sorted(many):
    for facts in many:
        observations = observe_facts(facts)
        assert keys(observations) <= set(KINDS)
        strengths = [one.strength for one in observations]
        assert strengths == sorted(strengths, reverse=True) and all(0 < value <= 1 for value in strengths)
        assert keys(observations) <= keys(observe_facts(facts, slack=0.3))


def test_opposites_are_mutual_and_do_not_hold_together(many):
    for key, others in OPPOSITES.items():
        assert key not in others and all(key in OPPOSITES[other] for other in others)
    clashes = [
        (key, other)
        for facts in many
        for found in [{one.key for one in observe_facts(facts) if one.strength > 0.2}]
        for key in found
        for other in OPPOSITES[key] & found
        if key < other
    ]
    assert len(clashes) <= 0.05 * len(many), clashes


def test_observing_costs_no_more_than_a_few_decodings(tmp_path):
    photo, saliency = drawn(1, (768, 1024))
    path = str(tmp_path / "photo.jpg")
    cv2.imwrite(path, photo)

    def seconds(work: Callable[[], object]) -> float:
        start = time.perf_counter()
        work()
        return time.perf_counter() - start

    turns = [(seconds(lambda: observe(photo, saliency)), seconds(lambda: load_photo(path))) for _ in range(7)]
    assert min(own for own, _ in turns) < 5 * min(other for _, other in turns)


def test_a_blurred_photo_of_poor_quality_is_called_soft_even_when_squashed():
    rng = np.random.default_rng(0)
    photo = cv2.resize(rng.integers(0, 255, (28, 28, 3), np.uint8), (224, 224), interpolation=cv2.INTER_NEAREST)
    blurred = cv2.GaussianBlur(photo, (0, 0), 2.5)
    assert "soft" in keys(observe(blurred, native=False, quality=3.0))
    assert "soft" not in keys(observe(blurred, native=False, quality=7.0))
    assert "soft" not in keys(observe(photo, native=False, quality=3.0))


def test_faint_edits_are_not_worth_a_word():
    edit = Edit("tilt", "clockwise", 0.5, 0.1)
    assert "tilted" not in keys(observe(flat(125, 60), applied=[edit]))
