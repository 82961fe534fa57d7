"""CALM as one network: pixels in, every answer out.

Photo → views → encoder → alignment module → visual tokens → language model. The language model carries every answer:
the score, the suggestion and its amount are distributions over answer tokens, extra rows of its output embedding that
are read in one forward pass; comments and captions are generated as text.
"""

from collections.abc import Iterable
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from calm.model.alignment import AlignmentModule
from calm.model.backbone import Backbone
from calm.model.config import AMOUNT_LEVELS, SCORE_LEVELS, NetworkConfig
from calm.model.decoder import Cache
from calm.model.fixed import FixedRows
from calm.model.head_tokens import HeadTokens
from calm.model.lexicon import Lexicon
from calm.model.visual import VisualTokens


class Network(nn.Module):
    """The whole of CALM; see the module.

    Args:
        config: every size.
        vision: the encoder, see :class:`calm.model.backbone.Backbone`.
        language_model: :class:`calm.model.decoder.LanguageModel`, or what has its parts by the same names.
    """

    def __init__(self, config: NetworkConfig, vision: nn.Module, language_model: nn.Module) -> None:
        super().__init__()
        self.config = config
        self.assemble(vision, language_model)

    def assemble(self, vision: nn.Module, language_model: nn.Module) -> None:
        """Make what is learnt around encoder and language model."""
        config, width = self.config, self.config.text_config.hidden_size
        self.backbone = Backbone(vision, config.pool)
        self.alignment = AlignmentModule(config)
        self.language_model = language_model
        self.lexicon = Lexicon(len(config.vocabulary), width, config.token_rms)
        self.attribute_lexicon = Lexicon(len(config.attribute_words), width, config.token_rms)
        self.heads = HeadTokens(config)
        self.answers = nn.Linear(width, SCORE_LEVELS + config.remedies + AMOUNT_LEVELS)
        self.quality = nn.Linear(width, SCORE_LEVELS)
        self.remedy_tokens = nn.Embedding(config.remedies, width)
        nn.init.normal_(self.remedy_tokens.weight, std=config.token_rms)
        nn.init.normal_(self.answers.weight, std=0.02)
        nn.init.normal_(self.quality.weight, std=0.02)
        for layer in (self.answers, self.quality):
            nn.init.zeros_(layer.bias)

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

    # ------------------------------------------------------------------------------------------------ reading

    def hidden(self, embeddings: Tensor, mask: Tensor, positions: Tensor, cache: Cache | None = None) -> Tensor:
        """Last hidden states of packed rows: (R, T, width).

        Args:
            embeddings: (R, T, width).
            mask: (R, T, S), True where a token (second axis) may read another (third axis); S = T without a cache, else
                the room that there is with them.
            positions: (R, T).
            cache: of the tokens before, to which these are added.
        """
        blocked = torch.zeros(mask.shape, dtype=embeddings.dtype, device=mask.device)
        blocked = blocked.masked_fill(~mask, torch.finfo(embeddings.dtype).min)[:, None]
        core = self.language_model.model
        angles = core.rotary_emb(embeddings, positions)
        states = embeddings
        for layer in core.layers:
            states = layer(
                states,
                attention_mask=blocked,
                position_ids=positions,
                position_embeddings=angles,
                past_key_values=cache,
            )
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
        """(…, width) at a remedy token → (…, 10) levels of severity, float32."""
        return self.answers(states)[..., SCORE_LEVELS + self.config.remedies :].float()

    def word_logits(self, states: Tensor) -> Tensor:
        """(n, width) → (n, vocabulary) of the language model, float32."""
        head = self.language_model.lm_head
        if isinstance(head, FixedRows):
            return head(states).float()
        return F.linear(states, head.weight.to(states.dtype)).float()

    # ------------------------------------------------------------------------------------------------ parts

    def get_input_embeddings(self) -> nn.Embedding:
        """The language model's table of words."""
        return self.language_model.model.embed_tokens

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return self.answers.weight.device

    @property
    def vision_learns(self) -> bool:
        """Whether the encoder's adapters get gradients."""
        return any(parameter.requires_grad for parameter in self.backbone.parameters())

    def trained_parameters(self, parts: Iterable[str]) -> dict[str, nn.Parameter]:
        """Parameters of ``parts`` by name: ``alignment``, ``score`` (summary tokens and the score's head), ``lexicon``,
        ``heads`` (the others), ``answers``, ``vision`` and ``language`` (the adapters of those two).
        """
        prefixes = {
            "alignment": tuple(
                f"alignment.{name}." for name, _ in self.alignment.named_children() if not name.startswith("overview")
            )
            + ("alignment.detail_kind", "alignment.place"),
            "score": ("alignment.overview", "heads.score."),
            "lexicon": ("lexicon.", "attribute_lexicon."),
            "heads": ("heads.remedy.",),
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
