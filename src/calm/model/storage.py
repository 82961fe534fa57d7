"""One file layout for a trained network: ``config.json``, ``trained.safetensors`` and ``manifest.json``.

Only what training changed is stored; the frozen encoder and language model come from the packages or folders that the
configuration names. The manifest lists every tensor with its shape, how it is stored and its SHA-256. Large matrices
are stored in eight bits with one scale a row.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerBase
from transformers.initialization import no_init_weights

from calm.errors import WeightsError
from calm.model.config import CalmConfig
from calm.model.network import CalmForConditionalGeneration
from calm.model.weights import packaged_dir, quiet_transformers

TRAINED, MANIFEST, CONFIG = "trained.safetensors", "manifest.json", "config.json"
EIGHT_BITS = 4096
"""Matrices of at least so many values are stored in eight bits."""
PACKAGED_PARTS = ("dinov2-s", "smollm2")
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
"""ChatML without a system message: every prompt token costs time on every photo."""


def source_folder(source: str) -> Path:
    """Folder of a frozen part: a packaged name, or a folder."""
    return packaged_dir(source) if source in PACKAGED_PARTS else Path(source)


def source_tokenizer(source: str) -> PreTrainedTokenizerBase:
    """Tokenizer of a language model by its source, see :func:`source_folder`. Raises :class:`WeightsError`."""
    with _reading(f"a tokenizer at {source}"):
        return load_tokenizer(str(source_folder(source)))


def load_tokenizer(source: str) -> PreTrainedTokenizerBase:
    """The tokenizer of a language model's folder or hub id, with this project's chat template."""
    tokenizer = AutoTokenizer.from_pretrained(source)
    tokenizer.chat_template = TEMPLATE
    return tokenizer


def read_config(folder: str | Path) -> CalmConfig:
    """Configuration of a trained network's folder. Raises :class:`WeightsError`."""
    with _reading(f"{CONFIG} in {folder}"):
        kind = CalmConfig.get_config_dict(folder)[0]["model_type"]
        if kind != CalmConfig.model_type:
            raise WeightsError(
                f"expected a model of type {CalmConfig.model_type} in {folder}, found one of type {kind}; "
                "give the folder of a trained network"
            )
        return CalmConfig.from_pretrained(folder)


@contextmanager
def _reading(what: str) -> Iterator[None]:
    """Turns what libraries raise at missing or damaged files into :class:`WeightsError`."""
    try:
        yield
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        cause = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise WeightsError(
            f"expected {what}, found nothing that can be read ({cause}); fetch it anew, or name another"
        ) from error


def build(vision: str, text: str, **settings: Any) -> tuple[CalmForConditionalGeneration, PreTrainedTokenizerBase]:
    """An untrained network on frozen parts, and its tokenizer.

    Args:
        vision, text: a packaged part or a folder, see :func:`source_folder`.
        settings: fields of :class:`CalmConfig`.
    """
    quiet_transformers()
    config = CalmConfig(
        vision_config=AutoConfig.from_pretrained(source_folder(vision)),
        text_config=AutoConfig.from_pretrained(source_folder(text)),
        vision_source=vision,
        text_source=text,
        **settings,
    )
    tokenizer = source_tokenizer(text)
    model = CalmForConditionalGeneration(config)
    fill_frozen(model)
    embed_lexicons(model, tokenizer)
    return model, tokenizer


def embed_lexicons(model: CalmForConditionalGeneration, tokenizer: PreTrainedTokenizerBase) -> None:
    """Give both lexicons the language model's embeddings of their words."""
    table = model.get_input_embeddings().weight
    for lexicon, words in (
        (model.lexicon, model.config.vocabulary),
        (model.attribute_lexicon, model.config.attribute_words),
    ):
        if words:
            lexicon.embed(words, tokenizer, table)


def fill_frozen(model: CalmForConditionalGeneration) -> None:
    """Put the source's weights into encoder and language model, adapters aside. Raises :class:`WeightsError`."""
    config = model.config
    parts: tuple[tuple[nn.Module, Any, str], ...] = (
        (model.backbone.model, AutoModel, config.vision_source),
        (model.language_model, AutoModelForCausalLM, config.text_source),
    )
    for part, kind, source in parts:
        with _reading(f"a transformers model at {source}"):
            theirs = kind.from_pretrained(source_folder(source), dtype=torch.float32).state_dict()
        places = {
            name.replace(".base_layer", ""): value
            for name, value in part.state_dict(keep_vars=True).items()
            if "lora_" not in name
        }
        missing = sorted(set(places) - set(theirs) - {"lm_head.weight"})
        if missing:
            raise WeightsError(f"expected every weight of {source}, found {len(missing)} missing, such as {missing[0]}")
        with torch.no_grad():
            for name, place in places.items():
                if name in theirs:
                    place.copy_(theirs[name])
        part.requires_grad_(False)
    model.language_model.tie_weights()


