"""Comments against references: stock figures, all references, a control, and what is said where parts are missing."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from lightmeter import Lightmeter, grey

from calm.errors import DataError, UsageError
from calm.eval import comments, references
from calm.eval.references import against_references, dataset_references, plain_words, read_references

with_java = pytest.mark.skipif(shutil.which("java") is None, reason="java is not installed")

TEXTS = ["a warm light on the harbour", "the cat has sharp eyes", "far too dark to see", "a tilted horizon at sea"]
WRITTEN = [
    ["warm light over a harbour", "a warm light on the harbour"],
    ["the eyes of the cat are sharp", "nice cat"],
    ["it is far too dark"],
    ["the horizon is tilted", "a tilted horizon at sea"],
]


@pytest.fixture
def no_java(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(references.shutil, "which", lambda name: None)


def test_figures_are_those_of_pycocoevalcap_and_every_reference_counts(no_java: None) -> None:
    from pycocoevalcap.bleu.bleu import Bleu
    from pycocoevalcap.cider.cider import Cider
    from pycocoevalcap.rouge.rouge import Rouge

    found = against_references(TEXTS, WRITTEN, resamples=50)["metrics"]
    given, said = dict(enumerate(WRITTEN)), {i: [text] for i, text in enumerate(TEXTS)}
    assert found["cider"]["value"] == pytest.approx(Cider().compute_score(given, said)[0])
    assert found["rouge_l"]["value"] == pytest.approx(Rouge().compute_score(given, said)[0])
    stock = Bleu(4).compute_score(given, said, verbose=0)[0]
    assert [found[f"bleu_{n}"]["value"] for n in (1, 2, 3, 4)] == pytest.approx(stock)
    first_only = against_references(TEXTS, [each[:1] for each in WRITTEN], resamples=5)["metrics"]
    assert first_only["rouge_l"]["value"] < found["rouge_l"]["value"]


def test_the_control_is_the_comment_of_another_photo(no_java: None) -> None:
    found = against_references(TEXTS, WRITTEN, resamples=100)["metrics"]
    for name in ("bleu_1", "rouge_l", "cider"):
        one = found[name]
        assert one["wrong_photo"] < one["value"] and one["interval"][0] <= one["gain"] <= one["interval"][1]
        assert one["interval"][0] > 0
    alike = against_references(["a photo of a thing"] * 4, WRITTEN, resamples=20)["metrics"]
    assert alike["cider"]["value"] == pytest.approx(alike["cider"]["wrong_photo"])
    assert alike["rouge_l"]["gain"] == pytest.approx(0)


def test_without_java_the_words_are_split_plainly_and_meteor_is_missing(no_java: None) -> None:
    found = against_references(TEXTS, WRITTEN, resamples=5)
    assert "java not found" in found["tokenizer"] and "not comparable" in found["tokenizer"]
    assert found["not_computed"] == {"meteor": "java not found"}
    assert set(found["metrics"]) == {"bleu_1", "bleu_2", "bleu_3", "bleu_4", "rouge_l", "cider"}
    assert (found["photos"], found["references"]) == (4, 7 / 4)


@with_java
def test_with_java_the_tokeniser_is_pycocoevalcaps() -> None:
    texts = ["It's a café — “well lit”, isn't it? (Yes!) 3.5 stops", "", "Plain."]
    cut, by = references._tokens([texts], references.need_pycocoevalcap(), shutil.which("java"))
    assert by == "PTBTokenizer of pycocoevalcap"
    assert cut == [["it 's a café well lit is n't it -lrb- yes -rrb- 3.5 stops", "", "plain"]]


def test_a_java_that_fails_ends_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = tmp_path / "java"
    broken.write_text("#!/bin/sh\nexit 3\n")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    found = against_references(TEXTS, WRITTEN, resamples=5)
    assert "plain words" in found["tokenizer"] and "exit status 3" in found["tokenizer"]
    assert found["metrics"]["cider"]["value"] > 0
    assert set(found["not_computed"]) == {"meteor"} and all(found["not_computed"].values())


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(references.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"found none; install it with: pip install 'calm-aesthetics\[eval\]'"):
        against_references(TEXTS, WRITTEN)


def test_one_photo_has_no_other(no_java: None) -> None:
    with pytest.raises(UsageError, match="two photos or more"):
        against_references(TEXTS[:1], WRITTEN[:1])


def test_plain_words() -> None:
    assert plain_words("It’s 3 p.m. — the “blue_hour”, isn't it?") == "it's 3 p m the blue hour isn't it"


def test_references_of_a_file_are_found_by_photo(tmp_path: Path) -> None:
    grey(tmp_path / "photos/a.png", 100)
    grey(tmp_path / "photos/trip/b.png", 100)
    lines = [{"path": "a.png", "references": ["Good  light.\n"]}, {"path": "trip/b.png", "references": ["x", "y", ""]}]
    (tmp_path / "r.jsonl").write_text("\n".join(map(json.dumps, lines)))
    found = read_references(tmp_path / "r.jsonl", tmp_path / "photos")
    assert found == {
        str(tmp_path / "photos/a.png"): ["Good light."],
        str(tmp_path / "photos/trip/b.png"): ["x", "y"],
    }


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("no json", "correct the file"),
        ('{"path": "a.png"}', "KeyError"),
        ('{"path": "b.png", "references": ["x"]}', "found no such photo for 'b.png'"),
        ('{"path": "a.png", "references": [" "]}', "found no text for 'a.png'"),
        ('{"path": "a.png", "references": ["x"]}\n{"path": "a", "references": ["x"]}', "a second time"),
        ("", "at least one photo"),
    ],
)
def test_files_of_another_form_are_refused(line: str, words: str, tmp_path: Path) -> None:
    grey(tmp_path / "a.png", 100)
    (tmp_path / "r.jsonl").write_text(line)
    with pytest.raises(DataError, match=words):
        read_references(tmp_path / "r.jsonl")


def test_a_data_set_gives_its_captions_or_says_that_it_has_none(tmp_path: Path) -> None:
    from layouts import flickr, para

    (tmp_path / "f").mkdir()
    found, kind = dataset_references("flickr8k", flickr(tmp_path / "f"), None)
    assert kind == "captions" and {Path(path).name for path in found} == {"a.jpg", "b.jpg", "c.jpg"}
    with pytest.raises(DataError, match="expected comments or captions in para"):
        dataset_references("para", para(tmp_path / "p"), None)


def test_comments_of_a_model_are_compared_with_what_people_wrote(no_java: None, tmp_path: Path) -> None:
    written = {}
    for i in range(6):
        path = grey(tmp_path / f"{i}.png", 25 if i % 2 else 235, i, (96, 128))
        written[str(path)] = ["The photo is underexposed." if i % 2 else "The photo is overexposed.", "Nice."]
    found = comments.eval_comments(Lightmeter(), list(written), n=6, references=written)
    json.dumps(found, allow_nan=False)
    assert found["references"]["photos"] == 6
    assert found["references"]["metrics"]["bleu_1"]["value"] > 0.3
    assert np.isfinite(found["references"]["metrics"]["cider"]["gain"])
