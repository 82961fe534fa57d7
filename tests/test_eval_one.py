"""Captions, real faults, order of damaged copies, technical quality: by networks whose answers are known."""

# ruff: noqa: F811 - fixtures of other files

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from layouts import flickr
from lightmeter import Lightmeter, grey
from test_eval_references import no_java  # noqa: F401 - a fixture
from test_one_network import photos, read, tiny
from test_one_pretrained import folder as trained  # noqa: F401 - a fixture

from calm.cli import main
from calm.data.hashes import file_sha256
from calm.data.record import dataset
from calm.errors import DataError
from calm.eval.captions import captions_of, eval_captions
from calm.eval.faults import REMEDIES, _figures, eval_faults, faulty_photos
from calm.eval.gather import held_out
from calm.eval.order import eval_order
from calm.eval.quality import eval_quality
from calm.inference.answers import Answers
from calm.inference.pipeline import Pipeline
from calm.model.exchange import CAPTION_QUESTION, QUALITY_QUESTION, Exchange
from calm.model.reader import means_of
from calm.types import CLASSES, MOST

WORDS = ["a black dog runs in the night", "two men on a boat", "white snow lies on a high mountain"]


class Light(Answers):
    """Knows of a photo how bright it is: that is its quality and decides its caption; the darker the more beautiful."""

    def see(self, photos, detail=True):
        return np.array([pixels.mean() / 255 for pixels in photos])

    def text(self, seen, question, length=48, begun=None):
        assert question == CAPTION_QUESTION
        return [WORDS[int(light * 3)] for light in seen]

    def qualities(self, seen):
        light = torch.tensor(seen)[:, None]
        return torch.cat([1 - light, torch.zeros(len(seen), 8), light], dim=1)

    def means(self, seen):
        return [10 - 9 * light for light in seen]


def pipeline(kind: type[Answers] = Answers, trained_on: frozenset[str] = frozenset()) -> Pipeline:
    model, packer = tiny()
    return Pipeline(kind(model, packer.tokenizer), "tiny", "0" * 64, trained_on)


# ------------------------------------------------------------------------------------------------ captions


@pytest.fixture
def told(tmp_path: Path) -> dict[str, list[str]]:
    """Six photos, two of each brightness, and what is true of them."""
    made = [grey(tmp_path / f"{i}.png", (40, 128, 215)[i % 3], i) for i in range(6)]
    return {str(path): [WORDS[i % 3], f"photo number {i}"] for i, path in enumerate(made)}


def test_captions_of_the_own_photo_are_nearer_than_those_of_others(told, no_java) -> None:
    found = eval_captions(pipeline(Light), told, keep_texts=True, resamples=20)
    json.dumps(found, allow_nan=False)
    assert {path: [text] for path, text in found["captions"].items()} == {p: t[:1] for p, t in told.items()}
    cider = found["metrics"]["cider"]
    assert cider["value"] > 3 > cider["wrong_photo"] and found["references"] == 2
    assert eval_captions(pipeline(Light), told, limit=3, resamples=5)["photos"] == 3
    hashes = frozenset({file_sha256(Path(next(iter(told))))[:8]})
    with pytest.raises(DataError, match="never trained on"):
        eval_captions(pipeline(Light, hashes), told)


def test_captions_of_a_data_set_and_of_a_table_are_joined_by_file_name(tmp_path: Path) -> None:
    records = dataset("flickr8k").records(flickr(tmp_path))
    own = {record.path: record.captions for record in records}
    assert {Path(path).name: texts for path, texts in captions_of(own).items()} == {
        "a.jpg": ["A dog runs .", "A brown dog"],
        "b.jpg": ["A boat"],
        "c.jpg": ["A hill", "A green hill"],
    }
    (tmp_path / "more.csv").write_text(
        "image,caption\nb.jpg,A boat\nx/b.jpg,Two men\nlonely.jpg,Nobody\nz.jpg,Nothing\n"
    )
    joined = {Path(path).name: texts for path, texts in captions_of(own, tmp_path / "more.csv").items()}
    assert joined["b.jpg"] == ["A boat", "Two men"] and joined["lonely.jpg"] == ["Nobody"] and len(joined) == 4
    with pytest.raises(DataError, match="captions of 1 photos, found none"):
        captions_of({"y.jpg": ()}, tmp_path / "more.csv")
    (tmp_path / "other.csv").write_text("a,b\n")
    with pytest.raises(DataError, match="column image, caption"):
        captions_of(own, tmp_path / "other.csv")


# ------------------------------------------------------------------------------------------------ faults


