"""``calm eval controls``, ``names``, ``captions``, ``framing``, ``faults``, ``order`` and ``quality``.

What the network sees, and what it makes of it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from calm.cli.evaluate import report
from calm.cli.evaluate_options import DataSet, ReportFormat, Root, Seed, Some, Split, folder
from calm.cli.options import DEFAULT_MODEL, Device, Model, Quiet, Verbose
from calm.cli.running import Talk, load_model, open_model
from calm.errors import DataError, UsageError

if TYPE_CHECKING:
    import numpy as np


def controls(
    photos: Annotated[Path, folder("--photos", "Photos that the model was not trained on, ten at least.")],
    seed: Seed = 0,
    limit: Some = None,
    format: ReportFormat = "table",
    model: Model = DEFAULT_MODEL,
    device: Device = None,
    verbose: Verbose = 0,
    quiet: Quiet = False,
) -> None:
    """Controls that could refute the claim that the language model sees.

    Scores and suggestions with another photo's visual tokens, blank frames, comments told apart among ten photos, and
    comments with one claim turned round.
    """
    Talk(max(verbose, int(not quiet)), quiet).begin()
    from calm.eval.controls import CANDIDATES
    from calm.eval.controls import controls as run
    from calm.eval.gather import draw, find

    found = _decoded(draw(find(str(photos)), limit, seed))
    if len(found) < CANDIDATES:
        raise DataError(f"expected {CANDIDATES} photos at least in {photos}, found {len(found)}; give more")
    report(run(load_model(model, device).answers, found, seed), format, None)


def names(
    labels: Annotated[
        Path,
        typer.Option(
            "--labels",
            metavar="FILE",
            help="CSV with the columns path and nouns: nouns that are true of the photo, divided by |.",
            exists=True,
            dir_okay=False,
        ),
    ],
    photos: Annotated[Path, folder("--photos", "What the paths of the labels are relative to.")],
    seed: Seed = 0,
    limit: Some = None,
    format: ReportFormat = "table",
    model: Model = DEFAULT_MODEL,
    device: Device = None,
    verbose: Verbose = 0,
    quiet: Quiet = False,
) -> None:
    """Is the subject named, and is anything named that is not there?

    The words that the language model writes are compared with nouns that people accept, and with those of other photos.
    """
    Talk(max(verbose, int(not quiet)), quiet).begin()
    from calm.data.record import read_table
    from calm.eval.gather import draw
    from calm.eval.names import names as run

    accepted = {
        str(photos / row["path"]): frozenset(noun.strip().lower() for noun in row["nouns"].split("|"))
        for row in read_table(labels, ("path", "nouns"))
    }
    chosen = draw(list(accepted), limit, seed)
    report(run(load_model(model, device).answers, _decoded(chosen), [accepted[path] for path in chosen]), format, None)


def framing(
    root: Annotated[Path, folder("--root", "FLMS's folder Benchmark_FLMS.")],
    seed: Seed = 0,
    limit: Some = None,
    format: ReportFormat = "table",
    model: Model = DEFAULT_MODEL,
    device: Device = None,
    verbose: Verbose = 0,
    quiet: Quiet = False,
) -> None:
    """Do suggested crops come closer to people's than the whole frame does?

    Intersection over union with the best of people's crops, on FLMS.
    """
    Talk(max(verbose, int(not quiet)), quiet).begin()
    from calm.eval.framing import eval_framing

    report(eval_framing(load_model(model, device), root, limit=limit, seed=seed), format, None)


def captions(
    photos: Annotated[Path | None, folder("--photos", "Photos that the model was not trained on.")] = None,
    captions: Annotated[
        Path | None,
        typer.Option(
            "--captions",
            metavar="FILE",
            help="CSV with the columns image (a file name) and caption, one caption a line.",
            exists=True,
            dir_okay=False,
            show_default=False,
        ),
    ] = None,
    dataset: DataSet = None,
    root: Root = None,
    split: Split = None,
    seed: Seed = 0,
    limit: Some = None,
    format: ReportFormat = "table",
    model: Model = DEFAULT_MODEL,
    device: Device = None,
    verbose: Verbose = 0,
    quiet: Quiet = False,
) -> None:
    """Are the network's captions like people's?

    CIDEr and other figures against all captions of each photo, beside the same with another photo's caption. Captions
    are a table's (--photos and --captions), or a data set's (--dataset and --root), to which --captions adds more.
    """
    if (dataset is None) != (root is None) or (dataset is None) == (photos is None) or not (dataset or captions):
        raise UsageError("expected --photos with --captions, or --dataset with --root; give one of these pairs")
    Talk(max(verbose, int(not quiet)), quiet).begin()
    from calm.data.record import dataset as data_set
    from calm.eval.captions import captions_of, eval_captions
    from calm.eval.gather import find

    if dataset is not None:
        own = {record.path: record.captions for record in data_set(dataset).records(str(root), split)}
    else:
        own = dict.fromkeys(find(str(photos)), ())
    references = captions_of(own, captions)
    report(eval_captions(load_model(model, device), references, limit=limit, seed=seed), format, None)


def faults(
    mefb: Annotated[Path, folder("--mefb", "MEFB, with input/<scene>/.")],
    polyu: Annotated[Path, folder("--polyu", "PolyU, with CroppedImages/.")],
    held_out: Annotated[
        bool, typer.Option("--held-out", help="The scenes that are kept out of development, in place of the others.")
    ] = False,
    seed: Seed = 0,
    limit: Some = None,
    format: ReportFormat = "table",
    model: Model = DEFAULT_MODEL,
    device: Device = None,
    verbose: Verbose = 0,
    quiet: Quiet = False,
) -> None:
    """Are real faults named?

    Over- and under-exposure on MEFB, sensor noise on PolyU and on the clean twins of its photos.
    """
    Talk(max(verbose, int(not quiet)), quiet).begin()
    from calm.eval.faults import eval_faults

    pipeline = load_model(model, device)
    report(eval_faults(pipeline, mefb, polyu, hidden=held_out, limit=limit, seed=seed), format, None)


def order(
    photos: Annotated[Path, folder("--photos", "Good photos, not trained on, with their native pixels.")],
    seed: Seed = 0,
    limit: Some = None,
    format: ReportFormat = "table",
    model: Model = DEFAULT_MODEL,
    device: Device = None,
    verbose: Verbose = 0,
    quiet: Quiet = False,
) -> None:
    """Does a clearly damaged copy score below its original?

    For each kind of edit in each direction, at a severity of .75.
    """
    talk = Talk(verbose, quiet)
    talk.begin()
    from calm.eval.order import eval_order

    report(eval_order(open_model(model, device, talk), str(photos), seed=seed, limit=limit), format, None)


def quality(
    biq: Annotated[Path, folder("--biq", "BIQ2021, with Images/ and its two tables.")],
    seed: Seed = 0,
    limit: Some = None,
    format: ReportFormat = "table",
    model: Model = DEFAULT_MODEL,
    device: Device = None,
    verbose: Verbose = 0,
    quiet: Quiet = False,
) -> None:
    """Agreement with people on technical quality.

    Of the answer to the question about quality and of the score, on BIQ2021's test and within its three subsets.
    """
    Talk(max(verbose, int(not quiet)), quiet).begin()
    from calm.eval.quality import eval_quality

    report(eval_quality(load_model(model, device), biq, limit=limit, seed=seed), format, None)


def _decoded(paths: list[str]) -> list[np.ndarray]:
    """Pixels of all photos; :class:`DataError` for one that cannot be read."""
    from calm.eval.gather import decode

    failed: list[dict[str, Any]] = []
    found = [photo.pixels for photo in decode(paths, failed)]
    if failed:
        first = failed[0]
        raise DataError(
            f"expected readable photos, found {len(failed)} that are not, such as {first['path']}: {first['error']}"
        )
    return found
