"""When an observation holds: ramps over what was read and measured, from 0 (it begins) to 1 (beyond doubt).

The ends of the ramps were chosen on 590 photos (PARA's training part, ImageNet, clothes, dishes, scenes, Flickr8k) so
that no observation holds for nearly all or nearly no photos.
"""

from __future__ import annotations

from collections.abc import Mapping

from calm.words.reading import COLOURS, HUES


def ramp(value: float, start: float, full: float) -> float:
    """0 at ``start``, 1 at ``full``, linear on both sides of either (``full`` may lie below ``start``), at most 1."""
    return min(1.0, (value - start) / (full - start))


def frame_strengths(r: Mapping[str, float]) -> dict[str, float]:
    """Strength of every observation that the reading of a frame can speak of; positive where it holds, at most 1.

    Args:
        r: from :func:`calm.words.reading.read_frame`.
    """
    found = _light(r) | _colour(r) | (_subject(r) | _place(r) if "subject_x" in r else {}) | _whole(r)
    if "no_clear_subject" in found:  # what is said of a subject needs a subject
        clear = ramp(found["no_clear_subject"], 0.0, -0.25)
        found |= {key: min(found[key], clear) for key in OF_SUBJECT if key in found}
    return found


OF_SUBJECT = (
    "subject_bright",
    "subject_dark",
    "dark_on_bright",
    "plain_background",
    "busy_background",
    "colour_pop",
    "separated_subject",
    "loud_background",
    "small_subject",
    "large_subject",
    "on_third",
    "centred",
    "near_edge",
    "cut_off",
    "room_around",
    "little_room",
)
"""Observations that mean nothing where no subject can be made out."""


def _light(r: Mapping[str, float]) -> dict[str, float]:
    mean, span, high, low = r["mean"], r["p95"] - r["p5"], r["clip_high"], r["clip_low"]
    subject = r.get("subject_light", 0.0)
    whole = min(ramp(high, 0.01, 0.0), ramp(low, 0.02, 0.0))
    middle = min(ramp(mean, 0.35, 0.43), ramp(mean, 0.63, 0.55))
    return {
        "underexposed": min(ramp(r["p95"], 0.7, 0.45), ramp(mean, 0.37, 0.2)),
        "low_key": min(ramp(mean, 0.33, 0.2), ramp(r["p99"], 0.7, 0.9)),
        "overexposed": min(
            max(
                min(ramp(mean, 0.62, 0.78), ramp(r["p5"], 0.2, 0.4)), min(ramp(high, 0.08, 0.3), ramp(mean, 0.57, 0.75))
            ),
            ramp(subject, -0.3, -0.05),
        ),
        "high_key": min(ramp(mean, 0.55, 0.67), ramp(r["p5"], 0.1, 0.25), ramp(high, 0.05, 0.0)),
        "blown_highlights": min(ramp(high, 0.012, 0.08), ramp(high, 0.45, 0.3)),
        "blocked_shadows": ramp(low, 0.03, 0.2),
        "flat_light": ramp(span, 0.44, 0.26),
        "harsh_light": min(ramp(high, 0.006, 0.05), ramp(low, 0.01, 0.06)),
        "strong_contrast": min(ramp(span, 0.78, 0.9), ramp(high, 0.02, 0.0), ramp(low, 0.05, 0.0)),
        "soft_light": min(ramp(span, 0.7, 0.58), ramp(span, 0.46, 0.54), whole, middle),
        "balanced_light": min(ramp(span, 0.58, 0.68), ramp(span, 0.88, 0.8), whole, middle),
        "subject_bright": ramp(subject, 0.15, 0.4),
        "subject_dark": min(ramp(-subject, 0.25, 0.5), ramp(r.get("subject_luma", 1.0), 0.25, 0.13)),
        "dark_on_bright": ramp(-subject, 0.3, 0.6),
        "light_left": ramp(r["left_right"], 0.12, 0.25),
        "light_right": ramp(-r["left_right"], 0.12, 0.25),
        "light_top": ramp(r["top_bottom"], 0.22, 0.45),
        "light_bottom": ramp(-r["top_bottom"], 0.16, 0.32),
    }


