"""RAW files of cameras, read by LibRaw: the preview that the camera embedded, or a development of the sensor's data."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from calm.errors import PhotoError

if TYPE_CHECKING:
    import rawpy

_NAMES = "3fr arw cr2 cr3 crw dcr dng erf fff iiq kdc mef mos mrw nef nrw orf pef raf rw2 rwl sr2 srf srw x3f"
RAW_SUFFIXES = frozenset(f".{name}" for name in _NAMES.split(" "))
"""What a folder is searched for, beside other photos. A file's content, not its ending, decides how it is decoded."""
SMALL = 512
"""Pixels, long edge, from which a preview stands for the photo; where it is smaller, the sensor's data is developed."""
TAIL, EMPTY = 8, 0.05
"""So many rows without a picture at a mosaic's end, or such a share of all rows anywhere: the file is damaged."""
SRGB = (2.4, 12.92)
"""Exponent and slope at black of sRGB's curve, as LibRaw takes them."""
GAINS = (0.5, 8.0)
"""A camera's picture is brighter than its sensor's data by its own curve, within these factors of light."""
TURNED = {3: Image.Transpose.ROTATE_180, 5: Image.Transpose.ROTATE_90, 6: Image.Transpose.ROTATE_270}
"""What makes a picture upright, by LibRaw's ``flip``."""


class Raw:
    """An open RAW file, see :func:`open_raw`.

    Attributes:
        width, height: of the photo as it is displayed, pixels.
    """

    def __init__(self, path: str, raw: rawpy.RawPy) -> None:
        self._path, self._raw = path, raw
        sizes = raw.sizes
        across, down = (sizes.height, sizes.width) if sizes.flip in (5, 6) else (sizes.width, sizes.height)
        self.width, self.height = across, down

    def preview(self, reference: int | None = None) -> Image.Image | None:
        """The largest picture that the camera embedded, upright or with an orientation in its EXIF; None where there is
        none that is whole.

        Args:
            reference: pixels, long edge, that are enough; None for all there are.
        """
        import rawpy

        try:
            found = self._raw.extract_thumb()
            if found.format == rawpy.ThumbFormat.BITMAP:
                image = Image.fromarray(np.array(found.data))
            else:
                image = Image.open(BytesIO(bytes(found.data)), formats=("JPEG",))
                if reference is not None and max(image.size) >= 4 * reference:
                    image.draft("RGB", (2 * reference, 2 * reference))
            image.load()
        except (rawpy.LibRawError, OSError, ValueError, SyntaxError):
            return None
        turn = TURNED.get(self._raw.sizes.flip)
        oriented = image.getexif().get(0x0112, 1) != 1
        lying = (image.width > image.height) != (self.width > self.height) or turn == TURNED[3]
        return image.transpose(turn) if turn is not None and lying and not oriented else image

    def develop(self, reference: int, *, deep: bool = False) -> np.ndarray:
        """(H, W, 3) uint8, or uint16 where ``deep``; sRGB, upright, with the camera's white balance, and as bright as
        the preview where there is one; at half size where that still has ``reference`` pixels long edge.

        Raises:
            PhotoError: for data that is damaged or of a kind that LibRaw cannot develop.
        """
        import rawpy

        half = max(self.width, self.height) >= 2 * reference
        preview = self.preview(reference)
        try:
            if self._damaged():
                raise ValueError("rows without a picture")
            pixels = self._raw.postprocess(
                use_camera_wb=True, half_size=half, output_bps=16, no_auto_bright=True, gamma=SRGB
            )
        except (rawpy.LibRawError, rawpy.NotSupportedError, MemoryError, RuntimeError, ValueError) as error:
            otherwise = " or leave --develop away, to have its preview looked at" if preview else ""
            raise PhotoError(
                f"expected a RAW photo in {self._path} that can be developed, found: {_reason(error)}; restore it from "
                f"a copy{otherwise}"
            ) from error
        gain = 1.0 if preview is None else _light(np.asarray(preview.convert("RGB"))) / _light(pixels)
        return _brightened(pixels, float(np.clip(gain, *GAINS)), np.uint16 if deep else np.uint8)

    def _damaged(self) -> bool:
        """Whether rows of the mosaic hold nothing, not even a sensor's noise: LibRaw leaves them so where data is
        missing.
        """
        mosaic, black = self._raw.raw_image_visible, min(self._raw.black_level_per_channel)
        empty = np.asarray((mosaic <= black).reshape(len(mosaic), -1).all(1))
        return bool(empty[-TAIL:].all() or empty.mean() > EMPTY)


@contextlib.contextmanager
def open_raw(path: str, data: bytes) -> Iterator[Raw | None]:
    """The RAW photo in a file's bytes; None for what is none. Pixels are not read yet."""
    import rawpy

    try:
        raw = rawpy.imread(BytesIO(data))
    except rawpy.LibRawError:
        yield None
        return
    with raw:
        yield Raw(path, raw)


def _light(pixels: np.ndarray) -> float:
    """Mean light, 0–1, of sRGB pixels of 8 or 16 bits; never 0."""
    some = pixels[:: max(1, len(pixels) // 256), :: max(1, pixels.shape[1] // 256)]
    return float(_linear(some / np.iinfo(pixels.dtype).max).mean()) + 1e-4


def _brightened(pixels: np.ndarray, gain: float, kind: type[np.unsignedinteger]) -> np.ndarray:
    """(H, W, 3) of a kind of integers, of (H, W, 3) uint16 in sRGB, with ``gain`` times the light."""
    light = np.clip(_linear(np.arange(65536) / 65535) * gain, 0, 1)
    curve = np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)
    return (curve * np.iinfo(kind).max + 0.5).astype(kind)[pixels]


def _linear(values: np.ndarray) -> np.ndarray:
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def _reason(error: BaseException) -> str:
    reason = error.args[0] if error.args else type(error).__name__
    return reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)
