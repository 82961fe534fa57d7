"""Does the model see what was done to a photo? One known edit at a time, on photos that it was never trained on.

Three draws of edits, told apart in the result:

- ``visible``: one edit of severity ≥ .33, all low and middle attributes equally often; ``strong`` are those of them
  with severity ≥ .66;
- ``realistic``: the same attributes at any severity, as they come;
- ``high``: edits of high-level attributes (severity ≥ .33), where there is an edit for them.

Nuisance changes (another size, another JPEG pass …) are drawn on all of them, as in training. "Right" means the right
attribute and direction. Classes are ranked among themselves, which asks *what* is wrong; *whether* anything is wrong is
asked apart, by the alarms on untouched photos and by ``recall_at_threshold``: the share of edits that are both named
rightly and surer than the threshold which one untouched photo in ten passes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from calm.engine import DEFAULT_BATCH_SIZE, Model
from calm.errors import ConfigError, DataError
from calm.eval.gather import Paths, decode, draw, edited, find, plain, progress, refuse_trained, stamp
from calm.eval.metrics import expected_calibration_error, proportion, ranks_of, threshold_for_false_alarms
from calm.eval.predictions import prediction
from calm.eval.saliency import SaliencyMap, SaliencySource, saliency_map
from calm.types import CLASSES, LEVELS

if TYPE_CHECKING:
    from calm.data.images import Photo

VISIBLE, STRONG = 0.33, 0.66
"""Severities from which an edit is clearly visible, and strong."""
ALARM = 0.5
"""Confidence from which a suggestion on an untouched photo counts as a false alarm."""
FALSE_ALARM_RATE = 0.1
COMMON = tuple(name for name, level in LEVELS.items() if level != "high")
HIGH = tuple(name for name, level in LEVELS.items() if level == "high")


class EditPredictor(Model, Protocol):
    """A predictor that can be asked for the probability of every edit."""

    def edit_probabilities(self, photos: list[Photo]) -> np.ndarray:
        """(photos, classes + 1): probability of each class of ``calm.edits.CLASSES``, and last of nothing to mend."""
        ...


@dataclass(frozen=True)
class Trial:
    """One photo shown to the model.

    Attributes:
        draw: ``visible``, ``realistic``, ``high``, ``untouched`` or ``nuisances`` (untouched but for nuisance changes).
        label: index of the right class; the number of classes for nothing to mend.
        amount: the remedy's amount, None where it has no measure.
    """

    draw: str
    photo: Photo
    label: int
    severity: float = 0.0
    amount: float | None = None


@dataclass
class Outcomes:
    """What the model said in all trials, row by row."""

    draw: list[str] = field(default_factory=list)
    label: list[int] = field(default_factory=list)
    severity: list[float] = field(default_factory=list)
    probabilities: list[np.ndarray] = field(default_factory=list)
    alarm: list[bool] = field(default_factory=list)
    amount_error: list[float] = field(default_factory=list)
    """Relative error of the amount; nan where the edit has none or the right suggestion was not made."""
    path: list[str] = field(default_factory=list)
    sha256: list[str] = field(default_factory=list)

    def add(self, trial: Trial, probabilities: np.ndarray, alarm: bool, amount_error: float) -> None:
        """Note one trial."""
        self.draw.append(trial.draw)
        self.label.append(trial.label)
        self.severity.append(trial.severity)
        self.probabilities.append(probabilities)
        self.alarm.append(alarm)
        self.amount_error.append(amount_error)
        self.path.append(trial.photo.path)
        self.sha256.append(trial.photo.sha256)


def eval_edits(
    predictor: EditPredictor,
    photos: Paths,
    *,
    seed: int = 0,
    per_photo: int = 1,
    limit: int | None = None,
    saliency: SaliencySource = "packaged",
    batch_size: int = DEFAULT_BATCH_SIZE,
    keep: bool = False,
) -> dict[str, Any]:
    """Edit photos, ask the model what was done, and count.

    Args:
        photos: a folder or files that the model was never trained on; refused where the predictor knows otherwise.
        per_photo: edits a photo in each of ``visible`` and ``realistic``.
        limit: use only so many photos, drawn by ``seed``.
        saliency: where the main subject is, which some edits go by.
        keep: return each trial's line (:mod:`calm.eval.predictions`) as ``predictions`` too.

    Returns:
        ``visible strong realistic high`` (each ``n top1 top3 top1_with_nothing recall_at_threshold amount_error
        amount_found`` and intervals), ``per_attribute`` and ``per_class`` of the visible and high edits,
        ``confusions``, ``untouched`` (false alarms, threshold) and ``calibration_error``.

    Raises:
        DataError: for no readable photo, or photos that the model was trained on.
    """
    paths = draw(find(photos), limit, seed)
    compared = refuse_trained(predictor, paths)
    failed: list[dict[str, str]] = []
    outcomes = Outcomes()
    waiting: list[Trial] = []
    source = decode(progress(paths, "editing", len(paths)), failed)
    for trial in _trials(source, saliency_map(saliency), per_photo, seed):
        waiting.append(trial)
        if len(waiting) == batch_size:
            _show(predictor, waiting, outcomes)
            waiting = []
    if waiting:
        _show(predictor, waiting, outcomes)
    if not outcomes.draw:
        raise DataError(f"expected at least one photo that can be read in {photos}, found {len(failed)} that failed")
    names = [f"{attribute} {direction}" for attribute, direction in CLASSES]
    return plain(
        {
            "task": "edits",
            "photos": len(paths) - len(failed),
            "seed": seed,
            "per_photo": per_photo,
            "attributes": _editable(COMMON + HIGH),
            "training_hashes_compared": compared,
            **summarise(outcomes, names),
            "failed": failed,
        }
        | stamp(predictor)
        | ({"predictions": _lines(outcomes, names)} if keep else {})
    )


def summarise(outcomes: Outcomes, names: Sequence[str]) -> dict[str, Any]:
    """All figures from the trials. ``names``: the classes as "attribute direction", in the predictor's order."""
    draws, labels = np.array(outcomes.draw), np.array(outcomes.label)
    table, severity = np.stack(outcomes.probabilities), np.array(outcomes.severity)
    errors = np.array(outcomes.amount_error)
    untouched = draws == "untouched"
    threshold = threshold_for_false_alarms(table[untouched, :-1].max(1), FALSE_ALARM_RATE)
    visible, high = draws == "visible", draws == "high"

    def figures(chosen: np.ndarray) -> dict[str, Any] | None:
        return _figures(table[chosen], labels[chosen], errors[chosen], threshold) if chosen.any() else None

    attributes = [name.split()[0] for name in names]
    told = visible | high
    own = np.array([attributes[label] if label < len(names) else "" for label in labels])
    per_attribute = {name: figures(told & (own == name)) for name in dict.fromkeys(attributes)}
    per_class = {name: figures(told & (labels == i)) for i, name in enumerate(names)}
    judged = visible | untouched
    return {
        "visible": figures(visible),
        "strong": figures(visible & (severity >= STRONG)),
        "realistic": figures(draws == "realistic"),
        "high": figures(high),
        "per_attribute": {name: each for name, each in per_attribute.items() if each},
        "per_class": {name: each for name, each in per_class.items() if each},
        "confusions": _confusions(table[visible], labels[visible], names),
        "untouched": _alarms(np.array(outcomes.alarm), draws, threshold),
        "calibration_error": expected_calibration_error(
            np.clip(table[judged].max(1), 0, 1), table[judged].argmax(1) == labels[judged]
        ),
    }


