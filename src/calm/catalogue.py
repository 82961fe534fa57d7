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

import json
import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from calm.errors import UsageError, WeightsError
from calm.model.weights import PACKAGED, cache_dir, file_sha256, folder_sha256

logger = logging.getLogger(__name__)

CARD = "model_card.json"
UNSTATED = "not stated"


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


def terms_to_tell(name_or_folder: str) -> str | None:
    """What has to be said about a model's terms now: its terms at the first call on this machine, None afterwards.

    The marker of having been told is a file in the cache; where that cannot be written, the terms are told each time.
    """
    folder = PACKAGED / name_or_folder
    if not folder.is_dir():
        folder = Path(name_or_folder)
    terms = card(folder).get("terms")
    if not terms:
        return None
    told = cache_dir() / "told" / f"{folder.name}-{file_sha256(folder / CARD)[:12]}"
    if told.exists():
        return None
    try:
        told.parent.mkdir(parents=True, exist_ok=True)
        told.touch()
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
