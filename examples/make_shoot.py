"""Makes a small shoot out of the free photos in this folder, as a camera would have written it: JPEGs with EXIF.

    python examples/make_shoot.py FOLDER

A morning and an afternoon: bursts with frames that went wrong, an exposure bracket, and single photos that are dark,
too blue, tilted or out of focus. The tutorial "A shoot from card to keepers" goes through it.
"""

from __future__ import annotations

import argparse
from datetime import datetime, timedelta
from pathlib import Path

import cv2
import numpy as np
from make_series import light, quintet, shift, view
from PIL import ExifTags, Image

HERE = Path(__file__).parent
MORNING, AFTERNOON = datetime(2026, 5, 9, 9, 12), datetime(2026, 5, 9, 15, 40)


def frames() -> list[tuple[datetime, np.ndarray]]:
    """Every frame, (H, W, 3) float32 in 0–1, and when it was taken."""
    rng = np.random.default_rng(4)
    photos = {name: np.asarray(Image.open(HERE / f"{name}.jpg").convert("RGB"), np.float32) / 255 for name in NAMES}
    coffee, chelsea, rocket, astronaut = photos.values()
    made: list[tuple[datetime, np.ndarray]] = []

    def take(start: datetime, gap: float, *shots: np.ndarray) -> None:
        made.extend((start + timedelta(seconds=gap * place), shot) for place, shot in enumerate(shots))

    def later(minutes: float) -> datetime:
        return MORNING + timedelta(minutes=minutes)

    take(MORNING, 0.4, *(frame for _, frame in shift(coffee, rng)))
    take(later(4), 1, light(coffee, -1.8))
    take(later(6), 1, view(coffee, 0.5, -0.4) * np.array([0.78, 0.95, 1.0], np.float32))
    take(later(21), 0.3, *(frame for _, frame in quintet(chelsea, rng)))
    take(later(24), 1, view(chelsea, 0.2, 0.3, 6.0))
    take(later(31), 1, cv2.GaussianBlur(chelsea, (0, 0), 4))
    take(AFTERNOON, 1, *(view(light(rocket, stops)) for stops in (-2, 0, 2)))
    take(AFTERNOON + timedelta(minutes=30), 0.3, *(frame for _, frame in quintet(astronaut, rng)))
    take(AFTERNOON + timedelta(minutes=42), 1, np.clip(astronaut + rng.normal(0, 0.07, astronaut.shape), 0, 1))
    return made


NAMES = ("coffee", "chelsea", "rocket", "astronaut")


def save(frame: np.ndarray, path: Path, taken: datetime) -> None:
    """A JPEG with the time of capture and a camera."""
    image = Image.fromarray((np.clip(frame, 0, 1) * 255 + 0.5).astype(np.uint8))
    exif = image.getexif()
    exif[ExifTags.Base.Make], exif[ExifTags.Base.Model] = "Calm", "Tutorial"
    detail = exif.get_ifd(ExifTags.IFD.Exif)
    detail[ExifTags.Base.DateTimeOriginal] = taken.strftime("%Y:%m:%d %H:%M:%S")
    detail[ExifTags.Base.SubsecTimeOriginal] = f"{taken.microsecond // 1000:03}"
    image.save(path, quality=93, exif=exif)


def make(folder: Path) -> int:
    """Writes the shoot into a new folder, and returns how many photos it has."""
    folder.mkdir(parents=True)
    for number, (taken, frame) in enumerate(frames(), 1):
        save(frame, folder / f"IMG_{number:04}.jpg", taken)
    return number


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    given = parser.parse_args()
    print(f"{make(given.folder)} photos in {given.folder}")
