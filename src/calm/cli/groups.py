"""``calm rank`` within folders, days or series, with what sets each photo above the next."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from calm.cli.cull import closer_look, look_at
from calm.cli.options import RowOptions
from calm.cli.running import SOME_FAILED

if TYPE_CHECKING:
    import numpy as np

    from calm.inference.engine import Engine
    from calm.library.look import Frame
    from calm.library.ranking import By
    from calm.personal.tasks import PersonalTask
    from calm.types import Row


def rank_groups(
    paths: Sequence[str], by: By, taste: PersonalTask | None, top: int | None, *, diverse: bool, options: RowOptions
) -> int:
    """Writes photos best first within each group. Returns the exit status."""
    from calm.inference.engine import Engine
    from calm.library.exif import COLUMNS as EXIF_COLUMNS
    from calm.library.look import Look

    found = options.find(paths)
    names = ["group", "reason", *(["files"] if found.files else ()), *(EXIF_COLUMNS if options.exif else ())]
    model = options.open(stored=not options.no_store)
    sink = options.sink("rank", names, paths, model)
    with Look(model, options.batch_size, develop=options.develop) as look:
        rows, frames = look_at(look, found, taste, options)
    with Engine(model, options.batch_size, develop=options.develop) as engine, sink:
        for row in _ranked(rows, frames, by, top, engine, diverse=diverse, options=options):
            sink.write(row.as_dict())
        for row in rows.values():
            if row.status == "failed":
                sink.write(row.as_dict() | dict.fromkeys(("rank", "group", "reason")))
    return SOME_FAILED if len(frames) < len(rows) else 0


def _ranked(
    rows: dict[str, Row],
    frames: Sequence[Frame],
    by: By,
    top: int | None,
    engine: Engine,
    *,
    diverse: bool,
    options: RowOptions,
) -> Iterator[Row]:
    from calm.library.culling import load_preset, scenes_of
    from calm.library.ranking import groups_of, ranked, reason_of
    from calm.library.shoot import Shoot

    preset = load_preset("everyday")
    looked = closer_look(frames, 0.0, options) if by == "series" or diverse else Shoot(frames, [], [], {})
    standings = {each.frame: each for lined in looked.standings for each in lined if by == "series"}
    scenes = scenes_of(frames, looked.series, preset.alike) if diverse and frames else None
    for name, places in groups_of(frames, by, looked.series).items():
        order = ranked(frames, places, standings, scenes)
        shown = order[: len(order) if top is None else top]
        asked = [] if order[0] in standings else order[: len(shown) + 1]
        faults = _faults(frames, asked, engine)
        for number, place in enumerate(shown, 1):
            row = rows[frames[place].path]
            row.extra |= {"rank": number, "group": name or None, "reason": None}
            if number < len(order):
                row.extra["reason"] = reason_of(place, order[number], frames, standings, faults.get, scenes)
            yield row


def _faults(frames: Sequence[Frame], places: Sequence[int], engine: Engine) -> dict[int, np.ndarray]:
    """What the model thinks is wrong with photos, by their places."""
    from calm.library.ranking import FaultsTask

    answers = engine.answers([frames[place].path for place in places], FaultsTask())
    asked = zip(places, answers, strict=True)
    return {place: each.result.features for place, each in asked if each.result and each.result.features is not None}
