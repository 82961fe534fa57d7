"""The one network behind the command line and the Python interface: everything that a command asks of a model."""

from __future__ import annotations

import functools
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from parts import write_trained
from PIL import Image
from test_cli import calm
from test_one_pretrained import SHAPE

from calm import Calm
from calm.data.images import Photo, load_photo
from calm.errors import AbandonedError, UsageError
from calm.eval.invariance import eval_invariance
from calm.inference import pipeline as module
from calm.inference.answers import Spoken
from calm.inference.pipeline import ASKED, ROWS, Pipeline
from calm.inference.tasks import ABANDONED
from calm.inference.writing import Prompts, Writer
from calm.model.exchange import CAPTION_QUESTION, SUGGEST_QUESTION
from calm.tasks.observation import parse_line
from calm.types import CLASSES


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network with random trained parts, whose adapters and answers do something."""
    root = tmp_path_factory.mktemp("one")
    return write_trained(root, SHAPE)


@pytest.fixture(scope="module")
def album(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nineteen photos: no multiple of the rows that go through at once."""
    where, rng = tmp_path_factory.mktemp("album"), np.random.default_rng(0)
    for i in range(19):
        pixels = np.kron(rng.integers(0, 75 + 10 * i, (6, 8, 3)), np.ones((12, 12, 1))).astype(np.uint8)
        Image.fromarray(pixels).save(where / f"{i:02d}.png")
    return where


@pytest.fixture(scope="module")
def photos(album: Path) -> list[Photo]:
    return [load_photo(str(path)) for path in sorted(album.iterdir())]


@pytest.fixture(scope="module", params=[torch.float32, torch.bfloat16], ids=str)
def pipeline(folder: Path, request: pytest.FixtureRequest) -> Pipeline:
    return Pipeline.load(folder, "cpu", request.param)


def test_no_answer_depends_on_the_batch(pipeline: Pipeline, photos: list[Photo], monkeypatch) -> None:
    monkeypatch.setattr(module, "best_crop", lambda answers, pixels, direction: None)
    together, parts = pipeline.suggest(photos, least=0.0), [photos[:5], photos[5:6], photos[6:]]
    apart = [each for part in parts for each in pipeline.suggest(part, least=0.0)]
    values = np.array([[score.value for score, _ in each] for each in (together, apart)])
    assert np.abs(values[0] - values[1]).max() < 1e-4 and np.ptp(values[0]) > 0.1
    for (_, some), (_, others) in zip(together, apart, strict=True):
        assert [each.confidence for each in some] == pytest.approx([each.confidence for each in others], abs=1e-4)
        assert [each.direction for each in some] == [each.direction for each in others]
    features = [np.stack([row for _, row in pipeline.describe(part)]) for part in (photos, photos[3:4])]
    np.testing.assert_allclose(features[0][3], features[1][0], atol=1e-4)
    assert [score.value for score, _ in pipeline.describe(photos)] == pytest.approx(values[0], abs=1e-4)


def test_no_text_depends_on_the_batch(pipeline: Pipeline, photos: list[Photo]) -> None:
    seen = pipeline.answers.see([photo.pixels for photo in photos])
    together = pipeline.answers.text(seen, CAPTION_QUESTION, 6)
    one = pipeline.answers.see([photos[-1].pixels])
    assert pipeline.answers.text(one, CAPTION_QUESTION, 6) == together[-1:]
    assert len(set(together)) > 1


def test_where_a_text_ends_the_next_one_begins(folder: Path, photos: list[Photo]) -> None:
    """Guards against words that are taken from, or depend on, the text that stood in a row before."""
    answers = Pipeline.load(folder, "cpu", torch.bfloat16).answers
    seen = answers.see([photo.pixels for photo in photos]).of(torch.arange(100) % len(photos))

    def write(end: int) -> torch.Tensor:
        prompt, seeds = answers.prompt(seen, CAPTION_QUESTION), torch.arange(100)
        begun = torch.where(torch.arange(3) < seeds[:, None] % 4, 5, -1)  # up to three words
        given = Prompts(prompt, begun, seeds, torch.ones(100, dtype=torch.bool))
        with torch.inference_mode():
            return Writer(answers.model, end, -1, 40, temperature=5.0).write(given)

    endless = write(-1)
    end = int(endless.flatten().mode().values)
    expected = torch.where(((endless == end) | (endless < 0)).cumsum(dim=1) > 0, end, endless)
    lengths = (expected != end).sum(dim=1)
    assert len(set(lengths.tolist())) > 5, "the texts end at different places"
    assert torch.equal(write(end), expected)