def test_figures_of_faults_by_hand() -> None:
    right, other = CLASSES.index(REMEDIES["over"]), CLASSES.index(REMEDIES["noisy"])
    table = np.zeros((4, len(CLASSES)))
    table[0, right] = 0.6
    table[1, [right, other]] = 0.3, 0.5  # named, and not first
    table[2, right] = 0.2  # likeliest, and not sure enough
    table[3] = 0.9
    table[3, right] = 0.8  # sure, and behind more than are told
    assert len(CLASSES) - 1 > MOST
    found = _figures(table, REMEDIES["over"], least=0.3)
    assert (found["n"], found["first"], found["named"], found["likeliest"]) == (4, 0.25, 0.5, 0.5)
    assert found["first_interval"][0] < 0.25 < found["first_interval"][1]


@pytest.fixture
def faulty(tmp_path: Path) -> tuple[Path, Path]:
    """MEFB and PolyU with both halves; those held out cannot be read."""
    mefb, polyu = tmp_path / "mefb", tmp_path / "polyu"
    for i in range(8):
        scene, frame = f"Scene{i}", f"Canon_5_{i}"
        made = [mefb / "input" / scene / f"{scene}_{end}.png" for end in ("A", "b", "original")]
        (mefb / "input" / scene).mkdir(parents=True)
        for path, mean in zip(made, (30, 225, 128), strict=True):
            path.write_bytes(b"hidden") if held_out(scene) else grey(path, mean, i)
        polyu.joinpath("CroppedImages").mkdir(parents=True, exist_ok=True)
        for end in ("real", "mean"):
            path = polyu / f"CroppedImages/{frame}_{end}.JPG"
            path.write_bytes(b"hidden") if held_out(frame) else grey(path, 128, i)
    return mefb, polyu


def test_faults_are_those_of_the_suggestions_and_half_is_left_alone(faulty) -> None:
    found = faulty_photos(*faulty)
    assert {kind: len(each) for kind, each in found.items()} == {"over": 3, "under": 3, "noisy": 5, "clean": 5}
    assert all("_b." in path for path in found["over"]) and all("_mean." in path for path in found["clean"])
    one = pipeline()
    one.answers.model.config.remedy_nothing = -20.0
    from calm.data.images import load_photo

    every = [load_photo(path) for each in found.values() for path in each]
    one.answers.model.config.remedy_least = float(np.median(one.edit_probabilities(every)[:, : len(CLASSES)].max(1)))
    figures = eval_faults(one, *faulty)
    json.dumps(figures, allow_nan=False)
    assert figures["failed"] == [] and not figures["held_out"] and figures["seen_in_training"] is None
    for kind, paths in found.items():
        told = [
            [(each.attribute, each.direction) for each in said]
            for _, said in one.suggest([load_photo(path) for path in paths])
        ]
        line = figures["faults"][kind]
        assert line["n"] == len(paths)
        assert line["first"] == np.mean([each[:1] == [REMEDIES[kind]] for each in told])
        assert line["named"] == np.mean([REMEDIES[kind] in each for each in told])
    with pytest.raises(DataError, match="over photos that can be read, found 5"):
        eval_faults(one, *faulty, hidden=True)
    with pytest.raises(DataError, match="found no over photo"):
        eval_faults(one, faulty[1], faulty[0])


# ------------------------------------------------------------------------------------------------ order


def test_to_brightness_dark_copies_are_worse_and_bright_ones_are_not(tmp_path: Path) -> None:
    for i in range(4):
        grey(tmp_path / f"{i}.png", 120, i, (96, 128))
    (tmp_path / "9.png").write_bytes(b"broken")
    found = eval_order(Lightmeter(), tmp_path, saliency=None)
    json.dumps(found, allow_nan=False)
    kinds = found["per_kind"]
    assert (found["photos"], len(found["failed"])) == (4, 1)
    assert kinds["exposure increase"] | {"interval": 0, "change": 0} == {"n": 4, "below": 1, "interval": 0, "change": 0}
    assert kinds["exposure decrease"]["below"] == 0 and kinds["exposure decrease"]["change"] > 0
    assert kinds["exposure increase"]["change"] < 0
    assert {"sharpness increase defocus", "sharpness increase motion"} & set(kinds)
    pairs = sum(line["n"] for line in kinds.values())
    assert found["pairs"] == pairs > 40
    assert found["below"] == pytest.approx(sum(line["n"] * line["below"] for line in kinds.values()) / pairs)


def test_a_tie_is_no_order_and_photos_of_the_training_are_refused(tmp_path: Path) -> None:
    class Constant(Lightmeter):
        def value(self, photo) -> float:
            return 5.0

    path = grey(tmp_path / "a.png", 120)
    assert eval_order(Constant(), tmp_path, saliency=None)["below"] == 0
    model = Constant()
    model.trained_on = {file_sha256(path)}
    with pytest.raises(DataError, match="never trained on"):
        eval_order(model, tmp_path, saliency=None)


