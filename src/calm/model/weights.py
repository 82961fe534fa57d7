"""One file layout for a trained network: ``config.json``, ``trained.safetensors`` and ``manifest.json``.

Only what training changed is stored; the frozen encoder and language model come from the packages or folders that the
configuration names. The manifest lists every tensor with its shape, how it is stored and its SHA-256. Large matrices
are stored in eight bits with one scale a row.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from calm.errors import WeightsError
from calm.model.catalogue import CONFIG, MANIFEST, TRAINED
from calm.model.network import Network
from calm.model.packages import placed, source_folder
from calm.model.tokenizer import Tokenizer

if TYPE_CHECKING:
    from calm.model.pretrained import CalmForConditionalGeneration

PARTS = (("",), ("", "scale"))
"""Endings of the tensors that one tensor is stored as: as it is, and in eight bits."""
EIGHT_BITS = 4096
"""Matrices of at least so many values are stored in eight bits."""
MODEL_TYPE = "calm"


def source_tokenizer(source: str) -> Tokenizer:
    """Tokenizer of a language model by its source, see :func:`source_folder`. Raises :class:`WeightsError`."""
    with reading(f"a tokenizer at {source}"):
        return Tokenizer(source_folder(source))


def read_config(folder: str | Path) -> dict[str, Any]:
    """``config.json`` of a trained network's folder, its sources :func:`placed`. Raises :class:`WeightsError`."""
    with reading(f"{CONFIG} in {folder}"):
        settings = json.loads((Path(folder) / CONFIG).read_text(encoding="utf-8"))
        kind = settings["model_type"]
        if kind != MODEL_TYPE:
            raise WeightsError(
                f"expected a model of type {MODEL_TYPE} in {folder}, found one of type {kind}; "
                "give the folder of a trained network"
            )
        sources = {
            name: placed(settings[name], folder) for name in ("vision_source", "text_source") if name in settings
        }
        return settings | sources


@contextmanager
def reading(what: str) -> Iterator[None]:
    """Turns what libraries raise at missing or damaged files into :class:`WeightsError`."""
    try:
        yield
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        cause = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise WeightsError(
            f"expected {what}, found nothing that can be read ({cause}); fetch it anew, or name another"
        ) from error


def embed_lexicons(model: Network, tokenizer: Tokenizer) -> None:
    """Give both lexicons the language model's embeddings of their words."""
    table = model.get_input_embeddings().weight
    for lexicon, words in (
        (model.lexicon, model.config.vocabulary),
        (model.attribute_lexicon, model.config.attribute_words),
    ):
        if words:
            lexicon.embed(words, tokenizer, table)


def trained_tensors(model: Network) -> dict[str, Tensor]:
    """What training may have changed, by name: all but the frozen parts, their adapters included."""
    frozen = ("backbone.", "language_model.")
    return {
        name: value.detach()
        for name, value in model.state_dict().items()
        if (not name.startswith(frozen) or "lora_" in name) and not name.endswith("lexicon.embeddings")
    }


