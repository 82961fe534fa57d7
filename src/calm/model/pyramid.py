"""A convolutional pyramid that judges beside the encoder, all of whose weights may learn.

A transformer over patches and a small convolutional network err differently on the same photos, all the more where the
latter has learnt from other people's ratings before (NIMA on AVA, :mod:`calm.model.nima`). It is an order of magnitude
cheaper than the encoder, so that its opinion is mixed into every score at little cost (ours; docs/lab.md, 47).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn.utils import fuse_conv_bn_eval
from transformers import AutoModel

from calm.errors import ConfigError, WeightsError
from calm.model.backbone import in_chunks
from calm.model.compact import pack_difference, unpack_difference
from calm.model.heads import HEADS

if TYPE_CHECKING:
    from calm.model.configuration import CalmConfig
    from calm.model.modeling import CalmForConditionalGeneration

SAYS = ("score", "quality", "emotions")
"""Heads of :data:`calm.model.heads.HEADS` that the pyramid has of its own."""
MIDDLE = 5.5
"""Of the scale of quality, where its head begins."""
PYRAMID = "pyramid.safetensors"
PYRAMIDS = "pyramid*.safetensors"
"""Files in a model's folder that hold a pyramid more each (:func:`save_pyramid`)."""
SETTINGS = "settings"
"""In the metadata of such a file: the fields of the configuration that it was taught with, as JSON."""
HEAD = "head.safetensors"
"""File beside a packaged pyramid: ``weight`` (10, width) and ``bias`` (10,) of what it already says of scores."""


class Pyramid(nn.Module):
    """A convolutional network of transformers, its norms folded in, and heads on the mean of its last feature map.

    Args:
        config: with ``pyramid_config``.

    Attributes:
        chunk: frames that go through at once, as in :class:`calm.model.encoder.VisionEncoder`; 0 for all.
        looks: ways in which it sees a frame when a score is read; its opinion is their mean.
        share: of the score, 0–1.
    """

    def __init__(self, config: CalmConfig) -> None:
        super().__init__()
        self.frozen, self.kernels = config.pyramid_frozen, config.pyramid_kernels
        self.dropout, self.chunk = config.pyramid_dropout, 0
        self.looks, self.share = config.pyramid_looks, config.pyramid_share
        self.model = _folded(AutoModel.from_config(config.pyramid_config))
        width = [each.out_channels for each in self.model.modules() if isinstance(each, nn.Conv2d)][-1]
        self.out = nn.ModuleDict({name: nn.Linear(width, HEADS[name]) for name in SAYS})
        nn.init.constant_(self.out["quality"].bias, MIDDLE)
        theirs, own = (config.image_mean, config.image_std), (config.pyramid_mean, config.pyramid_std)
        self.scale = [a / b for a, b in zip(theirs[1], own[1], strict=True)]
        self.shift = [(a - b) / c for a, b, c in zip(theirs[0], *own, strict=True)]

    def begin(self, folder: str | Path) -> None:
        """Take the weights of a pre-trained network from a folder, and its head where it has one."""
        self.model = _folded(AutoModel.from_pretrained(folder, dtype=torch.float32))
        if (path := Path(folder) / HEAD).is_file():
            self.out["score"].load_state_dict(load_file(path))

    def still(self) -> list[nn.Parameter]:
        """Parameters of the first ``config.pyramid_frozen`` convolutions, which do not learn, and of kernels of single
        channels unless ``config.pyramid_kernels``.
        """
        layers = [each for each in self.model.modules() if isinstance(each, nn.Conv2d)]
        still = [parameter for layer in layers[: self.frozen] for parameter in layer.parameters()]
        if not self.kernels:
            still += [layer.weight for layer in layers[self.frozen :] if layer.groups > 1]
        return still

    def hasten(self, dtype: torch.dtype, chunk: int) -> None:
        """Let the network run in a faster number format, ``chunk`` frames at once; the heads stay as they are."""
        self.model.to(dtype)
        self.chunk = chunk

    def forward(self, frames: Tensor) -> dict[str, Tensor]:
        """Whole frames (B, 3, S, S), normalised for the encoder → (B, n) for each name of :data:`SAYS`."""
        (told,) = in_chunks(lambda part: [self.pooled(part)], self.chunk, frames)
        told = F.dropout(told.to(self.out["score"].weight.dtype), self.dropout, self.training)
        return {name: head(told) for name, head in self.out.items()}

    def pooled(self, frames: Tensor) -> Tensor:
        """(B, width), float32."""
        scale, shift = (frames.new_tensor(each).view(3, 1, 1) for each in (self.scale, self.shift))
        frames = frames * scale + shift
        frames = frames.to(self.model.dtype).contiguous(memory_format=torch.channels_last)
        return self.model(frames).last_hidden_state.float().mean(dim=(2, 3))


def save_pyramid(model: CalmForConditionalGeneration, path: str | Path) -> None:
    """Write the pyramid of a model into a file of its own, to be put into the folder of another model.

    The file holds what training changed; the rest comes from the pyramid's source again.
    """
    pyramid, fields = model.pyramid, model.config.to_dict()
    if pyramid is None:
        raise ConfigError("expected a model with a pyramid, found one without; give pyramid in the recipe's model")
    state = pack_difference(pyramid.model.state_dict(prefix="model."), _source(model.config).state_dict())
    state |= pyramid.out.state_dict(prefix="out.")
    save_file(
        {n: (v if v.dtype == torch.uint8 else v.to(torch.bfloat16)).contiguous() for n, v in state.items()},
        path,
        metadata={
            "format": "pt",
            SETTINGS: json.dumps({n: v for n, v in fields.items() if n.startswith(("pyramid_", "image_"))}),
        },
    )


def load_pyramid(path: str | Path) -> Pyramid:
    """What :func:`save_pyramid` wrote. Raises :class:`WeightsError` for any other file, or without the source."""
    from calm.model.configuration import CalmConfig

    try:
        with safe_open(path, "pt") as file:
            config = CalmConfig(**json.loads((file.metadata() or {})[SETTINGS]))
        pyramid = _source(config)
        pyramid.load_state_dict(unpack_difference(load_file(path), pyramid.state_dict()))
    except (OSError, SafetensorError, RuntimeError, ValueError, KeyError, TypeError) as error:
        raise WeightsError(
            f"expected a pyramid in {path}, found: {error}; take one that calm train left beside the model's folder"
        ) from error
    return pyramid


def _source(config: CalmConfig) -> Pyramid:
    """The pyramid of a configuration before it was taught anything here."""
    from calm.model.checkpoint import source_dir

    pyramid = Pyramid(config)
    pyramid.begin(source_dir(config.pyramid_source))
    return pyramid


def _folded(model: nn.Module) -> nn.Module:
    """Batch norms as they stand become part of the convolutions before them: the same function, fewer operations."""
    for layer in model.modules():
        norm, convolution = getattr(layer, "normalization", None), getattr(layer, "convolution", None)
        if isinstance(norm, nn.BatchNorm2d) and isinstance(convolution, nn.Conv2d):
            layer.convolution = fuse_conv_bn_eval(convolution.eval(), norm.eval())
            layer.normalization = None
    left = [name for name, module in model.named_modules() if isinstance(module, nn.BatchNorm2d)]
    if left:
        raise ConfigError(
            f"expected a pyramid whose layers keep convolution and normalization side by side, found {left[0]} alone; "
            "use MobileNetV1 or another model of transformers that is built so"
        )
    return model.to(memory_format=torch.channels_last)
