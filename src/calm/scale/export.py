"""A model as one folder that needs nothing else: adapters merged, frozen parts in it, as transformers' classes save
them.

=================================  =================================================================================
``config.json``                    as of any model; ``vision_source`` is ``./vision``, ``text_source`` is ``./text``
``trained.safetensors``            alignment module, heads and answers, byte for byte those of the model
``manifest.json``                  what of it is where
``vision``, ``text``               encoder, and language model with its tokenizer
``README.md``, ``model_card.json`` what it is, and under which terms
``score.xml``, ``parity.json``     where it was asked for: the score as a graph of OpenVINO, and how it agrees
=================================  =================================================================================
"""

from __future__ import annotations

import json
import shutil
import tempfile
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from scipy.stats import spearmanr
from torch import Tensor
from transformers import CONFIG_MAPPING, PretrainedConfig

from calm.data.images import Photo, load_photo
from calm.errors import UsageError, WeightsError
from calm.inference.compiled import GRAPH, ROWS, Compiled, ScorePath, import_openvino
from calm.inference.pipeline import Pipeline
from calm.inference.tasks import Model
from calm.model.catalogue import card, model_dir
from calm.model.merged import load_merged
from calm.model.pretrained import load_tokenizer
from calm.model.weights import CONFIG, MANIFEST, TRAINED, read_config

PARTS = {"vision": "backbone.model.", "text": "language_model."}
"""Folders of the frozen parts, and what the names of their weights begin with in the network."""
README, PARITY = "README.md", "parity.json"
PT = {"format": "pt"}
"""What transformers asks of a file of weights."""
TOLERANCE = 0.02
"""Points of 1–10 that a score of the graph may differ from the network's."""


def export(model: str, target: Path, dtype: torch.dtype = torch.float32) -> Path:
    """Write a self-contained folder of a model; it is there as a whole or not at all.

    Args:
        model: a packaged model's name, or a folder.
        target: is made.
        dtype: of encoder and language model in their files. In float32 scores are equal wherever they are computed; in
            bfloat16 where they are computed in bfloat16, at half of the size.

    Raises:
        UsageError: where ``target`` exists.
    """
    if target.exists():
        raise UsageError(f"expected a new folder, found that {target} exists; name another")
    source = model_dir(model)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}-") as scratch:
        built = Path(scratch) / target.name
        # all that belongs to a model and is not written anew, such as what profiles rest on
        shutil.copytree(source, built, ignore=shutil.ignore_patterns(TRAINED, MANIFEST, CONFIG, *PARTS, "*.md"))
        _write_parts(source, built, dtype)
        _write_trained(source, built)
        _write_config(source, built)
        (built / README).write_text(_readme(source, target.name), encoding="utf-8")
        built.rename(target)
    return target


def _write_parts(source: Path, target: Path, dtype: torch.dtype) -> None:
    settings, (network, _) = read_config(source), load_merged(source)
    weights = network.state_dict()
    for part, prefix in PARTS.items():
        config = _config(settings[f"{part}_config"], dtype)
        mine = {name.removeprefix(prefix): value for name, value in weights.items() if name.startswith(prefix)}
        if getattr(config, "tie_word_embeddings", False):
            mine.pop("lm_head.weight", None)
        config.save_pretrained(target / part)
        save_file(
            {name: value.to(dtype).contiguous() for name, value in mine.items()},
            target / part / "model.safetensors",
            PT,
        )
    load_tokenizer(settings["text_source"]).save_pretrained(target / "text")


def _config(given: dict[str, Any], dtype: torch.dtype) -> PretrainedConfig:
    settings = dict(given)
    config = CONFIG_MAPPING[settings.pop("model_type")](**settings)
    config.dtype = dtype
    return config


def _write_trained(source: Path, target: Path) -> None:
    """The trained tensors as they are stored, without the adapters, which are merged."""
    stored: dict[str, Tensor] = load_file(source / TRAINED)
    entries = json.loads((source / MANIFEST).read_text())["tensors"]
    save_file({name: value for name, value in stored.items() if ".lora_" not in name}, target / TRAINED, PT)
    kept = [entry for entry in entries if ".lora_" not in entry["name"]]
    (target / MANIFEST).write_text(json.dumps({"tensors": kept}, indent=1) + "\n")


