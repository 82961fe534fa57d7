"""The one network: packing, visual tokens, gradients, the answers' dependence on what is seen."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from parts import text_model, tiny_tokenizer, vision_model

from calm.data.views import make_views, normalise
from calm.inference.answers import Answers
from calm.model.exchange import COMMENT_QUESTION, IGNORED, SCORE_QUESTION, SUGGEST_QUESTION, Exchange, Packer, embed
from calm.model.pretrained import CalmConfig, CalmForConditionalGeneration
from calm.model.visual import VisualTokens
from calm.model.weights import embed_lexicons
from calm.train.examples import Example
from calm.train.run import load_recipe
from calm.train.shots import Known, Shot
from calm.train.trainer import Stage, Trainer
from calm.train.vocabulary import Vocabulary

WORDS = ["dog", "grass", "sea", "tree"]
BRANCHES = {
    "low": {"queries": 2, "layers": [1, 2]},
    "middle": {"queries": 2, "layers": [2, 3]},
    "high": {"queries": 2, "layers": [3, 4]},
}
ADAPTERS = {"r": 2, "lora_alpha": 2, "target_modules": ["q_proj", "v_proj"]}


def tiny(**changes: Any) -> tuple[CalmForConditionalGeneration, Packer]:
    """A network of the real classes with random weights, and its packer."""
    torch.manual_seed(3)
    tokenizer = tiny_tokenizer()
    shape: dict[str, Any] = {
        "image_size": 56,
        "branches": BRANCHES,
        "thematic_grid": 2,
        "words": 2,
        "vocabulary": WORDS,
        "attribute_words": ["dark", "warm"],
        "attribute_tokens": 1,
        "qformer_layers": 1,
        "qformer_heads": 2,
        "qformer_hidden": 32,
        "vision_lora": ADAPTERS,
        "text_lora": ADAPTERS,
    }
    config = CalmConfig(vision_model().config, text_model(len(tokenizer)).config, **shape | changes)
    model = CalmForConditionalGeneration(config)
    embed_lexicons(model, tokenizer)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:  # adapters that begin at zero change nothing and pass no gradient on
            torch.nn.init.normal_(parameter, std=0.1)
    return model, Packer(tokenizer, config.frame_tokens, config.detail_tokens, length=160)


def photos(count: int, seed: int = 0, size: int = 90) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.integers(0, 255, (size, size + 20, 3), dtype=np.uint8) for _ in range(count)]


def seen_by(model: CalmForConditionalGeneration, packer: Packer, count: int = 3) -> VisualTokens:
    return Answers(model, packer.tokenizer).see(photos(count))


def read(
    model: CalmForConditionalGeneration, packer: Packer, seen: VisualTokens, exchanges: list[list[Exchange]]
) -> dict[tuple[str, int], torch.Tensor]:
    """Hidden states at the places where distributions are read, by kind and photo."""
    trainer = Trainer.__new__(Trainer)
    trainer.model = model
    packed = packer.pack(exchanges)
    with torch.no_grad():
        states = model.hidden(embed(model, packed, seen), packed.mask, packed.positions)
    return {
        (kind, photo): states[row, column]
        for kind, places in packed.reads.items()
        for (row, column), (photo, _) in zip(places, packed.exchanges[kind], strict=True)
    }


def test_packed_exchanges_equal_single_ones() -> None:
    """Guards against exchanges or photos of one row that read each other, and against wrong positions."""
    model, packer = tiny()
    seen = seen_by(model, packer)
    score = Exchange("score", SCORE_QUESTION, target=(0.1,) * 10, detail=False)
    remedy = Exchange("suggest", SUGGEST_QUESTION, target=(1.0,), remedy=3, severity=0.5)
    words = Exchange("text", "?", "a b")
    packer.length = 400
    together = read(model, packer, seen, [[words, score, remedy], [score], [remedy, words]])
    for photo in range(3):
        for exchange in (score, remedy):
            alone = read(model, packer, seen, [[exchange] if i == photo else [] for i in range(3)])
            for key, state in alone.items():
                if key in together:
                    torch.testing.assert_close(together[key], state, atol=1e-5, rtol=1e-4)


def test_unpacked_exchanges_give_the_same_numbers() -> None:
    model, packer = tiny()
    seen, score = seen_by(model, packer), Exchange("score", SCORE_QUESTION, target=(0.1,) * 10, detail=False)
    asked = [[score, Exchange("suggest", SUGGEST_QUESTION, target=(1.0,), remedy=3, severity=0.5)]] * 3
    together = read(model, packer, seen, asked)
    packer.packed = False
    apart = read(model, packer, seen, asked)
    assert together.keys() == apart.keys()
    for key, state in together.items():
        torch.testing.assert_close(apart[key], state, atol=1e-5, rtol=1e-4)


def test_a_network_without_a_part_still_answers() -> None:
    """The rows of the comparison: each branch left out, shared layers, no head tokens."""
    for changes in (
        {"branches": {name: each for name, each in BRANCHES.items() if name != "low"}, "attribute_tokens": 0},
        {"branches": {name: each for name, each in BRANCHES.items() if name != "high"}},
        {"thematic_grid": 0},
        {"summary_tokens": 0},
        {"share_qformer": True},
        {"head_tokens": False},
    ):
        model, packer = tiny(**changes)
        answers = Answers(model, packer.tokenizer)
        seen = answers.see(photos(2))
        assert seen.frame.shape[1] == model.config.frame_tokens, changes
        assert seen.detail is not None and seen.detail.shape[1] == model.config.detail_tokens, changes
        assert answers.scores(seen).shape == (2, 10) and answers.remedies(seen).shape[0] == 2


def test_reading_a_packed_row_equals_the_prompt_at_inference() -> None:
    """Guards against training on other prompts than those that are answered."""
    model, packer = tiny()
    answers = Answers(model, packer.tokenizer)
    seen = answers.see(photos(2))
    packed = read(model, packer, seen, [[Exchange("score", SCORE_QUESTION, target=(1.0,), detail=False)]] * 2)
    expected = torch.stack([model.score_logits(packed["score", i][None])[0].softmax(0) for i in range(2)])
    torch.testing.assert_close(answers.scores(seen), expected, atol=1e-5, rtol=1e-4)


def test_mask_in_words() -> None:
    """One row in full: opening o, frame f, crop c, then two exchanges; who reads whom."""
    _, packer = tiny()
    packer.frame_tokens, packer.detail_tokens, packer.length = 2, 1, 120
    packed = packer.pack([[Exchange("score", "a", target=(1.0,), detail=False), Exchange("text", "b", "c")]])
    opening = len(packer.opening)
    frame, crop = opening, opening + 2
    first = crop + 1
    second = first + len(packer.question("a"))
    last = second + len(packer.question("b"))
    mask = packed.mask[0]
    assert mask[first, :opening].all() and mask[first, frame:crop].all()
    assert not mask[first, crop], "an exchange about the frame does not read the crop"
    assert mask[second, frame : crop + 1].all(), "an exchange about detail reads frame and crop"
    assert not mask[second:last, first:second].any(), "exchanges do not read each other"
    assert not mask[frame, crop] and mask[crop, frame:crop].all()
    assert packed.positions[0, first] == opening + 2 and packed.positions[0, second] == opening + 3
    assert mask[-1].sum() == 1 and mask[-1, -1], "padding reads itself alone"


def test_labels_are_the_answer_and_its_end() -> None:
    """Guards against learning the question, or forgetting where to stop."""
    _, packer = tiny()
    for ended in (True, False):
        packed = packer.pack([[Exchange("text", "q", "yes", prompt="no, ", ended=ended)]])
        learnt = packed.labels[packed.labels != IGNORED].tolist()
        assert learnt == packer.tokens("yes") + [packer.end] * ended


def test_answers_do_not_depend_on_the_batch() -> None:
    model, packer = tiny()
    answers = Answers(model, packer.tokenizer)
    together = answers.scores(answers.see(photos(4)))
    alone = torch.cat([answers.scores(answers.see([photo])) for photo in photos(4)])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-4)


def test_answers_do_not_depend_on_what_is_asked_beside_them() -> None:
    """The last layer was read for all photos at once: its rounding depended on how many there were."""
    model, packer = tiny()
    answers, asked = Answers(model, packer.tokenizer, 8), photos(11)
    for read in (answers.scores, answers.qualities, answers.remedies, lambda seen: torch.cat(answers.advice(seen), 1)):
        alone = torch.cat([read(answers.see([photo])) for photo in asked])
        assert torch.equal(read(answers.see(asked)), alone)


def test_every_answer_changes_with_the_visual_tokens() -> None:
    """The fault of the seventh release: comments that were the same with another photo's tokens."""
    model, packer = tiny()
    answers = Answers(model, packer.tokenizer)
    seen = answers.see(photos(2))
    swapped = seen.of(torch.tensor([1, 0]))
    assert not torch.allclose(answers.scores(seen)[0], answers.scores(swapped)[0], atol=1e-6)
    assert not torch.allclose(answers.remedies(seen)[0], answers.remedies(swapped)[0], atol=1e-6)
    own, others = (answers.likelihood(each, COMMENT_QUESTION, ["a dog"])[0] for each in (seen, swapped))
    assert not torch.allclose(own, others, atol=1e-6)


