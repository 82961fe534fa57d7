"""Tilt, framing, vignetting, emphasis, harmony and clutter on photographs: where in the frame they act, and how far."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from skimage import data

from calm.edits import CLASSES, Applied, edits
from calm.types import LEVELS, UNITS, Suggestion

HEIGHT, WIDTH = 240, 320
NAMES = ("tilt", "framing", "vignetting", "subject_emphasis", "colour_harmony", "clutter")
MINE = [each for each in CLASSES if each[0] in NAMES]
SIDES = ("left", "right", "up", "down")


def photo(name: str) -> np.ndarray:
    """A CC0 photo, (240, 320, 3) float32, its blacks lifted to 0.3: whatever is darker came from outside."""
    pixels = cv2.resize(getattr(data, name)(), (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
    return 0.3 + 0.6 * pixels.astype(np.float32) / 255


def subject(radius: float = 0.22) -> np.ndarray:
    """A disc in the middle, (64, 64), of a radius in shares of the frame."""
    y, x = np.mgrid[0:1:64j, 0:1:64j]
    return (np.hypot(x - 0.5, y - 0.5) < radius).astype(np.float32)


PHOTOS = {name: photo(name) for name in ("coffee", "chelsea")}
MAP = subject()


def damage(
    name: str, attribute: str, direction: str, severity: float, seed: int, saliency: np.ndarray = MAP
) -> tuple[np.ndarray, Applied]:
    rng = np.random.default_rng(seed)
    out, applied = edits()[attribute].apply(PHOTOS[name], direction, severity, rng, saliency)
    assert applied is not None
    return out, applied


def mend(out: np.ndarray, applied: Applied, saliency: np.ndarray | None = MAP) -> np.ndarray | None:
    unit = UNITS[applied.attribute]
    asked = Suggestion(LEVELS[applied.attribute], applied.attribute, applied.direction, applied.amount, unit, 1.0, "")
    return edits()[applied.attribute].render(out, asked, saliency)


def luma(picture: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)


def inside(saliency: np.ndarray = MAP) -> np.ndarray:
    return cv2.resize(saliency, (WIDTH, HEIGHT), interpolation=cv2.INTER_LINEAR) > 0.5


def corner(picture: np.ndarray, size: int = 12) -> np.ndarray:
    """The four corners of a picture, stacked."""
    cut = slice(0, size), slice(-size, None)
    return np.stack([picture[rows, columns] for rows in cut for columns in cut])


@pytest.mark.parametrize(("attribute", "direction"), MINE)
@pytest.mark.parametrize("name", list(PHOTOS))
def test_corners_of_a_photograph_stay_part_of_it(name, attribute, direction):
    """At no severity do the corners turn black or go blank: nothing is seen from outside the frame."""
    saliency = subject(0.12) if direction == "tighter" else MAP
    for seed, severity in enumerate((0.2, 0.5, 0.9, 1.0)):
        out, _ = damage(name, attribute, direction, severity, seed, saliency)
        found = corner(out)
        # a vignette of 3 EV leaves 2 ** (-3 / 2.2) of a value, up to half as much again in the farthest corner
        least = 0.3 * 2 ** (-1.5 * 3 / 2.2) if attribute == "vignetting" else 0.3 * 2 ** (-2 / 2.2)
        assert found.min() > (0.2 if attribute in ("tilt", "framing") else 0.9 * least)
        assert (found.std(axis=(1, 2)).max(axis=1) > 1e-4).all(), "a corner is of one flat colour"


# ------------------------------------------------------------------------------------------------ geometry


@pytest.mark.parametrize("direction", ["clockwise", "counterclockwise"])
def test_a_clearly_tilted_photo_is_off_by_about_three_degrees(direction):
    assert edits()["tilt"].amount(direction, 0.33) == pytest.approx(3.0, abs=0.6)


@pytest.mark.parametrize("direction", ["clockwise", "counterclockwise"])
@pytest.mark.parametrize("severity", [0.2, 0.5, 0.9])
def test_a_levelled_photograph_is_upright_again_and_the_other_way_is_worse(direction, severity):
    """The middle of a photo, which every turn keeps, is found again only by the remedy."""
    tilt, other = edits()["tilt"], {"clockwise": "counterclockwise", "counterclockwise": "clockwise"}[direction]
    out, applied = damage("coffee", "tilt", direction, severity, 3)
    wrong = mend(out, Applied("tilt", other, applied.amount, severity))
    levelled = mend(out, applied)

    def off(picture: np.ndarray) -> float:
        height, width = picture.shape[:2]
        piece = picture[height // 2 - 45 : height // 2 + 45, width // 2 - 60 : width // 2 + 60]
        return 1 - float(cv2.matchTemplate(PHOTOS["coffee"], piece, cv2.TM_CCOEFF_NORMED).max())

    assert tilt.amount(direction, severity) == applied.amount
    assert off(levelled) < 0.5 * off(out) < 0.5 * off(wrong)


@pytest.mark.parametrize("side", SIDES)
def test_a_side_takes_more_of_the_subject_the_more_severe_it_is(side):
    marked = np.dstack([PHOTOS["coffee"], cv2.resize(MAP, (WIDTH, HEIGHT))])
    kept = []
    for severity in (0.15, 0.33, 0.66, 1.0):
        frame, applied = edits()["framing"].apply(marked, side, severity, np.random.default_rng(1), MAP)
        assert applied is not None
        kept.append(float((frame[..., 3] > 0.5).sum() / (marked[..., 3] > 0.5).sum()))
    assert kept[0] == pytest.approx(1, abs=0.01) and kept[1] > 0.98, "until 0.33 the subject is whole"
    assert 0.5 < kept[3] < kept[2] < 0.98


@pytest.mark.parametrize("side", SIDES)
def test_the_amount_is_the_room_that_was_taken(side):
    """Added back to the frame, it is as long as it was."""
    along = 1 if side in ("left", "right") else 0
    for severity in (0.3, 0.8):
        out, applied = damage("coffee", "framing", side, severity, 2)
        assert out.shape[along] * (1 + applied.amount / 100) == pytest.approx((HEIGHT, WIDTH)[along], rel=0.01)


def test_a_lost_subject_spans_less_of_the_frame_and_the_remedy_gives_it_back():
    saliency = subject(0.06)
    marked = np.dstack([PHOTOS["coffee"], cv2.resize(saliency, (WIDTH, HEIGHT))])

    def spans(picture: np.ndarray) -> float:
        rows, columns = np.where(picture[..., 3] > 0.5)
        return max(np.ptp(columns) / picture.shape[1], np.ptp(rows) / picture.shape[0])

    found = []
    for severity in (0.2, 0.5, 0.8):
        frame, applied = edits()["framing"].apply(marked, "tighter", severity, np.random.default_rng(4), saliency)
        assert applied is not None and applied.severity == pytest.approx(severity)
        mended = mend(frame, applied, frame[..., 3])
        assert spans(mended) > 1.15 * spans(frame)
        found.append(spans(frame))
    assert found[0] > found[1] > found[2]


def test_a_subject_that_fills_the_frame_is_never_called_too_small():
    out, applied = edits()["framing"].apply(PHOTOS["coffee"], "tighter", 0.5, np.random.default_rng(0), subject(0.3))
    assert applied is None and out is PHOTOS["coffee"]


@pytest.mark.parametrize(("attribute", "direction"), [each for each in MINE if each[0] in ("tilt", "framing")])
def test_frames_come_in_no_fixed_size(attribute, direction):
    saliency = subject(0.12) if direction == "tighter" else MAP
    aspects = set()
    for seed in range(12):
        out, _ = damage("coffee", attribute, direction, 0.5, seed, saliency)
        aspects.add(round(out.shape[1] / out.shape[0], 2))
    assert len(aspects) >= 5


# ------------------------------------------------------------------------------------------------ light and colour


def test_a_vignette_takes_its_stops_in_the_corners_and_leaves_the_middle():
    for seed in range(6):
        out, applied = damage("coffee", "vignetting", "decrease", 0.6, seed)
        # of encoded values a stop is a factor of 2 ** (1 / 2.2)
        lost = -2.2 * np.log2(out / PHOTOS["coffee"]).mean(2)
        assert corner(lost, 4).mean() == pytest.approx(applied.amount, rel=0.15)
        assert lost[110:130, 150:170].mean() < 0.15 * applied.amount
        mended = -2.2 * np.log2(mend(out, applied) / PHOTOS["coffee"]).mean(2)
        assert abs(corner(mended, 12).mean()) < 0.4 * applied.amount


def test_vignettes_are_off_centre_in_many_ways():
    found = []
    for seed in range(12):
        out, _ = damage("coffee", "vignetting", "decrease", 0.6, seed)
        lost = np.log2(PHOTOS["coffee"] / out).mean(2)
        found.append(corner(lost, 4).mean(axis=(1, 2)))
    assert np.std(found, axis=0).min() > 0.05 and np.ptp(found, axis=1).min() > 0.01


def test_emphasis_moves_light_from_the_subject_to_its_surroundings_and_back():
    for name, picture in PHOTOS.items():
        for seed in range(4):
            out, applied = damage(name, "subject_emphasis", "increase", 0.6, seed)
            shift = luma(out) - luma(picture)
            assert shift[inside()].mean() < -0.02 < 0.005 < shift[~inside(subject(0.4))].mean()
            back = luma(mend(out, applied)) - luma(out)
            assert back[inside()].mean() > 0.01 and back[~inside(subject(0.4))].mean() < -0.01


def test_emphasis_is_mended_only_where_the_subject_is_known():
    out, applied = damage("coffee", "subject_emphasis", "increase", 0.6, 0)
    assert mend(out, applied, None) is None


def test_a_clash_turns_colours_and_keeps_the_light():
    turned = []
    for seed in range(6):
        out, _ = damage("coffee", "colour_harmony", "improve", 0.9, seed)
        before, after = (cv2.cvtColor(each, cv2.COLOR_RGB2LAB) for each in (PHOTOS["coffee"], out))
        assert np.abs(luma(out) - luma(PHOTOS["coffee"])).mean() < 0.01
        hues = [np.degrees(np.arctan2(each[..., 2], each[..., 1])) for each in (before, after)]
        away = np.abs((hues[1] - hues[0] + 180) % 360 - 180)
        coloured = np.minimum(*(np.hypot(each[..., 1], each[..., 2]) for each in (before, after))) > 8
        turned.append(float(np.mean(coloured & (away > 30))))
    assert min(turned) > 0.02, "nothing has changed its hue"
    assert np.mean(turned) < 0.7, "most of the photo should stay what it was"


# ------------------------------------------------------------------------------------------------ clutter


def test_clutter_lies_near_the_edges_off_the_subject_and_grows():
    for name, picture in PHOTOS.items():
        for seed in range(4):
            shares, pieces = [], []
            for severity in (0.2, 0.5, 0.9):
                out, _ = damage(name, "clutter", "decrease", severity, seed)
                changed = np.abs(out - picture).max(2) > 0.03
                shares.append(float(changed.mean()))
                assert changed[inside(subject(0.15))].mean() < 0.02
                _, _, stats, _ = cv2.connectedComponentsWithStats(cv2.dilate(changed.astype(np.uint8), np.ones((5, 5))))
                pieces.append(int((stats[1:, cv2.CC_STAT_AREA] > 150).sum()))
            assert 0 < shares[0] < shares[1] < shares[2] < 0.2
            assert 1 <= pieces[0] <= 3 and pieces[0] < pieces[2], "more severe is more things, not only larger ones"
