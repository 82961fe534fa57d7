"""The frozen visual encoder: hidden states of chosen depths, as a small grid of tokens.

Any vision model of transformers fits that has ``num_hidden_layers`` blocks in one ``ModuleList`` and a square grid of
patch tokens, with or without one class token before them (Dinov2, CLIP, SigLIP).
"""

from __future__ import annotations

import copy
import inspect
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from calm.errors import ConfigError
from calm.model.backbone import in_chunks, merge_lora


class _DeepEnough(Exception):
    """Ends a forward pass after the deepest block that was asked for."""


class VisionEncoder(nn.Module):
    """Reads block outputs of a vision model.

    Args:
        model: a transformers vision model.
        pool: side of the square of patches that is averaged into one token; 1 keeps every patch.

    Attributes:
        chunk: photos that go through at once in :meth:`read` and :meth:`forward`, the last ones filled up with blanks;
            0 for as many as are given. In bfloat16 the kernel, and with it the rounding, depends on how many there are:
            with a fixed number the features of a photo do not depend on its company.
        late: the last blocks with their adapters folded in, where some branches read the encoder with its adapters and
            others without (see :meth:`fold`); else None.

    ``adapted`` of the methods below says whether the adapters take part, where there are any.
    """

    def __init__(self, model: nn.Module, pool: int = 2) -> None:
        super().__init__()
        self.model = model
        self.pool = pool
        self.chunk = 0
        self.late: nn.ModuleList | None = None

    def hasten(self, dtype: torch.dtype, chunk: int) -> None:
        """Let the encoder run in a faster number format, ``chunk`` photos at once; see :attr:`chunk`."""
        self.to(dtype)
        self.chunk = chunk

    @property
    def depth(self) -> int:
        """Number of transformer blocks."""
        return self.model.config.num_hidden_layers

    @property
    def width(self) -> int:
        """Channels of a token."""
        return self.model.config.hidden_size

    def blocks(self) -> nn.ModuleList:
        """The transformer blocks, first to last. Raises :class:`ConfigError` when the model hides them."""
        for module in self.model.modules():
            if isinstance(module, nn.ModuleList) and len(module) == self.depth:
                return module
        raise ConfigError(
            f"expected {type(self.model).__name__} to keep its {self.depth} blocks in one ModuleList, found none; "
            "use a vision model whose hidden states can be read"
        )

    def fold(self, trunk: int | None = None) -> None:
        """Fold the adapters into the weights: the same function, fewer multiplications, no adapter left.

        Args:
            trunk: keep the blocks above this one without their adapters as well, for ``adapted=False``.
        """
        if trunk is not None:
            self.late = copy.deepcopy(nn.ModuleList(list(self.blocks())[trunk:]))
            merge_lora(self.late)
        merge_lora(self.model, take=trunk is None)

    def forward(self, pixel_values: Tensor, layers: Sequence[int], adapted: bool = True) -> Tensor:
        """Hidden states after the blocks named in ``layers`` (1 is the first block).

        The pass ends at the deepest block asked for, so shallow layers are cheap.

        Args:
            pixel_values: (B, 3, H, W), normalised for the encoder.
            layers: block numbers, 1 … ``depth``.

        Returns:
            (B, len(layers), 1 + (grid/pool)², width): for each layer a summary token (the class token, or the mean of
            the patches where the model has none) and the pooled patches, row by row.
        """
        return self.read(pixel_values, layers, adapted)[0]

    def read(self, pixel_values: Tensor, layers: Sequence[int], adapted: bool = True) -> tuple[Tensor, Tensor]:
        """:meth:`forward`, and every token after the deepest block asked for, not pooled: (B, 1 + grid², width)."""

        def read(part: Tensor) -> tuple[Tensor, Tensor]:
            states = self._states(part, layers, adapted)
            return torch.stack([pool_grid(states[layer], self.pool) for layer in layers], dim=1), states[max(layers)]

        features, last = in_chunks(read, self.chunk, pixel_values)
        return features, last

    def start(self, pixel_values: Tensor, layers: Sequence[int], trunk: int) -> Tensor:
        """The first half of :meth:`forward`, for encoders whose later blocks still learn.

        Args:
            pixel_values: (B, 3, H, W), normalised for the encoder.
            layers: as in :meth:`forward`; those up to ``trunk`` are pooled here.
            trunk: the last block that stands still, 1 … ``depth`` − 1.

        Returns:
            (B, n, width): the pooled states of every layer up to ``trunk``, one after the other, then every token after
            block ``trunk``.
        """
        shallow = [layer for layer in layers if layer <= trunk]
        states = self._states(pixel_values, [*shallow, trunk], adapted=False)
        return torch.cat([*(pool_grid(states[layer], self.pool) for layer in shallow), states[trunk]], dim=1)

    def finish(
        self,
        started: Tensor,
        layers: Sequence[int],
        trunk: int,
        cells: Tensor | None = None,
        adapted: bool = True,
    ) -> Tensor:
        """The second half of :meth:`forward`: the later blocks, on what :meth:`start` gave.

        Args:
            started: (B, n, width).
            layers, trunk: the very ones given to :meth:`start`.
            cells: numbers of the pooled squares of patches whose patches go through the later blocks; None for all. The
                others' features are the mean of those. Fewer patches are faster to learn from and regularise
                (patch dropout, Liu et al. 2022, arXiv 2208.07220).

        Returns:
            (B, len(layers), tokens, width), as :meth:`forward`.
        """
        shallow = [layer for layer in layers if layer <= trunk]
        side = self._side(started.shape[1], len(shallow))
        pooled = 1 + (side // self.pool) ** 2
        found = {layer: started[:, i * pooled : (i + 1) * pooled] for i, layer in enumerate(shallow)}
        tokens = started[:, pooled * len(shallow) :].to(self.model.dtype)
        classes = tokens.shape[1] - side * side
        if cells is not None:
            kept = cell_patches(side, self.pool)[cells.cpu()].flatten().to(tokens.device)
            tokens = torch.cat([tokens[:, :classes], tokens[:, classes:][:, kept]], dim=1)
        for number, states in self._after(tokens, trunk, layers, adapted).items():
            found[number] = (
                pool_grid(states, self.pool)
                if cells is None
                else spread_cells(states, classes, self.pool, cells, pooled - 1)
            )
        return torch.stack([found[layer].to(tokens.dtype) for layer in layers], dim=1)

    def _side(self, count: int, shallow: int) -> int:
        """Patches along one side, from the number of tokens that :meth:`start` gave."""
        for side in range(1, math.isqrt(count) + 1):
            rest = count - shallow * (1 + (side // self.pool) ** 2) - side * side
            if rest in (0, 1):
                return side
        raise ConfigError(f"expected tokens of a started encoder with {shallow} shallow layers, found {count} tokens")

    def _after(self, tokens: Tensor, trunk: int, layers: Sequence[int], adapted: bool) -> dict[int, Tensor]:
        """All tokens after those of the blocks named that follow block ``trunk``, from the tokens after that."""
        blocks = list(self.blocks())
        if self.late is not None and adapted:
            blocks[len(blocks) - len(self.late) :] = self.late
        states = {}
        with nullcontext() if adapted else without_adapters(self.model), _attention_to_learn_from():
            for number, block in enumerate(blocks[trunk : max(layers)], start=trunk + 1):
                tokens = self._run(block, tokens)
                if number in layers:
                    states[number] = tokens
        return states

    def _states(self, pixel_values: Tensor, layers: Sequence[int], adapted: bool) -> dict[int, Tensor]:
        """All tokens after each of the blocks named."""
        if not all(1 <= layer <= self.depth for layer in layers):
            raise ConfigError(
                f"expected layers between 1 and {self.depth}, found {list(layers)}; the encoder has {self.depth} blocks"
            )
        if self.late is not None and adapted and max(layers) > self.depth - len(self.late):
            trunk = self.depth - len(self.late)
            below = self._states(pixel_values, [*(layer for layer in layers if layer < trunk), trunk], adapted=False)
            return below | self._after(below[trunk], trunk, layers, adapted)
        deepest = max(layers)
        states: dict[int, Tensor] = {}

        def keep(number: int):  # noqa: ANN202 - a hook
            def hook(_module: nn.Module, _inputs: object, output: object) -> None:
                states[number] = output[0] if isinstance(output, tuple) else output
                if number == deepest:
                    raise _DeepEnough

            return hook

        blocks = self.blocks()
        handles = [blocks[layer - 1].register_forward_hook(keep(layer)) for layer in set(layers)]
        try:
            with nullcontext() if adapted else without_adapters(self.model):
                self.model(pixel_values=pixel_values.to(self.model.dtype))
        except _DeepEnough:
            pass
        finally:
            for handle in handles:
                handle.remove()
        return states

    @staticmethod
    def _run(block: nn.Module, tokens: Tensor) -> Tensor:
        """One block by itself; some classes want to be told that nothing is masked."""
        masked = "attention_mask" in inspect.signature(block.forward).parameters
        output = block(tokens, attention_mask=None) if masked else block(tokens)
        return output[0] if isinstance(output, tuple) else output


@contextmanager
def _attention_to_learn_from() -> Iterator[None]:
    """Inside, attention that is going to have gradients is written out on a CPU: over some hundred tokens its backward
    pass takes half as long as that of the fused kernel.
    """
    if torch.is_grad_enabled() and not torch.cuda.is_available():
        with sdpa_kernel(SDPBackend.MATH):
            yield
    else:
        yield


def check_targets(part: nn.Module, targets: Sequence[str] | str | None) -> None:
    """Raise :class:`ConfigError` when a name in the list ``targets`` names no module of ``part``.

    PEFT is content with a single match, so that a layer renamed by a newer library would be left out in silence.
    """
    names = [name for name, _ in part.named_modules()]
    for target in [] if targets is None or isinstance(targets, str) else targets:
        if not any(name == target or name.endswith(f".{target}") for name in names):
            linear = sorted({n.rsplit(".", 1)[-1] for n, m in part.named_modules() if isinstance(m, nn.Linear)})
            raise ConfigError(
                f"expected target_modules to name layers of {type(part).__name__}, found {target!r}, which none has; "
                f"its linear layers are called {', '.join(linear)}"
            )


def check_frames(model: nn.Module, size: int) -> None:
    """Raise :class:`ConfigError` when an encoder does not take square frames of ``size`` pixels."""
    takes = inspect.signature(model.forward).parameters
    if "spatial_shapes" in takes:
        raise ConfigError(
            f"expected an encoder of square frames, found {type(model).__name__}, which wants patches of any aspect; "
            "use one with a fixed size, such as google/siglip2-so400m-patch16-384"
        )
    # Encoders that can stretch their positions when asked do not do so unasked.
    if "interpolate_pos_encoding" in takes and model.config.image_size != size:
        raise ConfigError(
            f"expected image_size: {model.config.image_size}, the frame that {type(model).__name__} was made for, "
            f"found {size}; correct it in the recipe's config"
        )


@contextmanager
def without_adapters(part: nn.Module) -> Iterator[None]:
    """Inside, the LoRA layers below ``part`` do as their base layers do."""
    from peft.tuners.lora import LoraLayer

    layers = [module for module in part.modules() if isinstance(module, LoraLayer)]
    before = [layer._disable_adapters for layer in layers]
    for layer in layers:
        layer._disable_adapters = True  # enable_adapters() would also change which parameters learn
    try:
        yield
    finally:
        for layer, was in zip(layers, before, strict=True):
            layer._disable_adapters = was


def cell_patches(side: int, pool: int) -> Tensor:
    """Numbers of the patches of each pooled square: ((side // pool)², pool²), both row by row."""
    cells = side // pool
    patches = torch.arange(side * side).view(side, side)[: cells * pool, : cells * pool]
    return patches.unflatten(0, (cells, pool)).unflatten(2, (cells, pool)).transpose(1, 2).reshape(cells * cells, -1)


def spread_cells(tokens: Tensor, classes: int, pool: int, cells: Tensor, count: int) -> Tensor:
    """Pooled features of all ``count`` squares from the patches of ``cells`` alone: (B, n, C) → (B, 1 + count, C)."""
    kept = tokens[:, classes:].unflatten(1, (len(cells), pool * pool)).mean(dim=2)
    mean = kept.mean(dim=1, keepdim=True)
    summary = tokens[:, :1] if classes else mean
    places = cells.to(tokens.device)[None, :, None].expand(len(tokens), -1, tokens.shape[2])
    return torch.cat([summary, mean.repeat(1, count, 1).scatter(1, places, kept)], dim=1)


def pool_grid(tokens: Tensor, pool: int) -> Tensor:
    """Average each ``pool`` × ``pool`` square of patch tokens.

    Args:
        tokens: (B, grid², C) or (B, 1 + grid², C) with a class token first.

    Returns:
        (B, 1 + (grid // pool)², C), the class token (or the mean of the patches) first.
    """
    count = tokens.shape[1]
    side = math.isqrt(count)
    if side * side == count:
        summary, patches = tokens.mean(dim=1, keepdim=True), tokens
    elif math.isqrt(count - 1) ** 2 == count - 1:
        side = math.isqrt(count - 1)
        summary, patches = tokens[:, :1], tokens[:, 1:]
    else:
        raise ConfigError(
            f"expected a square grid of patch tokens with at most one class token, found {count} tokens; "
            "use a vision model without register tokens, or a square image size"
        )
    if pool > 1:
        grid = patches.transpose(1, 2).unflatten(2, (side, side))
        patches = F.avg_pool2d(grid, pool).flatten(2).transpose(1, 2)
    return torch.cat([summary, patches], dim=1)
