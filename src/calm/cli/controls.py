"""``calm eval controls``, ``names``, ``captions``, ``framing``, ``faults``, ``order``, ``quality`` and ``attention``.

What the network sees, and what it makes of it.
"""

from pathlib import Path
from typing import Annotated

import typer

from calm.cli.evaluate import report
from calm.cli.evaluate_options import DataSetOptions, FigureOptions, GoodPhotos, file, folder
from calm.errors import UsageError


def controls(
    *,
    photos: Annotated[Path, folder("Photos that the model was not trained on, ten at least.")],
    options: FigureOptions,
) -> None:
    """Controls that could refute the claim that the language model sees.

    Scores and suggestions with another photo's visual tokens, blank frames, comments told apart among ten photos, and
    comments with one claim turned round.
    """
    options.begin(reports=True)
    from calm.eval.controls import eval_controls

    report(eval_controls(options.load(), photos, limit=options.limit, seed=options.seed), options.format)


def names(
    *,
    labels: Annotated[
        Path, file("CSV with the columns path and nouns: nouns that are true of the photo, divided by |.")
    ],
    photos: Annotated[Path, folder("What the paths of the labels are relative to.")],
    options: FigureOptions,
) -> None:
    """Is the subject named, and is anything named that is not there?

    The words that the language model writes are compared with nouns that people accept, and with those of other photos.
    """
    options.begin(reports=True)
    from calm.eval.names import eval_names

    report(eval_names(options.load(), labels, photos, limit=options.limit, seed=options.seed), options.format)


def framing(*, root: Annotated[Path, folder("FLMS's folder Benchmark_FLMS.")], options: FigureOptions) -> None:
    """Do suggested crops come closer to people's than the whole frame does?

    Intersection over union with the best of people's crops, on FLMS.
    """
    options.begin(reports=True)
    from calm.eval.framing import eval_framing

    report(eval_framing(options.load(), root, limit=options.limit, seed=options.seed), options.format)


def captions(
    *,
    photos: Annotated[Path | None, folder("Photos that the model was not trained on.")] = None,
    captions: Annotated[
        Path | None, file("CSV with the columns image (a file name) and caption, one caption a line.")
    ] = None,
    source: DataSetOptions,
    options: FigureOptions,
) -> None:
    """Are the network's captions like people's?

    CIDEr and other figures against all captions of each photo, beside the same with another photo's caption. Captions
    are a table's (--photos and --captions), or a data set's (--dataset and --root), to which --captions adds more.
    """
    name = source.dataset
    if source.half_given or (name is None) == (photos is None) or not (name or captions):
        raise UsageError("expected --photos with --captions, or --dataset with --root; give one of these pairs")
    options.begin(reports=True)
    from calm.data.record import dataset
    from calm.eval.captions import captions_of, eval_captions
    from calm.eval.gather import find

    if name is not None:
        own = {record.path: record.captions for record in dataset(name).records(str(source.root), source.split)}
    else:
        own = dict.fromkeys(find(str(photos)), ())
    report(
        eval_captions(options.load(), captions_of(own, captions), limit=options.limit, seed=options.seed),
        options.format,
    )


def faults(
    *,
    mefb: Annotated[Path, folder("MEFB, with input/<scene>/.")],
    polyu: Annotated[Path, folder("PolyU, with CroppedImages/.")],
    held_out: Annotated[
        bool, typer.Option("--held-out", help="The scenes that are kept out of development, in place of the others.")
    ] = False,
    options: FigureOptions,
) -> None:
    """Are real faults named?

    Over- and under-exposure on MEFB, sensor noise on PolyU and on the clean twins of its photos.
    """
    options.begin(reports=True)
    from calm.eval.faults import eval_faults

    report(
        eval_faults(options.load(), mefb, polyu, hidden=held_out, limit=options.limit, seed=options.seed),
        options.format,
    )


def order(*, photos: GoodPhotos, options: FigureOptions) -> None:
    """Does a clearly damaged copy score below its original?

    For each kind of edit in each direction, at a severity of .75.
    """
    predictor = options.open()
    from calm.eval.order import eval_order

    report(eval_order(predictor, str(photos), seed=options.seed, limit=options.limit), options.format)


def quality(
    *, biq: Annotated[Path, folder("BIQ2021, with Images/ and its two tables.")], options: FigureOptions
) -> None:
    """Agreement with people on technical quality.

    Of the answer to the question about quality and of the score, on BIQ2021's test and within its three subsets.
    """
    options.begin(reports=True)
    from calm.eval.quality import eval_quality

    report(eval_quality(options.load(), biq, limit=options.limit, seed=options.seed), options.format)


def attention(
    *, photos: Annotated[Path, folder("Photos that the model was not trained on.")], options: FigureOptions
) -> None:
    """Does what the Q-Formers look at matter?

    Photos are covered where each looked and, as much, elsewhere: how far do suggestions and score change?
    """
    options.begin(reports=True)
    from calm.eval.attention import eval_attention

    report(eval_attention(options.load(), photos, limit=options.limit, seed=options.seed), options.format)
