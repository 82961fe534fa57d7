"""Photos and questions → what the network reads; its answers → text."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from typing import Any

import torch
from torch import Tensor
from transformers import AutoProcessor, BatchFeature, PreTrainedTokenizerBase
from transformers.processing_utils import ProcessorMixin

from calm.data.images import as_photo
from calm.errors import UsageError
from calm.model.catalogue import model_dir
from calm.model.exchange import CLOSING, Packer
from calm.model.pretrained import CalmConfig, load_tokenizer
from calm.model.visual import look
from calm.model.weights import read_config


class CalmProcessor(ProcessorMixin):
    """Prepares photos and questions for :class:`calm.model.pretrained.CalmForConditionalGeneration`.

    All of it follows from the network's configuration: a saved processor is that configuration, ``config.json``.

    Args:
        tokenizer: of the language model.
        config: of the network.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, config: CalmConfig) -> None:
        super().__init__(tokenizer, chat_template=tokenizer.chat_template)
        self.config = config
        self.packer = Packer(tokenizer, config.frame_tokens, config.detail_tokens)

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str | PathLike[str], **_auto: Any) -> CalmProcessor:
        """The processor of a network, by a packaged model's name or its folder. Raises as the network's does."""
        config = CalmConfig.from_dict(read_config(model_dir(pretrained_model_name_or_path)))
        return cls(load_tokenizer(config.text_source), config)

    def save_pretrained(self, save_directory: str | PathLike[str]) -> None:
        """Write the configuration; a network's folder has it already."""
        self.config.save_pretrained(save_directory)

    def __call__(
        self, images: object, text: str | Sequence[str] | None = None, return_tensors: str = "pt"
    ) -> BatchFeature:
        """Photos, and a question about each.

        Args:
            images: one or a list of paths, PIL images or arrays (H, W, 3) of uint8 in sRGB.
            text: one question for all photos, or one for each; None for the photos alone.
            return_tensors: ``pt``, the only kind there is.

        Returns:
            ``frames``, ``crops`` and ``measures`` of :func:`calm.model.visual.look`; ``input_ids`` and
            ``attention_mask`` (B, T), padded on the left, with a placeholder for each visual token.

        Raises:
            PhotoError: for a photo that cannot be read.
            UsageError: for what is no photo, or another number of questions than of photos.
        """
        if return_tensors != "pt":
            raise UsageError(f"expected return_tensors to be 'pt', found {return_tensors!r}; leave it out")
        photos = list(images) if isinstance(images, list | tuple) else [images]
        found = look([as_photo(photo, f"photo {i}").pixels for i, photo in enumerate(photos)], self.config)
        if text is None:
            return BatchFeature(found)
        questions = [text] * len(photos) if isinstance(text, str) else list(text)
        if len(questions) != len(photos):
            raise UsageError(
                f"expected a question for each of {len(photos)} photos, found {len(questions)}; give one for all, "
                "or as many as there are photos"
            )
        image = [self.config.image_token_id] * self.config.visual_tokens
        rows = [[*self.packer.opening, *image, *self.packer.question(each)] for each in questions]
        padding = [max(map(len, rows)) - len(row) for row in rows]
        ids = [[self.packer.end] * more + row for more, row in zip(padding, rows, strict=True)]
        mask = [[0] * more + [1] * len(row) for more, row in zip(padding, rows, strict=True)]
        return BatchFeature(found | {"input_ids": torch.tensor(ids), "attention_mask": torch.tensor(mask)})

    def batch_decode(self, sequences: Tensor | Sequence[Sequence[int]], **_kwargs: Any) -> list[str]:
        """Answers in words from what ``generate`` gives, (B, T): without the prompts and without special tokens."""
        begin, end = CLOSING.partition("\n")[2], self.tokenizer.eos_token
        texts = self.tokenizer.batch_decode(sequences, skip_special_tokens=False)
        return [text.rpartition(begin)[2].partition(end)[0].strip() for text in texts]


AutoProcessor.register(CalmConfig, CalmProcessor)
