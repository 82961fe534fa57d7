"""``calm eval …``: how well a model does on a data set, as figures."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from calm.cli.evaluate_options import (
    DataSet,
    Limit,
    Predictions,
    ReportFormat,
    Resamples,
    Root,
    Seed,
    Some,
    Split,
    folder,
)
from calm.cli.options import (
    DEFAULT_BATCH_SIZE,
    DEFAULT_MODEL,
    BatchSize,
    Device,
    Model,
    NoStore,
    Profile,
    Quiet,
    Verbose,
)
from calm.cli.running import Talk, open_model, open_profile
from calm.errors import UsageError

app = typer.Typer(
    help="Measure a model on a data set.", no_args_is_help=True, rich_markup_mode=None, pretty_exceptions_enable=False
)


@app.command()
def scores(
    images: Annotated[Path | None, folder("--images", "The photos.")] = None,
    labels: Annotated[
        Path | None,
        typer.Option(
            "--labels", metavar="FILE", help="CSV: first column file, second score.", exists=True, dir_okay=False
        ),
    ] = None,
    dataset: DataSet = None,
    root: Root = None,
    split: Split = None,
    threshold: Annotated[
        float | None,
        typer.Option(
            "--threshold",
            help="On 1–10, above which a photo counts as good.  [default: 5 for labels on 1–10, else the middle]",
            show_default=False,
        ),
    ] = None,
    limit: Some = None,
    seed: Seed = 0,
    resamples: Resamples = 1000,
    predictions: Predictions = None,
    no_store: NoStore = False,
    format: ReportFormat = "table",
    model: Model = DEFAULT_MODEL,
    device: Device = None,
    verbose: Verbose = 0,
    quiet: Quiet = False,
) -> None:
    """Rank and linear agreement with scores that people gave.

    Of a folder (--images and --labels), or of a data set (--dataset and --root).
    """
    given = [each is not None for each in (images, labels, dataset, root)]
    if given not in ([True, True, False, False], [False, False, True, True]):
        raise UsageError("expected --images with --labels, or --dataset with --root; give one of these pairs")
    predictor = _open(model, device, verbose, quiet, no_store)
    from calm.eval.suites import eval_dataset, eval_scores

    settings: dict[str, Any] = {"threshold": threshold, "limit": limit, "seed": seed, "resamples": resamples}
    settings["keep"] = predictions is not None
    if dataset is not None:
        found = eval_dataset(predictor, dataset, str(root), split=split, **settings)
    else:
        found = eval_scores(predictor, str(images), str(labels), **settings)
    report(found, format, predictions)


@app.command()
def para(
    root: Annotated[Path, folder("--root", "The PARA data set: imgs/ and annotation/.")],
    predictions: Predictions = None,
    no_store: NoStore = False,
    format: ReportFormat = "table",
    model: Model = DEFAULT_MODEL,
    device: Device = None,
    verbose: Verbose = 0,
    quiet: Quiet = False,
) -> None:
    """Agreement with people on PARA's official test photos."""
    predictor = _open(model, device, verbose, quiet, no_store)
    from calm.eval.suites import eval_para

    report(eval_para(predictor, root, keep=predictions is not None), format, predictions)


@app.command()
def edits(
    photos: Annotated[Path, folder("--photos", "Good photos, not trained on, with their native pixels.")],
    seed: Seed = 0,
    limit: Some = None,
    per_photo: Annotated[int, typer.Option("--per-photo", min=1, help="Edits made to each photo.")] = 1,
    predictions: Predictions = None,
    no_store: NoStore = False,
    format: ReportFormat = "table",
    model: Model = DEFAULT_MODEL,
    device: Device = None,
    verbose: Verbose = 0,
    quiet: Quiet = False,
) -> None:
    """Do suggestions name the edit made?

    And do they stay silent on untouched photos?
    """
    predictor = _open(model, device, verbose, quiet, no_store)
    from calm.eval.suites import eval_edits

    keep = predictions is not None
    report(eval_edits(predictor, photos, seed=seed, limit=limit, per_photo=per_photo, keep=keep), format, predictions)


@app.command()
def remedies(
    photos: Annotated[Path, folder("--photos", "Good photos, not trained on, with their native pixels.")],
    scorer: Annotated[
        str | None,
        typer.Option(
            "--scorer", metavar="DIR_OR_ID", help="Another model, which gives the scores.", show_default=False
        ),
    ] = None,
    seed: Seed = 0,
    limit: Some = None,
    no_store: NoStore = False,
    format: ReportFormat = "table",
    model: Model = DEFAULT_MODEL,
    device: Device = None,
    verbose: Verbose = 0,
    quiet: Quiet = False,
) -> None:
    """Do suggestions help?

    Photos are damaged, the suggestion is carried out, and they are scored again, beside a random remedy.
    """
    predictor = _open(model, device, verbose, quiet, no_store)
    other = _open(scorer, device, verbose, quiet, no_store) if scorer else None
    from calm.eval.suites import eval_remedies

    report(eval_remedies(predictor, photos, seed=seed, limit=limit, scorer=other), format)


