"""A comparison as text for people: Markdown, and one HTML page that holds its pictures."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2

from calm.data.images import load_photo
from calm.eval.compare import plots

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WORST = 12
"""Photos that are named as a row's worst."""
SUGGESTED = ("row", "right edit first", "95 %", "among first three", "strong edits, first", "amount error", "edits")
Block = tuple[str, Any]
"""What a part of the report is (``h1``, ``h2``, ``p`` or ``table``), and its text, or header and lines."""
HEADER = ("row", "what it is", "SRCC", "95 %", "PLCC", "KRCC", "RMSE", "EMD", "SRCC less its reference's", "p")


def table(figures: Mapping[str, Any]) -> list[list[str]]:
    """Cells of a line for each row, in the order of the comparison."""
    lines = []
    for name, row in figures["rows"].items():
        spread = ""
        if seeds := row.get("seeds"):
            spread = f" ({min(seeds['srcc']):.3f}–{max(seeds['srcc']):.3f} over {len(seeds['srcc'])} seeds)"
        gain, sure = "", ""
        if found := row.get("gain"):
            g = found["srcc"]
            gain = f"{_cell(g['difference'], '+.3f')} ({' – '.join(_cell(each, '+.3f') for each in g['interval'])})"
            gain += "" if found["over"] == figures["main"] else f" over {found['over']}"
            sure = _cell(g["p"])
        what = row["title"] + ("" if row["budget"] == "shared" else f"; learnt from {row['budget']}")
        interval = "–".join(_cell(each) for each in row["interval"]["srcc"])
        others = (_cell(row[metric]) for metric in ("plcc", "krcc", "rmse", "emd"))
        lines.append([name, what, _cell(row["srcc"]) + spread, interval, *others, gain, sure])
    return lines


def _cell(value: float | None, form: str = ".3f") -> str:
    """A figure; a dash where it is undefined."""
    return "–" if value is None else format(value, form)


def suggestions(figures: Mapping[str, Any]) -> list[list[str]]:
    """Cells of a line for each row that says what to change."""
    lines = []
    for name, row in figures["rows"].items():
        if found := row["run"].get("suggestions"):
            visible, strong = found["visible"], found["strong"]
            interval = "–".join(_cell(each) for each in visible["top1_interval"])
            others = (_cell(each) for each in (visible["top3"], strong["top1"], visible["amount_error"]))
            lines.append([name, _cell(visible["top1"]), interval, *others, str(visible["n"])])
    return lines


def facts(figures: Mapping[str, Any]) -> list[str]:
    """What all rows share, in sentences."""
    photos = figures["photos"]
    stages = []
    for stage in figures["stages"]:
        kinds = " and ".join(f"{count} {kind}" for kind, count in stage["batch"].items())
        stages.append(f"{stage['name']}: {stage['steps']} steps of {kinds} photos")
    kind = "the official test" if figures["official"] else "part of the test, which is not official"
    found = [
        f"Measured on {photos.get('test', 0)} photos of {figures['source']} ({kind}), once for each row. Learnt from "
        f"{photos.get('train', 0)} of its training photos; what is chosen (a penalty, an epoch) is chosen on "
        f"{photos.get('validation', 0)} others.",
        f"Networks share this budget, and what else the recipe learns from: {'; '.join(stages)}.",
        "Intervals: percentiles of 1,000 bootstrap draws of the photos; differences and their p: paired bootstrap on "
        "the same draws.",
    ]
    if figures["missing"]:
        found.append(f"Not run yet: {', '.join(figures['missing'])}.")
    return found


def _opening(figures: Mapping[str, Any]) -> list[Block]:
    """Title, facts and tables of what was measured."""
    found: list[Block] = [("h1", figures["title"]), *(("p", each) for each in facts(figures))]
    found.append(("table", (HEADER, table(figures))))
    if lines := suggestions(figures):
        found += [("h2", "Does it see what was done to a photo?"), ("table", (SUGGESTED, lines))]
    return found