def _figures(table: np.ndarray, labels: np.ndarray, errors: np.ndarray, threshold: float) -> dict[str, Any]:
    """Figures of edits. ``table``: (n, classes + 1), ``labels``: (n,) below classes, ``errors``: (n,) or nan."""
    ranks, n = ranks_of(table[:, :-1], labels), len(labels)
    first = proportion(int((ranks < 1).sum()), n)
    known = errors[np.isfinite(errors)]
    return {
        "n": n,
        "top1": first.value,
        "top1_interval": [first.low, first.high],
        "top3": float((ranks < 3).mean()),
        "top1_with_nothing": float((ranks_of(table, labels) < 1).mean()),
        "recall_at_threshold": float(((ranks < 1) & (table[:, :-1].max(1) > threshold)).mean()),
        "amount_error": float(np.median(known)) if known.size else None,
        "amount_found": int(known.size),
    }


def _alarms(alarm: np.ndarray, draws: np.ndarray, threshold: float) -> dict[str, Any]:
    n = int((draws == "untouched").sum())
    plainly = proportion(int(alarm[draws == "untouched"].sum()), n)
    disguised = proportion(int(alarm[draws == "nuisances"].sum()), int((draws == "nuisances").sum()))
    return {
        "n": n,
        "confidence": ALARM,
        "false_alarms": plainly.value,
        "false_alarms_interval": [plainly.low, plainly.high],
        "false_alarms_with_nuisances": disguised.value,
        "threshold": threshold,
        "threshold_false_alarms": FALSE_ALARM_RATE,
    }