# ------------------------------------------------------------------------------------------------ quality


def test_quality_is_read_where_it_is_learnt() -> None:
    """Guards against another prompt than the one of training."""
    model, packer = tiny()
    answers = Answers(model, packer.tokenizer)
    seen = answers.see(photos(2))
    packer.length = 200
    packed = read(model, packer, seen, [[Exchange("quality", QUALITY_QUESTION, target=(1.0,))]] * 2)
    expected = torch.stack([model.quality_logits(packed["quality", i][None])[0].softmax(0) for i in range(2)])
    torch.testing.assert_close(answers.qualities(seen), expected, atol=1e-5, rtol=1e-4)
    assert means_of(torch.eye(10)) == list(range(1, 11))


@pytest.fixture
def biq(tmp_path: Path) -> Path:
    """Three subsets in which brighter is rated higher; between them it is the other way round."""
    rows = ["Image Name,MOS"]
    for subset in (1, 2, 3):
        for i in range(4):
            name = f"ss0{subset} ({i}).jpg"
            grey(tmp_path / "biq/Images" / name, 190 - 60 * subset + 12 * i + 60, i)
            rows.append(f"{name},{0.3 * (subset - 1) + 0.02 * i}")
    (tmp_path / "biq/Test (Images and MOS).csv").write_text("\n".join(rows))
    (tmp_path / "biq/Train (Images and MOS).csv").write_text("Image Name,MOS\n")
    return tmp_path / "biq"


def test_quality_and_score_are_told_apart_and_within_subsets(biq: Path) -> None:
    found = eval_quality(pipeline(Light), biq, resamples=20)
    json.dumps(found, allow_nan=False)
    assert found["photos"] == 12 and list(found["quality"]) == ["whole", "ss01", "ss02", "ss03"]
    for subset in ("ss01", "ss02", "ss03"):
        assert found["quality"][subset]["srcc"] == pytest.approx(1) and found["quality"][subset]["n"] == 4
        assert found["score"][subset]["srcc"] == pytest.approx(-1)
    assert found["quality"]["whole"]["srcc"] < -0.5 < 0.5 < found["score"]["whole"]["srcc"]
    assert found["score"]["whole"]["plcc"] > 0.9
    for path in (biq / "Images").iterdir():
        path.write_bytes(b"broken")
    with pytest.raises(DataError, match="found 12 that cannot"):
        eval_quality(pipeline(Light), biq)


# ------------------------------------------------------------------------------------------------ the command line


def test_every_command_answers_for_a_trained_folder(
    trained, told, faulty, biq, no_java, tmp_path: Path, capsys
) -> None:
    lines = ["image,caption", *(f"{Path(path).name},{text}" for path, texts in told.items() for text in texts)]
    (tmp_path / "captions.csv").write_text("\n".join(lines))
    album, frames = Path(next(iter(told))).parent, tmp_path / "frames"
    (tmp_path / "names.csv").write_text(f"path,nouns\n{Path(next(iter(told))).name},dog|sea\nabsent.png,cat\n")
    for tone in range(10):
        grey(frames / f"{tone}.png", 20 * tone, tone)
    commands: dict[str, list[object]] = {
        "captions": ["--photos", album, "--captions", tmp_path / "captions.csv", "--limit", 3],
        "faults": ["--mefb", faulty[0], "--polyu", faulty[1]],
        "quality": ["--biq", biq],
        "names": ["--photos", album, "--labels", tmp_path / "names.csv"],
        "controls": ["--photos", frames],
    }
    for task, options in commands.items():
        with pytest.raises(SystemExit) as left:
            main(["eval", task, *map(str, options), "--model", str(trained), "--format", "json", "-q"])
        assert not left.value.code
        assert json.loads(capsys.readouterr().out)["task"] == task
    with pytest.raises(SystemExit) as left:
        main(["eval", "captions", "--photos", str(album), "--model", str(trained)])
    assert left.value.code == 2 and "--photos with --captions" in capsys.readouterr().err


def test_order_from_the_command_line(tmp_path: Path, capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    from calm.cli import running
    from calm.eval import order

    monkeypatch.setattr(running, "load_model", lambda name, device: Lightmeter())
    monkeypatch.setattr(order, "saliency_map", lambda source: None)
    grey(tmp_path / "a.png", 120)
    with pytest.raises(SystemExit) as left:
        main(["eval", "order", "--photos", str(tmp_path), "--format", "json", "-q"])
    assert not left.value.code and json.loads(capsys.readouterr().out)["photos"] == 1
