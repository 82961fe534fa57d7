"""A trained network as the engine and every command ask it: photos in, scores, comments and suggestions out."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from calm.data.images import Photo
from calm.edits.remedy import to_suggestion
from calm.edits.words import FAULTS
from calm.errors import UsageError
from calm.inference.answers import Answers, Spoken
from calm.inference.framing import best_crop
from calm.model.alignment import summarise
from calm.model.backbone import in_chunks
from calm.model.catalogue import describer_sha256, folder_sha256
from calm.model.exchange import SCORE_QUESTION
from calm.model.fixed import fix_rows
from calm.model.merged import load_merged
from calm.model.network import Network
from calm.model.precision import fast_dtype, usable_device
from calm.model.visual import VisualTokens
from calm.tasks.observation import ASPECTS
from calm.types import CLASSES, LEVELS, MOST, Aspect, Comment, Score, Suggestion

if TYPE_CHECKING:
    from calm.inference.processing import CalmProcessor
    from calm.model.pretrained import CalmForConditionalGeneration

TRAINED_ON = "trained_on.txt"
ROWS = 8
"""Photos that go through the network at once in bfloat16, so that no answer depends on the batch."""
ASKED = tuple(sorted({*LEVELS, "light", "colour", "subject", "mood", *(aspect for aspect, _ in ASPECTS.values())}))
"""Aspects that a comment can be limited to."""
FORMER = {"focus": "sharpness"}
"""Other names of aspects."""


@dataclass(eq=False)
class Pipeline:
    """Answers of one network.

    Attributes:
        answers: of the network.
        name, sha256: stand in every row.
        trained_on: first eight hex digits of the SHA-256 of every photo seen in training.
        folder: where the network lies, if it was loaded from a folder.
        preprocess: the whole frame squashed to a square, and one native-resolution crop of the photo at a long edge of
            1024.
    """

    answers: Answers
    name: str
    sha256: str
    trained_on: frozenset[str] = frozenset()
    folder: Path | None = None
    preprocess: ClassVar[str] = "calm-views-2"

    @classmethod
    def load(cls, folder: str | Path, device: str | None = None, dtype: torch.dtype | None = None) -> Pipeline:
        """A trained network from its folder, adapters merged.

        Args:
            device: ``cpu``, ``cuda``, ``cuda:1``, ``mps``; None for the best there is.
            dtype: of encoder, alignment module and language model; None for what is fast on that device. Lexicons and
                the rows that answers are read by stay in float32.

        Raises:
            UsageError: for a device that this machine has not.
            WeightsError: for a folder of something else, or with damaged files.
        """
        folder, place = Path(folder), usable_device(device)
        dtype = dtype or fast_dtype(place)
        model, tokenizer = load_merged(folder, dtype)
        model.to(place)
        path = folder / TRAINED_ON
        trained_on = frozenset(path.read_text().split()) if path.is_file() else frozenset()
        rounds = dtype == torch.bfloat16
        if rounds:
            fix_rows(model.backbone)
            fix_rows(model.language_model)
        answers = Answers(model, tokenizer, ROWS if rounds else 0)
        return cls(answers, folder.name, folder_sha256(folder), trained_on, folder)

    # ------------------------------------------------------------------------------------------------ answers

    def score(self, photos: Sequence[Photo]) -> list[Score]:
        """Scores from the whole frames."""
        return self._scores(self.answers.see([photo.pixels for photo in photos], detail=False))

    def comment(self, photos: Sequence[Photo], aspects: Sequence[str] | None = None) -> list[tuple[Score, Comment]]:
        """A score and a comment for each photo; with ``aspects`` only what its observation line says of those, of
        :data:`ASKED`. Raises :class:`UsageError` for another aspect.
        """
        asked = [FORMER.get(aspect, aspect) for aspect in aspects or ()]
        unknown = sorted(set(asked) - set(ASKED))
        if unknown:
            raise UsageError(f"expected an aspect of {', '.join(ASKED)}, found {unknown[0]!r}")
        seen = self._see(photos)
        scores, found = self._scores(seen), []
        seeds = [int(photo.sha256[:8], 16) for photo in photos]
        spoken = self.answers.comments(seen, scores=[score.value for score in scores], seeds=seeds)
        for score, each in zip(scores, spoken, strict=True):
            noted = aspects_of(each)
            if asked:
                noted = tuple(aspect for aspect in noted if aspect.aspect in asked)
            found.append((score, Comment(in_words(asked, noted) if asked else each.prose, noted)))
        return found

    def suggest(
        self, photos: Sequence[Photo], least: float | None = None, most: int = MOST
    ) -> list[tuple[Score, list[Suggestion]]]:
        """A score and the suggestions of confidence ≥ ``least`` (None for the network's own threshold), best first,
        ``most`` at most; those of framing with a crop where one looks better than the whole frame.
        """
        least = self.model.config.remedy_least if least is None else least
        seen, most = self._see(photos), min(most, len(CLASSES))
        remedies, severities = self.answers.advice(seen)
        sure, index = remedies[:, : len(CLASSES)].topk(most, dim=1)
        severities = severities.gather(1, index)
        found = []
        for row, photo in enumerate(photos):
            seed = int(photo.sha256[:8], 16)
            made = [
                to_suggestion(CLASSES[int(index[row, k])], float(severities[row, k]), float(sure[row, k]), seed)
                for k in range(most)
                if float(sure[row, k]) >= least
            ]
            found.append([self._framed(photo, each) if each.attribute == "framing" else each for each in made])
        return list(zip(self._scores(seen), found, strict=True))

    def edit_probabilities(self, photos: Sequence[Photo]) -> np.ndarray:
        """(photos, classes + 1): probability of each remedy, and last of nothing to mend."""
        return self.answers.remedies(self._see(photos)).double().numpy()

    @torch.inference_mode()
    def describe(self, photos: Sequence[Photo]) -> list[tuple[Score, np.ndarray]]:
        """A score and what personal scores are learnt from, (d,) float32, for each photo: the hidden layer and the
        tokens of the branch of summaries, the mean thematic token, and how sure each word is; each part of length 1.
        """
        model, count = self.model, self.model.config.summary_tokens

        def read(frames: Tensor) -> list[Tensor | None]:
            features = model.backbone(frames, model.config.layers)
            seen, summary = model.align(features), summarise(features)
            overview = model.alignment.overview(summary) if count else summary
            return [seen.frame, seen.words, seen.score, seen.thematic, overview]

        frame, words, score, thematic, hidden = in_chunks(read, self.answers.rows, self._frames(photos))
        parts = [hidden, frame[:, -count:].flatten(1)]  # the tokens of summaries stand last; without them, all
        parts += [] if thematic is None else [thematic.mean(dim=1)]
        parts += [] if words is None else [words]
        rows = torch.cat([F.normalize(F.layer_norm(part.float(), part.shape[1:])) for part in parts], dim=1)
        return list(zip(self._scores(VisualTokens(frame, None, words, score=score)), rows.cpu().numpy(), strict=True))

    # ------------------------------------------------------------------------------------------------ yardsticks

    @torch.inference_mode()
    def encoder_only(self, photos: Sequence[Photo]) -> Tensor:
        """The encoder alone on the same photos: what no scorer of this design can be faster than."""
        backbone, layers = self.model.backbone, self.model.config.layers
        return in_chunks(lambda frames: [backbone(frames, layers)], self.answers.rows, self._frames(photos))[0]

    def generate_loop(self, photos: Sequence[Photo]) -> list[str]:
        """A plain ``generate()`` of the score's text, one photo at a time, on the same weights."""
        network, processor = self._generator
        answers = []
        for photo in photos:
            inputs = processor(photo.pixels, SCORE_QUESTION).to(self.device)
            answers += processor.batch_decode(network.generate(**inputs, max_new_tokens=8))
        return answers

    @functools.cached_property
    def _generator(self) -> tuple[CalmForConditionalGeneration, CalmProcessor]:
        from calm.inference.processing import CalmProcessor
        from calm.model.merged import merged_by_transformers

        if self.folder is None:
            raise UsageError("expected a model loaded from a folder for generate(), found another; use Pipeline.load")
        network = merged_by_transformers(self.folder, self.dtype).to(self.device).eval()
        processor = CalmProcessor.from_pretrained(self.folder)
        network.tokenizer = processor.tokenizer
        return network, processor

    # ------------------------------------------------------------------------------------------------ parts

    @functools.cached_property
    def describer(self) -> str:
        """See :func:`calm.model.catalogue.describer_sha256`."""
        return self.sha256 if self.folder is None else describer_sha256(self.folder)

    @property
    def model(self) -> Network:
        """The network."""
        return self.answers.model

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return self.model.device

    @property
    def dtype(self) -> torch.dtype:
        """Number format of encoder, alignment module and language model."""
        return self.model.get_input_embeddings().weight.dtype

    def _see(self, photos: Sequence[Photo]) -> VisualTokens:
        return self.answers.see([photo.pixels for photo in photos])

    def _frames(self, photos: Sequence[Photo]) -> Tensor:
        return self.answers.views([photo.pixels for photo in photos])["frames"]

    def _scores(self, seen: VisualTokens) -> list[Score]:
        return scores_of(self.answers.scores(seen))

    def _framed(self, photo: Photo, suggestion: Suggestion) -> Suggestion:
        return replace(suggestion, crop=best_crop(self.answers, photo.pixels, suggestion.direction))


def scores_of(table: Tensor) -> list[Score]:
    """Scores from probabilities of 1 … 10: (B, 10)."""
    table = table.double()
    levels = torch.arange(1, table.shape[1] + 1, dtype=torch.double)
    means = table @ levels
    spreads = (table @ levels.square() - means.square()).clamp(min=0).sqrt()
    return [
        Score(mean, spread, tuple(row))
        for mean, spread, row in zip(means.tolist(), spreads.tolist(), table.tolist(), strict=True)
    ]


def in_words(asked: Sequence[str], noted: Sequence[Aspect]) -> str:
    """A sentence on each aspect that was asked for: "Noise: noisy (clear)."."""
    known = {aspect.aspect: aspect.text for aspect in noted}
    return " ".join(f"{name.replace('_', ' ').capitalize()}: {known.get(name, 'nothing noted')}." for name in asked)


def aspects_of(spoken: Spoken) -> tuple[Aspect, ...]:
    """The observation line as aspects, each aspect once: faults first, then strengths, then what was noted."""
    seen, found = spoken.observation, dict[str, Aspect]()
    remedies = {fault: attribute for (attribute, _), fault in FAULTS.items()}
    for fault, strength in seen.faults:
        attribute = remedies[fault]
        text = f"{fault} ({strength})" if strength else fault
        found.setdefault(attribute, Aspect(attribute, LEVELS[attribute], -1, text))
    for key in seen.strengths:
        aspect, level = ASPECTS[key]
        found.setdefault(aspect, Aspect(aspect, level, 1, key))  # type: ignore[arg-type]
    for aspect, words in (("light", seen.light), ("colour", seen.colour), ("sharpness", seen.detail)):
        if words:
            found.setdefault(aspect, Aspect(aspect, "low", 0, ", ".join(words)))
    if seen.shows:
        found.setdefault("subject", Aspect("subject", "high", 0, ", ".join(seen.shows)))
    if seen.mood:
        found.setdefault("mood", Aspect("mood", "high", 0, ", ".join(seen.mood)))
    return tuple(found.values())
