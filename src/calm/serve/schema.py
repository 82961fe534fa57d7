"""Bodies of requests and responses, which the OpenAPI document is made of."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue

from calm.types import MOST

PIXEL = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVQI12P4//8/AAX+Av7czFnnAAAAAElFTkSuQmCC"
)
"""A white image of one pixel, for examples."""


def _encodable(text: str) -> str:
    """JSON may hold halves of characters, which nothing else can."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("expected whole characters, found half of one; escape both halves") from None
    return text


Plain = Annotated[str, AfterValidator(_encodable)]
TEXT = 16_384
"""Characters of a message, at most."""
Words = Annotated[Plain, Field(max_length=TEXT)]
Uuid = Annotated[
    Plain | None,
    Field(
        min_length=1,
        max_length=128,
        description="A name of yours for the image, by which alone it can be given the next time.",
        examples=["holiday-17"],
    ),
]
ProfileName = Annotated[Plain, Field(min_length=1, max_length=64, examples=["me"])]


class Image(BaseModel):
    """An image: its bytes, or the uuid of one that was given before."""

    image: Annotated[str | None, Field(description="A data URL.", examples=[PIXEL])] = None
    uuid: Uuid = None


class Ask(BaseModel):
    """Images, and which model is meant."""

    images: Annotated[list[Image], Field(min_length=1)]
    model: Annotated[str | None, Field(description="The model of /v1/models; that one if left out.")] = None


class ScoreRequest(Ask):
    """What ``calm score`` is asked."""

    profile: Annotated[ProfileName | None, Field(description="Score as this person would.", examples=[None])] = None


class Rating(Image):
    """An image and what the person gave it."""

    rating: Annotated[float, Field(allow_inf_nan=False, examples=[4])]


class Pair(BaseModel):
    """Two images, of which the person likes one better."""

    better: Image
    worse: Image


class LearnRequest(BaseModel):
    """Rated images, or pairs, of one person."""

    name: ProfileName
    ratings: list[Rating] = []
    pairs: list[Pair] = []
    scale: Annotated[
        tuple[float, float] | None, Field(description="Lowest and highest rating there could be.", examples=[[1, 5]])
    ] = None
    update: Annotated[bool, Field(description="Add to the profile of that name.")] = False


class ProfileFacts(BaseModel):
    """What a profile rests on, and how far it may be trusted."""

    profile: str
    model: str
    model_sha256: str
    scale: list[float]
    examples: int
    preferences: int
    trust: dict[str, Any] | None
    photos: list[str]
    pairs: list[str]


class Profiles(BaseModel):
    """The caller's profiles."""

    object: Literal["list"] = "list"
    data: list[ProfileFacts]


class CommentRequest(Ask):
    """What ``calm comment`` is asked."""

    aspects: Annotated[
        list[Plain] | None, Field(max_length=32, description="Only these aspects.", examples=[["light"]])
    ] = None


class SuggestRequest(Ask):
    """What ``calm suggest`` is asked."""

    least: Annotated[float | None, Field(ge=0, le=1, description="Confidence from which to suggest.")] = None
    most: Annotated[int, Field(ge=1, le=32, description="Suggestions for an image, at most.")] = MOST


class Row(BaseModel):
    """One image's answer, as a row of the command line: what it says of ``path`` is ``index`` and ``uuid`` here."""

    index: int
    uuid: str | None
    sha256: str | None
    width: int | None
    height: int | None
    status: Literal["ok", "failed"]
    error: str | None
    note: str | None = None
    score: float | None
    scale: str
    score_std: float | None
    distribution: list[float] | None
    model: str
    model_sha256: str
    preprocess: str
    profile: str | None


class CommentRow(Row):
    """With a comment."""

    comment: str | None = None
    aspects: list[dict[str, Any]] | None = None


class SuggestRow(Row):
    """With suggestions."""

    suggestions: list[dict[str, Any]] | None = None


class Scores(BaseModel):
    """One row an image, in their order. An image that fails has a row that says why, and fails no other."""

    object: Literal["list"] = "list"
    model: str
    data: list[Row]


class Comments(Scores):
    """Rows with comments."""

    data: list[CommentRow]  # type: ignore[assignment]


class Suggestions(Scores):
    """Rows with suggestions."""

    data: list[SuggestRow]  # type: ignore[assignment]


class Error(BaseModel):
    """Why a request was refused."""

    message: str
    type: str
    param: str | None
    code: str | None


class ErrorBody(BaseModel):
    """An error as OpenAI's clients read it."""

    error: Error


# ---------------------------------------------------------------------------------------------------- chat


class ImageUrl(BaseModel):
    """Where an image is: a data URL, for no other is fetched."""

    url: Annotated[str, Field(examples=[PIXEL])]


class Part(BaseModel):
    """Text, or an image."""

    type: Literal["text", "image_url"]
    text: Words | None = None
    image_url: ImageUrl | str | None = None
    uuid: Uuid = None


class Message(BaseModel):
    """One turn of a conversation."""

    role: Literal["system", "developer", "user", "assistant"]
    content: Words | Annotated[list[Part], Field(max_length=256)] | None = None


class StreamOptions(BaseModel):
    """What a stream has besides its answer."""

    include_usage: bool = False


EXAMPLE: JsonValue = {
    "model": "calm-small",
    "messages": [
        {
            "role": "user",
            "content": [
                {"type": "image_url", "image_url": {"url": PIXEL}},
                {"type": "text", "text": "Comment on this photo."},
            ],
        }
    ],
}


class ChatRequest(BaseModel):
    """A conversation about photos; fields that are not named here are ignored."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE]})

    messages: Annotated[list[Message], Field(min_length=1, max_length=64)]
    model: str | None = None
    stream: bool = False
    stream_options: StreamOptions | None = None
    max_tokens: Annotated[int | None, Field(ge=1)] = None
    max_completion_tokens: Annotated[int | None, Field(ge=1)] = None
    temperature: Annotated[
        float | None, Field(ge=0, le=2, description="0: the likeliest words; left out: as the command line draws them.")
    ] = None
    seed: Annotated[int | None, Field(ge=-(2**63), lt=2**63)] = None
    n: Annotated[int | None, Field(ge=1, le=1)] = None


class Usage(BaseModel):
    """Tokens; those of an image are the visual tokens that the language model reads."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class Said(BaseModel):
    """The model's turn."""

    role: Literal["assistant"] = "assistant"
    content: str


class Choice(BaseModel):
    """The one answer."""

    index: int = 0
    message: Said
    finish_reason: Literal["stop", "length"]


class Chat(BaseModel):
    """An answer in words."""

    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    choices: list[Choice]
    usage: Usage


class Chunk(BaseModel):
    """A piece of an answer as it is streamed."""

    id: str
    object: Literal["chat.completion.chunk"] = "chat.completion.chunk"
    created: int
    model: str
    choices: list[dict[str, Any]]
    usage: Usage | None = None


# ---------------------------------------------------------------------------------------------------- models


class Modalities(BaseModel):
    """What goes in and comes out."""

    input_modalities: list[str] = ["text", "image"]
    output_modalities: list[str] = ["text"]


class ModelCard(BaseModel):
    """The model that answers."""

    id: str
    object: Literal["model"] = "model"
    created: int = 0
    owned_by: str = "calm-aesthetics"
    sha256: str
    licence: str
    terms: str
    architecture: Modalities = Modalities()


class Models(BaseModel):
    """The one model there is."""

    object: Literal["list"] = "list"
    data: list[ModelCard]


class Status(BaseModel):
    """How a server is."""

    status: str
