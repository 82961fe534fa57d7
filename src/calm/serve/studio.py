"""The studio: a page of this server, and what it asks besides the rows of the command line.

The page is in the folder ``page``: plain HTML, CSS and JavaScript modules, as the browser gets them.
"""

from __future__ import annotations

import asyncio
import base64
import io
from pathlib import Path
from typing import Any

import numpy as np
from fastapi import APIRouter, FastAPI
from fastapi.responses import FileResponse
from fastapi.staticfiles import StaticFiles
from PIL import Image

from calm.data.images import Photo, load_photo
from calm.edits import render_all
from calm.errors import UsageError
from calm.inference.attention import CHECKED, AttentionTask
from calm.inference.tasks import DescribeTask, Result, ScoreTask
from calm.library.exif import exif_of
from calm.library.look import Frame
from calm.library.sidecars import rating_in
from calm.library.sketch import Sketch, sketch
from calm.serve import culling, profiles, schema, studio_schema
from calm.serve.errors import ApiError
from calm.serve.images import Sent, bytes_of
from calm.serve.routes import REFUSED, Asking, Serving, rows
from calm.types import DIRECTIONS, LEVELS, UNITS, Suggestion

PAGE = Path(__file__).parent / "page"
JPEG_QUALITY = 92

api = APIRouter(prefix="/v1", responses=REFUSED)


def install(app: FastAPI) -> None:
    """Add the page and its routes to an application."""
    app.include_router(api)
    app.include_router(culling.api)
    app.add_api_route("/", lambda: FileResponse(PAGE / "index.html"), include_in_schema=False)
    app.mount("/studio", StaticFiles(directory=PAGE), "studio")


@api.post("/describe", response_model=studio_schema.Described)
async def describe(body: schema.Ask, service: Serving, caller: Asking) -> dict[str, Any]:
    """Scores images, and says what profiles would be learnt from and what their cameras noted.

    A sketch of each image that comes with a uuid is remembered for /v1/cull.
    """
    noted: dict[str, dict[str, Any]] = {}
    sketches: dict[str, Sketch] = {}

    def change(photo: Photo, sent: Sent) -> Photo:
        if sent.url is not None:
            exif, packet = exif_of(bytes_of(sent))
            rating = rating_in(packet)
            noted[sent.param] = exif.as_columns() | {"rating": rating.value if rating.person else None}
            if sent.uuid is not None:
                sketches[sent.param] = sketch(photo, exif)
        return photo

    def more(result: Result, sent: Sent) -> dict[str, Any]:
        if sent.param in sketches and sent.uuid is not None and result.features is not None:
            frame = Frame(sent.uuid, result.score.value, result.features, sketches[sent.param])
            service.shoots.keep(caller.id, sent.uuid, frame)
        return noted.get(sent.param, {}) | {"read": profiles.read(service, result)}

    return await rows(service, caller, body, DescribeTask(), more=more, change=change)


@api.post("/taste", response_model=studio_schema.Taste)
async def taste(body: studio_schema.TasteRequest, service: Serving, caller: Asking) -> dict[str, Any]:
    """Scores photos as a person would, by a few ratings, and says which to rate next. Nothing is kept."""
    return await asyncio.to_thread(profiles.taste, service.prior, body)


@api.post("/attention", response_model=studio_schema.Attention)
async def attention(body: schema.Ask, service: Serving, caller: Asking) -> dict[str, Any]:
    """Says where the Q-Formers looked."""

    def more(result: Result, sent: Sent) -> dict[str, Any]:
        maps = result.features.tolist() if result.features is not None else []
        return {"attention": dict(zip(CHECKED, maps, strict=True))}

    if not service.sees:
        raise ApiError(400, "expected a model with Q-Formers, found another; serve a trained network")
    return await rows(service, caller, body, AttentionTask(), more=more)


@api.post("/apply", response_model=studio_schema.AppliedRow)
async def apply(body: studio_schema.ApplyRequest, service: Serving, caller: Asking) -> dict[str, Any]:
    """Carries out suggestions on an image, as ``calm suggest --apply`` does, and scores it again."""
    service.check_name(body.model)
    suggestions = [_suggestion(each) for each in body.suggestions]
    changed: dict[str, Any] = {"image": None, "applied": [False] * len(suggestions)}

    def change(photo: Photo, sent: Sent) -> Photo:
        pixels, changed["applied"] = render_all(photo.pixels, suggestions)
        data = _jpeg(pixels)
        changed["image"] = "data:image/jpeg;base64," + base64.b64encode(data).decode()
        return load_photo("the changed image", data=data)

    sent = Sent(body.image, body.uuid, "image")
    [answer] = await service.answers([sent], caller.id, ScoreTask(), change)
    row = service.engine.row(answer).as_dict() | {"index": 0, "uuid": body.uuid} | changed
    del row["path"]
    return row


def _suggestion(asked: studio_schema.Remedy) -> Suggestion:
    if asked.direction not in DIRECTIONS.get(asked.attribute, ()):
        known = ", ".join(f"{name} ({', '.join(ways)})" for name, ways in DIRECTIONS.items())
        raise UsageError(f"expected a suggestion among {known}, found another")
    if asked.crop is not None and not (asked.crop[0] < asked.crop[2] and asked.crop[1] < asked.crop[3]):
        raise UsageError("expected a crop as left, top, right, bottom, found one without an area")
    what = LEVELS[asked.attribute], asked.attribute, asked.direction, asked.amount, UNITS[asked.attribute]
    return Suggestion(*what, confidence=1.0, text="", crop=asked.crop)


def _jpeg(pixels: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=JPEG_QUALITY, subsampling=0)
    return stream.getvalue()
