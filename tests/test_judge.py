"""A second judge, and matrices in eight bits: what a packaged model is made of."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from parts import SHAPE, write_parts
from safetensors.torch import load_file, save_file

from calm.data.images import Photo
from calm.data.looks import look_at
from calm.errors import WeightsError
from calm.model.checkpoint import TRAINED, build, load_tokenizer, save_trained
from calm.model.compact import DIFFERENCE, SCALE, SHORT, pack, pack_difference, unpack, unpack_difference
from calm.model.judge import JUDGE, OWN, save_judge
from calm.predictor import Predictor

LORA = {"r": 2, "lora_alpha": 8, "target_modules": ["q_proj", "v_proj"], "layers_to_transform": [2, 3]}
FORKED = SHAPE | {
    "vision_lora": LORA | {"layers_pattern": "layer"},
    "statistics": 1,
    "adapted_branches": ["statistics"],
    "head_branches": ["statistics"],
    "looks": ["frame", "closer"],
}

SIDE = 28


def photos(count: int = 3) -> list[Photo]:
    """Soft colours, so that nothing overshoots where they are enlarged."""
    rng = np.random.default_rng(0)
    coarse = [rng.integers(40, 215, (3, 3, 3), np.uint8) for _ in range(count)]
    frames = [cv2.resize(each, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR) for each in coarse]
    return [photo(frame, i) for i, frame in enumerate(frames)]


def photo(frame: np.ndarray, number: int) -> Photo:
    return Photo(f"{number}.png", frame, f"{number:064x}", SIDE, SIDE)


def write_model(
    folder: Path, parts: tuple[str, str], seed: int, looks: list[str], compact: tuple[str, ...] = ()
) -> Path:
    """A trained folder of random weights, adapters included, whose heads read the score."""
    torch.manual_seed(seed)
    model = build(*parts, **FORKED | {"looks": looks})
    for name, value in model.named_parameters():
        if name.startswith(OWN) and ("lora_" in name or "statistics" in name or "heads" in name):
            torch.nn.init.normal_(value, std=0.3)
    save_trained(model, folder, load_tokenizer(parts[1]), torch.float32, compact)
    (folder / "calibration.json").write_text('{"score_heads": 1.0}')
    return folder


@pytest.fixture(scope="module")
def parts(tmp_path_factory) -> tuple[str, str]:
    return write_parts(tmp_path_factory.mktemp("parts"))


def values(folder: Path, seen: list[Photo]) -> np.ndarray:
    return np.array([score.distribution for score in Predictor.load(folder, dtype=torch.float32).score(seen)])


def test_a_second_judge_reads_the_second_look(parts, tmp_path):
    """The score is the mean of one model's on the frame and the other's on the frame a step closer."""
    whole = write_model(tmp_path / "whole", parts, 1, ["frame", "closer"])
    one = write_model(tmp_path / "one", parts, 1, ["frame"])
    other = write_model(tmp_path / "other", parts, 2, ["frame"])
    state, base = load_file(other / TRAINED), load_file(one / TRAINED)  # all is shared but what a judge has of its own
    save_file({name: v if name.startswith(OWN) else base[name] for name, v in state.items()}, other / TRAINED)
    seen = photos()
    closer = [photo(look_at(each.pixels, "closer"), i) for i, each in enumerate(seen)]
    alone = values(whole, seen)
    save_judge([other / TRAINED], whole / JUDGE)
    both = values(whole, seen)
    expected = (values(one, seen) + values(other, closer)) / 2
    assert np.allclose(both, expected, atol=0.01), "pixels of a look are rounded where it is made of pixels"
    assert np.abs(both - alone).max() > 0.1


def test_the_encoder_below_is_shared(parts, tmp_path):
    folder = write_model(tmp_path / "whole", parts, 1, ["frame", "closer"])
    save_judge([write_model(tmp_path / "other", parts, 2, ["frame"]) / TRAINED], folder / JUDGE)
    predictor = Predictor.load(folder, dtype=torch.float32)
    assert predictor.second.vision.model is predictor.model.vision.model
    assert predictor.second.language_model is predictor.model.language_model
    assert not torch.equal(
        predictor.second.mfam.statistics.layers[1].weight, predictor.model.mfam.statistics.layers[1].weight
    )
    own = {id(p) for p in predictor.second.parameters()} - {id(p) for p in predictor.model.parameters()}
    assert 0 < len(own) < 80


def test_a_judge_that_does_not_fit_is_refused(parts, tmp_path):
    folder = write_model(tmp_path / "whole", parts, 1, ["frame", "closer"])
    state = {n: v for n, v in load_file(folder / TRAINED).items() if n.startswith(OWN)}
    state.pop(sorted(state)[0])
    save_file(state, folder / JUDGE)
    with pytest.raises(WeightsError, match="expected .* to hold a judge of this configuration"):
        Predictor.load(folder)


def test_eight_bits_are_near_enough_and_small():
    torch.manual_seed(0)
    state = {"a.matrix": torch.randn(40, 300), "a.row": torch.randn(300), "b.matrix": torch.randn(4, 300)}
    state |= {"a.narrow": torch.randn(40, SHORT - 1), "a.kernels": torch.randn(8, SHORT // 4, 2, 2)}
    packed = pack(state, ["a."])
    assert packed["a.matrix"].dtype == torch.int8 and packed["a.matrix" + SCALE].shape == (40, 1)
    assert packed["a.kernels"].dtype == torch.int8 and packed["a.kernels" + SCALE].shape == (8, 1, 1, 1)
    assert torch.equal(packed["a.narrow"], state["a.narrow"])
    again = unpack(packed)
    assert set(again) == set(state)
    assert torch.equal(again["a.row"], state["a.row"]) and torch.equal(again["b.matrix"], state["b.matrix"])
    bound = state["a.matrix"].abs().amax(dim=1, keepdim=True) / 254 + 1e-6
    assert ((again["a.matrix"] - state["a.matrix"]).abs() <= bound).all()
    assert torch.equal(pack(again, ["a."])["a.matrix"], packed["a.matrix"]), "packing again changes nothing"
    assert unpack(state).keys() == state.keys()


def test_four_bits_keep_what_training_changed():
    torch.manual_seed(0)
    before = {"a": torch.randn(6, 7, 1, 3), "b": torch.randn(5, 8), "bias": torch.randn(6), "still": torch.randn(3, 4)}
    state = {n: v + 0.03 * torch.randn_like(v) for n, v in before.items()} | {"still": before["still"]}
    packed = pack_difference(state, before)
    assert set(packed) == {"a" + DIFFERENCE, "a" + SCALE, "b" + DIFFERENCE, "b" + SCALE, "bias"}
    assert packed["a" + DIFFERENCE].shape == (6, 11) and packed["a" + DIFFERENCE].dtype == torch.uint8
    again = unpack_difference(packed, before)
    assert set(again) == set(state) and torch.equal(again["still"], before["still"])
    assert torch.equal(again["bias"], state["bias"])
    for name in ("a", "b"):
        change = (state[name] - before[name]).flatten(1)
        bound = change.abs().amax(dim=1, keepdim=True) / 14 + 1e-6
        assert ((again[name] - state[name]).flatten(1).abs() <= bound).all(), name
        assert change.abs().max() > 2 * bound.max()
    with pytest.raises(ValueError, match="another size"):
        unpack_difference(packed, before | {"a": torch.randn(6, 30)})
    with pytest.raises(ValueError, match="is not part of"):
        unpack_difference(packed, {"b": before["b"]})


def test_a_packed_model_says_nearly_the_same(parts, tmp_path, monkeypatch):
    monkeypatch.setattr("calm.model.compact.SHORT", 8)  # the rows of a tiny model are short
    plain = write_model(tmp_path / "plain", parts, 1, ["frame"])
    packed = write_model(tmp_path / "packed", parts, 1, ["frame"], compact=("mfam.",))
    assert (packed / TRAINED).stat().st_size < 0.8 * (plain / TRAINED).stat().st_size
    assert np.allclose(values(plain, photos()), values(packed, photos()), atol=0.02)


def test_of_several_runs_the_judge_is_the_mean(parts, tmp_path):
    runs = [write_model(tmp_path / str(seed), parts, seed, ["frame"]) / TRAINED for seed in (1, 2)]
    save_judge(runs, tmp_path / JUDGE)
    one, other, mean = (unpack(load_file(path)) for path in (*runs, tmp_path / JUDGE))
    assert set(mean) == {name for name in one if name.startswith(OWN)}
    for name, value in mean.items():
        torch.testing.assert_close(value.float(), (one[name] + other[name]) / 2, rtol=0.01, atol=5e-3)
