"""Building a model from its parts, and folders that hold only what was trained.

A trained folder has ``config.json``, ``calm.safetensors`` (alignment module, heads, adapters) and the tokenizer's
files. The frozen encoder and language model come from the sources that its configuration names, so that a shipped
model stays small. A folder written by ``save_pretrained`` holds everything and loads by the same function.
"""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import load_file, save_file

from calm.errors import ConfigError, WeightsError
from calm.model import storage
from calm.model.compact import pack, unpack
from calm.model.configuration import CalmConfig
from calm.model.encoder import check_frames
from calm.model.modeling import CalmForConditionalGeneration
from calm.model.precision import fast_dtype
from calm.model.weights import packaged_dir, quiet_transformers

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedTokenizerBase

TRAINED = "calm.safetensors"
HEAD = "language_model.lm_head.weight"
"""The language model's last layer; the same tensor as its word embeddings where they are tied."""


def source_dir(source: str) -> str:
    """Folder or hub id behind a source: ``packaged:dinov2-s`` is converted into the cache, anything else is itself."""
    if source.startswith("packaged:"):
        return str(packaged_dir(source.removeprefix("packaged:")))
    return source


def load_tokenizer(source: str) -> PreTrainedTokenizerBase:
    """The tokenizer of a language model, with this project's chat template."""
    return storage.load_tokenizer(source_dir(source))


def part_config(source: str, shelf: Path | None = None) -> PreTrainedConfig:
    """Configuration of the part behind a source, whatever else the model there has (CLIP and SigLIP have a text tower).

    Args:
        source: as :func:`source_dir` takes it.
        shelf: folder of published configurations, ``OWNER--NAME/config.json`` for the hub id ``OWNER/NAME``, which are
            read in place of the hub's where they are there: no network is needed.

    Raises:
        WeightsError: when there is none.
    """
    from transformers import AutoConfig

    place = source_dir(source)
    if shelf is not None and not Path(place).is_dir() and (shelf / place.replace("/", "--")).is_dir():
        place = str(shelf / place.replace("/", "--"))
    try:
        return AutoConfig.from_pretrained(place)
    except (OSError, ValueError) as error:
        raise _missing(source, error) from None


def _missing(source: str, error: Exception) -> WeightsError:
    cause = str(error).strip().splitlines()[0]
    return WeightsError(
        f"expected a transformers model at {source}, found none that can be read ({cause}); "
        "name a hub id that can be reached, or a folder with config.json and weights, by model.vision=DIR or "
        "model.text=DIR"
    )


def configure(vision: str, text: str, pyramid: str = "", shelf: Path | None = None, **settings: Any) -> CalmConfig:
    """The configuration of a model around the parts behind these sources; see :func:`build` and :func:`part_config`."""
    if settings.get("image_token_id", 0) is None:
        raise ConfigError(
            f"expected image_token to be a token of the tokenizer of {text}, found one that it does not have; name a "
            "token that stands in no text, such as <|image_pad|> for Qwen or <|reserved_special_token_0|> for Llama 3"
        )
    seen = part_config(vision, shelf)
    config = CalmConfig(
        vision_config=getattr(seen, "vision_config", seen),
        text_config=part_config(text, shelf),
        vision_source=vision,
        text_source=text,
        pyramid_config=part_config(pyramid, shelf) if pyramid else None,
        pyramid_source=pyramid,
        **settings,
    )
    for part in filter(None, (config.vision_config, config.text_config, config.pyramid_config)):
        part._name_or_path = ""  # a folder of this machine; the sources say where the weights come from
    return config


