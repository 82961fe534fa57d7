"""What a server answers, route by route."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response

from calm.data.images import Photo
from calm.inference.tasks import CommentTask, DescribeTask, Result, ScoreTask, SuggestTask, Task
from calm.model.catalogue import card
from calm.personal.profile import Profile
from calm.serve import profiles, schema
from calm.serve.chat import question, text_of
from calm.serve.guard import Caller
from calm.serve.images import Sent
from calm.serve.service import Service
from calm.serve.speaking import Spoken, Stream

REFUSED: dict[int | str, dict[str, Any]] = {
    "4XX": {"model": schema.ErrorBody, "description": "The request is refused; nothing is left of it."},
    "5XX": {"model": schema.ErrorBody, "description": "Not now: loading, busy for too long, or a fault of the server."},
}

api = APIRouter(prefix="/v1", responses=REFUSED)
status = APIRouter()


def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


def _caller(request: Request) -> Caller:
    caller: Caller = request.state.caller
    return caller


Serving = Annotated[Service, Depends(_service)]
Asking = Annotated[Caller, Depends(_caller)]


# ---------------------------------------------------------------------------------------------------- photos


@api.post("/score", response_model=schema.Scores)
async def score(body: schema.ScoreRequest, service: Serving, caller: Asking) -> dict[str, Any]:
    """Scores images on 1–10."""
    if body.profile is None:
        return await rows(service, caller, body, ScoreTask())
    profile = profiles.load(caller, body.profile)
    return await rows(service, caller, body, DescribeTask(), profile)


@api.post("/comment", response_model=schema.Comments)
async def comment(body: schema.CommentRequest, service: Serving, caller: Asking) -> dict[str, Any]:
    """Says in two to four sentences how images work, and scores them."""
    return await rows(service, caller, body, CommentTask(tuple(body.aspects) if body.aspects else None))


@api.post("/suggest", response_model=schema.Suggestions)
async def suggest(body: schema.SuggestRequest, service: Serving, caller: Asking) -> dict[str, Any]:
    """Says what to change, best first, and scores images."""
    return await rows(service, caller, body, SuggestTask(body.least, body.most))


async def rows(
    service: Service,
    caller: Caller,
    body: schema.Ask,
    task: Task,
    profile: Profile | None = None,
    more: Callable[[Result, Sent], dict[str, Any]] = lambda result, sent: {},
    change: Callable[[Photo, Sent], Photo] = lambda photo, sent: photo,
) -> dict[str, Any]:
    """One row an image of a request.

    Args:
        profile: whose scores are meant; the task is :class:`DescribeTask` then.
        more: fields of a row besides those of the command line.
        change: what is done to each image before the model is asked about it.
    """
    service.check_name(body.model)
    sent = [Sent(each.image, each.uuid, f"images.{i}") for i, each in enumerate(body.images)]
    answers = await service.answers(sent, caller.id, task, change)
    if profile is not None:
        answers = profiles.personal(service, profile, answers)
    found = []
    for i, (answer, each) in enumerate(zip(answers, sent, strict=True)):
        row = service.engine.row(answer).as_dict() | {"index": i, "uuid": each.uuid}
        del row["path"]
        found.append(row | (more(answer.result, each) if answer.result else {}))
    return {"model": service.engine.model.name, "data": found}


# ---------------------------------------------------------------------------------------------------- profiles


@api.get("/profiles", response_model=schema.Profiles)
async def list_profiles(caller: Asking) -> dict[str, Any]:
    """Lists the caller's profiles."""
    store = profiles.store_of(caller)
    return {"data": [store.load(name).facts() for name in store.names()]}


@api.post("/profiles", response_model=schema.ProfileFacts)
async def learn_profile(body: schema.LearnRequest, service: Serving, caller: Asking) -> dict[str, Any]:
    """Learns what a person likes. The images are not kept."""
    return (await profiles.learn(service, caller, body)).facts()


@api.get("/profiles/{name}", response_model=schema.ProfileFacts)
async def profile(name: str, caller: Asking) -> dict[str, Any]:
    """Says what a profile rests on."""
    return profiles.load(caller, name).facts()


@api.delete("/profiles/{name}", status_code=204)
async def remove_profile(name: str, service: Serving, caller: Asking) -> None:
    """Deletes a profile."""
    async with service.writing:
        profiles.load(caller, name)
        profiles.store_of(caller).remove(name)


# ---------------------------------------------------------------------------------------------------- chat


@api.post("/chat/completions", response_model=schema.Chat, responses={200: {"content": {"text/event-stream": {}}}})
async def chat(body: schema.ChatRequest, service: Serving, caller: Asking) -> Response:
    """Answers the last message, in words."""
    service.check_name(body.model)
    most = body.max_completion_tokens or body.max_tokens or service.limits.tokens
    most = min(most, service.limits.tokens)
    seed = (secrets.randbits(31) if body.seed is None else body.seed) % 2**31
    asked = question(body.messages)
    task = asked.task(most, body.temperature, seed)
    read = len(service.pieces(text_of(body.messages))) + service.visual_tokens * len(asked.images)
    begin = {"id": f"chatcmpl-{secrets.token_hex(12)}", "created": int(time.time()), "model": service.engine.model.name}
    spoken = Spoken(begin, asked, most, read, service.pieces)
    if body.stream:
        usage = body.stream_options is not None and body.stream_options.include_usage
        stream = Stream(spoken, usage, lambda heard: service.answers(asked.images, caller.id, task, heard=heard))
        await stream.begin()
        return stream
    return JSONResponse(spoken.whole(await service.answers(asked.images, caller.id, task)))


# ---------------------------------------------------------------------------------------------------- server


@api.get("/models", response_model=schema.Models)
async def models(service: Serving) -> schema.Models:
    """Lists the model that answers."""
    return schema.Models(data=[_model(service)])


@api.get("/models/{name}", response_model=schema.ModelCard)
async def model(name: str, service: Serving) -> schema.ModelCard:
    """Says what the model is."""
    service.check_name(name)
    return _model(service)


def _model(service: Service) -> schema.ModelCard:
    asked = service.engine.model
    folder = getattr(asked, "folder", None)
    about = card(folder) if folder else {}
    licence, terms = (str(about.get(name, "")) for name in ("licence", "terms"))
    return schema.ModelCard(id=asked.name, sha256=asked.sha256, licence=licence, terms=terms)


@status.get("/health", response_model=schema.Status, responses={503: {"model": schema.Status}})
async def health(service: Serving) -> JSONResponse:
    """Whether the server is up, with its model loaded."""
    return JSONResponse({"status": "ok"}) if service.ready else JSONResponse({"status": "loading"}, 503)


@status.get("/readyz", response_model=schema.Status, responses={503: {"model": schema.Status}})
async def readyz(service: Serving) -> JSONResponse:
    """Whether the server takes another photo now."""
    if not service.ready:
        return JSONResponse({"status": "loading"}, 503)
    if service.waiting >= service.limits.queue:
        return JSONResponse({"status": "busy"}, 503)
    return JSONResponse({"status": "ok"})


@status.get("/metrics", response_class=PlainTextResponse, responses=REFUSED)
async def metrics(service: Serving) -> Response:
    """Figures for Prometheus."""
    return Response(service.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")
