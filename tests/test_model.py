"""The model: parity with its sources, one photo or many, cached or not, saved or not."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from parts import LAYERS, SHAPE, tiny_tokenizer, write_parts
from transformers import AutoModelForCausalLM, Blip2QFormerConfig, Blip2QFormerModel

from calm.chat import IGNORED, Chat
from calm.errors import ConfigError, WeightsError
from calm.model.checkpoint import build, freeze_base, load, save_trained, trained_state
from calm.model.configuration import CalmConfig
from calm.model.encoder import pool_grid
from calm.model.heads import HEADS
from calm.model.modeling import CalmForConditionalGeneration, join
from calm.model.qformer import QFormer
from calm.model.splice import splice
from calm.readout import score_distribution

LORA = {"r": 2, "lora_alpha": 4, "target_modules": ["q_proj", "v_proj"]}
IMAGE = 3


@pytest.fixture
def model(tmp_path: Path) -> CalmForConditionalGeneration:
    vision, text = write_parts(tmp_path)
    torch.manual_seed(1)
    return build(vision, text, torch.float32, image_token_id=IMAGE, **SHAPE).eval()


def photos(count: int, crops: int = 2) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(count)
    return {
        "views": torch.randn(count, 1 + crops, 3, 56, 56, generator=generator),
        "crop_mask": torch.arange(count * crops).reshape(count, crops) % 3 > 0,
        "measures": torch.randn(count, 8, generator=generator),
    }


def chat_of(model: CalmForConditionalGeneration) -> Chat:
    return Chat(tiny_tokenizer(), IMAGE, model.config.visual_tokens)


@pytest.mark.parametrize("count", [7, 70])
def test_qformer_equals_blip2(count: int) -> None:
    """The same weights give the numbers of transformers' Q-Former, whichever way the features are projected."""
    config = Blip2QFormerConfig(
        hidden_size=24,
        num_attention_heads=3,
        num_hidden_layers=2,
        intermediate_size=40,
        encoder_hidden_size=20,
        cross_attention_frequency=1,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    torch.manual_seed(0)
    theirs = Blip2QFormerModel(config).eval()
    ours = QFormer(queries=5, width=24, heads=3, feature_width=20, hidden=40, layers=2).eval()
    names = {
        "layernorm": "norm",
        "attention.attention": "self_attention",
        "attention.output.dense": "self_attention.out",
        "attention.output.LayerNorm": "self_attention.norm",
        "crossattention.attention": "cross_attention",
        "crossattention.output.dense": "cross_attention.out",
        "crossattention.output.LayerNorm": "cross_attention.norm",
        "intermediate_query.dense": "up",
        "output_query.dense": "down",
        "output_query.LayerNorm": "norm",
    }
    state = {"queries": ours.queries.detach()}
    for name, value in theirs.state_dict().items():
        head, _, tail = name.partition("encoder.layer.")
        number, rest = tail.split(".", 1) if tail else ("", name)
        old = max((key for key in names if rest.startswith(key + ".")), key=len)
        state[(f"layers.{number}." if tail else "") + names[old] + rest[len(old) :]] = value
    ours.load_state_dict(state)
    features = torch.randn(2, count, 20)
    mask = torch.ones(2, count, dtype=torch.bool)
    mask[1, 4:] = False
    expected = theirs(
        query_embeds=ours.queries.expand(2, -1, -1),
        encoder_hidden_states=features,
        encoder_attention_mask=mask.long(),
    ).last_hidden_state
    torch.testing.assert_close(ours(features, mask), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("vision", ["dinov2", "clip", "siglip"])
@pytest.mark.parametrize("text", ["llama", "qwen2"])
def test_any_encoder_and_language_model(tmp_path: Path, vision: str, text: str) -> None:
    """Contract of every pair of parts: features equal the source's hidden states; answers can be generated."""
    sources = write_parts(tmp_path, vision, text)
    model = build(*sources, torch.float32, image_token_id=IMAGE, **SHAPE).eval()
    inputs = photos(2)
    with torch.no_grad():
        states = model.vision.model(pixel_values=inputs["views"][:, 0], output_hidden_states=True).hidden_states
        features = model.vision(inputs["views"][:, 0], [1, 3])
    torch.testing.assert_close(features[:, 1], pool_grid(states[3], model.config.pool))
    ids, mask = chat_of(model).questions(["Score?", "What else is there?"])
    out = model.generate(input_ids=ids, attention_mask=mask, max_new_tokens=4, do_sample=False, **inputs)
    assert out.shape[0] == 2 and ids.shape[1] < out.shape[1] <= ids.shape[1] + 4


def test_unknown_layer_is_refused(tmp_path: Path) -> None:
    vision, text = write_parts(tmp_path)
    with pytest.raises(ConfigError, match="encoder layers up to 4"):
        build(vision, text, torch.float32, **(SHAPE | {"thematic_layer": 9}))


def test_tokens_stand_in_the_order_of_the_paper(model: CalmForConditionalGeneration) -> None:
    inputs = photos(2)
    tokens = model.align(**model.encode(inputs["views"], inputs["crop_mask"]), crop_mask=inputs["crop_mask"])
    assert list(tokens) == ["low", "middle", "high", "thematic", "statistics", "technique", "beliefs"]
    assert join(tokens).shape == (2, model.config.visual_tokens, 48)


def test_without_our_additions_the_prompt_is_the_papers(tmp_path: Path) -> None:
    vision, text = write_parts(tmp_path)
    papers = SHAPE | {"beliefs": 0, "statistics": 0, "technique": 0}
    model = build(vision, text, torch.float32, image_token_id=IMAGE, **papers).eval()
    inputs = photos(2)
    with torch.no_grad():
        tokens = model.align(**model.encode(inputs["views"], inputs["crop_mask"]), crop_mask=inputs["crop_mask"])
    assert list(tokens) == ["low", "middle", "high", "thematic"]
    assert join(tokens).shape[1] == model.config.visual_tokens
    assert not any(name.startswith("beliefs") for name in trained_state(model))


def test_beliefs_follow_the_heads_and_have_the_size_of_words(model: CalmForConditionalGeneration) -> None:
    """Two photos of which the heads believe the same have the same belief tokens, whatever else they show."""
    outputs = {name: torch.randn(1, n).repeat(2, 1) for name, n in HEADS.items()}
    outputs["quality"][1] += 3.0
    with torch.no_grad():
        same = model.beliefs({name: value[:1].repeat(2, 1) for name, value in outputs.items()})
        other = model.beliefs(outputs)
    torch.testing.assert_close(same[0], same[1], atol=1e-6, rtol=0)  # the last bit may depend on the row
    assert not torch.allclose(other[0], other[1], atol=1e-4)
    size = other.square().mean(dim=2).sqrt()
    torch.testing.assert_close(size, torch.full_like(size, model.config.token_rms), atol=1e-3, rtol=1e-3)


def test_one_photo_or_many(model: CalmForConditionalGeneration) -> None:
    inputs = photos(5)
    with torch.no_grad():
        together = model.visual_tokens(**inputs)
        alone = [model.visual_tokens(**{name: value[i : i + 1] for name, value in inputs.items()}) for i in range(5)]
    torch.testing.assert_close(together, torch.cat(alone), atol=1e-5, rtol=1e-5)


def test_a_masked_crop_is_not_read(model: CalmForConditionalGeneration) -> None:
    inputs = photos(1)
    inputs["crop_mask"] = torch.tensor([[True, False]])
    changed = inputs["views"].clone()
    changed[:, 2] += 1
    with torch.no_grad():
        assert torch.equal(model.visual_tokens(**inputs), model.visual_tokens(**(inputs | {"views": changed})))
        changed[:, 1] += 1
        assert not torch.equal(model.visual_tokens(**inputs), model.visual_tokens(**(inputs | {"views": changed})))


def test_splice_checks_every_row() -> None:
    ids = torch.tensor([[9, IMAGE, IMAGE, 8], [IMAGE, 9, 9, 8]])
    with pytest.raises(ConfigError, match="found 1 in row 1"):
        splice(torch.zeros(2, 4, 3), ids, torch.ones(2, 2, 3), IMAGE)
    ids[1, 2] = IMAGE
    visual = torch.arange(12.0).reshape(2, 2, 3) + 1
    spliced = splice(torch.zeros(2, 4, 3), ids, visual, IMAGE)
    assert torch.equal(spliced[0, 1:3], visual[0]) and torch.equal(spliced[1, [0, 2]], visual[1])
    assert not spliced[0, [0, 3]].any() and not spliced[1, [1, 3]].any()


def test_cached_equals_uncached_generation(model: CalmForConditionalGeneration) -> None:
    inputs = photos(2)
    ids, mask = chat_of(model).questions(["Score?"] * 2)
    options = {"max_new_tokens": 6, "do_sample": False, **inputs}
    cached = model.generate(input_ids=ids, attention_mask=mask, use_cache=True, **options)
    plain = model.generate(input_ids=ids, attention_mask=mask, use_cache=False, **options)
    assert torch.equal(cached, plain)


def test_labels_cover_the_answer_alone() -> None:
    """Golden mask: what is learnt is the answer and its end."""
    chat = Chat(tiny_tokenizer(), IMAGE, visual_tokens=2)
    ids, mask, labels, starts = chat.exchange([("Hi?", "6.5"), ("Hello you?", "10")])
    golden = (Path(__file__).parent / "golden_mask.txt").read_text(encoding="utf-8").splitlines()
    shown = []
    for row in range(2):
        tokens = chat.tokenizer.convert_ids_to_tokens(ids[row])
        shown += [
            f"{row} {'.' if not mask[row, i] else '*' if labels[row, i] != IGNORED else '-'} {token}"
            for i, token in enumerate(tokens)
        ]
    assert shown == golden
    assert ids[0, starts[0] + 1] == chat.token("6")


def test_score_distribution_is_one_and_counts_ten(model: CalmForConditionalGeneration) -> None:
    """P(10) is P("1") times P("0" after "1"), as a stepwise reading gives it."""
    chat = chat_of(model)
    inputs = photos(3)
    with torch.no_grad():
        visual = model.visual_tokens(**inputs)
        read = score_distribution(model, chat, visual)
        ids = torch.tensor([chat.prompt("Can you give me the aesthetic score?")] * 3)
        first = model(input_ids=ids, visual=visual).logits[:, -1]
        ones = torch.cat([ids, torch.full((3, 1), chat.token("1"))], dim=1)
        second = model(input_ids=ones, visual=visual).logits[:, -1]
    digits = first[:, [chat.token(str(d)) for d in range(1, 10)]].softmax(1)
    ten = digits[:, 0] * second[:, [chat.token("0"), chat.token(".")]].softmax(1)[:, 0]
    torch.testing.assert_close(read.sum(1), torch.ones(3))
    torch.testing.assert_close(read[:, 9], ten, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(read[:, 1:9], digits[:, 1:], atol=1e-5, rtol=1e-4)


def test_a_name_of_no_layer_is_refused_among_targets_of_adapters(tmp_path: Path) -> None:
    """PEFT adapts what it finds and says nothing of the rest."""
    parts = write_parts(tmp_path)
    lora = LORA | {"target_modules": ["q_proj", "query"]}
    with pytest.raises(ConfigError, match="found 'query', which none has; its linear layers are called .*q_proj"):
        build(*parts, image_token_id=IMAGE, vision_lora=lora, **SHAPE)


def test_adapters_merge_to_the_same_function(tmp_path: Path) -> None:
    vision, text = write_parts(tmp_path)
    model = build(vision, text, torch.float32, image_token_id=IMAGE, vision_lora=LORA, text_lora=LORA, **SHAPE).eval()
    for part in ("vision", "language"):
        for _, parameter in model.adapter_parameters(part):
            torch.nn.init.normal_(parameter, std=0.1)
    inputs = photos(2)
    ids, mask = chat_of(model).questions(["Score?"] * 2)
    with torch.no_grad():
        before = model(input_ids=ids, attention_mask=mask, **inputs).logits
        model.merge_adapters()
        after = model(input_ids=ids, attention_mask=mask, **inputs).logits
    torch.testing.assert_close(before, after, atol=1e-4, rtol=1e-4)
    assert not any("lora" in name for name, _ in model.named_parameters())


def test_branches_without_adapters_do_not_see_them(tmp_path: Path) -> None:
    """The encoder forks: one branch reads it with its adapters, the others as if there were none, merged or not."""
    parts = write_parts(tmp_path)
    lora = LORA | {"layers_to_transform": [2, 3], "layers_pattern": "layer"}
    torch.manual_seed(1)
    forked = build(
        *parts, torch.float32, image_token_id=IMAGE, vision_lora=lora, adapted_branches=["statistics"], **SHAPE
    ).eval()
    plain = build(*parts, torch.float32, image_token_id=IMAGE, **SHAPE).eval()
    plain.load_state_dict({k.replace(".base_layer", ""): v for k, v in forked.state_dict().items() if "lora_" not in k})
    for _, parameter in forked.adapter_parameters("vision"):
        torch.nn.init.normal_(parameter, std=0.3)
    inputs = photos(2)
    views, mask = inputs["views"], inputs["crop_mask"]

    def tokens(model: CalmForConditionalGeneration) -> dict[str, torch.Tensor]:
        with torch.no_grad():
            return model.align(**model.encode(views, mask), crop_mask=mask, measures=inputs["measures"])

    seen, without = tokens(forked), tokens(plain)
    told = {"statistics", "beliefs"}
    assert all(torch.equal(seen[name], without[name]) == (name not in told) for name in seen)
    with torch.no_grad():
        frame = forked.encode(views[:, :1], branches=["statistics"])
        assert frame["whole"] is None
        alone = forked.align(**frame, branches=["statistics"])["statistics"]
        torch.testing.assert_close(alone, seen["statistics"], atol=1e-6, rtol=1e-5)
        with pytest.raises(ConfigError, match="without its adapters for the branch low"):
            forked.align(**frame, branches=["low"])
    forked.merge_adapters()
    assert not any("lora" in name for name, _ in forked.named_parameters())
    for name, value in tokens(forked).items():
        torch.testing.assert_close(value, seen[name], atol=1e-4, rtol=1e-4)


def test_adapters_from_the_first_block_on_cannot_fork(tmp_path: Path) -> None:
    parts = write_parts(tmp_path)
    with pytest.raises(ConfigError, match="from block 1 on; give vision_lora layers_to_transform"):
        build(*parts, image_token_id=IMAGE, vision_lora=LORA, adapted_branches=["statistics"], **SHAPE)


def test_save_pretrained_round_trip(model: CalmForConditionalGeneration, tmp_path: Path) -> None:
    model.save_pretrained(tmp_path / "saved")
    assert not list((tmp_path / "saved").glob("*.bin"))
    again = AutoModelForCausalLM.from_pretrained(tmp_path / "saved", dtype=torch.float32).eval()
    kept, read = model.state_dict(), again.state_dict()
    assert kept.keys() == read.keys() and all(torch.equal(kept[name], read[name]) for name in kept)
    inputs = photos(2)
    ids, mask = chat_of(model).questions(["Score?"] * 2)
    with torch.no_grad():  # the last bit may depend on where in memory the weights lie
        torch.testing.assert_close(
            model(input_ids=ids, attention_mask=mask, **inputs).logits,
            again(input_ids=ids, attention_mask=mask, **inputs).logits,
            atol=1e-6,
            rtol=0,
        )
    assert isinstance(again.config, CalmConfig) and again.config.low_layers == LAYERS["low_layers"]


def test_trained_folder_holds_only_what_was_trained(tmp_path: Path) -> None:
    vision, text = write_parts(tmp_path)
    model = build(vision, text, torch.float32, image_token_id=IMAGE, text_lora=LORA, **SHAPE).eval()
    save_trained(model, tmp_path / "trained", tiny_tokenizer())
    assert sorted(path.suffix for path in (tmp_path / "trained").iterdir()) == [
        ".jinja",
        ".json",
        ".json",
        ".json",
        ".safetensors",
    ]
    again = load(tmp_path / "trained", torch.float32)
    for name, value in trained_state(model).items():
        assert torch.equal(value, trained_state(again)[name]), name


def test_trained_file_of_another_shape_is_refused(tmp_path: Path) -> None:
    vision, text = write_parts(tmp_path)
    model = build(vision, text, torch.float32, image_token_id=IMAGE, **SHAPE)
    other = build(vision, text, torch.float32, image_token_id=IMAGE, **(SHAPE | {"low_queries": 5}))
    save_trained(other, tmp_path / "other")
    from calm.model.checkpoint import load_trained

    with pytest.raises(WeightsError, match="the configuration that it was trained with"):
        load_trained(model, tmp_path / "other" / "calm.safetensors")


def test_gradient_checkpointing_gives_the_same_gradient(model: CalmForConditionalGeneration) -> None:
    freeze_base(model)
    inputs = photos(2)
    ids, mask, labels, _ = chat_of(model).exchange([("Score?", "6.5"), ("Score?", "3.1")])
    gradients = []
    for checkpointing in (False, True):
        model.zero_grad()
        model.train()
        for module in model.modules():
            if isinstance(module, (QFormer, torch.nn.Dropout)) or hasattr(module, "dropout"):
                module.eval()
        if checkpointing:
            model.activation_checkpointing_enable()
        model(input_ids=ids, attention_mask=mask, labels=labels, **inputs).loss.backward()
        gradients.append(model.mfam.qformers["high"].queries.grad.clone())
    torch.testing.assert_close(*gradients)
