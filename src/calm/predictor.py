"""A trained model and its three answers about photos: score, comment, suggestions."""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from transformers import LogitsProcessorList

from calm.data.images import Photo
from calm.data.measure import MEASURE_NAMES, standardise
from calm.data.views import normalise
from calm.edits import Applied
from calm.edits.suggest import to_suggestion
from calm.errors import UsageError
from calm.memory import keep_freed_memory
from calm.model.checkpoint import load, load_tokenizer
from calm.model.describing import Describer
from calm.model.examples import READER, ExampleReader, load_reader
from calm.model.judge import JUDGE, second_judge
from calm.model.jury import DescribedJudge, Jury
from calm.model.modeling import CalmForConditionalGeneration, join
from calm.model.precision import fast_dtype
from calm.model.processing import PREPROCESS, CalmImageProcessor, CalmProcessor, pad_measures
from calm.model.pyramid import PYRAMIDS, Pyramid, load_pyramid
from calm.model.saliency import same_encoder
from calm.model.weights import folder_sha256, model_dir
from calm.observer import Observer
from calm.readout import SCORE_QUESTION, mend_probabilities
from calm.speaking import SeededChoice
from calm.types import CLASSES, LEAST, MOST, Comment, Score, Suggestion
from calm.words.facts import Facts, doubted

if TYPE_CHECKING:
    from calm.words.asking import Asked

SURE = 0.5
"""Confidence from which a suggestion is also told in the comment, as a fault."""
DOUBTFUL = 0.05
"""Confidence of its remedy below which a comment does not name a fault, whatever the pixels measure."""
TEMPERATURES = (0.3, 0.3, 0.4, 0.5, 0.6, 0.7)
"""Of the attempts at a comment: one that strays from its notes is written again, in the end more freely."""
HINTED = 2
"""The first attempt at a comment that begins by naming what is noted on a side left out; the one before gets a cue."""
STEADY = 8
"""Photos that go through an encoder in bfloat16 together, on a CPU."""


@dataclass(frozen=True)
class Seen:
    """What is seen on a batch of photos.

    Attributes:
        opinions: on the frame alone, of each judge: (B, 10) probabilities of the scores.
        tokens: branch tokens of all views, with measurements.
        measures: (B, config.measures), standardised.
        maps: of the main subjects, (B, h, w), or None where nothing can find them.
        cues: in natural units, of each photo.
    """

    opinions: list[Tensor]
    tokens: dict[str, Tensor]
    measures: Tensor
    maps: np.ndarray | None
    cues: list[dict[str, float]]


