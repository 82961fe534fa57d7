"""Images as clients send them: data URLs, or the uuid of one that was sent before. Nothing is fetched, no file read."""

from __future__ import annotations

import base64
import binascii
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from calm.data.images import Photo, load_photo
from calm.errors import PhotoError
from calm.serve.errors import ApiError
from calm.serve.limits import Limits


@dataclass(frozen=True)
class Sent:
    """An image of a request.

    Attributes:
        url: a data URL; None for one that is known by its uuid.
        param: where it stands in the request.
    """

    url: str | None
    uuid: str | None
    param: str


class Images:
    """Decodes images, and remembers the last ones that have a uuid. Every method may be called from any thread."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._known: OrderedDict[tuple[str | None, str], Photo] = OrderedDict()
        self._lock = threading.Lock()

    def sources(self, images: Sequence[Sent], caller: str | None) -> list[Callable[[], Photo]]:
        """What decodes each image; one of them raises :class:`PhotoError` for an image that cannot be read.

        Args:
            caller: whose uuids are meant; nobody sees another's.

        Raises:
            ApiError: for too many images, anything but a data URL, and a uuid that is not known.
        """
        if len(images) > self.limits.images:
            raise ApiError(
                400, f"expected at most {self.limits.images} images, found {len(images)}; ask more often", "images"
            )
        return [self._source(each, caller) for each in images]

    def _source(self, sent: Sent, caller: str | None) -> Callable[[], Photo]:
        if sent.url is None:
            known = self._recall(caller, sent)
            return lambda: known
        header, comma, data = sent.url.partition(",")
        if not (comma and header[:5].lower() == "data:" and header.lower().endswith(";base64")):
            raise ApiError(
                400,
                "expected an image as a data URL (data:image/jpeg;base64,…), found none; no other URL or path is read",
                "invalid_image_url",
                sent.param,
            )

        def decode() -> Photo:
            photo = load_photo("the image", data=_bytes(data), max_pixels=self.limits.pixels, raw=False)
            if sent.uuid is not None:
                self._remember(caller, sent.uuid, photo)
            return photo

        return decode

    def _recall(self, caller: str | None, sent: Sent) -> Photo:
        if sent.uuid is None:
            raise ApiError(400, "expected an image or the uuid of one, found neither", "invalid_value", sent.param)
        with self._lock:
            known = self._known.get((caller, sent.uuid))
            if known is None:
                raise ApiError(
                    400, "expected the uuid of an image that was sent, found another; send it again", "unknown_uuid"
                )
            self._known.move_to_end((caller, sent.uuid))
        return known

    def _remember(self, caller: str | None, uuid: str, photo: Photo) -> None:
        with self._lock:
            self._known[caller, uuid] = photo
            self._known.move_to_end((caller, uuid))
            while len(self._known) > self.limits.remembered:
                self._known.popitem(last=False)


def bytes_of(sent: Sent) -> bytes:
    """The image's bytes; none of one that is named by its uuid alone. Raises :class:`PhotoError` for bad base64."""
    return _bytes((sent.url or "").partition(",")[2])


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise PhotoError(f"expected base64 in the image's data URL, found otherwise ({error}); encode it") from error
