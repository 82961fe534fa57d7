"""``calm eval …``: how well a model does on a data set, as figures."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from calm.cli.commands import Commands
from calm.cli.evaluate_options import (
    DataSetOptions,
    FigureOptions,
    GoodPhotos,
    Limit,
    Predictions,
    ReportFormat,
    Resamples,
    Seed,
    file,
    folder,
)
from calm.cli.options import ModelOptions, NoStore
from calm.errors import UsageError

app = Commands("Measure a model on a data set.")

Photos = Annotated[Path, folder("The photos.")]


@app.command()
def scores(
    *,
    images: Annotated[Path | None, folder("The photos.")] = None,
    labels: Annotated[Path | None, file("CSV: first column file, second score.")] = None,
    source: DataSetOptions,
    threshold: Annotated[
        float | None,
        typer.Option(
            help="On 1–10, above which a photo counts as good.  [default: 5 for labels on 1–10, else the middle]"
        ),
    ] = None,
    resamples: Resamples = 1000,
    predictions: Predictions = None,
    no_store: NoStore = False,
    options: FigureOptions,
) -> None:
    """Rank and linear agreement with scores that people gave.

    Of a folder (--images and --labels), or of a data set (--dataset and --root).
    """
    given = [each is not None for each in (images, labels, source.dataset, source.root)]
    if given not in ([True, True, False, False], [False, False, True, True]):
        raise UsageError("expected --images with --labels, or --dataset with --root; give one of these pairs")
    predictor = options.open(stored=not no_store)
    from calm.eval.suites import eval_dataset, eval_scores

    settings: dict[str, Any] = {"threshold": threshold, "limit": options.limit, "seed": options.seed}
    settings |= {"resamples": resamples, "keep": predictions is not None}
    if source.dataset is not None:
        found = eval_dataset(predictor, source.dataset, str(source.root), split=source.split, **settings)
    else:
        found = eval_scores(predictor, str(images), str(labels), **settings)
    report(found, options.format, predictions)


@app.command()
def para(
    *,
    root: Annotated[Path, folder("The PARA data set: imgs/ and annotation/.")],
    predictions: Predictions = None,
    no_store: NoStore = False,
    format: ReportFormat = "table",
    options: ModelOptions,
) -> None:
    """Agreement with people on PARA's official test photos."""
    predictor = options.open(stored=not no_store)
    from calm.eval.suites import eval_para

    report(eval_para(predictor, root, keep=predictions is not None), format, predictions)


@app.command()
def edits(
    *,
    photos: GoodPhotos,
    per_photo: Annotated[int, typer.Option(min=1, help="Edits made to each photo.")] = 1,
    predictions: Predictions = None,
    no_store: NoStore = False,
    options: FigureOptions,
) -> None:
    """Do suggestions name the edit made?

    And do they stay silent on untouched photos?
    """
    predictor = options.open(stored=not no_store)
    from calm.eval.editing import eval_edits

    settings: dict[str, Any] = {"seed": options.seed, "limit": options.limit, "keep": predictions is not None}
    report(eval_edits(predictor, photos, per_photo=per_photo, **settings), options.format, predictions)


@app.command()
def remedies(
    *,
    photos: GoodPhotos,
    scorer: Annotated[
        str | None, typer.Option(metavar="DIR_OR_ID", help="Another model, which gives the scores.")
    ] = None,
    no_store: NoStore = False,
    options: FigureOptions,
) -> None:
    """Do suggestions help?

    Photos are damaged, the suggestion is carried out, and they are scored again, beside a random remedy.
    """
    predictor = options.open(stored=not no_store)
    other = replace(options, model=scorer).open(stored=not no_store) if scorer else None
    from calm.eval.remedies import eval_remedies

    found = eval_remedies(predictor, photos, seed=options.seed, limit=options.limit, scorer=other)
    report(found, options.format)


