"""The synthetic classroom's picture: a lake at night with a low sun, a card with the course, a clock."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime

import cv2
import numpy as np
from numpy.typing import NDArray

WIDTH, HEIGHT = 640, 360

Picture = NDArray[np.uint8]
"""(360, 640, 3), blue-green-red."""
Colour = tuple[int, int, int]


def _colour(code: int) -> Colour:
    """0xRRGGBB as OpenCV's blue, green, red."""
    return code & 0xFF, code >> 8 & 0xFF, code >> 16


INK = _colour(0x12232E)
INK_2 = _colour(0x4A5B66)
BIRCH = _colour(0xF5F3EE)
LAKE = _colour(0x0D5777)
SPRUCE = _colour(0x1D6B48)
NIGHT = _colour(0x0E1A21)
DUSK = _colour(0x2A4B5C)
SUN = _colour(0xF2C27B)
TREES = _colour(0x122A2B)
WAVE = _colour(0x3A6F87)

_HORIZON = 236
_SUN_RADIUS = 26
_SUN_PERIOD_S = 60.0
_WAVES = ((252, 3.0, 210.0, 7.0), (274, 4.0, 260.0, -9.0), (300, 5.0, 330.0, 11.0), (332, 6.0, 420.0, -13.0))
"""(height, amplitude, length in pixels; speed in pixels per second): nearer waves are longer and faster."""
_CARD = (40, 40, 408, 200)
_DIAL = (524, 106)
_DIAL_RADIUS = 62


@dataclass(frozen=True, slots=True)
class Words:
    """What the card says."""

    course: str
    title: str
    site: str


class Scene:
    """Draws a lesson's scene. What stands still is drawn once."""

    def __init__(self, words: Words) -> None:
        self._still = _landscape()
        _draw_card(self._still, words)
        _draw_dial(self._still)
        self._columns = np.arange(-8, WIDTH + 16, 8, dtype=np.float32)

    def draw(self, elapsed_s: float, clock: datetime) -> Picture:
        """The scene ``elapsed_s`` seconds after its start, its clock showing ``clock``."""
        picture = self._still.copy()
        self._draw_sun(picture, elapsed_s)
        self._draw_waves(picture, elapsed_s)
        _draw_hands(picture, clock)
        return picture

    def _draw_sun(self, picture: Picture, elapsed_s: float) -> None:
        turn = 2 * math.pi * elapsed_s / _SUN_PERIOD_S
        x = 516 + 70 * math.sin(turn)
        y = _HORIZON - 22 + 6 * math.cos(turn)
        sky = picture[: _HORIZON - 1]
        # Behind the trees; its way keeps clear of card and clock.
        left, right = int(x) - _SUN_RADIUS - 2, int(x) + _SUN_RADIUS + 3
        top = int(y) - _SUN_RADIUS - 2
        place = sky[top:, left:right]
        behind = place.copy()
        cv2.circle(
            behind, (int((x - left) * 16), int((y - top) * 16)), _SUN_RADIUS * 16, SUN, -1, cv2.LINE_AA, 4
        )
        hidden = np.all(place == TREES, axis=2, keepdims=True)
        np.copyto(place, behind, where=~hidden)
        for step, width in enumerate((44, 34, 24, 14)):
            height = _HORIZON + 10 + step * 20
            shift = 5 * math.sin(elapsed_s * 1.3 + step)
            start = (int(x + shift - width / 2), height)
            cv2.line(picture, start, (start[0] + width, height), SUN, 2, cv2.LINE_AA)

    def _draw_waves(self, picture: Picture, elapsed_s: float) -> None:
        for height, amplitude, length, speed in _WAVES:
            phase = 2 * math.pi * (self._columns - speed * elapsed_s) / length
            line = np.stack([self._columns, height + amplitude * np.sin(phase)], axis=1)
            points = np.round(line * 16).astype(np.int32).reshape(-1, 1, 2)
            cv2.polylines(picture, [points], False, WAVE, 2, cv2.LINE_AA, 4)


def _gradient(picture: Picture, top: Colour, bottom: Colour) -> None:
    weight = np.linspace(0, 1, len(picture), dtype=np.float32)[:, None, None]
    picture[:] = np.round(np.array(top) * (1 - weight) + np.array(bottom) * weight).astype(np.uint8)


