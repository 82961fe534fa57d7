"""``calm eval …``: how well a model does on a data set, as figures."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from calm.cli.options import DEFAULT_BATCH_SIZE, DEFAULT_MODEL, BatchSize, Device, Model, Profile, Quiet, Verbose
from calm.cli.running import Talk, open_model, open_profile, open_reader

app = typer.Typer(
    help="Measure a model on a data set.", no_args_is_help=True, rich_markup_mode=None, pretty_exceptions_enable=False
)

ReportFormat = Annotated[
    Literal["table", "json"], typer.Option("--format", help="How the figures are written to standard output.")
]
Limit = Annotated[int, typer.Option("--limit", min=1, help="Use so many photos at most, drawn by the seed.")]
Seed = Annotated[int, typer.Option("--seed", help="Which random draws are made; the same seed, the same figures.")]


def _folder(option: str, help: str) -> Any:  # noqa: ANN401 - what typer.Option gives
    return typer.Option(option, metavar="DIR", help=help, exists=True, file_okay=False)


@app.command()
def scores(
    images: Annotated[Path, _folder("--images", "The photos.")],
    labels: Annotated[
        Path,
        typer.Option(
            "--labels", metavar="FILE", help="CSV: first column file, second score.", exists=True, dir_okay=False
        ),
    ],
    format: ReportFormat = "table",
    model: Model = DEFAULT_MODEL,
    device: Device = None,
    verbose: Verbose = 0,
    quiet: Quiet = False,
) -> None:
    """Rank and linear agreement with scores that people gave."""
    predictor = _open(model, device, verbose, quiet)
    from calm.eval.suites import eval_scores

    report(eval_scores(predictor, images, labels), format)


@app.command()
def para(
    root: Annotated[Path, _folder("--root", "The PARA data set: imgs/ and annotation/.")],
    format: ReportFormat = "table",
    model: Model = DEFAULT_MODEL,
    device: Device = None,
    verbose: Verbose = 0,
    quiet: Quiet = False,
) -> None:
    """Agreement with people on PARA's official test photos."""
    predictor = _open(model, device, verbose, quiet)
    from calm.eval.suites import eval_para

    report(eval_para(predictor, root), format)


@app.command()
def edits(
    photos: Annotated[Path, _folder("--photos", "Good photos, not trained on, with their native pixels.")],
    seed: Seed = 0,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="Use so many photos at most.")] = None,
    per_photo: Annotated[int, typer.Option("--per-photo", min=1, help="Edits made to each photo.")] = 1,
    format: ReportFormat = "table",
    model: Model = DEFAULT_MODEL,
    device: Device = None,
    verbose: Verbose = 0,
    quiet: Quiet = False,
) -> None:
    """Do suggestions name the edit made?

    And do they stay silent on untouched photos?
    """
    predictor = _open(model, device, verbose, quiet)
    from calm.eval.suites import eval_edits

    report(eval_edits(predictor, photos, seed=seed, limit=limit, per_photo=per_photo), format)


@app.command()
def comments(
    photos: Annotated[Path, _folder("--photos", "The photos.")],
    seed: Seed = 0,
    limit: Limit = 200,
    format: ReportFormat = "table",
    model: Model = DEFAULT_MODEL,
    device: Device = None,
    verbose: Verbose = 0,
    quiet: Quiet = False,
) -> None:
    """Do comments fit their own photo?

    Better than a random other one, and how varied are they?
    """
    predictor = _open(model, device, verbose, quiet)
    from calm.eval.suites import eval_comments

    report(eval_comments(predictor, photos, seed=seed, n=limit), format)


