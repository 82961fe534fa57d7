"""What a photo shows, as networks say that were taught a thousand kinds of things: EfficientNet-Lite on ImageNet.

A self-supervised encoder sees texture and layout well and groups what belongs together; a network that was taught names
of things knows much better what people find beautiful in what is shown. Tastes are learnt from both (ours; docs/lab.md,
51). These networks are far cheaper than the encoder, and are asked only where a photo is described.

EfficientNet: Tan and Le, ICML 2019; Lite: without squeeze-and-excitation, with ReLU6, stem and head of one width.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from calm.errors import WeightsError

FILE = "semantics.safetensors"
CLASSES, WIDTH, STEM = 1000, 1280, 32
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
NORM_EPSILON = 1e-3
MEAN, SPREAD = 127.0, 128.0
"""What pixels are normalised by."""
LONGEST = 2.0
"""Longer photos are squashed to this ratio of their sides."""
GRID = 8
"""Sides of frames are multiples of this many pixels."""


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


class Convolution(nn.Conv2d):
    """A convolution padded as TensorFlow does ("same"), its norm folded in, then ReLU6 if ``bent``."""

    def __init__(self, read: int, out: int, kernel: int, stride: int = 1, groups: int = 1, bent: bool = True) -> None:
        super().__init__(read, out, kernel, stride, groups=groups)
        self.bent = bent

    def forward(self, x: Tensor) -> Tensor:
        kernel, stride = self.kernel_size[0], self.stride[0]
        short = [max(kernel - (stride if side % stride == 0 else side % stride), 0) for side in x.shape[:1:-1]]
        x = F.pad(x, [part for missing in short for part in (missing // 2, missing - missing // 2)])
        x = super().forward(x)
        return F.relu6(x) if self.bent else x


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


class Semantics(nn.Module):
    """A network of the family with its classifier."""

    def __init__(self, scaling: Scaling) -> None:
        super().__init__()
        self.side = scaling.side
        blocks = scaling.blocks()
        self.stem = Convolution(3, STEM, 3, 2)
        self.blocks = nn.Sequential(*(Block(*block) for block in blocks))
        self.head = Convolution(blocks[-1][1], WIDTH, 1)
        self.classifier = nn.Linear(WIDTH, CLASSES)

    @classmethod
    def load(cls, folder: str | Path) -> Semantics:
        """From a folder that :func:`convert_semantics` wrote. Raises :class:`WeightsError` for any other."""
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(Path(folder) / FILE, "pt") as file:
                network = cls(SCALINGS[(file.metadata() or {})["scaling"]])
                network.load_state_dict({name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118
        except (OSError, SafetensorError, RuntimeError, KeyError) as error:
            raise WeightsError(
                f"expected an EfficientNet-Lite in {folder}, found: {error}; remove the folder, and it is made again"
            ) from error
        return network.eval().requires_grad_(False).to(memory_format=torch.channels_last)

    def frame(self, pixels: np.ndarray) -> Tensor:
        """A photo (H, W, 3) uint8 in its own shape, the shorter side as the network was taught: (1, 3, h, w)."""
        height, width = pixels.shape[:2]
        scale = self.side / min(height, width)
        sides = [min(round(each * scale), round(LONGEST * self.side)) for each in (width, height)]
        size = [max(GRID, round(each / GRID) * GRID) if each != self.side else each for each in sides]
        small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
        frame = torch.from_numpy((small.astype(np.float32) - MEAN) / SPREAD).permute(2, 0, 1)[None]
        return frame.to(self.stem.weight).contiguous(memory_format=torch.channels_last)

    def forward(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """Frames (B, 3, h, w) → mean of the last feature map (B, 1280), and logits of ImageNet's classes (B, 1000),
        float32.
        """
        pooled = self.head(self.blocks(self.stem(frames))).mean(dim=(2, 3))
        return pooled.float(), self.classifier(pooled).float()


def convert_semantics(name: str, path: Path, target: Path) -> None:
    """Write the network ``name`` of a package, norms folded into the convolutions, into the folder ``target``."""
    from safetensors.torch import save_file

    found = torch.load(path, map_location="cpu", weights_only=True)  # tensors alone: no code of the file is run

    def folded(convolution: str, norm: str) -> tuple[Tensor, Tensor]:
        gain = found[f"{norm}.weight"] / (found[f"{norm}.running_var"] + NORM_EPSILON).sqrt()
        weight = found[f"{convolution}.weight"] * gain.view(-1, 1, 1, 1)
        return weight, found[f"{norm}.bias"] - found[f"{norm}.running_mean"] * gain

    pairs = {"stem": ("_conv_stem", "_bn0"), "head": ("_conv_head", "_bn1")}
    for block, (_, _, expansion, _, _) in enumerate(SCALINGS[name].blocks()):
        parts = ("depthwise", "project") if expansion == 1 else ("expand", "depthwise", "project")
        norms = ("_bn1", "_bn2") if expansion == 1 else ("_bn0", "_bn1", "_bn2")
        for part, norm in zip(parts, norms, strict=True):
            pairs[f"blocks.{block}.{part}"] = f"_blocks.{block}._{part}_conv", f"_blocks.{block}.{norm}"
    state = {"classifier.weight": found["_fc.weight"], "classifier.bias": found["_fc.bias"]}
    for part, (convolution, norm) in pairs.items():
        state[f"{part}.weight"], state[f"{part}.bias"] = folded(convolution, norm)
    save_file({n: value.contiguous() for n, value in state.items()}, target / FILE, metadata={"scaling": name})