def trained_tensors(model: CalmForConditionalGeneration) -> dict[str, Tensor]:
    """What training may have changed, by name: all but the frozen parts, their adapters included."""
    frozen = ("backbone.", "language_model.")
    return {
        name: value.detach()
        for name, value in model.state_dict().items()
        if (not name.startswith(frozen) or "lora_" in name) and not name.endswith("lexicon.embeddings")
    }


def save(model: CalmForConditionalGeneration, folder: str | Path) -> None:
    """Write a trained network; the folder is complete or as it was."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    stored: dict[str, Tensor] = {}
    entries = []
    for name, value in sorted(trained_tensors(model).items()):
        rows, kind = to_storage(value)
        stored |= {name if part == "" else f"{name}.{part}": each for part, each in rows.items()}
        entries.append(
            {"name": name, "shape": list(value.shape), "storage": kind, "sha256": _digest(list(rows.values()))}
        )
    with tempfile.TemporaryDirectory(dir=folder, prefix=".saving-") as scratch:
        save_file(stored, Path(scratch) / TRAINED, {"format": "pt"})
        (Path(scratch) / MANIFEST).write_text(json.dumps({"tensors": entries}, indent=1) + "\n")
        model.config.save_pretrained(scratch)
        for name in (TRAINED, MANIFEST, CONFIG):
            (Path(scratch) / name).replace(folder / name)


def load(folder: str | Path) -> tuple[CalmForConditionalGeneration, PreTrainedTokenizerBase]:
    """A trained network from its folder, in float32, and its tokenizer. Raises :class:`WeightsError`."""
    folder = Path(folder)
    for name in (TRAINED, MANIFEST, CONFIG):
        if not (folder / name).is_file():
            raise WeightsError(f"expected {name} in {folder}, found none; give the folder of a trained network")
    quiet_transformers()
    config = read_config(folder)
    tokenizer = source_tokenizer(config.text_source)
    with no_init_weights():  # every weight is read below
        model = CalmForConditionalGeneration(config)
    fill_frozen(model)
    embed_lexicons(model, tokenizer)
    fill_trained(model, folder)
    return model, tokenizer


def fill_trained(model: CalmForConditionalGeneration, folder: str | Path) -> None:
    """Put the trained tensors of a folder into a network of the same shape. Raises :class:`WeightsError`."""
    folder = Path(folder)
    with _reading(f"{TRAINED} and {MANIFEST} in {folder}"):
        stored, entries = load_file(folder / TRAINED), json.loads((folder / MANIFEST).read_text())["tensors"]
    places = dict(trained_tensors(model))
    absent = sorted(set(places) - {entry["name"] for entry in entries})
    if absent:
        raise WeightsError(f"expected {len(places)} tensors in {folder}, found none for {absent[0]}")
    with torch.no_grad():
        for entry in entries:
            value = _checked(entry, stored, folder)
            if entry["name"] not in places or list(places[entry["name"]].shape) != entry["shape"]:
                raise WeightsError(
                    f"expected {entry['name']} of shape {entry['shape']} in the network, found none; "
                    f"{CONFIG} and {TRAINED} in {folder} do not belong together"
                )
            places[entry["name"]].copy_(value)


def to_storage(value: Tensor) -> tuple[dict[str, Tensor], str]:
    """A tensor as it is stored, by suffix, and the kind of storage: ``int8-rows`` or ``float16``."""
    if value.ndim == 2 and value.numel() >= EIGHT_BITS and min(value.shape) > 1:
        scale = value.float().abs().amax(dim=1, keepdim=True).clamp(min=1e-12) / 127
        return {"": (value.float() / scale).round().to(torch.int8), "scale": scale.to(torch.float32)}, "int8-rows"
    kind = torch.float16 if value.is_floating_point() and value.abs().max() < 6e4 else value.dtype
    return {"": value.to(kind).contiguous()}, str(kind).removeprefix("torch.")


def from_storage(rows: dict[str, Tensor], kind: str) -> Tensor:
    """The tensor that :func:`to_storage` stored, float32."""
    return rows[""].float() * rows["scale"] if kind == "int8-rows" else rows[""].float()


def _checked(entry: dict[str, Any], stored: dict[str, Tensor], folder: Path) -> Tensor:
    suffixes = ("", "scale") if entry["storage"] == "int8-rows" else ("",)
    names = {part: entry["name"] if part == "" else f"{entry['name']}.{part}" for part in suffixes}
    if any(name not in stored for name in names.values()):
        raise WeightsError(f"expected {entry['name']} in {folder / TRAINED}, found none; fetch the folder anew")
    rows = {part: stored[name] for part, name in names.items()}
    if _digest(list(rows.values())) != entry["sha256"]:
        raise WeightsError(
            f"expected {entry['name']} in {folder / TRAINED} to have the manifest's sha256; fetch it anew"
        )
    return from_storage(rows, entry["storage"])


def _digest(tensors: list[Tensor]) -> str:
    digest = hashlib.sha256()
    for value in tensors:
        digest.update(value.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