def _colour(r: Mapping[str, float]) -> dict[str, float]:
    chroma, blue = r["chroma"], r["hue:blue"] + r["hue:teal"]
    tinted = ramp(r["chroma90"], 6.0, 12.0)
    found = {
        "black_and_white": min(ramp(r["chroma90"], 6.0, 2.0), ramp(r["chroma99"], 8.0, 4.0)),
        "muted_colour": min(ramp(chroma, 10.0, 6.0), ramp(r["chroma90"], 6.0, 9.0)),
        "rich_colour": ramp(chroma, 21.5, 30.0),
        "garish_colour": ramp(r["chroma90"], 60.0, 78.0),
        "warm_colour": min(ramp(r["b"], 13.0, 24.0), ramp(r["a"], -1.0, 5.0)),
        "cool_colour": max(min(ramp(r["b"], 0.0, -8.0), tinted), ramp(blue, 0.28, 0.55)),
        "yellow_cast": min(ramp(r["b10"], 3.0, 10.0), ramp(r["bright_b"], 13.0, 28.0)),
        "blue_cast": min(ramp(r["b90"], 5.0, -4.0), ramp(r["bright_b"], -2.5, -11.0), tinted),
        "green_cast": min(ramp(r["a90"], 1.0, -5.0), ramp(r["bright_a"], -3.0, -9.0), tinted),
        "magenta_cast": min(ramp(r["a10"], 1.5, 8.0), ramp(r["bright_a"], 4.0, 12.0)),
        "one_palette": min(ramp(r["hue_spread"], 0.035, 0.005), ramp(r["coloured"], 0.4, 0.7)),
        "many_colours": min(
            ramp(r["hue_spread"], 0.42, 0.75), ramp(r["coloured"], 0.25, 0.5), ramp(chroma, 11.0, 15.0)
        ),
        "opposite_colours": _opposites(r),
    }
    found |= {f"colour:{name}": ramp(r[f"colour:{name}"], 0.2, 0.6) for name in COLOURS}
    found["colour:grey"] = ramp(r["colour:grey"], 0.25, 0.65)
    if "subject_colour" in r:
        found["colour_pop"] = ramp(r["subject_colour"], 24.0, 45.0)
    return found


def _opposites(r: Mapping[str, float]) -> float:
    """Ramp over the share of the lesser of two hues that stand across the circle from each other."""
    pairs = [
        min(r[f"hue:{one}"], r[f"hue:{two}"])
        for i, (one, a) in enumerate(HUES)
        for two, b in HUES[i + 1 :]
        if 125 <= abs(a - b) <= 235
    ]
    return ramp(max(pairs), 0.1, 0.25)


def _subject(r: Mapping[str, float]) -> dict[str, float]:
    share, mass, main = r["subject_share"], r["subject_mass"], r["subject_main"]
    found = {
        "clear_subject": min(
            ramp(r["subject_peak"], 0.92, 0.98),
            ramp(main, 0.88, 1.0),
            ramp(mass, 0.58, 0.8),
            ramp(share, 0.03, 0.06),
            ramp(share, 0.6, 0.4),
        ),
        "no_clear_subject": max(
            ramp(r["subject_peak"], 0.73, 0.64), min(ramp(mass, 0.32, 0.16), ramp(r["subject_peak"], 0.95, 0.88))
        ),
        "split_attention": ramp(main, 0.78, 0.55),
        "small_subject": min(ramp(share, 0.1, 0.03), ramp(r["subject_reach"], 0.2, 0.1)),
        "large_subject": ramp(share, 0.45, 0.7),
        "plain_background": -1.0,
        "busy_background": -1.0,
        "clutter": -1.0,
    }
    if "subject_detail" in r:
        apart = r["subject_detail"] - r["background_detail"]
        found["separated_subject"] = min(ramp(apart, 1.6, 2.4), ramp(r["subject_peak"], 0.8, 0.9))
        found["loud_background"] = min(ramp(apart, 0.15, -0.5), ramp(r["background_edges"], 0.1, 0.3))
        found["plain_background"] = min(ramp(r["background_edges"], 0.075, 0.02), ramp(share, 0.8, 0.6))
        found["busy_background"] = min(ramp(r["background_edges"], 0.42, 0.7), ramp(share, 0.8, 0.6))
        found["clutter"] = min(ramp(r["edges"], 0.64, 0.8), ramp(mass, 0.68, 0.4))
    return found


