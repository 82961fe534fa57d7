"""Observations, comments made of them, and reading comments back."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, replace

import cv2
import numpy as np
import pytest
from drawn import blob, drawn, facts_of

from calm.errors import UsageError
from calm.types import CLASSES
from calm.words.compose import QUESTIONS, compose, compose_aspect, compose_comment, compose_description
from calm.words.content import article, read_content, with_article
from calm.words.facts import ASPECTS, EDIT_KEYS, KINDS, OPPOSITES, Facts, observe, observe_facts
from calm.words.parse import DARK, claims, find_claims, parse_comment, sentences, verdict_band
from calm.words.phrases import banks, fill, spoken
from calm.words.reading import read_frame
from calm.words.verdicts import BANDS, band_of, verdict


@dataclass(frozen=True)
class Edit:
    """Stands for calm.edits.Applied."""

    attribute: str
    direction: str
    amount: float | None
    severity: float
    kind: str = ""


def keys(observations) -> set[str]:
    return {one.key for one in observations}


@pytest.fixture(scope="module")
def many() -> list[Facts]:
    return [facts_of(seed) for seed in range(200)]


# ---- observations


def flat(value: int, spread: int = 0) -> np.ndarray:
    """A grey frame that runs from value − spread to value + spread."""
    ramp = np.linspace(value - spread, value + spread, 200)
    return np.repeat(np.tile(ramp, (150, 1))[..., None], 3, axis=2).clip(0, 255).astype(np.uint8)


def test_light_is_read_from_pixels():
    dark, bright, middle = (keys(observe(flat(value, 40))) for value in (45, 225, 125))
    assert "underexposed" in dark and "overexposed" not in dark
    assert "overexposed" in bright and "underexposed" not in bright
    assert "flat_light" in middle and not {"underexposed", "overexposed"} & middle
    assert "balanced_light" in keys(observe(flat(125, 100)))
    assert "light_right" in keys(observe(flat(125, 100))), "the ramp is brighter on the right"


def test_a_dark_frame_that_people_like_was_meant():
    photo = flat(45, 40)
    assert "underexposed" in keys(observe(photo, score=4.0))
    liked = keys(observe(photo, score=8.0))
    assert "low_key" in liked and "underexposed" not in liked
    spoilt = keys(observe(photo, score=8.0, applied=[Edit("exposure", "increase", 2.0, 0.8)]))
    assert "underexposed" in spoilt


def test_colour_is_read_from_pixels():
    grey = flat(125, 100)
    assert "black_and_white" in keys(observe(grey))
    blue = (grey * np.array([0.75, 0.9, 1.0])).astype(np.uint8)
    yellow = (grey * np.array([1.0, 0.9, 0.6])).astype(np.uint8)
    assert "blue_cast" in keys(observe(blue)) and "yellow_cast" not in keys(observe(blue))
    assert "yellow_cast" in keys(observe(yellow)) and "blue_cast" not in keys(observe(yellow))
    red = np.zeros((100, 100, 3), np.uint8) + np.array([200, 20, 20], np.uint8)
    assert {"rich_colour", "colour:red"} <= keys(observe(red))


@pytest.mark.parametrize(
    ("x", "y", "place", "key"),
    [
        (0.5, 0.5, "centre", "centred"),
        (0.25, 0.5, "left", "place:left"),
        (0.75, 0.5, "right", "place:right"),
        (0.5, 0.25, "upper", "place:top"),
        (0.75, 0.75, "lower right", "place:bottom"),
        (0.34, 0.5, "left", "on_third"),
    ],
)
def test_the_subject_is_placed_by_its_saliency(x, y, place, key):
    facts = Facts.of(flat(125, 60), blob(x, y))
    assert facts.place == place and facts.count == "one"
    assert facts.size == pytest.approx(np.pi * 0.12**2, rel=0.15)
    assert key in keys(observe_facts(facts))


def test_a_mirrored_photo_has_its_subject_on_the_other_side():
    photo, saliency = drawn(3)
    left, right = read_frame(photo, saliency), read_frame(photo[:, ::-1].copy(), saliency[:, ::-1].copy())
    assert left["subject_x"] == pytest.approx(1 - right["subject_x"], abs=0.02)
    assert left["left_right"] == pytest.approx(-right["left_right"], abs=0.01)


def test_several_subjects_and_none():
    two = np.maximum(blob(0.2, 0.5, 0.1), blob(0.8, 0.5, 0.1))
    assert Facts.of(flat(125, 60), two).count == "several"
    faint = Facts.of(flat(125, 60), blob(0.5, 0.5) * 0.4)
    assert faint.count == "none" and "no_clear_subject" in keys(observe_facts(faint))
    assert not {"centred", "room_around", "plain_background"} & keys(observe_facts(faint))


def test_a_map_of_bytes_reads_as_one_of_fractions():
    photo, saliency = drawn(5)
    exact = np.round(saliency * 255) / 255
    fraction, byte = read_frame(photo, exact), read_frame(photo, (exact * 255).round().astype(np.uint8))
    assert fraction == pytest.approx(byte, abs=1e-3)


def test_squashed_photos_say_nothing_of_native_pixels():
    from calm.data.measure import measurements

    rng = np.random.default_rng(0)
    photo = np.clip(flat(125, 60) + rng.normal(0, 15, (150, 200, 1)), 0, 255).astype(np.uint8)
    native = observe(photo, measurements=measurements(photo))
    assert "noisy" in keys(native) and next(one for one in native if one.key == "noisy").needs_native
    squashed = observe(photo, measurements=measurements(photo), native=False)
    assert not any(one.needs_native for one in squashed)


def test_blur_is_measured_on_native_pixels():
    from calm.data.measure import measurements

    rng = np.random.default_rng(0)
    photo = cv2.resize(rng.integers(0, 255, (75, 100, 3), np.uint8), (800, 600), interpolation=cv2.INTER_NEAREST)
    blurred = cv2.GaussianBlur(photo, (0, 0), 3)
    assert "soft" in keys(observe(blurred, measurements=measurements(blurred)))
    assert "soft" not in keys(observe(photo, measurements=measurements(photo)))


def test_what_people_said_becomes_mood_and_quality():
    photo = flat(125, 60)
    seen = keys(observe(photo, emotions={"awe": 6, "neutral": 10}, quality=8.5))
    assert {"mood:awe", "good_quality"} <= seen and "mood:neutral" not in seen
    seen = keys(observe(photo, emotions={"neutral": 24, "amusement": 1}, quality=3.0))
    assert {"mood:neutral", "poor_quality"} <= seen


def test_every_remedy_names_a_fault_and_its_opposite_is_not_praised(many):
    assert set(EDIT_KEYS) == set(CLASSES)
    for attribute, direction in CLASSES:
        key = EDIT_KEYS[attribute, direction]
        for facts in many[:10]:
            edited = replace(facts, applied=(Edit(attribute, direction, None, 0.7),))
            found = {one.key: one for one in observe_facts(edited)}
            assert found[key].polarity == -1 and found[key].strength == pytest.approx(1.0)
            assert not any(found[other].polarity > 0 for other in OPPOSITES[key] if other in found), (key, found)


def test_motion_is_told_from_defocus():
    edit = Edit("sharpness", "increase", 3.0, 0.6, kind="motion")
    assert "motion_blur" in keys(observe(flat(125, 60), applied=[edit]))
    assert "soft" in keys(observe(flat(125, 60), applied=[replace(edit, kind="defocus")]))


def test_observations_are_known_bounded_and_sorted(many):
    for facts in many:
        observations = observe_facts(facts)
        assert keys(observations) <= set(KINDS)
        strengths = [one.strength for one in observations]
        assert strengths == sorted(strengths, reverse=True) and all(0 < value <= 1 for value in strengths)
        assert keys(observations) <= keys(observe_facts(facts, slack=0.3))


def test_opposites_are_mutual_and_do_not_hold_together(many):
    for key, others in OPPOSITES.items():
        assert key not in others and all(key in OPPOSITES[other] for other in others)
    clashes = [
        (key, other)
        for facts in many
        for found in [{one.key for one in observe_facts(facts) if one.strength > 0.2}]
        for key in found
        for other in OPPOSITES[key] & found
        if key < other
    ]
    assert len(clashes) <= 0.05 * len(many), clashes


def test_observing_is_cheap():
    photo, saliency = drawn(1, (768, 1024))
    times = []
    for _ in range(7):
        start = time.perf_counter()
        observe(photo, saliency)
        times.append(time.perf_counter() - start)
    assert min(times) < 0.03


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


def test_a_blurred_photo_of_poor_quality_is_called_soft_even_when_squashed():
    rng = np.random.default_rng(0)
    photo = cv2.resize(rng.integers(0, 255, (28, 28, 3), np.uint8), (224, 224), interpolation=cv2.INTER_NEAREST)
    blurred = cv2.GaussianBlur(photo, (0, 0), 2.5)
    assert "soft" in keys(observe(blurred, native=False, quality=3.0))
    assert "soft" not in keys(observe(blurred, native=False, quality=7.0))
    assert "soft" not in keys(observe(photo, native=False, quality=3.0))


def test_faint_edits_are_not_worth_a_word():
    edit = Edit("tilt", "clockwise", 0.5, 0.1)
    assert "tilted" not in keys(observe(flat(125, 60), applied=[edit]))
