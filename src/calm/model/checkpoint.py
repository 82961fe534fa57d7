"""Building a model from its parts, and folders that hold only what was trained.

A trained folder has ``config.json``, ``calm.safetensors`` (alignment module, heads, adapters) and the tokenizer's
files. The frozen encoder and language model come from the sources that its configuration names, so that a shipped
model stays small. A folder written by ``save_pretrained`` holds everything and loads by the same function.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import load_file, save_file

from calm.chat import TEMPLATE
from calm.errors import WeightsError
from calm.model.compact import pack, unpack
from calm.model.configuration import CalmConfig
from calm.model.modeling import CalmForConditionalGeneration
from calm.model.precision import fast_dtype
from calm.model.weights import packaged_dir, quiet_transformers

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

TRAINED = "calm.safetensors"


def source_dir(source: str) -> str:
    """Folder or hub id behind a source: ``packaged:dinov2-s`` is converted into the cache, anything else is itself."""
    if source.startswith("packaged:"):
        return str(packaged_dir(source.removeprefix("packaged:")))
    return source


def load_tokenizer(source: str) -> PreTrainedTokenizerBase:
    """The tokenizer of a language model, with this project's chat template."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(source_dir(source))
    tokenizer.chat_template = TEMPLATE
    return tokenizer


def build(
    vision: str, text: str, dtype: torch.dtype | None = None, pyramid: str = "", **settings: Any
) -> CalmForConditionalGeneration:
    """A new model around a pre-trained encoder and language model, both frozen; the rest starts at random.

    Args:
        vision, text: sources as :func:`source_dir` takes them.
        pyramid: source of a convolutional network beside the encoder (:mod:`calm.model.pyramid`), if wanted.
        dtype: of the frozen parts, what is fast here if None; what is trained stays float32.
        settings: further fields of :class:`CalmConfig`.
    """
    from transformers import AutoConfig

    vision_config = AutoConfig.from_pretrained(source_dir(vision))
    config = CalmConfig(
        vision_config=getattr(vision_config, "vision_config", vision_config),
        text_config=AutoConfig.from_pretrained(source_dir(text)),
        vision_source=vision,
        text_source=text,
        pyramid_config=AutoConfig.from_pretrained(source_dir(pyramid)) if pyramid else None,
        pyramid_source=pyramid,
        **settings,
    )
    for part in filter(None, (config.vision_config, config.text_config, config.pyramid_config)):
        part._name_or_path = ""  # a folder of this machine; the sources say where the weights come from
    model = _assemble(config, dtype or fast_dtype())
    if model.pyramid is not None:
        model.pyramid.begin(source_dir(pyramid))
        freeze_base(model)
    return model


def _assemble(config: CalmConfig, dtype: torch.dtype) -> CalmForConditionalGeneration:
    from transformers import AutoModel, AutoModelForCausalLM

    quiet_transformers()
    adapters = config.vision_lora, config.text_lora
    config.vision_lora = config.text_lora = None
    model = CalmForConditionalGeneration(config)
    vision = AutoModel.from_pretrained(source_dir(config.vision_source), dtype=dtype)
    model.vision.model = getattr(vision, "vision_model", vision)
    model.language_model = AutoModelForCausalLM.from_pretrained(source_dir(config.text_source), dtype=dtype)
    config.vision_lora, config.text_lora = adapters
    model.add_adapters()
    freeze_base(model)
    return model


def freeze_base(model: CalmForConditionalGeneration) -> None:
    """Encoder and language model stand still; adapters, alignment module and heads may learn (in float32)."""
    for name, parameter in model.named_parameters():
        base = name.startswith(("vision.", "language_model.")) and "lora_" not in name
        parameter.requires_grad_(not base)
        if not base:
            parameter.data = parameter.data.float()
    for parameter in model.pyramid.still() if model.pyramid is not None else []:
        parameter.requires_grad_(False)


def trained_state(model: CalmForConditionalGeneration) -> dict[str, torch.Tensor]:
    """Every tensor that training may change, by name."""
    return {
        name: value.detach()
        for name, value in model.state_dict().items()
        if name.startswith(("mfam.", "heads.", "beliefs.", "pyramid.", "examples.")) or "lora_" in name
    }


def save_trained(
    model: CalmForConditionalGeneration,
    folder: str | Path,
    tokenizer: PreTrainedTokenizerBase | None = None,
    dtype: torch.dtype = torch.float32,
    compact: Sequence[str] = (),
) -> None:
    """Write a trained folder, parameters in ``dtype``, measured constants as they are.

    Each file is complete or absent.

    Args:
        compact: prefixes of matrices that are kept in eight bits, such as ``mfam.qformers.``.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    exact = {name for name, _ in model.named_buffers()}
    state = {
        name: (value if name in exact else value.to(dtype)).contiguous() for name, value in trained_state(model).items()
    }
    with tempfile.TemporaryDirectory(dir=folder, prefix=".saving-") as scratch:
        model.config.save_pretrained(scratch)
        if tokenizer is not None:
            tokenizer.save_pretrained(scratch)
        save_file(pack(state, compact), Path(scratch) / TRAINED, metadata={"format": "pt"})
        for path in Path(scratch).iterdir():
            path.replace(folder / path.name)


def load_trained(model: CalmForConditionalGeneration, path: str | Path) -> None:
    """Put the tensors of a trained file into ``model``. Raises :class:`WeightsError` when they do not fit exactly."""
    state, wanted = unpack(load_file(path)), trained_state(model)
    wrong = sorted(set(state) ^ set(wanted)) or sorted(n for n in wanted if state[n].shape != wanted[n].shape)
    if wrong:
        raise WeightsError(
            f"expected {path} to hold the {len(wanted)} trained tensors of this configuration, found a difference "
            f"at {wrong[0]} ({len(wrong)} in all); use the configuration that it was trained with"
        )
    with torch.no_grad():
        for name, value in model.state_dict(keep_vars=True).items():
            if name in wanted:
                value.copy_(state[name])


def load(folder: str | Path, dtype: torch.dtype | None = None) -> CalmForConditionalGeneration:
    """A model from a trained folder or from one that ``save_pretrained`` wrote, in ``dtype`` or what is fast here."""
    dtype = dtype or fast_dtype()
    folder = Path(folder)
    if not (folder / "config.json").is_file():
        raise WeightsError(f"expected a model folder with config.json, found none at {folder}; name a trained model")
    config = CalmConfig.from_pretrained(folder)
    if not (folder / TRAINED).is_file():
        return CalmForConditionalGeneration.from_pretrained(folder, dtype=dtype)
    model = _assemble(config, dtype)
    load_trained(model, folder / TRAINED)
    return model
