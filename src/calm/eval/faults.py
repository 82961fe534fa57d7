"""Are real faults named? Exposure on MEFB (Zhang, Information Fusion 2021), sensor noise on PolyU (Xu et al., 2018).

MEFB has scenes with an under-exposed (``_A``) and an over-exposed photo (``_B``), PolyU noisy photos (``_real``) with
the mean of many frames of the same scene (``_mean``), which is their clean twin. Half of the scenes is held out. One
name of MEFB differs in case.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from calm.data.batches import decoded, draw
from calm.data.record import photos_below
from calm.errors import DataError
from calm.eval.gather import Drawn, held_out, seen_in_training
from calm.inference.pipeline import Pipeline
from calm.tasks.metrics import proportion
from calm.types import CLASSES, MOST

REMEDIES = {
    "over": ("exposure", "decrease"),
    "under": ("exposure", "increase"),
    "noisy": ("noise", "decrease"),
    "clean": ("noise", "decrease"),
}
"""Kinds of photos, and the remedy that is right for them; of clean photos it is wrong."""


def eval_faults(
    pipeline: Pipeline,
    mefb: str | Path,
    polyu: str | Path,
    *,
    hidden: bool = False,
    limit: int | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    """Suggestions for photos with real faults.

    Args:
        mefb: folder of MEFB with ``input/<scene>/*_A.*`` and ``*_B.*``; polyu: of PolyU with ``CroppedImages``.
        hidden: the halves that are held out, in place of those for development.
        limit: use only so many photos of each kind, drawn by ``seed``.

    Returns:
        ``threshold``, the default one, ``seen_in_training``, and of ``over``, ``under``, ``noisy`` and ``clean``
        photos in ``faults``: ``n``, ``remedy``, ``first`` (share whose first suggestion at the threshold is the
        remedy) with its 95 % Wilson interval, ``named`` (share with the remedy among the suggestions at the threshold)
        and ``likeliest`` (share whose likeliest remedy it is, whatever its probability).

    Raises:
        DataError: for another layout, or a kind without any photo that can be read.
    """
    found = faulty_photos(mefb, polyu, hidden)
    paths = {kind: draw(each, limit, seed) for kind, each in found.items()}
    drawn = Drawn(pipeline, [path for each in paths.values() for path in each])
    least = pipeline.answers.model.config.remedy_least
    return drawn.result(
        "faults",
        {
            "held_out": hidden,
            "threshold": least,
            "seen_in_training": seen_in_training(pipeline, drawn.paths),
            "faults": {
                kind: _figures(_probabilities(pipeline, each, kind, drawn.failed), REMEDIES[kind], least)
                for kind, each in paths.items()
            },
        },
    )


def faulty_photos(mefb: str | Path, polyu: str | Path, hidden: bool = False) -> dict[str, list[str]]:
    """Photos by kind (keys of :data:`REMEDIES`), of one half of the scenes.

    Raises :class:`DataError` for a kind without any photo.
    """
    scenes = [path for path in photos_below(Path(mefb) / "input") if held_out(path.parent.name) == hidden]
    frames = photos_below(Path(polyu) / "CroppedImages")
    frames = [path for path in frames if held_out(path.stem.rpartition("_")[0]) == hidden]
    found = {
        kind: [str(path) for path in among if path.stem.lower().endswith(ending)]
        for kind, among, ending in (
            ("over", scenes, "_b"),
            ("under", scenes, "_a"),
            ("noisy", frames, "_real"),
            ("clean", frames, "_mean"),
        )
    }
    for kind, each in found.items():
        if not each:
            raise DataError(
                f"expected MEFB's input/<scene>/*_A.* and *_B.* in {mefb} and PolyU's CroppedImages/*_real.* and "
                f"*_mean.* in {polyu}, found no {kind} photo; give the folders as they were published"
            )
    return found


def _probabilities(pipeline: Pipeline, paths: Sequence[str], kind: str, failed: list[dict[str, str]]) -> np.ndarray:
    """(n, classes) of each remedy, of the photos that can be read."""
    rows = [
        pipeline.edit_probabilities(photos)[:, : len(CLASSES)] for photos in decoded(paths, f"{kind} photos", failed)
    ]
    if not rows:
        raise DataError(f"expected {kind} photos that can be read, found {len(paths)} that cannot")
    return np.concatenate(rows)


def _figures(table: np.ndarray, remedy: tuple[str, str], least: float) -> dict[str, Any]:
    """Shares of the rows of (n, classes) that name a remedy; see :func:`eval_faults`."""
    index = CLASSES.index(remedy)
    likeliest = table.argmax(axis=1) == index
    sure = table[:, index] >= least
    among = (table > table[:, [index]]).sum(axis=1) < MOST
    first = proportion(int((likeliest & sure).sum()), len(table))
    return {
        "n": len(table),
        "remedy": " ".join(remedy),
        **first.named("first"),
        "named": (sure & among).mean(),
        "likeliest": likeliest.mean(),
    }
