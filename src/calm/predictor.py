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
from calm.edits import Applied
from calm.edits.suggest import to_suggestion
from calm.errors import UsageError
from calm.memory import keep_freed_memory
from calm.model.checkpoint import load, load_tokenizer
from calm.model.modeling import CalmForConditionalGeneration, join
from calm.model.precision import fast_dtype
from calm.model.processing import PREPROCESS, CalmImageProcessor, CalmProcessor
from calm.model.weights import folder_sha256
from calm.observer import Observer
from calm.readout import SCORE_QUESTION, SCORES, mend_probabilities, score_distribution
from calm.speaking import SeededChoice
from calm.types import CLASSES, Comment, Score, Suggestion
from calm.words.facts import Facts

SURE = 0.5
"""Confidence from which a suggestion is also told in the comment, as a fault."""
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
        self.observer = Observer()
        self._looked: tuple[list[Photo], Any] = ([], None)
        self.calibration = {"temperature": 1.0, "bias": 0.0, "heads": 0.5, "score_heads": 0.0} | (calibration or {})

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
    def look(self, photos: Sequence[Photo]) -> tuple[dict[str, Tensor], dict[str, Tensor], Tensor]:
        """Branch tokens of the frame alone, branch tokens of all views, and measurements.

        The last answer is remembered: two questions about the same photos look at them once.
        """
        last, answer = self._looked
        if len(last) == len(photos) and all(a is b for a, b in zip(last, photos, strict=True)):
            return answer
        self._looked = list(photos), self._look(photos)
        return self._looked[1]

    def _look(self, photos: Sequence[Photo]) -> tuple[dict[str, Tensor], dict[str, Tensor], Tensor]:
        inputs = self.processor.image_processor([photo.pixels for photo in photos])
        mask, measures = inputs["crop_mask"].to(self.device), inputs["measures"].to(self.device)
        seen = self.model.encode(inputs["views"].to(self.device), mask)
        frame = self.model.align(seen["whole"])
        return frame, self.model.align(**seen, crop_mask=mask, measures=measures), measures

    # ------------------------------------------------------------------------------------------------ answers

    @torch.inference_mode()
    def score(self, photos: Sequence[Photo]) -> list[Score]:
        """Scores from the whole frame, in one forward pass for the batch."""
        seen = self.model.encode(self.whole_views(photos))
        alone = self.calibration["score_heads"] == 1
        return self.read_scores(self.model.align(**seen, branches=self.model.config.head_branches if alone else None))

    @torch.inference_mode()
    def read_scores(self, tokens: dict[str, Tensor]) -> list[Score]:
        """Scores of photos by the branch tokens of their whole frames.

        The distribution over 1 … 10 is the language model's, the heads' or a mixture, as calibration found best.
        """
        share = self.calibration["score_heads"]
        distribution = share * self.model.heads(tokens)["score"].double().softmax(dim=1)
        if share < 1:
            distribution = distribution + (1 - share) * score_distribution(self.model, self.chat, join(tokens)).double()
        distribution = distribution.cpu()
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

        frame, tokens, measures = self.look(photos)
        kinds = [f"aspect:{aspect}" for aspect in aspects] if aspects else ["comment"]
        unknown = [kind for kind in kinds if kind not in QUESTIONS]
        if unknown:
            known = ", ".join(kind.removeprefix("aspect:") for kind in QUESTIONS if kind.startswith("aspect:"))
            raise UsageError(f"expected an aspect of {known}, found {unknown[0].removeprefix('aspect:')!r}")
        scores, seeds = self.read_scores(frame), [int(photo.sha256[:12], 16) for photo in photos]
        facts = self._facts(photos, tokens, measures, scores) if self.model.config.notes else [None] * len(photos)
        spoken = []
        for kind in kinds:
            asked = [_asked(kind, one, np.random.default_rng(seed)) for one, seed in zip(facts, seeds, strict=True)]
            spoken.append(self.say(join(tokens), asked, seeds))
        texts = [" ".join(parts) for parts in zip(*spoken, strict=True)]
        return list(zip(scores, [parse_comment(text) for text in texts], strict=True))

    def _facts(
        self, photos: Sequence[Photo], tokens: dict[str, Tensor], measures: Tensor, scores: Sequence[Score]
    ) -> list[Facts]:
        """What is known of each photo, with the faults that would also be suggested."""
        heads = self.model.heads(tokens, measures)
        faults = [
            [Applied(*CLASSES[k], None, severity) for k, confidence, severity in remedies if confidence >= SURE]
            for remedies in self._remedies(tokens, heads)
        ]
        return self.observer.facts(photos, heads, [score.value for score in scores], faults)

    @torch.inference_mode()
    def say(
        self, visual: Tensor, questions: Sequence[str], seeds: Sequence[int] | None = None, max_new_tokens: int = 110
    ) -> list[str]:
        """Answers in words to a question about each photo: varied by ``seeds``, or greedy without them."""
        ids, mask = (each.to(self.device) for each in self.chat.questions(questions))
        out = self.model.generate(
            input_ids=ids,
            attention_mask=mask,
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
        frame, tokens, measures = self.look(photos)
        heads = self.model.heads(tokens, measures)
        answers = [
            [
                to_suggestion(CLASSES[k], severity, confidence, int(photo.sha256[:8], 16))
                for k, confidence, severity in remedies[:most]
                if confidence >= least
            ]
            for photo, remedies in zip(photos, self._remedies(tokens, heads), strict=True)
        ]
        return list(zip(self.read_scores(frame), answers, strict=True))

    def _remedies(self, tokens: dict[str, Tensor], heads: dict[str, Tensor]) -> list[list[tuple[int, float, float]]]:
        """For each photo (index of the class, confidence, severity) of every remedy, surest first."""
        probabilities = self._edit_probabilities(tokens, heads["edits"])[:, :-1]
        severities = heads["amounts"].float().clamp(0.05, 1.0)
        order = probabilities.argsort(dim=1, descending=True)
        columns = (order, probabilities.gather(1, order), severities.gather(1, order))
        return [list(zip(*row, strict=True)) for row in zip(*(each.tolist() for each in columns), strict=True)]

    @torch.inference_mode()
    def edit_probabilities(self, photos: Sequence[Photo]) -> np.ndarray:
        """Calibrated probabilities of :data:`calm.types.CLASSES` and, last, of "nothing to mend": (n, 23)."""
        _, tokens, measures = self.look(photos)
        return self._edit_probabilities(tokens, self.model.heads(tokens, measures)["edits"]).cpu().numpy()

    def _edit_probabilities(self, tokens: dict[str, Tensor], heads: Tensor) -> Tensor:
        """Calibrated mixture of what the language model reads and of the heads' logits (B, classes + 1)."""
        share = self.calibration["heads"]
        logits = share * heads.float().log_softmax(dim=1)
        if share < 1:
            logits = logits + (1 - share) * mend_probabilities(self.model, self.chat, join(tokens))
        logits = logits / self.calibration["temperature"]
        logits[:, -1] += self.calibration["bias"]
        return logits.softmax(dim=1)

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


def _asked(kind: str, facts: Facts | None, rng: np.random.Generator) -> str:
    """The canonical question of a kind (``comment`` or ``aspect:NAME``), with notes of what its answer is to say."""
    from calm.words import QUESTIONS
    from calm.words.compose import compose, compose_aspect
    from calm.words.notes import noted

    if facts is None:
        return QUESTIONS[kind][0]
    said = compose(facts, rng) if kind == "comment" else compose_aspect(facts, kind.removeprefix("aspect:"), rng)
    return noted(QUESTIONS[kind][0], facts, said)
