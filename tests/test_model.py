"""Parts of the network by themselves: parity with their sources, and what they refuse."""

from __future__ import annotations

import pytest
import torch
from parts import vision_model
from transformers import Blip2QFormerConfig, Blip2QFormerModel

from calm.errors import ConfigError
from calm.model.backbone import Backbone
from calm.model.precision import fast_dtype
from calm.model.pretrained import splice
from calm.model.qformer import QFormer

IMAGE = 3


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
    queries = ours.queries.expand(2, -1, -1)
    expected = theirs(query_embeds=queries, encoder_hidden_states=features).last_hidden_state
    torch.testing.assert_close(ours(features), expected, atol=1e-5, rtol=1e-5)


def test_splice_checks_every_row() -> None:
    ids = torch.tensor([[9, IMAGE, IMAGE, 8], [IMAGE, 9, 9, 8]])
    with pytest.raises(ConfigError, match="found 1 in row 1"):
        splice(torch.zeros(2, 4, 3), ids, torch.ones(2, 2, 3), IMAGE)
    ids[1, 2] = IMAGE
    visual = torch.arange(12.0).reshape(2, 2, 3) + 1
    spliced = splice(torch.zeros(2, 4, 3), ids, visual, IMAGE)
    assert torch.equal(spliced[0, 1:3], visual[0]) and torch.equal(spliced[1, [0, 2]], visual[1])
    assert not spliced[0, [0, 3]].any() and not spliced[1, [1, 3]].any()


def test_tokens_that_are_no_square_are_refused() -> None:
    with pytest.raises(ConfigError, match="found 13 tokens"):
        Backbone(vision_model()).late(torch.zeros(1, 13, 32), [4], 3)


def test_features_are_the_hidden_states_of_the_source() -> None:
    model, pixels = vision_model().eval(), torch.randn(2, 3, 56, 56)
    with torch.no_grad():
        theirs = model(pixel_values=pixels, output_hidden_states=True).hidden_states
        features = Backbone(model, pool=1)(pixels, [1, 3])
    torch.testing.assert_close(features, torch.stack([theirs[1], theirs[3]], dim=1))


def test_the_number_format_is_one_that_this_machine_has() -> None:
    assert fast_dtype("cpu") in (torch.bfloat16, torch.float32)
    assert fast_dtype("meta") == torch.float32
