"""A score as a metric object, with the interface that image-quality toolboxes share (pyiqa's), without needing one.

>>> from calm.metric import create_metric
>>> metric = create_metric("calm-small")
>>> metric("dune.jpg")            # or a tensor (N, 3, H, W) in 0–1, RGB
tensor([6.4])
>>> metric.lower_better, metric.score_range
(False, '1, 10')
"""

from __future__ import annotations

from os import PathLike
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from calm.api import Calm
from calm.errors import UsageError

if TYPE_CHECKING:
    from PIL import Image


ROUNDING = 1e-6
"""How far beyond 0–1 a value may lie, as in pyiqa."""


class Metric(nn.Module):
    """Scores of photos, as a module that is called.

    Args:
        calm: a loaded model.
        name: of the metric.

    Attributes:
        lower_better: False: more is better.
        score_range: lowest and highest score, as pyiqa writes it.
        metric_mode: ``NR``, no reference photo.
        device: where the model is; scores come back on the CPU.
    """

    metric_mode = "NR"
    lower_better = False
    score_range = "1, 10"

    def __init__(self, calm: Calm, name: str = "calm-small") -> None:
        super().__init__()
        self.metric_name = name
        self._calm = calm
        self.device = torch.device(getattr(calm.model, "device", "cpu"))

    @torch.inference_mode()
    def forward(
        self, target: Tensor | str | PathLike[str] | Image.Image, ref: object = None, **_settings: Any
    ) -> Tensor:
        """Scores, (N,) float32 on the CPU.

        Args:
            target: a path, a PIL image, or a tensor (N, 3, H, W) or (3, H, W) of RGB values in 0–1; one channel in
                place of three is grey.
            ref: must be None.

        Raises:
            UsageError: for a reference photo, or a tensor of another shape or range.
            PhotoError: for a photo that cannot be read.
        """
        if ref is not None:
            raise UsageError("expected no reference photo, found one; this metric judges photos by themselves")
        photos: list[Any] = list(_pixels(target)) if isinstance(target, Tensor) else [target]
        return torch.tensor([score.value for score in self._calm.score(photos)], dtype=torch.float32)


def create_metric(name: str | PathLike[str] = "calm-small", device: str | torch.device | None = None) -> Metric:
    """A metric by a packaged model's name, or from a folder; ``device`` as in :meth:`calm.Calm.from_pretrained`."""
    return Metric(Calm.from_pretrained(name, None if device is None else str(device)), str(name))


def _pixels(photos: Tensor) -> Any:  # noqa: ANN401 - an array, iterated photo by photo
    """(N, 3 or 1, H, W) in 0–1 → N arrays (H, W, 3) of uint8."""
    photos = photos.unsqueeze(0) if photos.ndim == 3 else photos
    fits = photos.ndim == 4 and photos.shape[1] in (1, 3) and photos.is_floating_point()
    if not fits or not len(photos) or photos.min() < -ROUNDING or photos.max() > 1 + ROUNDING:
        low, high = (f"{float(each):.3g}" for each in (photos.min(), photos.max())) if photos.numel() else ("", "")
        raise UsageError(
            f"expected RGB values of 0–1 as a tensor (N, 3, H, W), found {tuple(photos.shape)} of {photos.dtype}, "
            f"{low}–{high}; scale and order it so"
        )
    photos = photos.float().clamp(0, 1).expand(-1, 3, -1, -1)
    return (photos * 255).round().byte().permute(0, 2, 3, 1).cpu().numpy()
