"""The model that comes with the package, on the photos that come with the repository."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from calm.words.parse import sentences

from calm import Calm
from calm.data.images import load_photo
from calm.model.weights import PACKAGED
from calm.types import DIRECTIONS

FOLDER = PACKAGED / "calm-small"
EXAMPLES = sorted((Path(__file__).parent.parent / "examples").glob("*.jpg"))


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> Calm:
    """Loaded once: the frozen parts are converted into a cache of this module."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CALM_CACHE", str(tmp_path_factory.mktemp("packaged")))
        return Calm.from_pretrained("calm-small")


def test_weights_are_small_safetensors_and_nothing_else() -> None:
    assert sum(path.stat().st_size for path in FOLDER.glob("*.safetensors")) <= 40e6
    assert {path.suffix for path in FOLDER.iterdir()} <= {".safetensors", ".json", ".md", ".txt"}


def test_the_card_names_terms_and_frozen_parts() -> None:
    card = json.loads((FOLDER / "model_card.json").read_text(encoding="utf-8"))
    assert "PARA" in card["terms"] and len(card["parts"]) == 5


def test_a_photo_has_one_score_alone_and_in_a_batch(calm: Calm) -> None:
    alone = [calm.score(str(path)).value for path in EXAMPLES]
    together = [score.value for score in calm.score([str(path) for path in EXAMPLES])]
    assert alone == [calm.score(str(path)).value for path in EXAMPLES]
    assert np.abs(np.subtract(alone, together)).max() <= 0.01
    assert all(1 <= value <= 10 for value in alone) and np.ptp(alone) > 0.1


def test_a_ruined_photo_scores_lower(calm: Calm) -> None:
    """Not a figure, a sanity check: nobody would call a black, blurred, tilted mess the better photo."""
    from PIL import Image, ImageFilter

    for path in EXAMPLES:
        photo = Image.open(path).convert("RGB")
        mess = photo.rotate(20).filter(ImageFilter.GaussianBlur(12)).point([round(v * 0.25) for v in range(256)] * 3)
        assert calm.score(mess).value < calm.score(photo).value


def test_comments_and_suggestions_have_their_shape(calm: Calm) -> None:
    for comment in calm.comment([str(path) for path in EXAMPLES]):
        assert 1 <= len(sentences(comment.text)) <= 5
    for suggestions in calm.suggest([str(path) for path in EXAMPLES]):
        confidences = [each.confidence for each in suggestions]
        assert confidences == sorted(confidences, reverse=True)
        assert all(each.direction in DIRECTIONS[each.attribute] for each in suggestions)


def test_what_a_photo_is_like_comes_with_its_score(calm: Calm) -> None:
    photos = [load_photo(str(path)) for path in EXAMPLES]
    scores, features = zip(*calm._engine.model.describe(photos), strict=True)
    assert np.allclose([each.value for each in scores], [each.value for each in calm._engine.model.score(photos)])
    told = np.stack(features)
    assert told.dtype == np.float32 and np.isfinite(told).all()
    assert 0.5 < told.std() < 2, "standardised on rated photos"
    alike = np.corrcoef(told)
    assert alike[~np.eye(len(told), dtype=bool)].max() < 0.9, "each photo is something else"