def _lines(outcomes: Outcomes, names: Sequence[str]) -> list[dict[str, Any]]:
    """Each trial's line. Of an edit the class that was thought likeliest, "" for a tie; of a photo without one
    ``nothing``, or ``alarm`` where something was suggested.
    """
    lines = []
    for i, table in enumerate(outcomes.probabilities):
        if outcomes.label[i] < len(names):
            given, best = names[outcomes.label[i]], np.flatnonzero(table[:-1] == table[:-1].max())
            said = names[best[0]] if best.size == 1 else ""
        else:
            given, said = "nothing", "alarm" if outcomes.alarm[i] else "nothing"
        lines.append(prediction("edits", outcomes.path[i], outcomes.sha256[i], said, given, outcomes.draw[i]))
    return lines


def _confusions(table: np.ndarray, labels: np.ndarray, names: Sequence[str], most: int = 10) -> list[dict[str, Any]]:
    """The commonest mistakes: which class was taken for which, and how often."""
    said = table[:, :-1].argmax(1)
    wrong = Counter((int(a), int(b)) for a, b in zip(labels, said, strict=True) if a != b)
    return [{"edit": names[a], "said": names[b], "n": n} for (a, b), n in wrong.most_common(most)]


def _trials(photos: Iterator[Photo], find_subject: SaliencyMap | None, per_photo: int, seed: int) -> Iterator[Trial]:
    """Each photo untouched, with nuisances alone, and with its share of the edits."""
    from calm.edits import make_lesson

    rng = np.random.default_rng(seed)
    common, high = _editable(COMMON), _editable(HIGH)
    decks = {"visible": _Deck(common, rng), "realistic": _Deck(common, rng), "high": _Deck(high, rng)}
    turns = {"visible": per_photo, "realistic": per_photo, "high": 1}
    for photo in photos:
        yield Trial("untouched", photo, len(CLASSES))
        subject = find_subject(photo.pixels) if find_subject else None
        lesson = make_lesson(photo.pixels, rng, count=0, saliency=subject)
        yield Trial("nuisances", edited(photo, lesson.pixels), len(CLASSES))
        for name, deck in decks.items():
            for attribute in deck.deal(turns[name]):
                least = 0.0 if name == "realistic" else VISIBLE
                lesson = make_lesson(
                    photo.pixels, rng, attributes=[attribute], count=1, min_severity=least, saliency=subject
                )
                if len(lesson.applied) != 1 or lesson.applied[0].severity < least:
                    deck.owe(attribute)  # this photo does not lend itself to it: the next one takes it
                    continue
                applied = lesson.applied[0]
                label = CLASSES.index((applied.attribute, applied.direction))
                yield Trial(name, edited(photo, lesson.pixels), label, applied.severity, applied.amount)


class _Deck:
    """Deals attributes so that all come up equally often, in random order."""

    def __init__(self, attributes: Sequence[str], rng: np.random.Generator) -> None:
        self.attributes, self.rng = list(attributes), rng
        self.cards: list[str] = []
        self.owed: Counter[str] = Counter()

    def deal(self, count: int) -> list[str]:
        """The next ``count`` attributes; none from an empty deck."""
        if not self.attributes:
            return []
        while len(self.cards) < count:
            # At most two owed cards an attribute: one that no photo takes must not crowd out the others.
            again = [name for name, times in self.owed.items() for _ in range(min(times, 2))]
            self.cards = self.cards + [str(each) for each in self.rng.permutation(self.attributes + again)]
            self.owed.clear()
        dealt, self.cards = self.cards[:count], self.cards[count:]
        return dealt

    def owe(self, attribute: str) -> None:
        """Deal an attribute once more in the next round, in place of a photo that did not lend itself to it."""
        self.owed[attribute] += 1


def _show(predictor: EditPredictor, trials: list[Trial], outcomes: Outcomes) -> None:
    """Ask about a batch of trials. Raises :class:`ConfigError` for a predictor that answers in another shape."""

    photos = [trial.photo for trial in trials]
    table = np.asarray(predictor.edit_probabilities(photos), float)
    if table.shape != (len(trials), len(CLASSES) + 1):
        raise ConfigError(
            f"expected edit probabilities of shape {(len(trials), len(CLASSES) + 1)}, found {table.shape}; "
            f"the last column is nothing to mend"
        )
    suggested = [suggestions for _, suggestions in predictor.suggest(photos)]
    for trial, row, suggestions in zip(trials, table, suggested, strict=True):
        error = np.nan
        if trial.label < len(CLASSES) and trial.amount:
            wanted = CLASSES[trial.label]
            right = (each for each in suggestions if (each.attribute, each.direction) == wanted)
            amount = next((each.amount for each in right if each.amount is not None), None)
            error = np.nan if amount is None else abs(amount - trial.amount) / abs(trial.amount)
        outcomes.add(trial, row, any(each.confidence >= ALARM for each in suggestions), float(error))


def _editable(attributes: Sequence[str]) -> tuple[str, ...]:
    """Those of the attributes that there is an edit for."""
    from calm.edits import edits

    there = edits()
    return tuple(name for name in attributes if name in there)
