"""Bodies of what a shoot is culled and exported by, for the OpenAPI document."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, Field

from calm.serve.schema import Plain
from calm.types import SCALE, Aspect, Suggestion

SHOOT = 10_000
"""Photos of one request that sends none, at most."""


def _below(name: str) -> str:
    """A name within a folder: no way leads out of it."""
    parts = [part for part in name.replace("\\", "/").split("/") if part not in ("", ".", "..")]
    if not parts or any(ord(letter) < 32 for letter in name):
        raise ValueError("expected the name of a file, found none")
    return "/".join(parts)


def _time(text: str | None) -> str | None:
    """A time as ISO 8601 has it."""
    if text is not None:
        datetime.fromisoformat(text)
    return text


def _some(shares: list[float]) -> list[float]:
    if not any(shares):
        raise ValueError("expected probabilities, found none above 0")
    return shares


FileName = Annotated[Plain, Field(min_length=1, max_length=1024, examples=["day 1/IMG_17.jpg"]), AfterValidator(_below)]
Number = Annotated[float, Field(allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1)]
OfTen = Annotated[float, Field(ge=1, le=10, examples=[6.4])]
Decision = Literal["keep", "maybe", "reject"]
Stars = Annotated[
    int | None, Field(ge=-1, le=5, description="That a person gave, in the photo's own XMP; −1 for rejected.")
]
Shot = Annotated[Plain, Field(min_length=1, max_length=128, examples=["holiday-17"])]


class Noted(BaseModel):
    """What the camera noted, and the rating that the photo's own XMP has."""

    taken: Annotated[Plain | None, AfterValidator(_time)] = None
    camera: Plain | None = None
    lens: Plain | None = None
    exposure_time: Number | None = None
    f_number: Number | None = None
    iso: int | None = None
    exposure_bias: Number | None = None
    focal_length: Number | None = None
    rating: Stars = None


class Culled(BaseModel):
    """A photo of a shoot."""

    uuid: Annotated[Shot, Field(description="That it came with to /v1/describe.")]
    name: Annotated[FileName | None, Field(description="What reasons call it; its uuid if left out.")] = None
    score: Annotated[OfTen | None, Field(description="In place of the general one, such as by /v1/taste.")] = None


def _once(photos: list[Culled]) -> list[Culled]:
    if len({each.uuid for each in photos}) < len(photos):
        raise ValueError("expected each photo once, found one twice")
    return photos


class CullRequest(BaseModel):
    """The photos of a shoot, and how it is culled."""

    photos: Annotated[list[Culled], Field(min_length=1, max_length=SHOOT), AfterValidator(_once)]
    keep: Annotated[
        Plain | None,
        Field(max_length=16, description="At most so many, 200 or 20%; None: the preset's.", examples=["20%"]),
    ] = None
    preset: Literal["everyday", "strict", "action"] = "everyday"
    diverse: Annotated[bool, Field(description="Keep few photos of one scene.")] = False


class CullRow(BaseModel):
    """What to do with a photo."""

    index: int
    uuid: str
    decision: Decision
    reason: str
    rival: Annotated[int | None, Field(description="Place of the photo that it stands against.")]
    series: int | None
    series_kind: Literal["burst", "bracket", "stack", "panorama"] | None


class Plan(BaseModel):
    """One row a photo, in their order."""

    data: list[CullRow]
    compared: Annotated[
        float, Field(description="Share of the photos compared with their like; below 1, ask again: there are no rows.")
    ]
    unknown: Annotated[
        list[int], Field(description="Photos that are not remembered: describe them first, there are no rows yet.")
    ]
    closer: Annotated[
        list[int], Field(description="Photos that /v1/study should see, and the plan be asked for once more.")
    ]


class Studied(BaseModel):
    """Whether a closer look at an image was taken."""

    index: int
    uuid: str | None
    status: Literal["ok", "failed"]
    error: str | None = None


class Studies(BaseModel):
    """One row an image."""

    data: list[Studied]


class Marked(BaseModel):
    """A photo that a sidecar is written for."""

    name: FileName
    score: OfTen
    model: Annotated[Plain | None, Field(max_length=256)] = None
    decision: Decision | None = None
    rating: Stars = None
    sidecar: Annotated[FileName | None, Field(description="Name of its sidecar; the photo's and .xmp if left out.")] = (
        None
    )
    before: Annotated[
        Plain, Field(max_length=1_000_000, description="What that sidecar holds already, which stays.")
    ] = ""


class SidecarsRequest(BaseModel):
    """Photos that sidecars are written for."""

    photos: Annotated[list[Marked], Field(min_length=1, max_length=SHOOT)]


class Reported(Noted):
    """A photo of a report: its row, what ``calm cull`` says of it, and the size of its picture."""

    name: FileName
    status: Literal["ok", "failed"] = "ok"
    error: Plain | None = None
    note: Plain | None = None
    width: int | None = None
    height: int | None = None
    score: OfTen | None = None
    score_std: Number = 0.0
    scale: Plain = SCALE
    distribution: Annotated[list[Share], Field(min_length=10, max_length=10), AfterValidator(_some)] | None = None
    model: Plain | None = None
    profile: Plain | None = None
    picture: Annotated[
        tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)]] | None,
        Field(description="Width and height. Its address is picture:INDEX, in place of which a data URL goes."),
    ] = None
    decision: Decision | None = None
    reason: Plain | None = None
    rival: Annotated[FileName | None, Field(description="Name of the photo that it stands against.")] = None
    series: int | None = None
    series_kind: Literal["burst", "bracket", "stack", "panorama"] | None = None
    comment: Plain | None = None
    aspects: list[Aspect] | None = None
    suggestions: list[Suggestion] | None = None


class ReportRequest(BaseModel):
    """Photos of a report, in their order."""

    title: Annotated[Plain, Field(max_length=200)] = "calm"
    photos: Annotated[list[Reported], Field(max_length=SHOOT)]