def test_a_text_that_nobody_waits_for_is_given_up(folder: Path, photos: list[Photo]) -> None:
    answers, asked = Pipeline.load(folder, dtype=torch.float32).answers, iter([False] * 3 + [True])
    seen, before = answers.see([photos[0].pixels]), ABANDONED.set(lambda: next(asked))
    try:
        with pytest.raises(AbandonedError):
            answers.text(seen, CAPTION_QUESTION, 6)
    finally:
        ABANDONED.reset(before)
    assert list(asked) == []


def test_threads_at_the_same_time_get_the_answers_of_single_calls(pipeline: Pipeline, photos: list[Photo]) -> None:
    """Without an engine before it: the network itself keeps nothing between a question and its answer."""
    asks = pipeline.score, pipeline.suggest, pipeline.describe, functools.partial(pipeline.comment, aspects=["light"])
    calls = [(ask, [photo]) for photo in photos[:5] for ask in asks]
    alone = [repr(ask(given)) for ask, given in calls]
    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(lambda call: repr(call[0](call[1])), calls * 3)) == alone * 3


def test_all_remedies_at_once_are_each_alone(folder: Path, photos: list[Photo]) -> None:
    """Guards against remedies that read each other, or stand at another place than in training."""
    answers = Pipeline.load(folder, dtype=torch.float32).answers
    seen = answers.see([photo.pixels for photo in photos[:2]])
    probabilities, severities = answers.advice(seen)
    torch.testing.assert_close(probabilities, answers.remedies(seen), atol=1e-5, rtol=1e-4)
    prompt = answers.prompt(seen, SUGGEST_QUESTION)
    for k in (0, 7, len(CLASSES) - 1):
        asked = answers.model.remedy_tokens(torch.tensor([k, k]))[:, None]
        levels = answers.model.amount_logits(answers.states(torch.cat([prompt, asked], dim=1))[:, -1]).softmax(dim=1)
        torch.testing.assert_close(severities[:, k], levels @ torch.linspace(0, 1, 10), atol=1e-5, rtol=1e-4)


def test_adapters_are_merged_and_what_is_read_stays_exact(folder: Path, photos: list[Photo]) -> None:
    exact, fast = (Pipeline.load(folder, dtype=dtype) for dtype in (torch.float32, torch.bfloat16))
    assert not any("lora_" in name for name in fast.model.state_dict())
    kinds = {name.split(".")[0]: each.dtype for name, each in fast.model.named_parameters()}
    few = dict.fromkeys(("backbone", "alignment", "language_model"), torch.bfloat16)
    assert kinds == dict.fromkeys(kinds, torch.float32) | few and fast.dtype == torch.bfloat16
    assert all(each.dtype == torch.float32 for each in fast.model.buffers())
    assert (exact.answers.rows, fast.answers.rows) == (0, ROWS)
    values = np.array([[score.value for score in each.score(photos)] for each in (exact, fast)])
    assert np.corrcoef(values)[0, 1] > 0.95


def test_invariance_is_measured(folder: Path, album: Path) -> None:
    found = eval_invariance(Pipeline.load(folder), album, resized=1, copied=1)
    assert found["batch"]["largest"] <= 0.01 and found["repeat"]["largest"] == 0


def test_parts_are_timed_and_counted(folder: Path, album: Path, tmp_path: Path, capsys, monkeypatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "slow.py").write_text("import time\n\ndef rate(path):\n    time.sleep(0.02)\n    open(path).close()\n")
    given = "--photos", album, "--model", folder, "--device", "cpu", "--format", "json", "--limit", 8, "-q"
    found = []
    for more in ((), ("--float32", "--peer", "slow:rate", "--plot", tmp_path / "roof.png")):
        assert calm("bench", *given, *more) == 0
        found.append(json.loads(capsys.readouterr().out))
    fast, exact = found
    assert fast["n"] == exact["n"] == 8 and Image.open(tmp_path / "roof.png").size[0] > 400
    names = "decode", "encoder", "alignment", "prefix", "whole", "generate_loop"
    assert set(names) == set(fast["parts"]) and set(exact["parts"]) == {*names, "slow"}
    speeds = {name: part["photos_a_second"] for name, part in exact["parts"].items()}
    assert speeds["slow"] < 50 and min(speeds.values()) > 0
    assert exact["ratios"]["score_over_slow"] == pytest.approx(speeds["whole"] / speeds["slow"])
    assert exact["ratios"]["score_over_generate"] == pytest.approx(speeds["whole"] / speeds["generate_loop"])
    assert exact["ratios"]["score_over_encoder"] > 0 and exact["ratios"]["share_of_matmul_rate"] > 0
    for name in ("encoder", "alignment", "prefix"):  # of one photo: filling up small chunks is work of its own
        assert fast["parts"][name]["gflop"] == pytest.approx(exact["parts"][name]["gflop"], rel=0.01)


