"""A trained network as answers need it: adapters added to the weights that they adapt, in one number format.

Weights go from their files to their places one by one and nothing is made at random first; for encoders and language
models that :mod:`calm.model.vision` and :mod:`calm.model.decoder` know, transformers is not imported.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import safe_open
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from calm.errors import WeightsError
from calm.model.config import NetworkConfig
from calm.model.decoder import LanguageModel
from calm.model.network import Network
from calm.model.packages import present_name, source_folder
from calm.model.tokenizer import Tokenizer
from calm.model.vision import VisionTransformer
from calm.model.weights import (
    Trained,
    embed_lexicons,
    read_config,
    reading,
    source_tokenizer,
    trained_tensors,
)

if TYPE_CHECKING:
    from calm.model.pretrained import CalmForConditionalGeneration

EXACT = ("lexicon.", "attribute_lexicon.", "heads.", "answers.", "quality.", "remedy_tokens.")
"""Parts that stay in float32: what answers are read by."""
PLAIN = {"r", "lora_alpha", "lora_dropout", "target_modules", "layers_to_transform", "layers_pattern"}
"""Settings of adapters with which the adapted weight is W + B A · lora_alpha / r."""


def load_merged(folder: str | Path, dtype: torch.dtype = torch.float32) -> tuple[Network, Tokenizer]:
    """A trained network from its folder, and its tokenizer.

    Args:
        dtype: of encoder, alignment module and language model; the rest is in float32.

    Raises:
        WeightsError: for a folder of something else, or with damaged files.
    """
    settings = read_config(folder)
    with reading(f"a network's configuration in {folder}"):
        config = NetworkConfig.of(settings)
    tokenizer = source_tokenizer(config.text_source)
    network = _plain(config, Path(folder), dtype) if is_plain(config) else merged_by_transformers(Path(folder), dtype)
    embed_lexicons(network, tokenizer)
    return network.requires_grad_(False).eval(), tokenizer


def is_plain(config: NetworkConfig) -> bool:
    """Whether this project's own encoder and decoder compute what transformers' classes do for a configuration."""
    vision, text = config.vision_config, config.text_config
    if (vision.model_type, text.model_type) != ("dinov2", "llama"):
        return False
    adapters = {*(config.vision_lora or {}), *(config.text_lora or {})}
    biased = text.attention_bias or text.mlp_bias or vision.use_swiglu_ffn
    activations = vision.hidden_act == "gelu" and text.hidden_act == "silu"
    return activations and not biased and adapters <= PLAIN and text.rope_parameters["rope_type"] == "default"


RANDOM = (torch.Tensor.normal_, nn.init.normal_, nn.init.uniform_, nn.init.kaiming_uniform_)


class _Unmade(TorchFunctionMode):
    """Draws no random numbers for tensors that have a shape alone: torch would import its compiler for that."""

    def __torch_function__(
        self, function: Callable[..., Any], types: object, args: tuple[Any, ...] = (), kwargs: dict | None = None
    ) -> Any:  # noqa: ANN401 - whatever torch's function gives
        settings = kwargs or {}
        if function in RANDOM:
            return args[0] if args else settings["tensor"]
        return function(*args, **settings)


def _plain(config: NetworkConfig, folder: Path, dtype: torch.dtype) -> Network:
    with torch.device("meta"), _Unmade():
        network = Network(config, VisionTransformer(config.vision_config), LanguageModel(config.text_config))
    trained, places = Trained(folder), trained_tensors(network)
    trained.check(places)
    adapted, state = set(trained.adapted), {}
    for prefix, source, adapters in (
        ("backbone.model.", config.vision_source, config.vision_lora),
        ("language_model.", config.text_source, config.text_lora),
    ):
        for name, value in frozen_tensors(source):
            stem = prefix + name.removesuffix(".weight")
            if stem in adapted and adapters:
                adapted.remove(stem)
                state[prefix + name] = _added(value, trained, stem, adapters["lora_alpha"] / adapters["r"]).to(dtype)
            else:  # in memory of its own, so that the file is closed
                state[prefix + name] = value.to(dtype, copy=True)
    if config.text_config.tie_word_embeddings:
        state["language_model.lm_head.weight"] = state["language_model.model.embed_tokens.weight"]
    parameters = {name for name, _ in network.named_parameters()}
    for name in places:  # what is no parameter, such as a mean of features, stays exact
        casts = name in parameters and not name.startswith(EXACT)
        state[name] = trained.tensor(name).to(dtype if casts else torch.float32)
    try:
        missing = network.load_state_dict(state, strict=False, assign=True).missing_keys
    except RuntimeError as error:
        raise WeightsError(f"expected weights of the shapes in {folder}/config.json, found others: {error}") from error
    missing = [*adapted, *(name for name in missing if not name.endswith("lexicon.embeddings"))]
    if missing:
        raise WeightsError(f"expected every weight of {folder}, found {len(missing)} missing, such as {missing[0]}")
    return network


def _added(value: Tensor, trained: Trained, stem: str, scale: float) -> Tensor:
    """A frozen weight and its adapter's share, float32."""
    down, up = (trained.tensor(f"{stem}.{part}.default.weight") for part in ("lora_A", "lora_B"))
    return value.to(torch.float32, copy=True).addmm_(up, down, alpha=scale)


def frozen_tensors(source: str) -> Iterator[tuple[str, Tensor]]:
    """Names and weights of a frozen part, file by file, see :func:`source_folder`. Raises :class:`WeightsError`."""
    with reading(f"a transformers model at {source}"):
        folder = source_folder(source)
        index = folder / "model.safetensors.index.json"
        files = ["model.safetensors"]
        if index.is_file():
            files = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
        for file in files:
            with safe_open(folder / file, "pt") as stored:
                for name in stored.keys():  # noqa: SIM118 - not a dictionary
                    yield present_name(name), stored.get_tensor(name)


def merged_by_transformers(folder: Path, dtype: torch.dtype) -> CalmForConditionalGeneration:
    """The same by transformers' classes, which know many more kinds."""
    from calm.model.backbone import merge_lora
    from calm.model.pretrained import load

    network, _ = load(folder)
    merge_lora(network.backbone.model)
    merge_lora(network.language_model)
    for part in (network.backbone, network.alignment, network.language_model):
        for parameter in part.parameters():  # what is no parameter, such as the angles of positions, stays exact
            parameter.data = parameter.data.to(dtype)
    return network
