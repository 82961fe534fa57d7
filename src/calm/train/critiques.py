"""How photographers write: critiques by people, without their photos, turned into pairs of observation and prose.

A critique's own words say what it is about: which aspects it praises, which it faults, what the photo shows. These
become an observation line, and the critique is what follows it. So the language model learns to write as people do,
resting on a line. Sentences that fit a photo's line also become its comment (:meth:`Critiques.compose`).
"""

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from calm.edits.base import Applied, edits
from calm.edits.words import DEGREES, FAULTS, advise, describe
from calm.tasks.observation import Observation
from calm.train.vocabulary import Vocabulary, tables, words_of

ODD = re.compile(r"https?:|www\.|@|&|\d{3,}|f/\d|[A-Z]{4,}|\.\.\.|[:;]\)")
"""Links, numbers, shouting and faces: not what a comment is made of."""
FEW = 25
"""Sentences about a fault that there must be, so that a comment does not repeat the same one."""
REMEDIES = {fault: remedy for remedy, fault in FAULTS.items()}
SEVERITY = dict(zip(DEGREES, (0.2, 0.5, 0.85), strict=True))
BANDS = (3.5, 4.5, 5.5, 6.5)
"""Scores between which verdicts differ."""
COMMON = 1200
"""Words of critiques, the most frequent ones, that count as common."""
LONGEST = 18
"""Words of a sentence that stands for any photo."""
CONVERSATION = re.compile(r"\b(?:I|I'm|I'd|I've|me|my|you|your|you've|he|she|his|her|this one|yours)\b", re.IGNORECASE)
"""Words of a conversation between two people: such a sentence fits its own photo only."""


@dataclass(frozen=True)
class Sentence:
    """One sentence of a critique and what it speaks of.

    Attributes:
        praised: aspects of :data:`calm.tasks.observation.ASPECTS`; faulted: faults; shows: words of the vocabulary.
    """

    text: str
    praised: tuple[str, ...]
    faulted: tuple[str, ...]
    shows: tuple[str, ...]


