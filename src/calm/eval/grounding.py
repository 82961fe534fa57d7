"""Are comments about this photo, or would they fit any? Claims against measurements, with a wrong-photo control.

A comment that a random other photo supports as well says nothing. Every figure about support therefore stands beside
the same figure for the comments of other photos, drawn as derangements, with the difference, its bootstrap interval
over photos and the chance that shuffling does as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from calm.errors import UsageError
from calm.words.facts import KINDS, OPPOSITES, Observation
from calm.words.parse import DARK, claims, sentences, verdict_band

RESAMPLES = 1000


@dataclass(frozen=True)
class Evidence:
    """What the measurements of one photo say of claims.

    Attributes:
        supported: keys that hold, or almost hold.
        contradicted: keys that cannot be true because something opposite clearly holds.
        blind: keys that nothing known of the photo can speak of; claims of these are not judged.
    """

    supported: frozenset[str]
    contradicted: frozenset[str]
    blind: frozenset[str] = frozenset()


IMPLIED: dict[str, str] = {
    "underexposed": "low_key",
    "overexposed": "high_key",
    "muted_colour": "pale_colour",
    "many_colours": "clashing_colours",
    "soft": "motion_blur",
}
"""What is measured (left) bears out a claim (right) that is the same to a measurement and differs by what was meant."""
LABELLED = ("mood", "quality")
"""Aspects that only people's labels can speak of."""


def evidence(nearly: Iterable[Observation], blind: Iterable[str] = ()) -> Evidence:
    """Evidence from the observations of a photo, taken with a slack of about 0.3.

    A claim is supported by an observation of its key. It is contradicted when it does not hold itself while one of its
    opposites holds without slack.
    """
    strengths = {one.key: one.strength for one in nearly}
    denied = {other for key, strength in strengths.items() if strength > 0 for other in OPPOSITES[key]}
    supported = set(strengths) | {IMPLIED[key] for key in strengths if key in IMPLIED}
    if supported & {"underexposed", "low_key"}:
        supported.add(DARK)
    if {"overexposed", "high_key"} & {key for key, strength in strengths.items() if strength > 0}:
        denied.add(DARK)
    return Evidence(frozenset(supported), frozenset(denied - supported), frozenset(blind))


def grounding(
    texts: Sequence[str],
    evidences: Sequence[Evidence],
    scores: Sequence[float] | None = None,
    *,
    seed: int = 0,
    permutations: int = RESAMPLES,
) -> dict[str, float | int | None]:
    """How well comments rest on their own photos, and how varied they are.

    Args:
        texts: one comment a photo.
        evidences: of the same photos, in the same order.
        scores: 1–10, of the same photos, to compare the verdicts with.
        seed: of derangements, bootstrap and permutation.
        permutations: how many of each.

    Returns:
        ``photos``, ``claims`` (a comment, mean), ``judged`` (those that the evidence can speak of), ``supported`` and
        ``contradicted`` (shares of judged claims, mean over photos whose comment has any), the same of wrong photos
        (``supported_wrong``, ``contradicted_wrong``), the differences with ``…_low`` and ``…_high`` (bootstrap 95 %)
        and ``…_p`` (one-sided permutation test),
        ``distinct_first`` and ``distinct`` (shares), ``sentences`` (mean), ``verdicts`` (share with one) and
        ``verdict_srcc`` (None where fewer than three have one or all are alike).

    Raises:
        UsageError: for fewer than three photos or lists of different lengths.
    """
    _check(texts, evidences, scores)
    everything = [claims(text) for text in texts]
    said = [found - one.blind for found, one in zip(everything, evidences, strict=True)]
    right, wrong = _matrices(said, evidences)
    rng = np.random.default_rng(seed)
    made = np.flatnonzero([bool(one) for one in said])
    report: dict[str, float | int | None] = {
        "photos": len(texts),
        "claims": float(np.mean([len(one) for one in everything])),
        "judged": float(np.mean([len(one) for one in said])),
    }
    report |= _compare("supported", right, made, rng, permutations, sign=1)
    report |= _compare("contradicted", wrong, made, rng, permutations, sign=-1)
    firsts = [(sentences(text) or [""])[0].lower() for text in texts]
    report["distinct_first"] = len(set(firsts)) / len(texts)
    report["distinct"] = len({text.strip().lower() for text in texts}) / len(texts)
    report["sentences"] = float(np.mean([len(sentences(text)) for text in texts]))
    return report | _verdicts(texts, scores)