def save(model: CalmForConditionalGeneration, folder: str | Path) -> None:
    """Write a trained network; the folder is complete or as it was."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    stored: dict[str, Tensor] = {}
    entries = []
    for name, value in sorted(trained_tensors(model).items()):
        rows, kind = to_storage(value)
        stored |= {name if part == "" else f"{name}.{part}": each for part, each in rows.items()}
        entries.append(
            {"name": name, "shape": list(value.shape), "storage": kind, "sha256": _digest(list(rows.values()))}
        )
    with tempfile.TemporaryDirectory(dir=folder, prefix=".saving-") as scratch:
        save_file(stored, Path(scratch) / TRAINED, {"format": "pt"})
        (Path(scratch) / MANIFEST).write_text(json.dumps({"tensors": entries}, indent=1) + "\n")
        model.config.save_pretrained(scratch)
        for name in (TRAINED, MANIFEST, CONFIG):
            (Path(scratch) / name).replace(folder / name)


WORD_BIAS = "lexicon.bias"


class Trained:
    """The trained tensors of a folder; each is checked and made when it is asked for.

    Raises :class:`WeightsError` for a folder of something else, or with damaged files.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        for name in (TRAINED, MANIFEST, CONFIG):
            if not (self.folder / name).is_file():
                raise WeightsError(f"expected {name} in {folder}, found none; give the folder of a trained network")
        with reading(f"{TRAINED} and {MANIFEST} in {folder}"):
            self._stored = load_file(self.folder / TRAINED)
            entries = json.loads((self.folder / MANIFEST).read_text())["tensors"]
            self._entries = {entry["name"]: entry for entry in entries}
        self.names = set(self._entries)

    def tensor(self, name: str) -> Tensor:
        """One of :attr:`names`, float32."""
        entry, path = self._entries[name], self.folder / TRAINED
        rows = {part: f"{name}.{part}" if part else name for part in PARTS[entry["storage"] == "int8-rows"]}
        if any(each not in self._stored for each in rows.values()):
            raise WeightsError(f"expected {name} in {path}, found none; fetch the folder anew")
        found = {part: self._stored[each] for part, each in rows.items()}
        if _digest(list(found.values())) != entry["sha256"]:
            raise WeightsError(f"expected {name} in {path} to have the manifest's sha256; fetch it anew")
        return from_storage(found, entry["storage"])

    @property
    def adapted(self) -> set[str]:
        """Names of the layers that have adapters."""
        return {name.partition(".lora_")[0] for name in self.names if ".lora_" in name}

    def check(self, places: Mapping[str, Tensor]) -> None:
        """Raise :class:`WeightsError` where a network asks for others, or for other shapes, than are here.

        Adapters are not looked for where the network has none.
        """
        adapters = any(".lora_" in name for name in places)
        here = {name for name in self.names if adapters or ".lora_" not in name}
        for name in sorted(here | set(places)):
            asked = list(places[name].shape) if name in places else None
            found = self._entries[name]["shape"] if name in here else None
            if asked != found:
                raise WeightsError(
                    f"expected {name} of shape {asked}, found {found}; {CONFIG} and {TRAINED} in {self.folder} do not "
                    "belong together: fetch the folder anew"
                )


@torch.no_grad()
def fill_trained(model: Network, folder: str | Path) -> None:
    """Put the trained tensors of a folder into a network of the same shape.

    The vocabularies may differ: what was learnt of a word goes to the same word, other words begin anew.

    Raises:
        WeightsError: for damaged files, or tensors of another shape.
    """
    trained, places = Trained(folder), trained_tensors(model)
    words, index = read_config(folder)["vocabulary"], {word: i for i, word in enumerate(model.config.vocabulary)}
    if words != model.config.vocabulary:
        learnt, biases = trained.tensor(WORD_BIAS), places.pop(WORD_BIAS)
        for bias, word in zip(learnt, words, strict=True):
            if word in index:
                biases[index[word]] = bias
        trained.check(places | {WORD_BIAS: learnt})
    else:
        trained.check(places)
    for name, place in places.items():
        place.copy_(trained.tensor(name))


def to_storage(value: Tensor) -> tuple[dict[str, Tensor], str]:
    """A tensor as it is stored, by suffix, and the kind of storage: ``int8-rows`` or ``float16``."""
    if value.ndim == 2 and value.numel() >= EIGHT_BITS and min(value.shape) > 1:
        scale = value.float().abs().amax(dim=1, keepdim=True).clamp(min=1e-12) / 127
        return {"": (value.float() / scale).round().to(torch.int8), "scale": scale.to(torch.float32)}, "int8-rows"
    kind = torch.float16 if value.is_floating_point() and value.abs().max() < 6e4 else value.dtype
    return {"": value.to(kind).contiguous()}, str(kind).removeprefix("torch.")


def from_storage(rows: dict[str, Tensor], kind: str) -> Tensor:
    """The tensor that :func:`to_storage` stored, float32."""
    return rows[""].float().mul_(rows["scale"]) if kind == "int8-rows" else rows[""].float()


def _digest(tensors: list[Tensor]) -> str:
    digest = hashlib.sha256()
    for value in tensors:
        digest.update(value.contiguous().reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()
