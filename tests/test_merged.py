"""Networks for answers: as transformers' classes compute them, without transformers, from wherever the weights lie."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from parts import write_parts
from safetensors.torch import load_file, save_file
from test_one_network import photos
from test_one_pretrained import SHAPE

from calm.errors import WeightsError
from calm.inference.pipeline import Pipeline
from calm.model import merged
from calm.model.exchange import CAPTION_QUESTION
from calm.model.pretrained import build
from calm.model.visual import VisualTokens


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trained folder whose adapters change what it says."""
    root = tmp_path_factory.mktemp("merged")
    adapters = {"r": 2, "lora_alpha": 6, "target_modules": ["q_proj", "v_proj", "o_proj"]}
    model, _ = build(*write_parts(root), **SHAPE | {"vision_lora": adapters, "text_lora": adapters})
    torch.manual_seed(1)
    for name, parameter in model.named_parameters():
        if "lora_" in name or name.startswith("answers."):
            torch.nn.init.normal_(parameter, std=0.3)
    model.save_pretrained(root / "trained")
    return root / "trained"


def told(folder: Path, dtype: torch.dtype = torch.float32) -> tuple[VisualTokens, torch.Tensor, list[str]]:
    """Visual tokens, scores and captions of three photos."""
    answers = Pipeline.load(folder, "cpu", dtype).answers
    seen = answers.see(photos(3))
    return seen, answers.scores(seen), answers.text(seen, CAPTION_QUESTION, 12)


def same(
    one: tuple[VisualTokens, torch.Tensor, list[str]], other: tuple[VisualTokens, torch.Tensor, list[str]]
) -> None:
    for mine, theirs in zip(one[0].parts, other[0].parts, strict=True):
        torch.testing.assert_close(mine, theirs, atol=2e-5, rtol=1e-4)
    torch.testing.assert_close(one[1], other[1], atol=1e-6, rtol=1e-4)
    assert one[2] == other[2]


def test_it_computes_what_transformers_does(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Encoder, decoder, adapters and the cache of the words that were written."""
    ours = told(folder)
    assert np.ptp(ours[1].numpy(), axis=0).max() > 1e-3 and len(set(ours[2])) > 1, "photos are told apart"
    monkeypatch.setattr(merged, "is_plain", lambda config: False)
    same(ours, told(folder))


def test_what_it_does_not_know_is_left_to_transformers(folder: Path, tmp_path: Path) -> None:
    broken = shutil.copytree(folder, tmp_path / "other")
    settings = json.loads((broken / "config.json").read_text())
    settings["text_lora"]["use_rslora"] = True  # another scale of the adapters
    (broken / "config.json").write_text(json.dumps(settings))
    assert not torch.allclose(told(broken)[1], told(folder)[1], atol=1e-4)
    assert type(Pipeline.load(broken).model).__name__ == "CalmForConditionalGeneration"


def test_memory_is_not_shared_with_files(folder: Path) -> None:
    """Guards against a converted file that is replaced beneath a running network."""
    network, _ = merged.load_merged(folder)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    for part in ("vision", "text"):
        path = folder.parent / part / "model.safetensors"
        kept = path.read_bytes()
        with path.open("r+b") as stream:
            stream.seek(len(kept) // 2)
            stream.write(bytes(len(kept) // 2))
        changed = any(not torch.equal(value, before[name]) for name, value in network.state_dict().items())
        path.write_bytes(kept)
        assert not changed


UNWANTED = "transformers", "peft", "accelerate", "torch._dynamo", "sympy", "scipy", "sklearn", "pyarrow", "matplotlib"
SCORE = """
import sys
from calm.cli import main
try:
    main(["score", sys.argv[1], "--model", sys.argv[2], "--device", "cpu", "--format", "jsonl", "-q"])
except SystemExit as end:
    assert end.code == 0, end.code
print("loaded:", *sorted(set(sys.argv[3:]) & set(sys.modules)))
"""


def test_a_score_imports_nothing_that_it_does_not_need(folder: Path, tmp_path: Path) -> None:
    """Seconds of every start: guards against an import that one line too many brings back."""
    from PIL import Image

    Image.fromarray(photos(1)[0]).save(tmp_path / "a.png")
    for unwanted in (UNWANTED, (*UNWANTED, "torch", "cv2", "calm.inference.pipeline")):  # the second time it is known
        command = [sys.executable, "-c", SCORE, str(tmp_path / "a.png"), str(folder), *unwanted]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines()[-1] == "loaded:", done.stdout


# ------------------------------------------------------------------------------------------------ sources


def moved(folder: Path, target: Path, vision: str, text: str) -> Path:
    """The same trained folder with its frozen parts elsewhere."""
    shutil.copytree(folder, target)
    settings = json.loads((target / "config.json").read_text()) | {"vision_source": vision, "text_source": text}
    (target / "config.json").write_text(json.dumps(settings))
    return target


def test_weights_of_the_hub_give_the_same_answers(folder: Path, tmp_path: Path, monkeypatch) -> None:
    """As ``hf download`` leaves them; the encoder in several files, by the names that the hub's DINOv2 still has."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    for name in ("vision", "text"):
        repository = tmp_path / "hub" / f"models--someone--{name}"
        (repository / "refs").mkdir(parents=True)
        (repository / "refs/main").write_text("a" * 40)
        shutil.copytree(folder.parent / name, repository / "snapshots" / ("a" * 40))
    old = tmp_path / "hub/models--someone--vision/snapshots" / ("a" * 40)
    renames = {"attention.q_proj": "attention.attention.query", "attention.k_proj": "attention.attention.key"}
    renames |= {"attention.v_proj": "attention.attention.value", "attention.o_proj": "attention.output.dense"}
    state, places = load_file(old / "model.safetensors"), {}
    for number, (name, value) in enumerate(state.items()):
        for new, former in renames.items():
            name = name.replace(new, former)
        places[name] = (f"model-{number % 2}.safetensors", value)
    for file in {file for file, _ in places.values()}:
        save_file({name: value for name, (at, value) in places.items() if at == file}, old / file, {"format": "pt"})
    index = {"metadata": {}, "weight_map": {name: file for name, (file, _) in places.items()}}
    (old / "model.safetensors.index.json").write_text(json.dumps(index))
    (old / "model.safetensors").unlink()
    elsewhere = moved(folder, tmp_path / "elsewhere", "someone/vision", "someone/text")
    same(told(folder), told(elsewhere))


def test_sources_are_told(folder: Path, tmp_path: Path, monkeypatch, capsys) -> None:
    from huggingface_hub import constants
    from test_cli import calm

    from calm.model import catalogue

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(catalogue, "PACKAGED", tmp_path / "none")
    elsewhere = moved(folder, tmp_path / "elsewhere", "someone/vision", str(folder.parent / "text"))
    assert calm("models", "sources", folder, elsewhere, "--format", "jsonl") == 0
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(each["model"], each["part"], each["kind"], Path(each["path"]).name) for each in found] == [
        ("trained", "vision", "folder", "vision"),
        ("trained", "text", "folder", "text"),
        ("elsewhere", "vision", "hub", ""),
        ("elsewhere", "text", "folder", "text"),
    ]
    assert "hf download someone/vision" in found[2]["how"]


def test_what_was_not_fetched_says_how(folder: Path, tmp_path: Path, monkeypatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    elsewhere = moved(folder, tmp_path / "elsewhere", "someone/vision", str(folder.parent / "text"))
    with pytest.raises(WeightsError, match="run once: hf download someone/vision"):
        Pipeline.load(elsewhere)