class Predictor:
    """Answers about batches of photos.

    Args:
        model: with or without adapters; they are merged here.
        processor: of that model.
        name, sha256: stand in every output row.
        trained_on: first eight hex digits of the SHA-256 of every photo seen in training.
        second: another judge of the scores, of the looks after the first; see :mod:`calm.model.judge`.
        calibration: what :mod:`calm.train.calibrate` found: how sure is sure, and which reader to trust.
    """

    preprocess = PREPROCESS
    folder: Path | None = None
    """Where the model lies, if it was loaded from a folder."""
    fast: torch.dtype | None = None
    """Number format of encoders on a CPU, where that is faster than theirs."""

    def __init__(
        self,
        model: CalmForConditionalGeneration,
        processor: CalmProcessor,
        name: str,
        sha256: str,
        calibration: dict[str, Any] | None = None,
        trained_on: frozenset[str] | None = None,
        device: str | None = None,
        second: CalmForConditionalGeneration | None = None,
        pyramids: Sequence[Pyramid] = (),
    ) -> None:
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        shares_encoder = same_encoder(model.config)  # before adapters are folded into it
        model.merge_adapters()
        self.model = model.eval().requires_grad_(False).to(self.device)
        self.second = second.eval().requires_grad_(False).to(self.device) if second else None
        self.processor = processor
        self.chat = processor.chat
        self.name, self.sha256 = name, sha256
        self.trained_on = trained_on or frozenset()
        self.observer = Observer()
        self._shares_encoder = shares_encoder
        self._looked: tuple[list[Photo], Seen | None] = ([], None)
        self.calibration: dict[str, Any] = {"temperature": 1.0, "bias": 0.0, "heads": 0.5, "score_heads": 0.0} | (
            calibration or {}
        )
        self._reader: tuple[ExampleReader, list[str]] | None = None
        more = [each.eval().requires_grad_(False).to(self.device) for each in pyramids]
        self.jury = Jury(self.model, self.chat, self.second, self.calibration["score_heads"], more)

    @classmethod
    def load(cls, name: str | Path, device: str | None = None, dtype: torch.dtype | None = None) -> Predictor:
        """A packaged model by name, or one from a folder.

        Args:
            dtype: of the frozen parts; None for what is fast. On a CPU that is bfloat16, where the processor multiplies
                it, for the encoder alone, :data:`STEADY` photos at a time, and float32 for the rest: neither score nor
                comment depends on the batch.
        """
        keep_freed_memory()
        folder = model_dir(name)
        kind = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu")).type
        fast = dtype or fast_dtype(kind)
        model = load(folder, torch.float32 if dtype is None and kind == "cpu" else fast)
        own = (folder / "tokenizer_config.json").is_file()
        tokenizer = load_tokenizer(str(folder) if own else model.config.text_source)
        image_token = tokenizer.convert_ids_to_tokens(model.config.image_token_id)
        images = CalmImageProcessor.for_config(model.config)
        processor = CalmProcessor(images, tokenizer, image_token, model.config.visual_tokens)
        path = folder / "calibration.json"
        calibration = json.loads(path.read_text()) if path.is_file() else None
        path = folder / "trained_on.txt"
        trained_on = frozenset(path.read_text().split()) if path.is_file() else None
        judge = folder / JUDGE
        second = second_judge(model, judge) if judge.is_file() else None
        pyramids = [load_pyramid(path) for path in sorted(folder.glob(PYRAMIDS))]
        predictor = cls(
            model, processor, Path(name).name, folder_sha256(folder), calibration, trained_on, device, second, pyramids
        )
        predictor.folder = folder
        if dtype is None and kind == "cpu" and fast != torch.float32:
            judges = (predictor.model, second)
            for each in filter(None, (*(judge and judge.vision for judge in judges), *predictor.jury.pyramids)):
                each.hasten(fast, STEADY)
            predictor.fast = fast
        return predictor

    def reader(self) -> tuple[ExampleReader, list[str]] | None:
        """The reader of examples that comes with the model, and hashes of the photos whose ratings it was taught; None
        where there is none. It is loaded when it is first asked for.
        """
        if self._reader is None and self.folder is not None and (self.folder / READER).is_file():
            config = self.model.config
            found, photos = load_reader(self.folder / READER, config.text_source, self.chat, config.token_rms)
            self._reader = found.to(self.device), photos
        return self._reader

    # ------------------------------------------------------------------------------------------------ seeing

    def whole_views(self, photos: Sequence[Photo]) -> Tensor:
        """Whole frames as the score reads them: (B, 1, 3, S, S)."""
        inputs = self.processor.image_processor([photo.pixels for photo in photos], whole_only=True)
        return inputs["views"].to(self.device)

    @torch.inference_mode()
    def look(self, photos: Sequence[Photo]) -> Seen:
        """What is seen on photos. The last answer is remembered: two questions about the same photos look once."""
        last, seen = self._looked
        if seen is None or len(last) != len(photos) or any(a is not b for a, b in zip(last, photos, strict=True)):
            seen = self._look(photos)
            self._looked = list(photos), seen
        return seen

    def _look(self, photos: Sequence[Photo]) -> Seen:
        config, images = self.model.config, self.processor.image_processor
        arrays, masks = zip(*(images.views(photo.pixels) for photo in photos), strict=True)
        views = normalise(np.stack(arrays), images.image_mean, images.image_std).to(self.device)
        mask = torch.from_numpy(np.stack(masks)).to(self.device)
        forked = config.adapted_branches is not None
        whole, last = self.model.vision.read(views[:, 0], config.layers, adapted=not forked)
        adapted = self.model.vision(views[:, 0], config.layers) if forked else None
        crops = self.model.encode_crops(views[:, 1:], mask, self.model.vision)
        wanted = config.notes or config.measures > len(MEASURE_NAMES)
        maps = self.observer.subjects(photos, last if self._shares_encoder else None) if wanted else None
        cues = self.observer.cues(photos, maps)
        measures = np.stack([pad_measures(standardise(one), config.measures) for one in cues])
        told = torch.from_numpy(measures).to(self.device)
        tokens = self.model.align(whole, crops, mask, told, adapted=adapted)
        frame = self.model.align(whole, adapted=adapted, branches=self.jury.branches)
        return Seen(self.jury.opinions(views[:, :1], frame), tokens, told, maps, cues)

    # ------------------------------------------------------------------------------------------------ answers

    @torch.inference_mode()
    def score(self, photos: Sequence[Photo]) -> list[Score]:
        """Scores from the whole frame, in one forward pass for the batch for each of the judges."""
        return self.jury.verdict(self.jury.opinions(self.whole_views(photos)))

    @functools.cached_property
    def describer(self) -> Describer:
        """What personal scores are learnt from."""
        return Describer(self.model, self.folder, self.fast)

    @torch.inference_mode()
    def describe(self, photos: Sequence[Photo]) -> list[tuple[Score, np.ndarray]]:
        """A score, and what a personal score is learnt from, (d,) float32; see :mod:`calm.model.describing`."""
        views, branches = self.whole_views(photos), self.jury.branches
        seen = self.model.encode(views, branches=branches)
        scores = self.jury.verdict(self.jury.opinions(views, self.model.align(**seen, branches=branches)))
        return list(zip(scores, self.describer(seen, [photo.pixels for photo in photos]).cpu().numpy(), strict=True))

    @torch.inference_mode()
    def comment(self, photos: Sequence[Photo], aspects: Sequence[str] | None = None) -> list[tuple[Score, Comment]]:
        """A score and a comment for each photo; with ``aspects``, one or two sentences on each of those instead."""
        from calm.words import QUESTIONS
        from calm.words.asking import asked
        from calm.words.parse import parse_comment

        seen = self.look(photos)
        kinds = [f"aspect:{aspect}" for aspect in aspects] if aspects else ["comment"]
        unknown = [kind for kind in kinds if kind not in QUESTIONS]
        if unknown:
            known = ", ".join(kind.removeprefix("aspect:") for kind in QUESTIONS if kind.startswith("aspect:"))
            raise UsageError(f"expected an aspect of {known}, found {unknown[0].removeprefix('aspect:')!r}")
        scores, seeds = self.jury.verdict(seen.opinions), [int(photo.sha256[:12], 16) for photo in photos]
        facts = self._facts(photos, seen, scores) if self.model.config.notes else [None] * len(photos)
        spoken = []
        for kind in kinds:
            wanted = [asked(kind, one, np.random.default_rng(seed)) for one, seed in zip(facts, seeds, strict=True)]
            spoken.append(self._write(join(seen.tokens), wanted, seeds))
        texts = [" ".join(parts) for parts in zip(*spoken, strict=True)]
        return list(zip(scores, [parse_comment(text) for text in texts], strict=True))

    def _write(self, visual: Tensor, asked: Sequence[Asked], seeds: Sequence[int]) -> list[str]:
        """Answers in words; one that strays from its notes is written again, and the truest is kept.

        Another attempt goes on from the sentences of the last one up to where it began to stray, and begins to speak of
        a side that they leave out; in the end it begins by naming what is noted there.
        """
        from calm.words.parse import trimmed

        best, slips, begun = [""] * len(asked), [math.inf] * len(asked), [""] * len(asked)
        for attempt, temperature in enumerate(TEMPERATURES):
            todo = [i for i, count in enumerate(slips) if count]
            if not todo:
                break
            fresh, starts = [seeds[i] + attempt for i in todo], [begun[i] for i in todo]
            texts = self.say(visual[todo], [asked[i].question for i in todo], fresh, starts, temperature=temperature)
            for i, seed, text in zip(todo, fresh, map(trimmed, texts), strict=True):
                count = asked[i].slips(text)
                if count < slips[i]:
                    best[i], slips[i] = text, count
                begun[i] = asked[i].begin_again(text, seed, named=attempt + 1 >= HINTED)
        return best

    def _facts(self, photos: Sequence[Photo], seen: Seen, scores: Sequence[Score]) -> list[Facts]:
        """What is known of each photo, with the faults that would also be suggested."""
        heads = self.model.heads(seen.tokens, seen.measures)
        remedies = self._remedies(seen.tokens, heads)
        faults = [[Applied(*CLASSES[k], None, amount) for k, sure, amount in row if sure >= SURE] for row in remedies]
        doubts = [doubted({CLASSES[k]: sure for k, sure, _ in row}, DOUBTFUL) for row in remedies]
        values = [score.value for score in scores]
        return self.observer.facts(
            photos, seen.maps, seen.cues, heads, values, faults, doubts, self.calibration.get("content", {})
        )

    @torch.inference_mode()
    def say(
        self,
        visual: Tensor,
        questions: Sequence[str],
        seeds: Sequence[int] | None = None,
        begun: Sequence[str] | None = None,
        max_new_tokens: int = 110,
        temperature: float = TEMPERATURES[0],
    ) -> list[str]:
        """Answers in words to a question about each photo: varied by ``seeds``, or greedy without them.

        ``begun``: how each answer begins; the rest is written.
        """
        ids, mask = (each.to(self.device) for each in self.chat.questions(questions, begun))
        out = self.model.generate(
            input_ids=ids,
            attention_mask=mask,
            visual=visual,
            max_new_tokens=max_new_tokens,
            do_sample=False,
            logits_processor=LogitsProcessorList([SeededChoice(seeds, temperature)] if seeds is not None else []),
            pad_token_id=self.chat.tokenizer.eos_token_id,
            eos_token_id=self.chat.tokenizer.eos_token_id,
        )
        answers = out[:, ids.shape[1] :]
        texts = self.chat.tokenizer.batch_decode(answers, skip_special_tokens=True)
        return [(start + text).strip() for start, text in zip(begun or [""] * len(texts), texts, strict=True)]

    @torch.inference_mode()
    def suggest(
        self, photos: Sequence[Photo], least: float | None = None, most: int = MOST
    ) -> list[tuple[Score, list[Suggestion]]]:
        """A score and the suggestions of confidence ≥ ``least`` for each photo, best first, ``most`` at most."""
        least = LEAST if least is None else least
        seen = self.look(photos)
        heads = self.model.heads(seen.tokens, seen.measures)
        answers = [
            [
                to_suggestion(CLASSES[k], severity, confidence, int(photo.sha256[:8], 16))
                for k, confidence, severity in remedies[:most]
                if confidence >= least
            ]
            for photo, remedies in zip(photos, self._remedies(seen.tokens, heads), strict=True)
        ]
        return list(zip(self.jury.verdict(seen.opinions), answers, strict=True))

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
        seen = self.look(photos)
        heads = self.model.heads(seen.tokens, seen.measures)
        return self._edit_probabilities(seen.tokens, heads["edits"]).cpu().numpy()

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

    @property
    def judge_described(self) -> nn.Module:
        """What makes the model's own opinion of a score from what :meth:`describe` gives: (n, d) → logits (n, 10)."""
        return DescribedJudge(self.model)

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