@app.command()
def comments(
    photos: Annotated[Path | None, folder("--photos", "The photos.")] = None,
    references: Annotated[
        Path | None,
        typer.Option(
            "--references",
            metavar="FILE",
            help='What people wrote: JSON lines {"path": …, "references": […]}.',
            exists=True,
            dir_okay=False,
            show_default=False,
        ),
    ] = None,
    dataset: DataSet = None,
    root: Root = None,
    split: Split = None,
    seed: Seed = 0,
    limit: Limit = 200,
    no_store: NoStore = False,
    format: ReportFormat = "table",
    model: Model = DEFAULT_MODEL,
    device: Device = None,
    verbose: Verbose = 0,
    quiet: Quiet = False,
) -> None:
    """How long and how varied are comments?

    With references (a file's, or those of a data set): how like are they to what people wrote?
    """
    if (dataset is None) != (root is None) or (dataset is None) == (photos is None and references is None):
        raise UsageError("expected --photos, --references, or --dataset with --root; give one of these")
    from calm.eval.references import dataset_references, need_pycocoevalcap, read_references

    written, kind = None, "references"
    if dataset is not None or references is not None:
        need_pycocoevalcap()
        written = read_references(references, photos) if references else None
        if dataset is not None:
            written, kind = dataset_references(dataset, str(root), split)
    predictor = _open(model, device, verbose, quiet, no_store)
    from calm.eval.suites import eval_comments

    where = list(written) if written else str(photos)
    found = eval_comments(predictor, where, seed=seed, n=limit, references=written)
    report(found | ({"references_are": kind} if written else {}), format)


@app.command()
def paired(
    first: Annotated[Path, typer.Argument(metavar="FIRST", help="Predictions of one model.", exists=True)],
    second: Annotated[Path, typer.Argument(metavar="SECOND", help="Of another, on the same photos.", exists=True)],
    threshold: Annotated[float, typer.Option("--threshold", help="On 1–10, above which a photo counts as good.")] = 5.5,
    resamples: Resamples = 1000,
    seed: Seed = 0,
    format: ReportFormat = "table",
) -> None:
    """Is one model better than another on the same photos, or is it chance?

    By files that --predictions wrote: paired bootstrap of correlations, McNemar's exact test of accuracies.
    """
    from calm.eval.paired import eval_paired

    report(eval_paired(first, second, threshold=threshold, resamples=resamples, seed=seed), format)


@app.command()
def piaa(
    images: Annotated[Path, folder("--images", "The photos.")],
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
    learner: Annotated[
        list[str] | None,
        typer.Option(
            "--learner",
            help="Measure only this one beside the general score; may be repeated. [default: all]",
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
    no_store: NoStore = False,
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
    predictor = _open(model, device, verbose, quiet, no_store)
    from calm.eval.suites import eval_piaa

    wanted = tuple(sorted(set(shots or [10])))
    names = test_people.read_text(encoding="utf-8").splitlines() if test_people else []
    tested = [name.strip() for name in names if name.strip()] if test_people else None
    settings: dict[str, Any] = {"shots": wanted, "people": people, "draws": draws, "seed": seed, "tested": tested}
    figures = eval_piaa(predictor, images, ratings, **settings, only=learner)
    if plots:
        from calm.eval.plots import plot_piaa

        plot_piaa(figures, plots)
    report(figures, format)


@app.command()
def invariance(
    photos: Annotated[Path, folder("--photos", "The photos.")],
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
    photos: Annotated[Path, folder("--photos", "The photos.")],
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


def report(figures: Mapping[str, Any], format: Literal["table", "json"], predictions: Path | None = None) -> None:
    """Writes figures to standard output: as one JSON object, or as text for people; each photo's line to a file."""
    from calm.eval.predictions import write_predictions
    from calm.eval.report import render

    figures = dict(figures)
    lines = figures.pop("predictions", None)
    if predictions is not None:
        write_predictions(predictions, lines or [])
    typer.echo(json.dumps(figures, ensure_ascii=False, indent=2) if format == "json" else render(figures))


def _open(model: str, device: str | None, verbose: int, quiet: bool, no_store: bool = True) -> Any:  # noqa: ANN401
    """The predictor, whose answers are kept unless ``no_store``; the suites say what they need of it."""
    talk = Talk(verbose, quiet)
    talk.begin()
    return open_model(model, device, talk, stored=not no_store)
