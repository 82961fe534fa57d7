"""The one network by transformers' conventions: a folder, a processor, ``generate``."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from parts import SPECIAL, write_trained
from PIL import Image
from test_one_network import ADAPTERS, BRANCHES, WORDS, photos
from transformers import AutoModel, AutoModelForImageTextToText, AutoProcessor

from calm.edits.remedy import to_suggestion
from calm.errors import CalmError, ConfigError, PhotoError, UsageError, WeightsError
from calm.inference.answers import Answers
from calm.inference.processing import CalmProcessor
from calm.inference.writing import drawn
from calm.model.exchange import CAPTION_QUESTION, COMMENT_QUESTION, SCORE_QUESTION, SUGGEST_QUESTION
from calm.model.pretrained import CalmConfig, CalmForConditionalGeneration
from calm.model.weights import fill_trained
from calm.types import CLASSES

SHAPE = {"image_size": 56, "branches": BRANCHES, "thematic_grid": 2, "words": 2, "vocabulary": WORDS}
SHAPE |= {"attribute_words": ["dark", "warm"], "attribute_tokens": 1, "qformer_layers": 1, "qformer_heads": 2}
SHAPE |= {
    "qformer_hidden": 32,
    "vision_lora": ADAPTERS,
    "text_lora": ADAPTERS,
    "image_token_id": SPECIAL.index("<image>"),
}
QUESTIONS = [SCORE_QUESTION, SUGGEST_QUESTION, COMMENT_QUESTION, CAPTION_QUESTION]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved network with random trained parts, whose scores and words differ from photo to photo."""
    root = tmp_path_factory.mktemp("one")
    return write_trained(root, SHAPE)


@pytest.fixture(scope="module")
def network(folder: Path) -> CalmForConditionalGeneration:
    return CalmForConditionalGeneration.from_pretrained(folder)


@pytest.fixture(scope="module")
def processor(folder: Path) -> CalmProcessor:
    return CalmProcessor.from_pretrained(folder)


def say(network, processor, images, text, **settings) -> list[str]:
    return processor.batch_decode(network.generate(**processor(images=images, text=text), **settings))


def test_generate_speaks_the_score_that_is_read(network, processor) -> None:
    answers = Answers(network, processor.tokenizer)
    means = answers.scores(answers.see(photos(6))) @ torch.arange(1.0, 11)
    spoken = say(network, processor, photos(6), SCORE_QUESTION)
    assert spoken == [f"{mean:.1f}" for mean in means.tolist()]
    assert len(set(spoken)) > 1, "another photo is given another score"


def test_the_score_head_has_the_share_that_it_is_given(network, processor, monkeypatch) -> None:
    answers = Answers(network, processor.tokenizer)
    seen = answers.see(photos(2), detail=False)
    read, head = answers.scores(seen), seen.score.softmax(dim=1)
    monkeypatch.setattr(network.config, "score_head_share", 0.25)
    assert torch.allclose(answers.scores(seen), 0.75 * read + 0.25 * head, atol=1e-6)
    assert not torch.allclose(read, head, atol=0.01)


def test_generate_speaks_the_surest_remedy_or_nothing(network, processor, monkeypatch) -> None:
    answers = Answers(network, processor.tokenizer)
    remedies, severities = answers.advice(answers.see(photos(3)))
    sure, best = remedies[:, : len(CLASSES)].max(dim=1)
    monkeypatch.setattr(network.config, "remedy_least", 0.0)
    spoken = say(network, processor, photos(3), SUGGEST_QUESTION)
    assert spoken == [
        to_suggestion(CLASSES[k], float(severities[row, k]), 1.0, seed=0).text for row, k in enumerate(best.tolist())
    ]
    monkeypatch.setattr(network.config, "remedy_least", float(sure.max()) + 0.01)
    assert say(network, processor, photos(3), SUGGEST_QUESTION) == ["Nothing."] * 3


def test_generate_gives_the_words_of_answers(network, processor) -> None:
    """Guards against a second prompt, another cut, or a comment whose score is not the one that is read."""
    answers = Answers(network, processor.tokenizer)
    seen = answers.see(photos(2))
    caption = say(network, processor, photos(2), CAPTION_QUESTION, max_new_tokens=12)
    assert caption == answers.text(seen, CAPTION_QUESTION, 12) and len(set(caption)) == 2
    begun = answers.line_starts(seen)
    rest = answers.text(seen, COMMENT_QUESTION, 8, begun)
    for photo, start, more in zip(photos(2), begun, rest, strict=True):
        length = 8 + len(answers.packer.tokens(start))
        assert say(network, processor, photo, COMMENT_QUESTION, max_new_tokens=length) == [f"{start}{more}".strip()]
    assert answers.text(seen, COMMENT_QUESTION, 8, [begun[0], "A much longer beginning. " + begun[0]])[0] == rest[0]


