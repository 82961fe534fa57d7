"""The model behind a server: images of clients in, answers of the engine out."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from calm.inference.engine import Answer, Engine
from calm.inference.tasks import Heard, Model, Task
from calm.personal.prior import PRIOR, Prior
from calm.serve.errors import ApiError, busy
from calm.serve.images import Images, Sent
from calm.serve.limits import Limits
from calm.serve.metrics import Counted, Metrics
from calm.serve.shoots import Shoots
from calm.types import DEFAULT_BATCH_SIZE

if TYPE_CHECKING:
    from calm.data.images import Photo


class Service:
    """Opens a model once, and asks it.

    Args:
        load: opens the model; it is called by :meth:`open`.
        limits: of what clients may ask.
        batch_size: photos a forward pass.
    """

    def __init__(
        self, load: Callable[[], Model], limits: Limits | None = None, batch_size: int = DEFAULT_BATCH_SIZE
    ) -> None:
        self.limits = limits or Limits()
        self.images, self.metrics = Images(self.limits), Metrics(lambda: self.waiting)
        self.shoots = Shoots(self.limits.shots)
        self._waiting: set[_Waiting] = set()
        self.writing = asyncio.Lock()
        """Held while a profile is changed."""
        self._load, self._batch_size = load, batch_size
        self._engine: Engine | None = None

    def open(self) -> None:
        """Load the model; until then :attr:`engine` raises. Raises what ``load`` raises."""
        self._engine = Engine(self._load(), self._batch_size, waiting=self.limits.queue)

    def close(self) -> None:
        """Answer what was asked, and end."""
        if self._engine is not None:
            self._engine.close()
        self.shoots.close()

    @property
    def waiting(self) -> int:
        """Photos without an answer."""
        return len(self._waiting)

    @property
    def ready(self) -> bool:
        """Whether the model is loaded."""
        return self._engine is not None

    @property
    def engine(self) -> Engine:
        """The engine. Raises :class:`ApiError` while the model is being loaded."""
        if self._engine is None:
            raise busy("expected a loaded model, found it loading; try again soon", 2, status=503, code="loading")
        return self._engine

    def check_name(self, name: str | None) -> None:
        """Raise :class:`ApiError` for a name that is not the model's."""
        if name not in (None, self.engine.model.name):
            raise ApiError(
                404, f"expected the model {self.engine.model.name}, found another; see /v1/models", "model_not_found"
            )

    @functools.cached_property
    def prior(self) -> Prior:
        """What profiles begin from. Raises :class:`ApiError` for a model that none can be learnt with."""
        if not self.has_tastes:
            raise ApiError(400, "expected a model that profiles can be learnt with, found one without; serve another")
        return Prior.load(self._pipeline.folder / PRIOR)

    @property
    def has_tastes(self) -> bool:
        """Whether profiles can be learnt with the model."""
        folder = getattr(self.engine.model, "folder", None)
        return folder is not None and (folder / PRIOR).is_file()

    @property
    def sees(self) -> bool:
        """Whether the model is a network, which can be asked where it looked."""
        return hasattr(self.engine.model, "answers")

    @property
    def visual_tokens(self) -> int:
        """Tokens that the language model reads of an image."""
        return int(self._pipeline.model.config.visual_tokens)

    def pieces(self, text: str) -> list[str]:
        """A text token by token; a character of several tokens stands with the first of them."""
        found = self._pipeline.answers.tokenizer.core.encode(text, add_special_tokens=False)
        ends = [end for _, end in found.offsets]
        return [text[start:end] for start, end in zip([0, *ends], ends, strict=False)]

    @property
    def _pipeline(self) -> Any:  # noqa: ANN401 - a pipeline, more than a Model
        return self.engine.model

    async def answers(
        self,
        images: Sequence[Sent],
        caller: str | None,
        task: Task,
        change: Callable[[Photo, Sent], Photo] = lambda photo, sent: photo,
        heard: Heard | None = None,
    ) -> list[Answer]:
        """One answer an image, in order. Who cancels this takes the images back that wait.

        Args:
            change: what is done to each image before the model is asked about it.
            heard: is told, by another thread, what is being written about each image.

        Raises:
            ApiError: for images that cannot be asked about, see :meth:`Images.sources`.
            BusyError: where too many photos wait already.
        """
        asked = []
        for i, (source, sent) in enumerate(zip(self.images.sources(images, caller), images, strict=True)):
            waiting = _Waiting(task, heard and functools.partial(heard, i))
            decode = functools.partial(_decode, source, sent, change, waiting)
            asked.append(asyncio.ensure_future(self._answer(decode, waiting)))
        try:
            return await asyncio.gather(*asked)
        finally:
            for each in asked:
                each.cancel()

    async def _answer(self, decode: Callable[[], Photo], waiting: _Waiting) -> Answer:
        self._waiting.add(waiting)
        try:
            counted = Counted(waiting.task, self.metrics, self._wanted, self._listener)
            answer = await asyncio.wrap_future(self.engine.submit(decode, counted, patience=0))
        finally:
            self._waiting.discard(waiting)
        if answer.result is None:
            self.metrics.failed.inc()
        return answer

    def _wanted(self, photos: list[Photo]) -> bool:
        """Whether somebody waits for one of these; called by the model's thread."""
        hashes = {photo.sha256 for photo in photos}
        return any(each.sha256 in hashes for each in tuple(self._waiting))

    def _listener(self, photos: list[Photo], task: Task) -> Heard | None:
        """Who waits for the words of an answer about one of these."""
        listening = [each for each in tuple(self._waiting) if each.heard and each.task == task]
        if not any(each.sha256 == photo.sha256 for photo in photos for each in listening):
            return None

        def heard(place: int, text: str) -> None:
            for each in listening:
                if each.sha256 == photos[place].sha256 and each.heard:
                    each.heard(text)

        return heard


@dataclass(eq=False)
class _Waiting:
    """A photo without an answer.

    Attributes:
        heard: is told what is being written about it.
        sha256: None before it is decoded.
    """

    task: Task
    heard: Callable[[str], None] | None
    sha256: str | None = None


def _decode(
    source: Callable[[], Photo], sent: Sent, change: Callable[[Photo, Sent], Photo], waiting: _Waiting
) -> Photo:
    photo = change(source(), sent)
    waiting.sha256 = photo.sha256
    return photo
