"""What features of the frozen encoder are kept under: everything that they depend on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from parts import write_parts
from safetensors.numpy import load_file, save_file
from test_one_pretrained import SHAPE

from calm.model.network import Network
from calm.model.pretrained import build
from calm.train import feature_shots
from calm.train.feature_shots import dependencies
from calm.train.shots import Known

Change = Callable[[list[Known], Network, pytest.MonkeyPatch], object]


def other_encoder(photos: list[Known], model: Network, patch: pytest.MonkeyPatch) -> None:
    path = next(Path(model.config.vision_source).glob("*.safetensors"))
    save_file({name: value + np.float32(0.01) for name, value in load_file(path).items()}, path)


CHANGES: dict[str, Change] = {
    "encoder": other_encoder,
    "blocks": lambda photos, model, patch: patch.setitem(model.config.branches["low"], "layers", [2, 3]),
    "size of a view": lambda photos, model, patch: patch.setattr(model.config, "image_size", 70),
    "normalisation": lambda photos, model, patch: patch.setattr(model.config, "image_mean", [0.5, 0.5, 0.5]),
    "number format": lambda photos, model, patch: model.backbone.model.half(),
    "source": lambda photos, model, patch: patch.setattr(feature_shots, "source_sha256", lambda counts: "changed"),
    "attributes": lambda photos, model, patch: patch.setattr(feature_shots, "edits", lambda: ["tilt"]),
    "bytes of a photo": lambda photos, model, patch: Path(photos[0].path).write_bytes(b"another"),
    "another photo": lambda photos, model, patch: photos.pop(),
    "native pixels": lambda photos, model, patch: photos.append(replace(photos.pop(), native=False)),
    "kind": lambda photos, model, patch: None,
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_of_what_features_depend_on_is_seen(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, _ = build(*write_parts(tmp_path), **SHAPE)
    photos = [Known(str(tmp_path / each), "a") for each in ("1.jpg", "2.jpg")]
    for photo in photos:
        Path(photo.path).write_bytes(b"a photo")
    before = dependencies("edited", photos, model, "here")
    assert dependencies("edited", [replace(each, score=5.0) for each in photos], model, "here") == before
    CHANGES[name](photos, model, monkeypatch)
    assert dependencies("rated" if name == "kind" else "edited", photos, model, "here") != before