def _place(r: Mapping[str, float]) -> dict[str, float]:
    x, y, share = r["subject_x"], r["subject_y"], r["subject_share"]
    off = min(abs(x - 1 / 3), abs(x - 2 / 3))
    cut = max(r["touch_left"], r["touch_right"], r["touch_top"])
    return {
        "place:left": ramp(x, 0.43, 0.36),
        "place:right": ramp(x, 0.57, 0.64),
        "place:top": ramp(y, 0.42, 0.35),
        "place:bottom": ramp(y, 0.63, 0.7),
        "centred": min(ramp(abs(x - 0.5), 0.055, 0.01), ramp(abs(y - 0.5), 0.1, 0.03)),
        "on_third": min(ramp(off, 0.075, 0.02), ramp(share, 0.45, 0.3)),
        "near_edge": max(ramp(abs(x - 0.5), 0.2, 0.3), ramp(abs(y - 0.5), 0.24, 0.34)),
        "cut_off": min(ramp(cut, 0.3, 0.7), ramp(share, 0.75, 0.6)),
        "little_room": min(0.15, ramp(r.get("room", 1.0), 0.02, 0.0), ramp(share, 0.08, 0.15)),
        "room_around": min(ramp(r.get("room", 0.0), 0.04, 0.14), ramp(share, 0.02, 0.05)),
    }


def _whole(r: Mapping[str, float]) -> dict[str, float]:
    return {
        "symmetric": ramp(r["symmetry"], 0.72, 0.9),
        "detail_kept": min(
            ramp(r["clip_high"], 0.003, 0.0),
            ramp(r["clip_low"], 0.006, 0.0),
            ramp(r["p99"], 0.7, 0.85),
            ramp(r["mean"], 0.28, 0.36),
            ramp(r["mean"], 0.66, 0.58),
        ),
        "calm_frame": ramp(r["edges"], 0.2, 0.08),
    }


MOODS: dict[str, tuple[float, float]] = {
    "amusement": (0.4, 0.6),
    "awe": (0.075, 0.2),
    "contentment": (0.18, 0.4),
    "excitement": (0.1, 0.2),
    "disgust": (0.075, 0.2),
    "fear": (0.075, 0.2),
    "sadness": (0.075, 0.2),
    "neutral": (0.75, 0.9),
}
"""Share of people who name an emotion at which it begins to hold, and at which it is certain. They differ because
people name some emotions of almost every photo and others of few."""


def label_strengths(
    quality: float | None, emotions: Mapping[str, int] | None, r: Mapping[str, float]
) -> dict[str, float]:
    """Strength of what people said: the mood (keys ``mood:NAME``) and technical quality (1–10) as a whole.

    A frame ``r`` without fine detail whose quality people call poor is blurred, even where 224×224 is all there is.
    """
    found: dict[str, float] = {}
    total = sum(emotions.values()) if emotions else 0
    if emotions and total:
        found |= {f"mood:{name}": ramp(emotions.get(name, 0) / total, *ends) for name, ends in MOODS.items()}
    if quality is not None:
        found |= {"good_quality": ramp(quality, 6.8, 7.8), "poor_quality": ramp(quality, 5.3, 4.0)}
        if "fine" in r:
            found["soft"] = min(ramp(r["fine"], 0.15, -0.3), ramp(quality, 4.8, 3.8))
    return found


def native_strengths(m: Mapping[str, float]) -> dict[str, float]:
    """Strength of what only native pixels can tell.

    Args:
        m: from :func:`calm.data.measure.measurements`.
    """
    return {
        "sharp": min(
            ramp(m["sharp_best"], 8.2, 9.2),
            ramp(m["sharp_fall"], 0.4, 1.2),
            ramp(m["noise_flat"], 2.5, 1.2),
            ramp(m["block_both"], 0.4, 0.25),
        ),
        "soft": min(ramp(m["sharp_best"], 6.9, 5.2), ramp(m["sharp_fall"], -0.3, -1.4)),
        "noisy": min(ramp(m["noise_flat"], 2.2, 6.0), ramp(m["flat_blocks"], 0.03, 0.0)),
        "clean": min(
            ramp(m["noise_luma"], 0.6, 0.25), ramp(m["noise_flat"], 0.5, 0.15), ramp(m["block_both"], 0.2, 0.05)
        ),
        "blocky": ramp(m["block_both"], 0.38, 0.8),
        # Said only of photos that were darkened there; what is measured can support that but may be the scene's own.
        "dark_corners": min(
            -0.25,
            ramp(m["falloff_fit"], -0.48, -0.68),
            ramp(m["falloff_corner"], -1.6, -3.5),
            ramp(m["falloff_brightest"], -0.6, -2.0),
        ),
        "tilted": min(
            -0.25, ramp(m["line_horizontal_order"], 0.08, 0.2), ramp(abs(m["line_horizontal_peak"]), 1.4, 6.0)
        ),
    }
