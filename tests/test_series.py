"""Series of a shoot: which photos belong together, and as what."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from calm.data.images import load_photo
from calm.library import series
from calm.library.series import find_series
from calm.library.sharpness import sharpness
from calm.library.sketch import overlay, sketch, warp

EXAMPLES = Path(__file__).parents[1] / "examples"
spec = importlib.util.spec_from_file_location("make_series", EXAMPLES / "make_series.py")
make_series = importlib.util.module_from_spec(spec)
spec.loader.exec_module(make_series)
PHOTOS = {
    name: load_photo(EXAMPLES / f"{name}.jpg").pixels / np.float32(255)
    for name in ("astronaut", "chelsea", "coffee", "rocket")
}


class Shoot:
    """Frames in a folder, and what a model could see of them: which photo they come from."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.paths, self.sources = folder, [], []

    def add(self, source: str, *frames: np.ndarray, times: tuple[str, ...] = (), seconds: tuple[float, ...] = ()):
        """Frames of one photo; optionally when they were taken and how long they were exposed."""
        rng = np.random.default_rng(len(self.paths))
        for number, frame in enumerate(frames):
            path = self.folder / f"{len(self.paths):03}.jpg"
            make_series.save(frame, path, rng)
            exif = Image.Exif()
            detail = exif.get_ifd(0x8769)
            if times:
                detail[0x9003], _, part = times[number].partition(".")
                detail[0x9291] = part or "0"
            if seconds:
                detail[0x829A], detail[0x829D], detail[0x8827] = seconds[number], 8.0, 100
            if times or seconds:
                image = Image.open(path)
                image.load()
                image.save(path, quality=93, exif=exif)
            self.paths.append(path)
            self.sources.append(source)
        return self

    def series(self, features: np.ndarray | None = None) -> list[tuple[tuple[int, ...], str]]:
        names = sorted(set(self.sources))
        rows = np.array([[float(source == name) for name in names] for source in self.sources])
        found = find_series([sketch(load_photo(path)) for path in self.paths], rows if features is None else features)
        return [(each.members, each.kind) for each in found]


@pytest.fixture
def shoot(tmp_path):
    return Shoot(tmp_path)


def frames(kind: str, source: str, seed: int = 0) -> list[np.ndarray]:
    make, _ = make_series.KINDS[kind]
    return [frame for _, frame in make(PHOTOS[source], np.random.default_rng(seed))]


@pytest.mark.parametrize("kind", [kind for kind in make_series.KINDS if kind != "refocus"])
@pytest.mark.parametrize("source", ["coffee", "chelsea"])
def test_each_kind_is_found_among_other_photos(shoot, kind, source):
    made = frames(kind, source)
    shoot.add("rocket", make_series.view(PHOTOS["rocket"])).add(source, *made)
    shoot.add("astronaut", make_series.view(PHOTOS["astronaut"]))
    assert shoot.series() == [(tuple(range(1, 1 + len(made))), make_series.KINDS[kind][1])]


def test_a_stack_is_sharp_in_other_places_from_frame_to_frame(shoot):
    made = frames("refocus", "coffee")
    assert shoot.add("coffee", *made).series() == [(tuple(range(len(made))), "stack")]


def test_a_stack_may_begin_in_front_of_everything(shoot):
    """The first plane is sharp nowhere, the others in one half of the photo each."""
    photo = PHOTOS["coffee"]
    soft, middle = cv2.GaussianBlur(photo, (0, 0), 4), photo.shape[1] // 2
    left, right = (
        np.where(np.arange(photo.shape[1])[:, None] < middle, *pair) for pair in ((photo, soft), (soft, photo))
    )
    assert shoot.add("coffee", soft, left, right).series() == [((0, 1, 2), "stack")]
    (shoot.folder / "burst").mkdir()
    softer = cv2.GaussianBlur(photo, (0, 0), 2)
    assert Shoot(shoot.folder / "burst").add("coffee", soft, photo, softer).series() == [((0, 1, 2), "burst")]


