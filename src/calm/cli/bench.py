"""``calm bench``: how near a score comes to what this machine allows."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from calm.cli import running
from calm.cli.evaluate import Photos, report
from calm.cli.evaluate_options import Limit, ReportFormat, Seed
from calm.cli.options import DEFAULT_BATCH_SIZE, BatchSize, ModelOptions, Profile
from calm.cli.running import open_profile


def bench(
    *,
    photos: Photos,
    seed: Seed = 0,
    limit: Limit = 500,
    batch_size: BatchSize = DEFAULT_BATCH_SIZE,
    profile: Profile = None,
    float32: Annotated[bool, typer.Option("--float32", help="As on a processor without bfloat16.")] = False,
    peer: Annotated[
        list[str] | None,
        typer.Option(
            metavar="MODULE:FUNCTION", help="Another scorer of one path, to be timed as well; may be repeated."
        ),
    ] = None,
    plot: Annotated[Path | None, typer.Option(metavar="FILE", help="Also a roofline picture.")] = None,
    format: ReportFormat = "table",
    options: ModelOptions,
) -> None:
    """Photos a second of each part of a score, and how near that is to the limit of this machine.

    In one run: decoding, encoder, alignment, language model, the whole, and a plain generate() loop on the same
    weights; operations a photo, beside the rate at which this machine multiplies matrices. Ratios are worth more than
    seconds.
    """
    options.begin()
    import torch

    from calm.eval.bench import bench as measure
    from calm.eval.bench import open_peer

    pipeline = running.load_model(options.model, options.device, torch.float32 if float32 else None)
    personal = open_profile(profile, options.model) if profile else None
    peers = dict(open_peer(each) for each in peer or [])
    figures = measure(pipeline, photos, seed=seed, limit=limit, batch_size=batch_size, personal=personal, peers=peers)
    if plot:
        from calm.eval.plots import plot_roofline

        plot_roofline(figures, plot)
    report(figures, format)
