"""The networks that say what photos show: padding, shapes, meanings, and that the packaged weights know a cat."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from parts import write_parts
from transformers import AutoModelForCausalLM

from calm.data.images import load_photo
from calm.errors import WeightsError
from calm.model.checkpoint import load_tokenizer
from calm.model.lite import SCALINGS, Convolution, LiteConfig
from calm.model.meanings import (
    MEANINGS,
    PROMPTS,
    SIDES,
    Meanings,
    ask_meanings,
    class_names,
    load_meanings,
    save_meanings,
)
from calm.model.semantics import FILE, GRID, LONGEST, Semantics
from calm.model.weights import packaged_dir

EXAMPLES = Path(__file__).parent.parent / "examples"
KNOWN = {"chelsea.jpg": range(281, 286), "coffee.jpg": (504, 925, 967, 968)}
"""Classes of ImageNet: cats (tabby … Egyptian); mug, consommé, espresso, cup."""


@pytest.fixture(scope="module", params=sorted(SCALINGS))
def network(request) -> Semantics:
    return Semantics.load(packaged_dir(request.param))


def test_it_knows_what_the_examples_show(network):
    for name, classes in KNOWN.items():
        with torch.inference_mode():
            _, logits = network(network.frame(load_photo(str(EXAMPLES / name)).pixels))
        assert int(logits.argmax()) in classes, name


@pytest.mark.parametrize(("height", "width"), [(300, 600), (400, 3000), (50, 40), (1, 900)])
def test_photos_keep_their_shape_within_bounds(network, height, width):
    frame = network.frame(np.zeros((height, width, 3), np.uint8))
    sides = frame.shape[2:]
    assert min(sides) == network.side and max(sides) <= LONGEST * network.side + GRID
    assert (sides[0] <= sides[1]) == (height <= width)
    with torch.inference_mode():
        pooled, logits = network(frame)
    assert pooled.shape == (1, 1280) and logits.shape == (1, 1000) and logits.isfinite().all()


def test_a_language_model_is_asked_what_things_mean(tmp_path):
    """Of every thing, every meaning; alike whatever else is asked about (rows are padded)."""
    text = write_parts(tmp_path / "parts")[1]
    language_model, tokenizer = AutoModelForCausalLM.from_pretrained(text), load_tokenizer(text)
    names = ["cat", "tank", "sunset", "kitchen sink"]
    table = ask_meanings(language_model, tokenizer, names)
    assert table.shape == (4, len(PROMPTS) * len(SIDES)) and table.isfinite().all()
    assert torch.allclose(ask_meanings(language_model, tokenizer, names[::-1]), table.flip(0), atol=1e-3)


def test_tables_of_meanings_on_disk(tmp_path):
    """Photos that surely show one thing mean what it means."""
    torch.manual_seed(0)
    table, sure = torch.randn(4, 6), torch.eye(4) * 100
    save_meanings(table, [Meanings.measure(table, sure)] * 2, tmp_path / MEANINGS)
    first, second = load_meanings(tmp_path / MEANINGS)
    wanted = (torch.cat([table, table], dim=1) - first.centre) / first.spread
    assert torch.allclose(first(sure), wanted, atol=0.01) and torch.equal(first(sure), second(sure))
    with pytest.raises(WeightsError, match="make them with: calm profile meanings"):
        load_meanings(tmp_path / "none.safetensors")


def test_the_classes_have_names():
    names = class_names()
    assert len(names) == 1000 and names[281] == "tabby" and names[967] == "espresso"


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


def test_what_learns_is_what_is_used():
    """The bias is added apart where gradients are wanted: the same function, and the gradients are right."""
    torch.manual_seed(0)
    layer, x = Convolution(4, 4, 3, groups=4), torch.randn(2, 4, 6, 6)
    with torch.no_grad():
        used = layer(x)
    learnt = layer(x)
    assert torch.allclose(used, learnt, atol=1e-6)
    wanted = torch.autograd.grad(F.relu6(F.conv2d(x, layer.weight, layer.bias, 1, 1, 1, 4)).square().sum(), layer.bias)
    assert torch.allclose(torch.autograd.grad(learnt.square().sum(), layer.bias)[0], wanted[0], atol=1e-4)


def test_a_folder_with_something_else_is_refused(tmp_path):
    with pytest.raises(WeightsError, match="expected an EfficientNet-Lite"):
        Semantics.load(tmp_path)
    LiteConfig().save_pretrained(tmp_path)
    (tmp_path / FILE).write_bytes(b"no")
    with pytest.raises(WeightsError, match="expected an EfficientNet-Lite"):
        Semantics.load(tmp_path)
