"""What a language model thinks of the kinds of things that photos show: beautiful or ugly, calm or dangerous.

Taste is for a good part taste for what is shown, and a few hundred rated photos are far too few to learn it for a
thousand kinds of things. A language model has read of all of them. It is asked once how each kind of thing looks, by
the probability of words that could follow, without being taught anything (Petroni et al., EMNLP 2019); what a photo
means is then the mean over the kinds of things that it may show. Ours; docs/lab.md, 52.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from calm.errors import WeightsError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

MEANINGS = "meanings.safetensors"
"""Name of the file in a model's folder."""
PROMPTS = ("A photo of a {}. It looks", "The {} in this picture is")
SIDES = (
    ("beautiful lovely stunning", "ugly disgusting hideous"),
    ("pleasant nice wonderful", "terrible horrible awful"),
    ("peaceful calm quiet", "dangerous scary violent"),
    ("happy fun cheerful", "sad lonely dead"),
    ("clean fresh new", "dirty rotten broken"),
    ("cute sweet soft", "mean aggressive hard"),
    ("natural wild green", "artificial plastic industrial"),
    ("elegant expensive luxurious", "cheap old worn"),
    ("exciting amazing impressive", "boring plain ordinary"),
    ("warm bright colorful", "cold dark gray"),
    ("delicious tasty", "poisonous sick"),
    ("alive young healthy", "dead sick old"),
)
"""Words that speak for one end of a meaning, and for the other."""
TEMPERATURES = (2.0, 4.0)
"""What the logits of a photo's classes are divided by: several kinds of things that are alike are heard."""
BATCH = 50


def class_names() -> list[str]:
    """The thousand classes of ImageNet, in order."""
    return resources.files("calm.model").joinpath("imagenet.txt").read_text(encoding="utf-8").splitlines()


@torch.inference_mode()
def ask_meanings(language_model: Any, tokenizer: PreTrainedTokenizerBase, names: Sequence[str]) -> Tensor:  # noqa: ANN401 - any causal language model
    """How kinds of things look: (n, meanings), logarithms of what speaks for the first side over the second.

    Each column has mean 0 and standard deviation 1 over the kinds. Columns: every prompt with every pair of sides.
    """
    columns = []
    for prompt in PROMPTS:
        texts = [prompt.format(name) for name in names]
        said = torch.cat([_next(language_model, tokenizer, texts[i : i + BATCH]) for i in range(0, len(texts), BATCH)])
        for sides in SIDES:
            for_it, against = (said[:, _first_tokens(tokenizer, words)].logsumexp(dim=1) for words in sides)
            columns.append(for_it - against)
    table = torch.stack(columns, dim=1)
    return (table - table.mean(dim=0)) / table.std(dim=0).clamp(min=1e-6)


def _next(language_model: Any, tokenizer: PreTrainedTokenizerBase, texts: Sequence[str]) -> Tensor:  # noqa: ANN401
    """Log-probabilities of the token after each text: (n, vocabulary), float32."""
    rows = [tokenizer(text, add_special_tokens=False).input_ids for text in texts]
    ids = torch.full((len(rows), max(map(len, rows))), tokenizer.eos_token_id)
    for i, row in enumerate(rows):  # padded on the right, which causal attention does not see
        ids[i, : len(row)] = torch.tensor(row)
    states = language_model.model(ids).last_hidden_state[torch.arange(len(rows)), [len(row) - 1 for row in rows]]
    return language_model.get_output_embeddings()(states).float().log_softmax(dim=1)


def _first_tokens(tokenizer: PreTrainedTokenizerBase, words: str) -> list[int]:
    return sorted({tokenizer(f" {word}", add_special_tokens=False).input_ids[0] for word in words.split()})


class Meanings:
    """What photos mean, from the classes that they may show.

    Args:
        table: (classes, meanings), see :func:`ask_meanings`.
        centre, spread: (temperatures · meanings,), of photos.
    """

    def __init__(self, table: Tensor, centre: Tensor, spread: Tensor) -> None:
        self.table, self.centre, self.spread = table, centre, spread

    @classmethod
    def measure(cls, table: Tensor, logits: Tensor) -> Meanings:
        """With centre and spread of photos by the logits of their classes, (n, classes)."""
        raw = _means(table, logits)
        return cls(table, raw.mean(dim=0), raw.std(dim=0).clamp(min=1e-6))

    def __call__(self, logits: Tensor) -> Tensor:
        """Logits of classes (n, classes) → standardised meanings (n, temperatures · meanings), float32."""
        parts = (each.to(logits.device) for each in (self.table, self.centre, self.spread))
        table, centre, spread = parts
        return (_means(table, logits) - centre) / spread


def save_meanings(table: Tensor, each: Sequence[Meanings], path: str | Path) -> None:
    """Write the meanings for several networks, which share a table, as safetensors."""
    from safetensors.torch import save_file

    tensors = {
        "table": table.half(),
        "centre": torch.stack([one.centre for one in each]),
        "spread": torch.stack([one.spread for one in each]),
    }
    save_file(tensors, path)


def load_meanings(path: str | Path) -> list[Meanings]:
    """Read what :func:`save_meanings` wrote. Raises :class:`WeightsError` for a file that is none."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        found = {name: value.float() for name, value in load_file(path).items()}
        pairs = zip(found["centre"], found["spread"], strict=True)
        return [Meanings(found["table"], centre, spread) for centre, spread in pairs]
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise WeightsError(
            f"expected meanings of what photos show at {path}, found: {error}; make them with: calm profile meanings"
        ) from error


def _means(table: Tensor, logits: Tensor) -> Tensor:
    return torch.cat([(logits.float() / each).softmax(dim=1) @ table for each in TEMPERATURES], dim=1)