def shots(model: CalmForConditionalGeneration) -> list[Shot]:
    """Rated photos with the features of blocks that never change, as training keeps them."""
    config = model.config
    found = []
    for seed in range(6):
        views = make_views(photos(1, seed=seed)[0], 56)
        frame, crop = (
            normalise(each[None], config.image_mean, config.image_std) for each in (views.whole, *views.crops)
        )
        with torch.no_grad():
            pooled, tokens = model.backbone.trunk(frame, config.trunk_layers, config.trunk)
            detail = model.backbone(crop, config.detail_layers)
        kept = {"features": pooled[0].numpy(), "tokens": tokens[0].numpy(), "detail": detail[0].numpy()}
        found.append(Shot(Known("a", "b"), None, None, {"luma_mean": 60.0}, "rated", target=(0.1,) * 10, **kept))
    return found


class Asked:
    """A drawer that asks everything there is about a photo."""

    critiques = None

    def __init__(self) -> None:
        self.vocabulary, self.text = Vocabulary(WORDS), True

    def example(self, shot, rng):
        known = np.array([1, -1], np.float32)
        found = Example(shot, words=["dog"], attributes=known, score=shot.target, remedies=(1 / 23,) * 23)
        found.exchanges = [
            Exchange("score", SCORE_QUESTION, target=shot.target, detail=False),
            Exchange("quality", "Quality?", target=shot.target),
            Exchange("suggest", SUGGEST_QUESTION, target=found.remedies, remedy=2, severity=0.5),
            Exchange("text", "?", "ab"),
        ]
        return found

    def speak(self, found, rng) -> None:
        """Its exchanges are complete."""


