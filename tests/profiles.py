"""Colour profiles built by hand, and what a colour-managed program shows of them, worked out without one."""

from __future__ import annotations

import struct
from collections.abc import Callable

import numpy as np

D50 = np.array([0.9642, 1.0, 0.8249])
BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
D65 = 0.3127, 0.3290
SRGB = ((0.64, 0.33), (0.30, 0.60), (0.15, 0.06)), D65
WIDE = {
    "Display P3": (((0.680, 0.320), (0.265, 0.690), (0.150, 0.060)), D65, 2.2),
    "Adobe RGB": (((0.64, 0.33), (0.21, 0.71), (0.15, 0.06)), D65, 2.19921875),
    "ProPhoto RGB": (((0.7347, 0.2653), (0.1596, 0.8404), (0.0366, 0.0001)), (0.3457, 0.3585), 1.8),
}


def to_xyz(primaries: tuple, white: tuple[float, float]) -> np.ndarray:
    """(3, 3): linear RGB → XYZ, adapted to D50 as profiles have it."""
    columns = np.array([[x / y, 1, (1 - x - y) / y] for x, y in primaries]).T
    point = np.array([white[0] / white[1], 1, (1 - sum(white)) / white[1]])
    matrix = columns * np.linalg.solve(columns, point)
    scale = np.diag(BRADFORD @ D50 / (BRADFORD @ point))
    return np.linalg.inv(BRADFORD) @ scale @ BRADFORD @ matrix


def srgb_of(xyz: np.ndarray) -> np.ndarray:
    """XYZ under D50 (…, 3) → sRGB, 0–255, cut to its gamut."""
    linear = np.clip(xyz @ np.linalg.inv(to_xyz(*SRGB)).T, 0, 1)
    return 255 * np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)


def xyz_of(srgb: np.ndarray) -> np.ndarray:
    """sRGB 0–255 (…, 3) → XYZ under D50."""
    values = np.asarray(srgb) / 255
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4) @ to_xyz(*SRGB).T


def fixed(*values: float) -> bytes:
    return struct.pack(f">{len(values)}i", *(round(value * 65536) for value in values))


def profile(kind: bytes, space: bytes, connection: bytes, tags: dict[bytes, bytes]) -> bytes:
    """An ICC profile of version 2."""
    tags = {b"desc": b"desc" + struct.pack(">4xI", 2) + b"x\0" + bytes(90), b"wtpt": xyz_tag(D50)} | tags
    table, body, place = b"", b"", 128 + 4 + 12 * len(tags)
    for name, content in tags.items():
        content += bytes(-len(content) % 4)
        table += name + struct.pack(">II", place + len(body), len(content))
        body += content
    head = struct.pack(">I4xI4s4s4s", place + len(body), 0x02200000, kind, space, connection)
    head += bytes(12) + b"acsp" + bytes(28) + fixed(*D50)
    return head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + body


def xyz_tag(values: np.ndarray) -> bytes:
    return b"XYZ " + bytes(4) + fixed(*values)


def rgb_profile(primaries: tuple, white: tuple[float, float], gamma: float) -> bytes:
    curve = b"curv" + struct.pack(">4xIH", 1, round(gamma * 256))
    columns = to_xyz(primaries, white).T
    tags = {name + b"XYZ": xyz_tag(column) for name, column in zip((b"r", b"g", b"b"), columns, strict=True)}
    return profile(b"mntr", b"RGB ", b"XYZ ", tags | {name + b"TRC": curve for name in (b"r", b"g", b"b")})


def cmyk_profile(look: Callable[[np.ndarray], np.ndarray], steps: int = 9) -> bytes:
    """A press on which inks (n, 4), 0–1, look as ``look`` says, (n, 3) sRGB 0–255."""
    grid = np.stack(np.meshgrid(*[np.linspace(0, 1, steps)] * 4, indexing="ij"), axis=-1).reshape(-1, 4)
    ratio = xyz_of(look(grid)) / D50
    roots = np.where(ratio > (6 / 29) ** 3, np.cbrt(ratio), ratio * 841 / 108 + 4 / 29)
    x, y, z = roots.T
    lab = np.stack([(116 * y - 16) * 2.55, 500 * (x - y) + 128, 200 * (y - z) + 128], axis=1)
    ramp = bytes(range(256))
    cells = np.clip(lab + 0.5, 0, 255).astype(np.uint8).tobytes()
    table = b"mft1" + struct.pack(">4x4B", 4, 3, steps, 0) + fixed(1, 0, 0, 0, 1, 0, 0, 0, 1) + 4 * ramp + cells
    return profile(b"prtr", b"CMYK", b"Lab ", {b"A2B0": table + 3 * ramp})
