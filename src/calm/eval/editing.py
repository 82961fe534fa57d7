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

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Protocol

import numpy as np

from calm.data.images import Photo
from calm.edits import edits, synthetic_edit
from calm.edits.base import VISIBLE
from calm.errors import ConfigError, DataError
from calm.eval.gather import Drawn, Paths, edited
from calm.eval.paired import prediction
from calm.inference.tasks import Model
from calm.model.saliency import SaliencyMap, SaliencySource, saliency_map
from calm.tasks.metrics import expected_calibration_error, proportion, ranks_of, threshold_for_false_alarms
from calm.types import CLASSES, DEFAULT_BATCH_SIZE, LEVELS

STRONG = 0.66
"""Severity from which an edit is strong."""
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


@dataclass
class Probe:
    """One photo shown to the model, and what came of it.

    Attributes:
        draw: ``visible``, ``realistic``, ``high``, ``untouched`` or ``nuisances`` (untouched but for nuisance changes).
        photo: None as soon as it was shown.
        label: index of the right class; the number of classes for nothing to mend.
        amount: the remedy's amount, None where it has no measure.
        path, sha256: of the photo.
        probabilities: (classes + 1,), as the model gave them.
        alarm: whether a suggestion was made with a confidence of :data:`ALARM` or more.
        amount_error: relative error of the amount; nan where the edit has none or the right suggestion was not made.
    """

    draw: str
    photo: Photo | None
    label: int
    severity: float = 0.0
    amount: float | None = None
    path: str = ""
    sha256: str = ""
    probabilities: np.ndarray = field(default_factory=lambda: np.zeros(len(CLASSES) + 1))
    alarm: bool = False
    amount_error: float = math.nan


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
        keep: return each probe's line (:mod:`calm.eval.paired`) as ``predictions`` too.

    Returns:
        ``visible strong realistic high`` (each ``n top1 top3 top1_with_nothing recall_at_threshold amount_error
        amount_found`` and intervals), ``per_attribute`` and ``per_class`` of the visible and high edits,
        ``confusions``, ``untouched`` (false alarms, threshold) and ``calibration_error``.

    Raises:
        DataError: for no readable photo, or photos that the model was trained on.
    """
    drawn = Drawn.unseen(predictor, photos, limit, seed)
    probes = _probes(drawn.photos("editing"), saliency_map(saliency), per_photo, seed)
    shown: list[Probe] = []
    while waiting := list(islice(probes, batch_size)):
        _show(predictor, waiting)
        shown += waiting
    if not shown:
        raise DataError(
            f"expected at least one photo that can be read in {photos}, found {len(drawn.failed)} that failed"
        )
    names = [f"{attribute} {direction}" for attribute, direction in CLASSES]
    found = drawn.result(
        "edits",
        {
            "photos": len(drawn.paths) - len(drawn.failed),
            "seed": seed,
            "per_photo": per_photo,
            "attributes": _editable(COMMON + HIGH),
            "training_hashes_compared": drawn.compared,
            **summarise(shown, names),
        },
    )
    return found | ({"predictions": [_line(each, names) for each in shown]} if keep else {})


def summarise(probes: Sequence[Probe], names: Sequence[str]) -> dict[str, Any]:
    """All figures from the probes. ``names``: the classes as "attribute direction", in the predictor's order."""
    draws, labels, severity, alarms, errors = (
        np.array([getattr(each, name) for each in probes])
        for name in ("draw", "label", "severity", "alarm", "amount_error")
    )
    table = np.stack([each.probabilities for each in probes])
    untouched = draws == "untouched"
    threshold = threshold_for_false_alarms(table[untouched, :-1].max(1), FALSE_ALARM_RATE)
    visible, high = draws == "visible", draws == "high"

    def figures(chosen: np.ndarray) -> dict[str, Any] | None:
        return _figures(table[chosen], labels[chosen], errors[chosen], threshold) if chosen.any() else None

    attributes = [name.split()[0] for name in names]
    shown = visible | high
    own = np.array([attributes[label] if label < len(names) else "" for label in labels])
    per_attribute = {name: figures(shown & (own == name)) for name in dict.fromkeys(attributes)}
    per_class = {name: figures(shown & (labels == i)) for i, name in enumerate(names)}
    judged = visible | untouched
    return {
        "visible": figures(visible),
        "strong": figures(visible & (severity >= STRONG)),
        "realistic": figures(draws == "realistic"),
        "high": figures(high),
        "per_attribute": {name: each for name, each in per_attribute.items() if each},
        "per_class": {name: each for name, each in per_class.items() if each},
        "confusions": _confusions(table[visible], labels[visible], names),
        "untouched": _alarms(alarms, draws, threshold),
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
        **first.named("top1"),
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
        **plainly.named("false_alarms"),
        "false_alarms_with_nuisances": disguised.value,
        "threshold": threshold,
        "threshold_false_alarms": FALSE_ALARM_RATE,
    }


