"""CALM as a transformers model: frozen encoder, alignment module, language model."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoModel, AutoModelForCausalLM, GenerationMixin, PreTrainedModel
from transformers.cache_utils import Cache
from transformers.modeling_outputs import CausalLMOutputWithPast

from calm.errors import ConfigError
from calm.model.backbone import merge_lora
from calm.model.configuration import CalmConfig
from calm.model.encoder import VisionEncoder, check_targets
from calm.model.examples import Examples
from calm.model.heads import AuxiliaryHeads, Beliefs
from calm.model.mfam import Mfam
from calm.model.pyramid import Pyramid
from calm.model.splice import splice

PARTS = {
    "vision": "vision.",
    "mfam": "mfam.",
    "statistics": "mfam.statistics.",
    "technique": "mfam.technique.",
    "heads": "heads.",
    "content": "heads.out.content.",
    "beliefs": "beliefs.",
    "language": "language_model.",
    "pyramid": "pyramid.",
    "examples": "examples.",
}
"""Name of each part of the model and the prefix of its parameters; some parts contain others."""


class CalmForConditionalGeneration(PreTrainedModel, GenerationMixin):
    """Reads ``<low><middle><high><thematic><instruction>`` and answers in words.

    Photos enter as ``views`` (B, 1 + crops, 3, S, S), the whole frame first, with ``crop_mask`` (B, crops) and
    ``measures`` (B, config.measures); or as ready ``visual`` tokens (B, N, D) from :meth:`visual_tokens`.
    """

    config_class = CalmConfig
    base_model_prefix = ""
    main_input_name = "input_ids"
    supports_gradient_checkpointing = True
    _supports_sdpa = True
    _tied_weights_keys = {"language_model.lm_head.weight": "language_model.model.embed_tokens.weight"}

    def __init__(self, config: CalmConfig) -> None:
        super().__init__(config)
        if config.vision_config is None or config.text_config is None:
            raise ConfigError("expected vision_config and text_config in CalmConfig, found none; give both")
        vision = AutoModel.from_config(config.vision_config)
        self.vision = VisionEncoder(getattr(vision, "vision_model", vision), config.pool)
        self.mfam = Mfam(config)
        self.heads = AuxiliaryHeads(config)
        self.beliefs = Beliefs(config) if config.beliefs else None
        self.pyramid = Pyramid(config) if config.pyramid_config is not None else None
        size = config.text_config.hidden_size
        self.examples = Examples(config.examples, size, config.token_rms) if config.examples else None
        self.language_model = AutoModelForCausalLM.from_config(config.text_config)
        if not self.language_model.config.tie_word_embeddings:
            self._tied_weights_keys = {}
        self.add_adapters()
        self.post_init()

    def _init_weights(self, module: nn.Module) -> None:
        """Parts initialise themselves."""

    # ------------------------------------------------------------------------------------------------ adapters

    def add_adapters(self) -> None:
        """Put the low-rank adapters that the configuration names into encoder and language model (PEFT)."""
        from peft import LoraConfig, inject_adapter_in_model

        for part, settings in (
            (self.vision.model, self.config.vision_lora),
            (self.language_model, self.config.text_lora),
        ):
            if settings:
                check_targets(part, settings.get("target_modules"))
                inject_adapter_in_model(LoraConfig(**settings), part)

    def set_token_rms(self, value: float) -> None:
        """Set the root mean square of every visual token; see :class:`CalmConfig`."""
        self.config.token_rms = value
        for part in (self.beliefs, self.examples):
            if part is not None:
                part.token_rms = value

    def merge_adapters(self) -> None:
        """Fold the adapters into the weights they adapt: the same function, fewer multiplications, no adapter left."""
        self.vision.fold(self._fork)
        merge_lora(self.language_model)
        self.config.vision_lora = None
        self.config.text_lora = None

    def merged_vision(self) -> VisionEncoder:
        """A copy of the encoder with its adapters folded in, for encoding many photos."""
        vision = copy.deepcopy(self.vision).eval()
        vision.fold(self._fork)
        return vision

    @property
    def _fork(self) -> int | None:
        """The block after which the encoder goes on with its adapters and without them; None where it does not fork."""
        return self.config.trunk if self.config.vision_lora and self.config.adapted_branches is not None else None

    def adapter_parameters(self, part: str) -> Iterable[tuple[str, nn.Parameter]]:
        """Names and parameters of the adapters in ``vision`` or ``language``."""
        prefix = PARTS[part]
        return ((n, p) for n, p in self.named_parameters() if n.startswith(prefix) and "lora_" in n)

    # ------------------------------------------------------------------------------------------------ seeing

    def encode(
        self,
        views: Tensor,
        crop_mask: Tensor | None = None,
        vision: VisionEncoder | None = None,
        branches: Sequence[str] | None = None,
    ) -> dict[str, Tensor]:
        """Encoder features of photos.

        Args:
            views: (B, V, 3, S, S), whole frame first; V is 1 (frame only) or 1 + config.crops.
            crop_mask: (B, V − 1); crops that are False are not encoded.
            vision: a copy of the encoder to use, such as :meth:`merged_vision`.
            branches: those that will be computed; None for all.

        Returns:
            ``whole`` (B, layers, tokens, width), None where no branch reads it; with ``config.adapted_branches``,
            ``adapted`` of the same shape if one of them is computed; and, when V > 1, ``crops`` (B, V − 1, low layers,
            tokens, width).
        """
        vision = vision or self.vision
        config = self.config
        seen: dict[str, Any] = {"whole": None}
        if config.adapted_branches is None:
            seen["whole"] = vision(views[:, 0], config.layers)
        else:
            asked = set(config.branch_names if branches is None else branches)
            if asked - set(config.adapted_branches):
                seen["whole"] = vision(views[:, 0], config.layers, adapted=False)
            if asked & set(config.adapted_branches):
                seen["adapted"] = vision(views[:, 0], config.layers)
        if views.shape[1] > 1:
            seen["crops"] = self.encode_crops(views[:, 1:], crop_mask, vision)
        return seen

    def encode_crops(self, crops: Tensor, crop_mask: Tensor | None, vision: VisionEncoder) -> Tensor:
        """(B, crops, 3, S, S) → (B, crops, low layers, tokens, width), zeros where the mask says there is none."""
        wanted = torch.ones(crops.shape[:2], dtype=torch.bool) if crop_mask is None else crop_mask.bool()
        shape = (len(self.config.low_layers), self.config.features_tokens, vision.width)
        features = torch.zeros((*crops.shape[:2], *shape), dtype=vision.model.dtype, device=crops.device)
        if wanted.any():
            plain = self.config.adapted_branches is not None
            features[wanted] = vision(crops[wanted], self.config.low_layers, adapted=not plain)
        return features

    def start(self, frames: Tensor, vision: VisionEncoder | None = None) -> Tensor:
        """What the blocks that stand still say of whole frames (B, 3, S, S): (B, n, width)."""
        return (vision or self.vision).start(frames, self.config.layers, self.config.trunk)

    def finish(
        self,
        started: Tensor,
        cells: Tensor | None = None,
        vision: VisionEncoder | None = None,
        adapted: bool = True,
    ) -> Tensor:
        """Features of whole frames from what :meth:`start` gave: (B, layers, tokens, width).

        ``cells``, ``adapted``: see :meth:`calm.model.encoder.VisionEncoder.finish`.
        """
        return (vision or self.vision).finish(started, self.config.layers, self.config.trunk, cells, adapted)

    def adapters_digest(self) -> str:
        """Twelve hex digits that name the encoder's adapters as they are now; "" when there are none, or when they
        change nothing yet (their second factor begins at zero).
        """
        digest = hashlib.sha256()
        found = sorted(self.adapter_parameters("vision"), key=lambda item: item[0])
        for name, value in found:
            digest.update(name.encode() + value.detach().float().cpu().numpy().tobytes())
        changed = any(bool(value.detach().any()) for name, value in found if "lora_B" in name)
        return digest.hexdigest()[:12] if changed else ""

    def align(
        self,
        whole: Tensor | None,
        crops: Tensor | None = None,
        crop_mask: Tensor | None = None,
        measures: Tensor | None = None,
        branches: Sequence[str] | None = None,
        adapted: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """Branch tokens from features; see :meth:`calm.model.mfam.Mfam.forward`. With them, ``beliefs``."""
        dtype = next(self.mfam.parameters()).dtype
        whole, crops, adapted = (None if each is None else each.to(dtype) for each in (whole, crops, adapted))
        tokens = self.mfam(whole, crops, crop_mask, measures, branches, adapted)
        if self.beliefs is not None:
            tokens["beliefs"] = self.beliefs(self.heads(tokens, measures), measures)
        return tokens

    def visual_tokens(self, views: Tensor, crop_mask: Tensor | None = None, measures: Tensor | None = None) -> Tensor:
        """Visual tokens of photos as they stand in a prompt: (B, config.visual_tokens, D)."""
        return join(self.align(**self.encode(views, crop_mask), crop_mask=crop_mask, measures=measures))

    # ------------------------------------------------------------------------------------------------ speaking

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        views: Tensor | None = None,
        crop_mask: Tensor | None = None,
        measures: Tensor | None = None,
        visual: Tensor | None = None,
        position_ids: Tensor | None = None,
        past_key_values: Cache | None = None,
        inputs_embeds: Tensor | None = None,
        labels: Tensor | None = None,
        logits_to_keep: int | Tensor = 0,
        **kwargs: Any,
    ) -> CausalLMOutputWithPast:
        """The language model over the spliced prompt.

        Args:
            input_ids: (B, T) with ``config.visual_tokens`` placeholders a photo.
            visual: (B, N, D), instead of ``views``.
            labels: (B, T), −100 where no loss is wanted.

        Returns:
            transformers' causal output; logits (B, T or ``logits_to_keep``, vocabulary).
        """
        if inputs_embeds is None:
            inputs_embeds = self.get_input_embeddings()(input_ids)
            if visual is None and views is not None:
                visual = self.visual_tokens(views, crop_mask, measures)
            if visual is not None:
                inputs_embeds = splice(inputs_embeds, input_ids, visual, self.config.image_token_id)
        return self.language_model(
            inputs_embeds=inputs_embeds,
            attention_mask=attention_mask,
            position_ids=position_ids,
            past_key_values=past_key_values,
            labels=labels,
            logits_to_keep=logits_to_keep,
            **kwargs,
        )

    def prepare_inputs_for_generation(self, input_ids: Tensor, **kwargs: Any) -> dict[str, Any]:
        """Photos stand in the prompt: after the first step they live in the key–value cache."""
        first = kwargs.get("is_first_iteration", False) or not kwargs.get("use_cache", True)
        photos = {name: kwargs.pop(name, None) for name in ("views", "crop_mask", "measures", "visual")}
        inputs = super().prepare_inputs_for_generation(input_ids, **kwargs)
        return inputs | photos if first else inputs

    def get_input_embeddings(self) -> nn.Module:
        return self.language_model.get_input_embeddings()

    def set_input_embeddings(self, value: nn.Module) -> None:
        self.language_model.set_input_embeddings(value)

    def get_output_embeddings(self) -> nn.Module:
        return self.language_model.get_output_embeddings()


def join(tokens: dict[str, Tensor]) -> Tensor:
    """Tokens in prompt order, low, middle, high, thematic, beliefs: (B, N, D)."""
    return torch.cat(list(tokens.values()), dim=1)


AutoModel.register(CalmConfig, CalmForConditionalGeneration)
AutoModelForCausalLM.register(CalmConfig, CalmForConditionalGeneration)
