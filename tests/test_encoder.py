"""The encoder in two halves: started once, finished by blocks that learn."""

from __future__ import annotations

import pytest
import torch
from parts import vision_model

from calm.errors import ConfigError
from calm.model.encoder import VisionEncoder, cell_patches
from calm.model.precision import fast_dtype

LAYERS = [1, 2, 4]
KINDS = ["dinov2", "clip", "siglip"]


def encoder(kind: str) -> tuple[VisionEncoder, torch.Tensor]:
    torch.manual_seed(5)
    return VisionEncoder(vision_model(kind).eval(), pool=2), torch.randn(3, 3, 56, 56)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("trunk", [1, 2, 3])
def test_two_halves_equal_one_pass(kind: str, trunk: int) -> None:
    vision, pixels = encoder(kind)
    with torch.no_grad():
        halves = vision.finish(vision.start(pixels, LAYERS, trunk), LAYERS, trunk)
        torch.testing.assert_close(halves, vision(pixels, LAYERS), atol=1e-5, rtol=1e-5)
        deep = vision.finish(vision.start(pixels, [4], trunk), [4], trunk)
        torch.testing.assert_close(deep, vision(pixels, [4]), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_all_squares_in_any_order_equal_all(kind: str) -> None:
    vision, pixels = encoder(kind)
    with torch.no_grad():
        started = vision.start(pixels, LAYERS, 2)
        shuffled = vision.finish(started, LAYERS, 2, cells=torch.tensor([2, 0, 3, 1]))
        torch.testing.assert_close(shuffled, vision.finish(started, LAYERS, 2), atol=1e-5, rtol=1e-5)


def test_squares_not_seen_have_the_mean_of_the_others() -> None:
    vision, pixels = encoder("dinov2")
    with torch.no_grad():
        started = vision.start(pixels, LAYERS, 2)
        seen = vision.finish(started, LAYERS, 2, cells=torch.tensor([1, 2]))
    deep = seen[:, 2, 1:]
    torch.testing.assert_close(deep[:, 0], (deep[:, 1] + deep[:, 2]) / 2)
    torch.testing.assert_close(deep[:, 3], deep[:, 0])
    assert not torch.allclose(deep[:, 1], deep[:, 2])


def test_patches_of_a_square_are_neighbours() -> None:
    assert cell_patches(4, 2).tolist() == [[0, 1, 4, 5], [2, 3, 6, 7], [8, 9, 12, 13], [10, 11, 14, 15]]


def test_tokens_of_another_shape_are_refused() -> None:
    vision, _ = encoder("dinov2")
    with pytest.raises(ConfigError, match="found 13 tokens"):
        vision.finish(torch.zeros(1, 13, 32), [4], 2)


@pytest.mark.parametrize("count", [1, 3, 4, 7])
def test_a_fixed_number_at_once_changes_nothing_but_the_rounding(count: int) -> None:
    """Photos that are filled up with blanks have the features they would have, and company does not matter at all."""
    vision, _ = encoder("dinov2")
    pixels = torch.randn(count, 3, 56, 56)
    with torch.no_grad():
        free = vision.read(pixels, LAYERS)
        vision.hasten(torch.bfloat16, 4)
        together, last = vision.read(pixels, LAYERS)
        alone = torch.cat([vision(each[None], LAYERS) for each in pixels])
    assert torch.equal(together, alone) and len(last) == count
    torch.testing.assert_close(together.float(), free[0], atol=0.1, rtol=0.05)


def test_number_format_is_one_that_this_machine_has() -> None:
    assert fast_dtype("cpu") in (torch.bfloat16, torch.float32)
    assert fast_dtype("meta") == torch.float32
