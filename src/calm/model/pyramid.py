"""A convolutional pyramid that judges beside the encoder, all of whose weights may learn.

A transformer over patches and a small convolutional network err differently on the same photos, all the more where the
latter has learnt from other people's ratings before (NIMA on AVA, :mod:`calm.model.nima`). It is an order of magnitude
cheaper than the encoder, so that its opinion is mixed into every score at little cost (ours; docs/lab.md, 47).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import fuse_conv_bn_eval
from transformers import AutoModel

from calm.errors import ConfigError
from calm.model.encoder import in_chunks
from calm.model.heads import HEADS

if TYPE_CHECKING:
    from calm.model.configuration import CalmConfig

SAYS = ("score", "quality", "emotions")
"""Heads of :data:`calm.model.heads.HEADS` that the pyramid has of its own."""
MIDDLE = 5.5
"""Of the scale of quality, where its head begins."""
HEAD = "head.safetensors"
"""File beside a packaged pyramid: ``weight`` (10, width) and ``bias`` (10,) of what it already says of scores."""


class Pyramid(nn.Module):
    """A convolutional network of transformers, its norms folded in, and heads on the mean of its last feature map.

    Args:
        config: with ``pyramid_config``.

    Attributes:
        chunk: frames that go through at once, as in :class:`calm.model.encoder.VisionEncoder`; 0 for all.
    """

    def __init__(self, config: CalmConfig) -> None:
        super().__init__()
        self.frozen, self.dropout, self.chunk = config.pyramid_frozen, config.pyramid_dropout, 0
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
            from safetensors.torch import load_file

            self.out["score"].load_state_dict(load_file(path))

    def still(self) -> list[nn.Parameter]:
        """Parameters of the first ``config.pyramid_frozen`` convolutions, which do not learn."""
        layers = [each for each in self.model.modules() if isinstance(each, nn.Conv2d)]
        return [parameter for layer in layers[: self.frozen] for parameter in layer.parameters()]

    def hasten(self, dtype: torch.dtype, chunk: int) -> None:
        """Let the network run in a faster number format, ``chunk`` frames at once; the heads stay as they are."""
        self.model.to(dtype)
        self.chunk = chunk

    def forward(self, frames: Tensor) -> dict[str, Tensor]:
        """Whole frames (B, 3, S, S), normalised for the encoder → (B, n) for each name of :data:`SAYS`."""
        (told,) = in_chunks(lambda part: [self.pooled(part)], frames, self.chunk)
        told = F.dropout(told.to(self.out["score"].weight.dtype), self.dropout, self.training)
        return {name: head(told) for name, head in self.out.items()}

    def pooled(self, frames: Tensor) -> Tensor:
        """(B, width), float32."""
        scale, shift = (frames.new_tensor(each).view(3, 1, 1) for each in (self.scale, self.shift))
        frames = frames * scale + shift
        frames = frames.to(self.model.dtype).contiguous(memory_format=torch.channels_last)
        return self.model(frames).last_hidden_state.float().mean(dim=(2, 3))


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
