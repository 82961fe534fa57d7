"""The metric object of image-quality toolboxes: the same scores, whatever the photos come as."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from doubles import BrightModel
from PIL import Image

from calm import Calm, PhotoError, UsageError
from calm.metric import Metric


@pytest.fixture
def metric() -> Metric:
    return Metric(Calm(BrightModel()), "bright")


def test_paths_images_and_tensors_have_the_scores_of_the_model(metric, tmp_path):
    arrays = [np.full((20, 30, 3), value, np.uint8) for value in (40, 90, 200)]
    wanted = [score.value for score in Calm(BrightModel()).score(arrays)]
    batch = torch.stack([torch.from_numpy(each).permute(2, 0, 1) / 255 for each in arrays])
    assert metric(batch).tolist() == pytest.approx(wanted)
    assert metric(batch[1]).tolist() == pytest.approx(wanted[1:2])
    Image.fromarray(arrays[2]).save(tmp_path / "a.png")
    for one in (tmp_path / "a.png", str(tmp_path / "a.png"), Image.fromarray(arrays[2])):
        assert metric(one).tolist() == pytest.approx(wanted[2:])
    assert metric(batch).dtype == torch.float32 and metric(batch).shape == (3,)
    assert metric(batch[:, :1] + 1e-7).tolist() == pytest.approx(wanted), "grey, and rounded a little beyond 1"
    assert metric.device.type == "cpu"


def test_it_says_what_a_toolbox_asks(metric):
    low, high = map(float, metric.score_range.split(","))
    assert (low, high) == (1, 10) and metric.lower_better is False and metric.metric_mode == "NR"
    assert metric.metric_name == "bright" and isinstance(metric, torch.nn.Module)
    dark, bright = metric(torch.tensor([0.1, 0.9]).view(2, 1, 1, 1).expand(2, 3, 8, 8))
    assert low <= dark < bright <= high


@pytest.mark.parametrize(
    "tensor",
    [torch.rand(2, 2, 8, 8), torch.rand(8, 8), torch.full((1, 3, 8, 8), 255.0), torch.zeros(0, 3, 8, 8)],
    ids=["two", "flat", "bytes", "none"],
)
def test_other_tensors_are_refused(metric, tensor):
    with pytest.raises(UsageError, match="expected RGB values of 0–1"):
        metric(tensor)


def test_references_and_broken_photos_are_refused(metric, tmp_path):
    with pytest.raises(UsageError, match="no reference"):
        metric(torch.rand(1, 3, 8, 8), torch.rand(1, 3, 8, 8))
    (tmp_path / "a.jpg").write_bytes(b"nothing")
    with pytest.raises(PhotoError):
        metric(tmp_path / "a.jpg")