def test_words_are_drawn_by_seed_and_place_alone() -> None:
    """Guards against a comment that depends on the batch, or on anything but the photo."""
    logits = torch.log(torch.tensor([0.6, 0.3, 0.1] + [1e-9] * 20)).expand(400, -1)
    seeds = torch.arange(400)
    third = torch.full_like(seeds, 3)
    found = drawn(logits, seeds, third, temperature=1.0)
    assert torch.equal(found[7:9], drawn(logits[:2], seeds[7:9], third[:2], temperature=1.0))
    assert not torch.equal(found, drawn(logits, seeds, third + 1, temperature=1.0))
    shares = torch.bincount(found, minlength=3)[:3] / 400
    assert torch.allclose(shares, torch.tensor([0.6, 0.3, 0.1]), atol=0.08)


def test_cached_equals_uncached_generation(network, processor) -> None:
    inputs = processor(photos(2), QUESTIONS[2:])
    cached, plain = (network.generate(**inputs, max_new_tokens=12, use_cache=use) for use in (True, False))
    assert torch.equal(cached, plain)


def test_a_batch_of_one_equals_one_of_four_with_other_questions(network, processor) -> None:
    together = say(network, processor, photos(4), QUESTIONS, max_new_tokens=16)
    alone = [
        say(network, processor, photo, question, max_new_tokens=16)[0]
        for photo, question in zip(photos(4), QUESTIONS, strict=True)
    ]
    assert together == alone
    beams = say(network, processor, photos(2), QUESTIONS[:2], num_beams=2)
    assert beams == [say(network, processor, photos(2)[i], QUESTIONS[i])[0] for i in range(2)]


def test_answers_follow_their_prompts(network, processor) -> None:
    inputs = processor(photos(2), [SCORE_QUESTION, "?"])
    out = network.generate(**inputs, max_new_tokens=5)
    length = inputs["input_ids"].shape[1]
    assert torch.equal(out[:, :length], inputs["input_ids"])
    assert processor.batch_decode(out[:, length:]) == processor.batch_decode(out)


def test_logits_are_those_of_the_prompt_at_inference(network, processor) -> None:
    answers = Answers(network, processor.tokenizer)
    inputs = processor(photos(2), CAPTION_QUESTION)
    states = answers.states(answers.prompt(answers.see(photos(2)), CAPTION_QUESTION))
    with torch.no_grad():
        logits = network(**inputs).logits
    torch.testing.assert_close(logits[:, -1], network.word_logits(states[:, -1]), atol=1e-4, rtol=1e-3)


FRESH = """
import json, sys
import numpy as np
from calm.inference.processing import CalmProcessor
from calm.model.pretrained import CalmForConditionalGeneration
folder, pixels, question = sys.argv[1:]
network, processor = CalmForConditionalGeneration.from_pretrained(folder), CalmProcessor.from_pretrained(folder)
inputs = processor(images=list(np.load(pixels)), text=json.loads(question))
print(json.dumps(processor.batch_decode(network.generate(**inputs, max_new_tokens=16))))
"""


