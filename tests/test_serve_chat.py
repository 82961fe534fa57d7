"""``calm serve`` as a process, asked by OpenAI's own client; and what its answers are on the command line."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import openai
import pytest
from parts import write_trained
from PIL import Image
from serving import Process, process, url
from test_one_pretrained import SHAPE

from calm.serve.chat import question
from calm.serve.schema import Message


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network with random trained parts."""
    return write_trained(tmp_path_factory.mktemp("one"), SHAPE)


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("photos") / "one.png"
    rng = np.random.default_rng(0)
    Image.fromarray(np.kron(rng.integers(0, 256, (6, 8, 3)), np.ones((12, 12, 1))).astype(np.uint8)).save(path)
    return path


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Process]:
    with process("--model", folder, "--device", "cpu") as running:
        running.address.until_loaded()
        yield running
        assert running.end() == 0


@pytest.fixture(scope="module")
def client(server: Process) -> openai.OpenAI:
    base = f"http://127.0.0.1:{server.address.port}/v1"
    return openai.OpenAI(base_url=base, api_key="none", max_retries=0)


def shown(*photos: Path, text: str = "", **more: str) -> dict:
    """A user's turn."""
    parts: list = [{"type": "image_url", "image_url": {"url": url(each.read_bytes())}, **more} for each in photos]
    return {"role": "user", "content": parts + ([{"type": "text", "text": text}] if text else [])}


def said(client: openai.OpenAI, *messages: dict, **settings: object) -> str:
    answer = client.chat.completions.create(model="trained", messages=list(messages), **settings)
    return answer.choices[0].message.content


def test_the_model_takes_images(client: openai.OpenAI) -> None:
    (model,) = client.models.list()
    assert model.id == "trained" and model.architecture["input_modalities"] == ["text", "image"]
    assert client.models.retrieve("trained").sha256 == model.sha256


def test_rows_are_those_of_the_command_line(server: Process, folder: Path, photo: Path) -> None:
    for task in ("score", "comment", "suggest"):
        # A process of its own: in this one, another test may have set the number of threads, on which sums depend.
        command = [sys.executable, "-m", "calm.cli", task, photo, "--model", folder, "--device", "cpu"]
        command += ["--format", "jsonl", "-q", "--no-store"]
        row = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
        answer = server.address.post(f"/v1/{task}", {"images": [{"image": url(photo.read_bytes()), "uuid": "u"}]})
        (found,) = answer.json["data"]
        del row["path"]
        assert found == row | {"index": 0, "uuid": "u"}


def test_the_words_are_those_of_the_command_line(client: openai.OpenAI, server: Process, photo: Path) -> None:
    body = {"images": [{"image": url(photo.read_bytes())}]}
    (score,) = server.address.post("/v1/score", body).json["data"]
    (comment,) = server.address.post("/v1/comment", body).json["data"]
    assert said(client, shown(photo, text="Can you give me the aesthetic score?")) == f"{score['score']:.1f}"
    assert said(client, shown(photo)) == comment["comment"]
    (light,) = server.address.post("/v1/comment", body | {"aspects": ["light"]}).json["data"]
    assert said(client, shown(photo, text="How is the light?")) == light["comment"] != ""


def test_a_question_may_follow_and_name_its_photo_by_uuid(client: openai.OpenAI, photo: Path) -> None:
    first = shown(photo, text="Score?", uuid="one")
    score = said(client, first)
    turns = first, {"role": "assistant", "content": score}, {"role": "user", "content": "And the colours?"}
    assert said(client, *turns).startswith("Colour: ")
    known = {"type": "image_url", "image_url": None, "uuid": "one"}
    assert said(client, {"role": "user", "content": [known, {"type": "text", "text": "Rate it."}]}) == score


def test_several_photos_are_told_apart(client: openai.OpenAI, photo: Path, tmp_path: Path) -> None:
    Image.new("RGB", (90, 60), "black").save(tmp_path / "black.png")
    both = photo, tmp_path / "black.png"
    scores = [said(client, shown(each, text="Score?")) for each in both]
    assert said(client, shown(*both, text="Score?")) == f"Photo 1: {scores[0]}\nPhoto 2: {scores[1]}"
    order = sorted((1, 2), key=lambda i: -float(scores[i - 1]))
    best = said(client, shown(*both, text="Which is the best?"))
    assert best == "\n".join(f"Photo {i}: {scores[i - 1]}" for i in order)


