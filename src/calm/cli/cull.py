"""``calm cull``: what to keep of a shoot, and why; files are linked, copied or moved only when told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from calm.cli.options import Profile, RowOptions, XmpOptions
from calm.cli.running import SOME_FAILED, Found, leave, open_profile, progress_bar
from calm.data.progress import progress
from calm.errors import PhotoError, UsageError
from calm.inference.output import TASK_COLUMNS

if TYPE_CHECKING:
    from calm.library.culling import Verdict
    from calm.library.journal import Action, Step
    from calm.library.look import Frame, Look
    from calm.library.shoot import Shoot
    from calm.personal.tasks import PersonalTask
    from calm.types import Row

DECISIONS = ("keep", "maybe", "reject")


@dataclass(frozen=True)
class CullOptions(RowOptions):
    """What becomes of the plan."""

    link: Annotated[
        Path | None,
        typer.Option("--link", metavar="DIR", help="Link files into DIR/keep, DIR/maybe and DIR/reject."),
    ] = None
    copy: Annotated[Path | None, typer.Option("--copy", metavar="DIR", help="Copy them there instead.")] = None
    move: Annotated[Path | None, typer.Option("--move", metavar="DIR", help="Move them there instead.")] = None
    only: Annotated[
        Literal["keep", "maybe", "reject"] | None,
        typer.Option("--only", help="Link, copy or move only the photos with this decision."),
    ] = None

    @property
    def action(self) -> tuple[Action, Path] | None:
        """What is to be done, and into which folder. Raises :class:`UsageError` for more than one."""
        actions: tuple[Action, ...] = ("link", "copy", "move")
        given = [(name, into) for name in actions if (into := getattr(self, name)) is not None]
        if len(given) > 1:
            raise UsageError(f"expected one of --link, --copy and --move, found {' and '.join(n for n, _ in given)}")
        if self.only and not given:
            raise UsageError("expected --link, --copy or --move beside --only, found none; add one or leave it away")
        return given[0] if given else None


def cull(
    paths: Annotated[
        list[str] | None,
        typer.Argument(metavar="PATH", help="Photos of one shoot: folders (with all below them), files, globs."),
    ] = None,
    keep: Annotated[
        str | None,
        typer.Option("--keep", metavar="N|P%", help="Photos to keep, at most: 200 or 20%.  [default: the preset's]"),
    ] = None,
    profile: Profile = None,
    diverse: Annotated[
        bool, typer.Option("--diverse", help="Keep few photos of one scene, however good they are.")
    ] = False,
    preset: Annotated[
        str, typer.Option("--preset", metavar="NAME|FILE", help="everyday, strict, action, or a YAML file like theirs.")
    ] = "everyday",
    undo: Annotated[
        bool,
        typer.Option(
            "--undo", help="Take back the last --link, --copy, --move or --write-xmp (of PATH), interrupted ones too."
        ),
    ] = False,
    *,
    xmp: XmpOptions,
    options: CullOptions,
) -> None:
    """Plan what to keep of a shoot: keep, maybe or reject, each with its reason.

    Bursts and near-duplicates are compared among themselves. Brackets, focus stacks and panoramas stay whole and are
    never rejected. Faults of technique (missed focus, shake, lost exposure) count before taste.

    Nothing is touched unless told, no photo is ever deleted, and --undo takes everything back.
    """
    if undo:
        leave(_undo(paths or [], options))
    from calm.cli import beside
    from calm.library import culling, filing, journal
    from calm.library.exif import COLUMNS as EXIF_COLUMNS
    from calm.library.look import Look

    options.begin()
    options.check()
    if not paths:
        raise UsageError("expected photos, found no PATH; name a folder")
    chosen, action = culling.load_preset(preset), options.action
    culling.count_of(keep or chosen.keep, 0)
    xmp.check()
    if action is not None:
        filing.check_target(action[1], paths)
        if xmp.write_xmp:
            raise UsageError(f"expected --write-xmp or --{action[0]}, found both; run one after the other")
    _tell_unfinished(paths, options)
    found = options.find(paths)
    taste = open_profile(profile, options.model) if profile else None
    model = options.open(stored=not options.no_store)
    with Look(model, options.batch_size, develop=options.develop) as look:
        rows, frames = look_at(look, found, taste, options)
    looked = closer_look(frames, chosen.soft, options)
    verdicts = looked.cull(culling.count_of(keep or chosen.keep, len(rows)), chosen, diverse=diverse)
    names = ["files"] if found.files else []
    names += EXIF_COLUMNS if options.exif else ()
    names += beside.XMP_COLUMNS if xmp.write_xmp else ()
    written = _marks(rows, found, frames, verdicts, xmp) if xmp.write_xmp else []
    with options.sink("cull", names, paths, model) as sink:
        for row in _rows(rows, frames, verdicts):
            sink.write(row.as_dict())
    failed = sum(row.status == "failed" for row in rows.values())
    options.talk.say(_summary(verdicts, failed))
    if action is not None:
        written = _steps(action, paths, found, frames, verdicts, options.only)
    if written:
        journal.begin(written).carry_out()
        done = {"link": "linked", "copy": "copied", "move": "moved", "mark": "written"}[written[0].action]
        options.talk.say(f"{len(written)} files {done}; take it back by: calm cull --undo")
    leave(SOME_FAILED if failed else 0)


def look_at(
    look: Look, found: Found, taste: PersonalTask | None, options: RowOptions
) -> tuple[dict[str, Row], list[Frame]]:
    """Asks about all photos.

    Returns their rows by path, and the frames of those that did not fail in the order that they were taken in.
    """
    from calm.cli import beside
    from calm.library.look import in_order

    rows: dict[str, Row] = {}
    frames: list[Frame] = []
    with closing(look(found.paths, taste)) as answers, progress_bar(not options.quiet) as advance:
        for answer, frame in answers:
            row = rows[answer.path] = look.engine.row(answer)
            files = list(found.files.get(row.path, (row.path,)))
            row.extra |= {"files": files} if found.files else {}
            row.extra |= beside.exif(row.path, files) if options.exif and frame else {}
            frames += [frame] if frame else []
            advance(len(rows), found.total)
    return rows, in_order(frames)


def closer_look(frames: Sequence[Frame], soft: float, options: RowOptions) -> Shoot:
    """Series, and what a closer look at some of the frames shows; see :func:`calm.library.shoot.compare`."""
    from calm.library import shoot, study

    shown = (lambda items: items) if options.quiet else partial(progress, label="a closer look")
    return shoot.compare(frames, study.find_subjects, soft, develop=options.develop, progress=shown)


def _rows(rows: dict[str, Row], frames: Sequence[Frame], verdicts: Sequence[Verdict]) -> Iterator[Row]:
    """Rows with their verdicts: first what to keep, the best first in each; photos that could not be read last."""
    decided = list(zip(frames, verdicts, strict=True))
    for frame, verdict in sorted(decided, key=lambda each: (DECISIONS.index(each[1].decision), -each[0].score)):
        row = rows[frame.path]
        row.extra |= {
            "series": verdict.series,
            "series_kind": verdict.kind,
            "decision": verdict.decision,
            "reason": verdict.reason,
            "rival": None if verdict.rival is None else frames[verdict.rival].path,
        }
        yield row
    read = {frame.path for frame in frames}
    for path, row in rows.items():
        if path not in read:
            row.extra |= dict.fromkeys(TASK_COLUMNS["cull"])
            yield row


def _summary(verdicts: Sequence[Verdict], failed: int) -> str:
    count = Counter(verdict.decision for verdict in verdicts)
    technical = sum(verdict.reason.startswith("technical") for verdict in verdicts)
    series = len({verdict.series for verdict in verdicts} - {None})
    message = [f"{count['keep']} to keep", f"{count['maybe']} maybe", f"{count['reject']} to reject"]
    message[-1] += f" ({technical} for faults of technique)" if technical else ""
    message += [f"{failed} failed"] if failed else []
    return f"{', '.join(message)}; {series} series"


def _steps(
    action: tuple[Action, Path],
    paths: Sequence[str],
    found: Found,
    frames: Sequence[Frame],
    verdicts: Sequence[Verdict],
    only: str | None,
) -> list[Step]:
    """What is to be done with the files of photos."""
    from calm.library import filing

    decided = [
        (verdict.decision, found.files.get(frame.path, (frame.path,)))
        for frame, verdict in zip(frames, verdicts, strict=True)
        if only in (None, verdict.decision)
    ]
    return filing.steps(*action, paths, decided)


def _marks(
    rows: dict[str, Row], found: Found, frames: Sequence[Frame], verdicts: Sequence[Verdict], xmp: XmpOptions
) -> list[Step]:
    """What is to be written into sidecars, of which rows tell; a photo whose sidecar is no XMP fails."""
    from calm.cli import beside
    from calm.library import filing
    from calm.library.journal import Step

    steps: dict[str, Step] = {}
    for frame, verdict in zip(frames, verdicts, strict=True):
        row = rows[frame.path]
        files = found.files.get(frame.path, (frame.path,))
        try:
            columns, changes = beside.write_marks(
                filing.marks(frame.score, verdict.decision, row.model), files, xmp, later=True
            )
        except PhotoError as error:
            row.status, row.error = "failed", str(error)
            continue
        row.extra |= columns
        steps |= {change.path: Step.mark(change) for change in changes if change.before != change.after}
    return list(steps.values())


def _undo(paths: Sequence[str], options: CullOptions) -> int:
    """Takes back the last action that has not been, of a folder if one is named. Returns the exit status."""
    from calm.library.journal import journals

    options.begin()
    if len(paths) > 1:
        raise UsageError(
            f"expected one folder beside --undo, found {len(paths)}; name one, or none for the last action"
        )
    folder = Path(paths[0]) if paths else None
    last = next(journals(folder), None)
    if last is None:
        raise UsageError(f"expected something to take back{f' of {folder}' if folder else ''}, found nothing")
    left = last.take_back()
    for line in left:
        options.talk.say(line)
    options.talk.say(f"{len(last.steps) - len(left)} of {len(last.steps)} files are as they were before")
    return SOME_FAILED if left else 0


def _tell_unfinished(paths: Sequence[str], options: CullOptions) -> None:
    from calm.library.journal import BEGUN, journals

    if any(each.state == BEGUN for path in paths for each in journals(Path(path))):
        options.talk.say("an earlier change of these files was interrupted; take it back by: calm cull --undo")
