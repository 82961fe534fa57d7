"""Views: the frame does not depend on how a photo is stored, and a crop keeps native pixels."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from skimage import data

from calm.data.views import make_views, normalise, squash, textured_place

PHOTO = data.coffee()


def test_the_frame_hardly_depends_on_the_stored_size() -> None:
    height, width = PHOTO.shape[:2]
    large = cv2.resize(PHOTO, (width * 5 // 3, height * 5 // 3), interpolation=cv2.INTER_CUBIC)
    difference = np.abs(squash(large).astype(int) - squash(PHOTO).astype(int))
    assert difference.mean() < 1.5


def test_a_frame_of_the_right_size_is_left_alone() -> None:
    square = np.ascontiguousarray(PHOTO[:224, :224])
    assert np.array_equal(squash(square), square)


def test_a_crop_is_pixels_of_the_photo() -> None:
    views = make_views(PHOTO)
    assert views.whole.shape == (224, 224, 3)
    top, left = textured_place(PHOTO, 224)
    assert np.array_equal(views.crops[0], PHOTO[top : top + 224, left : left + 224])


def test_the_crop_is_where_the_texture_is() -> None:
    photo = np.full((600, 800, 3), 128, np.uint8)
    photo[300:600, 500:800] = np.random.default_rng(0).integers(0, 255, (300, 300, 3), np.uint8)
    top, left = textured_place(photo, 224)
    assert top >= 280 and left >= 480


@pytest.mark.parametrize("shape", [(224, 224), (100, 700), (223, 500)])
def test_the_crop_of_a_small_photo_is_the_frame(shape: tuple[int, int]) -> None:
    photo = np.random.default_rng(1).integers(0, 255, (*shape, 3), np.uint8)
    views = make_views(photo)
    assert np.array_equal(views.crops, views.whole[None])


def test_a_crop_tells_a_soft_large_photo_from_its_sharp_twin() -> None:
    """At 224 pixels they look alike; at native pixels they do not."""
    soft = cv2.GaussianBlur(PHOTO, (0, 0), 1.5)
    sharp_views, soft_views = make_views(PHOTO), make_views(soft)
    frame = np.abs(sharp_views.whole.astype(int) - soft_views.whole.astype(int)).mean()
    crop = np.abs(sharp_views.crops[0].astype(int) - soft_views.crops[0].astype(int)).mean()
    assert crop > 2 * frame


def test_normalise_moves_channels_first() -> None:
    views = np.stack([np.full((2, 4, 4, 3), (255, 0, 128), np.uint8)])
    out = normalise(views, (0.5, 0.5, 0.5), (0.5, 0.25, 1.0))
    assert out.shape == (1, 2, 3, 4, 4)
    assert out[0, 0, :, 0, 0].tolist() == pytest.approx([1.0, -2.0, 128 / 255 - 0.5], abs=1e-6)
