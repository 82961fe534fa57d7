"""A trained network as the engine and every command ask it: photos in, scores, comments and suggestions out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from calm.data.images import Photo
from calm.edits.suggest import to_suggestion
from calm.inference.answers import Answers, Spoken
from calm.inference.framing import best_crop
from calm.inference.processing import look
from calm.model.alignment import summarise
from calm.model.encoder import merge_lora
from calm.model.network import VisualTokens
from calm.model.storage import MANIFEST, load
from calm.model.weights import folder_sha256
from calm.tasks.observation import ASPECTS, FAULTS
from calm.types import CLASSES, LEVELS, MOST, Aspect, Comment, Score, Suggestion

TRAINED_ON = "trained_on.txt"


class Pipeline:
    """Answers of one network.

    Args:
        answers: of the network.
        name, sha256: stand in every row.
        trained_on: first eight hex digits of the SHA-256 of every photo seen in training.
    """

    preprocess = "calm-views-2"
    """The whole frame squashed to a square, and one native-resolution crop of the photo at a long edge of 1024."""

    def __init__(
        self,
        answers: Answers,
        name: str,
        sha256: str,
        trained_on: frozenset[str] = frozenset(),
    ) -> None:
        self.answers, self.name, self.sha256 = answers, name, sha256
        self.trained_on = trained_on

    @classmethod
    def load(cls, folder: str | Path) -> Pipeline:
        """A trained network from its folder, adapters merged, in float32."""
        folder = Path(folder)
        model, tokenizer = load(folder)
        merge_lora(model.backbone.model)
        merge_lora(model.language_model)
        model.requires_grad_(False)
        path = folder / TRAINED_ON
        trained_on = frozenset(path.read_text().split()) if path.is_file() else frozenset()
        return cls(Answers(model, tokenizer), folder.name, folder_sha256(folder), trained_on)

    @staticmethod
    def fits(folder: str | Path) -> bool:
        """Whether a model folder holds one network."""
        return (Path(folder) / MANIFEST).is_file()

    # ------------------------------------------------------------------------------------------------ answers

    def score(self, photos: Sequence[Photo]) -> list[Score]:
        """Scores from the whole frames."""
        return self._scores(self.answers.see([photo.pixels for photo in photos], detail=False))

    def comment(self, photos: Sequence[Photo], aspects: Sequence[str] | None = None) -> list[tuple[Score, Comment]]:
        """A score and a comment for each photo; with ``aspects`` only what its observation line says of those."""
        seen = self._see(photos)
        scores, found = self._scores(seen), []
        spoken = self.answers.comments(seen, scores=[score.value for score in scores])
        for score, each in zip(scores, spoken, strict=True):
            noted = aspects_of(each)
            if aspects:
                noted = tuple(aspect for aspect in noted if aspect.aspect in aspects)
            text = each.prose if not aspects else " ".join(aspect.text for aspect in noted)
            found.append((score, Comment(text, noted)))
        return found

    def suggest(
        self, photos: Sequence[Photo], least: float | None = None, most: int = MOST
    ) -> list[tuple[Score, list[Suggestion]]]:
        """A score and the suggestions of confidence ≥ ``least`` (None for the network's own threshold), best first,
        ``most`` at most; those of framing with a crop where one looks better than the whole frame.
        """
        least = self.answers.model.config.remedy_least if least is None else least
        seen, most = self._see(photos), min(most, len(CLASSES))
        sure, index = self.answers.remedies(seen)[:, : len(CLASSES)].topk(most, dim=1)
        severities = torch.stack([self.answers.severities(seen, index[:, k]) for k in range(most)], dim=1)
        found = []
        for row, photo in enumerate(photos):
            seed = int(photo.sha256[:8], 16)
            made = [
                to_suggestion(CLASSES[int(index[row, k])], float(severities[row, k]), float(sure[row, k]), seed)
                for k in range(most)
                if float(sure[row, k]) >= least
            ]
            found.append([self._framed(photo, each) for each in made])
        return list(zip(self._scores(seen), found, strict=True))

    def edit_probabilities(self, photos: Sequence[Photo]) -> np.ndarray:
        """(photos, classes + 1): probability of each remedy, and last of nothing to mend."""
        return self.answers.remedies(self._see(photos)).double().numpy()

    @torch.inference_mode()
    def describe(self, photos: Sequence[Photo]) -> list[tuple[Score, np.ndarray]]:
        """A score and what personal scores are learnt from, (d,) float32, for each photo: the hidden layer and the
        tokens of the branch of summaries, the mean thematic token, and how sure each word is; each part of length 1.
        """
        model = self.answers.model
        frames = look([photo.pixels for photo in photos], model.config, detail=False)["frames"]
        features = model.backbone(frames, model.config.layers)
        seen, tokens = model.align(features), model.alignment.frame(features)
        parts = [model.alignment.overview(summarise(features)), tokens["summary"].flatten(1)]
        parts += [tokens["thematic"].mean(dim=1)] if "thematic" in tokens else []
        parts += [] if seen.words is None else [seen.words]
        rows = torch.cat([F.normalize(F.layer_norm(part.float(), part.shape[1:])) for part in parts], dim=1)
        return list(zip(self._scores(seen), rows.numpy(), strict=True))

    # ------------------------------------------------------------------------------------------------ parts

    def _see(self, photos: Sequence[Photo]) -> VisualTokens:
        return self.answers.see([photo.pixels for photo in photos])

    def _scores(self, seen: VisualTokens) -> list[Score]:
        table = self.answers.scores(seen).double()
        levels = torch.arange(1, table.shape[1] + 1, dtype=torch.double)
        means = table @ levels
        spreads = (table @ levels.square() - means.square()).clamp(min=0).sqrt()
        return [
            Score(mean, spread, tuple(row))
            for mean, spread, row in zip(means.tolist(), spreads.tolist(), table.tolist(), strict=True)
        ]

    def _framed(self, photo: Photo, suggestion: Suggestion) -> Suggestion:
        if suggestion.attribute != "framing":
            return suggestion
        return replace(suggestion, crop=best_crop(self.answers, photo.pixels, suggestion.direction))


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