class Critiques:
    """Sentences and paragraphs of human critiques.

    Args:
        root: folder with ``aestheval`` (PCCD) and ``dpc`` (DPC-Captions).
        vocabulary: for what a sentence says the photo shows.
    """

    def __init__(self, root: str | Path, vocabulary: Vocabulary) -> None:
        self.vocabulary, known = vocabulary, tables()
        self.praised = {key: _any(words, whole=True) for key, words in known["praised"].items()}
        self.faulted = {key: _any(words) for key, words in known["faulted"].items()}
        self.praising, self.doubting = _any(known["praising"], whole=True), _any(known["doubting"], whole=True)
        self.measured, self.verdicts, self.lauded = known["sentences"], known["verdicts"], known["praise"]
        self.personal = _any(known["personal"], whole=True)
        self.paragraphs: list[list[Sentence]] = []
        self.praise: defaultdict[str, list[Sentence]] = defaultdict(list)
        self.fault: defaultdict[str, list[Sentence]] = defaultdict(list)
        texts = [[found for part in parts for found in self.sentences(part)] for parts in self._texts(Path(root))]
        common = self._common(each for sentences in texts for each in sentences)
        for sentences in texts:
            general = [each for each in sentences if self._general(each, common)]
            if len(general) >= 2:
                self.paragraphs.append(general)
            for each in general:
                if each.shows or len(each.text.split()) > LONGEST:
                    continue
                for key in each.faulted:
                    self.fault[key].append(each)
                for key in each.praised if not each.faulted else ():
                    self.praise[key].append(each)

    @staticmethod
    def _common(sentences: Iterable[Sentence]) -> frozenset[str]:
        """Words that many critiques use: what is left says nothing that only its own photo shows."""
        counts = Counter(word for each in sentences for word in words_of(each.text))
        known = tables()
        usual = {word for word, _ in counts.most_common(COMMON)}
        return frozenset(usual - known["particular"] - known["colours"]) | {"light", "dark", "bright", ",", "."}

    @staticmethod
    def _general(sentence: Sentence, common: frozenset[str]) -> bool:
        allowed = common | {form for word in sentence.shows for form in (*word.split(), word + "s")}
        return not CONVERSATION.search(sentence.text) and all(word in allowed for word in words_of(sentence.text))

    def _texts(self, root: Path) -> Iterator[list[str]]:
        for name in ("guru_test", "guru_validation"):
            path = root / f"aestheval/aestheval/data/PCCD/{name}.json"
            for each in json.loads(path.read_text(encoding="utf-8")) if path.is_file() else []:
                fields = ("general_impression", "composition", "color_lighting", "focus", "subject_of_photo")
                yield [each[field] for field in fields if each.get(field)]
        path = root / "dpc/impression_and_subject.json"
        for comments in json.loads(path.read_text(encoding="utf-8")).values() if path.is_file() else []:
            for comment in comments:
                yield [comment]

    def sentences(self, text: str) -> list[Sentence]:
        """The usable sentences of a text: whole, of 5 to 32 words, about the photo and not about its maker."""
        found = []
        for raw in re.split(r"(?<=[.!?])\s+|(?<=[a-z][.!?])(?=[A-Z])", " ".join(text.split())):
            line = raw.strip(" \"'*-").replace(" ,", ",")
            odd = not 5 <= len(line.split()) <= 32 or ODD.search(line) or not line[0].isalpha() or '"' in line
            if odd or self.personal.search(line.lower()):
                continue
            line = f"{line[0].upper()}{line[1:]}".rstrip("!?.,; ") + "."
            low = line.lower()
            faulted = tuple(key for key, pattern in self.faulted.items() if pattern.search(low))
            praised: tuple[str, ...] = ()
            if self.praising.search(low) and not faulted and not self.doubting.search(low):
                praised = tuple(key for key, pattern in self.praised.items() if pattern.search(low))
            shows = tuple(w for w in self.vocabulary.named((), [line]) if w not in tables()["vague"])
            found.append(Sentence(line, praised, faulted, shows))
        return found

    def pair(self, rng: np.random.Generator) -> tuple[Observation, str]:
        """An observation and the two to four sentences of one critique that it was taken from."""
        for _ in range(50):
            sentences = self.paragraphs[int(rng.integers(len(self.paragraphs)))]
            start = int(rng.integers(max(1, len(sentences) - 2)))
            chosen = sentences[start : start + int(rng.integers(2, 5))]
            if len(chosen) >= 2 and any(each.praised or each.faulted for each in chosen):
                break
        praised = list(dict.fromkeys(key for each in chosen for key in each.praised))[:3]
        faulted = list(dict.fromkeys(key for each in chosen for key in each.faulted))[:3]
        shows = list(dict.fromkeys(word for each in chosen for word in each.shows))[:3]
        score = 5.5 + 0.5 * len(praised) - 0.7 * len(faulted) + float(rng.normal(0, 0.4))
        seen = Observation(
            shows, strengths=praised, faults=[(key, "clear") for key in faulted], score=float(np.clip(score, 2, 9))
        )
        return seen, " ".join(each.text for each in chosen)

    def compose(self, seen: Observation, subject: str, rng: np.random.Generator) -> str:
        """Two to four sentences that fit an observation: what is shown, what works, what does not.

        Args:
            subject: a first sentence about what is shown, which may tell light and colour as well; "" for none.
        """
        chosen = [subject] if subject else []
        words = [word for word in (*seen.light, *seen.colour, *seen.detail) if not _told(word, subject)]
        measured = [str(rng.choice(self.measured[word])) for word in words]
        known = [str(rng.choice(self.measured[word])) for word in seen.mood if rng.random() < 0.7]
        known += [self._praise(key, seen, rng) for key in list(seen.strengths)[:2]]
        for key, strength in list(seen.faults)[:2]:
            made = _applied(key, strength)
            human = self._fitting(self.fault[key], seen, rng) if len(self.fault[key]) >= FEW else ""
            known.append(human if human and rng.random() < 0.15 else describe(made, rng))
        if seen.faults and rng.random() < 0.7:
            known.append(advise(_applied(*seen.faults[0]), rng))
        room = max(0, int(rng.integers(2, 5)) - len(chosen) - len(known) - 1)
        chosen += [measured[i] for i in sorted(rng.permutation(len(measured))[:room])] + known
        if seen.score is not None and not (seen.faults and rng.random() < 0.5):
            chosen.append(str(rng.choice(self.verdicts[int(np.searchsorted(BANDS, seen.score))])))
        return " ".join(dict.fromkeys(filter(None, chosen[:5])))

    def _praise(self, key: str, seen: Observation, rng: np.random.Generator) -> str:
        """A sentence for a strength: one time in five a person's own."""
        human = self._fitting(self.praise[key], seen, rng) if rng.random() < 0.2 else ""
        return human or str(rng.choice(self.lauded[key])) if key in self.lauded else human

    def _fitting(self, bank: Sequence[Sentence], seen: Observation, rng: np.random.Generator) -> str:
        """A sentence that praises and faults nothing but what the line does."""
        known = set(seen.strengths)
        faults = {fault for fault, _ in seen.faults}
        for _ in range(40 if bank else 0):
            each = bank[int(rng.integers(len(bank)))]
            if set(each.praised) <= known and set(each.faulted) <= faults:
                return each.text
        return ""


def _told(word: str, subject: str) -> bool:
    """Whether a first sentence already tells a word of light or colour."""
    return any(setting in subject for setting in tables()["settings"].get(word, ()))


def _applied(fault: str, strength: str) -> Applied:
    """The edit that a fault stands for, at the severity that its strength means, without an amount: a line has none."""
    attribute, direction = REMEDIES[fault]
    return replace(edits()[attribute].done(direction, SEVERITY.get(strength, 0.5)), amount=None)


def _any(words: Sequence[str], whole: bool = False) -> re.Pattern[str]:
    """A pattern that finds any of some words or patterns, between word boundaries if ``whole``."""
    found = "|".join(sorted(words))
    return re.compile(rf"\b(?:{found})\b" if whole else found)