def _write_config(source: Path, target: Path) -> None:
    settings = json.loads((source / CONFIG).read_text(encoding="utf-8"))
    settings |= {f"{part}_source": f"./{part}" for part in PARTS} | {f"{part}_lora": None for part in PARTS}
    settings |= {"architectures": ["CalmForConditionalGeneration"]}
    (target / CONFIG).write_text(json.dumps(settings, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _readme(source: Path, name: str) -> str:
    """The model card as the hub shows it: its head, how to load it, and the card of the model itself."""
    about, long = card(source), source / "MODEL_CARD.md"
    terms = f"\nTerms: {about['terms']}.\n" if about.get("terms") else ""
    return (
        "---\nlibrary_name: transformers\npipeline_tag: image-text-to-text\nlicense: other\n"
        f"license_name: {json.dumps(str(about.get('licence', 'not stated')))}\ntags: [image-aesthetics]\n---\n\n"
        f"# {name}\n\n{about.get('summary', '')}\n{terms}\n"
        "```python\nimport calm\nfrom transformers import AutoModelForImageTextToText, AutoProcessor\n\n"
        f'network = AutoModelForImageTextToText.from_pretrained("{name}")\n'
        f'processor = AutoProcessor.from_pretrained("{name}")\n'
        'calm.Calm.from_pretrained("'
        + name
        + '").score("photo.jpg").value\n```\n'
        + (f"\n{long.read_text(encoding='utf-8')}" if long.is_file() else "")
    )


def add_graph(folder: Path, paths: Iterable[str]) -> dict[str, Any]:
    """Write the graph of the score for OpenVINO into a model's folder, and how it agrees with the network.

    Args:
        paths: of photos to compare on.

    Returns:
        What is in :data:`PARITY`: differences of scores between graph and network in float32, their correlation of
        ranks, and how the network in the number format that is usual here differs from it.

    Raises:
        WeightsError: where scores differ by more than :data:`TOLERANCE`; the graph is not kept.
    """
    openvino = import_openvino()
    exact = Pipeline.load(folder, "cpu", torch.float32)
    frames = torch.zeros(ROWS, 3, exact.model.config.image_size, exact.model.config.image_size)
    with warnings.catch_warnings():  # OpenVINO traces by a way that torch would see replaced
        warnings.simplefilter("ignore")
        graph = openvino.convert_model(ScorePath(exact.answers).eval(), example_input=frames)
    openvino.save_model(graph, folder / GRAPH)
    photos = [load_photo(path) for path in paths]
    wanted = _scores(exact, photos)
    usual = Pipeline.load(folder, "cpu")
    report = {"photos": len(photos), "openvino": openvino.__version__} | {
        name: _agreement(_scores(model, photos), wanted, str(model.dtype))
        for name, model in (("graph", Compiled(folder)), ("network", usual))
    }
    most = report["graph"]["largest_difference"]
    if most > TOLERANCE:
        for name in (GRAPH, GRAPH.replace(".xml", ".bin")):
            (folder / name).unlink()
        raise WeightsError(
            f"expected scores of the graph within {TOLERANCE} of the network's, found {most:.3f} on {len(photos)} "
            "photos; it is not kept: use the folder without it"
        )
    (folder / PARITY).write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    return report


def _scores(model: Model, photos: Sequence[Photo]) -> np.ndarray:
    batches = (list(photos[start : start + ROWS]) for start in range(0, len(photos), ROWS))
    return np.array([score.value for batch in batches for score in model.score(batch)])


def _agreement(scores: np.ndarray, wanted: np.ndarray, dtype: str) -> dict[str, Any]:
    apart = np.abs(scores - wanted)
    ranks = float(spearmanr(scores, wanted).statistic) if len(scores) > 1 else None
    return {
        "numbers": dtype,
        "largest_difference": round(float(apart.max()), 5),
        "mean_difference": round(float(apart.mean()), 5),
        "srcc": None if ranks is None else round(ranks, 6),
    }