def build(
    vision: str, text: str, dtype: torch.dtype | None = None, pyramid: str = "", **settings: Any
) -> CalmForConditionalGeneration:
    """A new model around a pre-trained encoder and language model, both frozen; the rest starts at random.

    Args:
        vision, text: sources as :func:`source_dir` takes them.
        pyramid: source of a convolutional network beside the encoder (:mod:`calm.model.pyramid`), if wanted.
        dtype: of the frozen parts, what is fast here if None; what is trained stays float32.
        settings: further fields of :class:`CalmConfig`; ``token_rms`` of 0 takes that of the word embeddings.

    Raises:
        WeightsError: when a source has nothing that can be read.
        ConfigError: when the settings do not fit the parts.
    """
    config = configure(vision, text, pyramid, **settings)
    model = _assemble(config, dtype or fast_dtype())
    if not config.token_rms:
        model.set_token_rms(model.get_input_embeddings().weight.detach().float().square().mean().sqrt().item())
    if model.pyramid is not None:
        model.pyramid.begin(source_dir(pyramid))
        freeze_base(model)
    return model


def skeleton(
    vision: str, text: str, pyramid: str = "", shelf: Path | None = None, **settings: Any
) -> CalmForConditionalGeneration:
    """The model that :func:`build` makes, without any weights: the same classes on the meta device.

    The frozen parts are bfloat16, as on a GPU. Arguments as of :func:`configure`.
    """
    quiet_transformers()
    config = configure(vision, text, pyramid, shelf, **settings)
    with torch.device("meta"):
        model = CalmForConditionalGeneration(config)
    model.vision.to(torch.bfloat16)
    model.language_model.to(torch.bfloat16)
    check_frames(model.vision.model, config.image_size)
    freeze_base(model)
    return model


LARGE = 10**9
"""Parameters from which a language model is not drawn at random before its weights are loaded."""


def _assemble(config: CalmConfig, dtype: torch.dtype) -> CalmForConditionalGeneration:
    from transformers import AutoModel, AutoModelForCausalLM

    quiet_transformers()
    adapters, text = (config.vision_lora, config.text_lora), config.text_config
    config.vision_lora = config.text_lora = None
    # What is drawn for a small one and thrown away stays: what the rest begins from follows from the same seed.
    if (12 * text.num_hidden_layers * text.hidden_size + text.vocab_size) * text.hidden_size > LARGE:
        config.text_config = _placeholder(text)
    model = CalmForConditionalGeneration(config)
    config.text_config = text
    try:
        found = AutoModel.from_pretrained(source_dir(config.vision_source), dtype=dtype)
        model.language_model = AutoModelForCausalLM.from_pretrained(source_dir(config.text_source), dtype=dtype)
    except (OSError, ValueError) as error:
        raise _missing(f"{config.vision_source} and {config.text_source}", error) from None
    model.vision.model = getattr(found, "vision_model", found)
    check_frames(model.vision.model, config.image_size)
    config.vision_lora, config.text_lora = adapters
    model.add_adapters()
    freeze_base(model)
    return model


def _placeholder(text: PreTrainedConfig) -> PreTrainedConfig:
    """A language model of the same width with next to nothing in it, until the loaded one takes its place."""
    small = copy.deepcopy(text)
    small.update({"num_hidden_layers": 1, "vocab_size": 8, "intermediate_size": 8, "pad_token_id": None})
    return small


def freeze_base(model: CalmForConditionalGeneration) -> None:
    """Encoder and language model stand still; adapters, alignment module and heads may learn (in float32).

    With ``config.text_learns`` the language model's own weights may learn too.
    """
    still = ("vision.",) if model.config.text_learns else ("vision.", "language_model.")
    for name, parameter in model.named_parameters():
        base = name.startswith(still) and "lora_" not in name
        parameter.requires_grad_(not base)
        if not base:
            parameter.data = parameter.data.float()
    for parameter in model.pyramid.still() if model.pyramid is not None else []:
        parameter.requires_grad_(False)


def trained_state(model: CalmForConditionalGeneration) -> dict[str, torch.Tensor]:
    """Every tensor that training may change, by name."""
    parts = ["mfam.", "heads.", "beliefs.", "pyramid.", "examples."]
    tied = model.config.text_learns and model.config.text_config.tie_word_embeddings
    return {
        name: value.detach()
        for name, value in model.state_dict().items()
        if (name.startswith(tuple(parts + ["language_model."] * model.config.text_learns)) or "lora_" in name)
        and not (tied and name == HEAD)
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
