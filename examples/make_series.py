"""Makes series as a camera would take them out of single photos, for measurements and tests of culling.

    python examples/make_series.py PHOTOS... --into FOLDER [--count 10] [--singles 100] [--seed 0]

Ten of each kind by default, and single photos between them; names tell nothing, ``truth.json`` beside them tells all.
Every photo is used once. Frames lie within their photo, so that no border is made up.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np

from calm.data.find import find_photos
from calm.data.images import load_photo

MARGIN = 0.08
"""Share of each side that frames of one view may move by."""
Frames = Iterator[tuple[str, np.ndarray]]


def view(photo: np.ndarray, across: float = 0.0, down: float = 0.0, turn: float = 0.0) -> np.ndarray:
    """A frame of a photo (H, W, 3) float32 in 0–1, moved by shares of the margin (−1 … 1) and turned by degrees."""
    height, width = photo.shape[:2]
    size = round(width * (1 - 2 * MARGIN)), round(height * (1 - 2 * MARGIN))
    left, top = round(width * MARGIN * (1 + across)), round(height * MARGIN * (1 + down))
    if turn:
        centre = left + size[0] / 2, top + size[1] / 2
        photo = cv2.warpAffine(photo, cv2.getRotationMatrix2D(centre, turn, 1), (width, height), flags=cv2.INTER_CUBIC)
    return photo[top : top + size[1], left : left + size[0]].clip(0, 1)


def light(photo: np.ndarray, stops: float, tint: float = 0.0) -> np.ndarray:
    """More or less light by so many stops, warmer by ``tint``; what is too bright is cut off."""
    return np.clip(photo**2.2 * 2**stops * np.array([1 + tint, 1, 1 - tint], np.float32), 0, 1) ** np.float32(1 / 2.2)


def shake(photo: np.ndarray, width: float, rng: np.random.Generator) -> np.ndarray:
    """Blurred by a straight movement of so many pixels."""
    side = 2 * int(np.ceil(width / 2)) + 3
    way = rng.uniform(0, np.pi)
    reach = width / 2 * np.array([np.cos(way), np.sin(way)])
    kernel = np.zeros((side, side), np.float32)
    for place in np.linspace(-1, 1, 8 * side):
        across, down = side // 2 + place * reach
        for x in (int(across), int(across) + 1):
            for y in (int(down), int(down) + 1):
                kernel[y, x] += (1 - abs(across - x)) * (1 - abs(down - y))
    return cv2.filter2D(photo, -1, kernel / kernel.sum(), borderType=cv2.BORDER_REFLECT_101)


def shift(photo: np.ndarray, rng: np.random.Generator) -> Frames:
    for _ in range(rng.integers(3, 7)):
        yield "", view(photo, *rng.uniform(-0.6, 0.6, 2))


def rotation(photo: np.ndarray, rng: np.random.Generator) -> Frames:
    for _ in range(rng.integers(3, 6)):
        yield "", view(photo, *rng.uniform(-0.2, 0.2, 2), rng.uniform(-3, 3))


def blink(photo: np.ndarray, rng: np.random.Generator) -> Frames:
    """Light that comes and goes: of the whole, or of a lamp somewhere."""
    height, width = photo.shape[:2]
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    for _ in range(rng.integers(3, 6)):
        lit = light(photo, rng.uniform(-0.5, 0.5), rng.uniform(-0.1, 0.1))
        pool = np.exp(-((x - rng.uniform(-1, 1)) ** 2 + (y - rng.uniform(-1, 1)) ** 2) / 0.2)[..., None]
        lit = (lit + pool.astype(np.float32) * (rng.random() < 0.3) * 0.3).clip(0, 1)
        yield "", view(lit, *rng.uniform(-0.2, 0.2, 2))


def bracket(photo: np.ndarray, rng: np.random.Generator) -> Frames:
    for stops in (-2, 0, 2):
        yield "", view(light(photo, stops), *rng.uniform(-0.08, 0.08, 2))


def stack(photo: np.ndarray, rng: np.random.Generator) -> Frames:
    """The plane of focus goes through the scene, from one side or from the front to the back."""
    height, width = photo.shape[:2]
    angle, count = rng.uniform(0, 2 * np.pi), int(rng.integers(3, 6))
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    depth = x * np.cos(angle) + y * np.sin(angle)
    most = 0.008 * max(height, width)
    levels = np.linspace(0, most, 12)
    blurred = [photo if sigma == 0 else cv2.GaussianBlur(photo, (0, 0), sigma) for sigma in levels]
    for plane in np.linspace(-0.8, 0.8, count):
        place = np.minimum(np.abs(depth - plane), 1) * (len(levels) - 1)
        low = np.minimum(place.astype(int), len(levels) - 2)
        part = (place - low)[..., None].astype(np.float32)
        table = np.stack(blurred)
        rows, columns = np.indices(low.shape)
        mixed = table[low, rows, columns] * (1 - part) + table[low + 1, rows, columns] * part
        yield "", view(mixed, *rng.uniform(-0.05, 0.05, 2))


def panorama(photo: np.ndarray, rng: np.random.Generator) -> Frames:
    """Windows of two fifths of the long side that slide along it, each with a third to a half of the one before."""
    tall = photo.shape[0] > photo.shape[1]
    photo = photo.transpose(1, 0, 2) if tall else photo
    height, width = photo.shape[:2]
    window, step, left = width * 2 // 5, rng.uniform(0.5, 0.66), 0
    while left + window <= width:
        top = round(rng.uniform(0, 0.04) * height)
        part = photo[top : top + round(0.96 * height), left : left + window]
        yield "", part.transpose(1, 0, 2) if tall else part
        left += round(step * window)


def quintet(photo: np.ndarray, rng: np.random.Generator) -> Frames:
    """Two untouched frames, one soft, one shaken, one dark."""
    edge = max(photo.shape[:2])
    for name in ("good", "good", "soft", "shaken", "dark"):
        frame = view(photo, *rng.uniform(-0.3, 0.3, 2))
        if name == "soft":
            frame = cv2.GaussianBlur(frame, (0, 0), rng.uniform(0.0015, 0.004) * edge)
        elif name == "shaken":
            frame = shake(frame, rng.uniform(0.006, 0.015) * edge, rng)
        elif name == "dark":
            frame = light(frame, -rng.uniform(1.2, 2.2))
        yield name, frame


KINDS: dict[str, tuple[Callable[[np.ndarray, np.random.Generator], Frames], str]] = {
    "shift": (shift, "burst"),
    "rotation": (rotation, "burst"),
    "blink": (blink, "burst"),
    "refocus": (stack, "stack"),
    "bracket": (bracket, "bracket"),
    "panorama": (panorama, "panorama"),
    "quintet": (quintet, "burst"),
}
"""How each kind is made, and what it should be taken for."""


def save(frame: np.ndarray, path: Path, rng: np.random.Generator) -> None:
    """As a camera: with a little noise of its own, as JPEG."""
    noisy = frame * 255 + rng.normal(0, 1.5, frame.shape)
    pixels = np.clip(noisy + 0.5, 0, 255).astype(np.uint8)
    cv2.imwrite(str(path), cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 93])


def make(photos: list[str], folder: Path, kinds: list[str], count: int, singles: int, seed: int) -> dict[str, dict]:
    """Writes the photos and ``truth.json``: for each name its series, kind, and what was done to it."""
    rng = np.random.default_rng(seed)
    chosen = iter([photos[i] for i in rng.permutation(len(photos))])
    folder.mkdir(parents=True)
    truth: dict[str, dict] = {}
    for number in range(count * len(kinds) + singles):
        kind = kinds[number % len(kinds)] if number < count * len(kinds) else "single"
        source = next(chosen)
        photo = load_photo(source).pixels.astype(np.float32) / 255
        frames = [("", view(photo))] if kind == "single" else list(KINDS[kind][0](photo, rng))
        for done, frame in frames:
            name = f"IMG_{rng.integers(10**8):08}.jpg"
            save(frame, folder / name, rng)
            truth[name] = {"series": None if kind == "single" else number, "made": kind, "done": done, "of": source}
    (folder / "truth.json").write_text(json.dumps(truth, indent=1))
    return truth


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos", nargs="+")
    parser.add_argument("--into", type=Path, required=True)
    parser.add_argument("--kinds", nargs="*", choices=KINDS, default=[kind for kind in KINDS if kind != "quintet"])
    parser.add_argument("--count", type=int, default=10)
    parser.add_argument("--singles", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    options = given.kinds, given.count, given.singles, given.seed
    made = make(list(find_photos(given.photos)), given.into, *options)
    print(f"{len(made)} photos in {given.into}")
