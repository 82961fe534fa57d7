"""Routes of a shoot: what to keep of it, a closer look at some of its photos, and files that it is exported as."""

from __future__ import annotations

import asyncio
import io
import zipfile
from typing import Any
from urllib.parse import quote

from fastapi import APIRouter
from fastapi.responses import HTMLResponse, Response

from calm.errors import PhotoError, UsageError
from calm.library.filing import marks
from calm.library.report import page
from calm.library.report.cards import Card, Picture, card_of_facts
from calm.library.sidecars import LABELS, SUFFIX, Marks, Rating, marked, stars
from calm.serve import schema, shoot_schema
from calm.serve.errors import ApiError
from calm.serve.images import Sent, bytes_of
from calm.serve.routes import REFUSED, Asking, Serving

LEFT_OUT = "not written.txt"
"""File beside the sidecars that names those which could not be written, and why."""

api = APIRouter(prefix="/v1", responses=REFUSED)


@api.post("/cull", response_model=shoot_schema.Plan)
async def cull(body: shoot_schema.CullRequest, service: Serving, caller: Asking) -> dict[str, Any]:
    """Says what to keep of photos that were described, as ``calm cull`` does: the best of series, sets whole."""
    return await service.shoots.cull(caller.id, body)


@api.post("/study", response_model=shoot_schema.Studies)
async def study(body: schema.Ask, service: Serving, caller: Asking) -> dict[str, Any]:
    """Takes a closer look at photos that were described, for /v1/cull: at their sharpness and the subject's light."""
    service.check_name(body.model)
    found = []
    sent = [Sent(each.image, each.uuid, f"images.{i}") for i, each in enumerate(body.images)]
    service.images.sources([each for each in sent if each.url is not None], caller.id)
    for i, each in enumerate(sent):
        row = {"index": i, "uuid": each.uuid, "status": "ok", "error": None}
        try:
            if each.uuid is None or each.url is None or not service.shoots.knows(caller.id, each.uuid):
                raise ApiError(400, "expected an image and the uuid that it was described by", "unknown_uuid")
            await service.shoots.study(caller.id, each.uuid, bytes_of(each), service.limits.pixels)
        except PhotoError as error:
            row |= {"status": "failed", "error": str(error)}
        found.append(row)
    return {"data": found}


# ---------------------------------------------------------------------------------------------------- files


@api.post("/sidecars", response_class=Response, responses={200: {"content": {"application/zip": {}}}})
async def sidecars(body: shoot_schema.SidecarsRequest) -> Response:
    """Makes XMP sidecars with stars and labels, as ``--write-xmp`` writes them: a ZIP archive of them.

    What a person set in a photo or its sidecar stays.
    """
    content = await asyncio.to_thread(_archive, body)
    return Response(content, media_type="application/zip")


@api.post("/report", response_class=HTMLResponse)
async def report(body: shoot_schema.ReportRequest) -> HTMLResponse:
    """Makes a report as ``--report`` does, without its pictures: for ``picture:INDEX`` a data URL is to be put in."""
    return HTMLResponse(await asyncio.to_thread(_report, body))


def _archive(body: shoot_schema.SidecarsRequest) -> bytes:
    files: dict[str, bytes] = {}
    failed = []
    for photo in body.photos:
        name = photo.sidecar or photo.name + SUFFIX
        if name in files:
            raise UsageError("expected photos with sidecars of their own, found two of one name; name them apart")
        given = Rating(photo.rating, person=True) if photo.rating else Rating()
        try:
            files[name] = marked(photo.before.encode(), _marks(photo), given, name)
        except PhotoError as error:
            failed.append(str(error))
    if failed:
        files[LEFT_OUT] = "\n".join([*failed, ""]).encode()
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return stream.getvalue()


def _marks(photo: shoot_schema.Marked) -> Marks:
    if photo.decision is not None:
        return marks(photo.score, photo.decision, photo.model)
    rating = stars(photo.score)
    return Marks(photo.score, photo.model, rating, LABELS[rating])


def _report(body: shoot_schema.ReportRequest) -> str:
    return "".join(page(body.title, [_card(i, photo) for i, photo in enumerate(body.photos)]))


def _card(place: int, photo: shoot_schema.Reported) -> Card:
    row = photo.model_dump() | {"kind": None, "rated_by": "person"}
    picture = Picture(f"picture:{place}", *photo.picture) if photo.picture else None
    return card_of_facts(row, row, photo.name, quote(photo.name), picture)
