"""The model that comes with the package, on the photos that come with the repository."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import new_cache
from golden import EXAMPLES, FILE, scores_of, tutorial_outputs
from PIL import Image

from calm import Calm
from calm.data.images import Photo, load_photo
from calm.eval.comments import sentences
from calm.inference.pipeline import Pipeline
from calm.model.catalogue import PACKAGED
from calm.model.exchange import COMMENT_QUESTION
from calm.types import DIRECTIONS

FOLDER = PACKAGED / "calm-small"


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> Calm:
    """Loaded once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CALM_CACHE", str(new_cache(tmp_path_factory)))
        return Calm.from_pretrained("calm-small")


@pytest.fixture(scope="module")
def pipeline(calm: Calm) -> Pipeline:
    return calm._engine.model


@pytest.fixture(scope="module")
def photos() -> list[Photo]:
    return [load_photo(str(path)) for path in EXAMPLES]


def test_the_folder_is_small_and_holds_one_network() -> None:
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) <= 90e6
    assert {path.name for path in FOLDER.iterdir()} == {
        "MODEL_CARD.md",
        "config.json",
        "manifest.json",
        "model_card.json",
        "tastes.safetensors",
        "trained.safetensors",
        "trained_on.txt",
    }


def test_the_card_names_terms_and_frozen_parts() -> None:
    card = json.loads((FOLDER / "model_card.json").read_text(encoding="utf-8"))
    assert "PARA" in card["terms"] and len(card["parts"]) == 2


def test_scores_are_those_that_these_weights_gave(calm: Calm) -> None:
    """Golden values, see :mod:`golden`; another number format may move them by some hundredths."""
    assert scores_of(calm) == pytest.approx(json.loads(FILE.read_text(encoding="utf-8")), abs=0.05)


def test_a_photo_has_one_score_alone_and_in_a_batch(calm: Calm) -> None:
    alone = [calm.score(path).value for path in EXAMPLES]
    together = [score.value for score in calm.score(EXAMPLES)]
    assert alone == [calm.score(path).value for path in EXAMPLES]
    assert np.abs(np.subtract(alone, together)).max() <= 0.01
    assert all(1 <= value <= 10 for value in alone) and np.ptp(alone) > 0.1


def test_a_ruined_photo_scores_lower(calm: Calm) -> None:
    """Not a figure, a sanity check: nobody would call a black, blurred, tilted mess the better photo."""
    from PIL import ImageFilter

    for path in EXAMPLES:
        photo = Image.open(path).convert("RGB")
        mess = photo.rotate(20).filter(ImageFilter.GaussianBlur(12)).point([round(v * 0.25) for v in range(256)] * 3)
        assert calm.score(mess).value < calm.score(photo).value


def test_comments_and_suggestions_have_their_shape(calm: Calm) -> None:
    for comment in calm.comment(EXAMPLES):
        assert 1 <= len(sentences(comment.text)) <= 6 and comment.aspects
    for suggestions in calm.suggest(EXAMPLES, least=0.0):
        confidences = [each.confidence for each in suggestions]
        assert confidences and confidences == sorted(confidences, reverse=True)
        assert all(each.direction in DIRECTIONS[each.attribute] for each in suggestions)


def test_every_answer_changes_with_the_visual_tokens(pipeline: Pipeline, photos: list[Photo]) -> None:
    """The swap control, on four photos: another photo's tokens, the own score given."""
    answers = pipeline.answers
    seen = answers.see([photo.pixels for photo in photos])
    swapped = seen.of(torch.arange(len(photos)).roll(1))
    means = answers.means(seen)
    own, others = (answers.comments(each, scores=means) for each in (seen, swapped))
    assert all(a.written != b.written for a, b in zip(own, others, strict=True))
    assert (answers.scores(seen) - answers.scores(swapped)).abs().amax(dim=1).min() > 1e-3
    assert (answers.remedies(seen) - answers.remedies(swapped)).abs().amax(dim=1).min() > 1e-4


def test_the_score_that_is_spoken_is_the_one_that_is_read(pipeline: Pipeline, photos: list[Photo]) -> None:
    values = [score.value for score in pipeline.score(photos)]
    spoken = pipeline.answers.comments(pipeline.answers.see([photo.pixels for photo in photos]), length=24)
    assert [each.observation.score for each in spoken] == [round(value, 1) for value in values]
    assert [float(said) for said in pipeline.generate_loop(photos)] == pytest.approx(values, abs=0.06)


def test_what_a_photo_is_like_comes_with_its_score(pipeline: Pipeline, photos: list[Photo]) -> None:
    scores, features = zip(*pipeline.describe(photos), strict=True)
    assert np.allclose([each.value for each in scores], [each.value for each in pipeline.score(photos)])
    told = np.stack(features)
    assert told.dtype == np.float32 and np.isfinite(told).all()
    assert np.square(told).sum(axis=1) == pytest.approx(4, rel=1e-3), "four parts of length 1"
    alike = np.corrcoef(told)
    assert alike[~np.eye(len(told), dtype=bool)].max() < 0.9, "each photo is something else"


def test_a_comment_is_likelier_for_its_own_photo(pipeline: Pipeline, photos: list[Photo]) -> None:
    """In the number format of this machine, in which layers of the language model may be laid out anew."""
    answers, seen = pipeline.answers, pipeline.answers.see([photo.pixels for photo in photos])
    spoken = answers.comments(seen)
    texts, begun = [each.written for each in spoken], [each.begun for each in spoken]
    found = answers.likelihood(seen, COMMENT_QUESTION, texts, begun)
    own = found - found.mean(dim=0)
    assert own.argmax(dim=0).tolist() == list(range(len(photos)))


NUMBER = re.compile(r"[+−-]?\d+\.\d+")


def test_outputs_in_the_tutorial_are_those_of_today(tmp_path: Path) -> None:
    """Words as they are shown; scores and amounts to some hundredths, which another processor may move."""
    outputs = list(tutorial_outputs(tmp_path))
    assert len(outputs) >= 4
    for command, output, found in outputs:
        words, expected = (" ".join(text.replace("%", ".0").split()) for text in (found, output))
        numbers = [[float(n.replace("−", "-")) for n in NUMBER.findall(each)] for each in (words, expected)]
        assert NUMBER.sub("", words) == NUMBER.sub("", expected), command
        assert np.allclose(*numbers, rtol=0, atol=0.05), f"{command}: {numbers}"
