"""Where encoder and language model come from: any folder or hub id, and what is said of one that does not fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from parts import SHAPE, write_parts

from calm.errors import ConfigError, WeightsError
from calm.model import checkpoint
from calm.model.checkpoint import build, skeleton, trained_state

LORA = {"r": 2, "lora_alpha": 2, "target_modules": ["q_proj", "v_proj"]}


def real(vision: str, text: str, **config: Any) -> Any:
    torch.manual_seed(0)
    return build(vision, text, torch.bfloat16, image_token_id=3, **(SHAPE | config))


def test_a_large_language_model_is_not_drawn_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a placeholder in its place until it is loaded, the built model is the same language model."""
    vision, text = write_parts(tmp_path, "clip", "qwen2")
    drawn_first = real(vision, text).language_model.state_dict()
    monkeypatch.setattr(checkpoint, "LARGE", 0)
    model = real(vision, text, token_rms=0.0)
    loaded = model.language_model.state_dict()
    assert loaded.keys() == drawn_first.keys()
    assert all(torch.equal(loaded[key], drawn_first[key]) for key in loaded)
    assert model.config.text_config.num_hidden_layers == 2
    words = model.get_input_embeddings().weight.float()
    assert model.config.token_rms == pytest.approx(words.square().mean().sqrt().item(), rel=1e-3)
    assert model.beliefs is not None and model.beliefs.token_rms == model.config.token_rms


def test_a_source_that_cannot_be_read_is_told_in_one_line(tmp_path: Path) -> None:
    vision, text = write_parts(tmp_path, "clip", "qwen2")
    with pytest.raises(WeightsError, match=r"expected a transformers model at .*nowhere.*model.vision=DIR") as caught:
        build(str(tmp_path / "nowhere"), text)
    assert "\n" not in str(caught.value)
    (Path(vision) / "model.safetensors").unlink()
    with pytest.raises(WeightsError, match="found none that can be read"):
        real(vision, text)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"image_size": 84}, "expected image_size: 56"),
        ({"high_layers": [3, 5]}, "expected encoder layers up to 4"),
        ({"low_layers": [0, 2]}, "expected encoder layers from 1 on"),
        ({"qformer_heads": 3}, "expected qformer_heads to divide the encoder's width 32"),
        ({"image_token_id": None}, "expected image_token to be a token of the tokenizer"),
    ],
)
def test_what_does_not_fit_the_parts_is_refused(wrong: dict, words: str, tmp_path: Path) -> None:
    vision, text = write_parts(tmp_path, "siglip", "qwen2")
    with pytest.raises(ConfigError, match=words):
        build(vision, text, **({"image_token_id": 3} | SHAPE | wrong))


def test_encoders_of_any_aspect_are_refused() -> None:
    from transformers import Siglip2VisionConfig, Siglip2VisionModel

    from calm.model.encoder import check_frames

    with torch.device("meta"):
        model = Siglip2VisionModel(Siglip2VisionConfig(hidden_size=8, num_attention_heads=2, num_hidden_layers=1))
    with pytest.raises(ConfigError, match="such as google/siglip2-so400m-patch16-384"):
        check_frames(model, 224)


def test_what_a_learnt_language_model_leaves(tmp_path: Path) -> None:
    """Its weights are trained state, tied ones once; with adapters alone they are not."""
    vision, text = write_parts(tmp_path, "clip", "qwen2")
    whole = skeleton(vision, text, image_token_id=3, **SHAPE, text_learns=True)
    kept = {name for name in trained_state(whole) if name.startswith("language_model.")}
    assert kept == {f"language_model.{name}" for name, _ in whole.language_model.named_parameters()}
    adapted = skeleton(vision, text, image_token_id=3, **SHAPE, text_lora=LORA)
    assert all("lora_" in name for name in trained_state(adapted) if name.startswith("language_model."))
    assert adapted.get_input_embeddings().weight.dtype == torch.bfloat16
    assert whole.get_input_embeddings().weight.dtype == torch.float32
