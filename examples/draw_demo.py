"""Draws what calm says of a photo into one picture: python examples/draw_demo.py PHOTO OUT.jpg

The photo with its score and distribution, the comment, the suggestions, and the best one tried out. Everything in it is
what the packaged model answers; nothing is written by hand.
"""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from calm import Calm
from calm.data.images import load_photo
from calm.edits import render

WIDTH, PHOTO, MARGIN = 1010, 380, 24
INK, GREY, BAR = "#1c1c1c", "#6b6b6b", "#3a6ea5"


def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size=size)


def fitted(pixels: np.ndarray, width: int) -> Image.Image:
    image = Image.fromarray(pixels)
    return image.resize((width, round(image.height * width / image.width)), Image.Resampling.LANCZOS)


def write(draw: ImageDraw.ImageDraw, x: int, y: int, text: str, size: int, fill: str = INK, columns: int = 58) -> int:
    """Wrapped text; returns where the next line begins."""
    for line in textwrap.wrap(text, columns):
        draw.text((x, y), line, fill=fill, font=font(size))
        y += round(size * 1.4)
    return y


def bars(draw: ImageDraw.ImageDraw, x: int, y: int, distribution: tuple[float, ...]) -> int:
    """The distribution over 1 … 10; returns where the next thing begins."""
    for i, share in enumerate(distribution):
        left = x + 34 * i
        draw.rectangle((left, y + 70 - round(120 * share), left + 26, y + 70), fill=BAR)
        draw.text((left + 13, y + 74), str(i + 1), fill=GREY, font=font(13), anchor="ma")
    return y + 104


def main(photo: str, out: str) -> None:
    calm = Calm.from_pretrained("calm-small")
    pixels = load_photo(photo).pixels
    score, comment, suggestions = calm.score(photo), calm.comment(photo), calm.suggest(photo)
    picture = Image.new("RGB", (WIDTH, 1400), "white")
    draw = ImageDraw.Draw(picture)
    left = fitted(pixels, PHOTO)
    picture.paste(left, (MARGIN, MARGIN))
    x, y = PHOTO + 2 * MARGIN, MARGIN
    draw.text((x, y), f"{score.value:.1f}", fill=INK, font=font(46))
    draw.text((x + 90, y + 22), f"on 1-10, spread {score.std:.1f}", fill=GREY, font=font(17))
    y = bars(draw, x, y + 50, score.distribution) + 16
    y = write(draw, x, y, comment.text, 19) + 14
    if not suggestions:
        y = write(draw, x, y, "Nothing to mend.", 17, GREY)
    for each in suggestions:
        amount = "" if each.amount is None else f", {each.amount:.2g} {each.unit}"
        y = write(draw, x, y, f"{each.text}", 19)
        y = (
            write(draw, x, y, f"{each.attribute} {each.direction}{amount}, confidence {each.confidence:.2f}", 15, GREY)
            + 6
        )
    y = max(y, MARGIN + left.height) + MARGIN
    for each in suggestions[:1]:
        after = render(pixels, each)
        if after is not None:
            x = MARGIN
            for words, shown in (("before", pixels), ("after", after)):
                half = fitted(shown, PHOTO)
                picture.paste(half, (x, y))
                caption = f"{words}: {calm.score(shown).value:.2f}"
                draw.text((x, y + half.height + 6), caption, fill=INK, font=font(17))
                x, low = x + PHOTO + MARGIN, y + half.height
            y = low + 30 + MARGIN
    picture.crop((0, 0, WIDTH, y)).save(Path(out), quality=88)


if __name__ == "__main__":
    main(*sys.argv[1:])
