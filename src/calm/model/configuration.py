"""Configuration of a CALM model: which parts, which depths, how many tokens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from transformers import AutoConfig, PretrainedConfig

from calm.data.looks import LOOKS
from calm.errors import ConfigError
from calm.model import lite  # noqa: F401 - makes its configuration known to transformers

BRANCHES = ("low", "middle", "high")
"""The three Q-Former branches; the fourth branch is thematic."""


class CalmConfig(PretrainedConfig):
    """Everything that fixes a model's shape.

    Args:
        vision_config: configuration of a transformers vision model (or its dictionary).
        text_config: configuration of a transformers causal language model (or its dictionary).
        vision_source, text_source: where the frozen base weights come from when a checkpoint holds only what was
            trained: ``packaged:NAME``, a folder, or a hub id; empty when the checkpoint holds everything.
        image_size: side of a view, pixels.
        crops: native-resolution crops beside the whole frame, 0 or more.
        low_layers, middle_layers, high_layers: encoder blocks that each Q-Former reads, 1 is the first. The
            thematic branch reads ``thematic_layer``. Crops are read by the low branch alone.
        low_queries, middle_queries, high_queries: tokens that each Q-Former gives.
        thematic: whether there is a thematic branch (without: for the ablation).
        thematic_grid: it gives ``thematic_grid² + 1`` tokens.
        pool: side of the square of patches averaged into one feature.
        measures: length of the vector of pixel measurements that the low and middle branches may read (shorter vectors
            are padded with zeros); 0 for none.
        measure_tokens: tokens that the vector becomes.
        qformer_layers, qformer_heads, qformer_hidden, qformer_dropout: shape of each Q-Former.
        summaries: whether each Q-Former's queries depend on the photo through a summary of its layers (ours; the
            paper's queries are the same for every photo).
        statistics: tokens of a fully connected branch over the summary token, mean and spread of the patches of every
            layer that is read of the frame (ours; 0 for none, as in the paper).
        technique: tokens of another such branch, which reads the crops' as well: what edits are told from (ours; 0 for
            none).
        statistics_hidden, technique_hidden, statistics_dropout: widths of these branches, and dropout in them.
        beliefs: tokens that say in the language model's own space what the auxiliary heads believe and what was
            measured (ours; 0 for none, as in the paper): it reads a score or a fault from them many times sooner than
            from the branches alone.
        notes: whether comments follow notes of what was observed, in words, before the question (ours; see
            :mod:`calm.words.notes`).
        looks: ways to see a frame, of :data:`calm.data.looks.LOOKS`; a score is the mean of what is read from each
            (ours).
        semantics_sources: of networks that were taught what photos show and are read where they are described, such as
            ``packaged:lite0`` (ours; see :mod:`calm.model.semantics`).
        examples: numbers that a rated photo has in a prompt of examples; 0: the model reads none (see
            :mod:`calm.model.examples`).
        token_rms: root mean square of a visual token, near that of the language model's word embeddings (0.13 in
            SmolLM2; 0: as measured when the model is built). Fixed: were it learnt, the heads, blind to scale, would
            let it shrink.
        head_hidden: width of the auxiliary heads' hidden layers.
        head_branches: branches whose tokens the heads of people's judgements (score, quality, emotions, content)
            read, by name; None for all.
        edit_branches: the same for the heads of edits.
        content_branches: branches whose tokens the head of content reads by a single linear map; None where it shares
            the hidden layer of people's judgements.
        adapted_branches: branches that read the encoder with its adapters, by name; the others read it without, so that
            what is learnt from scores does not disturb what is learnt from edits (ours). None: with adapters, all.
        pyramid_config: configuration of a convolutional network of transformers that judges beside the encoder (ours;
            see :mod:`calm.model.pyramid`), or None.
        pyramid_source: where its weights come from before anything is trained, as ``vision_source``.
        pyramid_mean, pyramid_std: what its inputs are normalised by.
        pyramid_frozen: its first convolutions that do not learn.
        pyramid_kernels: whether kernels of single channels (depthwise convolutions) learn too; they are few, and take
            more than half of the time of a step.
        pyramid_dropout: before its heads.
        pyramid_looks: ways in which it sees a frame; its opinion is their mean.
        pyramid_share: weight of its opinion in a score, 0–1; the looks share the rest.
        image_token_id: placeholder in the prompt, one for each visual token.
        vision_lora, text_lora: keyword arguments of ``peft.LoraConfig`` for adapters in encoder and language model,
            or None.
        text_learns: the language model's own weights learn where it learns, not only adapters in it.
    """

    model_type = "calm"

    def __init__(
        self,
        vision_config: PretrainedConfig | dict[str, Any] | None = None,
        text_config: PretrainedConfig | dict[str, Any] | None = None,
        vision_source: str = "",
        text_source: str = "",
        image_size: int = 224,
        image_mean: tuple[float, float, float] = (0.485, 0.456, 0.406),
        image_std: tuple[float, float, float] = (0.229, 0.224, 0.225),
        crops: int = 2,
        low_layers: tuple[int, ...] = (3, 6),
        middle_layers: tuple[int, ...] = (6, 9),
        high_layers: tuple[int, ...] = (9, 12),
        thematic_layer: int = 12,
        low_queries: int = 8,
        middle_queries: int = 8,
        high_queries: int = 8,
        thematic: bool = True,
        thematic_grid: int = 4,
        pool: int = 2,
        measures: int = 0,
        measure_tokens: int = 4,
        qformer_layers: int = 2,
        qformer_heads: int = 6,
        qformer_hidden: int = 768,
        qformer_dropout: float = 0.1,
        summaries: bool = True,
        statistics: int = 0,
        technique: int = 0,
        statistics_hidden: int = 384,
        technique_hidden: int = 256,
        statistics_dropout: float = 0.3,
        beliefs: int = 0,
        notes: bool = False,
        looks: tuple[str, ...] = ("frame",),
        semantics_sources: tuple[str, ...] = (),
        examples: int = 0,
        token_rms: float = 0.13,
        head_hidden: int = 384,
        head_branches: tuple[str, ...] | None = None,
        edit_branches: tuple[str, ...] | None = None,
        content_branches: tuple[str, ...] | None = None,
        adapted_branches: tuple[str, ...] | None = None,
        pyramid_config: PretrainedConfig | dict[str, Any] | None = None,
        pyramid_source: str = "",
        pyramid_mean: tuple[float, float, float] = (0.5, 0.5, 0.5),
        pyramid_std: tuple[float, float, float] = (0.5, 0.5, 0.5),
        pyramid_frozen: int = 0,
        pyramid_kernels: bool = True,
        pyramid_dropout: float = 0.5,
        pyramid_looks: tuple[str, ...] = ("frame",),
        pyramid_share: float = 0.25,
        image_token_id: int = 0,
        vision_lora: dict[str, Any] | None = None,
        text_lora: dict[str, Any] | None = None,
        text_learns: bool = False,
        **kwargs: Any,
    ) -> None:
        self.vision_config: Any = _as_config(vision_config)
        self.text_config: Any = _as_config(text_config)
        self.vision_source = vision_source
        self.text_source = text_source
        self.image_size = image_size
        self.image_mean = list(image_mean)
        self.image_std = list(image_std)
        self.crops = crops
        self.low_layers = list(low_layers)
        self.middle_layers = list(middle_layers)
        self.high_layers = list(high_layers)
        self.thematic_layer = thematic_layer
        self.low_queries = low_queries
        self.middle_queries = middle_queries
        self.high_queries = high_queries
        self.thematic = thematic
        self.thematic_grid = thematic_grid
        self.pool = pool
        self.measures = measures
        self.measure_tokens = measure_tokens
        self.qformer_layers = qformer_layers
        self.qformer_heads = qformer_heads
        self.qformer_hidden = qformer_hidden
        self.qformer_dropout = qformer_dropout
        self.summaries = summaries
        self.statistics = statistics
        self.technique = technique
        self.statistics_hidden = statistics_hidden
        self.technique_hidden = technique_hidden
        self.statistics_dropout = statistics_dropout
        self.beliefs = beliefs
        self.notes = notes
        self.looks = list(looks)
        self.semantics_sources = list(semantics_sources)
        self.examples = examples
        self.token_rms = token_rms
        self.head_hidden = head_hidden
        self.head_branches = None if head_branches is None else list(head_branches)
        self.edit_branches = None if edit_branches is None else list(edit_branches)
        self.content_branches = None if content_branches is None else list(content_branches)
        self.adapted_branches = None if adapted_branches is None else list(adapted_branches)
        self.pyramid_config: Any = _as_config(pyramid_config)
        self.pyramid_source = pyramid_source
        self.pyramid_mean = list(pyramid_mean)
        self.pyramid_std = list(pyramid_std)
        self.pyramid_frozen = pyramid_frozen
        self.pyramid_kernels = pyramid_kernels
        self.pyramid_dropout = pyramid_dropout
        self.pyramid_looks = list(pyramid_looks)
        self.pyramid_share = pyramid_share
        self.image_token_id = image_token_id
        self.vision_lora = vision_lora
        self.text_lora = text_lora
        self.text_learns = text_learns
        kwargs.setdefault("is_encoder_decoder", False)
        super().__init__(**kwargs)
        if self.looks[:1] != ["frame"] or set(self.looks) - set(LOOKS):
            raise ConfigError(f"expected looks among {', '.join(LOOKS)}, the frame first, found {self.looks}")
        if not self.pyramid_looks or set(self.pyramid_looks) - set(LOOKS):
            raise ConfigError(f"expected pyramid_looks among {', '.join(LOOKS)}, found {self.pyramid_looks}")
        if self.vision_config is not None:
            depth = self.vision_config.num_hidden_layers
            if max(self.layers) > depth:
                raise ConfigError(f"expected encoder layers up to {depth}, found {self.layers}; name blocks that exist")
            if min(self.layers) < 1:
                raise ConfigError(f"expected encoder layers from 1 on, found {self.layers}; 1 is the first block")
            if self.vision_config.hidden_size % qformer_heads:
                raise ConfigError(
                    f"expected qformer_heads to divide the encoder's width {self.vision_config.hidden_size}, found "
                    f"{qformer_heads}; choose a divisor"
                )
            if self.adapted_branches is not None and self.vision_lora and not 0 < self.trunk < depth:
                raise ConfigError(
                    f"expected adapters above a block that stands still where adapted_branches is given, found them "
                    f"from block {self.trunk + 1} on; give vision_lora layers_to_transform"
                )

    def reads_adapted(self, branch: str) -> bool:
        """Whether a branch reads the encoder with its adapters while others read it without."""
        return self.adapted_branches is not None and branch in self.adapted_branches

    @property
    def layers(self) -> list[int]:
        """Every encoder block that is read, shallow to deep."""
        return sorted({*self.low_layers, *self.middle_layers, *self.high_layers, self.thematic_layer})

    @property
    def branch_names(self) -> list[str]:
        """The branches that have tokens, in prompt order."""
        counts = {branch: getattr(self, f"{branch}_queries") for branch in BRANCHES}
        counts |= {"thematic": int(self.thematic), "statistics": self.statistics, "technique": self.technique}
        return [branch for branch, count in counts.items() if count]

    @property
    def opinion_branches(self) -> list[str] | None:
        """The branches that every head but those of edits reads; None for all."""
        if self.head_branches is None:
            return None
        return [*self.head_branches, *(b for b in self.content_branches or [] if b not in self.head_branches)]

    @property
    def trunk(self) -> int:
        """Blocks of the encoder that stand still: those below the first that has an adapter; 0 … depth."""
        if not self.vision_lora:
            return self.vision_config.num_hidden_layers
        return min(self.vision_lora.get("layers_to_transform") or [0])

    @property
    def features_side(self) -> int:
        """Side of the grid of pooled patch features."""
        return self.image_size // self.vision_config.patch_size // self.pool

    @property
    def features_tokens(self) -> int:
        """Features of one view and layer: the summary token and the grid."""
        return 1 + self.features_side**2

    @property
    def thematic_tokens(self) -> int:
        """Tokens of the thematic branch."""
        return 1 + self.thematic_grid**2 if self.thematic else 0

    @property
    def visual_tokens(self) -> int:
        """Tokens of one photo in the prompt."""
        return self.tokens_of(None)

    def tokens_of(self, branches: Sequence[str] | None) -> int:
        """Tokens of one photo in a prompt that has these branches alone, all for None, and the beliefs in any case."""
        counts = {branch: getattr(self, f"{branch}_queries") for branch in BRANCHES}
        counts |= {"thematic": self.thematic_tokens, "statistics": self.statistics, "technique": self.technique}
        return sum(n for name, n in counts.items() if branches is None or name in branches) + self.beliefs

    def get_text_config(self, *_args: Any, **_kwargs: Any) -> PretrainedConfig:
        """The language model's configuration, which generation asks for."""
        return self.text_config if self.text_config is not None else self


def _as_config(value: PretrainedConfig | dict[str, Any] | None) -> PretrainedConfig | None:
    if isinstance(value, dict):
        fields = dict(value)
        return AutoConfig.for_model(fields.pop("model_type"), **fields)
    return value


AutoConfig.register("calm", CalmConfig)
