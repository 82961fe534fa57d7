"""The network by transformers' conventions: ``from_pretrained``, ``save_pretrained``, ``forward``, ``generate``.

Training adapts this form of it, whose encoder and language model are transformers' own; answers are read from
:func:`calm.model.merged.load_merged`.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import (
    CONFIG_MAPPING,
    AutoConfig,
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForImageTextToText,
    AutoTokenizer,
    LogitsProcessor,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.initialization import no_init_weights
from transformers.modeling_outputs import CausalLMOutputWithPast

from calm.errors import ConfigError, UsageError, WeightsError
from calm.model.catalogue import model_dir
from calm.model.config import NetworkConfig
from calm.model.network import Network
from calm.model.packages import quiet_transformers, source_folder
from calm.model.reader import Reader
from calm.model.tokenizer import Tokenizer
from calm.model.visual import VisualTokens
from calm.model.weights import MODEL_TYPE, embed_lexicons, fill_trained, read_config, reading, save, source_tokenizer

TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
"""ChatML without a system message: every prompt token costs time on every photo."""


class CalmConfig(NetworkConfig, PretrainedConfig):
    """Configuration of :class:`CalmForConditionalGeneration`.

    Args:
        vision_config, text_config: of the encoder and the language model, as dictionaries or configuration objects.
        settings: of :class:`calm.model.config.NetworkConfig` and of transformers' ``PretrainedConfig``.
    """

    model_type = MODEL_TYPE

    def __init__(
        self,
        vision_config: dict[str, Any] | PretrainedConfig | None = None,
        text_config: dict[str, Any] | PretrainedConfig | None = None,
        **settings: Any,
    ) -> None:
        known = inspect.signature(NetworkConfig).parameters
        ours = {name: settings.pop(name) for name in known if name in settings}
        parts = _configuration(vision_config, "dinov2"), _configuration(text_config, "llama")
        NetworkConfig.__init__(self, *parts, **ours)
        PretrainedConfig.__init__(self, **settings)


def _configuration(given: dict[str, Any] | PretrainedConfig | None, default: str) -> PretrainedConfig:
    if isinstance(given, PretrainedConfig):
        return given
    settings = dict(given or {})
    return CONFIG_MAPPING[settings.pop("model_type", default)](**settings)


class CalmForConditionalGeneration(Network, PreTrainedModel):
    """The whole of CALM, see :mod:`calm.model.network`, as a model of transformers.

    Attributes:
        tokenizer: of the language model, for :meth:`generate`; None until :meth:`from_pretrained` or a caller sets it.
    """

    config: CalmConfig
    config_class = CalmConfig
    base_model_prefix = "calm"
    _supports_sdpa = True

    def __init__(self, config: CalmConfig) -> None:
        PreTrainedModel.__init__(self, config)
        self.assemble(
            AutoModel.from_config(config.vision_config, dtype=torch.float32),
            AutoModelForCausalLM.from_config(config.text_config, dtype=torch.float32),
        )
        self.add_adapters()
        self.tokenizer: Tokenizer | PreTrainedTokenizerBase | None = None

    def add_adapters(self) -> None:
        """Low-rank adapters where the configuration has them (Hu et al., 2022, arXiv 2106.09685)."""
        from peft import LoraConfig, inject_adapter_in_model

        for part, settings in (
            (self.backbone.model, self.config.vision_lora),
            (self.language_model, self.config.text_lora),
        ):
            if settings:
                inject_adapter_in_model(LoraConfig(**settings), part)

    # ------------------------------------------------------------------------------------------------ folders

    @classmethod
    def from_pretrained(
        cls, pretrained_model_name_or_path: str | PathLike[str], dtype: str | torch.dtype | None = None, **options: Any
    ) -> CalmForConditionalGeneration:
        """A trained network, in float32 and in evaluation mode, its adapters beside the weights that they adapt.

        Args:
            pretrained_model_name_or_path: a packaged model's name, or a folder that :meth:`save_pretrained` wrote.
            dtype: None, ``auto`` or float32.
            options: what transformers' auto classes pass on.

        Raises:
            UsageError: for an unknown name, or an option that would change what is loaded.
            WeightsError: for a folder of something else, or with damaged files.
        """
        passed = ("config", "adapter_kwargs", "_from_auto")
        wrong = [f"{name}={value!r}" for name, value in options.items() if value and name not in passed]
        wrong += [f"dtype={dtype!r}"] * (dtype not in (None, "auto", torch.float32))
        if wrong:
            raise UsageError(
                f"expected a name or a folder alone, found {', '.join(wrong)}; the network computes in float32, "
                "and .to() moves it to another device"
            )
        model, tokenizer = load(model_dir(pretrained_model_name_or_path))
        model.tokenizer = tokenizer
        return model.eval()

    def save_pretrained(self, save_directory: str | PathLike[str]) -> None:
        """Write the folder that :meth:`from_pretrained` reads: what was trained, and the names of the frozen parts."""
        save(self, Path(save_directory))

    # ------------------------------------------------------------------------------------------------ speaking

    def forward(
        self,
        input_ids: Tensor,
        frames: Tensor,
        crops: Tensor | None = None,
        measures: Tensor | None = None,
        attention_mask: Tensor | None = None,
        **kwargs: Any,
    ) -> CausalLMOutputWithPast:
        """The language model over prompts as :class:`calm.inference.processing.CalmProcessor` writes them.

        Args:
            input_ids: (B, T) with ``config.visual_tokens`` placeholders in each row; attention_mask: (B, T).
            frames, crops, measures: one photo a row, see :meth:`see`.
            kwargs: of the language model, such as ``labels`` (B, T).

        Returns:
            transformers' causal output; logits (B, T, vocabulary).
        """
        embeddings = self._splice(input_ids, self.see(frames, crops, measures))
        return self.language_model(inputs_embeds=embeddings, attention_mask=attention_mask, **kwargs)

    @torch.no_grad()
    def generate(
        self,
        input_ids: Tensor,
        frames: Tensor,
        crops: Tensor | None = None,
        measures: Tensor | None = None,
        attention_mask: Tensor | None = None,
        **kwargs: Any,
    ) -> Tensor:
        """Answers in words, greedy unless asked otherwise.

        The score and the suggestion are spoken as they are read, and a comment begins with the score that is read, so
        that number and words agree; any other answer is the language model's own.

        Args:
            input_ids, frames, crops, measures, attention_mask: of prompts padded on the left, see :meth:`forward`.
            kwargs: of transformers' ``generate``, such as ``max_new_tokens`` (150 where none is given).

        Returns:
            (B, T + n), prompts and answers, padded on the right; what transformers gives for other ``kwargs``.
        """
        if self.tokenizer is None:
            raise ConfigError(
                "expected a network with its tokenizer, found none; set .tokenizer, or use from_pretrained"
            )
        seen = self.see(frames, crops, measures)
        embeddings = self._splice(input_ids, seen)
        begun = Begun(Reader(self, self.tokenizer).begun(seen, input_ids), input_ids.shape[1])
        usual = {"max_new_tokens": 150, "do_sample": False, "pad_token_id": self.tokenizer.eos_token_id}
        return self.language_model.generate(
            input_ids=input_ids,
            inputs_embeds=embeddings,
            attention_mask=torch.ones_like(input_ids) if attention_mask is None else attention_mask,
            logits_processor=[*kwargs.pop("logits_processor", ()), begun],
            **usual | kwargs,
        )

    def _splice(self, input_ids: Tensor, seen: VisualTokens) -> Tensor:
        """Embeddings of prompts with visual tokens in place of their placeholders: (B, T, width)."""
        visual = seen.frame if seen.detail is None else torch.cat([seen.frame, seen.detail], dim=1)
        return splice(self.get_input_embeddings()(input_ids), input_ids, visual, self.config.image_token_id)


def splice(embeddings: Tensor, input_ids: Tensor, visual: Tensor, image_token_id: int) -> Tensor:
    """Put visual tokens where the placeholders stand.

    Args:
        embeddings: (B, T, D), word embeddings of ``input_ids``.
        input_ids: (B, T).
        visual: (B, N, D), the visual tokens of each row, in order; N is a multiple of one photo's tokens.
        image_token_id: the placeholder.

    Returns:
        (B, T, D), a new tensor.

    Raises:
        ConfigError: when a row has not exactly N placeholders (so rows can never swap tokens).
    """
    places = input_ids == image_token_id
    counts = places.sum(dim=1)
    wrong = (counts != visual.shape[1]).nonzero().flatten().tolist()
    if wrong:
        raise ConfigError(
            f"expected {visual.shape[1]} image placeholders in every row, found {counts[wrong[0]].item()} in row "
            f"{wrong[0]}; build prompts with CalmProcessor, which writes one placeholder for each visual token"
        )
    return embeddings.masked_scatter(places.unsqueeze(-1), visual.to(embeddings.dtype))


class Begun(LogitsProcessor):
    """Makes answers begin with given tokens; what follows is free.

    Args:
        begun: token ids that each answer begins with.
        length: of the prompts, tokens.
    """

    def __init__(self, begun: Sequence[Sequence[int]], length: int) -> None:
        self.begun, self.length = begun, length

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """(R, T), (R, vocabulary) → (R, vocabulary); R is a multiple of the prompts, with several beams for each."""
        step, beams = input_ids.shape[1] - self.length, len(scores) // len(self.begun)
        scores = scores.clone()
        for row in range(len(scores)):
            ids = self.begun[row // beams]
            if step < len(ids):
                scores[row] = -torch.inf
                scores[row, ids[step]] = 0
        return scores


def load_tokenizer(source: str) -> PreTrainedTokenizerBase:
    """transformers' tokenizer of a language model by its source, with this project's chat template.

    Raises :class:`WeightsError`.
    """
    with reading(f"a tokenizer at {source}"):
        tokenizer = AutoTokenizer.from_pretrained(source_folder(source))
    tokenizer.chat_template = TEMPLATE
    return tokenizer


def build(vision: str, text: str, **settings: Any) -> tuple[CalmForConditionalGeneration, Tokenizer]:
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


def fill_frozen(model: CalmForConditionalGeneration) -> None:
    """Put the source's weights into encoder and language model, adapters aside. Raises :class:`WeightsError`."""
    config = model.config
    parts: tuple[tuple[nn.Module, Any, str], ...] = (
        (model.backbone.model, AutoModel, config.vision_source),
        (model.language_model, AutoModelForCausalLM, config.text_source),
    )
    for part, kind, source in parts:
        with reading(f"a transformers model at {source}"):
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


def load(folder: str | Path) -> tuple[CalmForConditionalGeneration, Tokenizer]:
    """A trained network from its folder, in float32, and its tokenizer. Raises :class:`WeightsError`."""
    quiet_transformers()
    settings = read_config(folder)
    with reading(f"a network's configuration in {folder}"):
        config = CalmConfig.from_dict(settings)
    tokenizer = source_tokenizer(config.text_source)
    with no_init_weights():  # every weight is read below
        model = CalmForConditionalGeneration(config)
    fill_frozen(model)
    embed_lexicons(model, tokenizer)
    fill_trained(model, folder)
    return model, tokenizer


AutoConfig.register(MODEL_TYPE, CalmConfig)
AutoModel.register(CalmConfig, CalmForConditionalGeneration)
AutoModelForImageTextToText.register(CalmConfig, CalmForConditionalGeneration)