def from_observations(observations: Sequence[Sequence[Observation]]) -> list[Evidence]:
    """Evidence of several photos from their observations (with slack).

    Where no photo of all has an observation of mood, or of quality, nobody was asked: claims of these are not judged.
    """
    told = {one.aspect for each in observations for one in each}
    blind = [key for key, kind in KINDS.items() if kind.aspect in LABELLED and kind.aspect not in told]
    return [evidence(each, blind) for each in observations]


def _check(texts: Sequence[str], evidences: Sequence[Evidence], scores: Sequence[float] | None) -> None:
    lengths = {len(texts), len(evidences), len(texts) if scores is None else len(scores)}
    if len(lengths) > 1:
        raise UsageError(
            f"expected one text, evidence and score for each photo, found {sorted(lengths)}; align the lists"
        )
    if len(texts) < 3:
        raise UsageError(f"expected three photos or more, found {len(texts)}; a wrong-photo control needs other photos")


def _matrices(said: Sequence[set[str]], evidences: Sequence[Evidence]) -> tuple[np.ndarray, np.ndarray]:
    """Shares (texts, photos) of each text's claims that each photo supports, and contradicts; 0 where none is made."""
    keys = sorted(set().union(*said))
    index = {key: i for i, key in enumerate(keys)}

    def table(rows: Iterable[Iterable[str]]) -> np.ndarray:
        rows = list(rows)
        matrix = np.zeros((len(rows), len(keys)), np.float32)
        for i, row in enumerate(rows):
            matrix[i, [index[key] for key in row if key in index]] = 1
        return matrix

    made = table(said)
    counts = np.maximum(made.sum(axis=1, keepdims=True), 1)
    supported = made @ table(one.supported for one in evidences).T / counts
    contradicted = made @ table(one.contradicted for one in evidences).T / counts
    return supported, contradicted


def _compare(
    name: str, shares: np.ndarray, made: np.ndarray, rng: np.random.Generator, draws: int, sign: int
) -> dict[str, float | int | None]:
    """Own photo against other photos: shares, difference, interval, p."""
    blank: dict[str, float | int | None] = {
        f"{name}{tail}": None for tail in ("", "_wrong", "_difference", "_low", "_high", "_p")
    }
    if not len(made):
        return blank
    count = len(shares)
    own = shares[made, made]
    other = (shares.sum(axis=1) - np.diagonal(shares))[made] / (count - 1)  # the mean over all derangements
    gain = own - other
    picks = rng.integers(len(made), size=(draws, len(made)))
    low, high = np.percentile(gain[picks].mean(axis=1), (2.5, 97.5))
    shuffled = np.array([shares[made, rng.permutation(count)[made]].mean() for _ in range(draws)])
    as_good = int((sign * shuffled >= sign * own.mean() - 1e-9).sum())
    return {
        name: float(own.mean()),
        f"{name}_wrong": float(other.mean()),
        f"{name}_difference": float(gain.mean()),
        f"{name}_low": float(low),
        f"{name}_high": float(high),
        f"{name}_p": (as_good + 1) / (draws + 1),
    }


def _verdicts(texts: Sequence[str], scores: Sequence[float] | None) -> dict[str, float | int | None]:
    """Share of texts with a verdict, and the rank correlation of its band with the score."""
    from scipy import stats

    bands = [verdict_band(text) for text in texts]
    given = [i for i, band in enumerate(bands) if band is not None]
    report: dict[str, float | int | None] = {"verdicts": len(given) / len(texts), "verdict_srcc": None}
    if scores is not None and len(given) >= 3:
        said, true = [bands[i] for i in given], [float(scores[i]) for i in given]
        if len(set(said)) > 1 and len(set(true)) > 1:
            report["verdict_srcc"] = float(stats.spearmanr(said, true).statistic)
    return report


def by_key(texts: Sequence[str], evidences: Sequence[Evidence]) -> Mapping[str, dict[str, float]]:
    """For every key that is claimed: how often, and the shares that the own photo supports and contradicts."""
    _check(texts, evidences, None)
    counts: dict[str, list[tuple[bool, bool]]] = {}
    for text, one in zip(texts, evidences, strict=True):
        for key in claims(text) - one.blind:
            counts.setdefault(key, []).append((key in one.supported, key in one.contradicted))
    return {
        key: {
            "count": len(pairs),
            "supported": float(np.mean([a for a, _ in pairs])),
            "contradicted": float(np.mean([b for _, b in pairs])),
        }
        for key, pairs in sorted(counts.items(), key=lambda item: -len(item[1]))
    }
