"""What a photo shows, as networks say that were taught a thousand kinds of things: EfficientNet-Lite on ImageNet.

A self-supervised encoder sees texture and layout well and groups what belongs together; a network that was taught names
of things knows much better what people find beautiful in what is shown. Tastes are learnt from both (ours; docs/lab.md,
51). These networks (:mod:`calm.model.lite`) are far cheaper than the encoder, and are asked only where a photo is
described.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from calm.errors import WeightsError
from calm.model.lite import SCALINGS, WIDTH, Lite, LiteConfig

FILE = "model.safetensors"
CLASSES = 1000
NORM_EPSILON = 1e-3
MEAN, SPREAD = 127.0, 128.0
"""What pixels are normalised by."""
LONGEST = 2.0
"""Longer photos are squashed to this ratio of their sides."""
GRID = 8
"""Sides of frames are multiples of this many pixels."""


class Semantics(Lite):
    """A network of the family with its classifier."""

    def __init__(self, config: LiteConfig) -> None:
        super().__init__(config)
        self.classifier = nn.Linear(WIDTH, CLASSES)

    @classmethod
    def load(cls, folder: str | Path) -> Semantics:
        """From a folder that :func:`convert_semantics` wrote. Raises :class:`WeightsError` for any other."""
        try:
            config = LiteConfig.from_pretrained(folder)
            network = cls(config)
            network.load_state_dict(load_file(Path(folder) / FILE))
        except (OSError, ValueError, SafetensorError, RuntimeError) as error:
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
        pooled = self.map(frames).mean(dim=(2, 3))
        return pooled.float(), self.classifier(pooled).float()


def convert_semantics(name: str, path: Path, target: Path) -> None:
    """Write the network ``name`` of a package, norms folded into the convolutions, into the folder ``target``."""
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
    LiteConfig(scaling=name).save_pretrained(target)
    save_file({n: value.contiguous() for n, value in state.items()}, target / FILE, metadata={"format": "pt"})