PARTS = ("alignment", "score", "lexicon", "heads", "answers", "vision", "language")


def trainer(folder: Path) -> Trainer:
    late = {"layers_to_transform": [2, 3], "layers_pattern": "layer"}
    model, packer = tiny(vision_lora=ADAPTERS | late)
    packer.length = 400
    return Trainer(model, packer, Asked(), {"rated": shots(model)}, folder)


RECIPE = load_recipe(Path(__file__).parents[1] / "recipes/calm-small.yaml", ["data.root=/somewhere"])
STAGES = {stage.name: stage for stage in RECIPE.stages}
STAGES["all"] = Stage("all", 1, dict.fromkeys(PARTS, 1e-3), {})


@pytest.mark.parametrize("name", STAGES)
def test_every_part_that_a_stage_trains_gets_a_gradient(name: str, tmp_path: Path) -> None:
    """The fault of the seventh release: no Q-Former tensor got a gradient in any stage."""
    found, stage = trainer(tmp_path), replace(STAGES[name], batch={"rated": 2}, rows=4, length=400)
    sum(found.losses(found.draw(stage, 0), stage).values()).backward()
    learning = found.model.trained_parameters(stage.rates)
    without = {key for key, each in learning.items() if each.grad is None or not each.grad.abs().sum() > 0}
    # keys' biases move all of a query's logits alike, which softmax takes away; "unsure" is read by the language model
    assert {key for key in without if ".key.bias" not in key and not key.endswith("unsure")} == set()


