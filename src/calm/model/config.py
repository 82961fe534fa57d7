"""Configuration of the network: every size that is not derived from another.

The paper (CALM, AAAI 2025, arXiv 2412.11952) publishes no layer map, query counts or token counts. The defaults here
are ours, and docs/lab.md has the measurements behind them.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from calm.data.measure import MEASURE_NAMES
from calm.errors import ConfigError
from calm.types import CLASSES, LEAST

SCORE_LEVELS = 10
"""Levels of the score's distribution: 1, 2, … 10."""
AMOUNT_LEVELS = 10
"""Levels of the severity of a fault, from 0 to 1 in equal steps."""


@dataclass(frozen=True)
class BranchConfig:
    """One Q-Former of the alignment module: how many tokens it writes, and which encoder blocks it reads."""

    queries: int
    layers: tuple[int, ...]


class NetworkConfig:
    """Configuration of :class:`calm.model.network.Network`.

    Args:
        vision_config, text_config: of the encoder and the language model, as their ``config.json`` has them: as
            dictionaries, or as objects of transformers.
        vision_source, text_source: packaged parts, folders or hub names that the frozen weights come from.
        image_size: side of a view in pixels.
        pool: side of the square of patches that is averaged into one feature token.
        branches: the Q-Formers by name: ``queries`` and ``layers`` (1 is the first block of the encoder).
        thematic_grid: side of the grid of thematic tokens; one more stands for the whole frame.
        summary_tokens: tokens of a fully connected branch over summaries of all layers; 0 for none.
        summary_hidden, summary_dropout: its hidden width and dropout.
        words: how many of the surest words stand among the visual tokens; 0 for none.
        vocabulary: the words that the thematic branch is aligned with.
        attribute_words: words of light, colour, sharpness, mood and faults that the other branches are aligned with.
        attribute_tokens: how many of the surest of them stand among the tokens of the crop.
        qformer_layers, qformer_heads, qformer_hidden: of each Q-Former; its width is the encoder's.
        qformer_dropout: dropout inside the Q-Formers, 0–1.
        share_qformer: one stack of layers for all Q-Formers, which then differ in queries and projections alone.
        head_tokens: what the auxiliary heads predict stands among the visual tokens.
        measures: pixel statistics that the detail tokens are asked with; 0 for none.
        token_rms: root mean square of every visual token, that of the language model's word embeddings.
        vision_lora, text_lora: adapters of the encoder and of the language model, or None.
        remedy_temperature, remedy_nothing: what the logits of remedies are divided by, and what is then added to the
            one of "nothing": see :mod:`calm.train.confidence`.
        remedy_least: confidence, 0–1, from which a suggestion is made unless another is asked for.
        score_head_share: share, 0–1, of the score head in the score; the rest is the language model's.
        image_mean, image_std: of the encoder's normalisation.
        image_token_id: placeholder of a visual token in a prompt; a token that no question has.
    """

    def __init__(
        self,
        vision_config: Any,  # noqa: ANN401 - a dictionary, or an object of transformers
        text_config: Any,  # noqa: ANN401
        vision_source: str = "dinov2-s",
        text_source: str = "smollm2",
        image_size: int = 224,
        pool: int = 2,
        branches: dict[str, dict[str, Any]] | None = None,
        thematic_grid: int = 3,
        summary_tokens: int = 2,
        summary_hidden: int = 256,
        summary_dropout: float = 0.4,
        words: int = 6,
        vocabulary: list[str] | None = None,
        attribute_words: list[str] | None = None,
        attribute_tokens: int = 0,
        qformer_layers: int = 2,
        qformer_heads: int = 6,
        qformer_hidden: int = 1536,
        qformer_dropout: float = 0.1,
        share_qformer: bool = False,
        head_tokens: bool = True,
        measures: int = len(MEASURE_NAMES),
        token_rms: float = 0.13,
        vision_lora: dict[str, Any] | None = None,
        text_lora: dict[str, Any] | None = None,
        remedy_temperature: float = 1.0,
        remedy_nothing: float = 0.0,
        remedy_least: float = LEAST,
        score_head_share: float = 0.0,
        image_mean: tuple[float, ...] = (0.485, 0.456, 0.406),
        image_std: tuple[float, ...] = (0.229, 0.224, 0.225),
        image_token_id: int = 16,
    ) -> None:
        self.vision_config, self.text_config = _attributes(vision_config), _attributes(text_config)
        self.vision_source, self.text_source = vision_source, text_source
        self.image_size, self.pool = image_size, pool
        usual = {"low": [3, 6], "middle": [6, 9], "high": [9, 12]}
        if branches is None:
            branches = {name: {"queries": 6, "layers": layers} for name, layers in usual.items()}
        self.branches = branches
        self.thematic_grid, self.words = thematic_grid, words
        self.summary_tokens, self.summary_hidden = summary_tokens, summary_hidden
        self.summary_dropout = summary_dropout
        self.vocabulary = list(vocabulary or [])
        self.attribute_words, self.attribute_tokens = list(attribute_words or []), attribute_tokens
        self.qformer_layers, self.qformer_heads, self.qformer_hidden = qformer_layers, qformer_heads, qformer_hidden
        self.qformer_dropout, self.measures, self.token_rms = qformer_dropout, measures, token_rms
        self.vision_lora, self.text_lora = vision_lora, text_lora
        self.share_qformer, self.head_tokens = share_qformer, head_tokens
        self.remedy_temperature, self.remedy_nothing = remedy_temperature, remedy_nothing
        self.remedy_least, self.score_head_share = remedy_least, score_head_share
        self.image_mean, self.image_std = list(image_mean), list(image_std)
        self.image_token_id = image_token_id
        if attribute_tokens > len(self.attribute_words):
            raise ConfigError(
                f"expected at most {len(self.attribute_words)} attribute_tokens, as many as there are attribute_words, "
                f"found {attribute_tokens}"
            )
        depth = self.vision_config.num_hidden_layers
        for name, branch in self.branches.items():
            wrong = [layer for layer in branch["layers"] if not 1 <= layer <= depth]
            if wrong:
                raise ConfigError(
                    f"expected layers of branch {name} between 1 and {depth}, the encoder's blocks, found {wrong}"
                )

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> NetworkConfig:
        """The configuration in a folder's ``config.json``; what else is in there belongs to transformers."""
        known = inspect.signature(cls).parameters
        return cls(**{name: value for name, value in settings.items() if name in known})

    def branch(self, name: str) -> BranchConfig:
        """The Q-Former of that name."""
        found = self.branches[name]
        return BranchConfig(found["queries"], tuple(found["layers"]))

    @property
    def layers(self) -> tuple[int, ...]:
        """Encoder blocks that any branch reads, shallow to deep; the last block is the thematic branch's."""
        read = {layer for branch in self.branches.values() for layer in branch["layers"]}
        return tuple(sorted(read | {self.vision_config.num_hidden_layers}))

    @property
    def detail_layers(self) -> tuple[int, ...]:
        """Encoder blocks that the native-resolution crop goes through: those of the low-level branch."""
        return self.branch("low").layers if "low" in self.branches else ()

    @property
    def trunk(self) -> int:
        """Encoder blocks before the first one with adapters: their features are fixed and can be cached."""
        adapted = (self.vision_lora or {}).get("layers_to_transform")
        if self.vision_lora is None:
            return self.vision_config.num_hidden_layers
        return min(adapted) if adapted else 0

    @property
    def trunk_layers(self) -> tuple[int, ...]:
        """Those of :attr:`layers` that belong to the trunk."""
        return tuple(layer for layer in self.layers if layer <= self.trunk)

    @property
    def late_layers(self) -> tuple[int, ...]:
        """Those of :attr:`layers` behind the trunk."""
        return tuple(layer for layer in self.layers if layer > self.trunk)

    @property
    def patches(self) -> int:
        """Patches along one side of a view."""
        return self.image_size // self.vision_config.patch_size

    @property
    def features(self) -> int:
        """Feature tokens of one layer of one view: the class token and the pooled patches."""
        return 1 + (self.patches // self.pool) ** 2

    @property
    def scored(self) -> dict[str, int]:
        """Tokens that the score is read from, by name: the summaries, or those of the Q-Formers where there are none.

        Read from all of them, the score fits its photos better and others worse (docs/lab.md, 73).
        """
        if self.summary_tokens:
            return {"summary": self.summary_tokens}
        return {name: branch["queries"] for name, branch in self.branches.items()}

    @property
    def frame_tokens(self) -> int:
        """Visual tokens that every question reads: of the score's head, and those of :attr:`scored`."""
        return int(self.head_tokens) + sum(self.scored.values())

    @property
    def detail_tokens(self) -> int:
        """Visual tokens that the question about the score does not read: of the Q-Formers, thematic ones and the surest
        words, those of the crop and the surest attribute words, and of the heads for remedies and their amounts.
        """
        queries = sum(branch["queries"] for name, branch in self.branches.items() if name not in self.scored)
        thematic = 1 + self.thematic_grid**2 + self.words * bool(self.vocabulary) if self.thematic_grid else 0
        crop = self.branch("low").queries if self.detail_layers else 0
        return queries + thematic + crop + self.attribute_tokens + 2 * self.head_tokens

    @property
    def visual_tokens(self) -> int:
        """Visual tokens of one photo."""
        return self.frame_tokens + self.detail_tokens

    @property
    def remedies(self) -> int:
        """Classes of a suggestion: every remedy of the vocabulary, and "nothing"."""
        return len(CLASSES) + 1


def _attributes(given: Any) -> Any:  # noqa: ANN401
    return SimpleNamespace(**given) if isinstance(given, Mapping) else given
