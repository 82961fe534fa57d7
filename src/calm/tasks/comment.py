"""Comment: two to four sentences on what a photo shows and how it works, from what people said and what is measured."""

from __future__ import annotations

import numpy as np

from calm.data.measure import standardise
from calm.data.rated import rated_of
from calm.data.sample import Sample
from calm.model.modeling import CalmForConditionalGeneration
from calm.model.processing import pad_measures
from calm.tasks.base import Context, Report, Task, silent
from calm.tasks.facts import FactsStore
from calm.tasks.features import FrameFeatures
from calm.tasks.opinions import Opinions
from calm.words.compose import compose, compose_aspect
from calm.words.facts import ASPECTS, Facts
from calm.words.notes import noted
from calm.words.questions import QUESTIONS

ASPECT_SHARE = 0.2
"""Share of questions about one aspect alone."""


def exchange(facts: Facts, rng: np.random.Generator, with_notes: bool = True) -> tuple[str, str]:
    """A question and an answer in words that are drawn anew each time; half the questions are the canonical ones.

    ``with_notes``: notes of what the answer is to say stand before the question.
    """
    if rng.random() < ASPECT_SHARE:
        aspect = str(rng.choice(list(ASPECTS)))
        question, said = _ask(f"aspect:{aspect}", rng), compose_aspect(facts, aspect, rng)
    else:
        question, said = _ask("comment", rng), compose(facts, rng)
    return (noted(question, facts, said) if with_notes else question), said.text


def _ask(kind: str, rng: np.random.Generator) -> str:
    questions = QUESTIONS[kind]
    return questions[0] if rng.random() < 0.5 else str(rng.choice(questions))


class CommentTask(Task):
    """Rated photos (frame only, from the feature cache) and what is observed on them.

    Args:
        source: a rated data set.
        limit: photos at most; 0 for all.
    """

    name = "comment"

    def __init__(self, context: Context, source: str = "para", split: str = "train", limit: int = 0) -> None:
        super().__init__(context)
        self.photos = rated_of(source, context.root / source, split)[: limit or None]
        self.frames = FrameFeatures(context, source)
        self.facts = FactsStore(context, source)
        self.opinions = Opinions((context.run or context.cache) / f"opinions-of-{source}.json")

    def prepare(self, model: CalmForConditionalGeneration, report: Report = silent) -> None:
        photos = [(photo.sha256, photo.record.path) for photo in self.photos]
        self.frames.fill(model, photos, True, report, self.branches)
        if any(photo.sha256 not in self.facts.known for photo in self.photos):
            from calm.model.saliency import Saliency

            self.facts.fill([photo.record for photo in self.photos], Saliency(), report=report)
        self.opinions.fill(model, [photo.sha256 for photo in self.photos], self.frames.read, report)

    def hashes(self) -> set[str]:
        return {photo.sha256 for photo in self.photos}

    def __len__(self) -> int:
        return len(self.photos)

    def sample(self, index: int, rng: np.random.Generator) -> Sample:
        photo = self.photos[index]
        record, observed = photo.record, self.facts.known[photo.sha256]
        facts = Facts(
            score=photo.score,
            quality=(record.attributes or {}).get("quality"),
            emotions=record.emotions,
            content=self.opinions.content(photo.sha256),
            reading=observed.reading,
            native=False,
        )
        question, answer = exchange(facts, rng, self.context.config.notes)
        return Sample(
            **self.frames.read(photo.sha256),
            measures=pad_measures(standardise(observed.measurements), self.context.config.measures),
            question=question,
            answer=answer,
        )