def test_trunk_and_late_blocks_are_the_whole_encoder() -> None:
    """Kept features of blocks that never change, and the others run anew, must be what one pass gives."""
    model, _ = tiny()
    pixels = torch.randn(2, 3, 56, 56)
    layers = model.config.layers
    whole = model.backbone(pixels, layers)
    for until in range(layers[0], layers[-1]):
        kept, tokens = model.backbone.trunk(pixels, [k for k in layers if k <= until], until)
        late = model.backbone.late(tokens, [k for k in layers if k > until], until)
        assert torch.equal(torch.cat([kept, late], dim=1), whole)


def test_merged_blocks_are_the_blocks_with_their_adapters() -> None:
    model, _ = tiny()
    tokens = torch.randn(2, 17, model.config.vision_config.hidden_size)
    own = model.backbone.late(tokens, [3, 4], 2)
    model.backbone.use_merged_blocks(2)
    torch.testing.assert_close(model.backbone.late(tokens, [3, 4], 2), own, atol=1e-5, rtol=1e-4)
    for name, parameter in model.backbone.named_parameters():
        if "lora_B" in name:
            torch.nn.init.zeros_(parameter)
    torch.testing.assert_close(model.backbone.late(tokens, [3, 4], 2), own, atol=1e-5, rtol=1e-4)
    model.backbone.use_adapters()
    assert not torch.allclose(model.backbone.late(tokens, [3, 4], 2), own)


def test_many_answers_are_as_likely_as_each_alone() -> None:
    model, packer = tiny()
    answers = Answers(model, packer.tokenizer)
    seen, texts, begun = answers.see(photos(2)), ["a dog", "grass and sea", "a"], ["a ", "b ", "c "]
    together = answers.likelihood(seen, COMMENT_QUESTION, texts, begun)
    alone = [answers.likelihood(seen, COMMENT_QUESTION, [t], [b]) for t, b in zip(texts, begun, strict=True)]
    torch.testing.assert_close(together, torch.cat(alone, dim=1), atol=1e-4, rtol=1e-4)


def test_what_a_stage_does_not_name_stands_still(tmp_path: Path) -> None:
    found = trainer(tmp_path)
    before = {name: value.detach().clone() for name, value in found.model.named_parameters()}
    found.run(Stage("answers", 2, {"answers": 1e-2}, {"rated": 2}, rows=4, length=400))
    for name, value in found.model.named_parameters():
        same = torch.equal(before[name], value)
        assert same != name.startswith(("answers.", "quality.", "remedy_tokens.", "heads.levels.")), name


def test_resumed_equals_uninterrupted(tmp_path: Path) -> None:
    stage = Stage("s", 4, {"alignment": 1e-3, "answers": 1e-3}, {"rated": 2}, rows=4, length=400)
    whole = trainer(tmp_path / "whole")
    whole.run(stage)
    stopped = trainer(tmp_path / "stopped")
    steps = stopped.batches

    def two(stage, start):
        for step, examples in steps(stage, start):
            if step == 2:
                raise KeyboardInterrupt
            yield step, examples

    stopped.batches = two
    with pytest.raises(KeyboardInterrupt):
        stopped.run(stage, every=0.0)
    again = trainer(tmp_path / "stopped")
    again.run(stage)
    for (name, expected), found in zip(whole.model.named_parameters(), again.model.parameters(), strict=True):
        torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-5, msg=name)


