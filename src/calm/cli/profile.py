"""``calm profile …``: what one person likes, learnt from photos that they rated."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from calm.cli.commands import Commands
from calm.cli.options import DEFAULT_MODEL, Model, ModelOptions, Paths, scale_option
from calm.cli.running import find, open_prior

if TYPE_CHECKING:
    from calm.personal.profile import Profile
    from calm.personal.traits import Leaning

app = Commands("Learn what a person likes, for: calm score --profile NAME.")

STARS = (1.0, 5.0)
"""Scale of ratings in XMP."""
SIDES = 5
"""Traits that are shown as liked, and as disliked, at most."""
BLOCK = 0.05
"""Points that one block of a bar stands for."""

Name = Annotated[str, typer.Argument(metavar="NAME", help="The profile.")]
Ratings = Annotated[
    Path | None,
    typer.Argument(
        metavar="RATINGS",
        help="CSV: first column file, second the rating (stars, or 1 and 0 for likes); or columns better,worse.",
        exists=True,
        dir_okay=False,
    ),
]
ReadXmp = Annotated[
    bool,
    typer.Option(
        "--read-xmp", help="In place of RATINGS: stars that the person gave in XMP sidecars, or within the photos."
    ),
]
Images = Annotated[Path, typer.Option(metavar="DIR", help="The photos that were rated.", exists=True, file_okay=False)]
Scale = Annotated[
    tuple[float, float] | None, scale_option("Lowest and highest rating there could be; guessed if not given.")
]


@dataclass(frozen=True)
class RatedOptions:
    """Photos that a person rated, and where the ratings are."""

    images: Images
    ratings: Ratings = None
    read_xmp: ReadXmp = False


@app.command()
def learn(name: Name, *, source: RatedOptions, scale: Scale = None, options: ModelOptions) -> None:
    """Learn a profile from photos that a person rated.

    Ten are a beginning. The photos are only read; the profile holds none of them.
    """
    _learn(name, source, scale, options)


@app.command()
def update(name: Name, *, source: RatedOptions, options: ModelOptions) -> None:
    """Add rated photos to a profile; one that it knows counts with its new rating.

    Without RATINGS: learn it anew for this model, from the ratings that it keeps.
    """
    _learn(name, source, None, options, update=True)


@app.command("list")
def list_() -> None:
    """List profiles."""
    from calm.personal.store import Store

    store = Store()
    for name in store.names():
        typer.echo(_line(store.load(name)))
    if not store.names():
        typer.echo(f"no profiles in {store.folder}; learn one with: calm profile learn NAME RATINGS --images DIR")


@app.command()
def show(
    name: Name,
    picture: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also draw it: a new PNG, SVG or PDF.", dir_okay=False)
    ] = None,
    model: Model = DEFAULT_MODEL,
) -> None:
    """Say what a profile rests on, how far it may be trusted, and what this person likes and dislikes."""
    import numpy as np

    from calm.personal.store import Store
    from calm.personal.traits import leanings

    if picture:
        _new(picture, ".png", ".svg", ".pdf")
    profile = Store().load(name)
    typer.echo(_line(profile))
    typer.echo(verdict(profile))
    known = open_prior(model)
    found = leanings(known, np.array([score.value for score in profile.scores(known, known.reference)]))
    sides = {
        title: [each for each in found[::sign] if each.points * sign > 0][:SIDES]
        for title, sign in (("likes", 1), ("dislikes", -1))
    }
    for title, side in sides.items():
        for leaning in side:
            bar = "█" * max(1, round(abs(leaning.points) / BLOCK))
            typer.echo(f"{title:<9} {leaning.trait:<24} {leaning.points:+.2f}  {bar}")
    if found:
        typer.echo("(points on 1–10 for one standard deviation more, on top of what the general score says)")
    if picture:
        _draw(profile.name, [one for side in sides.values() for one in side], picture)


@app.command("next")
def next_(
    paths: Paths,
    name: Annotated[str | None, typer.Option("--profile", metavar="NAME", help="Somebody new, if not given.")] = None,
    count: Annotated[int, typer.Option(min=1, help="So many photos at most.")] = 10,
    *,
    options: ModelOptions,
) -> None:
    """Name the photos that it tells most to rate next, one path a line."""
    from calm.personal.store import Store

    profile = Store().load(name) if name else None
    photos = find(paths, options.talk).paths
    predictor = options.open()
    from calm.personal.tasks import rate_next

    chosen, failed = rate_next(predictor, open_prior(options.model), list(photos), count, profile)
    for row in failed:
        options.talk.say(f"left out {row['path']}: {row['error']}")
    for path in chosen:
        typer.echo(path)


@app.command()
def remove(name: Name) -> None:
    """Delete a profile."""
    from calm.personal.store import Store

    Store().remove(name)


@app.command()
def export(
    name: Name, output: Annotated[Path, typer.Argument(metavar="FILE", help="A new zip file.", dir_okay=False)]
) -> None:
    """Write a profile into a file, to take it elsewhere."""
    from calm.personal.store import Store

    Store().export(name, output)


@app.command("import")
def import_(
    source: Annotated[
        Path, typer.Argument(metavar="FILE", help="What calm profile export wrote.", exists=True, dir_okay=False)
    ],
    name: Annotated[str | None, typer.Option(metavar="NAME", help="Keep it under this name.")] = None,
) -> None:
    """Take in a profile that was exported."""
    from calm.personal.store import Store

    typer.echo(_line(Store().bring(source, name)))


@app.command()
def prior(
    ratings: Annotated[
        Path, typer.Argument(metavar="RATINGS", help="CSV or Parquet: person, photo, rating.", exists=True)
    ],
    images: Images,
    output: Annotated[Path, typer.Option(metavar="FILE", help="A new safetensors file.", dir_okay=False)],
    *,
    options: ModelOptions,
) -> None:
    """Learn from many people what is known of any person's taste beforehand.

    Profiles of a model begin from the file tastes.safetensors in its folder, which this makes.
    """
    _new(output)
    predictor = options.open()
    from calm.eval.piaa import learn_prior

    learn_prior(predictor, images, ratings).save(output)


def _learn(
    name: str, source: RatedOptions, scale: tuple[float, float] | None, options: ModelOptions, update: bool = False
) -> None:
    """Learn a profile, or add to one."""
    from calm.errors import UsageError
    from calm.personal.profile import check_name
    from calm.personal.store import Store

    check_name(name)
    images, ratings, read_xmp = source.images, source.ratings, source.read_xmp
    if (ratings is None) != read_xmp and not (update and ratings is None):
        raise UsageError("expected either RATINGS or --read-xmp, found both or neither; give one")
    store = Store()
    before = store.load(name) if update else None
    if not update and name in store.names():
        raise UsageError(f"expected a new name, found a profile {name!r}; use: calm profile update, or remove it")
    predictor, known = options.open(), open_prior(options.model)
    from calm.personal.tasks import learn_again, learn_from, read_rated

    if before is not None and ratings is None and not read_xmp:
        profile, failed = learn_again(predictor, known, before, images)
    elif ratings is not None:
        given, pairs, missing = read_rated(ratings, images)
        profile, failed = learn_from(predictor, known, name, given, pairs, scale, before, missing)
    else:
        from calm.library.sidecars import rated

        low, high = scale or (before.scale if before and len(before.ratings) else STARS)
        stars, damaged = rated(str(images))
        given = {path: low + (value - 1) / 4 * (high - low) for path, value in stars.items()}
        profile, failed = learn_from(predictor, known, name, given, (), (low, high), before, damaged)
    for row in failed:
        options.talk.say(f"left out {row['path']}: {row['error']}")
    store.save(profile)
    typer.echo(_line(profile))
    typer.echo(verdict(profile))


def _draw(name: str, leanings: list[Leaning], path: Path) -> None:
    if not leanings:
        from calm.errors import UsageError

        raise UsageError(
            f"expected traits that move the scores of profile {name}, found none to draw; rate more photos, or use a "
            "model whose tastes.safetensors knows traits (calm profile prior)"
        )
    from calm.personal.traits import draw_leanings

    draw_leanings(f"What {name} likes and dislikes", leanings, path)


def _new(path: Path, *suffixes: str) -> None:
    """Raise :class:`UsageError` for a file that is there, or whose name ends in none of the suffixes, if any."""
    from calm.errors import UsageError

    if path.exists():
        raise UsageError(f"expected a new file, found one at {path}; name another, or remove it")
    if suffixes and path.suffix.lower() not in suffixes:
        raise UsageError(f"expected a name that ends in {', '.join(suffixes)}, found {path.name}; choose one of these")


def verdict(profile: Profile) -> str:
    """How far a profile may be trusted, in words."""
    trust = profile.trust
    if trust is None:
        return "Too few ratings, or all alike: nothing can be said of how well it predicts others. Rate more photos."
    kind, name = ("ratings", "SRCC") if trust.measure == "srcc" else ("preferences", "share that is right")
    figures = (
        f"{name} {trust.personal:.2f} ({trust.low:.2f} to {trust.high:.2f}), the general score {trust.generic:.2f}"
    )
    if trust.helps:
        return f"It predicts {kind} left out better than the general score does: {figures}."
    return f"It is not yet surely better than the general score: {figures}. Rate more photos."


def _line(profile: Profile) -> str:
    low, high = profile.scale
    rated = f"{len(profile.ratings)} photos rated on {low:g}–{high:g}" if len(profile.ratings) else ""
    pairs = f"{len(profile.pairs)} pairs" if profile.pairs else ""
    basis = ", ".join(part for part in (rated, pairs) if part)
    return f"{profile.name}  {basis}, {profile.model} {profile.model_sha256[:12]}"
