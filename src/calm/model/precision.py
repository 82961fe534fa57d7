"""Which device there is on this machine, and which number format is fast on it."""

import platform

import torch

from calm.errors import UsageError


def usable_device(name: str | None = None) -> torch.device:
    """The device of that name, or the best there is. Raises :class:`UsageError` for one that this machine has not."""
    name = name or ("cuda" if torch.cuda.is_available() else "cpu")
    try:
        return torch.empty(0, device=name).device
    except (RuntimeError, AssertionError, NotImplementedError) as error:  # torch has no common error for this
        cause = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UsageError(f"expected a device that this machine has, such as cpu, found {name!r}: {cause}") from None


def fast_dtype(device: str | torch.device | None = None) -> torch.dtype:
    """bfloat16 where the hardware multiplies it, else float32 (emulated bfloat16 is many times slower).

    Args:
        device: ``cpu`` or ``cuda`` (with or without a number); None for the one that would be taken.
    """
    kind = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu")).type
    if kind == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float32
    if kind != "cpu":
        return torch.float32
    if platform.machine() in ("x86_64", "AMD64"):
        fast = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    else:
        fast = torch.ops.mkldnn._is_mkldnn_bf16_supported()
    return torch.bfloat16 if fast else torch.float32
