"""A contact sheet: some photos of a data set with what it says about each, to look at it before it is learnt from."""

import random
import textwrap
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from calm.data.images import load_photo
from calm.data.record import DataSet, Record
from calm.errors import DataError, PhotoError

COLUMNS = 6
BOX = (232, 174)
"""Width and height, pixels, that a photo is fitted into."""
MARGIN = 12
LINE = 16
"""Height of a line of text, pixels."""
WORDS = 3
"""Lines of a comment at most."""
LETTERS = 38
"""Letters that fit into a line."""
PAPER, INK, SOFT, EMPTY = (250, 250, 248), (28, 28, 28), (110, 110, 110), (214, 214, 210)


def draw(records: Sequence[Record], count: int, seed: int) -> list[Record]:
    """``count`` of the records by lot, in their own order; all of them where there are no more."""
    places = random.Random(seed).sample(range(len(records)), min(count, len(records)))
    return [records[i] for i in sorted(places)]


def contact_sheet(each: DataSet, records: Sequence[Record]) -> Image.Image:
    """The photos in rows of six, each with its score, split, group and the first words about it.

    A photo that cannot be read is a grey field that says so. Raises :class:`DataError` without any record.
    """
    if not records:
        raise DataError(f"{each.name}: expected records to show, found none; choose another split")
    columns = min(COLUMNS, len(records))
    labels = [_labels(record) for record in records]
    wide, high = BOX[0] + MARGIN, BOX[1] + max(map(len, labels)) * LINE + MARGIN
    rows = -(-len(records) // columns)
    sheet = Image.new("RGB", (columns * wide + MARGIN, rows * high + MARGIN), PAPER)
    pen = ImageDraw.Draw(sheet)
    for i, record in enumerate(records):
        left, top = MARGIN + i % columns * wide, MARGIN + i // columns * high
        _paste(sheet, pen, each, record, left, top)
        for row, (text, colour) in enumerate(labels[i]):
            pen.text((left, top + BOX[1] + 3 + row * LINE), text, colour, ImageFont.load_default(12))
    return sheet


def save_sheet(sheet: Image.Image, path: Path) -> None:
    """Write the sheet as its ending says (JPEG or PNG); the file is complete or absent."""
    scratch = path.with_name(f".{path.name}.part")
    try:
        sheet.save(scratch, format="PNG" if path.suffix.lower() == ".png" else "JPEG", quality=90)
        scratch.replace(path)
    finally:
        scratch.unlink(missing_ok=True)


def first_words(record: Record) -> str:
    """What is said about a photo: its first comment, else its first caption."""
    return next((" ".join(text.split()) for text in (*record.comments, *record.captions) if text.strip()), "")


def _labels(record: Record) -> list[tuple[str, tuple[int, int, int]]]:
    score = "" if record.score is None else f"{record.score:.2f}"
    head = " · ".join(part for part in (score, record.split or "", record.group) if part)
    words = textwrap.wrap(first_words(record), LETTERS, max_lines=WORDS, placeholder=" ...")
    return [(head[:LETTERS], INK), (Path(record.path).name[-LETTERS:], SOFT), *((line, INK) for line in words)]


def _paste(sheet: Image.Image, pen: ImageDraw.ImageDraw, each: DataSet, record: Record, left: int, top: int) -> None:
    try:
        pixels = load_photo(record.path, reference=2 * BOX[0], data=each.photo_bytes(record)).pixels
        photo = Image.fromarray(pixels)
    except (PhotoError, DataError):
        pen.rectangle((left, top, left + BOX[0] - 1, top + BOX[1] - 1), EMPTY)
        pen.text((left + 8, top + 8), "cannot be read", SOFT, ImageFont.load_default(12))
        return
    scale = min(BOX[0] / photo.width, BOX[1] / photo.height)
    size = max(1, round(photo.width * scale)), max(1, round(photo.height * scale))
    place = left + (BOX[0] - size[0]) // 2, top + BOX[1] - size[1]
    sheet.paste(photo.resize(size, Image.Resampling.LANCZOS), place)