def test_the_order_of_files_says_nothing(shoot):
    """Frames of two series in turns, in no order: a bracket and a panorama."""
    bracket, panorama = frames("bracket", "coffee"), frames("panorama", "astronaut")
    for number in range(max(len(bracket), len(panorama))):
        shoot.add("astronaut", *panorama[number : number + 1]).add("coffee", *bracket[number : number + 1])
    found = dict((kind, members) for members, kind in shoot.series())
    assert {kind: {shoot.sources[each] for each in members} for kind, members in found.items()} == {
        "bracket": {"coffee"},
        "panorama": {"astronaut"},
    }
    assert sorted(each for members in found.values() for each in members) == list(range(len(shoot.paths)))


def test_a_frame_of_a_panorama_is_found_that_looks_like_one_far_from_it(shoot, monkeypatch):
    """The two are candidates, and share nothing; the frame between them is a candidate of the first alone."""
    panorama = frames("panorama", "astronaut")
    shoot.add("astronaut", panorama[1], panorama[0], panorama[2])
    monkeypatch.setattr(series, "candidates", lambda sketches, rows: {(0, 1), (1, 2)})
    assert overlay(*(sketch(load_photo(path)) for path in shoot.paths[1:])) is None
    assert shoot.series() == [((0, 1, 2), "panorama")]


def test_one_dark_frame_makes_no_bracket(shoot):
    frame = make_series.view(PHOTOS["coffee"])
    shoot.add("coffee", frame, frame, make_series.light(frame, -2), frame)
    assert shoot.series() == [((0, 1, 2, 3), "burst")]


def test_a_bracket_is_whole_whose_brightest_frame_is_burnt_out(shoot):
    """A thing before a white wall: two stops up hardly a point is left, and most of the light is cut off."""
    white = np.ones_like(PHOTOS["coffee"])
    white[80:160, 120:260] = PHOTOS["coffee"][80:160, 120:260] * 0.7
    shoot.add("wall", *(make_series.light(white, stops) for stops in (-2, 0, 2)))
    assert sketch(load_photo(shoot.paths[2])).lost
    assert shoot.series() == [((0, 1, 2), "bracket")]


def test_a_step_to_a_lost_frame_is_at_least_what_it_looks(shoot):
    plain = sketch(load_photo(shoot.add("coffee", PHOTOS["coffee"]).paths[0]))
    burnt = replace(plain, small=np.full_like(plain.small, 252))
    assert not series._is_bracket([0, 2, 2.8], [plain, plain, plain])
    assert series._is_bracket([0, 2, 2.8], [plain, plain, burnt])
    assert not series._is_bracket([0, 2, 2.4], [plain, plain, burnt]), "less than a step"


def test_settings_decide_between_a_bracket_and_light_that_changed(shoot, tmp_path):
    frame = make_series.view(PHOTOS["coffee"])
    steps = [make_series.light(frame, stops) for stops in (-1, 0, 1)]
    assert shoot.add("coffee", *steps, seconds=(1 / 100, 1 / 100, 1 / 100)).series() == [((0, 1, 2), "burst")]
    (tmp_path / "two").mkdir()
    two = Shoot(tmp_path / "two").add("coffee", *steps[:2], seconds=(1 / 200, 1 / 100))
    assert two.series() == [((0, 1), "bracket")]


def test_two_frames_that_half_agree_are_a_panorama_unless_the_camera_follows_something(shoot, tmp_path):
    made = frames("panorama", "coffee")[:2]
    assert shoot.add("coffee", *made).series() == [((0, 1), "panorama")]
    (tmp_path / "fast").mkdir()
    times = "2024:05:01 12:00:00.10", "2024:05:01 12:00:00.30"
    assert Shoot(tmp_path / "fast").add("coffee", *made, times=times).series() == []


def test_what_shows_no_corner_is_joined_by_time_and_features(shoot, tmp_path):
    """A plain sky: nothing can be laid over anything, but the camera's clock and the model's features agree."""
    sky = np.full((300, 400, 3), 0.6, np.float32)
    times = "2024:05:01 12:00:00", "2024:05:01 12:00:01", "2024:05:01 13:00:00"
    shoot.add("sky", sky, sky, sky, times=times)
    features = np.array([[1, 0.1], [1, 0.3], [1, 0.6]])
    assert shoot.series(features) == [((0, 1), "burst")]


