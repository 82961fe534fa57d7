"""EfficientNet-Lite as a model of transformers: a small convolutional network, norms folded into its convolutions.

EfficientNet: Tan and Le, ICML 2019; Lite: without squeeze-and-excitation, with ReLU6, stem and head of one width. Its
weights of ImageNet come in packages (:mod:`calm.model.weights`); :mod:`calm.model.semantics` reads it as it came,
:mod:`calm.model.pyramid` can be taught from it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, PretrainedConfig, PreTrainedModel
from transformers.modeling_outputs import BaseModelOutputWithNoAttention

from calm.errors import ConfigError

WIDTH, STEM = 1280, 32
STAGES = (
    (1, 16, 1, 3, 1),
    (6, 24, 2, 3, 2),
    (6, 40, 2, 5, 2),
    (6, 80, 3, 3, 2),
    (6, 112, 3, 5, 1),
    (6, 192, 4, 5, 2),
    (6, 320, 1, 3, 1),
)
"""Of each stage: expansion, channels, repeats, kernel, and stride of the first block."""
DIVISOR = 8
"""Channels are multiples of this."""


@dataclass(frozen=True)
class Scaling:
    """How a network of the family is scaled: ``width`` of its layers, ``depth`` of its stages, ``side`` of its frames
    in pixels.
    """

    width: float
    depth: float
    side: int

    def channels(self, count: int) -> int:
        """Channels of a layer that has ``count`` in the smallest network."""
        scaled = count * self.width
        rounded = max(DIVISOR, int(scaled + DIVISOR / 2) // DIVISOR * DIVISOR)
        return rounded + DIVISOR if rounded < 0.9 * scaled else rounded

    def blocks(self) -> list[tuple[int, int, int, int, int]]:
        """Of each block: channels read, channels out, expansion, kernel and stride."""
        found, read = [], STEM
        for stage, (expansion, count, repeats, kernel, stride) in enumerate(STAGES):
            out = self.channels(count)
            ends = stage in (0, len(STAGES) - 1)
            for repeat in range(repeats if ends else math.ceil(repeats * self.depth)):
                found.append((read, out, expansion, kernel, stride if repeat == 0 else 1))
                read = out
        return found


SCALINGS = {"lite0": Scaling(1.0, 1.0, 224), "lite2": Scaling(1.1, 1.2, 260)}


class LiteConfig(PretrainedConfig):
    """Configuration of :class:`LiteModel`: ``scaling`` is a name of :data:`SCALINGS`."""

    model_type = "efficientnet_lite"

    def __init__(self, scaling: str = "lite0", **kwargs: Any) -> None:
        if scaling not in SCALINGS:
            raise ConfigError(f"expected scaling to be one of {', '.join(SCALINGS)}, found {scaling!r}; name one of it")
        self.scaling = scaling
        super().__init__(**kwargs)


class Convolution(nn.Conv2d):
    """A convolution padded as TensorFlow does ("same"), its norm folded in, then ReLU6 if ``bent``."""

    def __init__(self, read: int, out: int, kernel: int, stride: int = 1, groups: int = 1, bent: bool = True) -> None:
        super().__init__(read, out, kernel, stride, groups=groups)
        self.bent = bent

    def forward(self, x: Tensor) -> Tensor:
        kernel, stride = self.kernel_size[0], self.stride[0]
        short = [max(kernel - (stride if side % stride == 0 else side % stride), 0) for side in x.shape[:1:-1]]
        if any(missing % 2 for missing in short):
            x = F.pad(x, [part for missing in short for part in (missing // 2, missing - missing // 2)])
            short = [0, 0]
        padding = [missing // 2 for missing in reversed(short)]
        learns = torch.is_grad_enabled()
        if self.groups > 1 and learns:
            # A bias that learns inside of a convolution by channels makes its backward pass ten times slower.
            x = F.conv2d(x, self.weight, None, stride, padding, groups=self.groups)
            x = x + self.bias.to(x.dtype).view(-1, 1, 1)
        else:
            x = F.conv2d(x, self.weight, self.bias, stride, padding, groups=self.groups)
        return F.relu6(x, inplace=not learns) if self.bent else x


class Block(nn.Module):
    """An inverted residual: wider, each channel by itself, narrower (MobileNetV2; Sandler et al., CVPR 2018)."""

    def __init__(self, read: int, out: int, expansion: int, kernel: int, stride: int) -> None:
        super().__init__()
        wide = read * expansion
        self.expand = Convolution(read, wide, 1) if expansion > 1 else None
        self.depthwise = Convolution(wide, wide, kernel, stride, groups=wide)
        self.project = Convolution(wide, out, 1, bent=False)
        self.skips = stride == 1 and read == out

    def forward(self, x: Tensor) -> Tensor:
        y = x if self.expand is None else self.expand(x)
        y = self.project(self.depthwise(y))
        return x + y if self.skips else y


class Lite(PreTrainedModel):
    """The layers of a network of the family, as far as its last feature map."""

    config_class = LiteConfig
    main_input_name = "pixel_values"

    def __init__(self, config: LiteConfig) -> None:
        super().__init__(config)
        scaling = SCALINGS[config.scaling]
        self.side, blocks = scaling.side, scaling.blocks()
        self.stem = Convolution(3, STEM, 3, 2)
        self.blocks = nn.Sequential(*(Block(*block) for block in blocks))
        self.head = Convolution(blocks[-1][1], WIDTH, 1)
        self.post_init()

    def _init_weights(self, module: nn.Module) -> None:
        """Layers initialise themselves."""

    def map(self, frames: Tensor) -> Tensor:
        """Frames (B, 3, h, w), pixels normalised → the last feature map (B, 1280, h / 32, w / 32)."""
        return self.head(self.blocks(self.stem(frames)))


class LiteModel(Lite):
    """A network of the family without its classifier."""

    _keys_to_ignore_on_load_unexpected = [r"classifier\."]

    def forward(self, pixel_values: Tensor, **_: Any) -> BaseModelOutputWithNoAttention:
        """The map as ``last_hidden_state``, as transformers' convolutional networks give it."""
        return BaseModelOutputWithNoAttention(last_hidden_state=self.map(pixel_values))


AutoConfig.register(LiteConfig.model_type, LiteConfig, exist_ok=True)
AutoModel.register(LiteConfig, LiteModel, exist_ok=True)