def test_a_trained_network_is_the_same_from_its_folder(tmp_path: Path) -> None:
    """Guards against tensors left out of the file, and against a manifest that does not cover the bytes."""
    from parts import write_parts

    from calm.errors import WeightsError
    from calm.model.pretrained import build, load
    from calm.model.weights import save

    vision, text = write_parts(tmp_path)
    torch.manual_seed(1)
    shape = {"image_size": 56, "branches": BRANCHES, "thematic_grid": 2, "words": 2, "vocabulary": WORDS}
    shape |= {"attribute_words": ["dark"], "attribute_tokens": 1}
    qformer = {"qformer_layers": 1, "qformer_heads": 2, "qformer_hidden": 32}
    model, tokenizer = build(vision, text, **shape, **qformer, vision_lora=ADAPTERS, text_lora=ADAPTERS)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.1)
    save(model, tmp_path / "trained")
    again, _ = load(tmp_path / "trained")
    scores = [Answers(each, tokenizer) for each in (model, again)]
    own, others = (each.scores(each.see(photos(3))) for each in scores)
    torch.testing.assert_close(own, others, atol=0.02, rtol=0.05)  # eight bits
    save(again, tmp_path / "again")
    stored = [(tmp_path / folder / "manifest.json").read_text() for folder in ("trained", "again")]
    assert stored[0] == stored[1], "what was stored once is stored the same again"
    path = tmp_path / "again/trained.safetensors"
    data = bytearray(path.read_bytes())
    data[-3] ^= 0xFF
    path.write_bytes(bytes(data))
    with pytest.raises(WeightsError, match="sha256"):
        load(tmp_path / "again")


def test_the_recipe_names_parts_that_there_are() -> None:
    """Every part that a stage of the shipped recipe trains exists, and the shares name known sets."""
    from calm.train.knowledge import FOLDERS
    from calm.train.run import load_recipe

    recipe = load_recipe(Path(__file__).parents[1] / "recipes/calm-small.yaml", ["data.root=/somewhere"])
    model, _ = tiny()
    for stage in recipe.stages:
        assert all(model.trained_parameters([part]) for part in stage.rates)
        assert set(stage.batch) <= {"rated", "named", "edited", "blank"}
    assert set(recipe.shares) | set(recipe.per_set) <= set(FOLDERS)


def test_controls_on_an_untrained_network() -> None:
    """They run, and find nothing where nothing was learnt."""
    from calm.eval.controls import blank_frames, controls, plant
    from calm.eval.names import names

    model, packer = tiny()
    answers = Answers(model, packer.tokenizer)
    found = controls(answers, photos(10, size=240), seed=1)
    assert len(found["blank"]) == len(blank_frames())
    assert found["identification"]["n"] == 10
    assert found["swap"]["suggestions_top1"] <= 0.5
    named = names(answers, photos(3), [frozenset({"dog"})] * 3)
    assert named["right"] == named["right_swapped"] == 0
    rng = np.random.default_rng(0)
    assert plant("Light: dark.", answers, rng) == "Light: bright."
    assert plant("nothing is claimed", answers, rng) is None


def test_standardising_summaries_changes_nothing_but_how_they_are_learnt() -> None:
    model, packer = tiny()
    answers = Answers(model, packer.tokenizer)
    before = answers.scores(answers.see(photos(3)))
    with torch.no_grad():
        frames = torch.randn(8, 3, 56, 56)
        model.alignment.standardise(model.backbone(frames, model.config.layers))
    torch.testing.assert_close(answers.scores(answers.see(photos(3))), before, atol=1e-4, rtol=1e-3)
    spread = model.alignment.branches["low"].summary.spread
    assert not torch.equal(spread, torch.ones_like(spread))
