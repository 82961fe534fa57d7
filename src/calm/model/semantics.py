"""What a photo shows, as a network says that was taught a thousand kinds of things: EfficientNet-Lite0 on ImageNet.

A self-supervised encoder sees texture and layout well and groups what belongs together; a network that was taught names
of things knows much better what people find beautiful in what is shown. Tastes are learnt from both (ours; docs/lab.md,
51). It costs a tenth of the encoder, and only where a photo is described.

EfficientNet: Tan and Le, ICML 2019; Lite: without squeeze-and-excitation, with ReLU6.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from calm.errors import WeightsError
from calm.model.encoder import in_chunks

FILE = "semantics.safetensors"
CLASSES, WIDTH = 1000, 1280
BLOCKS = (
    (1, 16, 1, 3, 1),
    (6, 24, 2, 3, 2),
    (6, 40, 2, 5, 2),
    (6, 80, 3, 3, 2),
    (6, 112, 3, 5, 1),
    (6, 192, 4, 5, 2),
    (6, 320, 1, 3, 1),
)
"""Of each stage: expansion, channels, repeats, kernel, and stride of the first block."""
STEM = 32
NORM_EPSILON = 1e-3
MEAN, SPREAD = 127 / 255, 128 / 255
"""What its inputs are normalised by, of pixels on 0–1."""


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
    """EfficientNet-Lite0 with its classifier.

    Args:
        image_mean, image_std: that frames come normalised by.

    Attributes:
        chunk: frames that go through at once, as in :class:`calm.model.encoder.VisionEncoder`; 0 for all.
    """

    def __init__(self, image_mean: Sequence[float], image_std: Sequence[float]) -> None:
        super().__init__()
        self.chunk = 0
        self.stem = Convolution(3, STEM, 3, 2)
        blocks, read = [], STEM
        for expansion, out, repeats, kernel, stride in BLOCKS:
            for repeat in range(repeats):
                blocks.append(Block(read, out, expansion, kernel, stride if repeat == 0 else 1))
                read = out
        self.blocks = nn.Sequential(*blocks)
        self.head = Convolution(read, WIDTH, 1)
        self.classifier = nn.Linear(WIDTH, CLASSES)
        self.scale = [std / SPREAD for std in image_std]
        self.shift = [(mean - MEAN) / SPREAD for mean in image_mean]

    @classmethod
    def load(cls, folder: str | Path, image_mean: Sequence[float], image_std: Sequence[float]) -> Semantics:
        """From a folder that :func:`convert_semantics` wrote. Raises :class:`WeightsError` for any other."""
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        network = cls(image_mean, image_std)
        try:
            network.load_state_dict(load_file(Path(folder) / FILE))
        except (OSError, SafetensorError, RuntimeError) as error:
            raise WeightsError(
                f"expected an EfficientNet-Lite0 in {folder}, found: {error}; convert it anew"
            ) from error
        return network.eval().requires_grad_(False).to(memory_format=torch.channels_last)

    def hasten(self, dtype: torch.dtype, chunk: int) -> None:
        """Let the network run in a faster number format, ``chunk`` frames at once."""
        self.to(dtype)
        self.chunk = chunk

    def forward(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """Whole frames (B, 3, S, S), normalised for the encoder → mean of the last feature map (B, 1280), and logits of
        ImageNet's classes (B, 1000), float32.
        """
        pooled, logits = in_chunks(self._read, frames, self.chunk)
        return pooled, logits

    def told(self, frames: Tensor) -> Tensor:
        """Both, each normalised by photo and of length 1: (B, 2280)."""
        return torch.cat([F.normalize(F.layer_norm(part, part.shape[1:])) for part in self(frames)], dim=1)

    def _read(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        scale, shift = (frames.new_tensor(each).view(3, 1, 1) for each in (self.scale, self.shift))
        x = (frames * scale + shift).to(self.stem.weight.dtype).contiguous(memory_format=torch.channels_last)
        pooled = self.head(self.blocks(self.stem(x))).mean(dim=(2, 3))
        return pooled.float(), self.classifier(pooled).float()


def convert_semantics(path: Path, target: Path) -> None:
    """Write the network of the package, norms folded into the convolutions, into the folder ``target``."""
    from safetensors.torch import save_file

    found = torch.load(path, map_location="cpu", weights_only=True)  # tensors alone: no code of the file is run

    def folded(convolution: str, norm: str) -> tuple[Tensor, Tensor]:
        gain = found[f"{norm}.weight"] / (found[f"{norm}.running_var"] + NORM_EPSILON).sqrt()
        weight = found[f"{convolution}.weight"] * gain.view(-1, 1, 1, 1)
        return weight, found[f"{norm}.bias"] - found[f"{norm}.running_mean"] * gain

    pairs = {"stem": ("_conv_stem", "_bn0"), "head": ("_conv_head", "_bn1")}
    for block in range(sum(repeats for _, _, repeats, _, _ in BLOCKS)):
        parts = ("depthwise", "project") if block == 0 else ("expand", "depthwise", "project")
        for part, norm in zip(parts, ("_bn1", "_bn2") if block == 0 else ("_bn0", "_bn1", "_bn2"), strict=True):
            pairs[f"blocks.{block}.{part}"] = f"_blocks.{block}._{part}_conv", f"_blocks.{block}.{norm}"
    state = {"classifier.weight": found["_fc.weight"], "classifier.bias": found["_fc.bias"]}
    for name, (convolution, norm) in pairs.items():
        state[f"{name}.weight"], state[f"{name}.bias"] = folded(convolution, norm)
    save_file({name: value.contiguous() for name, value in state.items()}, target / FILE)