@app.command()
def piaa(
    images: Annotated[Path, _folder("--images", "The photos.")],
    ratings: Annotated[
        Path,
        typer.Option(
            "--ratings", metavar="FILE", help="CSV or Parquet: person, photo, rating.", exists=True, dir_okay=False
        ),
    ],
    shots: Annotated[
        list[int] | None,
        typer.Option("--shots", min=0, help="Rated examples of each person; may be repeated. [default: 10]"),
    ] = None,
    people: Annotated[
        int, typer.Option("--people", min=1, help="Use so many people at most, drawn by the seed.")
    ] = 100,
    draws: Annotated[int, typer.Option("--draws", min=1, help="Draws of the examples for each person.")] = 10,
    test_people: Annotated[
        Path | None,
        typer.Option(
            "--test-people",
            metavar="FILE",
            help="Names of the people to test, one a line; the others are learnt from.",
            exists=True,
            dir_okay=False,
        ),
    ] = None,
    reader: Annotated[
        list[Path] | None,
        typer.Option(
            "--reader",
            metavar="DIR",
            help="A trained reader of examples; may be repeated. Each is tested on people and photos it never saw.",
            exists=True,
            file_okay=False,
            show_default=False,
        ),
    ] = None,
    plots: Annotated[
        Path | None,
        typer.Option(
            "--plots", metavar="DIR", help="Also draw the learning curve and each person there.", file_okay=False
        ),
    ] = None,
    seed: Seed = 0,
    format: ReportFormat = "table",
    model: Model = DEFAULT_MODEL,
    device: Device = None,
    verbose: Verbose = 0,
    quiet: Quiet = False,
) -> None:
    """How well do a few ratings of one person predict that person's others?

    Against the general score and plain learners on the very same draws. FLICKR-AES's protocol (37 people of its own
    split, 10 draws): --test-people WORKERS --shots 10, and again with --shots 100.
    """
    predictor = _open(model, device, verbose, quiet)
    from calm.eval.suites import eval_piaa

    wanted = tuple(sorted(set(shots or [10])))
    names = test_people.read_text(encoding="utf-8").splitlines() if test_people else []
    tested = [name.strip() for name in names if name.strip()] if test_people else None
    settings: dict[str, Any] = {"shots": wanted, "people": people, "draws": draws, "seed": seed, "tested": tested}
    readers = [open_reader(each, predictor) for each in reader or []]
    figures = eval_piaa(predictor, images, ratings, **settings, readers=readers)
    if plots:
        from calm.eval.plots import plot_piaa

        plot_piaa(figures, plots)
    report(figures, format)


@app.command()
def invariance(
    photos: Annotated[Path, _folder("--photos", "The photos.")],
    seed: Seed = 0,
    format: ReportFormat = "table",
    model: Model = DEFAULT_MODEL,
    device: Device = None,
    verbose: Verbose = 0,
    quiet: Quiet = False,
) -> None:
    """How far does a score move?

    With the batch, from one pass to the next, and with the size that a photo is stored at.
    """
    predictor = _open(model, device, verbose, quiet)
    from calm.eval.suites import eval_invariance

    report(eval_invariance(predictor, photos, seed=seed), format)


@app.command()
def speed(
    photos: Annotated[Path, _folder("--photos", "The photos.")],
    seed: Seed = 0,
    limit: Limit = 500,
    batch_size: BatchSize = DEFAULT_BATCH_SIZE,
    profile: Profile = None,
    format: ReportFormat = "table",
    model: Model = DEFAULT_MODEL,
    device: Device = None,
    verbose: Verbose = 0,
    quiet: Quiet = False,
) -> None:
    """Photos a second.

    Of ``calm score``, of the encoder alone, and of a plain generate() loop over the same photos; with a profile, also
    of personal scores.
    """
    predictor = _open(model, device, verbose, quiet)
    from calm.eval.suites import eval_speed

    personal = open_profile(profile, model) if profile else None
    report(eval_speed(predictor, photos, seed=seed, limit=limit, batch_size=batch_size, personal=personal), format)


def report(figures: Mapping[str, Any], format: Literal["table", "json"]) -> None:
    """Writes figures to standard output: as one JSON object, or as text for people."""
    from calm.eval.report import render

    typer.echo(json.dumps(figures, ensure_ascii=False, indent=2) if format == "json" else render(figures))


def _open(model: str, device: str | None, verbose: int, quiet: bool) -> Any:  # noqa: ANN401 - the suites say what they need of it
    talk = Talk(verbose, quiet)
    talk.begin()
    return open_model(model, device, talk)
