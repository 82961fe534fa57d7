"""The network that says what photos show: its padding, and that the packaged weights know a cat."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from calm.data.images import load_photo
from calm.data.views import make_views, normalise
from calm.errors import WeightsError
from calm.model.semantics import FILE, Convolution, Semantics
from calm.model.weights import packaged_dir

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
EXAMPLES = Path(__file__).parent.parent / "examples"
KNOWN = {"chelsea.jpg": range(281, 286), "coffee.jpg": (504, 925, 967, 968)}
"""Classes of ImageNet: cats (tabby … Egyptian); mug, consommé, espresso, cup."""


@pytest.fixture(scope="module")
def network() -> Semantics:
    return Semantics.load(packaged_dir("semantics"), MEAN, STD)


def frames(*names: str) -> torch.Tensor:
    wholes = [make_views(load_photo(str(EXAMPLES / name)).pixels, size=224).whole for name in names]
    return normalise(np.stack(wholes)[:, None], MEAN, STD)[:, 0]


def test_it_knows_what_the_examples_show(network):
    with torch.inference_mode():
        _, logits = network(frames(*KNOWN))
    for (name, classes), row in zip(KNOWN.items(), logits, strict=True):
        assert int(row.argmax()) in classes, name


def test_what_it_tells_depends_on_the_photo_alone(network):
    seen = frames(*KNOWN)
    with torch.inference_mode():
        together, alone = network.told(seen), torch.cat([network.told(each[None]) for each in seen])
    assert together.shape == (2, 2280) and torch.allclose(together, alone, atol=1e-5)
    assert torch.allclose(together[:, :1280].norm(dim=1), torch.ones(2)), "each part of length 1"
    assert torch.allclose(together[:, 1280:].norm(dim=1), torch.ones(2))


@pytest.mark.parametrize(
    ("side", "kernel", "stride"), [(7, 3, 1), (7, 3, 2), (8, 3, 2), (9, 5, 2), (8, 5, 2), (6, 1, 1)]
)
def test_edges_are_padded_as_tensorflow_does(side, kernel, stride):
    """``SAME``: as many outputs as strides fit, and the odd row of zeros at the end."""
    torch.manual_seed(0)
    layer, x = Convolution(2, 3, kernel, stride, bent=False), torch.randn(1, 2, side, side)
    out = -(-side // stride)
    total = max((out - 1) * stride + kernel - side, 0)
    before = total // 2
    padded = torch.zeros(1, 2, side + total, side + total)
    padded[:, :, before : before + side, before : before + side] = x
    wanted = F.conv2d(padded, layer.weight, layer.bias, stride)
    assert wanted.shape[2:] == (out, out) and torch.allclose(layer(x), wanted, atol=1e-6)


def test_a_folder_with_something_else_is_refused(tmp_path):
    with pytest.raises(WeightsError, match="expected an EfficientNet-Lite0"):
        Semantics.load(tmp_path, MEAN, STD)
    (tmp_path / FILE).write_bytes(b"no")
    with pytest.raises(WeightsError, match="expected an EfficientNet-Lite0"):
        Semantics.load(tmp_path, MEAN, STD)