def _closing(figures: Mapping[str, Any]) -> list[Block]:
    """What others have published."""
    lines = [[name, published] for name, published in figures["published"].items()]
    note = "From their papers, not measured here; most learnt from all of the training photos."
    return [("h2", "Published by others"), ("table", (("model", "SRCC / PLCC, as published"), lines)), ("p", note)]


def markdown(figures: Mapping[str, Any]) -> str:
    """The tables and what they share."""
    marks = {"h1": "# ", "h2": "## ", "p": ""}
    blocks = [*_opening(figures), *_closing(figures)]
    return "\n\n".join(_pipes(*each) if kind == "table" else marks[kind] + each for kind, each in blocks) + "\n"


def _pipes(header: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    rows = [header, ["---"] * len(header), *lines]
    return "\n".join("| " + " | ".join(cell.replace("|", "/") for cell in row) + " |" for row in rows)


def page(figures: Mapping[str, Any], photos: Mapping[str, str] | None = None) -> str:
    """One self-contained HTML page.

    Args:
        photos: file of each test photo by the first digits of its hash, to show the worst cases as pictures; None to
            name them only (data sets rarely allow their photos to be passed on).
    """
    shown = figures["main"] if figures["main"] in figures["rows"] else next(iter(figures["rows"]))
    pictures = [
        _html([("h2", title)]) + f'<img alt="{html.escape(title)}" src="{_picture(figure)}">'
        for title, figure in plots.draw(figures)
    ]
    worst = _html([("h2", f"Where {shown} is furthest from people")]) + _worst(figures, shown, photos)
    body = [_html(_opening(figures)), *pictures, worst, _html(_closing(figures))]
    return PAGE.format(title=html.escape(figures["title"]), body="\n".join(body))


def _html(blocks: Sequence[Block]) -> str:
    return "\n".join(
        _html_table(*each) if kind == "table" else f"<{kind}>{html.escape(each)}</{kind}>" for kind, each in blocks
    )


PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem; color: #222; }}
h1 {{ font-size: 1.6rem; }} h2 {{ font-size: 1.2rem; margin-top: 2.2rem; }}
.wide {{ overflow-x: auto; }}
table {{ border-collapse: collapse; font-size: .86rem; }}
th, td {{ padding: .3rem .6rem; border-bottom: 1px solid #ddd; text-align: left; vertical-align: top; }}
th {{ border-bottom: 2px solid #888; }}
td:first-child {{ white-space: nowrap; font-weight: 600; }}
img {{ max-width: 100%; height: auto; }}
.cases {{ display: flex; flex-wrap: wrap; gap: 1rem; }} .cases figure {{ margin: 0; width: 10rem; font-size: .8rem; }}
</style></head><body>
{body}
</body></html>
"""


def _html_table(header: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    head = "".join(f"<th>{html.escape(cell)}</th>" for cell in header)
    rows = "".join("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in line) + "</tr>" for line in lines)
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'


def _picture(figure: Figure) -> str:
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=110)
    return "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode()


def _worst(figures: Mapping[str, Any], name: str, photos: Mapping[str, str] | None) -> str:
    """The photos with the largest errors of a row."""
    predicted, given = figures["rows"][name]["run"]["runs"][0]["predicted"], figures["given"]
    order = sorted(range(len(given)), key=lambda i: -abs(predicted[i] - given[i]))[:WORST]
    cases = []
    for i in order:
        sha256 = figures["hashes"][i]
        caption = f"{sha256}: people {given[i]:.2f}, {name} {predicted[i]:.2f}"
        shown = f'<img alt="{sha256}" src="{_thumbnail(photos[sha256])}">' if photos and sha256 in photos else ""
        cases.append(f"<figure>{shown}<figcaption>{html.escape(caption)}</figcaption></figure>")
    note = "" if photos else "<p>Named by the first digits of their SHA-256; with --pictures they are shown.</p>"
    return f'{note}<div class="cases">{"".join(cases)}</div>'


def _thumbnail(path: str | Path, size: int = 160) -> str:
    pixels = load_photo(path).pixels
    scale = size / max(pixels.shape[:2])
    small = cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    _, coded = cv2.imencode(".jpg", small[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 85])
    return "data:image/jpeg;base64," + base64.b64encode(coded.tobytes()).decode()
