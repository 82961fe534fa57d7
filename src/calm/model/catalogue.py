"""The models at hand: those inside this package, and those in folders of the user's.

A model is a folder with ``config.json`` and safetensors files. Its ``model_card.json`` says what it may be used for:

==============  ========================================================================================
``summary``     what it is, in a line
``licence``     licence of the weights, in a few words
``terms``       what has to be known before the first use; said once on each machine. Absent: nothing to say
``parts``       frozen parts that are not in the folder: ``[{"name", "source", "licence"}]``
==============  ========================================================================================
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from calm.data.hashes import cache_dir, file_sha256
from calm.errors import UsageError, WeightsError
from calm.model.packages import CONVERSION, HUB_NAME, PACKAGED_PARTS, placed, source_folder

logger = logging.getLogger(__name__)

CARD = "model_card.json"
UNSTATED = "not stated"
CONFIG, TRAINED, MANIFEST = "config.json", "trained.safetensors", "manifest.json"
SOURCES = "vision_source", "text_source"
"""Settings that name the frozen parts."""
UNDESCRIBED = (
    "heads.remedy.",
    "heads.levels.remedy",
    "heads.levels.amount",
    "remedy_tokens.",
    "quality.",
    "attribute_lexicon.",
    "alignment.measures",
    "alignment.detail_kind",
)
"""Beginnings of the names of weights that no score and no description of a photo depends on."""
UNDESCRIBED_SETTINGS = "remedy_", *SOURCES, "transformers_version"
PACKAGED = Path(__file__).parents[1] / "models"
"""Models that come with the package."""


@dataclass(frozen=True)
class Listed:
    """A model as ``calm models`` shows it.

    Attributes:
        sha256: of configuration and weights together, the ``model_sha256`` of output rows.
        bytes: size of the folder's files.
        origin: ``packaged`` (comes with this package) or ``local``.
    """

    name: str
    origin: str
    path: str
    sha256: str
    bytes: int
    summary: str
    licence: str
    terms: str


def model_dir(name: str | os.PathLike[str]) -> Path:
    """Folder of a packaged model by name, or the folder itself. Raises :class:`UsageError` when there is neither."""
    for folder in (PACKAGED / name, Path(name)):
        if (folder / "config.json").is_file():
            return folder
    known = sorted(path.parent.name for path in PACKAGED.glob("*/config.json"))
    raise UsageError(f"expected a model folder or one of {known}, found {os.fspath(name)!r}; see: calm models")


def folder_sha256(folder: str | Path) -> str:
    """One SHA-256 over a model: its configuration, calibration included, the weights in its folder, and frozen parts
    that come from elsewhere than a package, which are pinned.
    """
    digest = hashlib.sha256()
    for fact in [*_file_hashes(Path(folder)), *_frozen_hashes(_settings(Path(folder)), folder)]:
        digest.update(json.dumps(fact).encode())
    return digest.hexdigest()


def describer_sha256(folder: str | Path) -> str:
    """One SHA-256 over what a photo's score and description depend on, and with them profiles: all of the model except
    remedies, their calibration and technical quality; where its parts lie does not matter.
    """
    settings = _settings(Path(folder))
    entries = json.loads((Path(folder) / MANIFEST).read_text(encoding="utf-8"))["tensors"]
    facts = {
        "config": {name: value for name, value in settings.items() if not name.startswith(UNDESCRIBED_SETTINGS)},
        "weights": {each["name"]: each["sha256"] for each in entries if not each["name"].startswith(UNDESCRIBED)},
        "frozen": [hashes for _, hashes in _frozen_hashes(settings, folder)],
        "packaged": [settings[name] for name in SOURCES if settings.get(name) in PACKAGED_PARTS],
        "tastes": [each for each in _file_hashes(Path(folder)) if each[0] not in (TRAINED, CONFIG)],
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def part_hashes(source: str) -> list[tuple[str, str]]:
    """What a frozen part is made of: names and SHA-256 of its files, or of the package's file it is converted from.

    Raises :class:`WeightsError` for a part that is not there.
    """
    if source in PACKAGED_PARTS:
        return [(f"{source}, conversion {CONVERSION}", PACKAGED_PARTS[source].sha256)]
    return _file_hashes(source_folder(source))


def _settings(folder: Path) -> dict[str, Any]:
    return json.loads((folder / CONFIG).read_text(encoding="utf-8"))


def _file_hashes(folder: Path) -> list[tuple[str, str]]:
    """Name and SHA-256 of the configuration and of every safetensors file, in order of name."""
    files = sorted(path for path in folder.glob("*") if path.suffix == ".safetensors" or path.name == CONFIG)
    return [(path.name, file_sha256(path)) for path in files]


def _frozen_hashes(settings: Mapping[str, Any], folder: str | Path) -> list[tuple[str, list[tuple[str, str]]]]:
    """Source and :func:`_file_hashes` of each frozen part that is not packaged; of one that is not there, nothing."""
    found = []
    for name in SOURCES:
        source = settings.get(name)
        if source is not None and source not in PACKAGED_PARTS:
            with contextlib.suppress(WeightsError):
                found.append((source, part_hashes(placed(source, folder))))
    return found


def listed(folders: Iterable[Path] = ()) -> list[Listed]:
    """Packaged models first, then those of the cache's ``models`` folder, then those in ``folders``.

    Each folder is a model or holds models. Raises :class:`UsageError` for one that is neither.
    """
    found = [_entry(path, "packaged") for path in _models_in(PACKAGED)]
    found += [_entry(path, "local") for path in _models_in(cache_dir() / "models")]
    for folder in folders:
        inside = list(_models_in(folder))
        if not inside:
            raise UsageError(
                f"expected a model folder (config.json and *.safetensors) or a folder of them, found none in {folder}"
            )
        found += [_entry(path, "local") for path in inside]
    return found


@dataclass(frozen=True)
class Source:
    """Where a frozen part of a model comes from, as ``calm models sources`` shows it.

    Attributes:
        part: ``vision`` or ``text``.
        source: as the model's configuration names it.
        kind: ``package``, ``folder`` or ``hub``.
        path: its folder; empty where it is not there yet.
        how: why it is not there, and what brings it.
    """

    model: str
    part: str
    source: str
    kind: str
    path: str
    how: str


def sources(folders: Iterable[Path] = ()) -> list[Source]:
    """Frozen parts of the models of :func:`listed`; packaged ones are converted if they were not yet (seconds)."""
    found = []
    for model in listed(folders):
        settings = json.loads((Path(model.path) / "config.json").read_text(encoding="utf-8"))
        for part in ("vision", "text"):
            source = settings.get(f"{part}_source")
            if source is None:
                continue
            source = placed(source, model.path)
            hub = HUB_NAME.fullmatch(source) and not Path(source).is_dir()
            kind = "package" if source in PACKAGED_PARTS else "hub" if hub else "folder"
            try:
                path, how = str(source_folder(source)), ""
            except WeightsError as error:
                path, how = "", str(error)
            if path and not Path(path).is_dir():
                path, how = "", f"expected a folder, found none at {path}; bring it, or name another in config.json"
            found.append(Source(model.name, part, source, kind, path, how))
    return found


def terms_to_tell(name_or_folder: str) -> str | None:
    """What has to be said about a model's terms now: its terms at the first call on this machine, None afterwards.

    The marker is a file in the cache; where that cannot be written, the terms are told each time.
    """
    folder = PACKAGED / name_or_folder
    if not folder.is_dir():
        folder = Path(name_or_folder)
    terms = card(folder).get("terms")
    if not terms:
        return None
    marker = cache_dir() / "terms" / f"{folder.name}-{file_sha256(folder / CARD)[:12]}"
    if marker.exists():
        return None
    try:
        marker.parent.mkdir(parents=True, exist_ok=True)
        marker.touch()
    except OSError as error:
        logger.debug("cannot remember that the terms were told: %s", error)
    return f"{folder.name}: {terms}"


def card(folder: Path) -> dict[str, object]:
    """A folder's model card; empty when there is none. Raises :class:`WeightsError` when it is not a JSON object."""
    path = folder / CARD
    if not path.is_file():
        return {}
    try:
        read = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise WeightsError(f"expected JSON in {path}, found otherwise ({error}); mend or remove it") from error
    if not isinstance(read, dict):
        raise WeightsError(f"expected a JSON object in {path}, found {type(read).__name__}; mend or remove it")
    return read


def _models_in(folder: Path) -> Iterator[Path]:
    candidates = [folder, *sorted(folder.iterdir())] if folder.is_dir() else []
    for path in candidates:
        if (path / "config.json").is_file() and any(path.glob("*.safetensors")):
            yield path


def _entry(path: Path, origin: str) -> Listed:
    about = card(path)
    return Listed(
        name=path.name,
        origin=origin,
        path=str(path),
        sha256=folder_sha256(path),
        bytes=sum(each.stat().st_size for each in path.rglob("*") if each.is_file()),
        summary=str(about.get("summary", "")),
        licence=str(about.get("licence", UNSTATED)),
        terms=str(about.get("terms", "")),
    )
