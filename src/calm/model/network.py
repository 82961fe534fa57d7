"""CALM as one network: pixels in, every answer out.

Photo → views → encoder → alignment module → visual tokens → language model. The language model carries every answer:
the score, the suggestion and its amount are distributions over answer tokens, extra rows of its output embedding that
are read in one forward pass; comments and captions are generated as text.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from os import PathLike
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import (
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForImageTextToText,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.modeling_outputs import CausalLMOutputWithPast

from calm.errors import ConfigError, UsageError
from calm.model.alignment import AlignmentModule
from calm.model.backbone import Backbone
from calm.model.config import AMOUNT_LEVELS, SCORE_LEVELS, CalmConfig
from calm.model.head_tokens import HeadTokens
from calm.model.lexicon import Lexicon
from calm.model.splice import splice


@dataclass(frozen=True)
class VisualTokens:
    """What the language model sees of a batch of photos.

    Attributes:
        frame: (B, config.frame_tokens, width), summaries of the whole frame; every question reads these.
        detail: (B, config.detail_tokens, width), all that the question about the score does not read: levels of the
            frame, what it shows, and how its native-resolution crop looks; None where only the score was wanted.
        words: (B, len(config.vocabulary)), how sure each word is (logits), None without a vocabulary.
        attributes: (B, len(config.attribute_words)), the same of attribute words, which the crop's tokens take part in;
            None where the crop was not read.
        thematic: (B, 1 + config.thematic_grid², width), the thematic tokens alone; None without them.
        score, remedy, amount: logits of the auxiliary heads, (B, 10), (B, config.remedies), (B, AMOUNT_LEVELS); None
            where they were not read.
    """

    frame: Tensor
    detail: Tensor | None
    words: Tensor | None
    attributes: Tensor | None = None
    thematic: Tensor | None = None
    score: Tensor | None = None
    remedy: Tensor | None = None
    amount: Tensor | None = None

    @property
    def parts(self) -> list[Tensor | None]:
        """All attributes in their order."""
        return [getattr(self, each.name) for each in fields(self)]

    def of(self, photos: slice | Tensor) -> VisualTokens:
        """Those of some of the photos."""
        return VisualTokens(*(None if part is None else part[photos] for part in self.parts))


class CalmForConditionalGeneration(PreTrainedModel):
    """The whole of CALM; see the module.

    Attributes:
        tokenizer: of the language model, for :meth:`generate`; None until :meth:`from_pretrained` or a caller sets it.
    """

    config_class = CalmConfig
    base_model_prefix = "calm"
    _supports_sdpa = True

    def __init__(self, config: CalmConfig) -> None:
        super().__init__(config)
        vision, text = config.vision_config, config.text_config
        self.backbone = Backbone(AutoModel.from_config(vision, dtype=torch.float32), config.pool)
        self.alignment = AlignmentModule(config)
        self.language_model = AutoModelForCausalLM.from_config(text, dtype=torch.float32)
        self.lexicon = Lexicon(len(config.vocabulary), text.hidden_size, config.token_rms)
        self.attribute_lexicon = Lexicon(len(config.attribute_words), text.hidden_size, config.token_rms)
        self.heads = HeadTokens(config)
        rows = SCORE_LEVELS + config.remedies + AMOUNT_LEVELS
        self.answers = nn.Linear(text.hidden_size, rows)
        self.quality = nn.Linear(text.hidden_size, SCORE_LEVELS)
        self.remedy_tokens = nn.Embedding(config.remedies, text.hidden_size)
        nn.init.normal_(self.remedy_tokens.weight, std=config.token_rms)
        nn.init.normal_(self.answers.weight, std=0.02)
        nn.init.normal_(self.quality.weight, std=0.02)
        for layer in (self.answers, self.quality):
            nn.init.zeros_(layer.bias)
        self.add_adapters()
        self.tokenizer: PreTrainedTokenizerBase | None = None

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
        cls,
        pretrained_model_name_or_path: str | PathLike[str],
        dtype: str | torch.dtype | None = None,
        **options: Any,
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
        from calm.model.storage import load
        from calm.model.weights import model_dir

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
        from calm.model.storage import save

        save(self, Path(save_directory))

    # ------------------------------------------------------------------------------------------------ seeing

    def see(
        self,
        frames: Tensor,
        crops: Tensor | None = None,
        measures: Tensor | None = None,
        wanted: Tensor | None = None,
        score_only: bool = False,
    ) -> VisualTokens:
        """Visual tokens of photos.

        Args:
            frames: (B, 3, S, S), whole frames squashed to a square, normalised.
            crops: (B, 3, S, S), native-resolution crops; a photo too small for one gives its frame again. None where
                only the frame is read, as the score does.
            measures: (B, config.measures), standardised pixel statistics.
            wanted: (B,), True where the crop will be read; the detail tokens of the others are zeros. None for all.
            score_only: leave out whatever the score is not read from.
        """
        here = torch.ones(len(frames), dtype=torch.bool, device=frames.device) if wanted is None else wanted
        features = self.backbone(frames, self.config.layers)
        detail = None
        if crops is not None:
            shape = (len(crops), len(self.config.detail_layers), *features.shape[2:])
            detail = features.new_zeros(shape)
            if here.any() and self.config.detail_layers:
                found = self.backbone(crops[here], self.config.detail_layers)
                detail = detail.index_put((here.nonzero()[:, 0],), found.to(detail.dtype))
        return self.align(features, detail, measures, here, score_only)

    def align(
        self,
        features: Tensor,
        detail: Tensor | None = None,
        measures: Tensor | None = None,
        wanted: Tensor | None = None,
        score_only: bool = False,
    ) -> VisualTokens:
        """Visual tokens from encoder features, see :meth:`see`.

        Args:
            features: (B, len(config.layers), tokens, width), of the frames.
            detail: (B, len(config.detail_layers), tokens, width), of the crops.
        """
        dtype = self.alignment.detail_kind.dtype
        features = features.to(dtype)
        tokens = self.alignment.frame(features, self.config.scored if score_only else None)
        thematic = tokens.pop("thematic", None)
        words = None
        if self.config.vocabulary and thematic is not None:
            words = self.lexicon.logits(thematic)
        frame = torch.cat([tokens[name] for name in self.config.scored], dim=1)
        score = self.heads.read_score(frame)
        if self.config.head_tokens:
            frame = torch.cat([self.heads.token("score", score).to(dtype), frame], dim=1)
        seen = VisualTokens(frame, None, words, thematic=thematic, score=score)
        if detail is None:
            return seen
        here = torch.ones(len(features), dtype=torch.bool, device=features.device) if wanted is None else wanted
        if not here.any():
            shape = (len(features), self.config.detail_tokens, frame.shape[2])
            return replace(seen, detail=frame.new_zeros(shape))
        return replace(seen, **self._detail(tokens, seen, detail.to(dtype), measures, here))

    def _detail(
        self, tokens: dict[str, Tensor], seen: VisualTokens, detail: Tensor, measures: Tensor | None, here: Tensor
    ) -> dict[str, Tensor]:
        """What :class:`VisualTokens` holds beyond the frame, of those photos that are `here`; zeros for the others."""
        config = self.config
        parts = [each[here] for name, each in tokens.items() if name not in config.scored]
        if seen.thematic is not None:
            parts.append(seen.thematic[here])
            if seen.words is not None and config.words:
                parts.append(self.lexicon.surest(seen.words[here], config.words))
        of_frame = {name: each[here] for name, each in tokens.items()}
        question = self.alignment.question(None if measures is None else measures[here])
        crop = self.alignment.detail(detail[here], question)
        parts.append(crop)
        found = {}
        if config.attribute_words:
            aligned = torch.cat([*(of_frame[name] for name in config.branches), crop], dim=1)
            found["attributes"] = self.attribute_lexicon.logits(aligned)
            if config.attribute_tokens:
                parts.append(self.attribute_lexicon.surest(found["attributes"], config.attribute_tokens))
        found["remedy"], found["amount"] = self.heads.read_remedy(of_frame, crop, question)
        if config.head_tokens:
            parts += [self.heads.token(name, found[name]) for name in ("remedy", "amount")]
        found["detail"] = torch.cat([part.to(crop.dtype) for part in parts], dim=1)
        place = (here.nonzero()[:, 0],)
        return {name: each.new_zeros(len(here), *each.shape[1:]).index_put(place, each) for name, each in found.items()}

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
        from calm.tasks.reader import Begun, Reader

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

    # ------------------------------------------------------------------------------------------------ reading

    def hidden(self, embeddings: Tensor, mask: Tensor, positions: Tensor) -> Tensor:
        """Last hidden states of packed rows.

        Args:
            embeddings: (R, T, width).
            mask: (R, T, T), True where a token (second axis) may read another (third axis).
            positions: (R, T).
        """
        blocked = torch.zeros(mask.shape, dtype=embeddings.dtype, device=mask.device)
        blocked = blocked.masked_fill(~mask, torch.finfo(embeddings.dtype).min)[:, None]
        core = self.language_model.model
        angles = core.rotary_emb(embeddings, positions)
        states = embeddings
        for layer in core.layers:
            states = layer(states, attention_mask=blocked, position_ids=positions, position_embeddings=angles)
            states = states[0] if isinstance(states, tuple) else states
        return core.norm(states)

    def score_logits(self, states: Tensor) -> Tensor:
        """(n, width) at the end of the score's question → (n, 10), float32."""
        return self.answers(states)[:, :SCORE_LEVELS].float()

    def quality_logits(self, states: Tensor) -> Tensor:
        """(n, width) at the end of the question about technical quality → (n, 10), float32."""
        return self.quality(states).float()

    def remedy_logits(self, states: Tensor) -> Tensor:
        """(n, width) at the end of the suggestion's question → (n, remedies), the last is "nothing", float32."""
        return self.answers(states)[:, SCORE_LEVELS : SCORE_LEVELS + self.config.remedies].float()

    def amount_logits(self, states: Tensor) -> Tensor:
        """(n, width) at a remedy token → (n, 10) levels of severity, float32."""
        return self.answers(states)[:, SCORE_LEVELS + self.config.remedies :].float()

    def word_logits(self, states: Tensor) -> Tensor:
        """(n, width) → (n, vocabulary) of the language model, float32."""
        return F.linear(states, self.language_model.get_output_embeddings().weight.to(states.dtype)).float()

    # ------------------------------------------------------------------------------------------------ parts

    @property
    def vision_learns(self) -> bool:
        """Whether the encoder's adapters get gradients."""
        return any(parameter.requires_grad for parameter in self.backbone.parameters())

    def trained_parameters(self, parts: Iterable[str]) -> dict[str, nn.Parameter]:
        """Parameters of ``parts`` by name: ``alignment``, ``lexicon``, ``heads``, ``answers``, ``vision`` and
        ``language`` (the adapters of those two).
        """
        prefixes = {
            "alignment": ("alignment.",),
            "lexicon": ("lexicon.", "attribute_lexicon."),
            "heads": ("heads.score.", "heads.remedy."),
            "answers": ("answers.", "quality.", "remedy_tokens.", "heads.levels."),
            "vision": ("backbone.",),
            "language": ("language_model.",),
        }
        found = {}
        for part in parts:
            for name, parameter in self.named_parameters():
                if name.startswith(prefixes[part]) and (part not in ("vision", "language") or "lora_" in name):
                    found[name] = parameter
        return found


def score_mean(logits: Tensor) -> Tensor:
    """Mean of the distribution over 1 … 10: (n, 10) → (n,)."""
    return (logits.float().softmax(dim=1) * torch.arange(1.0, SCORE_LEVELS + 1, device=logits.device)).sum(dim=1)


AutoModel.register(CalmConfig, CalmForConditionalGeneration)
AutoModelForImageTextToText.register(CalmConfig, CalmForConditionalGeneration)
