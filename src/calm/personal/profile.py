"""A profile: what was learnt of one person, as a small readable file beside its tensors. It holds no photos.

``NAME/profile.json`` says whose it is, which model it belongs to, how many examples it rests on and how well it
predicts them; ``NAME/profile.safetensors`` holds the examples as the prior reads them (a few dozen numbers each), from
which the person's weights follow at once.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from calm.data.record import to_ten
from calm.errors import UsageError, WeightsError
from calm.personal.prior import Prior, Shown, nothing
from calm.personal.trust import Trust, trust
from calm.types import Score

NAME = re.compile(r"[\w][\w .@-]{0,63}")
FACTS, TENSORS = "profile.json", "profile.safetensors"
STEPS = np.arange(1.0, 11.0)
"""The ratings that a distribution is over."""
DIGITS = 16
"""Digits of a photo's SHA-256 that tell it from the person's others."""


@dataclass(frozen=True)
class Preferred:
    """Pairs of photos of which a person likes the first one better.

    Attributes:
        hashes: SHA-256 of both photos' files, the better one first.
        better, worse: what the model sees on them.
    """

    hashes: Sequence[tuple[str, str]]
    better: Shown
    worse: Shown


@dataclass(frozen=True)
class Profile:
    """One person's taste.

    Attributes:
        name: of the profile.
        model, model_sha256: what the examples were seen with.
        describer: what of it they depend on, see :func:`calm.model.catalogue.describer_sha256`; "" where that is not
            known. The ratings stay when it changes, so that the profile can be learnt anew from them.
        scale: lowest and highest rating that the person could give.
        photos: first digits of the SHA-256 of each example.
        read: (k, n) the examples as the prior reads them.
        ratings: (k,), 1–10.
        trust: how well the examples are predicted from each other; None where there are too few.
        pairs: first digits of both photos of each pair, ``BETTER>WORSE``.
        apart: (m, n) of each pair, the better photo as the prior reads it less the other one.
    """

    name: str
    model: str
    model_sha256: str
    describer: str
    scale: tuple[float, float]
    photos: tuple[str, ...]
    read: np.ndarray
    ratings: np.ndarray
    trust: Trust | None = None
    pairs: tuple[str, ...] = ()
    apart: np.ndarray = field(default_factory=nothing)

    @classmethod
    def learn(
        cls,
        name: str,
        model: tuple[str, str, str],
        prior: Prior,
        hashes: Sequence[str],
        photos: Shown,
        given: Sequence[float],
        scale: tuple[float, float],
        before: Profile | None = None,
        preferred: Preferred | None = None,
    ) -> Profile:
        """From rated photos; with ``before``, in addition to its examples, and in place of those of the same photos.

        Args:
            model: name, SHA-256 and describer.
            hashes: SHA-256 of each photo's file.
            given: ratings on the person's own ``scale``.
            preferred: pairs of photos of which this person likes one better, as well as ratings or instead of them.

        Raises:
            UsageError: for a name that cannot be that of a folder, or for a rating outside of the scale.
        """
        check_name(name)
        low, high = scale
        outside = [value for value in given if not low <= value <= high]
        if not low < high or outside:
            raise UsageError(
                f"expected ratings on a scale of {low:g}–{high:g}, found {(outside or [low])[0]:g}; give the scale"
            )
        if before is not None and len(before.ratings) and before.scale != scale:
            raise UsageError(
                f"expected ratings on the scale of profile {name}, {before.scale[0]:g}–{before.scale[1]:g}, found "
                f"{low:g}–{high:g}; use its scale or learn it anew"
            )
        rows: dict[str, list[tuple[np.ndarray, float]]] = {}
        if before is not None:
            rows = {
                key: [(read, float(rating))]
                for key, read, rating in zip(before.photos, before.read, before.ratings, strict=True)
            }
        new: dict[str, list[tuple[np.ndarray, float]]] = {}
        for sha256, read, value in zip(hashes, prior.read(photos), given, strict=True):
            new.setdefault(sha256[:DIGITS], []).append((read, to_ten(value, low, high)))
        rows |= new
        width = len(prior.preferences.mean)
        reads = np.array([each[0][0] for each in rows.values()]).reshape(-1, width)
        ratings = np.array([float(np.mean([rating for _, rating in each])) for each in rows.values()])
        pairs = dict(zip(before.pairs, before.apart, strict=True)) if before is not None else {}
        if preferred is not None:
            names = [f"{better[:DIGITS]}>{worse[:DIGITS]}" for better, worse in preferred.hashes]
            pairs |= dict(zip(names, prior.read(preferred.better) - prior.read(preferred.worse), strict=True))
        apart = np.array(list(pairs.values())).reshape(-1, width)
        trusted = trust(prior, reads, ratings, apart)
        return cls(name, *model, scale, tuple(rows), reads, ratings, trusted, tuple(pairs), apart)

    def person(self, prior: Prior) -> tuple[np.ndarray, np.ndarray]:
        """This person's weights, and how uncertain they are."""
        return prior.person(self.read, self.ratings, self.apart)

    def scores(self, prior: Prior, read: np.ndarray) -> list[Score]:
        """Personal scores, 1–10, of photos as the prior reads them, and how unsure they are."""
        weights, uncertain = self.person(prior)
        means = prior.predict(read, weights)
        spreads = np.sqrt(np.einsum("nd,de,ne->n", read, uncertain, read) + prior.preferences.noise)
        return [_score(mean, spread) for mean, spread in zip(means, spreads, strict=True)]

    def given(self, hashes: Mapping[str, str]) -> tuple[dict[str, float], list[tuple[str, str]], list[str]]:
        """What the person said of photos: ratings on their own scale, pairs, and digits of photos that are not there.

        Args:
            hashes: SHA-256 by path.
        """
        paths = {sha256[:DIGITS]: path for path, sha256 in hashes.items()}
        low, high = self.scale
        ratings = {
            paths[digits]: low + (float(rating) - 1) / 9 * (high - low)
            for digits, rating in zip(self.photos, self.ratings, strict=True)
            if digits in paths
        }
        pairs = [(better, worse) for better, worse in (each.split(">") for each in self.pairs)]
        absent = [digits for digits in dict.fromkeys([*self.photos, *sum(pairs, ())]) if digits not in paths]
        return ratings, [(paths[a], paths[b]) for a, b in pairs if a in paths and b in paths], absent

    def renamed(self, name: str) -> Profile:
        """The same under another name."""
        check_name(name)
        return replace(self, name=name)

    def save(self, folder: Path) -> Path:
        """Write the profile as ``folder/NAME``, whole or not at all; one of that name is replaced."""
        folder.mkdir(parents=True, exist_ok=True)
        scratch, final = folder / f".{self.name}.new", folder / self.name
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir()
        tensors = {"read": self.read, "ratings": self.ratings, "apart": self.apart}
        save_file({n: np.ascontiguousarray(v, np.float32) for n, v in tensors.items()}, scratch / TENSORS)
        (scratch / FACTS).write_text(json.dumps(self.facts(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        old = folder / f".{self.name}.old"
        shutil.rmtree(old, ignore_errors=True)
        if final.exists():
            final.rename(old)
        scratch.rename(final)
        shutil.rmtree(old, ignore_errors=True)
        return final

    def facts(self) -> dict[str, Any]:
        """What people may want to know of a profile, as JSON."""
        return {
            "profile": self.name,
            "model": self.model,
            "model_sha256": self.model_sha256,
            "describer": self.describer,
            "scale": list(self.scale),
            "examples": len(self.ratings),
            "preferences": len(self.pairs),
            "trust": None if self.trust is None else asdict(self.trust),
            "photos": list(self.photos),
            "pairs": list(self.pairs),
        }

    @classmethod
    def load(cls, path: Path) -> Profile:
        """Read what :meth:`save` wrote. Raises :class:`WeightsError` for a folder that holds none."""
        try:
            facts = json.loads((path / FACTS).read_text(encoding="utf-8"))
            tensors = {name: value.astype(float) for name, value in load_file(path / TENSORS).items()}
            trusted = None if facts["trust"] is None else Trust(**facts["trust"])
            low, high = facts["scale"]
            named = facts["profile"], facts["model"], facts["model_sha256"], facts.get("describer", "")
            rated = tuple(facts["photos"]), tensors["read"], tensors["ratings"]
            return cls(*named, (low, high), *rated, trusted, tuple(facts["pairs"]), tensors["apart"])
        except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
            raise WeightsError(f"expected a profile in {path}, found: {error}; learn it anew") from error


def check_name(name: str) -> None:
    """Raise :class:`UsageError` for a name that cannot be that of a folder everywhere."""
    if not NAME.fullmatch(name):
        raise UsageError(
            f"expected a name of letters, digits, spaces and . - _ @ for a profile, found {name!r}; choose another"
        )


def _score(mean: float, spread: float) -> Score:
    """A normal distribution, cut to 1–10, as a score."""
    middle = float(np.clip(mean, 1.0, 10.0))
    logs = -0.5 * ((STEPS - middle) / spread) ** 2
    density = np.exp(logs - logs.max())  # however narrow, one step has a probability
    return Score(middle, float(spread), tuple((density / density.sum()).tolist()))
