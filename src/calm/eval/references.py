"""Comments against what people wrote about the same photos, with stock pycocoevalcap and a wrong-photo control.

Every reference of a photo counts, as in the COCO caption evaluation (Chen et al., arXiv 1504.00325): BLEU-1 … 4,
METEOR, ROUGE-L and CIDEr, each computed over all photos. Similar wording is mostly shared house style; therefore every
figure stands beside the same one for the comments of other photos, and beside the difference photo by photo.

The package is an optional one (``pip install 'calm-aesthetics[eval]'``). Its tokeniser and METEOR are Java programs:
without Java the words are split plainly, and METEOR is not computed. Its CIDEr is CIDEr-D (Vedantam et al., CVPR 2015):
n-grams of 1–4 words, not stemmed, counts clipped, σ = 6, document frequencies from the references, times ten.
"""

import contextlib
import importlib.util
import io
import json
import re
import shutil
import subprocess
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from calm.data.datasets.folder import locate
from calm.data.record import Split, dataset
from calm.errors import DataError, UsageError
from calm.tasks.metrics import RESAMPLES, bootstrap, mean_gap

References = Mapping[str, Sequence[str]]
"""What people wrote, by photo."""
PROGRAMS = {
    "bleu": ("bleu_1", "bleu_2", "bleu_3", "bleu_4"),
    "meteor": ("meteor",),
    "rouge": ("rouge_l",),
    "cider": ("cider",),
}
"""Modules of pycocoevalcap, and the figures that each computes."""

Scored = tuple[float, list[float]]
"""A figure over all photos, and one a photo."""


def need_pycocoevalcap() -> Path:
    """Folder of the package. Raises :class:`UsageError` where it is not installed."""
    found = importlib.util.find_spec("pycocoevalcap")
    if found is None or not found.submodule_search_locations:
        raise UsageError(
            "expected the package pycocoevalcap, which compares comments with references, found none; "
            "install it with: pip install 'calm-aesthetics[eval]'"
        )
    return Path(next(iter(found.submodule_search_locations)))


def read_references(path: str | Path, photos: str | Path | None = None) -> dict[str, list[str]]:
    """References from JSON lines ``{"path": …, "references": [text, …]}``, by the photo's file.

    Args:
        photos: folder that the paths are relative to; None for the folder of the file.

    Raises:
        DataError: for a file of another form, a photo named twice or not found, or one without any reference.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
        rows = [json.loads(line) for line in lines if line.strip()]
        named = [(str(row["path"]), [" ".join(str(each).split()) for each in row["references"]]) for row in rows]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f'expected JSON lines {{"path": …, "references": […]}} at {path}, found: {error!r}; correct the file'
        ) from error
    base = Path(photos) if photos else Path(path).parent
    files = locate(base, [name for name, _ in named])
    found: dict[str, list[str]] = {}
    for name, texts in named:
        texts = [text for text in texts if text]
        file = files[name]
        if file is None or not texts or str(file) in found:
            what = "no such photo" if file is None else "no text" if not texts else "the photo a second time"
            raise DataError(f"expected a photo below {base} and its references in {path}, found {what} for {name!r}")
        found[str(file)] = texts
    if not found:
        raise DataError(f"expected at least one photo with references in {path}, found none; fill the file")
    return found


def dataset_references(name: str, root: str | Path, split: Split | None) -> tuple[dict[str, list[str]], str]:
    """What people wrote about a data set's photos, and what that is: ``comments``, or ``captions`` where it has none.

    Raises :class:`DataError` for a set or split without either.
    """
    records = dataset(name).records(root, split)
    for kind in ("comments", "captions"):
        found = {record.path: list(getattr(record, kind)) for record in records if getattr(record, kind)}
        if found:
            return found, kind
    raise DataError(
        f"expected comments or captions in {name}{f' ({split})' if split else ''} at {root}, found none; "
        f"name a data set that has them, or give --references"
    )


def against_references(
    texts: Sequence[str], references: Sequence[Sequence[str]], *, resamples: int = RESAMPLES, seed: int = 0
) -> dict[str, Any]:
    """How like comments are to what people wrote.

    Args:
        texts: one comment a photo.
        references: of the same photos, in the same order; at least one each.

    Returns:
        ``photos``, ``references`` (mean number a photo), ``tokenizer``, ``metrics`` (by name ``value``,
        ``wrong_photo``: the same with the comment of another photo, each photo's drawn by ``seed``, ``gain``: mean
        difference photo by photo of the figure of single photos, and its ``interval``) and ``not_computed`` (which are
        missing, and why).

    Raises:
        UsageError: where pycocoevalcap is missing, or for fewer than two photos.
    """
    package = need_pycocoevalcap()
    if len(texts) < 2 or len(texts) != len(references):
        raise UsageError(
            f"expected two photos or more with references, found {len(texts)} texts and {len(references)}; add photos"
        )
    java = shutil.which("java")
    order = np.random.default_rng(seed).permutation(len(texts))
    other = np.empty(len(texts), int)
    other[order] = np.roll(order, 1)  # one cycle through all photos: nobody keeps the own comment
    cut, tokenizer = _tokens([*([text] for text in texts), *references], package, java)
    tokens, given = cut[: len(texts)], cut[len(texts) :]
    metrics: dict[str, Any] = {}
    missing: dict[str, str] = {}
    for program, names in PROGRAMS.items():
        own = _computed(program, given, tokens, java)
        wrong = own if isinstance(own, str) else _computed(program, given, [tokens[i] for i in other], java)
        if isinstance(own, str) or isinstance(wrong, str):
            missing |= dict.fromkeys(names, str(wrong))
            continue
        for name, (value, each), (control, beside) in zip(names, own, wrong, strict=True):
            gain = bootstrap(mean_gap, each, beside, resamples=resamples, seed=seed)
            metrics[name] = {"value": value, "wrong_photo": control, **gain.named("gain", "interval")}
    return {
        "photos": len(texts),
        "references": float(np.mean([len(each) for each in references])),
        "tokenizer": tokenizer,
        "metrics": metrics,
        "not_computed": missing,
    }


def plain_words(text: str) -> str:
    """Lower case, without punctuation, words apart by one space: in place of the Penn treebank's tokeniser."""
    text = unicodedata.normalize("NFKC", text).lower().replace("’", "'")
    return " ".join(re.findall(r"[^\W_]+(?:'[^\W_]+)*", text))


