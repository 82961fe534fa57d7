"""What is known of a photo, and the single true things that can be said of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from calm.types import Level
from calm.words.reading import COLOURS, read_frame
from calm.words.rules import MOODS, frame_strengths, label_strengths, native_strengths

if TYPE_CHECKING:
    import numpy as np

    from calm.edits import Applied

Polarity = Literal[-1, 0, 1]


@dataclass(frozen=True)
class Kind:
    """What a key of an observation stands for.

    Attributes:
        aspect: light, colour, sharpness, noise, compression, composition, framing, tilt, vignetting, background,
            subject, clutter, mood or quality.
        polarity: whether it speaks for (1) or against (−1) a photo; 0 where that depends on the photo.
        needs_native: it can only be told from a photo's own pixels, not from one squashed to 224×224.
    """

    aspect: str
    level: Level
    polarity: Polarity
    needs_native: bool = False


def _kinds() -> dict[str, Kind]:
    plan: list[tuple[str, Level, str, str, str, bool]] = [
        # aspect, level, keys for, keys against, keys that depend, needs native pixels
        (
            "light",
            "low",
            "high_key strong_contrast soft_light balanced_light subject_bright detail_kept",
            "underexposed overexposed blown_highlights blocked_shadows flat_light harsh_light subject_dark",
            "low_key dark_on_bright light_left light_right light_top light_bottom",
            False,
        ),
        (
            "colour",
            "low",
            "rich_colour one_palette opposite_colours colour_pop",
            "garish_colour yellow_cast blue_cast green_cast magenta_cast pale_colour",
            "black_and_white muted_colour warm_colour cool_colour many_colours "
            + " ".join(f"colour:{name}" for name in COLOURS),
            False,
        ),
        ("sharpness", "low", "separated_subject", "", "", False),
        ("sharpness", "low", "sharp", "soft motion_blur", "", True),
        ("noise", "low", "clean", "noisy", "", True),
        ("compression", "low", "", "blocky", "", True),
        ("composition", "middle", "on_third symmetric", "near_edge", "centred", False),
        ("composition", "middle", "", "", "place:left place:right place:top place:bottom", False),
        ("framing", "middle", "room_around", "cut_off little_room", "small_subject large_subject", False),
        ("tilt", "middle", "", "tilted", "", True),
        ("vignetting", "middle", "", "dark_corners", "", False),
        ("background", "middle", "plain_background", "busy_background loud_background", "", False),
        ("subject", "high", "clear_subject", "no_clear_subject split_attention", "", False),
        ("clutter", "high", "calm_frame", "clutter", "", False),
        ("colour_harmony", "high", "", "clashing_colours", "", False),
        (
            "mood",
            "high",
            "mood:amusement mood:awe mood:contentment mood:excitement",
            "mood:disgust mood:neutral",
            "mood:fear mood:sadness",
            False,
        ),
        ("quality", "low", "good_quality", "poor_quality", "", False),
    ]
    kinds: dict[str, Kind] = {}
    for aspect, level, good, bad, open_, native in plan:
        for keys, polarity in ((good, 1), (bad, -1), (open_, 0)):
            for key in keys.split():
                kinds[key] = Kind(aspect, level, polarity, native)  # type: ignore[arg-type]
    return kinds


KINDS: dict[str, Kind] = _kinds()
"""Every key that an observation can have."""

ASPECTS: dict[str, tuple[str, ...]] = {
    "light": ("light", "vignetting"),
    "colour": ("colour", "colour_harmony"),
    "composition": ("composition", "framing", "background", "tilt"),
    "focus": ("sharpness", "noise", "compression", "quality"),
    "subject": ("subject", "clutter", "background"),
    "mood": ("mood",),
}
"""The aspects that one can ask about, and the aspects of observations that answer."""

OPPOSITES: dict[str, frozenset[str]] = {}
"""Keys that cannot be true of one photo together with a key."""

_EXCLUSIVE: tuple[tuple[str, str], ...] = (
    # every key on the left contradicts every key on the right
    ("underexposed low_key", "overexposed high_key balanced_light"),
    ("underexposed", "strong_contrast detail_kept"),
    ("overexposed", "balanced_light soft_light detail_kept"),
    ("blown_highlights blocked_shadows harsh_light", "balanced_light soft_light detail_kept"),
    ("flat_light", "strong_contrast harsh_light balanced_light"),
    ("soft_light", "strong_contrast harsh_light"),
    ("subject_bright", "subject_dark dark_on_bright"),
    ("light_left", "light_right"),
    ("light_top", "light_bottom"),
    ("black_and_white muted_colour pale_colour", "rich_colour garish_colour many_colours opposite_colours colour_pop"),
    ("black_and_white", "warm_colour cool_colour yellow_cast blue_cast green_cast magenta_cast one_palette"),
    ("warm_colour yellow_cast", "cool_colour blue_cast"),
    ("green_cast", "magenta_cast"),
    ("one_palette", "many_colours opposite_colours clashing_colours"),
    ("sharp", "soft motion_blur"),
    ("separated_subject plain_background", "loud_background busy_background"),
    ("clean", "noisy"),
    ("place:left", "place:right centred"),
    ("place:right", "centred"),
    ("place:top", "place:bottom"),
    ("centred", "on_third near_edge"),
    ("room_around", "cut_off little_room"),
    ("small_subject", "large_subject"),
    ("plain_background calm_frame", "busy_background clutter"),
    ("clear_subject", "no_clear_subject split_attention"),
    ("good_quality", "poor_quality"),
    ("mood:neutral", "mood:amusement mood:awe mood:excitement mood:disgust mood:fear mood:sadness mood:contentment"),
    ("mood:amusement mood:contentment", "mood:disgust mood:fear mood:sadness"),
)


def _fill_opposites() -> None:
    table: dict[str, set[str]] = {}
    for left, right in _EXCLUSIVE:
        for one in left.split():
            for other in right.split():
                if one in KINDS and other in KINDS:
                    table.setdefault(one, set()).add(other)
                    table.setdefault(other, set()).add(one)
    OPPOSITES.update({key: frozenset(table.get(key, ())) for key in KINDS})


_fill_opposites()

WELL_LIKED = 6.5
"""Score from which a dark or bright frame is taken for what was meant, unless an edit made it so."""

FAINT = 0.15
"""Severity up to which an edit is not worth a word."""
EDIT_KEYS: dict[tuple[str, str], str] = {
    ("exposure", "increase"): "underexposed",
    ("exposure", "decrease"): "overexposed",
    ("contrast", "increase"): "flat_light",
    ("contrast", "decrease"): "harsh_light",
    ("saturation", "increase"): "pale_colour",
    ("saturation", "decrease"): "garish_colour",
    ("white_balance", "warmer"): "blue_cast",
    ("white_balance", "cooler"): "yellow_cast",
    ("sharpness", "increase"): "soft",
    ("noise", "decrease"): "noisy",
    ("compression", "decrease"): "blocky",
    ("tilt", "clockwise"): "tilted",
    ("tilt", "counterclockwise"): "tilted",
    ("framing", "left"): "near_edge",
    ("framing", "right"): "near_edge",
    ("framing", "up"): "near_edge",
    ("framing", "down"): "near_edge",
    ("framing", "tighter"): "small_subject",
    ("vignetting", "decrease"): "dark_corners",
    ("subject_emphasis", "increase"): "no_clear_subject",
    ("colour_harmony", "improve"): "clashing_colours",
    ("clutter", "decrease"): "clutter",
}
"""The fault that each remedy (attribute, direction) of the vocabulary answers: so comment and suggestions agree."""


def doubted(confidences: Mapping[tuple[str, str], float], least: float) -> frozenset[str]:
    """Keys of faults none of whose remedies has a confidence of at least ``least``, by (attribute, direction)."""
    seen: dict[str, float] = {}
    for remedy, key in EDIT_KEYS.items():
        if KINDS[key].polarity < 0:
            seen[key] = max(seen.get(key, 0.0), confidences.get(remedy, 0.0))
    return frozenset(key for key, confidence in seen.items() if confidence < least)


@dataclass(frozen=True)
class Observation:
    """One true thing about a photo.

    Attributes:
        strength: 0 just noticeable … 1 beyond doubt (below 0 with slack: almost true).
        polarity: as its kind says; −1 always where an edit caused it.
        caused: an edit of the photo is known to have caused it.
    """

    aspect: str
    level: Level
    polarity: Polarity
    key: str
    strength: float
    needs_native: bool = False
    caused: bool = False


@dataclass(frozen=True)
class Facts:
    """Everything known of one photo.

    Attributes:
        score, quality: 1–10, from people (or a model), or None.
        emotions: how many people named each of PARA's emotions.
        content: what it shows: a caption ("a dog is running on grass") or a class phrase ("a dog").
        measurements: of :func:`calm.data.measure.measurements`, natural units; only of photos with native pixels.
        reading: of :func:`calm.words.reading.read_frame`.
        applied: edits that made the photo worse (:class:`calm.edits.Applied`), each a remedy with its severity.
        native: the photo has its own pixels, so that sharpness, noise and compression can be told from it.
        doubted: keys of faults that a model, having looked at the whole photo, does not see: a measurement alone does
            not make them true.
    """

    score: float | None = None
    quality: float | None = None
    emotions: Mapping[str, int] | None = None
    content: str | None = None
    measurements: Mapping[str, float] = field(default_factory=dict)
    reading: Mapping[str, float] = field(default_factory=dict)
    applied: tuple[Applied, ...] = ()
    native: bool = True
    doubted: frozenset[str] = frozenset()

    @classmethod
    def of(
        cls,
        pixels: np.ndarray,
        saliency: np.ndarray | None = None,
        *,
        measurements: Mapping[str, float] | None = None,
        score: float | None = None,
        quality: float | None = None,
        emotions: Mapping[str, int] | None = None,
        content: str | None = None,
        applied: Iterable[Applied] = (),
        native: bool = True,
        doubted: Iterable[str] = (),
    ) -> Facts:
        """Facts of a photo (H, W, 3) uint8 with its saliency map (h, w), uint8 or float 0–1; see the attributes."""
        return cls(
            score=score,
            quality=quality,
            emotions=emotions,
            content=content,
            measurements=dict(measurements or {}),
            reading=read_frame(pixels, saliency),
            applied=tuple(applied),
            native=native,
            doubted=frozenset(doubted),
        )

    @property
    def place(self) -> str | None:
        """Where the subject stands: "left", "upper right", "centre", …; None without a saliency map."""
        if "subject_x" not in self.reading:
            return None
        found = frame_strengths(self.reading)
        down = "upper" if found["place:top"] > 0 else "lower" if found["place:bottom"] > 0 else ""
        side = "left" if found["place:left"] > 0 else "right" if found["place:right"] > 0 else ""
        return f"{down} {side}".strip() or "centre"

    @property
    def size(self) -> float | None:
        """Share of the frame that the subject takes, 0–1; None without a saliency map."""
        return self.reading.get("subject_share")

    @property
    def count(self) -> str | None:
        """How many subjects: "none", "one" or "several"; None without a saliency map."""
        if "subject_x" not in self.reading:
            return None
        found = frame_strengths(self.reading)
        return "none" if found["no_clear_subject"] > 0 else "several" if found["split_attention"] > 0 else "one"


def _caused(facts: Facts) -> dict[str, float]:
    """Faults that the applied edits caused, with their strength; what a squashed photo cannot show is left out."""
    found: dict[str, float] = {}
    for edit in facts.applied:
        key = EDIT_KEYS.get((edit.attribute, edit.direction))
        if key == "soft" and "motion" in edit.kind:
            key = "motion_blur"
        visible = edit.severity > FAINT and (facts.native or key == "tilted" or not KINDS[key or "soft"].needs_native)
        if key and visible:
            found[key] = min(1.0, 0.3 + float(edit.severity))
    return found


def observe_facts(facts: Facts, slack: float = 0.0) -> list[Observation]:
    """Observations that hold of a photo, strongest first.

    Args:
        facts: what is known.
        slack: how far below the beginning of its ramp an observation still counts; 0 for what is to be said, about 0.3
            for what may be said without being wrong.
    """
    strengths: dict[str, float] = {}
    if facts.reading:
        strengths |= frame_strengths(facts.reading)
    strengths |= label_strengths(facts.quality, facts.emotions, facts.reading)
    own = native_strengths(facts.measurements) if facts.native and facts.measurements else {}
    strengths |= own
    strengths = {key: value for key, value in strengths.items() if key not in facts.doubted}
    caused = _caused(facts)
    for key, strength in caused.items():
        strengths[key] = max(strengths.get(key, 0.0), strength)
        for praise in [other for other in OPPOSITES[key] if KINDS[other].polarity > 0]:
            strengths.pop(praise, None)
        strengths.pop("good_quality", None)
    if facts.score is not None and facts.score >= WELL_LIKED:
        for fault, meant in (("underexposed", "low_key"), ("overexposed", "high_key")):
            if fault in strengths and fault not in caused:
                strengths[meant] = max(strengths.get(meant, -1.0), strengths.pop(fault))
    found = []
    for key, strength in strengths.items():
        if strength > -slack:
            kind = KINDS[key]
            polarity: Polarity = -1 if key in caused else kind.polarity
            native = kind.needs_native and (key in own or key in caused)
            found.append(Observation(kind.aspect, kind.level, polarity, key, float(strength), native, key in caused))
    return sorted(found, key=lambda one: -one.strength)


def observe(
    pixels: np.ndarray, saliency: np.ndarray | None = None, *, slack: float = 0.0, **known: object
) -> list[Observation]:
    """Observations of a photo (H, W, 3) uint8; ``known`` as in :meth:`Facts.of`. About 5 ms beyond the measurements."""
    return observe_facts(Facts.of(pixels, saliency, **known), slack)  # type: ignore[arg-type]


def emotions_named() -> tuple[str, ...]:
    """The emotions that a mood can be named by."""
    return tuple(MOODS)
