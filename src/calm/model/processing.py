"""Photos and questions → what the model reads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from transformers import AutoProcessor, BatchFeature, PreTrainedTokenizerBase
from transformers.image_processing_utils import BaseImageProcessor
from transformers.processing_utils import ProcessorMixin

from calm.chat import Chat
from calm.data.measure import measure
from calm.data.views import make_views, normalise
from calm.model.configuration import CalmConfig

PREPROCESS = "calm-views-1"
"""Identifies this preprocessing in output rows and caches; changed whenever a pixel may change."""


class CalmImageProcessor(BaseImageProcessor):
    """Upright sRGB photos → views, crop mask and measurements.

    Args:
        size: side of a view, pixels.
        crops: native-resolution crops beside the whole frame.
        measures: length of the vector of measurements; the cues of :mod:`calm.data.measure`, padded with zeros.
        image_mean, image_std: of the encoder's normalisation.
    """

    model_input_names = ["views", "crop_mask", "measures"]

    def __init__(
        self,
        size: int = 224,
        crops: int = 2,
        measures: int = 0,
        image_mean: Sequence[float] = (0.485, 0.456, 0.406),
        image_std: Sequence[float] = (0.229, 0.224, 0.225),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.size = size
        self.crops = crops
        self.measures = measures
        self.image_mean = list(image_mean)
        self.image_std = list(image_std)

    @classmethod
    def for_config(cls, config: CalmConfig) -> CalmImageProcessor:
        """The image processor that a model of this configuration needs."""
        return cls(config.image_size, config.crops, config.measures, config.image_mean, config.image_std)

    def look(self, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """One photo, (H, W, 3) uint8: views (1 + crops, S, S, 3) uint8, crop mask (crops,), measures (measures,)."""
        return (*self.views(pixels), pad_measures(measure(pixels), self.measures))

    def views(self, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """One photo, (H, W, 3) uint8: views (1 + crops, S, S, 3) uint8 and crop mask (crops,)."""
        views = make_views(pixels, size=self.size)
        crops, mask = views.crops[: self.crops], views.crop_mask[: self.crops]
        return np.concatenate([views.whole[None], crops]), mask

    def __call__(self, images: Any, whole_only: bool = False, **_kwargs: Any) -> BatchFeature:  # noqa: ANN401
        """One or several photos as arrays (H, W, 3) uint8 or PIL images.

        Args:
            whole_only: leave crops and measurements out, as the score does.
        """
        photos = images if isinstance(images, list | tuple) else [images]
        arrays = [np.asarray(photo.convert("RGB") if hasattr(photo, "convert") else photo) for photo in photos]
        if whole_only:
            wholes = np.stack([make_views(array, size=self.size).whole for array in arrays])[:, None]
            return BatchFeature({"views": normalise(wholes, self.image_mean, self.image_std)})
        views, masks, measures = (np.stack(column) for column in zip(*map(self.look, arrays), strict=True))
        return BatchFeature(
            {
                "views": normalise(views, self.image_mean, self.image_std),
                "crop_mask": torch.from_numpy(masks),
                "measures": torch.from_numpy(measures),
            }
        )


def pad_measures(values: np.ndarray, length: int) -> np.ndarray:
    """(n,) → (length,), zeros after the cues. A longer vector than ``length`` is cut."""
    padded = np.zeros(length, np.float32)
    padded[: min(length, len(values))] = values[:length]
    return padded


class CalmProcessor(ProcessorMixin):
    """Image processor and tokenizer in one; writes one placeholder for each visual token."""

    def __init__(
        self,
        image_processor: CalmImageProcessor,
        tokenizer: PreTrainedTokenizerBase,
        image_token: str = "<image>",
        visual_tokens: int = 41,
        chat_template: str | None = None,
    ) -> None:
        self.image_token = image_token
        self.visual_tokens = visual_tokens
        super().__init__(image_processor, tokenizer, chat_template=chat_template or tokenizer.chat_template)

    @property
    def chat(self) -> Chat:
        """The prompts of this processor."""
        return Chat(self.tokenizer, self.tokenizer.convert_tokens_to_ids(self.image_token), self.visual_tokens)

    def __call__(self, images: Any = None, text: str | Sequence[str] | None = None, **kwargs: Any) -> BatchFeature:  # noqa: ANN401
        """Photos and a question each (or one for all) → the model's inputs by name."""
        inputs = dict(self.image_processor(images, **kwargs)) if images is not None else {}
        if text is not None:
            count = len(inputs["views"]) if inputs else 1
            questions = [text] * count if isinstance(text, str) else list(text)
            inputs["input_ids"], inputs["attention_mask"] = self.chat.questions(questions)
        return BatchFeature(inputs)


AutoProcessor.register(CalmConfig, CalmProcessor)
