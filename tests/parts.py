"""Tiny random parts of the very classes that the real model is made of, written to folders; nothing is downloaded."""

from __future__ import annotations

from pathlib import Path

import torch
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    CLIPVisionConfig,
    CLIPVisionModel,
    Dinov2Config,
    Dinov2Model,
    LlamaConfig,
    LlamaForCausalLM,
    MobileNetV1Config,
    MobileNetV1Model,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
    SiglipVisionConfig,
    SiglipVisionModel,
)

from calm.model.storage import TEMPLATE

SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<image>"]
LAYERS = {"low_layers": [1, 2], "middle_layers": [2, 3], "high_layers": [3, 4], "thematic_layer": 4}
SHAPE = {
    "image_size": 56,
    "thematic_grid": 2,
    "low_queries": 2,
    "middle_queries": 2,
    "high_queries": 2,
    "qformer_layers": 1,
    "qformer_heads": 2,
    "qformer_hidden": 32,
    "head_hidden": 16,
    "measures": 8,
    "measure_tokens": 2,
    "statistics": 1,
    "technique": 1,
    "technique_hidden": 12,
    "statistics_hidden": 16,
    "beliefs": 2,
    "notes": True,
} | LAYERS


def tiny_tokenizer() -> PreTrainedTokenizerFast:
    """A byte-level tokenizer without merges: every byte is a token, digits among them."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    core = Tokenizer(models.BPE({token: i for i, token in enumerate(SPECIAL + alphabet)}, []))
    core.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(r"\d"), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    core.decoder = decoders.ByteLevel()
    core.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in SPECIAL])
    return PreTrainedTokenizerFast(
        tokenizer_object=core, bos_token=SPECIAL[1], eos_token=SPECIAL[2], pad_token=SPECIAL[2], chat_template=TEMPLATE
    )


def vision_model(kind: str) -> torch.nn.Module:
    """A random vision model of four blocks on 56 × 56 pixels with patches of 14 (16 patches)."""
    shape = {"hidden_size": 32, "num_attention_heads": 2, "num_hidden_layers": 4, "image_size": 56, "patch_size": 14}
    if kind == "dinov2":
        return Dinov2Model(Dinov2Config(**shape))
    if kind == "clip":
        return CLIPVisionModel(CLIPVisionConfig(**shape, intermediate_size=64))
    return SiglipVisionModel(SiglipVisionConfig(**shape, intermediate_size=64))


def text_model(kind: str, vocabulary: int) -> torch.nn.Module:
    """A random causal language model of two blocks."""
    shape = {
        "vocab_size": vocabulary,
        "hidden_size": 48,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 512,
        "eos_token_id": 2,
        "pad_token_id": 2,
        "bos_token_id": 1,
        "tie_word_embeddings": True,
    }
    return LlamaForCausalLM(LlamaConfig(**shape)) if kind == "llama" else Qwen2ForCausalLM(Qwen2Config(**shape))


def write_parts(folder: Path, vision: str = "dinov2", text: str = "llama", seed: int = 0) -> tuple[str, str]:
    """Folders of a vision model and of a language model with its tokenizer."""
    torch.manual_seed(seed)
    tokenizer = tiny_tokenizer()
    vision_model(vision).save_pretrained(folder / "vision")
    text_model(text, len(tokenizer)).save_pretrained(folder / "text")
    tokenizer.save_pretrained(folder / "text")
    return str(folder / "vision"), str(folder / "text")


def write_pyramid(folder: Path, seed: int = 0) -> str:
    """Folder of a random convolutional network with batch norms that have seen something."""
    torch.manual_seed(seed)
    model = MobileNetV1Model(MobileNetV1Config(depth_multiplier=0.05, hidden_act="relu6", tf_padding=True))
    for module in model.modules():
        if isinstance(module, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(module.weight)  # what is seen must reach the end
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.running_mean, -0.1, 0.1)
            torch.nn.init.uniform_(module.running_var, 0.5, 1.5)
            torch.nn.init.uniform_(module.weight, 0.8, 1.2)
    model.save_pretrained(folder)
    return str(folder)
