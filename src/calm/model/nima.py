"""NIMA (Talebi and Milanfar, 2018) as idealo trained it on AVA: from Keras' HDF5 to transformers' MobileNetV1."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from calm.errors import WeightsError
from calm.model.pyramid import HEAD

BLOCKS = 13


def convert_nima(path: Path, target: Path) -> None:
    """Write the network, and the head that says a distribution over 1 … 10, into the folder ``target``."""
    import numpy as np
    import torch
    from safetensors.torch import save_file
    from transformers import MobileNetV1Config, MobileNetV1Model

    try:
        import h5py
    except ImportError as error:
        raise WeightsError(
            "expected the package h5py, which reads NIMA's weight file, found none installed; run: pip install h5py "
            "(only a pyramid that is taught from the beginning needs it)"
        ) from error

    model = MobileNetV1Model(MobileNetV1Config(tf_padding=True, hidden_act="relu6", layer_norm_eps=1e-3))
    with h5py.File(path) as file:

        def tensor(layer: str, name: str) -> torch.Tensor:
            return torch.from_numpy(np.asarray(file[f"{layer}/{layer}/{name}:0"]))

        def put(part: Any, convolution: str) -> None:  # noqa: ANN401 - a layer of transformers
            depthwise = "_dw_" in convolution
            kernel = tensor(convolution, "depthwise_kernel" if depthwise else "kernel")
            norm, bn = part.normalization, f"{convolution}_bn"
            pairs = {
                part.convolution.weight: kernel.permute(2, 3, 0, 1) if depthwise else kernel.permute(3, 2, 0, 1),
                norm.weight: tensor(bn, "gamma"),
                norm.bias: tensor(bn, "beta"),
                norm.running_mean: tensor(bn, "moving_mean"),
                norm.running_var: tensor(bn, "moving_variance"),
            }
            for mine, theirs in pairs.items():
                mine.copy_(theirs)

        with torch.no_grad():
            put(model.conv_stem, "conv1")
            for block in range(BLOCKS):
                put(model.layer[2 * block], f"conv_dw_{block + 1}")
                put(model.layer[2 * block + 1], f"conv_pw_{block + 1}")
        head = {"weight": tensor("dense_1", "kernel").T.contiguous(), "bias": tensor("dense_1", "bias")}
    model.save_pretrained(target)
    save_file(head, target / HEAD)