def test_a_scorer_that_is_not_there_is_told(folder: Path, album: Path, capsys) -> None:
    assert calm("bench", "--photos", album, "--model", folder, "--peer", "nowhere:score") == 2
    assert "expected a function that scores a path at nowhere:score" in capsys.readouterr().err


def test_the_loop_speaks_the_score(folder: Path, photos: list[Photo]) -> None:
    found = Pipeline.load(folder, dtype=torch.float32)
    assert found.generate_loop(photos[:3]) == [f"{score.value:.1f}" for score in found.score(photos[:3])]


def test_commands_answer(folder: Path, album: Path, capsys, own_cache, monkeypatch) -> None:
    from calm.cli import running

    monkeypatch.undo()  # the double that test_cli may have put in place
    photo = album / "00.png"
    for command, key in (("score", "distribution"), ("comment", "aspects"), ("suggest", "suggestions")):
        assert calm(command, photo, "--model", folder, "--device", "cpu", "--format", "jsonl", "-q") == 0
        (row,) = map(json.loads, capsys.readouterr().out.splitlines())
        assert row["status"] == "ok" and isinstance(row[key], list) and row["model"] == folder.name
    assert running.load_model(str(folder), "cpu").device == torch.device("cpu")
    assert calm("score", photo, "--model", folder, "--device", "quantum") == 2
    assert "expected a device that this machine has" in capsys.readouterr().err
    assert calm("comment", photo, "--model", folder, "--aspect", "smell") == 2
    assert "expected an aspect of clutter, colour," in capsys.readouterr().err


def test_profiles_in_python_and_by_command(folder: Path, album: Path, tmp_path: Path, capsys, monkeypatch) -> None:
    import shutil

    shutil.copytree(folder, tmp_path / "model")
    monkeypatch.setenv("CALM_PROFILES", str(tmp_path / "profiles"))
    rng, names = np.random.default_rng(1), sorted(path.name for path in album.iterdir())
    lines = []  # some like it bright, some dark
    for person in range(10):
        liked = np.linspace(1, 5, len(names))[:: 1 if person % 2 else -1] + rng.normal(0, 0.2, len(names))
        lines += [f"{person},{name},{rating:.2f}" for name, rating in zip(names, liked, strict=True)]
    (tmp_path / "many.csv").write_text("\n".join(["person,photo,rating", *lines]))
    given = "--images", album, "--model", tmp_path / "model", "-q"
    assert (
        calm("profile", "prior", tmp_path / "many.csv", *given, "--output", tmp_path / "model/tastes.safetensors") == 0
    )
    one = Calm.from_pretrained(tmp_path / "model", "cpu")
    profile = one.learn_profile("me", {album / name: i % 5 + 1 for i, name in enumerate(names)})
    own = [score.value for score in one.score([album / name for name in names], profile=profile)]
    assert np.std(own) > 0.01
    table = [f"{name},{i % 5 + 1}" for i, name in enumerate(names)]
    (tmp_path / "mine.csv").write_text("\n".join(["file,rating", *table]))
    assert calm("profile", "learn", "me", tmp_path / "mine.csv", *given) == 0
    capsys.readouterr()
    model = "--model", tmp_path / "model"
    assert calm("score", album, "--profile", "me", *model, "--format", "jsonl", "-q") == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["score"] for row in rows] == pytest.approx(own, abs=0.01)


LINE = "Score: 5.0. Light: dark, even. Strengths: composition. Faults: noisy (clear), blurred"


def test_aspects_are_those_asked_for_in_words(folder: Path, photos: list[Photo], monkeypatch) -> None:
    found = Pipeline.load(folder, dtype=torch.float32)
    spoken = Spoken(LINE, parse_line(LINE), "It is grainy.")
    monkeypatch.setattr(module.Answers, "comments", lambda self, seen, scores, seeds: [spoken] * len(scores))
    ((_, comment),) = found.comment(photos[:1], ["noise", "focus", "colour_harmony"])
    assert comment.text == "Noise: noisy (clear). Sharpness: blurred. Colour harmony: nothing noted."
    assert [each.aspect for each in comment.aspects] == ["noise", "sharpness"]
    ((_, comment),) = found.comment(photos[:1])
    assert comment.text == "It is grainy." and {each.aspect for each in comment.aspects} <= set(ASKED)
    with pytest.raises(UsageError, match="found 'smell'"):
        found.comment(photos[:1], ["noise", "smell"])
