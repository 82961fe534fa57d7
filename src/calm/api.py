"""The Python interface: one object that scores photos, comments on them and suggests what to change."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from itertools import count
from os import PathLike, fspath
from typing import TYPE_CHECKING, Any, Self, TypeAlias, overload

from calm.errors import PhotoError, UsageError
from calm.inference.engine import Engine
from calm.inference.tasks import CommentTask, Model, Result, ScoreTask, SuggestTask, Task
from calm.model.catalogue import terms_to_tell
from calm.types import DEFAULT_BATCH_SIZE, MOST, Comment, Score, Suggestion

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

    from calm.data.images import Photo
    from calm.personal.prior import Prior
    from calm.personal.profile import Profile

    PhotoLike: TypeAlias = str | PathLike[str] | Image.Image | np.ndarray
    Photos: TypeAlias = list[Any] | tuple[Any, ...]

logger = logging.getLogger(__name__)


class Calm:
    """An aesthetic model, ready to be asked.

    Every method takes one photo and answers with one result, or a list of photos and answers with a list in the same
    order. A photo is a path, a PIL image, or an array (H, W, 3) or (H, W) of uint8 in sRGB. A photo that cannot be read
    raises :class:`calm.PhotoError`.

    Args:
        model: a predictor; :meth:`from_pretrained` loads one.
        batch_size: photos a forward pass; it changes the speed and not the result.
    """

    def __init__(self, model: Model, batch_size: int = DEFAULT_BATCH_SIZE) -> None:
        self._engine = Engine(model, batch_size)

    @classmethod
    def from_pretrained(
        cls,
        name_or_folder: str | PathLike[str] = "calm-small",
        device: str | None = None,
        *,
        batch_size: int = DEFAULT_BATCH_SIZE,
    ) -> Self:
        """Loads a model.

        Args:
            name_or_folder: a packaged model's name, or a model folder.
            device: ``cpu``, ``cuda``, ``mps``, …; ``openvino`` for a folder with its graph, see ``calm export``;
                None for the best there is.

        Raises:
            WeightsError: there is no such model, or its files are damaged.
        """
        from calm.inference.compiled import open_pipeline
        from calm.model.catalogue import model_dir

        name = fspath(name_or_folder)
        model = open_pipeline(model_dir(name), device)
        terms = terms_to_tell(name)
        if terms:
            logger.warning("%s", terms)
        return cls(model, batch_size)

    @property
    def model(self) -> Model:
        """The model that answers."""
        return self._engine.model

    @overload
    def score(self, photo: Photos, profile: Profile | str | None = None) -> list[Score]: ...
    @overload
    def score(self, photo: PhotoLike, profile: Profile | str | None = None) -> Score: ...
    def score(self, photo: PhotoLike | Photos, profile: Profile | str | None = None) -> Score | list[Score]:
        """Scores on 1–10: ``value``, ``std`` and ``distribution``; with a profile, as this person would give them.

        Args:
            profile: from :meth:`learn_profile`, or the name of one that is kept here (``calm profile list``).

        Raises:
            UsageError: for a profile of another model, or a name that there is not.
        """
        task = ScoreTask() if profile is None else self._personal(profile)
        results = [result.score for result in self._ask(photo, task)]
        return results if isinstance(photo, list | tuple) else results[0]

    def learn_profile(
        self,
        name: str,
        ratings: Mapping[str | PathLike[str], float] | None = None,
        pairs: Sequence[tuple[str | PathLike[str], str | PathLike[str]]] = (),
        *,
        scale: tuple[float, float] | None = None,
        before: Profile | None = None,
    ) -> Profile:
        """What one person likes, from photos that they rated. It is kept nowhere: ``calm.Store().save(profile)`` does.

        Args:
            name: of the profile.
            ratings: of paths, on any scale.
            pairs: of paths, the preferred photo first.
            scale: lowest and highest rating there could be; guessed if not given.
            before: a profile to add to.

        Raises:
            PhotoError: for a photo that cannot be read.
            UsageError: for a rating outside of the scale, or a profile of another model.
        """
        from calm.personal.tasks import learn_from

        rated = {fspath(path): value for path, value in (ratings or {}).items()}
        preferred = [(fspath(better), fspath(worse)) for better, worse in pairs]
        given = rated, preferred, scale, before
        profile, failed = learn_from(self.model, self._prior(), name, *given)
        if failed:
            raise PhotoError(f"{failed[0]['path']}: {failed[0]['error']}")
        return profile

    def _personal(self, profile: Profile | str) -> Task:
        from calm.personal.store import Store
        from calm.personal.tasks import PersonalTask

        return PersonalTask(Store().load(profile) if isinstance(profile, str) else profile, self._prior())

    def _prior(self) -> Prior:
        from calm.personal.prior import PRIOR, Prior

        folder = getattr(self.model, "folder", None)
        if folder is None:
            raise UsageError("expected a model loaded from a folder for profiles, found another; use from_pretrained")
        return Prior.load(folder / PRIOR)

    @overload
    def comment(self, photo: Photos, aspects: Sequence[str] | None = None) -> list[Comment]: ...
    @overload
    def comment(self, photo: PhotoLike, aspects: Sequence[str] | None = None) -> Comment: ...
    def comment(self, photo: PhotoLike | Photos, aspects: Sequence[str] | None = None) -> Comment | list[Comment]:
        """Says in two to four sentences how a photo works; ``aspects`` limits it to those named."""
        results = [result.comment for result in self._ask(photo, CommentTask(tuple(aspects) if aspects else None))]
        comments = [comment for comment in results if comment is not None]
        return comments if isinstance(photo, list | tuple) else comments[0]

    @overload
    def suggest(self, photo: Photos, least: float | None = None, most: int = MOST) -> list[list[Suggestion]]: ...
    @overload
    def suggest(self, photo: PhotoLike, least: float | None = None, most: int = MOST) -> list[Suggestion]: ...
    def suggest(
        self, photo: PhotoLike | Photos, least: float | None = None, most: int = MOST
    ) -> list[Suggestion] | list[list[Suggestion]]:
        """What to change, best first; an empty list when there is nothing to mend.

        Args:
            least: confidence (0–1) from which a suggestion is made, None for the model's own threshold; lower to be
                told of slighter doubts too.
            most: suggestions for a photo, at most.
        """
        results = [list(result.suggestions or ()) for result in self._ask(photo, SuggestTask(least, most))]
        return results if isinstance(photo, list | tuple) else results[0]

    def _ask(self, photo: PhotoLike | Photos, task: Task) -> list[Result]:
        photos = list(photo) if isinstance(photo, list | tuple) else [photo]
        results = []
        for answer in self._engine.answers(map(_source, photos, count()), task):
            if answer.result is None:
                raise PhotoError(f"{answer.path}: {answer.error}")
            results.append(answer.result)
        return results


def _source(photo: object, index: int) -> str | Photo:
    """What the engine takes: a path as it is, pixels as a :class:`Photo`."""
    from calm.data.images import as_photo

    return fspath(photo) if isinstance(photo, str | PathLike) else as_photo(photo, f"photo {index}")
