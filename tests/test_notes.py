"""What a photo shows in a few sure words, and the notes that a comment follows."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from parts import tiny_tokenizer

from calm.chat import KEPT, Chat
from calm.data.measure import MEASURE_NAMES
from calm.errors import ConfigError
from calm.model.configuration import CalmConfig
from calm.model.heads import HEADS, AuxiliaryHeads
from calm.words.compose import compose
from calm.words.content import read_content
from calm.words.facts import Facts
from calm.words.notes import noted, notes
from calm.words.parse import claims
from calm.words.things import ALONE, NAMES, THINGS, phrase, told


def test_captions_tell_all_and_classes_only_their_subject() -> None:
    caption = dict(zip(NAMES, told("a black dog is running through the snow"), strict=True))
    assert caption["dog"] == caption["snow"] == 1 and caption["man"] == caption["sea"] == 0
    kind = dict(zip(NAMES, told("Gordon setter"), strict=True))
    assert kind["dog"] == 1 and kind["cat"] == 0 and math.isnan(kind["man"]) and math.isnan(kind["snow"])
    assert all(map(math.isnan, told("")))


@pytest.mark.parametrize(
    ("sure", "said"),
    [
        ({}, None),
        ({"dog": 0.5}, None),
        ({"dog": 0.9}, "a dog"),
        ({"dog": 0.9, "grass": 0.7, "snow": 0.6}, "a dog on grass"),
        ({"man": 0.7, "dog": 0.9}, "a dog and a man"),
        ({"man": 0.9, "people": 0.7, "street": 0.8}, "several people in a street"),
        ({"sea": 0.9}, "the sea"),
    ],
)
def test_only_what_is_sure_is_named(sure: dict[str, float], said: str | None) -> None:
    assert phrase(sure) == said
    assert phrase([sure.get(name, 0.1) for name in NAMES]) == said


def test_every_phrase_fits_into_a_sentence() -> None:
    for name, thing in THINGS.items():
        words = ALONE.get(name, thing.phrase)
        assert read_content(words).noun == words, words


def photo(value: int) -> Facts:
    ramp = np.repeat(np.tile(np.linspace(value - 90, value + 90, 200), (150, 1))[..., None], 3, axis=2)
    return Facts.of(ramp.clip(0, 255).astype(np.uint8), score=6.7, content="a dog on grass")


def test_notes_hold_what_the_comment_says() -> None:
    facts = photo(120)
    said = compose(facts, np.random.default_rng(3))
    text = notes(facts, said)
    assert "a dog on grass" in text and "score 6.7, good" in text and "\n" not in text
    for one in said.observations:
        assert one.key.replace(":", " ").replace("_", " ") in text
    assert claims(said.text) <= {one.key for one in said.observations} | set(said.opened)
    assert noted("Why?", facts, said) == f"{text}\nWhy?"


def test_prompts_are_kept_and_not_without_end() -> None:
    chat = Chat(tiny_tokenizer(), 3, 4)
    first = chat.prompt("Notes: score 6.1.\nWhy?")
    first.append(7)  # the caller's own list
    assert chat.prompt("Notes: score 6.1.\nWhy?") == first[:-1]
    assert chat._prompts.cache_info().hits == 1
    for i in range(KEPT + 10):
        chat.prompt(f"Notes: score {i}.\nWhy?")
    assert chat._prompts.cache_info().currsize == KEPT


def small_heads(branches: list[str] | None = None) -> AuxiliaryHeads:
    torch.manual_seed(0)
    config = CalmConfig(measures=len(MEASURE_NAMES), statistics=1, head_hidden=16, head_branches=branches)
    config.text_config = type("Text", (), {"hidden_size": 12})()
    return AuxiliaryHeads(config).eval()


def test_heads_read_measurements_beside_the_tokens() -> None:
    heads = small_heads()
    tokens = {name: torch.randn(2, 3, 12) for name in ("low", "middle", "high", "thematic", "statistics")}
    blind = heads(tokens)
    seeing = heads(tokens, torch.randn(2, len(MEASURE_NAMES)))
    assert set(blind) == set(HEADS) and not torch.allclose(blind["edits"], seeing["edits"])


def test_an_absent_branch_says_nothing() -> None:
    heads = small_heads()
    told_by_one = {"statistics": torch.randn(2, 1, 12)}
    assert torch.isfinite(heads(told_by_one)["score"]).all()
    other = {"statistics": told_by_one["statistics"], "low": torch.randn(2, 3, 12)}
    assert not torch.allclose(heads(told_by_one)["score"], heads(other)["score"])


def test_heads_may_read_one_branch_alone() -> None:
    heads = small_heads(["statistics"])
    tokens = {name: torch.randn(2, 3, 12) for name in ("low", "middle", "high", "thematic", "statistics")}
    assert torch.equal(heads(tokens)["score"], heads({"statistics": tokens["statistics"]})["score"])
    with pytest.raises(ConfigError, match="found \\['sky'\\]; name one that has tokens"):
        small_heads(["sky"])


def test_edits_and_judgements_are_read_apart() -> None:
    config = CalmConfig(
        measures=4, statistics=1, technique=1, head_hidden=16, head_branches=["statistics"], edit_branches=["technique"]
    )
    config.text_config = type("Text", (), {"hidden_size": 12})()
    heads = AuxiliaryHeads(config).eval()
    tokens = {name: torch.randn(2, 1, 12) for name in ("statistics", "technique")}
    plain, measured = heads(tokens), heads(tokens, torch.randn(2, 4))
    changed = heads(tokens | {"technique": torch.randn(2, 1, 12)})
    for name in HEADS:
        edited = name in ("edits", "amounts")
        assert torch.equal(plain[name], measured[name]) is not edited, name
        assert torch.equal(plain[name], changed[name]) is not edited, name


def test_content_may_be_read_from_branches_of_its_own() -> None:
    config = CalmConfig(statistics=1, head_hidden=16, head_branches=["statistics"], content_branches=["thematic"])
    config.text_config = type("Text", (), {"hidden_size": 12})()
    heads = AuxiliaryHeads(config).eval()
    tokens = {name: torch.randn(2, 1, 12) for name in ("statistics", "thematic")}
    plain, changed = heads(tokens), heads(tokens | {"thematic": torch.randn(2, 1, 12)})
    assert [
        name for name in HEADS if name not in ("edits", "amounts") and not torch.equal(plain[name], changed[name])
    ] == ["content"]
    assert config.opinion_branches == ["statistics", "thematic"]
