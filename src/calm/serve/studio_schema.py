"""Bodies of what the studio asks besides the rows of the command line, for the OpenAPI document."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, Field

from calm.serve.schema import Image, Plain, Row, Scores
from calm.serve.shoot_schema import Noted, Share


class ReadRow(Row, Noted):
    """With what profiles are learnt from; null where the model knows no tastes."""

    read: list[float] | None = None


class Described(Scores):
    """Rows with what profiles are learnt from."""

    data: list[ReadRow]  # type: ignore[assignment]


class AttentionRow(Row):
    """With where each Q-Former looked: rows of shares of the frame, which sum to 1."""

    attention: dict[str, list[list[float]]] | None = None


class Attention(Scores):
    """Rows with where the model looked."""

    data: list[AttentionRow]  # type: ignore[assignment]


class Remedy(BaseModel):
    """A suggestion to be carried out, as ``/v1/suggest`` makes it; its other fields are ignored."""

    attribute: Annotated[Plain, Field(examples=["exposure"])]
    direction: Annotated[Plain, Field(examples=["increase"])]
    amount: Annotated[float | None, Field(allow_inf_nan=False, examples=[1.0])] = None
    crop: Annotated[tuple[Share, Share, Share, Share] | None, Field(examples=[None])] = None


class ApplyRequest(Image):
    """An image, and what to change in it."""

    suggestions: Annotated[list[Remedy], Field(max_length=32)] = []
    model: str | None = None


class AppliedRow(Row):
    """The changed image, a JPEG of at most 1,024 pixels, and its score."""

    image: Annotated[str | None, Field(description="A data URL.")] = None
    applied: Annotated[list[bool], Field(description="Of each suggestion whether it was carried out.")] = []


class Rated(BaseModel):
    """A photo by its place in the list, and what the person gave it."""

    index: Annotated[int, Field(ge=0)]
    rating: Annotated[float, Field(allow_inf_nan=False)]


Read = Annotated[list[Annotated[float, Field(allow_inf_nan=False)]], Field(max_length=1024)]


class TasteRequest(BaseModel):
    """Photos as ``/v1/describe`` reads them, and the ratings of some; nothing of it is kept."""

    read: Annotated[list[Read], Field(min_length=1, max_length=10_000)]
    ratings: Annotated[list[Rated], Field(max_length=1000)] = []
    scale: tuple[float, float] = (1, 5)
    count: Annotated[int, Field(ge=0, le=100, description="Photos to rate next, at most.")] = 1


class Taste(BaseModel):
    """What is known of a person's taste so far."""

    scores: Annotated[list[float], Field(description="Of each photo, 1–10, as this person would give them.")]
    next: Annotated[list[int], Field(description="Photos of which a rating would tell most, the most telling first.")]
    trust: Annotated[dict[str, Any] | None, Field(description="Null with fewer than five ratings.")]
