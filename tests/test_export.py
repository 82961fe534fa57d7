"""Models as folders that need nothing else, and the score as a graph."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from parts import write_trained
from PIL import Image
from test_cli import calm
from test_one_network import photos
from test_one_pretrained import QUESTIONS, SHAPE, say
from transformers import AutoModelForImageTextToText, AutoProcessor

from calm.data.images import Photo, as_photo
from calm.errors import UsageError, WeightsError
from calm.inference.pipeline import Pipeline
from calm.model.catalogue import folder_sha256, sources
from calm.scale import export as module
from calm.scale.export import add_graph, export

SEEN: list[Photo] = [as_photo(each, f"photo {i}") for i, each in enumerate(photos(9))]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_trained(tmp_path_factory.mktemp("trained"), SHAPE)


@pytest.fixture(scope="module")
def exported(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made where its model was, and moved: it holds no path of another place."""
    place = tmp_path_factory.mktemp("exported")
    copied = shutil.copytree(trained.parent, place / "model") / "trained"
    settings = (copied / "config.json").read_text().replace(str(trained.parent), str(place / "model"))
    (copied / "config.json").write_text(settings)
    export(str(copied), place / "made")
    shutil.rmtree(place / "model")
    (place / "made").rename(place / "moved")
    return place / "moved"


def test_an_exported_model_says_the_very_same(trained: Path, exported: Path) -> None:
    one, other = (Pipeline.load(folder, "cpu", torch.float32) for folder in (trained, exported))
    assert one.score(SEEN) == other.score(SEEN)
    assert one.comment(SEEN[:2]) == other.comment(SEEN[:2]) and one.suggest(SEEN) == other.suggest(SEEN)
    assert len({score.value for score in one.score(SEEN)}) > 1, "photos are told apart"


def test_transformers_reads_it(trained: Path, exported: Path) -> None:
    network, processor = (kind.from_pretrained(exported) for kind in (AutoModelForImageTextToText, AutoProcessor))
    assert not [name for name, _ in network.named_parameters() if "lora" in name], "adapters are merged"
    whole = AutoModelForImageTextToText.from_pretrained(trained)
    pictures = photos(4)
    assert say(network, processor, pictures, QUESTIONS, max_new_tokens=12) == say(
        whole, AutoProcessor.from_pretrained(trained), pictures, QUESTIONS, max_new_tokens=12
    )


def test_half_of_the_size_where_it_is_rounded_anyway(trained: Path, tmp_path: Path) -> None:
    small = export(str(trained), tmp_path / "small", torch.bfloat16)
    one, other = (Pipeline.load(folder, "cpu", torch.bfloat16) for folder in (trained, small))
    assert one.score(SEEN) == other.score(SEEN)


def test_what_it_is_can_be_told(exported: Path, tmp_path: Path) -> None:
    """Its hash covers all of its parts, wherever it lies; its card says how to load it."""
    assert {(each.kind, each.how) for each in sources([exported]) if each.model == "moved"} == {("folder", "")}
    copy = shutil.copytree(exported, tmp_path / "copy")
    assert folder_sha256(copy) == folder_sha256(exported)
    changed = shutil.copytree(exported, tmp_path / "changed")
    data = bytearray((changed / "text/model.safetensors").read_bytes())
    data[-1] ^= 1
    (changed / "text/model.safetensors").write_bytes(data)
    assert folder_sha256(changed) != folder_sha256(exported)
    assert 'from_pretrained("made")' in (exported / "README.md").read_text()


def test_the_command(trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert calm("export", tmp_path / "made", "--model", trained, "--bfloat16", "-q") == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "made")
    assert calm("export", tmp_path / "made", "--model", trained) == 2
    assert "exists; name another" in capsys.readouterr().err
    assert calm("score", tmp_path, "--model", tmp_path / "made", "--device", "openvino") == 2


def test_the_score_as_a_graph(exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    pytest.importorskip("openvino", reason="OpenVINO is not installed: pip install 'calm-aesthetics[openvino]'")
    from calm.inference.compiled import GRAPH, Compiled

    folder = shutil.copytree(exported, tmp_path / "graph")
    with pytest.raises(UsageError, match="calm export DIR --openvino"):
        Compiled(folder)
    for i, pixels in enumerate(photos(9)):
        Image.fromarray(pixels).save(tmp_path / f"{i}.png")
    paths = sorted(map(str, tmp_path.glob("*.png")))
    monkeypatch.setattr(module, "TOLERANCE", 0.1)  # answers of a random network are drawn far apart
    report = add_graph(folder, paths)
    assert report["photos"] == 9 and report["graph"]["srcc"] > 0.9
    assert report == json.loads((folder / "parity.json").read_text())
    compiled, network = Compiled(folder), Pipeline.load(folder, "cpu", torch.float32)
    together = [score.value for score in compiled.score(SEEN)]
    assert together == pytest.approx([score.value for score in network.score(SEEN)], abs=0.1)
    assert together[:1] == [score.value for score in compiled.score(SEEN[:1])], "a batch of one equals one of nine"
    assert compiled.suggest(SEEN[:1]) == Pipeline.load(folder, "cpu").suggest(SEEN[:1])
    capsys.readouterr()
    assert calm("score", paths[0], "--model", folder, "--device", "openvino", "--format", "jsonl", "-q") == 0
    assert json.loads(capsys.readouterr().out)["score"] == pytest.approx(together[0], abs=1e-6)
    monkeypatch.setattr(module, "TOLERANCE", -1.0)
    with pytest.raises(WeightsError, match="expected scores of the graph within"):
        add_graph(folder, paths)
    assert not (folder / GRAPH).exists()
