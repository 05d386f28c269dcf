"""The code in the picture is read after what a lesson does to it, and never read where there is none."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import av
import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.e2e.kit.media_files import FRAMES_PER_SECOND, HEIGHT, WIDTH, luma
from tests.e2e.kit.picture_code import FRAMES, SOURCES, Code, Grey, draw_code, read_code

Picture = NDArray[np.uint8]
SEED = 20261124


def drawn(code: Code) -> Grey:
    return luma(code.source % 3, code.frame) if code.source < 3 else _plain(code)


def _plain(code: Code) -> Grey:
    picture = np.full((HEIGHT, WIDTH), 120, np.uint8)
    draw_code(picture, code)
    return picture


def as_bytes(picture: NDArray[np.generic]) -> Picture:
    return np.asarray(np.clip(picture, 0, 255), np.uint8)


def blurred(picture: Grey) -> Picture:
    return as_bytes(cv2.GaussianBlur(picture, (0, 0), 4))


def noisy(picture: Grey) -> Picture:
    return as_bytes(picture + np.random.default_rng(SEED).normal(0, 40, picture.shape))


def washed_out(picture: Grey) -> Picture:
    return as_bytes(picture * 0.4 + 90)


def jpeg(picture: Grey) -> Picture:
    _, coded = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 5])
    decoded = cv2.imdecode(coded, cv2.IMREAD_COLOR)
    assert decoded is not None
    return as_bytes(decoded)


def quarter(picture: Grey) -> Picture:
    return as_bytes(cv2.resize(picture, (WIDTH // 4, HEIGHT // 4), interpolation=cv2.INTER_AREA))


def odd_size(picture: Grey) -> Picture:
    return as_bytes(cv2.resize(picture, (427, 240), interpolation=cv2.INTER_LINEAR))


def first_copy_lost(picture: Grey) -> Picture:
    lost = picture.copy()
    lost[: HEIGHT // 2, : WIDTH // 2] = 128
    return lost


HARMS = (blurred, noisy, washed_out, jpeg, quarter, odd_size, first_copy_lost)
CODES = (Code(0, 0), Code(1, 777), Code(2, FRAMES - 1), Code(SOURCES - 1, 0x5555))


@pytest.mark.parametrize("harm", HARMS, ids=lambda each: each.__name__)
@pytest.mark.parametrize("code", CODES, ids=str)
def test_survives(code: Code, harm: Callable[[Grey], Picture]) -> None:
    assert read_code(harm(drawn(code))) == code


def test_survives_vp8_at_150_kbit() -> None:
    frames = [luma(1, number) for number in range(40)]
    read = [read_code(picture) for picture in _through_vp8(frames, 150_000)]
    assert len(read) == len(frames)
    good = [code for code in read if code is not None]
    assert len(good) >= 0.9 * len(frames)
    assert all(code.source == 1 for code in good)
    assert [code.frame for code in good] == sorted({code.frame for code in good})


def _through_vp8(frames: list[Grey], bit_rate: int) -> list[Picture]:
    encoder = av.CodecContext.create("libvpx", "w")
    encoder.width, encoder.height, encoder.pix_fmt = WIDTH, HEIGHT, "yuv420p"
    encoder.bit_rate = bit_rate
    encoder.time_base = Fraction(1, FRAMES_PER_SECOND)
    encoder.framerate = Fraction(FRAMES_PER_SECOND)
    encoder.options = {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0"}
    decoder = av.CodecContext.create("vp8", "r")
    pictures: list[Picture] = []
    for number, grey in enumerate(frames):
        frame = av.VideoFrame.from_ndarray(grey, format="gray8").reformat(format="yuv420p")
        frame.pts = number
        for packet in encoder.encode(frame):
            pictures += [as_bytes(each.to_ndarray(format="bgr24")) for each in decoder.decode(packet)]
    return pictures


@pytest.mark.parametrize(
    "picture",
    [
        np.zeros((HEIGHT, WIDTH, 3), np.uint8),
        np.full((HEIGHT, WIDTH, 3), 255, np.uint8),
        np.random.default_rng(SEED).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8),
        np.zeros((1, 1), np.uint8),
    ],
    ids=["black", "white", "noise", "one pixel"],
)
def test_no_code_is_none(picture: Picture) -> None:
    assert read_code(picture) is None


def test_code_at_another_place_is_none() -> None:
    assert read_code(np.roll(drawn(Code(1, 5)), 40, axis=1)) is None


def test_every_wrong_cell_is_noticed() -> None:
    """One wrong cell of the payload in both copies: the checksum has to say no."""
    good = drawn(Code(2, 1234))
    other = [Code(2, 1234 ^ 1 << bit) for bit in range(16)] + [Code(2 ^ 1 << bit, 1234) for bit in range(4)]
    for code in other:
        # The payload of one code under the checksum of another.
        mixed = _plain(code)
        _keep_checksum(mixed, good)
        assert read_code(mixed) is None, code


def _keep_checksum(picture: Grey, source: Grey) -> None:
    cell = WIDTH // 32
    for left, top in ((20, 20), (380, 180)):
        # Row 2 from column 4, and row 3, of the data; frames are two cells wide.
        for row, first in ((4, 6), (5, 2)):
            y, x, end = top + row * cell, left + first * cell, left + 10 * cell
            picture[y : y + cell, x:end] = source[y : y + cell, x:end]


def test_two_pictures_in_one_are_not_read() -> None:
    """What a late decoder shows while it mends itself: half of one frame, half of another."""
    one, other = drawn(Code(0, 21)), drawn(Code(0, 2210))
    mixed = as_bytes((one.astype(float) + other) / 2)
    assert read_code(mixed) is None


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="doesn't fit"):
        draw_code(np.zeros((HEIGHT, WIDTH), np.uint8), Code(SOURCES, 0))