def test_tokens_are_counted_and_limited(client: openai.OpenAI, photo: Path) -> None:
    free = shown(photo, text="Hello there")
    answers = [
        client.chat.completions.create(model="trained", messages=[free], max_tokens=most) for most in (5, 20, 20)
    ]
    short, long, again = (each.choices[0] for each in answers)
    assert answers[0].usage.completion_tokens == 5 and short.finish_reason == "length"
    assert long.message.content == again.message.content and long.message.content.startswith(short.message.content)
    words = client.chat.completions.create(model="trained", messages=[shown(photo, text="Hello you over there")])
    assert words.usage.prompt_tokens - answers[0].usage.prompt_tokens == len(" you over") == 9
    assert words.usage.total_tokens == words.usage.prompt_tokens + words.usage.completion_tokens


@pytest.mark.parametrize(
    ("text", "some"),
    [("How is the light?", {}), ("Score?", {}), ("", {}), ("", {"max_tokens": 9}), ("Hello there", {"max_tokens": 20})],
)
def test_a_stream_has_the_same_words(client: openai.OpenAI, photo: Path, text: str, some: dict) -> None:
    turn = shown(photo, text=text)
    stream = client.chat.completions.create(
        model="trained", messages=[turn], stream=True, stream_options={"include_usage": True}, **some
    )
    chunks = list(stream)
    assert chunks[0].choices[0].delta.role == "assistant"
    words = "".join(each.choices[0].delta.content or "" for each in chunks if each.choices)
    assert words == said(client, turn, **some)
    assert chunks[-1].usage.completion_tokens == len(chunks) - 3
    assert chunks[-2].choices[0].finish_reason == ("length" if len(chunks) - 3 == some.get("max_tokens") else "stop")


def test_temperature_draws_other_words_and_a_seed_the_same(client: openai.OpenAI, photo: Path) -> None:
    turn, some = shown(photo, text="Hello"), {"max_tokens": 12}
    drawn = [said(client, turn, temperature=1.0, seed=seed, **some) for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]
    assert said(client, turn, temperature=0.0, **some) == said(client, turn, **some)


def test_refusals_are_exceptions_of_the_client(client: openai.OpenAI, photo: Path) -> None:
    with pytest.raises(openai.NotFoundError, match="expected the model trained") as raised:
        client.chat.completions.create(model="gpt-4o", messages=[shown(photo)])
    assert raised.value.code == "model_not_found"
    with pytest.raises(openai.BadRequestError, match="expected an image in the conversation"):
        said(client, {"role": "user", "content": "Hello"})
    for place in ("https://example.org/a.jpg", "file:///etc/passwd", str(photo)):
        part = {"type": "image_url", "image_url": {"url": place}}
        with pytest.raises(openai.BadRequestError, match="expected an image as a data URL") as raised:
            said(client, {"role": "user", "content": [part]})
        assert raised.value.param == "messages.0.content.0" and place not in str(raised.value)
    torn = {"type": "image_url", "image_url": {"url": url(photo.read_bytes()[:-400])}}
    with pytest.raises(openai.BadRequestError, match="image 1: expected a whole photo"):
        said(client, {"role": "user", "content": [torn]})


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Can you give me the aesthetic score?", "score"),
        ("Rate this.", "score"),
        ("Comment on this photo.", "comment"),
        ("Why?", "comment"),
        ("What do you think of it?", "comment"),
        ("What should be changed?", "suggest"),
        ("How could I make it better?", "suggest"),
        ("Should I crop the background?", "suggest"),
        ("Describe it", "caption"),
        ("What does the photo show?", "caption"),
        ("Is the horizon straight?", "aspects"),
        ("Good evening", "comment"),
        ("Hello", "free"),
    ],
)
def test_a_question_is_read_by_its_words(text: str, kind: str) -> None:
    parts = [{"type": "image_url", "image_url": "data:;base64,"}, {"type": "text", "text": text}]
    assert question([Message(role="user", content=parts)]).kind == kind