def _tokens(rows: Sequence[Sequence[str]], package: Path, java: str | None) -> tuple[list[list[str]], str]:
    """All texts in tokens that stand one space apart, and by what they were cut."""
    texts = [" ".join(text.split()) for row in rows for text in row]
    try:
        cut, by = _treebank(texts, package, java), "PTBTokenizer of pycocoevalcap"
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        reason = " ".join(str(error).split())
        cut = [plain_words(text) for text in texts]
        by = f"plain words, for {reason}: figures are not comparable with those of the PTB tokeniser"
    found = iter(cut)
    return [[next(found) for _ in row] for row in rows], by


def _treebank(texts: Sequence[str], package: Path, java: str | None) -> list[str]:
    """Tokens by the Penn treebank's rules, lower case and without punctuation, as in the COCO caption evaluation."""
    _need_java(java)
    from pycocoevalcap.tokenizer.ptbtokenizer import PUNCTUATIONS, STANFORD_CORENLP_3_4_1_JAR

    jar = str(package / "tokenizer" / STANFORD_CORENLP_3_4_1_JAR)
    flags = ["-Dfile.encoding=UTF-8", "-Dstdout.encoding=UTF-8", "-cp", jar]
    command = [str(java), *flags, "edu.stanford.nlp.process.PTBTokenizer", "-preserveLines", "-lowerCase"]
    done = subprocess.run(command, input="\n".join([*texts, ""]).encode(), capture_output=True, check=True)
    lines = done.stdout.decode().split("\n")[: len(texts)]
    if len(lines) != len(texts):
        raise ValueError(f"java cut {len(lines)} of {len(texts)} texts")
    return [" ".join(word for word in line.split() if word not in PUNCTUATIONS) for line in lines]


def _computed(program: str, given: list[list[str]], texts: list[list[str]], java: str | None) -> list[Scored] | str:
    """A program's figures, or on one line why there are none: a Java program that fails must not end the evaluation."""
    try:
        if program == "meteor":
            _need_java(java)
        kind = getattr(importlib.import_module(f"pycocoevalcap.{program}.{program}"), program.capitalize())
        with contextlib.redirect_stdout(io.StringIO()):
            scorer = kind()
            try:
                values, each = scorer.compute_score(dict(enumerate(given)), dict(enumerate(texts)))
            finally:
                if program == "meteor":
                    _stop(scorer)
        return list(zip(np.atleast_1d(values).tolist(), np.atleast_2d(each).tolist(), strict=True))
    except (OSError, ValueError, ArithmeticError, subprocess.SubprocessError) as error:
        return " ".join(str(error).split()) or type(error).__name__


def _stop(meteor: Any) -> None:  # noqa: ANN401 - the package is an optional one
    """End METEOR's Java program. Where it failed half-way, its destructor would wait for the lock for ever."""
    if meteor.lock.locked():
        meteor.lock.release()
    meteor.meteor_p.kill()
    meteor.meteor_p.wait()
    for pipe in (meteor.meteor_p.stdin, meteor.meteor_p.stdout, meteor.meteor_p.stderr):
        with contextlib.suppress(OSError):
            pipe.close()


def _need_java(java: str | None) -> None:
    if java is None:
        raise FileNotFoundError("java not found")
