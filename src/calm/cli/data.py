"""``calm data …``: which data sets can be read, what is there of one, and what it looks like."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from calm.cli.commands import Commands
from calm.cli.options import Quiet, Verbose, scale_option
from calm.cli.running import SOME_FAILED, Talk, leave, progress_bar

if TYPE_CHECKING:
    from calm.data.audit import Audit

app = Commands(
    "Data sets: list them, check a copy, look at it.",
    epilog="Exit status of check: 0 all is well, 1 something is wrong with the files, 2 wrong usage or not there.",
)

Name = Annotated[str, typer.Argument(metavar="NAME", help="The data set; see: calm data list.")]
Root = Annotated[Path, typer.Option(metavar="DIR", help="Where its files are.")]
ReportFormat = Annotated[Literal["table", "json"], typer.Option(help="How it is written to standard output.")]
Scale = Annotated[
    tuple[float, float] | None, scale_option("Lowest and highest score there could be, for folder and webdataset.")
]
NAMED = 5
"""Paths of each kind of trouble that a table names; JSON has them all."""


@app.command("list")
def list_(format: ReportFormat = "table") -> None:
    """List the data sets that can be read.

    What each is, how many photos its publisher counts, and under which terms.
    """
    from calm.data.audit import describe
    from calm.data.record import datasets

    sets = [describe(each) for each in datasets().values()]
    if format == "json":
        typer.echo(json.dumps(sets, ensure_ascii=False, indent=1))
        return
    for each in sets:
        typer.echo(each["name"])
        counts = ", ".join(f"{count:,} {split}" for split, count in each["published"].items())
        for label, text in (
            ("what", each["what"]),
            ("photos", counts),
            ("terms", each["licence"]),
            ("from", each["source"]),
        ):
            if text:
                typer.echo(f"  {label:<8}{text}")


@app.command()
def check(
    name: Name,
    root: Root,
    scale: Scale = None,
    near: Annotated[
        bool, typer.Option("--near", help="Also look for photos in different splits that look alike.")
    ] = False,
    headers: Annotated[
        bool, typer.Option("--headers", help="Read the headers of photos alone: fast, but misses torn ones.")
    ] = False,
    format: ReportFormat = "table",
    verbose: Verbose = 0,
    quiet: Quiet = False,
) -> None:
    """Check a copy of a data set.

    What is there and what is missing, counts against the published ones, scores, photos that cannot be read, and
    duplicates across its splits. Every photo is decoded; nothing is changed.
    """
    talk = Talk(verbose, quiet)
    talk.begin()
    from calm.data.audit import audit, open_set

    each = open_set(name, scale)
    with progress_bar(not talk.quiet) as advance:
        found = audit(each, root, near=near, headers=headers, advance=advance)
    if format == "json":
        typer.echo(json.dumps(found.as_dict(), ensure_ascii=False, indent=1))
    else:
        for label, text in _lines(found):
            typer.echo(f"{label:<19}{text}".rstrip())
    leave(SOME_FAILED if found.problems else 0)


@app.command()
def show(
    name: Name,
    root: Root,
    output: Annotated[Path, typer.Option(metavar="FILE", help="The sheet, .jpg or .png.")],
    count: Annotated[int, typer.Option(min=1, max=600, help="How many photos.")] = 24,
    seed: Annotated[int, typer.Option(help="Which are drawn; the same seed, the same photos.")] = 0,
    split: Annotated[Literal["train", "validation", "test"] | None, typer.Option(help="Only of this part.")] = None,
    scale: Scale = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a sheet that exists.")] = False,
    verbose: Verbose = 0,
    quiet: Quiet = False,
) -> None:
    """Draw a contact sheet of a data set.

    Some photos by lot, each with its score, its group and the first words about it.
    """
    talk = Talk(verbose, quiet)
    talk.begin()
    from calm.inference.output import check_target

    check_target(output, (".jpg", ".jpeg", ".png"), overwrite=overwrite)
    from calm.data.audit import open_set
    from calm.data.sheet import contact_sheet, draw, save_sheet

    each = open_set(name, scale)
    save_sheet(contact_sheet(each, draw(each.records(root, split), count, seed)), output)
    typer.echo(output)


def _lines(found: Audit) -> Iterator[tuple[str, str]]:
    """Label and text of each line of the table."""
    from calm.data.audit import near_rule

    about = found.about
    yield about["name"], about["what"]
    yield "root", found.root
    yield "from", about["source"]
    yield "terms", about["licence"]
    for split in dict.fromkeys([*found.counts, *about["published"]]):
        published = about["published"].get(split)
        beside = "" if published is None else f" of {published:,} published"
        yield f"photos, {split}", f"{found.counts.get(split, 0):,}{beside}"
    if about["remark"]:
        yield "remark", about["remark"]
    if found.scores:
        each = found.scores
        yield (
            "scores",
            f"{each['photos']:,.0f} photos: {each['lowest']:.2f}–{each['highest']:.2f}, mean {each['mean']:.2f}",
        )
    if found.score_map:
        yield "map", found.score_map
    for kind, number in found.texts.items():
        if number:
            yield kind, f"{number:,} photos"
    yield from _listed("missing", found.missing, found.missing_examples)
    yield from _listed("unreadable", len(found.unreadable), [each["error"] for each in found.unreadable])
    if found.identical is not None:
        yield "identical", f"{found.identical:,} groups of photos"
        yield from _listed("across", len(found.leaks), [" = ".join(group) for group in found.leaks])
    if found.near is not None:
        yield from _listed("alike", len(found.near), [" ~ ".join(pair) for pair in found.near])
        yield "", f"(pairs in different splits; {near_rule()})"
    for problem in found.problems:
        yield "problem", problem
    if not found.problems:
        yield "all is well", ""


def _listed(label: str, number: int, examples: list[str]) -> Iterator[tuple[str, str]]:
    """How many there are, and the first of them."""
    yield label, f"{number:,}"
    for example in examples[:NAMED]:
        yield "", example
    if number > NAMED:
        yield "", "…"