@app.command()
def comments(
    *,
    photos: Annotated[Path | None, folder("The photos.")] = None,
    references: Annotated[Path | None, file('What people wrote: JSON lines {"path": …, "references": […]}.')] = None,
    source: DataSetOptions,
    seed: Seed = 0,
    limit: Limit = 200,
    no_store: NoStore = False,
    format: ReportFormat = "table",
    options: ModelOptions,
) -> None:
    """How long and how varied are comments?

    With references (a file's, or those of a data set): how like are they to what people wrote?
    """
    if source.half_given or (source.dataset is None) == (photos is None and references is None):
        raise UsageError("expected --photos, --references, or --dataset with --root; give one of these")
    from calm.eval.references import dataset_references, need_pycocoevalcap, read_references

    written, kind = None, "references"
    if source.dataset is not None or references is not None:
        need_pycocoevalcap()
        written = read_references(references, photos) if references else None
        if source.dataset is not None:
            written, kind = dataset_references(source.dataset, str(source.root), source.split)
    predictor = options.open(stored=not no_store)
    from calm.eval.comments import eval_comments

    where = list(written) if written else str(photos)
    found = eval_comments(predictor, where, seed=seed, n=limit, references=written)
    report(found | ({"references_are": kind} if written else {}), format)


@app.command()
def paired(
    first: Annotated[Path, typer.Argument(metavar="FIRST", help="Predictions of one model.", exists=True)],
    second: Annotated[Path, typer.Argument(metavar="SECOND", help="Of another, on the same photos.", exists=True)],
    threshold: Annotated[float, typer.Option(help="On 1–10, above which a photo counts as good.")] = 5.5,
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
    *,
    images: Annotated[Path, folder("The photos.")],
    ratings: Annotated[Path, file("CSV or Parquet: person, photo, rating.")],
    shots: Annotated[
        list[int] | None, typer.Option(min=0, help="Rated examples of each person; may be repeated. [default: 10]")
    ] = None,
    people: Annotated[int, typer.Option(min=1, help="Use so many people at most, drawn by the seed.")] = 100,
    draws: Annotated[int, typer.Option(min=1, help="Draws of the examples for each person.")] = 10,
    test_people: Annotated[
        Path | None, file("Names of the people to test, one a line; the others are learnt from.")
    ] = None,
    learner: Annotated[
        list[str] | None,
        typer.Option(help="Measure only this one beside the general score; may be repeated. [default: all]"),
    ] = None,
    plots: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Also draw the learning curve and each person there.", file_okay=False),
    ] = None,
    seed: Seed = 0,
    no_store: NoStore = False,
    format: ReportFormat = "table",
    options: ModelOptions,
) -> None:
    """How well do a few ratings of one person predict that person's others?

    Against the general score and plain learners on the very same draws. FLICKR-AES's protocol (37 people of its own
    split, 10 draws): --test-people WORKERS --shots 10, and again with --shots 100.
    """
    predictor = options.open(stored=not no_store)
    from calm.eval.piaa import eval_piaa

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
def invariance(*, photos: Photos, seed: Seed = 0, format: ReportFormat = "table", options: ModelOptions) -> None:
    """How far does a score move?

    With the batch, from one pass to the next, with the size that a photo is stored at, and with compression.
    """
    predictor = options.open()
    from calm.eval.invariance import eval_invariance

    report(eval_invariance(predictor, photos, seed=seed), format)


def report(figures: Mapping[str, Any], format: Literal["table", "json"], predictions: Path | None = None) -> None:
    """Writes figures to standard output: as one JSON object, or as text for people; each photo's line to a file."""
    from calm.eval.paired import write_predictions
    from calm.eval.report import render

    figures = dict(figures)
    lines = figures.pop("predictions", None)
    if predictions is not None:
        write_predictions(predictions, lines or [])
    typer.echo(json.dumps(figures, ensure_ascii=False, indent=2) if format == "json" else render(figures))
