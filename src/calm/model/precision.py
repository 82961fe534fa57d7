"""Which number format is fast on this machine."""

from __future__ import annotations

import platform

import torch


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


def mixed_precision() -> torch.autocast:
    """Autocast to bfloat16 on a CPU that is faster with it; does nothing elsewhere."""
    return torch.autocast("cpu", torch.bfloat16, enabled=fast_dtype("cpu") == torch.bfloat16)
