"""Looks at a frame: what each one is, and that it is the same for training as for a score."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from calm.data.looks import LOOKS, cut, look, look_at
from calm.errors import ConfigError
from calm.model.configuration import CalmConfig


def ramp(side: int = 32) -> torch.Tensor:
    """(1, 3, S, S): red rises to the right, green downwards, blue stands still."""
    rising = torch.linspace(0, 255, side)
    return torch.stack([rising.expand(side, side), rising[:, None].expand(side, side), torch.full((side, side), 80.0)])[
        None
    ]


def test_a_mirror_image_is_turned_about_its_height():
    frame = ramp()
    assert torch.equal(look(frame, "mirrored")[..., 0, 0, :], frame[..., 0, 0, :].flip(-1))
    assert torch.equal(look(look(frame, "mirrored"), "mirrored"), frame)
    assert look(frame, "frame") is frame


def test_a_step_closer_loses_the_rim_and_nothing_of_the_middle():
    closer = look(ramp(), "closer")[0]
    red, green, blue = closer[0, 16], closer[1, :, 16], closer[2]
    rim = 255 / 16
    assert red[0] == pytest.approx(255 - rim, abs=6) and red[-1] == pytest.approx(rim, abs=6), "mirrored, without a rim"
    assert green[0] == pytest.approx(rim, abs=6) and green[-1] == pytest.approx(255 - rim, abs=6)
    assert torch.allclose(closer[:, 15:17, 15:17].mean(dim=(1, 2)), torch.tensor([127.5, 127.5, 80.0]), atol=1)
    assert blue.std() < 1e-3


@pytest.mark.parametrize("name", LOOKS)
def test_views_of_any_shape_and_pixels_are_seen_alike(name):
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 255, (2, 28, 28, 3), np.uint8)
    views = torch.from_numpy(frames).movedim(-1, -3).float()
    seen = look(views[:, None], name)
    assert seen.shape == (2, 1, 3, 28, 28)
    for i in range(2):
        assert torch.equal(seen[i], look(views[i][None], name))
        pixels = look_at(frames[i], name)
        assert pixels.dtype == np.uint8 and pixels.shape == frames[i].shape
        assert np.abs(pixels - seen[i, 0].movedim(0, -1).numpy().clip(0, 255)).max() <= 0.51


def test_a_random_rim_is_cut_off():
    """Of a ramp, what is left is a ramp between two values that tell where it was cut."""
    frame = ramp(64)[0].movedim(0, -1).round().numpy().astype(np.uint8)
    rng, ends = np.random.default_rng(0), []
    for _ in range(60):
        seen = cut(frame, 0.25, rng)
        assert seen.shape == frame.shape and seen.dtype == np.uint8
        red, green = seen[32, :, 0].astype(int), seen[:, 32, 1].astype(int)
        ends.append([red[0], red[-1], green[0], green[-1]])
        assert (np.diff(red) >= -1).all() and (seen[..., 2] == 80).all()
    left, right, top, bottom = np.array(ends).T
    assert (right - left).min() >= 0.7 * 255 and (bottom - top).min() >= 0.7 * 255, "a quarter at most"
    assert left.max() > 30 and right.min() < 225 and top.max() > 30 and bottom.min() < 225, "from every end"
    assert abs(np.corrcoef(right - left, bottom - top)[0, 1]) < 0.5, "each side by itself"
    assert np.array_equal(cut(frame, 0.0, rng), frame)


def test_an_unknown_look_is_refused():
    with pytest.raises(ConfigError, match="expected a look among frame, mirrored, closer"):
        look(ramp(), "upside down")
    for looks in ([], ["mirrored"], ["frame", "askance"]):
        with pytest.raises(ConfigError, match="the frame first"):
            CalmConfig(looks=looks)
