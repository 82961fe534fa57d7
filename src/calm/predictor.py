"""A trained model and its three answers about photos: score, comment, suggestions."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import LogitsProcessorList

from calm.data.images import Photo
from calm.edits.suggest import to_suggestion
from calm.errors import UsageError
from calm.memory import keep_freed_memory
from calm.model.checkpoint import load, load_tokenizer
from calm.model.modeling import CalmForConditionalGeneration, join
from calm.model.precision import fast_dtype
from calm.model.processing import PREPROCESS, CalmImageProcessor, CalmProcessor
from calm.model.weights import folder_sha256
from calm.readout import SCORE_QUESTION, SCORES, mend_probabilities, score_distribution
from calm.speaking import SeededChoice
from calm.types import CLASSES, Comment, Score, Suggestion

PACKAGED = Path(__file__).parent / "models"
"""Models that come with the package."""


def model_dir(name: str | Path) -> Path:
    """Folder of a packaged model by name, or the folder itself. Raises :class:`UsageError` when there is neither."""
    for folder in (PACKAGED / str(name), Path(name)):
        if (folder / "config.json").is_file():
            return folder
    known = sorted(path.parent.name for path in PACKAGED.glob("*/config.json"))
    raise UsageError(f"expected a model folder or one of {known}, found {str(name)!r}; see: calm models")


class Predictor:
    """Answers about batches of photos.

    Args:
        model: with or without adapters; they are merged here.
        processor: of that model.
        name, sha256: stand in every output row.
        trained_on: first eight hex digits of the SHA-256 of every photo seen in training.
        calibration: ``temperature`` and ``bias`` of the suggestions' confidence; see the model card.
    """

    preprocess = PREPROCESS

    def __init__(
        self,
        model: CalmForConditionalGeneration,
        processor: CalmProcessor,
        name: str,
        sha256: str,
        calibration: dict[str, float] | None = None,
        trained_on: frozenset[str] | None = None,
        device: str | None = None,
    ) -> None:
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        model.merge_adapters()
        self.model = model.eval().requires_grad_(False).to(self.device)
        self.processor = processor
        self.chat = processor.chat
        self.name, self.sha256 = name, sha256
        self.trained_on = trained_on or frozenset()
        self._looked: tuple[list[Photo], Any] = ([], None)
        self.calibration = {"temperature": 1.0, "bias": 0.0, "heads": 0.5} | (calibration or {})

    @classmethod
    def load(cls, name: str | Path, device: str | None = None, dtype: torch.dtype | None = None) -> Predictor:
        """A packaged model by name, or one from a folder.

        Args:
            dtype: of the frozen parts; None for float32 on a CPU, where bfloat16 lets a score depend on its batch by
                more than 0.01, and for what is fast elsewhere.
        """
        keep_freed_memory()
        folder = model_dir(name)
        if dtype is None:
            kind = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu")).type
            dtype = torch.float32 if kind == "cpu" else fast_dtype(device)
        model = load(folder, dtype)
        own = (folder / "tokenizer_config.json").is_file()
        tokenizer = load_tokenizer(str(folder) if own else model.config.text_source)
        image_token = tokenizer.convert_ids_to_tokens(model.config.image_token_id)
        images = CalmImageProcessor.for_config(model.config)
        processor = CalmProcessor(images, tokenizer, image_token, model.config.visual_tokens)
        path = folder / "calibration.json"
        calibration = json.loads(path.read_text()) if path.is_file() else None
        path = folder / "trained_on.txt"
        trained_on = frozenset(path.read_text().split()) if path.is_file() else None
        return cls(model, processor, Path(name).name, folder_sha256(folder), calibration, trained_on, device)

    # ------------------------------------------------------------------------------------------------ seeing

    def whole_views(self, photos: Sequence[Photo]) -> Tensor:
        """Whole frames as the score reads them: (B, 1, 3, S, S)."""
        inputs = self.processor.image_processor([photo.pixels for photo in photos], whole_only=True)
        return inputs["views"].to(self.device)

    @torch.inference_mode()
    def look(self, photos: Sequence[Photo]) -> tuple[Tensor, dict[str, Tensor]]:
        """Visual tokens of the frame alone (B, N, D), and branch tokens of all views and measurements.

        The last answer is remembered: two questions about the same photos look at them once.
        """
        last, answer = self._looked
        if len(last) == len(photos) and all(a is b for a, b in zip(last, photos, strict=True)):
            return answer
        self._looked = list(photos), self._look(photos)
        return self._looked[1]

    def _look(self, photos: Sequence[Photo]) -> tuple[Tensor, dict[str, Tensor]]:
        inputs = self.processor.image_processor([photo.pixels for photo in photos])
        mask, measures = inputs["crop_mask"].to(self.device), inputs["measures"].to(self.device)
        seen = self.model.encode(inputs["views"].to(self.device), mask)
        frame = join(self.model.align(seen["whole"]))
        return frame, self.model.align(**seen, crop_mask=mask, measures=measures)

    # ------------------------------------------------------------------------------------------------ answers

    @torch.inference_mode()
    def score(self, photos: Sequence[Photo]) -> list[Score]:
        """Scores from the whole frame, one forward pass of the language model for the batch."""
        return self.read_scores(self.model.visual_tokens(self.whole_views(photos)))

    @torch.inference_mode()
    def read_scores(self, visual: Tensor) -> list[Score]:
        """Scores of photos by their visual tokens (B, N, D)."""
        distribution = score_distribution(self.model, self.chat, visual).double().cpu()
        scores = SCORES.double()
        means = distribution @ scores
        spreads = (distribution @ scores.square() - means.square()).clamp(min=0).sqrt()
        rows = (distribution / distribution.sum(dim=1, keepdim=True)).tolist()
        return [
            Score(mean, spread, tuple(row))
            for mean, spread, row in zip(means.tolist(), spreads.tolist(), rows, strict=True)
        ]

    @torch.inference_mode()
    def comment(self, photos: Sequence[Photo], aspects: Sequence[str] | None = None) -> list[tuple[Score, Comment]]:
        """A score and a comment for each photo; with ``aspects``, one or two sentences on each of those instead."""
        from calm.words import QUESTIONS
        from calm.words.parse import parse_comment

        frame, tokens = self.look(photos)
        kinds = [f"aspect:{aspect}" for aspect in aspects] if aspects else ["comment"]
        unknown = [kind for kind in kinds if kind not in QUESTIONS]
        if unknown:
            known = ", ".join(kind.removeprefix("aspect:") for kind in QUESTIONS if kind.startswith("aspect:"))
            raise UsageError(f"expected an aspect of {known}, found {unknown[0].removeprefix('aspect:')!r}")
        visual, seeds = join(tokens), [int(photo.sha256[:12], 16) for photo in photos]
        spoken = [self.say(visual, QUESTIONS[kind][0], seeds) for kind in kinds]
        texts = [" ".join(parts) for parts in zip(*spoken, strict=True)]
        return list(zip(self.read_scores(frame), [parse_comment(text) for text in texts], strict=True))

    @torch.inference_mode()
    def say(
        self, visual: Tensor, question: str, seeds: Sequence[int] | None = None, max_new_tokens: int = 110
    ) -> list[str]:
        """Answers in words to one question about each photo: varied by ``seeds``, or greedy without them."""
        ids = torch.tensor([self.chat.prompt(question)], device=self.device).expand(len(visual), -1)
        out = self.model.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            visual=visual,
            max_new_tokens=max_new_tokens,
            do_sample=False,
            logits_processor=LogitsProcessorList([SeededChoice(seeds)] if seeds is not None else []),
            pad_token_id=self.chat.tokenizer.eos_token_id,
            eos_token_id=self.chat.tokenizer.eos_token_id,
        )
        answers = out[:, ids.shape[1] :]
        return [text.strip() for text in self.chat.tokenizer.batch_decode(answers, skip_special_tokens=True)]

    @torch.inference_mode()
    def suggest(
        self, photos: Sequence[Photo], least: float = 0.3, most: int = 3
    ) -> list[tuple[Score, list[Suggestion]]]:
        """A score and the suggestions of confidence ≥ ``least`` for each photo, best first, ``most`` at most."""
        frame, tokens = self.look(photos)
        probabilities = self._edit_probabilities(tokens)
        strengths = self._severities(tokens)
        answers = []
        for i, photo in enumerate(photos):
            ranked = probabilities[i, :-1].argsort(descending=True)[:most].tolist()
            answers.append(
                [
                    to_suggestion(
                        CLASSES[k], float(strengths[i, k]), float(probabilities[i, k]), int(photo.sha256[:8], 16)
                    )
                    for k in ranked
                    if probabilities[i, k] >= least
                ]
            )
        return list(zip(self.read_scores(frame), answers, strict=True))

    @torch.inference_mode()
    def edit_probabilities(self, photos: Sequence[Photo]) -> np.ndarray:
        """Calibrated probabilities of :data:`calm.types.CLASSES` and, last, of "nothing to mend": (n, 23)."""
        return self._edit_probabilities(self.look(photos)[1]).cpu().numpy()

    def _edit_probabilities(self, tokens: dict[str, Tensor]) -> Tensor:
        spoken = mend_probabilities(self.model, self.chat, join(tokens))
        heads = self.model.heads(tokens)["edits"].float().log_softmax(dim=1)
        share = self.calibration["heads"]
        logits = ((1 - share) * spoken + share * heads) / self.calibration["temperature"]
        logits[:, -1] += self.calibration["bias"]
        return logits.softmax(dim=1)

    def _severities(self, tokens: dict[str, Tensor]) -> Tensor:
        return self.model.heads(tokens)["amounts"].float().clamp(0.05, 1.0)

    # ------------------------------------------------------------------------------------------------ yardsticks

    @torch.inference_mode()
    def encoder_only(self, photos: Sequence[Photo]) -> Tensor:
        """The frozen encoder alone on the same photos: what no scorer of this design can be faster than."""
        return self.model.vision(self.whole_views(photos)[:, 0], self.model.config.layers)

    @torch.inference_mode()
    def generate_loop(self, photos: Sequence[Photo]) -> list[str]:
        """A plain ``generate()`` of the score's text, one photo at a time, on the same weights."""
        answers = []
        for photo in photos:
            inputs = self.processor([photo.pixels], SCORE_QUESTION, whole_only=True)
            inputs = {name: value.to(self.device) for name, value in inputs.items()}
            out = self.model.generate(
                **inputs, max_new_tokens=8, do_sample=False, pad_token_id=self.chat.tokenizer.eos_token_id
            )
            answers.append(self.chat.tokenizer.decode(out[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True))
        return answers