def test_few_points_are_enough_where_photos_look_very_much_alike(shoot):
    made = frames("panorama", "coffee")[:2]
    shoot.add("coffee", *made).add("chelsea", make_series.view(PHOTOS["chelsea"]))
    one, beside, other = (sketch(load_photo(path)) for path in shoot.paths)
    found = overlay(one, beside)
    agree = [
        each
        for each, place in enumerate(warp(found.matrix, one.points))
        if np.linalg.norm(beside.points - place, axis=1).min() < 0.003
    ]
    few = replace(one, points=one.points[agree[:9]], descriptors=one.descriptors[agree[:9]])
    again = overlay(few, beside)
    assert 5 <= again.points < 12 and again.shared == pytest.approx(found.shared, abs=0.03)
    assert overlay(few, other) is None


def test_zooming_in_makes_another_picture(shoot):
    frame = make_series.view(PHOTOS["coffee"])
    height, width = (side // 4 for side in frame.shape[:2])
    assert shoot.add("coffee", frame, frame[height:-height, width:-width]).series() == []


def test_overlay_tells_place_and_light(shoot):
    photo = PHOTOS["coffee"]
    shoot.add("coffee", make_series.view(photo), make_series.light(make_series.view(photo, 0.5), 1), PHOTOS["chelsea"])
    one, other, another = (sketch(load_photo(path)) for path in shoot.paths)
    found = overlay(one, other)
    moved = 0.5 * round(photo.shape[1] * make_series.MARGIN) / max(make_series.view(photo).shape)
    assert found.matrix[:2, 2] == pytest.approx([-moved, 0], abs=0.004) and found.scale == pytest.approx(1, abs=0.01)
    assert found.brighter == pytest.approx(1, abs=0.1) and found.shared == pytest.approx(1 - moved, abs=0.03)
    assert found.back().brighter == pytest.approx(-1, abs=0.1)
    assert overlay(one, another) is None


def test_time_and_exposure_are_read(shoot):
    shoot.add("coffee", PHOTOS["coffee"], times=("2024:05:01 12:00:00.25",), seconds=(1 / 8,))
    found = sketch(load_photo(shoot.paths[0]))
    assert found.taken == pytest.approx((datetime(2024, 5, 1, 12) - datetime(1970, 1, 1)).total_seconds() + 0.25)
    assert found.exposure == pytest.approx(np.log2(1 / 8 * 100 / 64))
    assert sketch(load_photo(EXAMPLES / "rocket.jpg")).taken is None


@pytest.mark.parametrize("stops", [0, -2])
def test_sharpness_depends_on_blur_and_not_on_light(stops):
    def width(sigma: float) -> float:
        step = np.where(np.arange(200) < 100, 0.2, 0.8) * np.ones((200, 1))
        blurred = cv2.GaussianBlur(step, (0, 0), sigma) if sigma else step
        return sharpness(blurred * 255 * 2**stops).width

    assert width(1.0) == pytest.approx(1.0, abs=0.15) and width(3.0) == pytest.approx(3.0, abs=0.4)
    assert sharpness(np.full((50, 50), 128.0)) is None


def test_sharpness_read_in_strips_is_that_of_the_whole(monkeypatch):
    grey = cv2.cvtColor((PHOTOS["coffee"] * 255).astype(np.uint8), cv2.COLOR_RGB2GRAY)
    part = np.linspace(0, 1, grey.size, dtype=np.float32).reshape(grey.shape)
    whole = sharpness(grey, part)
    monkeypatch.setattr("calm.library.sharpness.STRIP", 70)
    found = sharpness(grey, part)
    assert found.value == pytest.approx(whole.value, abs=1e-5) and found.ways == pytest.approx(whole.ways, abs=1e-5)


def test_a_movement_blurs_one_direction():
    grey = cv2.cvtColor((PHOTOS["coffee"] * 255).astype(np.uint8), cv2.COLOR_RGB2GRAY).astype(np.float32)
    soft, moved = cv2.GaussianBlur(grey, (0, 0), 2), cv2.blur(grey, (9, 1))
    assert sharpness(grey).value > sharpness(soft).value + 0.2
    assert sharpness(moved).uneven > sharpness(soft).uneven + 0.15