def _line(probe: Probe, names: Sequence[str]) -> dict[str, Any]:
    """A probe's line. Of an edit the class that was thought likeliest, "" for a tie; of a photo without one
    ``nothing``, or ``alarm`` where something was suggested.
    """
    predicted, given = "alarm" if probe.alarm else "nothing", "nothing"
    if probe.label < len(names):
        table = probe.probabilities[:-1]
        best = np.flatnonzero(table == table.max())
        predicted, given = names[best[0]] if best.size == 1 else "", names[probe.label]
    return prediction("edits", probe.path, probe.sha256, predicted, given, probe.draw)


def _confusions(table: np.ndarray, labels: np.ndarray, names: Sequence[str], most: int = 10) -> list[dict[str, Any]]:
    """The commonest mistakes: which class was taken for which, and how often."""
    likeliest = table[:, :-1].argmax(1)
    wrong = Counter((int(a), int(b)) for a, b in zip(labels, likeliest, strict=True) if a != b)
    return [{"edit": names[a], "said": names[b], "n": n} for (a, b), n in wrong.most_common(most)]


def _probes(photos: Iterator[Photo], find_subject: SaliencyMap | None, per_photo: int, seed: int) -> Iterator[Probe]:
    """Each photo untouched, with nuisances alone, and with its share of the edits."""
    rng = np.random.default_rng(seed)
    common, high = _editable(COMMON), _editable(HIGH)
    decks = {"visible": _Deck(common, rng), "realistic": _Deck(common, rng), "high": _Deck(high, rng)}
    turns = {"visible": per_photo, "realistic": per_photo, "high": 1}
    for photo in photos:
        yield Probe("untouched", photo, len(CLASSES))
        subject = find_subject(photo.pixels) if find_subject else None
        made = synthetic_edit(photo.pixels, rng, count=0, saliency=subject)
        yield Probe("nuisances", edited(photo, made.pixels), len(CLASSES))
        for name, deck in decks.items():
            for attribute in deck.deal(turns[name]):
                least = 0.0 if name == "realistic" else VISIBLE
                made = synthetic_edit(
                    photo.pixels, rng, attributes=[attribute], count=1, min_severity=least, saliency=subject
                )
                if len(made.applied) != 1 or made.applied[0].severity < least:
                    deck.owe(attribute)  # this photo does not lend itself to it: the next one takes it
                    continue
                applied = made.applied[0]
                label = CLASSES.index((applied.attribute, applied.direction))
                yield Probe(name, edited(photo, made.pixels), label, applied.severity, applied.amount)


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


def _show(predictor: EditPredictor, probes: list[Probe]) -> None:
    """Show a batch of probes, note what comes of them, and let their photos go.

    Raises :class:`ConfigError` for a predictor that answers in another shape.
    """
    photos = [probe.photo for probe in probes if probe.photo is not None]
    table = np.asarray(predictor.edit_probabilities(photos), float)
    if table.shape != (len(probes), len(CLASSES) + 1):
        raise ConfigError(
            f"expected edit probabilities of shape {(len(probes), len(CLASSES) + 1)}, found {table.shape}; "
            f"the last column is nothing to mend"
        )
    for probe, photo, row, (_, suggestions) in zip(probes, photos, table, predictor.suggest(photos), strict=True):
        if probe.label < len(CLASSES) and probe.amount:
            wanted = CLASSES[probe.label]
            right = (each for each in suggestions if (each.attribute, each.direction) == wanted)
            amount = next((each.amount for each in right if each.amount is not None), math.nan)
            probe.amount_error = abs(amount - probe.amount) / abs(probe.amount)
        probe.alarm = any(each.confidence >= ALARM for each in suggestions)
        probe.probabilities, probe.path, probe.sha256, probe.photo = row, photo.path, photo.sha256, None


def _editable(attributes: Sequence[str]) -> tuple[str, ...]:
    """Those of the attributes that there is an edit for."""
    there = edits()
    return tuple(name for name in attributes if name in there)
