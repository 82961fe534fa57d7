"""Tiny random parts of the very classes that the real model is made of; nothing is downloaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import Dinov2Config, Dinov2Model, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from calm.model.pretrained import TEMPLATE, build

SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<image>"]


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


def vision_model() -> Dinov2Model:
    """A random vision model of four blocks on 56 × 56 pixels with patches of 14 (16 patches)."""
    shape = {"hidden_size": 32, "num_attention_heads": 2, "num_hidden_layers": 4, "image_size": 56, "patch_size": 14}
    return Dinov2Model(Dinov2Config(**shape))


def text_model(vocabulary: int) -> LlamaForCausalLM:
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
    return LlamaForCausalLM(LlamaConfig(**shape))


def write_parts(folder: Path, seed: int = 0) -> tuple[str, str]:
    """Folders of a vision model and of a language model with its tokenizer."""
    torch.manual_seed(seed)
    tokenizer = tiny_tokenizer()
    vision_model().save_pretrained(folder / "vision")
    text_model(len(tokenizer)).save_pretrained(folder / "text")
    tokenizer.save_pretrained(folder / "text")
    return str(folder / "vision"), str(folder / "text")


def write_trained(root: Path, shape: dict[str, Any]) -> Path:
    """Folder of a network with random trained parts, whose adapters and answers do something."""
    model, _ = build(*write_parts(root), **shape)
    torch.manual_seed(1)
    for name, parameter in model.named_parameters():
        if "lora_" in name:
            torch.nn.init.normal_(parameter, std=1.0 if name.startswith("language_model.") else 0.1)
    torch.nn.init.normal_(model.answers.weight, std=0.5)
    model.save_pretrained(root / "trained")
    return root / "trained"


def tiny_recipe(vision: str, text: str, shape: dict[str, Any], data: dict[str, str], **settings: Any) -> dict[str, Any]:
    """A recipe of a network of tiny parts, as a tree."""
    shared = {"name": "tiny", "vision": vision, "text": text, "config": shape, "compile": False, "data": data}
    return shared | settings
