"""``calm profile …``: what one person likes, learnt from photos that they rated."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from calm.cli.options import DEFAULT_MODEL, Device, Model, Paths, Quiet, Verbose
from calm.cli.running import Talk, find, open_model, open_prior

if TYPE_CHECKING:
    from calm.personal.profile import Profile
    from calm.personal.traits import Leaning

app = typer.Typer(
    help="Learn what a person likes, for: calm score --profile NAME.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

SIDES = 5
"""Traits that are shown as liked, and as disliked, at most."""
BLOCK = 0.05
"""Points that one block of a bar stands for."""

Name = Annotated[str, typer.Argument(metavar="NAME", help="The profile.")]
Ratings = Annotated[
    Path,
    typer.Argument(
        metavar="RATINGS",
        help="CSV: first column file, second the rating (stars, or 1 and 0 for likes); or columns better,worse.",
        exists=True,
        dir_okay=False,
    ),
]
Images = Annotated[
    Path, typer.Option("--images", metavar="DIR", help="The photos that were rated.", exists=True, file_okay=False)
]
Scale = Annotated[
    tuple[float, float] | None,
    typer.Option(
        "--scale",
        metavar="LOW HIGH",
        help="Lowest and highest rating there could be; guessed if not given.",
        show_default=False,
    ),
]


@app.command()
def learn(
    name: Name,
    ratings: Ratings,
    images: Images,
    scale: Scale = None,
    model: Model = DEFAULT_MODEL,
    device: Device = None,
    verbose: Verbose = 0,
    quiet: Quiet = False,
) -> None:
    """Learn a profile from photos that a person rated.

    Ten are a beginning. The photos are only read; the profile holds none of them.
    """
    _learn(name, ratings, images, scale, model, device, Talk(verbose, quiet))


@app.command()
def update(
    name: Name,
    ratings: Ratings,
    images: Images,
    model: Model = DEFAULT_MODEL,
    device: Device = None,
    verbose: Verbose = 0,
    quiet: Quiet = False,
) -> None:
    """Add rated photos to a profile; one that it knows counts with its new rating."""
    _learn(name, ratings, images, None, model, device, Talk(verbose, quiet), update=True)


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
        Path | None,
        typer.Option(
            "--picture",
            metavar="FILE",
            help="Also draw it: a new PNG, SVG or PDF.",
            dir_okay=False,
            show_default=False,
        ),
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
    name: Annotated[
        str | None,
        typer.Option("--profile", metavar="NAME", help="Somebody new, if not given.", show_default=False),
    ] = None,
    count: Annotated[int, typer.Option("--count", min=1, help="So many photos at most.")] = 10,
    model: Model = DEFAULT_MODEL,
    device: Device = None,
    verbose: Verbose = 0,
    quiet: Quiet = False,
) -> None:
    """Name the photos that it tells most to rate next, one path a line."""
    from calm.personal.store import Store

    talk = Talk(verbose, quiet)
    profile = Store().load(name) if name else None
    photos, _ = find(paths)
    predictor = _open(model, device, talk)
    from calm.profiles import rate_next

    chosen, failed = rate_next(predictor, open_prior(model), list(photos), count, profile)
    for row in failed:
        talk.say(f"left out {row['path']}: {row['error']}")
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
    name: Annotated[
        str | None, typer.Option("--name", metavar="NAME", help="Keep it under this name.", show_default=False)
    ] = None,
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
    output: Annotated[Path, typer.Option("--output", metavar="FILE", help="A new safetensors file.", dir_okay=False)],
    model: Model = DEFAULT_MODEL,
    device: Device = None,
    verbose: Verbose = 0,
    quiet: Quiet = False,
) -> None:
    """Learn from many people what is known of any person's taste beforehand.

    Profiles of a model begin from the file tastes.safetensors in its folder, which this makes.
    """
    _new(output)
    predictor = _open(model, device, Talk(verbose, quiet))
    from calm.eval.piaa import learn_prior

    learn_prior(predictor, images, ratings).save(output)


def _learn(
    name: str,
    ratings: Path,
    images: Path,
    scale: tuple[float, float] | None,
    model: str,
    device: str | None,
    talk: Talk,
    update: bool = False,
) -> None:
    """Learn a profile, or add to one."""
    from calm.errors import UsageError
    from calm.personal.profile import check_name
    from calm.personal.store import Store

    check_name(name)
    store = Store()
    before = store.load(name) if update else None
    if not update and name in store.names():
        raise UsageError(f"expected a new name, found a profile {name!r}; use: calm profile update, or remove it")
    predictor = _open(model, device, talk)
    from calm.profiles import learn_profile

    profile, failed = learn_profile(predictor, open_prior(model), name, images, ratings, scale, before)
    for row in failed:
        talk.say(f"left out {row['path']}: {row['error']}")
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
    from calm.personal.picture import draw_leanings

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
    told = profile.trust
    if told is None:
        return "Too few ratings, or all alike: nothing can be said of how well it predicts others. Rate more photos."
    kind, name = ("ratings", "SRCC") if told.measure == "srcc" else ("preferences", "share that is right")
    figures = f"{name} {told.personal:.2f} ({told.low:.2f} to {told.high:.2f}), the general score {told.generic:.2f}"
    if told.helps:
        return f"It predicts {kind} left out better than the general score does: {figures}."
    return f"It is not yet surely better than the general score: {figures}. Rate more photos."


def _line(profile: Profile) -> str:
    low, high = profile.scale
    rated = f"{len(profile.ratings)} photos rated on {low:g}–{high:g}" if len(profile.ratings) else ""
    pairs = f"{len(profile.pairs)} pairs" if profile.pairs else ""
    told = ", ".join(part for part in (rated, pairs) if part)
    return f"{profile.name}  {told}, {profile.model} {profile.model_sha256[:12]}"


def _open(model: str, device: str | None, talk: Talk):  # noqa: ANN202 - as in calm eval
    talk.begin()
    return open_model(model, device, talk)
