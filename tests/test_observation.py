"""The observation line, the words of the lexicon, and critiques turned into pairs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from calm.edits.words import FAULTS
from calm.tasks.observation import Observation, measured_words, parse_line, write_line
from calm.train.critiques import Critiques
from calm.train.examples import remedy_target, tidy, with_article
from calm.train.shots import spread_mean
from calm.train.vocabulary import Vocabulary, caption_nouns, singular
from calm.types import CLASSES


def test_a_line_is_read_as_it_was_written() -> None:
    seen = Observation(
        ("dog", "grass"),
        ("dark", "strong contrast"),
        ("muted",),
        ("crisp",),
        ("calm",),
        ("light", "mood"),
        (("tilted to the left", "strong"), ("noisy", "")),
        6.4,
    )
    assert parse_line(write_line(seen)) == seen


@pytest.mark.parametrize("line", ["", "no fields at all", "Shows: . Score: x", "Faults: a thing nobody knows (very)"])
def test_a_line_that_went_wrong_says_nothing(line: str) -> None:
    found = parse_line(line)
    assert not found.shows and not found.faults and found.score is None


def test_every_remedy_has_its_fault() -> None:
    assert set(FAULTS) == set(CLASSES)


def test_measured_words_follow_the_pixels() -> None:
    cues = {"luma_mean": 40, "luma_spread": 30, "chroma_mean": 2, "chroma_95": 3, "b_middle": 0, "sharp_best": 4}
    assert measured_words(cues) == {
        "light": ("dark", "soft tones"),
        "colour": ("black and white",),
        "detail": ("soft",),
    }


def test_nouns_of_captions() -> None:
    captions = ["A brown dog runs on the grass ."] * 20 + ["Two men are standing near a tree ."] * 20
    assert caption_nouns(captions) == ["dog", "grass", "man", "tree"]


@pytest.mark.parametrize(
    ("word", "one"), [("dogs", "dog"), ("glass", "glass"), ("women", "woman"), ("berries", "berry")]
)
def test_one_form_for_one_thing(word: str, one: str) -> None:
    assert singular(word) == one


def test_what_is_named_is_in_the_order_of_its_importance() -> None:
    words = Vocabulary(["dog", "grass", "tree"])
    assert words.named(("tree",), ["A dog on grass.", "Two dogs play."]) == ["tree", "dog", "grass"]


def test_rated_means_are_kept_by_their_distribution() -> None:
    for mean in (1.0, 3.3, 5.5, 9.9):
        target = np.array(spread_mean(mean))
        assert target.sum() == pytest.approx(1)
        assert target @ np.arange(1, 11) == pytest.approx(min(max(mean, 1.05), 9.95), abs=0.02)


def test_nothing_is_the_remedy_of_an_untouched_photo() -> None:
    assert remedy_target(())[-1] == 1


def test_sentences() -> None:
    assert tidy("a dog runs , fast .") == "A dog runs, fast."
    assert [with_article(noun) for noun in ("dog", "apple", "grass", "seats")] == [
        "a dog",
        "an apple",
        "grass",
        "seats",
    ]


def test_critiques_become_pairs_and_comments(tmp_path: Path) -> None:
    """A comment names nothing that the photo does not show and no fault that was not found."""
    comments = {
        "1.jpg": ["The light on the scene is beautiful and soft. The photo is too dark in the lower half of it."],
        "2.jpg": ["The colors of the boat are lovely and rich here. I find it rather too blurry in the middle."],
    }
    (tmp_path / "dpc").mkdir()
    (tmp_path / "dpc/impression_and_subject.json").write_text(json.dumps(comments))
    critiques = Critiques(tmp_path, Vocabulary(["boat", "dog"]))
    rng = np.random.default_rng(0)
    line, text = critiques.pair(rng)
    assert text and (line.strengths or line.faults)
    seen = Observation(("dog",), strengths=("light", "colours"), faults=(("too dark", "clear"),))
    comment = critiques.compose(seen, "A dog.", rng)
    assert comment.startswith("A dog. The light on the scene is beautiful and soft.")
    assert "boat" not in comment and "blurry" not in comment
    assert len(comment.split(". ")) >= 3, "what is shown, what works, what does not"
