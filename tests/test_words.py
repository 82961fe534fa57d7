"""Phrases, comments made of observations, and reading comments back."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from drawn import Edit, drawn, flat, keys

from calm.errors import UsageError
from calm.types import CLASSES
from calm.words.compose import QUESTIONS, compose, compose_aspect, compose_comment, compose_description
from calm.words.content import article, read_content, with_article
from calm.words.facts import ASPECTS, EDIT_KEYS, KINDS, OPPOSITES, Facts, observe_facts
from calm.words.parse import DARK, claims, find_claims, parse_comment, sentences, verdict_band
from calm.words.phrases import banks, fill, spoken
from calm.words.verdicts import BANDS, band_of, verdict

# ---- phrases


def test_phrases_are_of_known_keys_and_one_meaning_each():
    meanings = banks()
    assert {key for key, _ in meanings} <= set(KINDS)
    for (key, polarity), bank in meanings.items():
        assert KINDS[key].polarity in (0, polarity), key
        assert len(bank.clauses) >= 2 and len(bank.nouns) >= 1, key
        for phrase in (*bank.clauses, *bank.nouns):
            assert re.fullmatch(r"[a-z{][a-z ,'{}-]+", phrase), phrase
    everything = [phrase for bank in meanings.values() for phrase in (*bank.clauses, *bank.nouns)]
    assert len(everything) == len(set(everything)) and len(everything) > 400
    assert len(spoken()) >= len(everything)


def test_every_fault_and_strength_can_be_said():
    missing = [key for key, kind in KINDS.items() if kind.polarity and (key, kind.polarity) not in banks()]
    assert missing == []


def test_words_say_how_strong():
    assert fill("it is {too}dark", 0.1) == "it is a little too dark"
    assert fill("it is {too}dark", 0.5) == "it is too dark"
    assert fill("it is {too}dark", 0.9) == "it is far too dark"


def test_every_phrase_is_read_back_as_what_it_says():
    for phrase, meaning in spoken().items():
        found = {(claim.key, claim.polarity) for claim in find_claims(f"We see that {phrase}, more or less.")}
        assert found == {meaning}, phrase


# ---- comments


def test_a_comment_has_two_to_four_sentences_a_strength_a_weakness_and_its_verdict(many):
    rng = np.random.default_rng(0)
    for facts in many:
        said = compose(facts, rng)
        assert 2 <= len(sentences(said.text)) <= 4, said.text
        assert {one.polarity for one in said.observations} == {-1, 1}, said.text
        assert verdict_band(said.text) == band_of(facts.score), said.text
        assert "{" not in said.text and "  " not in said.text
        assert all(one[0].isupper() for one in sentences(said.text)), said.text
        assert not re.search(r"\ba [aeio]|\ban [^aeiouh]", said.text), said.text


def test_a_comment_says_only_what_holds_of_the_photo(many):
    rng = np.random.default_rng(1)
    for facts in many:
        said = compose(facts, rng)
        true = keys(observe_facts(facts, slack=0.2))
        assert {one.key for one in said.observations} <= true
        assert {key for key in said.opened if not key.startswith("colour:")} <= true
        for one in said.observations:
            assert not OPPOSITES[one.key] & {other.key for other in said.observations}, said.text


def test_a_comment_is_read_back(many):
    rng = np.random.default_rng(2)
    said = [compose(facts, rng) for facts in many for _ in range(3)]
    wanted = [(one.key, one.polarity, each) for each in said for one in each.observations]
    found = [(key, polarity) in {(c.key, c.polarity) for c in find_claims(each.text)} for key, polarity, each in wanted]
    assert np.mean(found) >= 0.95
    opened = [key in claims(each.text) or DARK in claims(each.text) for each in said for key in each.opened]
    assert np.mean(opened) >= 0.95


def test_comments_are_varied(many):
    rng = np.random.default_rng(3)
    texts = [compose_comment(facts, rng) for facts in many]
    assert len({sentences(text)[0] for text in texts}) >= 0.95 * len(texts)
    again = [compose_comment(many[0], rng) for _ in range(50)]
    assert len(set(again)) >= 45


def test_a_comment_is_a_function_of_facts_and_chance(many):
    first, second = (compose_comment(many[0], np.random.default_rng(7)) for _ in range(2))
    assert first == second


def test_a_comment_names_what_was_done_to_the_photo(many):
    rng = np.random.default_rng(4)
    for attribute, direction in CLASSES:
        key = EDIT_KEYS[attribute, direction]
        edited = [
            replace(facts, applied=(Edit(attribute, direction, None, 0.9),), score=4.0, quality=None, emotions=None)
            for facts in many[:40]
        ]
        named = [key in {one.key for one in compose(facts, rng).observations} for facts in edited]
        assert np.mean(named) > 0.9, key


def test_the_first_sentence_tells_known_content():
    photo, saliency = drawn(8)
    rng = np.random.default_rng(0)
    for _ in range(30):
        text = compose_description(Facts.of(photo, saliency, content="A black dog is running through grass ."), rng)
        assert re.search(r"[Aa] black dog (is )?running through grass", text), text
        assert len(sentences(text)) == 1


def test_a_comment_needs_neither_score_nor_subject():
    said = compose(Facts.of(flat(125, 100), content="a wall"), np.random.default_rng(0))
    assert verdict_band(said.text) is None and 2 <= len(sentences(said.text)) <= 3


@pytest.mark.parametrize("aspect", sorted(ASPECTS))
def test_an_answer_about_one_aspect_stays_with_it(many, aspect):
    rng = np.random.default_rng(5)
    for facts in many[:60]:
        text = compose_aspect(facts, aspect, rng).text
        assert 1 <= len(sentences(text)) <= 2
        assert {KINDS[key].aspect for key in claims(text)} <= set(ASPECTS[aspect]), text


def test_an_unknown_aspect_is_answered_with_those_there_are(many):
    with pytest.raises(UsageError, match="expected an aspect of light, colour.*found 'smell'"):
        compose_aspect(many[0], "smell", np.random.default_rng(0))


def test_questions():
    assert {"score", "comment", "suggest", "describe"} <= set(QUESTIONS)
    assert {f"aspect:{name}" for name in ASPECTS} <= set(QUESTIONS)
    everything = [question for group in QUESTIONS.values() for question in group]
    assert len(everything) == len(set(everything)) and all(len(group) >= 8 for group in QUESTIONS.values())
    assert QUESTIONS["score"][0] == "Can you give me the aesthetic score?"


# ---- verdicts


def test_bands_rise_and_share_no_word():
    lows = [band.low for band in BANDS]
    assert lows == sorted(lows) and 5 <= len(BANDS) <= 7
    words = [word for band in BANDS for word in (*band.adjectives, *band.says)]
    assert len(words) == len(set(words))


@pytest.mark.parametrize("score", [1.0, 3.9, 5.0, 6.0, 6.9, 7.5, 10.0])
def test_every_verdict_is_read_back(score):
    rng = np.random.default_rng(0)
    assert {verdict_band(verdict(score, rng)) for _ in range(100)} == {band_of(score)}


@pytest.mark.parametrize(
    ("text", "band"),
    [
        ("It is a very good photo.", 5),
        ("It is a good photo.", 4),
        ("Overall it is a very weak picture", 0),
        ("a below-average image", 2),
        ("There is a dog.", None),
        ("It is a good photo, no: an excellent photo.", 6),
    ],
)
def test_a_verdict_is_read_from_free_words(text, band):
    assert verdict_band(text) == band


# ---- content


@pytest.mark.parametrize(
    ("text", "noun", "sentence"),
    [
        ("A dog is running on grass .", "a dog running on grass", "a dog is running on grass"),
        ("A man lays on a bench .", None, "a man lays on a bench"),
        ("Two people paddle a canoe", None, "two people paddle a canoe"),
        ("There is a girl on a swing", "a girl on a swing", None),
        ("young girl with pigtails", "a young girl with pigtails", None),
        ("a man photographs a woman", None, "a man photographs a woman"),
        ("house finch", "a house finch", None),
        ("acorn", "an acorn", None),
        ("wool", "wool", None),
        ("shoes", "a pair of shoes", None),
        ("scene", None, None),
        ("", None, None),
        (None, None, None),
    ],
)
def test_captions_and_classes_fit_into_sentences(text, noun, sentence):
    content = read_content(text)
    assert (content.noun, content.sentence) == (noun, sentence)


def test_articles():
    assert [article(word) for word in ("owl", "unicycle", "hour", "dog", "umbrella")] == ["an", "a", "an", "a", "an"]
    assert with_article("Gordon setter") == "a Gordon setter"


# ---- reading free text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The light is lovely, but the picture is too dark overall.", {("light", -1)}),
        ("There is no clear subject in this frame.", {("subject", -1)}),
        ("I like the rule of thirds here.", {("composition", 1)}),
        ("The photo is noisy and out of focus.", {("noise", -1), ("sharpness", -1)}),
        ("It has rich colours and a busy background.", {("colour", 1), ("background", -1)}),
        ("The horizon is tilted to the left.", {("tilt", -1)}),
        ("The lighting is poor.", {("light", -1)}),
        ("A nice composition.", {("composition", 1)}),
        ("A dog.", set()),
    ],
)
def test_free_text_is_read(text, expected):
    assert {(one.aspect, one.polarity) for one in parse_comment(text).aspects if one.polarity} == expected


def test_aspects_carry_level_and_sentence():
    comment = parse_comment("The subject sits in the dead centre. The image is noisy. It stirs little feeling.")
    assert [(one.aspect, one.level) for one in comment.aspects] == [
        ("composition", "middle"),
        ("noise", "low"),
        ("mood", "high"),
    ]
    assert comment.aspects[1].text == "The image is noisy."


def test_parsed_comments_show_a_strength_and_a_weakness(many):
    rng = np.random.default_rng(6)
    polarities = [{one.polarity for one in parse_comment(compose_comment(facts, rng)).aspects} for facts in many]
    assert np.mean([{-1, 1} <= each for each in polarities]) >= 0.99


def test_colours_of_things_are_no_palette():
    assert "colour:red" in claims("In red and black, the subject sits on the left.")
    assert not {key for key in claims("A black dog chases a red ball.") if key.startswith("colour:")}
    assert "black_and_white" in claims("Here one subject sits in a picture of black and white.")
