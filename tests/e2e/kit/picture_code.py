"""A code in a picture that says which endpoint sent it and which frame it is.

It has to survive a small bitrate and scaling, so it is coarse: 32 cells, each a fortieth of the picture's
width or more, inside a black and a white frame from which the reader learns what black and white became::

    ############      16 bits of frame number, 4 of source, 12 of checksum, row by row;
    #          #      drawn twice in a picture, at two places that are known to the reader,
    # 10110100 #      because a lost part of a picture is rarely lost at both
    # 01101001 #
    # 11010110 #
    # 00101101 #
    #          #
    ############
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FRAMES = 1 << 16
SOURCES = 1 << 4

COLUMNS, ROWS = 8, 4
_WIDE, _HIGH = COLUMNS + 4, ROWS + 4
CELL = 1 / 32
"""Of the picture's width."""
PLACES = ((0.03125, 0.05555), (0.59375, 0.5))
"""Upper left corners of the two copies, of the picture's width and height."""

_LEAST_WIDTH = 96
"""Below, a cell has less than three pixels, and its middle is none of its own."""
_LEAST_CONTRAST = 60.0
"""Between the two frames, of 255: the drawn one is 235, and no codec takes three quarters of it."""
_LEAST_CLEARNESS = 0.2
"""How far from the middle a cell has to be, of the contrast, to be read."""

Grey = NDArray[np.uint8]
"""(height, width)."""


@dataclass(frozen=True, slots=True)
class Code:
    """Frame ``frame`` (16 bits) of endpoint ``source`` (4 bits)."""

    source: int
    frame: int


def draw_code(picture: Grey, code: Code) -> None:
    """Draw both copies into ``picture``, a luma plane of 16:9."""
    cells = _cells(code)
    for left, top, size in _places(picture):
        for row in range(_HIGH):
            for column in range(_WIDE):
                y, x = round(top + row * size), round(left + column * size)
                end_y, end_x = round(top + (row + 1) * size), round(left + (column + 1) * size)
                picture[y:end_y, x:end_x] = 235 if cells[row, column] else 16


def read_code(picture: NDArray[np.uint8]) -> Code | None:
    """The code in ``picture``, (height, width) or (height, width, 3), or None where no copy can be read."""
    grey = picture if picture.ndim == 2 else picture.mean(axis=2)
    if grey.shape[1] < _LEAST_WIDTH:
        return None
    for left, top, size in _places(grey):
        code = _read_at(grey, left, top, size)
        if code is not None:
            return code
    return None


def _places(picture: NDArray[np.generic]) -> list[tuple[float, float, float]]:
    height, width = picture.shape
    return [(x * width, y * height, CELL * width) for x, y in PLACES]


def _checksum(payload: int) -> int:
    return zlib.crc32(payload.to_bytes(3, "big")) & 0xFFF


def word_of(code: Code) -> int:
    """The 32 cells, row by row, the first the highest bit; for who draws a code where there is no numpy.

    Raises ValueError for a code that doesn't fit.
    """
    if not (0 <= code.source < SOURCES and 0 <= code.frame < FRAMES):
        raise ValueError(f"{code} doesn't fit")
    payload = code.frame << 4 | code.source
    return payload << 12 | _checksum(payload)


def _cells(code: Code) -> NDArray[np.bool_]:
    """The whole grid, frames included; True is white."""
    word = word_of(code)
    grid = np.zeros((_HIGH, _WIDE), bool)
    grid[1:-1, 1:-1] = True
    bits = [word >> shift & 1 for shift in range(31, -1, -1)]
    grid[2:-2, 2:-2] = np.array(bits, bool).reshape(ROWS, COLUMNS)
    return grid


def _read_at(grey: NDArray[np.generic], left: float, top: float, size: float) -> Code | None:
    means = np.empty((_HIGH, _WIDE))
    for row in range(_HIGH):
        for column in range(_WIDE):
            # The middle half of a cell: its edges take colour from the neighbours.
            y, x = top + (row + 0.25) * size, left + (column + 0.25) * size
            part = grey[round(y) : max(round(y) + 1, round(y + size / 2)), :]
            part = part[:, round(x) : max(round(x) + 1, round(x + size / 2))]
            means[row, column] = part.mean()
    inner, frame, ring = _masks()
    black, white = means[frame], means[ring]
    contrast = white.mean() - black.mean()
    middle = (white.mean() + black.mean()) / 2
    margin = _LEAST_CLEARNESS * contrast
    if contrast < _LEAST_CONTRAST or black.max() > middle - margin or white.min() < middle + margin:
        return None
    cells = means[inner]
    if np.abs(cells - middle).min() < margin:
        return None
    word = int("".join("1" if cell > middle else "0" for cell in cells), 2)
    payload = word >> 12
    if word & 0xFFF != _checksum(payload):
        return None
    return Code(source=payload & 0xF, frame=payload >> 4)


def _masks() -> tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.bool_]]:
    """Which cells are data, the black frame, the white frame."""
    inner = np.zeros((_HIGH, _WIDE), bool)
    inner[2:-2, 2:-2] = True
    not_black = np.zeros_like(inner)
    not_black[1:-1, 1:-1] = True
    return inner, ~not_black, not_black & ~inner