def _landscape() -> Picture:
    picture = np.empty((HEIGHT, WIDTH, 3), np.uint8)
    _gradient(picture[:_HORIZON], NIGHT, DUSK)
    _gradient(picture[_HORIZON:], LAKE, INK)
    # A seed, so that every classroom has the same shore.
    shore = np.random.default_rng(7)
    for x in range(-4, WIDTH + 8, 11):
        height = int(shore.integers(10, 30))
        tree = np.array([[x - 7, _HORIZON], [x, _HORIZON - height], [x + 7, _HORIZON]], np.int32)
        # Without smoothing: the sun's mask looks for exactly this colour.
        cv2.fillPoly(picture, [tree], TREES)
    cv2.rectangle(picture, (0, _HORIZON - 5), (WIDTH, _HORIZON), TREES, -1)
    return picture


def _rounded(picture: Picture, corners: tuple[int, int, int, int], radius: int, colour: Colour) -> None:
    left, top, right, bottom = corners
    cv2.rectangle(picture, (left + radius, top), (right - radius, bottom), colour, -1)
    cv2.rectangle(picture, (left, top + radius), (right, bottom - radius), colour, -1)
    for x in (left + radius, right - radius):
        for y in (top + radius, bottom - radius):
            cv2.circle(picture, (x, y), radius, colour, -1, cv2.LINE_AA)


def _draw_card(picture: Picture, words: Words) -> None:
    left, top, right, bottom = _CARD
    _rounded(picture, _CARD, 16, BIRCH)
    face = cv2.FontFace("sans")
    room = right - left - 48
    for text, line, size, weight, colour in (
        (words.course, top + 48, 26, 700, INK),
        (words.title, top + 84, 21, 400, INK_2),
        (words.site, bottom - 24, 18, 600, SPRUCE),
    ):
        cv2.putText(
            picture, _fit(text, face, size, weight, room), (left + 24, line), colour, face, size, weight
        )


def _fit(text: str, face: cv2.FontFace, size: int, weight: int, room: int) -> str:
    """``text``, or as much of its beginning as is at most ``room`` pixels wide, and an ellipsis."""
    shown = text
    while len(shown) > 1:
        _, _, width, _ = cv2.getTextSize((WIDTH, HEIGHT), shown, (0, 0), face, size, weight)
        if width <= room:
            return shown
        shown = shown.removesuffix("…")[:-1].rstrip() + "…"
    return shown


def _draw_dial(picture: Picture) -> None:
    cv2.circle(picture, _DIAL, _DIAL_RADIUS, BIRCH, -1, cv2.LINE_AA)
    for hour in range(12):
        length = 10 if hour % 3 == 0 else 5
        outer, inner = _on_dial(hour / 12, _DIAL_RADIUS - 6), _on_dial(hour / 12, _DIAL_RADIUS - 6 - length)
        cv2.line(picture, inner, outer, INK, 2, cv2.LINE_AA, 4)


def _on_dial(turn: float, radius: float) -> tuple[int, int]:
    """A point of the dial in sixteenths of a pixel; ``turn`` 0 is at the top, 1 once around."""
    angle = 2 * math.pi * turn
    return round((_DIAL[0] + radius * math.sin(angle)) * 16), round(
        (_DIAL[1] - radius * math.cos(angle)) * 16
    )


def _draw_hands(picture: Picture, clock: datetime) -> None:
    second = clock.second + clock.microsecond / 1e6
    minute = clock.minute + second / 60
    hour = clock.hour % 12 + minute / 60
    middle = _on_dial(0, 0)
    cv2.line(picture, middle, _on_dial(hour / 12, 32), INK, 5, cv2.LINE_AA, 4)
    cv2.line(picture, middle, _on_dial(minute / 60, 48), INK, 3, cv2.LINE_AA, 4)
    cv2.line(picture, middle, _on_dial(second / 60, 52), LAKE, 2, cv2.LINE_AA, 4)
    cv2.circle(picture, _DIAL, 4, LAKE, -1, cv2.LINE_AA)
