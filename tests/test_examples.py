"""In-context learning of a person's taste: the prompt, its cache, its training, and profiles that rest on it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from parts import write_parts
from safetensors import safe_open
from transformers import AutoModelForCausalLM

from calm.chat import Chat
from calm.errors import UsageError, WeightsError
from calm.model.checkpoint import load_tokenizer
from calm.model.examples import READER, ExampleReader, Examples, load_reader, save_reader
from calm.personal.in_context import InContext
from calm.personal.prior import Prior, Shown
from calm.personal.profile import Preferred, Profile
from calm.personal.seen import Seen

WIDTH = 5
PHOTOS, PEOPLE = 40, 12


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> str:
    return write_parts(tmp_path_factory.mktemp("parts"))[1]


@pytest.fixture
def reader(source) -> ExampleReader:
    torch.manual_seed(3)
    language_model = AutoModelForCausalLM.from_pretrained(source).eval().requires_grad_(False)
    tokenizer = load_tokenizer(source)
    examples = Examples(WIDTH, language_model.config.hidden_size, 0.13)
    for parameter in (examples.heard, examples.said, examples.bias):
        torch.nn.init.normal_(parameter, 0, 0.1)
    torch.nn.init.ones_(examples.gate)
    return ExampleReader(language_model, examples.requires_grad_(False), Chat(tokenizer, 3, 4))


def rated(count: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(seed)
    return torch.randn(count, WIDTH), 1 + 9 * torch.rand(count)


@pytest.mark.parametrize("count", [0, 1, 12])
def test_remembered_examples_say_what_the_whole_prompt_says(reader, count):
    photos, ratings = rated(count + 1)
    whole = reader.logits(photos[None], ratings[None])[0].softmax(dim=1)
    remembered = reader.remember(photos[:count], ratings[:count])
    assert torch.allclose(reader.rate(remembered, photos[count:])[0], whole[count], atol=1e-5)


def test_photos_asked_about_together_do_not_see_each_other(reader):
    photos, ratings = rated(20)
    remembered = reader.remember(photos[:6], ratings[:6])
    together = reader.rate(remembered, photos[6:])
    alone = torch.cat([reader.rate(remembered, each[None]) for each in photos[6:]])
    assert torch.allclose(together, alone, atol=1e-5) and remembered.cache.get_seq_length() == remembered.length
    assert not torch.allclose(together[0], together[1], atol=1e-4), "photos differ"


def test_what_was_rated_before_matters_and_what_comes_after_does_not(reader):
    photos, ratings = rated(8)
    other = ratings.clone()
    other[4] = 10.0
    before, after = reader.logits(photos[None], ratings[None])[0], reader.logits(photos[None], other[None])[0]
    assert torch.allclose(before[:5], after[:5], atol=1e-5) and not torch.allclose(before[5:], after[5:], atol=1e-4)


def test_a_rating_between_two_digits_is_a_mixture_of_their_tokens(reader):
    digits = reader.language_model.get_input_embeddings().weight[:10]
    token = reader.examples.ratings(torch.tensor([[3.0, 3.25, 4.0, 10.0, 12.0, 0.0]]), digits)[0]
    assert torch.allclose(token[1], 0.75 * token[0] + 0.25 * token[2], atol=1e-6)
    assert torch.equal(token[3], token[4]), "ratings end at 10"
    assert torch.allclose(token[5], digits[0] + reader.examples.heard[0])


def test_a_new_reader_says_what_tastes_say(source):
    language_model = AutoModelForCausalLM.from_pretrained(source).eval()
    reader = ExampleReader(
        language_model, Examples(WIDTH, language_model.config.hidden_size, 0.13), Chat(load_tokenizer(source), 3, 4)
    )
    photos, ratings = rated(7)
    photos[:, -2], photos[:, -1] = torch.linspace(-1.5, 1.5, 7), 0.4
    said = reader.rate(reader.remember(photos[:3], ratings[:3]), photos[3:])
    means = said @ torch.arange(1.0, 11.0)
    assert torch.allclose(means, 6.0 + photos[3:, -2], atol=0.1), "the verdict, whatever was rated"
    sure = photos.clone()
    sure[:, -1] = 0.0
    spread = (said * (torch.arange(1.0, 11.0) - means[:, None]) ** 2).sum(dim=1)
    narrow = reader.rate(reader.remember(sure[:3], ratings[:3]), sure[3:])
    assert ((narrow * (torch.arange(1.0, 11.0) - means[:, None]) ** 2).sum(dim=1) < spread).all()
    reader.logits(photos[None], ratings[None]).square().sum().backward()
    assert reader.examples.gate.grad, "what the language model reads beyond it can be learnt"


def profile_of(reader: ExampleReader, count: int = 12) -> tuple[Profile, Prior, InContext, Shown]:
    rng = np.random.default_rng(4)
    shown = Shown(rng.normal(size=(30, 6)), rng.uniform(3, 8, 30))
    people = [(np.arange(30), rng.uniform(1, 10, 30)) for _ in range(6)]
    prior = Prior.learn(shown, people, width=WIDTH - 4)
    learner = InContext(reader, prior)
    hashes = [f"{i:02}" * 32 for i in range(count)]
    given = rng.uniform(1, 10, count)
    return (
        Profile.learn("ann", ("m", "s"), prior, hashes, shown[:count], given, (1, 10), reader=learner),
        prior,
        learner,
        shown,
    )


def test_a_profile_in_context(reader, tmp_path):
    profile, prior, learner, shown = profile_of(reader)
    assert profile.way == "in-context" and profile.trust is not None and profile.trust.measure == "srcc"
    profile.save(tmp_path)
    again = Profile.load(tmp_path / "ann")
    said = again.scores(prior, shown, learner)
    assert again.way == "in-context" and all(1 <= score.value <= 10 for score in said)
    assert [score.value for score in said] == pytest.approx(
        learner.learn(shown[:12], profile.ratings)(shown).tolist(), abs=0.01
    )
    assert said[0].value == pytest.approx(np.dot(said[0].distribution, np.arange(1, 11)))
    with pytest.raises(UsageError, match="expected a model with a reader of examples"):
        again.scores(prior, shown)


def test_a_course_of_examples_gives_what_each_beginning_gives(reader):
    _, _, learner, shown = profile_of(reader)
    given = np.linspace(2, 9, 12)
    followed = learner.follow(shown[:12], given, (3, 0, 12), shown[12:])
    for k, said in zip((3, 0, 12), followed, strict=True):
        assert np.allclose(said, learner.learn(shown[:k], given[:k])(shown[12:]), atol=1e-4)
    assert not np.allclose(followed[0], followed[2], atol=1e-3)


def test_pairs_are_no_examples_in_context(reader):
    profile, prior, learner, shown = profile_of(reader)
    pairs = Preferred([("a" * 64, "b" * 64)], shown[:1], shown[slice(1, 2)])
    with pytest.raises(UsageError, match="expected ratings for a profile that is learnt in-context, found pairs"):
        Profile.learn("bob", ("m", "s"), prior, [], shown[:0], [], (1, 10), preferred=pairs, reader=learner)
    assert profile.pairs == ()


def test_a_reader_on_disk(reader, source, tmp_path):
    from peft import LoraConfig, inject_adapter_in_model

    lora = {"r": 2, "lora_alpha": 2, "target_modules": ["q_proj"]}
    inject_adapter_in_model(LoraConfig(**lora), reader.language_model)
    for name, value in reader.language_model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(value, 0, 0.05)
    state = {f"language_model.{n}": v for n, v in reader.language_model.state_dict().items() if "lora_" in n}
    state |= {f"examples.{n}": v for n, v in reader.examples.state_dict().items()}
    save_reader(state | {"mfam.other": torch.zeros(3)}, lora, ["aa", "bb"], tmp_path / READER)
    with safe_open(tmp_path / READER, "pt") as file:
        assert "mfam.other" not in file.keys()  # noqa: SIM118 - not a mapping
    chat = Chat(load_tokenizer(source), 3, 4)
    again, photos = load_reader(tmp_path / READER, source, chat, 0.13)
    assert photos == ["aa", "bb"]
    told, ratings = rated(9)
    before, after = (
        each.rate(each.remember(told[:6], ratings[:6]), told[6:]) @ torch.arange(1, 11.0) for each in (reader, again)
    )
    assert torch.allclose(before, after, atol=0.05)
    (tmp_path / "bad.safetensors").write_bytes(b"no")
    with pytest.raises(WeightsError, match="expected a reader of examples at"):
        load_reader(tmp_path / "bad.safetensors", source, chat, 0.13)


def test_photos_that_were_looked_at_are_found_by_their_hash(tmp_path):
    shown = Shown(np.arange(12.0).reshape(4, 3), np.arange(4.0))
    Seen.gather("m", ["a", "b", "a", "c"], shown).save(tmp_path / "seen.safetensors")
    seen = Seen.load(tmp_path / "seen.safetensors")
    assert seen.hashes == ("a", "b", "c") and seen.of(["c", "a"]).general.tolist() == [3.0, 0.0]
    with pytest.raises(WeightsError, match="found 1 missing"):
        seen.of(["a", "d"])
    with pytest.raises(WeightsError, match="make it with: calm profile look"):
        Seen.load(tmp_path / "none.safetensors")