def test_a_saved_network_answers_alike_in_a_fresh_process(network, processor, folder, tmp_path) -> None:
    """Guards against what only this process knows: the frozen parts, the tokenizer, a registry."""
    network.save_pretrained(tmp_path / "again")
    config = (tmp_path / "again/config.json").read_bytes()
    processor.save_pretrained(tmp_path / "again")
    assert (tmp_path / "again/config.json").read_bytes() == config, "saving the processor changes no hash"
    names = {"config.json", "manifest.json", "trained.safetensors"}
    assert {path.name for path in (tmp_path / "again").iterdir()} == names
    assert (tmp_path / "again/manifest.json").read_text() == (folder / "manifest.json").read_text()
    np.save(tmp_path / "photos.npy", np.stack(photos(4)))
    arguments = [str(tmp_path / "again"), str(tmp_path / "photos.npy"), json.dumps(QUESTIONS)]
    done = subprocess.run([sys.executable, "-c", FRESH, *arguments], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == say(network, processor, photos(4), QUESTIONS, max_new_tokens=16)


def test_auto_classes_know_the_network(folder, network) -> None:
    for kind in (AutoModel, AutoModelForImageTextToText):
        found = kind.from_pretrained(folder, dtype=torch.float32)
        assert isinstance(found, CalmForConditionalGeneration) and not found.training
    found = AutoProcessor.from_pretrained(folder)
    assert isinstance(found, CalmProcessor) and "CalmProcessor" in repr(found)
    assert say(network, found, photos(1), SCORE_QUESTION)


def test_a_path_an_image_and_an_array_are_the_same_photo(processor, tmp_path) -> None:
    pixels = photos(1)[0]
    Image.fromarray(pixels).save(tmp_path / "a.png")
    found = processor([pixels, Image.fromarray(pixels), tmp_path / "a.png", str(tmp_path / "a.png")])
    assert set(found) == {"frames", "crops", "measures"}
    for values in found.values():
        assert all(torch.equal(each, values[0]) for each in values)


def test_what_cannot_be_asked_is_refused(network, processor, tmp_path) -> None:
    with pytest.raises(UsageError, match="a question for each of 2 photos, found 3"):
        processor(photos(2), ["?"] * 3)
    with pytest.raises(UsageError, match="return_tensors"):
        processor(photos(1), "?", return_tensors="np")
    with pytest.raises(UsageError, match="uint8"):
        processor(np.zeros((4, 4, 3)), "?")
    with pytest.raises(PhotoError, match="nothing there"):
        processor([tmp_path / "gone.jpg"], "?")
    inputs = processor(photos(1), "?")
    with pytest.raises(ConfigError, match="image placeholders"):
        network.generate(inputs["input_ids"][:, 30:], inputs["frames"], inputs["crops"], inputs["measures"])
    bare = CalmForConditionalGeneration(network.config)
    with pytest.raises(ConfigError, match="its tokenizer"):
        bare.generate(**inputs)


def edited(name: str, change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_bytes(change((folder / name).read_bytes()))


def set_to_gone(field: str) -> Callable[[Path], None]:
    return edited("config.json", lambda data: json.dumps(json.loads(data) | {field: "/gone"}).encode())


DAMAGES = {
    "nothing of ours": (shutil.rmtree, UsageError, "expected a model folder or one of"),
    "no weights": (lambda folder: (folder / "trained.safetensors").unlink(), WeightsError, "found none"),
    "half the weights": (edited("trained.safetensors", lambda data: data[:999]), WeightsError, "trained.safetensors"),
    "half a manifest": (edited("manifest.json", lambda data: data[:99]), WeightsError, "manifest.json"),
    "another manifest": (edited("manifest.json", lambda _: b"[]"), WeightsError, "manifest.json"),
    "half a configuration": (edited("config.json", lambda data: data[:99]), WeightsError, "config.json"),
    "another network": (
        edited("config.json", lambda data: data.replace(b'"calm"', b'"calm-one"')),
        WeightsError,
        "of type calm in",
    ),
    "no frozen part": (set_to_gone("vision_source"), WeightsError, "a transformers model at /gone"),
    "no tokenizer": (set_to_gone("text_source"), WeightsError, "a tokenizer at /gone"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_broken_folder_is_one_clear_error(damage, folder, tmp_path) -> None:
    shutil.copytree(folder, tmp_path / "broken")
    change, error, words = DAMAGES[damage]
    change(tmp_path / "broken")
    with pytest.raises(error, match=words):
        CalmForConditionalGeneration.from_pretrained(tmp_path / "broken")


def test_names_and_options_that_there_are_not(folder) -> None:
    for kind in (CalmForConditionalGeneration, CalmProcessor):
        with pytest.raises(UsageError, match="'calm-huge'; see: calm models"):
            kind.from_pretrained("calm-huge")
    with pytest.raises(CalmError, match="device_map='cuda'"):
        CalmForConditionalGeneration.from_pretrained(folder, device_map="cuda")
    with pytest.raises(UsageError, match="float16"):
        CalmForConditionalGeneration.from_pretrained(folder, dtype=torch.float16)


def test_another_vocabulary_takes_what_was_learnt_of_the_same_words(folder, network) -> None:
    words = ["a new word", *reversed(WORDS)]
    other = CalmForConditionalGeneration(CalmConfig.from_dict(network.config.to_dict() | {"vocabulary": words}))
    fill_trained(other, folder)
    known = dict(zip(WORDS, network.lexicon.bias.tolist(), strict=True))
    found = dict(zip(words, other.lexicon.bias.tolist(), strict=True))
    assert found == {**known, "a new word": -6.0}


def test_a_packaged_name_is_a_folder(folder, monkeypatch) -> None:
    from calm.model import catalogue

    monkeypatch.setattr(catalogue, "PACKAGED", folder.parent)
    assert CalmForConditionalGeneration.from_pretrained("trained").config.vocabulary == WORDS
    assert CalmProcessor.from_pretrained("trained").config.vocabulary == WORDS
