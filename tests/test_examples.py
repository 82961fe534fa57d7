"""In-context learning of a person's taste: the prompt, its cache, its training, and profiles that rest on it."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from parts import SHAPE, write_parts
from safetensors import safe_open
from transformers import AutoModelForCausalLM

from calm.chat import Chat
from calm.data.hashes import hash_files
from calm.errors import ConfigError, UsageError, WeightsError
from calm.eval.piaa import unseen
from calm.model.checkpoint import load_tokenizer
from calm.model.examples import READER, ExampleReader, Examples, load_reader, save_reader
from calm.personal.in_context import InContext
from calm.personal.prior import Prior, Shown
from calm.personal.profile import Preferred, Profile
from calm.personal.seen import Seen
from calm.tasks.base import Context
from calm.tasks.people import PeopleTask
from calm.train.losses import example_losses
from calm.train.run import train

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


def test_losses_fall_to_what_certainty_leaves():
    ratings = torch.tensor([[2.0, 5.0, 9.0] * 5])
    right = example_losses(-0.5 * ((torch.arange(1, 11.0) - ratings[..., None]) / 0.6) ** 2, ratings)
    wrong = example_losses(-0.5 * ((torch.arange(1, 11.0) - (11 - ratings)[..., None]) / 0.6) ** 2, ratings)
    assert right["rating"] < wrong["rating"] and right["order"] < 0.01 and wrong["order"] > 0.9


def oasis(root: Path) -> list[str]:
    """OASIS in its layout with few, random photos: half of them in each block, rated by people of its own."""
    (root / "images").mkdir(parents=True)
    rng = np.random.default_rng(1)
    names = [f"{i}.jpg" for i in range(PHOTOS)]
    for name in names:
        (root / "images" / name).write_bytes(rng.bytes(64))
    with open(root / "images.csv", "w", newline="") as stream:
        table = csv.writer(stream)
        table.writerow(["file", "block", "category", "beauty_mean"])
        table.writerows([name, 1 + i % 2, "Scene", 4.0] for i, name in enumerate(names))
    with open(root / "ratings.csv", "w", newline="") as stream:
        table = csv.writer(stream)
        table.writerow(["user", "file", "rating"])
        for person in range(PEOPLE):
            table.writerows(
                [person, name, int(rng.integers(1, 8))] for i, name in enumerate(names) if i % 2 == person % 2
            )
    return [str(root / "images" / name) for name in names]


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    """Data root: the photos, and what a model saw on them and on others."""
    folder = tmp_path_factory.mktemp("data")
    paths = oasis(folder / "oasis")
    rng = np.random.default_rng(2)
    hashes = hash_files(paths, label="test")
    (folder / "seen").mkdir()
    for name, which in (("oasis", [hashes[path] for path in paths]), ("others", [f"{i:064x}" for i in range(60)])):
        shown = Shown(rng.normal(size=(len(which), 6)), rng.uniform(3, 8, len(which)))
        Seen.gather("model", which, shown).save(folder / "seen" / f"{name}.safetensors")
    return folder


def recipe(folder: Path, root: Path, **settings) -> Path:
    vision, text = write_parts(folder / "parts")
    lora = {"r": 2, "lora_alpha": 2, "target_modules": ["q_proj", "v_proj"]}
    options = {"unlabelled": ["seen/others.safetensors"], "split": "train", "width": 6, "length": 12}
    task = {"name": "people", "batch": 4, "options": options}
    stage = {"name": "read", "steps": 3, "learn": {"examples": 1e-3, "language": 1e-3}, "read": ["examples"]}
    config = SHAPE | {"examples": 10, "text_lora": lora} | settings
    tree = {
        "name": "tiny",
        "model": {"vision": vision, "text": text, "image_token": "<image>", "config": config},
        "data": {"root": str(root)},
        "output": str(folder / "run"),
        "stages": [stage | {"tasks": [task]}],
    }
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(tree))
    return path


def test_training_leaves_a_reader_that_knows_what_it_was_taught(root, tmp_path, monkeypatch):
    monkeypatch.setenv("CALM_CACHE", str(tmp_path / "cache"))
    folder = train(recipe(tmp_path, root))
    text = str(tmp_path / "parts" / "text")
    found, photos = load_reader(folder / READER, text, Chat(load_tokenizer(text), 3, 4), 0.13)
    paths = [str(path) for path in (root / "oasis" / "images").iterdir()]
    hashes = hash_files(paths, label="test")
    first = {sha[:8] for path, sha in hashes.items() if int(Path(path).stem) % 2 == 0}
    assert set(photos) == first, "the photos of block 1 alone"
    learner = InContext(found, Prior.load(folder / "tastes.safetensors"), photos)
    rng = np.random.default_rng(5)
    shown = Shown(rng.normal(size=(9, 6)), rng.uniform(3, 8, 9))
    said = learner.learn(shown[:4], np.array([2.0, 9.0, 5.0, 5.0]))(shown)
    assert said.shape == (9,) and np.ptp(said) > 0 and ((said >= 1) & (said <= 10)).all()
    second = [sha for path, sha in hashes.items() if int(Path(path).stem) % 2]
    assert unseen([learner], second) == [learner]
    assert unseen([learner], [*second, next(sha for sha in hashes.values() if sha[:8] in first)]) == []


def test_a_config_of_another_width_is_refused(root, tmp_path, monkeypatch):
    monkeypatch.setenv("CALM_CACHE", str(tmp_path / "cache"))
    with pytest.raises(ConfigError, match="expected examples: 10 in the recipe's config"):
        train(recipe(tmp_path, root, examples=9))


def test_real_and_simulated_people(root):
    """A sample is a pure function of its generator; ratings are on 1–10; stretched ones keep their order."""
    config = type("Config", (), {"examples": 10})()
    context = Context(root, root, config)
    settings = {"unlabelled": ["seen/others.safetensors"], "width": 6, "length": 10}
    task = PeopleTask(context, **settings, real=1.0, scaled=0.0, noise=0.0)
    assert len(task) == PEOPLE and len(task.hashes()) == PHOTOS
    one, two = (task.sample(3, np.random.default_rng(9)) for _ in range(2))
    assert np.array_equal(one.examples, two.examples) and np.array_equal(one.ratings, two.ratings)
    given = {float(np.float32(1 + 1.5 * step)) for step in range(7)}
    assert set(one.ratings.tolist()) <= given, "a real person's ratings as they are"
    simulated = PeopleTask(context, **settings, real=0.0)
    drawn = [simulated.sample(0, np.random.default_rng(i)) for i in range(40)]
    assert all(((each.ratings >= 1) & (each.ratings <= 10)).all() for each in drawn)
    assert np.std([each.ratings.mean() for each in drawn]) > 0.05, "people differ"


def test_a_language_model_learns_to_read_examples(source):
    """A few dozen steps on people of different levels: then ten examples tell the level, which none cannot."""
    torch.manual_seed(0)
    language_model = AutoModelForCausalLM.from_pretrained(source)
    examples = Examples(WIDTH, language_model.config.hidden_size, 0.5)
    reader = ExampleReader(language_model, examples, Chat(load_tokenizer(source), 3, 4))
    optimizer = torch.optim.AdamW([*examples.parameters(), *language_model.parameters()], lr=3e-3)

    def people(count: int) -> tuple[torch.Tensor, torch.Tensor]:
        photos, level = torch.randn(count, 14, WIDTH), 3.0 + 5.0 * torch.rand(count, 1)
        return photos, level + photos[..., 0].clamp(-1.5, 1.5)

    for _ in range(60):
        photos, ratings = people(16)
        losses = example_losses(reader.logits(photos, ratings), ratings)
        optimizer.zero_grad()
        (losses["rating"] + losses["order"]).backward()
        optimizer.step()
    photos, ratings = people(40)
    errors = {}
    for count in (0, 10):
        remembered = [reader.remember(each[:count], given[:count]) for each, given in zip(photos, ratings, strict=True)]
        said = [reader.rate(known, each[10:]) for known, each in zip(remembered, photos, strict=True)]
        errors[count] = float((torch.stack(said) @ torch.arange(1, 11.0) - ratings[:, 10:]).square().mean())
    assert errors[10] < 0.6 * errors[0]


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
