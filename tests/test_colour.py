"""Colours of photos with profiles, against a colour-managed reference that is worked out by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pillow_heif
import pytest
from PIL import Image
from profiles import WIDE, cmyk_profile, rgb_profile, srgb_of, to_xyz
from skimage import data

from calm.data.images import load_photo

COFFEE = data.coffee()[:200:4, :280:4]
PATCHES = np.array([[0, 0, 0], [255, 255, 255], [128, 128, 128], [200, 60, 40], [40, 180, 60], [30, 60, 200]])
CHART = np.kron(PATCHES.reshape(2, 3, 3), np.ones((16, 16, 1))).astype(np.uint8)
WHOLE = {"webp": {"lossless": True}, "jpg": {"quality": 100, "subsampling": 0}, "heic": {"quality": 100, "chroma": 444}}


def middles(pixels: np.ndarray) -> np.ndarray:
    """Colours in the middle of each patch of a chart: (6, 3)."""
    return np.array([pixels[y : y + 8, x : x + 8].mean((0, 1)) for y in (4, 20) for x in (4, 20, 36)])


@pytest.mark.parametrize("name", WIDE)
@pytest.mark.parametrize("ending", ["png", "jpg", "tif", "webp", "heic", "avif"])
def test_wide_gamuts_look_as_a_colour_managed_program_shows_them(tmp_path: Path, ending: str, name: str) -> None:
    pillow_heif.register_heif_opener()
    primaries, white, gamma = WIDE[name]
    path = tmp_path / f"chart.{ending}"
    Image.fromarray(CHART).save(path, icc_profile=rgb_profile(primaries, white, gamma), **WHOLE.get(ending, {}))
    stored = middles(np.asarray(Image.open(path).convert("RGB")))
    wanted = srgb_of((stored / 255) ** gamma @ to_xyz(primaries, white).T)
    assert np.abs(middles(load_photo(path).pixels) - wanted).max() <= 2
    assert np.abs(wanted - PATCHES).max() > 20, "the profile makes a difference"


def press(inks: np.ndarray) -> np.ndarray:
    """A press whose inks spread: half of an ink covers three fifths of the paper, which is a little yellow."""
    cover = np.asarray(inks) ** 0.74
    return np.array([250, 248, 238]) * (1 - 0.9 * cover[:, :3]) * (1 - 0.95 * cover[:, 3:])


@pytest.mark.parametrize("ending", ["tif", "jpg"])
def test_cmyk_looks_as_its_press_prints_it(tmp_path: Path, ending: str) -> None:
    inks = np.asarray(Image.fromarray(COFFEE).convert("CMYK")).astype(float)
    black = inks[..., :3].min(-1, keepdims=True) * 0.6
    inks = np.clip(np.concatenate([inks[..., :3] - black, black], axis=-1), 0, 255).astype(np.uint8)
    path, options = tmp_path / f"press.{ending}", WHOLE.get(ending, {})
    Image.fromarray(inks, "CMYK").save(path, icc_profile=cmyk_profile(press), **options)
    wanted = press(inks.reshape(-1, 4) / 255).reshape(COFFEE.shape)
    found = load_photo(path).pixels
    assert np.abs(found - wanted).mean() < 2.5
    Image.fromarray(inks, "CMYK").save(path, **options)
    assert np.abs(load_photo(path).pixels - wanted).mean() > 10, "the profile makes a difference"


def test_what_is_transparent_lies_on_white(tmp_path: Path) -> None:
    """Whatever colour stands behind it, in every mode that has transparency."""
    pixels = np.zeros((8, 8, 4), np.uint8)
    pixels[:4] = (255, 0, 0, 0)
    pixels[4:] = (0, 0, 0, 128)
    Image.fromarray(pixels).save(tmp_path / "clear.png")
    Image.fromarray(pixels).save(tmp_path / "clear.webp", lossless=True, exact=True)
    Image.fromarray(pixels).convert("LA").save(tmp_path / "grey.png")
    for name in ("clear.png", "clear.webp", "grey.png"):
        found = load_photo(tmp_path / name).pixels
        assert (found[:4] == 255).all() and np.abs(found[4:].astype(int) - 127).max() <= 1
    Image.new("P", (8, 8), 3).save(tmp_path / "key.gif", transparency=3)
    assert (load_photo(tmp_path / "key.gif").pixels == 255).all()
